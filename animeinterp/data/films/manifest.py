"""The manifest of a built data set, DIR_manifest.json.

It records the options, the films and the triplets that the user rejected, so that an interrupted run can be continued
and nothing is done twice. It depends neither on the location of the films nor on the time of writing.
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
from animeinterp.data.layout import MAX_MANIFEST_BYTES, annotations_folder, flows_folder, manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_name, check_source, is_free, report_write_errors, write_text
from animeinterp.io.reading import describe_error, read_json

_KIND = "animeinterp triplets 1"
_FINGERPRINT_BYTES = 1 << 20  # of each end of a film
_MAX_LABEL = 80  # characters
_MAX_LABEL_BYTES = 200  # file systems allow 255, with number and suffix


@dataclass(slots=True)
class FilmRecord:
    """A film of a data set. The names of the attributes are those of the manifest.

    Attributes:
        file: File name of the film.
        fingerprint: See `fingerprint_film`.
        finished: Whether the film was read to its end.
        triplets: Names of its triplets, rejected ones included.
        drawings: Number of its drawings.
        shots: Number of its shots.
        damaged: Number of frames that could not be decoded.
        left_out: Number of triplets that did not meet the options, by reason.
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
    """The manifest of a data set.

    Attributes:
        folder: The data set.
        options: The options and the version of this package, as JSON.
        films: The films by label, with which the names of their triplets begin.
        rejected: Names of rejected triplets.
    """

    folder: Path
    options: dict[str, Any]
    films: dict[str, FilmRecord] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Write the manifest, whole or not at all. Raises FileError."""
        films = {label: asdict(self.films[label]) for label in sorted(self.films)}
        content = {"kind": _KIND, "options": self.options, "films": films, "rejected": sorted(self.rejected)}
        write_text(manifest_path(self.folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n", force=True)

    def choose_label(self, film: Path, fingerprint: str) -> str:
        """Choose the label of a film: its file name, with its folder or a number where that label is taken.

        Args:
            film: The film.
            fingerprint: See `fingerprint_film`; a film of the manifest keeps its label, whatever its name.

        Returns:
            The label.
        """
        for label, record in self.films.items():
            if record.fingerprint == fingerprint:
                return label
        path = film.resolve()
        stem = path.name if path.is_dir() else path.stem
        label = _plain_name(stem)
        numbered = (f"{label}-{number}" for number in range(2, len(self.films) + 3))
        taken = {label.casefold() for label in self.films}  # some file systems ignore case
        names = [label, _plain_name(f"{path.parent.name}-{stem}"), *numbered]
        return next(name for name in names if name.casefold() not in taken)


def check_options(folder: Path, options: BuildOptions, force: bool) -> None:
    """Raise the errors of `open_manifest` without changing anything."""
    if not manifest_path(folder).exists():
        _check_empty(folder)
        return
    _check_same(read_manifest(folder), _settings(options), force)


def open_manifest(folder: Path, options: BuildOptions, force: bool) -> Manifest:
    """Open the manifest of a locked data set that is to be built or continued.

    Args:
        folder: The data set.
        options: What makes a triplet.
        force: Whether to delete the triplets of its films and the manifest first, whatever the options.

    Returns:
        The manifest.

    Raises:
        UsageError: The options differ.
        FileError: The manifest is damaged.
    """
    settings = _settings(options)
    if not manifest_path(folder).exists():
        return Manifest(folder, settings)
    manifest = read_manifest(folder)
    if force:
        with report_write_errors(folder):
            _remove_all(manifest)
        return Manifest(folder, settings)
    _check_same(manifest, settings, force)
    return manifest


def _settings(options: BuildOptions) -> dict[str, Any]:
    """Return the options as JSON has them."""
    size = None if options.size is None else list(options.size)
    return {**asdict(options), "version": __version__, "size": size}


def _check_same(manifest: Manifest, settings: dict[str, Any], force: bool) -> None:
    if force or manifest.options == settings:
        return
    names = sorted(manifest.options.keys() | settings.keys())
    pairs = [(name, manifest.options.get(name), settings.get(name)) for name in names]
    differences = ", ".join(f"{name} {str(old)[:40]}, now {new}" for name, old, new in pairs if old != new)[:400]
    raise UsageError(
        f"{manifest.folder} was built with other options ({differences}); give the same, another folder, or --force to "
        "delete it and start over"
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set. Raises FileError if it is missing or damaged, or names lead elsewhere."""
    path = manifest_path(folder)
    content = read_json(path, "the manifest of a data set that was built here", MAX_MANIFEST_BYTES)
    try:
        if content["kind"] != _KIND:
            raise ValueError(f"kind {str(content['kind'])[:40]!r}")
        films = {check_name(label, str(path)): _parse_film(path, film) for label, film in content["films"].items()}
        return Manifest(folder, dict(content["options"]), films, _parse_names(path, content["rejected"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(
            f"{path} is damaged ({describe_error(error)}); remove it and {folder} and build the data set again"
        ) from error


def _parse_film(path: Path, content: Any) -> FilmRecord:
    """Parse a film of a manifest. Raises FileError, or a parser's error."""
    film = FilmRecord(**content)
    texts, counts = (film.file, film.fingerprint), (film.drawings, film.shots, film.damaged, *film.left_out.values())
    if not all(isinstance(text, str) for text in texts) or not isinstance(film.finished, bool):
        raise ValueError("a film whose file, fingerprint or finished is of another type")
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("counts that are not numbers")
    film.triplets = _parse_names(path, film.triplets)
    return film


def _parse_names(path: Path, content: Any) -> list[str]:
    if not isinstance(content, list):
        raise ValueError("names of triplets that are not a list")
    return [check_name(name, str(path)) for name in content]


def fingerprint_film(film: Path) -> str:
    """Compute the hash by which a film is recognized: of its size and both ends, or of the names and sizes in a folder.

    Args:
        film: A video file or a folder of frames.

    Returns:
        SHA-256, hexadecimal.

    Raises:
        FileError: The film cannot be read.
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
                digest.update(file.read(_FINGERPRINT_BYTES))
                file.seek(max(0, size - _FINGERPRINT_BYTES))
                digest.update(file.read())
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {film}: {error.strerror}; give the name of a film") from error
    return digest.hexdigest()


def _check_empty(folder: Path) -> None:
    """Raise UsageError unless a data set can be started in `folder`; a lock file of a killed run is allowed."""
    if not is_free(folder):
        raise UsageError(f"{folder} holds other things; expected a new folder or a data set that was built there")
    annotations = annotations_folder(folder)
    if annotations.exists() and (not annotations.is_dir() or any(annotations.iterdir())):
        raise UsageError(f"{annotations} exists, but does not belong to a data set built here; choose another folder")


def _remove_all(manifest: Manifest) -> None:
    """Delete the triplets of the manifest's films and the manifest, and nothing else. Raises as `plan_removal`."""
    folder = manifest.folder
    folders = folder, annotations_folder(folder), flows_folder(folder)
    names = set()
    for root in folders:
        for path in root.iterdir() if root.is_dir() else ():
            label, _, number = path.name.rpartition("_")
            if label in manifest.films and re.fullmatch("[0-9]+", number):
                names.add(path.name)
    remove(plan_removal(*folders, sorted(names)))
    manifest_path(folder).unlink()


def _plain_name(name: str) -> str:
    """Return a name that every file system accepts and `list_triplets` does not skip."""
    letters = unicodedata.normalize("NFC", name)
    plain = re.sub(r"[^\w.-]+", "_", letters).strip("._ ")[:_MAX_LABEL].encode()[:_MAX_LABEL_BYTES]
    return plain.decode(errors="ignore").rstrip("._ ") or "film"
