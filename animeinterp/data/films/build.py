"""Triplets out of films, in ATD-12K's layout (see `animeinterp.data.atd12k`).

    DIR/NAME/frame1.png frame2.png frame3.png     three drawings in a row; NAME is the film's and the first one's number
    DIR_annotations/NAME/NAME.json NAME.jpg       level and motion RoI, proposed; a strip for the contact sheet
    DIR_manifest.json                             see `animeinterp.data.films.manifest`
    DIR_sheet.html                                see `animeinterp.data.films.contact_sheet`

The same films and options give the same files, whether a run is broken off or not: OpenCV works in one thread meanwhile
(DIS flow depends on their number), and a triplet appears whole, after its annotation.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
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

_FRAMES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a run is. film: number in the list, from 0. label: its name in the data set. share: of it that was read.

    triplets: of it so far.
    """

    film: int
    label: str
    share: float
    triplets: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a run did.

    films: by their names in the data set, those of earlier runs that were asked for again among them. kept: the names
    of these. faults: films that could not be read, and why. sheets: the pages of the contact sheet.
    """

    films: dict[str, FilmRecord]
    kept: tuple[str, ...]
    faults: tuple[tuple[Path, str], ...]
    sheets: tuple[Path, ...]


def build(
    films: Sequence[Path],
    folder: Path,
    options: BuildOptions | None = None,
    *,
    force: bool = False,
    report: Callable[[BuildProgress], object] | None = None,
) -> BuildResult:
    """Make triplets of films, or go on with it: films that are finished are not read again.

    Args:
        films: Video files or folders of frames; those that cannot be read are left out and told of.
        folder: The data set.
        options: What makes a triplet.
        force: Begin anew: what the data set holds is deleted.
        report: Called after every drawing.

    Raises:
        UsageError: The folder holds other things, was made with other options or is in use.
        FileError: It cannot be written, or there is none of the films.
    """
    folder, options = Path(folder), options or BuildOptions()
    check_options(folder, options, force)
    if films and not any(map(os.path.exists, films)):
        raise FileError(f"expected films, found nothing at {', '.join(map(str, films[:3]))}; check the names")
    for place in (folder, annotations_folder(folder)):
        make_folder(place)
    with lock_folder(folder), single_threaded():
        remove_temporary_files(annotations_folder(folder))
        record = open_manifest(folder, options, force)
        return _build(record, films, options, report)


def _build(
    record: Manifest, films: Sequence[Path], options: BuildOptions, report: Callable[[BuildProgress], object] | None
) -> BuildResult:
    made: dict[str, FilmRecord] = {}
    kept, faults = [], []
    record.write()
    for number, path in enumerate(films):
        try:
            label, film = _begin(record, Path(path), options)
        except AnimeInterpError as error:
            faults.append((Path(path), str(error)))
            continue
        made[label] = record.films[label]
        if film is None:
            kept += [label] if label not in kept else []
            continue
        record.write()
        fault = _make(record, label, film, options, _reporter(report, number, label, film))
        faults += [(Path(path), fault)] if fault else []
        record.write()
    sheets = write_sheet(record.folder)
    return BuildResult(made, tuple(kept), tuple(faults), tuple(sheets))


def prune(folder: Path, rejected: Path) -> int:
    """Take triplets out of a data set that was built, for good: a run that goes on does not make them again.

    Args:
        folder: The data set.
        rejected: A text file with the name of a triplet in each line, as the contact sheet saves it.

    Returns:
        How many were not rejected before.

    Raises:
        FileError: A file cannot be read, or the manifest is damaged or names other folders.
        UsageError: Names are not in the data set, or a folder holds other things; nothing is taken out then.
    """
    folder = Path(folder)
    read_manifest(folder)
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected a data set that was built")
    lines = read_text(rejected, "a list that the contact sheet saved", 16 * MEGABYTE).splitlines()
    wanted = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    with lock_folder(folder):
        record = read_manifest(folder)
        known = {normalize("NFC", name): name for film in record.films.values() for name in film.triplets}
        strange = [name for name in wanted if normalize("NFC", name) not in known]
        if strange:
            raise UsageError(
                f"{rejected} names {strange[0][:100]!r}, {len(strange)} of {len(wanted)} names that are not in "
                f"{folder}; expected the list that its own contact sheet saved"
            )
        names = [known[normalize("NFC", name)] for name in wanted]
        plan = plan_removal(folder, annotations_folder(folder), flows_folder(folder), names)
        new = [name for name in names if name not in record.rejected]
        record.rejected += new
        record.write()
        remove(plan)
        write_sheet(folder)
    return len(new)


def _begin(record: Manifest, path: Path, options: BuildOptions) -> tuple[str, VideoInfo | None]:
    """The name of a film in the data set, and what it is, None if it is finished."""
    known = fingerprint_film(path)
    label = record.label_of(path, known)
    if label in record.films and record.films[label].finished:
        return label, None
    film = probe(path, deinterlace=options.deinterlace)
    # A name that is not Unicode cannot be written into the manifest.
    name = path.resolve().name.encode("utf-8", "replace").decode()
    record.films[label] = FilmRecord(name, known)
    return label, film


def _make(
    record: Manifest, label: str, film: VideoInfo, options: BuildOptions, report: Callable[[Drawing, int], object]
) -> str:
    """Write the triplets of a film. Returns why it could not be read, empty if it could."""
    own = record.films[label]
    reader, cadence, left_out = Reader(film, deinterlace=options.deinterlace), CadenceReport(), Counter[str]()
    found = find_drawings(prefetch(reader, _FRAMES_AHEAD), lambda: reader.end, report=cadence)
    fault = ""
    with closing(_stopping(select_triplets(found, film, options, left_out))) as stream:
        for item in stream:
            if isinstance(item, AnimeInterpError):
                fault = str(item)
                break
            drawing, triplet = item
            if triplet is not None:
                name = f"{label}_{triplet.number:06}"
                own.triplets.append(name)
                if name not in record.rejected:
                    _write(record.folder, name, own.file, triplet)
            report(drawing, len(own.triplets))
    own.drawings, own.shots, own.damaged = cadence.drawings, cadence.cuts + 1, reader.damaged
    own.left_out, own.finished = dict(sorted(left_out.items())), not fault
    return fault


def _stopping(
    items: Iterator[tuple[Drawing, FilmTriplet | None]],
) -> Generator[tuple[Drawing, FilmTriplet | None] | AnimeInterpError]:
    """The items, and what reading them raises as the last: what writing raises is not a film's fault."""
    try:
        yield from items
    except AnimeInterpError as error:
        yield error
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RuntimeError) as error:
        # What decoders raise on damaged films; it must not end the work on the next film.
        yield FileError(f"{type(error).__name__}: {error}; it may be damaged, so leave it out or convert it first")


