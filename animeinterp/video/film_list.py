"""List the films that a call names, and the files to make of them.

A folder of numbered frames is one film. Another folder stands for the films in it, sorted by name with numbers in
order; its own folders are not searched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_source
from animeinterp.io.image_header import FORMATS
from animeinterp.video.sink.encoders import CONTAINERS
from animeinterp.video.source.numbering import number_frames

# Suffixes of films in a folder; files of other names are films when they are named themselves. Image formats that may
# be animated (.webp, .png) are not listed, because they mostly hold covers and thumbnails.
FILM_SUFFIXES = (
    ".mkv", ".webm", ".mp4", ".m4v", ".mov", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".flv", ".ogv",
    ".ogm", ".asf", ".wmv", ".3gp", ".3g2", ".mxf", ".nut", ".dv", ".rm", ".rmvb", ".wtv", ".y4m", ".gif", ".apng",
)  # fmt: skip
_NUMBERS = re.compile(r"([0-9]+)")
_ANY_RATE = Fraction(24)  # frames per second; numbers are only checked for being one sequence


@dataclass(frozen=True, slots=True)
class FilmJob:
    """One film of a list.

    Attributes:
        source: A video file, or a folder of frames.
        target: The file to make of it; a folder for a folder of frames.
    """

    source: Path
    target: Path


def find_films(sources: Sequence[Path]) -> list[Path]:
    """Find the films that files and folders stand for.

    Args:
        sources: Video files, folders of frames and folders of films, in any mix.

    Returns:
        The films in the order of the sources.

    Raises:
        FileError: A source does not exist or is not an ordinary file, or a folder cannot be read or holds no film.
    """
    films: list[Path] = []
    for source in sources:
        if source.is_dir():
            films += _search_folder(source)
        else:
            check_source(source, "a film or a folder")
            films.append(source)
    return films


def list_jobs(sources: Sequence[Path], folder: Path, container: str | None = None) -> list[FilmJob]:
    """Name the file to make of each film: its own name in `folder`.

    Args:
        sources: As `find_films`.
        folder: The folder of the new films; it may not exist yet.
        container: See `name_target`.

    Returns:
        The films in order.

    Raises:
        UsageError: Two films would have the same name, `folder` is named like a film, or the container is unknown.
        FileError: As `find_films`, or `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is not a folder; several films need one, so choose another name")
    if not folder.exists() and folder.suffix.lower() in CONTAINERS:
        raise UsageError(f"several films need a folder, got the file {folder}; give a name without suffix")
    jobs: dict[str, FilmJob] = {}
    for source in find_films(sources):
        job = FilmJob(source, folder / name_target(source, container=container))
        # Some file systems do not tell case or composed from decomposed letters.
        key = unicodedata.normalize("NFC", job.target.name).casefold()
        if key in jobs:
            raise UsageError(
                f"{jobs[key].source} and {source} would both become {job.target}; make them in two calls, or rename one"
            )
        jobs[key] = job
    return list(jobs.values())


def name_target(source: Path, addition: str = "", container: str | None = None) -> str:
    """Return the name of the film to make of `source`.

    Args:
        source: A video file, or a folder of frames.
        addition: Text to add to the name.
        container: `mkv`, `mp4`, …; None keeps the source's, or takes Matroska if that cannot be written, and makes a
            folder of frames of a folder of frames.

    Raises:
        UsageError: The container is unknown.
    """
    suffix = None if container is None else f".{container.lower().removeprefix('.')}"
    if suffix is not None and suffix not in CONTAINERS:
        raise UsageError(f"unknown container {container}; expected one of {', '.join(CONTAINERS).replace('.', '')}")
    if source.is_dir():
        name = source.resolve().name.replace(".", "_")  # `.` has no name before it is resolved
        return f"{name}{addition}{suffix or ''}"
    path = source.absolute()
    own = path.suffix if path.suffix.lower() in CONTAINERS else ".mkv"
    return f"{path.stem}{addition}{suffix or own}"


def default_target(source: Path, container: str | None = None) -> Path:
    """Return IN_smooth beside a source, see `name_target`."""
    name = name_target(source, "_smooth", container)
    if source.is_dir():
        return (source / ".." if source.name in ("", "..") else source.parent) / name
    return source.with_name(name)


def _search_folder(folder: Path) -> list[Path]:
    """Return the films in a folder, or the folder itself if it is one film.

    Posters and thumbnails often lie beside films, and a test render beside frames: where a folder holds both, it is
    a film if most of its files are images that are numbered as one sequence.
    """
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a folder of frames or films") from error
    films = [path for path in files if path.suffix.lower() in FILM_SUFFIXES]
    images = [path for path in files if path.suffix.lower() in FORMATS]
    if images and (not films or (len(images) > len(films) and _are_numbered(images))):
        return [folder]
    if films:
        return sorted(films, key=_natural_key)
    return [folder]  # probing it says what is expected


def _are_numbered(images: Sequence[Path]) -> bool:
    """Return whether images are numbered as one sequence."""
    try:
        number_frames(images, _ANY_RATE)
    except FileError:
        return False
    return all(_NUMBERS.search(path.stem) for path in images)


def _natural_key(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """Return a sort key that orders numbers in names by their value."""
    parts = [part for part in _NUMBERS.split(path.name.casefold()) if part]
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts], path.name
