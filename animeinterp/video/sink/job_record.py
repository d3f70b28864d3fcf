"""The record of a run, `job.json` in its parts folder: the settings that determine the film, and the finished parts.

Each part is listed with its SHA-256, and only listed files are trusted. The record is written atomically after every
part. A damaged or foreign record counts as none.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.io.files import file_sha256, write_text

_KIND = "animeinterp parts 2"
_MAX_BYTES = 1 << 28  # of a record; one of 2 million frames is smaller
_NAME = re.compile(r"[0-9]{6,9}\.(mkv|png)")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_SHOWN = 48  # characters of a setting in messages


@dataclass(frozen=True, slots=True)
class Part:
    """A finished file: a segment, or an image of a folder of frames.

    Attributes:
        name: Its file name.
        frames: The number of frames in it.
        sha256: SHA-256 of its content, hexadecimal.
    """

    name: str
    frames: int
    sha256: str


@dataclass(slots=True)
class JobRecord:
    """The settings of a run and its finished parts.

    Attributes:
        settings: Every setting that determines the new film, as text.
        parts: The finished parts in order.
        film: SHA-256 of the complete film, `folder` for a folder of frames; None until it is complete.
    """

    settings: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    film: str | None = None

    @property
    def frames(self) -> int:
        """The number of finished frames."""
        return sum(part.frames for part in self.parts)

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all. Raises FileError if it cannot be written."""
        parts = [asdict(part) for part in self.parts]
        content = {"kind": _KIND, "settings": self.settings, "film": self.film, "parts": parts}
        write_text(path, json.dumps(content, indent=1, ensure_ascii=True) + "\n", force=True)


def read_record(path: Path) -> JobRecord | None:
    """Read a record.

    Args:
        path: Its file.

    Returns:
        The record; None if the file is missing, damaged or not a record.

    Raises:
        FileError: The file exists and cannot be read.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["kind"] != _KIND:
            return None
        parts = [_parse_part(**part) for part in content["parts"]]
        film = content["film"]
        settings = {str(name): str(value) for name, value in content["settings"].items()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(
            f"cannot read {path}: {error.strerror}; make it readable, or give --force to start over"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return JobRecord(settings, parts, film if isinstance(film, str) else None)


def find_fault(path: Path, part: Part) -> str:
    """Compare a part's file with its record.

    Args:
        path: The file.
        part: The recorded part.

    Returns:
        The fault in words, as `is missing`; an empty string if the file is unchanged.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return "is not a file"
        return "" if file_sha256(path) == part.sha256 else "is damaged"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def describe_differences(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the settings that differ, as `fps was 48, now 60; …`."""
    names = [*new, *(name for name in old if name not in new)]
    pairs = [(name, old.get(name, "none"), new.get(name, "none")) for name in names]
    return "; ".join(f"{name} was {_shorten(was)}, now {_shorten(now)}" for name, was, now in pairs if was != now)


def _shorten(value: str) -> str:
    if _DIGEST.fullmatch(value):
        return value[:12]
    return value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…"


def _parse_part(name: object, frames: object, sha256: object) -> Part:
    """Check a part as it was read. Raises ValueError for values that this module never writes."""
    if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(sha256, str) and _DIGEST.fullmatch(sha256)):
        raise ValueError("not a part")
    if type(frames) is not int or frames < 1:
        raise ValueError("not a number of frames")
    return Part(name, frames, sha256)