def _write(folder: Path, name: str, file: str, triplet: FilmTriplet) -> None:
    """Put a triplet on disk, whole or not at all; one that is there stays."""
    target, notes = folder / name, annotations_folder(folder)
    if os.path.lexists(target):
        return
    remove(plan_annotation_removal(notes, name))
    with atomic_folder(target) as part:
        for number, frame in enumerate(triplet.frames, 1):
            write_image(part / f"frame{number}.png", frame)
        with atomic_folder(notes / name) as notes_part:
            text = json.dumps(_annotation(file, triplet), indent=1, ensure_ascii=False)
            write_text(notes_part / f"{name}.json", text + "\n")
            write_bytes(notes_part / f"{name}.jpg", encode_strip(triplet.frames))


def _annotation(file: str, triplet: FilmTriplet) -> dict[str, Any]:
    """ATD-12K's keys, what nobody can tell left empty, and where the triplet is from."""
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


def _reporter(
    report: Callable[[BuildProgress], object] | None, number: int, label: str, film: VideoInfo
) -> Callable[[Drawing, int], object]:
    def tell(drawing: Drawing, triplets: int) -> None:
        share = min(Fraction(1), drawing.end_time / film.duration) if film.duration > 0 else Fraction(0)
        if report is not None:
            report(BuildProgress(number, label, float(share), triplets))

    return tell
