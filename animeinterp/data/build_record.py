"""What a built data set knows of itself: DIR_manifest.json, beside the folder, in which there are triplets only.

It says with which options the set was made, which films are in it and which triplets their maker rejected, so that a
run that was broken off goes on and nothing is done twice. Nothing in it depends on where the films lie or when it
was written.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from animeinterp import __version__
from animeinterp.data.build_triplets import BuildOptions
from animeinterp.errors import FileError, UsageError

_KIND = "animeinterp triplets 1"
_ENDS = 1 << 20  # bytes of each end of a film that it is known by
_LONGEST = 80  # characters of a film in a triplet's name


@dataclass(slots=True)
class FilmRecord:
    """What was made of one film.

    file: its name. fingerprint: of its content. finished: whether it was read to its end. triplets: their names, also
    of rejected ones. drawings, shots: in it. damaged: frames that could not be decoded. left_out: triplets looked at
    and not taken, by reason.
    """

    file: str
    fingerprint: str
    finished: bool = False
    triplets: list[str] = field(default_factory=list)
    drawings: int = 0
    shots: int = 0
    damaged: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """The manifest of the data set in `folder`. films: by the beginning of their triplets' names."""

    folder: Path
    options: dict[str, Any]
    films: dict[str, FilmRecord] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Put it on disk, whole or not at all. Raises FileError if that cannot be."""
        films = {label: asdict(self.films[label]) for label in sorted(self.films)}
        content = {"kind": _KIND, "options": self.options, "films": films, "rejected": sorted(self.rejected)}
        write_text(manifest_of(self.folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def label_of(self, film: Path, fingerprint: str) -> str:
        """How a film is called in names: as its file, with its folder or a number where another has that name."""
        for label, known in self.films.items():
            if known.fingerprint == fingerprint:
                return label
        whole = film.resolve()
        stem = whole.name if whole.is_dir() else whole.stem
        plain, longer = _plain(stem), _plain(f"{whole.parent.name}-{stem}")
        names = [plain, longer, *(f"{plain}-{number}" for number in range(2, len(self.films) + 3))]
        taken = {label.casefold() for label in self.films}  # some file systems know no capitals
        return next(name for name in names if name.casefold() not in taken)


def open_record(folder: Path, options: BuildOptions, force: bool) -> Record:
    """The manifest of a data set that is to be made or gone on with.

    force: what was made with other options goes, and so does everything else that is recorded. Raises UsageError if the
    options differ or the folder holds other things.
    """
    settings: dict[str, Any] = {**asdict(options), "version": __version__}
    settings["size"] = None if options.size is None else list(options.size)
    if not manifest_of(folder).exists():
        _check_empty(folder)
        return Record(folder, settings)
    record = read_record(folder)
    if force:
        with writing(folder):
            _remove_all(record)
        return Record(folder, settings)
    if record.options != settings:
        names = sorted(record.options.keys() | settings.keys())
        pairs = [(name, record.options.get(name), settings.get(name)) for name in names]
        differ = ", ".join(f"{name} {was}, now {now}" for name, was, now in pairs if was != now)
        raise UsageError(
            f"{folder} was made with other options ({differ}); give the same, another folder, or --force to begin anew"
        )
    return record


def read_record(folder: Path) -> Record:
    """The manifest of a data set that was built. Raises FileError if there is none or it is damaged."""
    path = manifest_of(folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["kind"] != _KIND:
            raise ValueError(f"kind {content['kind']}")
        films = {str(label): FilmRecord(**film) for label, film in content["films"].items()}
        return Record(folder, dict(content["options"]), films, list(content["rejected"]))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}; expected a data set that was built here") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(
            f"{path} is damaged ({type(error).__name__}: {error}); take it and {folder} away and build anew"
        ) from error


def manifest_of(folder: Path) -> Path:
    """Where the manifest of a data set lies."""
    return beside(folder, "_manifest.json")


def annotations_of(folder: Path) -> Path:
    """Where the annotations of a data set lie."""
    return beside(folder, "_annotations")


def flows_of(folder: Path) -> Path:
    """Where the guidance flows of a data set lie: for test_2k_540p, as published, test_2k_pre_calc_sgm_flows."""
    folder = folder.absolute()
    return folder.with_name(folder.name.removesuffix("_540p") + "_pre_calc_sgm_flows")


def beside(folder: Path, suffix: str) -> Path:
    """The path beside a folder that is called as it is, and a suffix."""
    folder = folder.absolute()  # `.` has no name
    return folder.with_name(folder.name + suffix)


def fingerprint(film: Path) -> str:
    """What a film's content is known by: its size and both ends; of a folder, the names and sizes of its pictures.

    Raises FileError if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if film.is_dir():
            entries = sorted((path.name, path.stat().st_size) for path in film.iterdir() if path.is_file())
            digest.update(repr(entries).encode())
        else:
            size = film.stat().st_size
            digest.update(str(size).encode())
            with film.open("rb") as file:
                digest.update(file.read(_ENDS))
                file.seek(max(0, size - _ENDS))
                digest.update(file.read())
    except OSError as error:
        raise FileError(f"cannot read {film}: {error.strerror}; give the name of a film") from error
    return digest.hexdigest()


def remove_triplets(folder: Path, names: Sequence[str]) -> None:
    """Take triplets away, with their annotations and flows."""
    with writing(folder):
        for name in names:
            for place in (folder, annotations_of(folder), flows_of(folder)):
                if (place / name).is_dir():
                    shutil.rmtree(place / name)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all. Raises FileError if that cannot be."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    with writing(path):
        try:
            part.write_text(text, encoding="utf-8", newline="\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says of writing, as FileError."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; free some space or choose another folder") from error


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds other things; expected a new folder or a data set that was built there")
    if annotations_of(folder).exists():
        raise UsageError(f"{annotations_of(folder)} is there, but no data set of ours; choose another folder")


def _remove_all(record: Record) -> None:
    for place in (record.folder, annotations_of(record.folder), flows_of(record.folder)):
        for path in list(place.iterdir()) if place.is_dir() else []:
            label, _, number = path.name.rpartition("_")
            if (label in record.films and number.isdigit()) or path.name.endswith(".part"):
                shutil.rmtree(path)
    manifest_of(record.folder).unlink()


def _plain(name: str) -> str:
    """A name that every file system takes and no data set's reader passes over."""
    letters = unicodedata.normalize("NFC", name)
    return re.sub(r"[^\w.-]+", "_", letters).strip("._ ")[:_LONGEST].rstrip("._ ") or "film"
