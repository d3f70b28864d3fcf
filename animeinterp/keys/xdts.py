"""Read and write digital time sheets (XDTS), which Clip Studio Paint and OpenToonz exchange.

An XDTS file is a line `exchangeDigitalTimeSheet Save Data` and a JSON object. Its time table has fields, of which field
0 holds cells: tracks, one for each layer, of frames (from 0) at which something begins: the name of a drawing, an empty
cell, or a mark of an in-between (`SYMBOL_TICK_1` ○, `SYMBOL_TICK_2` ●). `timeTableHeaders` holds the names of the
layers. What is read here is what OpenToonz 1.7 reads and writes (`toonz/sources/toonz/xdtsio.cpp`); dialog and camera
work are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animeinterp.errors import FileError
from animeinterp.io.files import write_text
from animeinterp.io.reading import MEGABYTE, describe_error, finite_number, parse_json, read_text

IDENTIFIER = "exchangeDigitalTimeSheet Save Data"
EMPTY, HELD, MARKS = "SYMBOL_NULL_CELL", "SYMBOL_HYPHEN", ("SYMBOL_TICK_1", "SYMBOL_TICK_2")
_EXPECTED = "a digital time sheet (XDTS)"
_CELLS = 0  # field of drawings; 3 is dialog, 5 is camera work
_VERSION = 5  # of 2018-11-29
_MAX_FRAMES, _MAX_TRACKS, _MAX_NAME = 1_000_000, 1_000, 255


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A layer of a time sheet.

    Attributes:
        name: Its name.
        cells: The frame at which each cell begins, ascending, and its value: the name of a drawing, `EMPTY`, or one of
            `MARKS`.
    """

    name: str
    cells: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class TimeSheet:
    """A time sheet.

    Attributes:
        columns: Its layers, from the bottom.
        duration: Number of frames.
    """

    columns: tuple[SheetColumn, ...]
    duration: int


def read_xdts(path: Path) -> TimeSheet:
    """Read the drawings of the first time table of an XDTS file.

    Args:
        path: The file, at most 16 MB.

    Raises:
        FileError: It cannot be read, is damaged, or holds no drawings.
    """
    text = read_text(path, _EXPECTED, 16 * MEGABYTE)
    if not text.startswith(IDENTIFIER):
        raise FileError(f"{path} does not begin with {IDENTIFIER!r}; expected {_EXPECTED}")
    content = parse_json(text[len(IDENTIFIER) :], path, _EXPECTED)
    try:
        table = content["timeTables"][0]
        names = next(header["names"] for header in table["timeTableHeaders"] if header["fieldId"] == _CELLS)
        tracks = next(field["tracks"] for field in table["fields"] if field["fieldId"] == _CELLS)
        duration = int(finite_number(table["duration"], "duration", 0, _MAX_FRAMES))
        if len(tracks) > _MAX_TRACKS:
            raise ValueError(f"{len(tracks)} layers")
        columns = tuple(_parse_track(track, names, duration) for track in tracks)
    except StopIteration:
        raise FileError(f"{path} holds no drawings; expected {_EXPECTED} with cells") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"{path} is damaged ({describe_error(error)}); expected {_EXPECTED}") from error
    return TimeSheet(tuple(column for column in columns if column.cells), duration)


def write_xdts(target: Path, sheet: TimeSheet, *, force: bool = False) -> None:
    """Write an XDTS file, completely or not at all.

    Args:
        target: The file.
        sheet: Its layers; frames at which nothing begins are not written.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`.
        FileError: It cannot be written.
    """
    tracks = [
        {
            "frames": [{"data": [{"id": 0, "values": [value]}], "frame": frame} for frame, value in column.cells],
            "trackNo": number,
        }
        for number, column in enumerate(sheet.columns)
    ]
    table = {
        "duration": sheet.duration,
        "fields": [{"fieldId": _CELLS, "tracks": tracks}],
        "name": target.stem,
        "timeTableHeaders": [{"fieldId": _CELLS, "names": [column.name for column in sheet.columns]}],
    }
    content = {"header": {"cut": "1", "scene": "1"}, "timeTables": [table], "version": _VERSION}
    write_text(target, f"{IDENTIFIER}\n{json.dumps(content, ensure_ascii=False, indent=4)}\n", force=force)


def _parse_track(track: Mapping[str, Any], names: Sequence[object], duration: int) -> SheetColumn:
    """Parse a layer. ValueError and other errors of parsers if it is damaged."""
    number = int(finite_number(track["trackNo"], "trackNo", 0, len(names) - 1))
    cells: dict[int, str] = {}
    for item in track["frames"]:
        # Clip Studio writes what is shown at the beginning as frame -1.
        frame = max(0, int(finite_number(item["frame"], "frame", -_MAX_FRAMES, _MAX_FRAMES)))
        values = item["data"][0].get("values") or [EMPTY]
        value = _parse_name(values[0]).strip()
        if value != HELD and (not duration or frame < duration):
            cells[frame] = value or EMPTY
    return SheetColumn(_parse_name(names[number]).strip(), tuple(sorted(cells.items())))


def _parse_name(value: object) -> str:
    """Check that a value is a short text."""
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise ValueError("a name is not a short text")
    return value
