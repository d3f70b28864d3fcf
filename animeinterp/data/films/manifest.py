"""What a built data set knows of itself: DIR_manifest.json, beside the folder, in which there are triplets only.

It says with which options the set was made, which films are in it and which triplets their maker rejected, so that a
run that was broken off goes on and nothing is done twice. Nothing in it depends on where the films lie or when it
was written.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from animeinterp import __version__
from animeinterp.data.films.removal import plan_removal, remove
from animeinterp.data.films.select import BuildOptions
from animeinterp.data.layout import annotations_folder, flows_folder, manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_name, check_source, report_write_errors, write_text
from animeinterp.io.reading import MEGABYTE, describe_error, read_json

_KIND = "animeinterp triplets 1"
_ENDS = 1 << 20  # bytes of each end of a film that it is known by
_LONGEST = 80  # characters of a film in a triplet's name
_LONGEST_BYTES = 200  # of the same; file systems take 255, with number and suffix
_MOST = 64 * MEGABYTE  # of a manifest


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
class Manifest:
    """The manifest of the data set in `folder`. films: by the beginning of their triplets' names."""

    folder: Path
    options: dict[str, Any]
    films: dict[str, FilmRecord] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Put it on disk, whole or not at all. Raises FileError if that cannot be."""
        films = {label: asdict(self.films[label]) for label in sorted(self.films)}
        content = {"kind": _KIND, "options": self.options, "films": films, "rejected": sorted(self.rejected)}
        write_text(manifest_path(self.folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n", force=True)

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


def check_options(folder: Path, options: BuildOptions, force: bool) -> None:
    """Raise what `open_manifest` would raise, without touching anything."""
    if not manifest_path(folder).exists():
        _check_empty(folder)
        return
    _check_same(read_manifest(folder), _settings(options), force)


def open_manifest(folder: Path, options: BuildOptions, force: bool) -> Manifest:
    """The manifest of a data set that is to be made or gone on with; the folder is locked meanwhile.

    force: what was made of the films in the manifest is deleted, whatever the options, and the manifest itself. Raises
    UsageError if the options differ, FileError for a manifest that is damaged.
    """
    settings = _settings(options)
    if not manifest_path(folder).exists():
        return Manifest(folder, settings)
    record = read_manifest(folder)
    if force:
        with report_write_errors(folder):
            _remove_all(record)
        return Manifest(folder, settings)
    _check_same(record, settings, force)
    return record


def _settings(options: BuildOptions) -> dict[str, Any]:
    """What the manifest keeps of the options, as JSON has it."""
    size = None if options.size is None else list(options.size)
    return {**asdict(options), "version": __version__, "size": size}


def _check_same(record: Manifest, settings: dict[str, Any], force: bool) -> None:
    if force or record.options == settings:
        return
    names = sorted(record.options.keys() | settings.keys())
    pairs = [(name, record.options.get(name), settings.get(name)) for name in names]
    differ = ", ".join(f"{name} {str(was)[:40]}, now {now}" for name, was, now in pairs if was != now)[:400]
    raise UsageError(
        f"{record.folder} was made with other options ({differ}); give the same, another folder, or --force to begin "
        "anew"
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set that was built.

    Raises:
        FileError: There is none, it is damaged, or it holds names that lead elsewhere.
    """
    path = manifest_path(folder)
    content = read_json(path, "the manifest of a data set that was built here", _MOST)
    try:
        if content["kind"] != _KIND:
            raise ValueError(f"kind {str(content['kind'])[:40]!r}")
        films = {check_name(label, str(path)): _film(path, film) for label, film in content["films"].items()}
        return Manifest(folder, dict(content["options"]), films, _names(path, content["rejected"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(
            f"{path} is damaged ({describe_error(error)}); take it and {folder} away and build anew"
        ) from error


def _film(path: Path, content: Any) -> FilmRecord:
    """A film out of a manifest. Raises FileError, or what reading odd data raises."""
    film = FilmRecord(**content)
    texts, counts = (film.file, film.fingerprint), (film.drawings, film.shots, film.damaged, *film.left_out.values())
    if not all(isinstance(text, str) for text in texts) or not isinstance(film.finished, bool):
        raise ValueError("a film without name, fingerprint or end")
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("counts that are not numbers")
    film.triplets = _names(path, film.triplets)
    return film


def _names(path: Path, content: Any) -> list[str]:
    if not isinstance(content, list):
        raise ValueError("a list of triplets that is not a list")
    return [check_name(name, str(path)) for name in content]


def fingerprint_film(film: Path) -> str:
    """What a film's content is known by: its size and both ends; of a folder, the names and sizes of its pictures.

    Raises FileError if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if film.is_dir():
            entries = sorted((path.name, path.stat().st_size) for path in film.iterdir() if path.is_file())
            digest.update(repr(entries).encode())
        else:
            check_source(film, "a film")
            size = film.stat().st_size
            digest.update(str(size).encode())
            with film.open("rb") as file:
                digest.update(file.read(_ENDS))
                file.seek(max(0, size - _ENDS))
                digest.update(file.read())
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {film}: {error.strerror}; give the name of a film") from error
    return digest.hexdigest()


def _check_empty(folder: Path) -> None:
    """Raise UsageError unless a data set can begin in `folder`. A lock is what a run that was killed leaves."""
    if folder.exists() and (not folder.is_dir() or any(path.name != "lock" for path in folder.iterdir())):
        raise UsageError(f"{folder} holds other things; expected a new folder or a data set that was built there")
    notes = annotations_folder(folder)
    if notes.exists() and (not notes.is_dir() or any(notes.iterdir())):
        raise UsageError(f"{notes} is there, but no data set of ours; choose another folder")


def _remove_all(record: Manifest) -> None:
    """Delete what was made of the films of the record; other things stay. Raises as `plan_removal`."""
    places = record.folder, annotations_folder(record.folder), flows_folder(record.folder)
    names = set()
    for place in places:
        for path in place.iterdir() if place.is_dir() else ():
            label, _, number = path.name.rpartition("_")
            if label in record.films and re.fullmatch("[0-9]+", number):
                names.add(path.name)
    remove(plan_removal(*places, sorted(names)))
    manifest_path(record.folder).unlink()


def _plain(name: str) -> str:
    """A name that every file system takes and no data set's reader passes over."""
    letters = unicodedata.normalize("NFC", name)
    plain = re.sub(r"[^\w.-]+", "_", letters).strip("._ ")[:_LONGEST].encode()[:_LONGEST_BYTES]
    return plain.decode(errors="ignore").rstrip("._ ") or "film"
