"""Builds a data set of triplets from films, in ATD-12K's layout (see `animeinterp.data.atd12k`).

    DIR/NAME/frame1.png frame2.png frame3.png     three consecutive drawings; NAME is the film's and the first's number
    DIR_annotations/NAME/NAME.json NAME.jpg       proposed level and motion RoI; a strip for the contact sheet
    DIR_manifest.json                             see `animeinterp.data.films.manifest`
    DIR_sheet.html                                see `animeinterp.data.films.contact_sheet`

The same films and options give the same files, interrupted or not: OpenCV uses one thread meanwhile, because DIS flow
depends on their number, and a triplet appears as a whole, after its annotation.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from animeinterp.data.films.contact_sheet import encode_strip, write_sheet
from animeinterp.data.films.manifest import (
    FilmRecord,
    Manifest,
    check_options,
    fingerprint_film,
    open_manifest,
    read_manifest,
)
from animeinterp.data.films.removal import plan_annotation_removal, plan_removal, remove
from animeinterp.data.films.select import BuildOptions, FilmTriplet, select_triplets
from animeinterp.data.layout import annotations_folder, flows_folder
from animeinterp.data.types import LEVELS
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.io.files import (
    atomic_folder,
    lock_folder,
    make_folder,
    remove_temporary_files,
    write_bytes,
    write_text,
)
from animeinterp.io.images import write_image
from animeinterp.io.reading import MEGABYTE, read_text
from animeinterp.runtime.prefetch import prefetch
from animeinterp.runtime.threads import single_threaded
from animeinterp.video.cadence.drawings import CadenceReport, Drawing, find_drawings
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader

_PREFETCHED_FRAMES = 4


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Progress of a run.

    Attributes:
        film: Index of the film in the list.
        label: Its name in the data set.
        fraction: Fraction of the film that was read.
        triplets: Number of its triplets so far.
    """

    film: int
    label: str
    fraction: float
    triplets: int


Reporter = Callable[[BuildProgress], object]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Result of a run.

    Attributes:
        films: The films that were given, by their names in the data set.
        unchanged: Names of those that an earlier run had finished.
        faults: Films that could not be read, each with the reason.
        pages: Pages of the contact sheet.
    """

    films: dict[str, FilmRecord]
    unchanged: tuple[str, ...]
    faults: tuple[tuple[Path, str], ...]
    pages: tuple[Path, ...]


def build(
    films: Sequence[Path],
    folder: Path,
    options: BuildOptions | None = None,
    *,
    force: bool = False,
    report: Reporter | None = None,
) -> BuildResult:
    """Build a data set from films, or continue: finished films are not read again.

    Args:
        films: Video files or folders of frames; those that cannot be read are left out and listed in the result.
        folder: The data set.
        options: What makes a triplet.
        force: Whether to delete the data set's content first.
        report: Called after every drawing.

    Returns:
        What was built.

    Raises:
        UsageError: The folder holds other things, was built with other options or is in use.
        FileError: The folder cannot be written, or none of the films exists.
    """
    folder, options = Path(folder), options or BuildOptions()
    check_options(folder, options, force)
    if films and not any(map(os.path.exists, films)):
        raise FileError(f"expected films, found nothing at {', '.join(map(str, films[:3]))}; check the names")
    for path in (folder, annotations_folder(folder)):
        make_folder(path)
    with lock_folder(folder), single_threaded():
        remove_temporary_files(annotations_folder(folder))
        manifest = open_manifest(folder, options, force)
        return _build(manifest, films, options, report)


def _build(manifest: Manifest, films: Sequence[Path], options: BuildOptions, report: Reporter | None) -> BuildResult:
    records: dict[str, FilmRecord] = {}
    unchanged, faults = [], []
    manifest.write()
    for index, path in enumerate(films):
        try:
            label, film = _register(manifest, Path(path), options)
        except AnimeInterpError as error:
            faults.append((Path(path), str(error)))
            continue
        records[label] = manifest.films[label]
        if film is None:
            unchanged += [label] if label not in unchanged else []
            continue
        manifest.write()
        fault = _build_film(manifest, label, film, options, index, report)
        faults += [(Path(path), fault)] if fault else []
        manifest.write()
    pages = write_sheet(manifest.folder)
    return BuildResult(records, tuple(unchanged), tuple(faults), tuple(pages))


def prune(folder: Path, rejected: Path) -> int:
    """Remove rejected triplets from a data set; later runs do not build them again.

    Args:
        folder: The data set.
        rejected: A text file with one name per line, as saved by the contact sheet.

    Returns:
        The number of names that were not rejected before.

    Raises:
        FileError: A file cannot be read, or the manifest is damaged or names other folders.
        UsageError: The data set has no triplet of a name, or a folder holds other things; nothing is removed then.
    """
    folder = Path(folder)
    read_manifest(folder)
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected a data set that was built")
    lines = read_text(rejected, "a list that the contact sheet saved", 16 * MEGABYTE).splitlines()
    listed = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    with lock_folder(folder):
        manifest = read_manifest(folder)
        known = {normalize("NFC", name): name for film in manifest.films.values() for name in film.triplets}
        unknown = [name for name in listed if normalize("NFC", name) not in known]
        if unknown:
            raise UsageError(
                f"{rejected} names {unknown[0][:100]!r}, {len(unknown)} of {len(listed)} names that are not in "
                f"{folder}; expected the list that its own contact sheet saved"
            )
        names = [known[normalize("NFC", name)] for name in listed]
        plan = plan_removal(folder, annotations_folder(folder), flows_folder(folder), names)
        new = [name for name in names if name not in manifest.rejected]
        manifest.rejected += new
        manifest.write()
        remove(plan)
        write_sheet(folder)
    return len(new)


def _register(manifest: Manifest, path: Path, options: BuildOptions) -> tuple[str, VideoInfo | None]:
    """Return a film's name in the data set and its properties, None if it is finished; record new films."""
    fingerprint = fingerprint_film(path)
    label = manifest.choose_label(path, fingerprint)
    if label in manifest.films and manifest.films[label].finished:
        return label, None
    film = probe(path, deinterlace=options.deinterlace)
    # JSON cannot hold a file name that is not Unicode.
    name = path.resolve().name.encode("utf-8", "replace").decode()
    manifest.films[label] = FilmRecord(name, fingerprint)
    return label, film


