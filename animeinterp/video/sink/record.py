"""The record of a run, job.json in the folder of its parts: what decides the film, and which parts are finished.

Nothing in the folder is believed that the record does not list with its SHA-256. The record itself is written
atomically after every part; a record that is damaged or foreign counts as none.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from animeinterp.errors import FileError
from animeinterp.io.files import file_sha256, write_text

_KIND = "animeinterp parts 2"
_LARGEST = 1 << 28  # bytes; a record of 2 million frames is smaller
_NAME = re.compile(r"[0-9]{6,9}\.(mkv|png)")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 48  # characters of a setting in messages


@dataclass(frozen=True, slots=True)
class Part:
    """A finished file: a segment or a picture. sha256: of its content, hexadecimal."""

    name: str
    frames: int
    sha256: str


@dataclass(slots=True)
class Record:
    """What a run is and what it has finished.

    settings: all that decides the new film, as text. parts: in order. film: SHA-256 of the whole film once it is
    finished, `folder` for a folder of frames; None before.
    """

    settings: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    film: str | None = None

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        return sum(part.frames for part in self.parts)

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all. Raises FileError if it cannot be written."""
        content = {
            "kind": _KIND,
            "settings": self.settings,
            "film": self.film,
            "parts": [asdict(p) for p in self.parts],
        }
        write_text(path, json.dumps(content, indent=1, ensure_ascii=True) + "\n", force=True)


def read_record(path: Path) -> Record | None:
    """Read a record.

    Returns:
        The record; None if there is no file, or one that is damaged or foreign.

    Raises:
        FileError: The file is there and may not be read.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["kind"] != _KIND:
            return None
        parts = [_checked(**part) for part in content["parts"]]
        film = content["film"]
        settings = {str(name): str(value) for name, value in content["settings"].items()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(
            f"cannot read {path}: {error.strerror}; make it readable, or give --force to begin anew"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return Record(settings, parts, film if isinstance(film, str) else None)


def fault_of(path: Path, part: Part) -> str:
    """What is wrong with a part's file, in words; empty if it is the one that was recorded."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return "is not a file"
        return "" if file_sha256(path) == part.sha256 else "is damaged"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The settings that differ, as `fps was 48, now 60; …`."""
    names = [*now, *(name for name in was if name not in now)]
    pairs = [(name, was.get(name, "none"), now.get(name, "none")) for name in names]
    return "; ".join(f"{name} was {_short(old)}, now {_short(new)}" for name, old, new in pairs if old != new)


def _short(value: str) -> str:
    if _DIGEST.fullmatch(value):
        return value[:12]
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"


def _checked(name: Any, frames: Any, sha256: Any) -> Part:
    """A part as it was read. Raises ValueError unless it is one that is written here."""
    if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(sha256, str) and _DIGEST.fullmatch(sha256)):
        raise ValueError("not a part")
    if type(frames) is not int or frames < 1:
        raise ValueError("not a number of frames")
    return Part(name, frames, sha256)
