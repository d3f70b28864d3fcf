"""Make what an animator looks at beside the drawings, in the folder `review`.

    onionskin_A0001-A0005.png   for each pair, see `animeinterp.keys.onion_skin`
    preview.webp                or .gif, see `animeinterp.keys.preview`
    contact_sheet.png           see `animeinterp.keys.contact_sheet`
    redraw_A0003.png            for each doubtful drawing, see `animeinterp.keys.redraw`
    exposure_sheet.csv, time_sheet.xdts   see `animeinterp.keys.exposure_sheet`

The drawings are read from the folder of results, so that a continued run shows all of them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from animeinterp.io.files import check_folder, check_target, make_folder
from animeinterp.io.images import write_image
from animeinterp.keys.contact_sheet import draw_contact_sheet
from animeinterp.keys.exposure_sheet import to_time_sheet, write_exposure_sheet
from animeinterp.keys.onion_skin import draw_onion_skin
from animeinterp.keys.plan import PlannedLayer, PlannedPair
from animeinterp.keys.preview import write_preview
from animeinterp.keys.redraw import redraw_picture
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.thumbnails import Thumbnails
from animeinterp.keys.xdts import write_xdts

FOLDER = "review"
_MAX_NAME = 200  # bytes of a name, which file systems limit to 255
_ONION_SIDE, _PREVIEW_SIDE = 1280, 640  # px, of drawings in onion skins and in the preview and contact sheet


@dataclass(frozen=True, slots=True)
class ReviewFiles:
    """The names of the files for review.

    Attributes:
        onion_skins: For each pair that has in-betweens.
        preview: The animated preview.
        contact_sheet: All drawings.
        exposure_sheet: CSV.
        time_sheet: XDTS.
    """

    onion_skins: tuple[tuple[PlannedPair, Path], ...]
    preview: Path
    contact_sheet: Path
    exposure_sheet: Path
    time_sheet: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """All files."""
        skins = tuple(path for _, path in self.onion_skins)
        return (*skins, self.preview, self.contact_sheet, self.exposure_sheet, self.time_sheet)


def check_review(folder: Path, layers: Sequence[PlannedLayer], settings: KeySettings) -> None:
    """Check that the files for review can be written; called before the long work.

    Args:
        folder: The folder of results.
        layers: What is drawn.
        settings: Whether files may be replaced.

    Raises:
        UsageError: A file exists and may not be replaced.
        FileError: The folder `review` is a file, or is not writable.
    """
    check_folder(folder / FOLDER, "remove it, or leave out the review")
    if (folder / FOLDER).is_dir():
        names = [one.name for layer in layers for pair in layer.pairs for one in pair.inbetweens]
        pictures = [redraw_picture(folder / FOLDER, name) for name in names]
        for path in (*_list_files(folder, layers, settings).all, *pictures):
            check_target(path, settings.force or settings.resume)


def write_review(folder: Path, layers: Sequence[PlannedLayer], settings: KeySettings) -> tuple[Path, ...]:
    """Write the files for review; those of an earlier run are replaced if the settings allow it.

    Args:
        folder: The folder of results, which holds all drawings.
        layers: The layers.
        settings: Format and rate of the preview, and whether files may be replaced.

    Returns:
        The files.

    Raises:
        FileError: A drawing cannot be read, or a file cannot be written.
    """
    files, force = _list_files(folder, layers, settings), settings.force or settings.resume
    make_folder(folder / FOLDER)
    write_exposure_sheet(files.exposure_sheet, layers, force=force)
    write_xdts(files.time_sheet, to_time_sheet(layers), force=force)
    large = Thumbnails(folder, _ONION_SIDE, settings.max_pixels)
    for pair, path in files.onion_skins:
        write_image(path, draw_onion_skin(pair, large), force=force)
    small = Thumbnails(folder, _PREVIEW_SIDE, settings.max_pixels)
    write_image(files.contact_sheet, draw_contact_sheet(layers, small), force=force)
    write_preview(files.preview, layers, small, settings.rate, force=force)
    return files.all


def _list_files(folder: Path, layers: Sequence[PlannedLayer], settings: KeySettings) -> ReviewFiles:
    """Name the files for review."""
    review = folder / FOLDER
    skins: dict[str, PlannedPair] = {}
    for layer in layers:
        for pair in layer.pairs:
            if pair.inbetweens:
                skins[_name_skin(pair, skins)] = pair
    return ReviewFiles(
        tuple((pair, review / name) for name, pair in skins.items()),
        review / f"preview.{settings.preview}",
        review / "contact_sheet.png",
        review / "exposure_sheet.csv",
        review / "time_sheet.xdts",
    )


def _name_skin(pair: PlannedPair, used: Container[str]) -> str:
    """Name the onion skin of a pair; names of keys may be long, and a time sheet may show two keys twice."""
    first, second = (Path(name).stem for name in pair.names)
    stem = f"onionskin_{first}-{second}"
    if len(stem.encode()) > _MAX_NAME:
        stem = "onionskin"
    names = chain([f"{stem}.png"], (f"{stem}_{number}.png" for number in count(2)))
    return next(name for name in names if name not in used)
