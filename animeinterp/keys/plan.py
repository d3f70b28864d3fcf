"""Plan the drawings of a layer: how many in-betweens each pair gets, at which times, their names and exposures.

A plan comes from the numbers of the keys, from settings for all pairs, and from the rows of a timing chart; that from a
time sheet is in `animeinterp.keys.sheet_plan`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.hints import Hints
from animeinterp.keys.chart import ChartRow
from animeinterp.keys.exposures import ON_TWOS, Exposure, expose, lengths_of_numbers
from animeinterp.keys.naming import names_between, numbers_between, pattern_names
from animeinterp.keys.numbering import KeyName, Layer
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.timing import CHARTS, choose_times

MAX_COUNT = 500  # in-betweens of a pair; numbers further apart do not count frames


@dataclass(frozen=True, slots=True)
class Inbetween:
    """A drawing to make.

    Attributes:
        name: Its file name.
        t: Its time between the two keys, in [0, 1].
    """

    name: str
    t: Fraction


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """Two keys that follow each other, and the drawings between them.

    Attributes:
        layer: The name of their layer.
        key0: File of the first key.
        key1: File of the second key.
        names: The names of the two keys in the folder of results.
        inbetweens: In order of time.
        hints: Of the pair, px of the keys; None without hints.
    """

    layer: str
    key0: Path
    key1: Path
    names: tuple[str, str]
    inbetweens: tuple[Inbetween, ...]
    hints: Hints | None = None


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer of the result.

    Attributes:
        name: As `Layer.name`.
        keys: The file of each key, and its name in the folder of results.
        pairs: In order.
        exposures: When each drawing is shown.
    """

    name: str
    keys: tuple[tuple[Path, str], ...]
    pairs: tuple[PlannedPair, ...]
    exposures: tuple[Exposure, ...]

    @property
    def drawings(self) -> list[str]:
        """Names of all drawings, in order."""
        names: dict[str, None] = {}
        for pair in self.pairs:
            drawn = (pair.names[0], *(drawing.name for drawing in pair.inbetweens), pair.names[1])
            names |= dict.fromkeys(drawn)
        return list(names | dict.fromkeys(name for _, name in self.keys))


def plan_layer(layer: Layer, rows: Sequence[ChartRow], settings: KeySettings, first: int) -> PlannedLayer:
    """Plan the drawings of a layer.

    Args:
        layer: The keys.
        rows: What a chart says of each pair.
        settings: Hold where the chart is silent.
        first: The number that counts as the first frame, of all layers.

    Raises:
        UsageError: A timing is invalid, or there are too many in-betweens.
    """
    keys = key_pairs(layer)
    times = [_times(settings, row, room) for row, room in zip(rows, _rooms(layer), strict=True)]
    names = [
        [key.path.name, *names_between(key, following, len(moments))]
        for (key, following), moments in zip(keys, times, strict=True)
    ]
    pairs = [
        PlannedPair(
            layer.name,
            key.path,
            following.path,
            (key.path.name, following.path.name),
            tuple(Inbetween(*pair) for pair in zip(between[1:], moments, strict=True)),
        )
        for (key, following), between, moments in zip(keys, names, times, strict=True)
    ]
    last = layer.keys[-1].path.name
    exposures = _expose(layer, [*names, [last]], rows, settings, first)
    return PlannedLayer(layer.name, tuple((key.path, key.path.name) for key in layer.keys), tuple(pairs), exposures)


def key_pairs(layer: Layer) -> list[tuple[KeyName, KeyName]]:
    """Return each two keys of a layer that follow each other."""
    return list(pairwise(layer.keys))


def times_of(timing: str, count: int) -> tuple[Fraction, ...]:
    """Return the times of so many in-betweens. Raises UsageError if there are too many."""
    if count > MAX_COUNT:
        raise UsageError(
            f"{count} in-betweens of one pair are more than {MAX_COUNT}; if the numbers do not count frames, give the "
            "number of in-betweens by -n"
        )
    return choose_times(timing, count) if count else ()


def renumber(layer: PlannedLayer, pattern: str, first: int = 1) -> PlannedLayer:
    """Number all drawings of a layer anew.

    Args:
        layer: A plan whose drawings have distinct names.
        pattern: See `pattern_names`.
        first: Number of the first drawing.

    Raises:
        UsageError: The pattern is invalid.
    """
    new = dict(zip(layer.drawings, pattern_names(pattern, layer.name, first), strict=False))
    pairs = tuple(
        replace(
            pair,
            names=(new[pair.names[0]], new[pair.names[1]]),
            inbetweens=tuple(replace(drawing, name=new[drawing.name]) for drawing in pair.inbetweens),
        )
        for pair in layer.pairs
    )
    exposures = tuple(
        exposure if exposure.name is None else replace(exposure, name=new[exposure.name])
        for exposure in layer.exposures
    )
    return replace(layer, keys=tuple((path, new[name]) for path, name in layer.keys), pairs=pairs, exposures=exposures)


def check_distinct(layers: Sequence[PlannedLayer]) -> None:
    """Raise UsageError if two drawings would have the same name on some file system."""
    seen: set[str] = set()
    for layer in layers:
        drawn = [drawing.name for pair in layer.pairs for drawing in pair.inbetweens]
        for name in [name for _, name in layer.keys] + drawn:
            folded = unicodedata.normalize("NFC", name).casefold()
            if folded in seen:
                raise UsageError(
                    f"two drawings would be named {name}; give --name '{{layer}}_%04d.png', which numbers them anew"
                )
            seen.add(folded)


def _rooms(layer: Layer) -> list[int | None]:
    """Return how many numbers are free between each two keys; None where no numbers of the layer leave room."""
    rooms = [following - number - 1 for number, following in pairwise(layer.numbers)]
    return list(rooms) if any(rooms) else [None] * (len(layer.keys) - 1)


def _times(settings: KeySettings, row: ChartRow, room: int | None) -> tuple[Fraction, ...]:
    """Return the times of a pair whose numbers leave room for so many drawings."""
    timing = row.timing or settings.timing
    count = settings.count if row.count is None else row.count
    if count == 0:
        return ()
    if timing not in CHARTS:
        return choose_times(timing, count)
    return times_of(timing, (1 if room is None else room) if count is None else count)


def _expose(
    layer: Layer, names: Sequence[Sequence[str]], rows: Sequence[ChartRow], settings: KeySettings, first: int
) -> tuple[Exposure, ...]:
    """Return when the drawings (each key with those after it) are shown."""
    flat = [name for group in names for name in group]
    if settings.on is None and not any(row.hold or row.on for row in rows):
        numbers = _drawing_numbers(layer, [len(group) - 1 for group in names[:-1]])
        if numbers is not None:
            return expose(flat, lengths_of_numbers(numbers), numbers[0] - first)
    lengths: list[int] = []
    on = settings.on or ON_TWOS
    for group, row in zip(names, rows, strict=False):
        lengths += [row.hold or row.on or on] + [row.on or on] * (len(group) - 1)
    return expose(flat, [*lengths, lengths[-1]])


def _drawing_numbers(layer: Layer, counts: Sequence[int]) -> list[int] | None:
    """Return the numbers of all drawings; None if they do not count frames."""
    if not any(room for room in _rooms(layer)):
        return None
    numbers: list[int] = []
    for (key, following), count in zip(pairwise(layer.keys), counts, strict=True):
        between = numbers_between(key, following, count)
        if between is None or key.number is None:
            return None
        numbers += [key.number, *between]
    return [*numbers, layer.numbers[-1]]