def _build_film(
    manifest: Manifest, label: str, film: VideoInfo, options: BuildOptions, index: int, report: Reporter | None
) -> str:
    """Write the triplets of a film; return why it could not be read to its end, empty if it could."""
    record = manifest.films[label]
    reader, cadence, rejections = Reader(film, deinterlace=options.deinterlace), CadenceReport(), Counter[str]()
    drawings = find_drawings(prefetch(reader, _PREFETCHED_FRAMES), lambda: reader.end, report=cadence)
    fault = ""
    with closing(_yield_error(select_triplets(drawings, film, options, rejections))) as items:
        for item in items:
            if isinstance(item, AnimeInterpError):
                fault = str(item)
                break
            drawing, triplet = item
            if triplet is not None:
                name = f"{label}_{triplet.number:06}"
                record.triplets.append(name)
                if name not in manifest.rejected:
                    _write_triplet(manifest.folder, name, record.file, triplet)
            if report is not None:
                report(BuildProgress(index, label, _fraction_read(drawing, film), len(record.triplets)))
    record.drawings, record.shots, record.damaged = cadence.drawings, cadence.cuts + 1, reader.damaged
    record.left_out, record.finished = dict(sorted(rejections.items())), not fault
    return fault


def _yield_error(
    items: Iterator[tuple[Drawing, FilmTriplet | None]],
) -> Generator[tuple[Drawing, FilmTriplet | None] | AnimeInterpError]:
    """Yield the items, then the error of reading, if any: errors of writing must not count as the film's."""
    try:
        yield from items
    except AnimeInterpError as error:
        yield error
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RuntimeError) as error:
        # Decoders raise these on damaged films; the next film must still be read.
        yield FileError(f"{type(error).__name__}: {error}; it may be damaged, so leave it out or convert it first")


def _write_triplet(folder: Path, name: str, file: str, triplet: FilmTriplet) -> None:
    """Write a triplet, whole or not at all, unless it exists."""
    target, annotations = folder / name, annotations_folder(folder)
    if os.path.lexists(target):
        return
    remove(plan_annotation_removal(annotations, name))
    with atomic_folder(target) as part:
        for number, frame in enumerate(triplet.frames, 1):
            write_image(part / f"frame{number}.png", frame)
        with atomic_folder(annotations / name) as annotation_part:
            text = json.dumps(_annotate(file, triplet), indent=1, ensure_ascii=False)
            write_text(annotation_part / f"{name}.json", text + "\n")
            write_bytes(annotation_part / f"{name}.jpg", encode_strip(triplet.frames))


def _annotate(file: str, triplet: FilmTriplet) -> dict[str, Any]:
    """Return the annotation: ATD-12K's keys, those that need a person left empty, and origin and measurements."""
    height, width = triplet.frames[0].shape[:2]
    return {
        "image_size": [width, height],
        "motion_RoI": dict(zip(("x", "y", "width", "height"), triplet.region, strict=True)),
        "level": LEVELS.index(triplet.level),
        "general_motion_type": [],
        "behavior": [],
        "source": {"film": file, "frame": triplet.number, "time": round(float(triplet.time), 3)},
        "measured": {
            "displacement": round(triplet.displacement, 2),
            "occluded": round(triplet.occluded, 3),
            "ssim": [round(value, 4) for value in triplet.similarity],
        },
    }


def _fraction_read(drawing: Drawing, film: VideoInfo) -> float:
    """Return the fraction of a film up to the end of a drawing; 0 if its duration is unknown."""
    return min(1.0, float(drawing.end_time / film.duration)) if film.duration > 0 else 0.0
