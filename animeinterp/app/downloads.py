"""The files that a visitor downloads for a pair: the drawings, an animation of them, a sheet to print."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animeinterp.app.drawing_pair import DrawingPair
from animeinterp.frame import Frame
from animeinterp.io.files import make_folder
from animeinterp.io.images import write_image
from animeinterp.keys.contact_sheet import draw_contact_sheet
from animeinterp.keys.exposures import ON_TWOS, expose
from animeinterp.keys.plan import Inbetween, PlannedLayer, PlannedPair
from animeinterp.keys.preview import write_preview
from animeinterp.keys.thumbnails import Thumbnails

_RATE, _HOLD = 24.0, 12  # frames per second; frames for which the two given drawings are shown
_PREVIEW_SIDE = 960  # px


@dataclass(frozen=True, slots=True)
class DrawnFiles:
    """What was made of a pair.

    Attributes:
        frames: Every drawing, the given two first and last.
        archive: ZIP of the in-betweens in the format, size and depth of the first drawing.
        gif: Animation of all drawings with the timing chart.
        webp: The same, in more colors.
        sheet: All drawings on one sheet, PNG.
    """

    frames: tuple[Frame, ...]
    archive: Path
    gif: Path
    webp: Path
    sheet: Path


def make_files(
    pair: DrawingPair, times: Sequence[Fraction], folder: Path, report: Callable[[float], object]
) -> DrawnFiles:
    """Draw the in-betweens of a pair and write all files for download.

    Args:
        pair: The pair, matched.
        times: Of the in-betweens, ascending.
        folder: An empty folder for the files.
        report: Called with the finished fraction of the work.

    Returns:
        The files.
    """
    layer = _plan(pair, times)
    (planned,) = layer.pairs
    drawings = folder / "drawings"
    make_folder(drawings)
    for path, name in layer.keys:
        shutil.copyfile(path, drawings / name)
    between = []
    for index, drawing in enumerate(planned.inbetweens, 1):
        between.append(pair.draw(float(drawing.t)))
        write_image(drawings / drawing.name, between[-1], pair.images[0])
        report(0.8 * index / len(times))
    frames = (pair.images[0].pixels, *between, pair.images[1].pixels)
    files = DrawnFiles(frames, *(folder / f"{pair.name}{ending}" for ending in (".zip", ".gif", ".webp", "-sheet.png")))
    with zipfile.ZipFile(files.archive, "w", zipfile.ZIP_STORED) as archive:
        for drawing in planned.inbetweens:
            archive.write(drawings / drawing.name, drawing.name)
    thumbnails = Thumbnails(drawings, _PREVIEW_SIDE, frames[0].shape[0] * frames[0].shape[1])
    for path in (files.gif, files.webp):
        write_preview(path, [layer], thumbnails, _RATE)
    write_image(files.sheet, draw_contact_sheet([layer], thumbnails))
    report(1.0)
    return files


def _plan(pair: DrawingPair, times: Sequence[Fraction]) -> PlannedLayer:
    """Name the drawings as `animeinterp tween` does, and show them on twos."""
    first, second = (path.name for path in pair.paths)
    if first == second:  # of two folders
        first, second = f"1 {first}", f"2 {second}"
    digits, suffix = len(str(len(times))), pair.paths[0].suffix.lower()
    names = [f"{pair.name}_{index:0{digits}}{suffix}" for index in range(1, len(times) + 1)]
    inbetweens = tuple(Inbetween(*drawing) for drawing in zip(names, times, strict=True))
    planned = PlannedPair(pair.name, *pair.paths, (first, second), inbetweens)
    lengths = [_HOLD, *[ON_TWOS] * len(times), _HOLD]
    exposures = expose([first, *names, second], lengths)
    return PlannedLayer(pair.name, ((pair.paths[0], first), (pair.paths[1], second)), (planned,), exposures)
