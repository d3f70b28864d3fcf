"""Plan the drawings of a layer by a time sheet.

What the sheet names and the folder holds is a key. Marks (○, ●) and names that the folder does not hold are drawings to
make between the keys around them. A layer of which the sheet names only keys gets in-betweens on twos, or as many as
the settings say. The sheet says when drawings are shown; the timing says where they lie between their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from animeinterp.io.files import check_name
from animeinterp.keys.chart import is_named, number_of
from animeinterp.keys.exposures import ON_TWOS, Exposure
from animeinterp.keys.naming import names_between
from animeinterp.keys.numbering import KeyName, Layer
from animeinterp.keys.plan import Inbetween, PlannedLayer, PlannedPair, times_of
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.xdts import EMPTY, MARKS, SheetColumn


@dataclass(slots=True)
class _Gap:
    """Two keys that follow each other in a sheet, and the values of the cells between them."""

    key0: KeyName
    key1: KeyName
    cells: list[tuple[int, str]]


@dataclass(slots=True)
class _Walk:
    """What a walk down a column finds."""

    gaps: list[_Gap] = field(default_factory=list)
    shown: list[tuple[int, str | tuple[int, str] | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_by_sheet(
    layer: Layer, column: SheetColumn, duration: int, settings: KeySettings
) -> tuple[PlannedLayer, list[str]]:
    """Plan the drawings of a layer.

    Args:
        layer: The keys.
        column: Their column of the sheet.
        duration: Number of frames of the sheet.
        settings: The timing; `count` and `on` hold where the sheet names only keys.

    Returns:
        The plan, and what was assumed, as sentences for the user.

    Raises:
        UsageError: A timing is invalid, or there are too many in-betweens.
        FileError: A name of the sheet leads to another folder, or is none on some operating system.
    """
    walk = _walk(layer, column)
    if not any(gap.cells for gap in walk.gaps):
        _fill(walk, settings)
    pairs, names = _name(layer.name, walk.gaps, settings, {key.path.name for key in layer.keys})
    unused = [key.path.name for key in layer.keys if all(value != key.path.name for _, value in walk.shown)]
    if unused:
        walk.notes.append(f"the time sheet does not show {', '.join(unused)}")
    resolved = [(frame, names.get(v) if isinstance(v, tuple) else v) for frame, v in sorted(walk.shown, key=_frame)]
    keys = tuple((key.path, key.path.name) for key in layer.keys)
    return PlannedLayer(layer.name, keys, tuple(pairs), _expose(resolved, duration)), walk.notes


def _walk(layer: Layer, column: SheetColumn) -> _Walk:
    """Walk down a column: find its keys, and the drawings to make between them."""
    walk, current, pending = _Walk(), None, list[tuple[int, str]]()
    drawn: dict[str, tuple[int, str]] = {}  # drawings to make, by their name in the sheet
    for frame, value in column.cells:
        key = next((key for key in layer.keys if is_named(key, value)), None)
        if value == EMPTY:
            walk.shown.append((frame, None))
        elif key is not None:
            if current is not None and key is not current:
                walk.gaps.append(_Gap(current, key, pending))
            elif pending:
                walk.notes.append(f"{key.path.name} follows itself at frame {frame + 1}: nothing to draw between")
            walk.shown.append((frame, key.path.name))
            current, pending = key, []
        elif value in drawn:
            walk.shown.append((frame, drawn[value]))
        elif current is None:
            walk.notes.append(f"{value} at frame {frame + 1} comes before the first key: not drawn")
        else:
            pending.append((frame, value))
            walk.shown.append((frame, (frame, value)))
            if value not in MARKS:
                drawn[value] = frame, value
    if pending:
        walk.notes.append(f"{pending[0][1]} at frame {pending[0][0] + 1} comes after the last key: not drawn")
    made = {cell for gap in walk.gaps for cell in gap.cells}
    walk.shown = [(frame, value) for frame, value in walk.shown if not isinstance(value, tuple) or value in made]
    return walk


def _fill(walk: _Walk, settings: KeySettings) -> None:
    """Add marks between the keys of a column that has only keys."""
    on = settings.on or ON_TWOS
    keys = [(frame, value) for frame, value in sorted(walk.shown, key=_frame) if value is not None]
    changes = [(frame, following) for (_, value), (frame, following) in pairwise(keys) if value != following]
    for gap, (end, _) in zip(walk.gaps, changes, strict=True):
        start = max(frame for frame, value in keys if frame < end)
        length = end - start
        count = -(-length // on) - 1 if settings.count is None else min(settings.count, length - 1)
        gap.cells = [(start + round(k * length / (count + 1)), MARKS[0]) for k in range(1, count + 1)]
        walk.shown += [(frame, (frame, value)) for frame, value in gap.cells]
    if any(gap.cells for gap in walk.gaps):
        walk.notes.append(f"the time sheet shows only keys: in-betweens are added, each for {on} frames")


def _name(
    layer: str, gaps: Sequence[_Gap], settings: KeySettings, used: set[str]
) -> tuple[list[PlannedPair], dict[tuple[int, str], str]]:
    """Name the drawings to make; return the pairs, and the names of the cells."""
    pairs, names = [], dict[tuple[int, str], str]()
    for gap in gaps:
        usual = names_between(gap.key0, gap.key1, len(gap.cells))
        for cell, fallback in zip(gap.cells, usual, strict=True):
            name = _sheet_name(gap.key0, cell[1]) or fallback
            repeated = 1
            while name in used:  # two pairs that begin with one key
                repeated += 1
                name = f"{fallback.removesuffix(gap.key0.path.suffix)}_{repeated}{gap.key0.path.suffix}"
            used.add(name)
            names[cell] = name
        times = times_of(settings.timing, len(gap.cells))
        inbetweens = tuple(Inbetween(names[cell], t) for cell, t in zip(gap.cells, times, strict=True))
        paths = gap.key0.path, gap.key1.path
        pairs.append(PlannedPair(layer, *paths, (paths[0].name, paths[1].name), inbetweens))
    return pairs, names


def _sheet_name(key: KeyName, value: str) -> str | None:
    """Return the file name that the sheet gives a drawing; None for a mark."""
    if value in MARKS:
        return None
    number = number_of(key, value)
    if number is not None:
        return key.numbered(number)
    return check_name(f"{value}{key.path.suffix}", "the time sheet")


def _expose(shown: Sequence[tuple[int, str | None]], duration: int) -> tuple[Exposure, ...]:
    """Return exposures that last until the next one, the last one until the end."""
    exposures: list[Exposure] = []
    ends = [frame for frame, _ in shown[1:]] + [max(duration, shown[-1][0] + 1)] if shown else []
    for (frame, name), end in zip(shown, ends, strict=True):
        if exposures and exposures[-1].name == name:
            exposures[-1] = Exposure(name, exposures[-1].start, end - exposures[-1].start)
        else:
            exposures.append(Exposure(name, frame, end - frame))
    return tuple(exposures)


def _frame(shown: tuple[int, object]) -> int:
    return shown[0]
