"""Remember what each drawing was made from, so that a later run draws only what is missing or has changed.

The record is the file `inbetween.json` in the folder of results. For each drawing it holds a fingerprint of what it was
made from (both keys, time, model, settings), and the SHA-256 of its file. A drawing whose file differs from the record
was changed by hand: `--resume` never overwrites it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from animeinterp.errors import FileError
from animeinterp.io.files import file_sha256, write_text
from animeinterp.io.reading import MEGABYTE, read_json
from animeinterp.keys.settings import KeySettings

RECORD = "inbetween.json"
_EXPECTED = "the record of an earlier run"
_VERSION = 1
# Settings that say what is drawn and where it is put; the others change how a drawing looks.
_PLACING = frozenset(
    ("count", "timing", "chart", "hints", "on", "name", "rate", "review", "preview", "max_pixels", "resume", "force")
)
State = Literal["missing", "finished", "outdated", "foreign"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a drawing.

    Attributes:
        source: The fingerprint of what it was made from.
        file: SHA-256 of its file; of the file before, while it is drawn; empty if there is none.
        begun: Whether it is being drawn.
    """

    source: str
    file: str = ""
    begun: bool = False


class Record:
    """What is known of the drawings of a folder."""

    def __init__(self, folder: Path) -> None:
        """Begin a record of a folder, which is written by `save`."""
        self._folder = folder
        self._entries: dict[str, _Entry] = {}

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read the record of a folder; an empty one if there is none. Raises FileError if it is damaged."""
        record = cls(folder)
        path = folder / RECORD
        if path.exists():
            content = read_json(path, _EXPECTED, 64 * MEGABYTE)
            try:
                record._entries = {
                    str(name): _Entry(str(entry["source"]), str(entry["file"]), bool(entry.get("begun")))
                    for name, entry in content["drawings"].items()
                }
            except (KeyError, TypeError, AttributeError) as error:
                raise FileError(f"{path} is damaged; expected {_EXPECTED}, so remove it") from error
        return record

    def state(self, name: str, source: str) -> State:
        """Compare a drawing with the record.

        Args:
            name: Its file name.
            source: The fingerprint of what it is made from today.

        Returns:
            `missing`; `finished`, if it was made from the same; `outdated`, if not; `foreign`, if this package did not
            write the file that is there.
        """
        path, entry = self._folder / name, self._entries.get(name)
        if not path.exists():
            return "missing"
        if entry is None:
            return "foreign"
        is_as_recorded = entry.file == file_sha256(path)
        if not entry.begun and not is_as_recorded:
            return "foreign"
        # A file that appeared under a name while it was drawn is complete, see `atomic_path`.
        is_new = is_as_recorded != entry.begun
        return "finished" if is_new and entry.source == source else "outdated"

    def leftovers(self, planned: Container[str]) -> list[str]:
        """Return the drawings of the record that are there but not planned any more, by name."""
        return sorted(name for name in self._entries if name not in planned and (self._folder / name).exists())

    def begin(self, sources: dict[str, str]) -> None:
        """Note what drawings are going to be made from."""
        for name, source in sources.items():
            path = self._folder / name
            self._entries[name] = _Entry(source, file_sha256(path) if path.is_file() else "", begun=True)

    def finish(self, name: str) -> None:
        """Note that a drawing is written."""
        self._entries[name] = _Entry(self._entries[name].source, file_sha256(self._folder / name))

    def save(self) -> None:
        """Write the record. Raises FileError."""
        drawings = {name: asdict(entry) for name, entry in self._entries.items()}
        text = json.dumps({"version": _VERSION, "drawings": drawings}, indent=1)
        write_text(self._folder / RECORD, f"{text}\n", force=True)


class Fingerprints:
    """Fingerprints of what drawings are made from."""

    def __init__(self, settings: KeySettings, model: object) -> None:
        """Prepare for a run.

        Args:
            settings: Those that change how a drawing looks are part of its fingerprint.
            model: Likewise, by its `repr`.
        """
        looks = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in _PLACING}
        self._common = [_VERSION, sorted(looks.items()), model]
        self._files: dict[Path, str] = {}

    def of(self, paths: Sequence[Path], *details: object) -> str:
        """Return the fingerprint of a drawing that is made from files."""
        parts: list[Any] = [self._common, [self._file(path) for path in paths], details]
        return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()

    def _file(self, path: Path) -> str:
        if path not in self._files:
            self._files[path] = file_sha256(path)
        return self._files[path]
