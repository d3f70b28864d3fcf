"""Plan the drawings of a folder of keys: how many in-betweens each pair gets, at which times, and their names.

A number gives the frame at which a drawing appears, as animation programs write them. Keys keep their names. Where
their numbers leave room, in-betweens take the numbers between; elsewhere `A0001.png` is followed by `A0001_1.png`,
`A0001_2.png`, …, which stay in order when files are sorted by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.io.files import check_name
from animeinterp.io.image_header import FORMATS
from animeinterp.keys.numbering import KeyName, Layer
from animeinterp.keys.timing import choose_times

MAX_COUNT = 500  # in-betweens of a pair; numbers further apart do not count frames
_NUMBER = re.compile(r"%(0?)(\d*)d")


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
    """

    layer: str
    key0: Path
    key1: Path
    names: tuple[str, str]
    inbetweens: tuple[Inbetween, ...]


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer of the result.

    Attributes:
        name: As `Layer.name`.
        pairs: In order.
    """

    name: str
    pairs: tuple[PlannedPair, ...]

    @property
    def keys(self) -> tuple[tuple[Path, str], ...]:
        """The file of each key, and its name in the folder of results."""
        last = self.pairs[-1]
        return (*((pair.key0, pair.names[0]) for pair in self.pairs), (last.key1, last.names[1]))


def plan_layer(layer: Layer, timing: str, count: int | None, name: str | None) -> PlannedLayer:
    """Plan the drawings of a layer.

    Args:
        layer: The keys.
        timing: See `choose_times`.
        count: In-betweens of each pair; None takes as many as the numbers leave room for, or 1 if they leave none.
        name: A pattern such as `key_%04d.png` by which all drawings are numbered anew; None keeps the names of the
            keys. `{layer}` stands for the layer's name.

    Raises:
        UsageError: The timing or the pattern is invalid, or two drawings would have one name.
    """
    times = [_choose_times(timing, count, room) for room in _rooms(layer)]
    if name is None:
        names = [key.path.name for key in layer.keys]
        between = [
            _names_between(key, following, len(moments))
            for (key, following), moments in zip(pairwise(layer.keys), times, strict=True)
        ]
    else:
        names, between = _renumber(name, layer, [len(moments) for moments in times])
    pairs = []
    for index, (key, following) in enumerate(pairwise(layer.keys)):
        inbetweens = tuple(Inbetween(*pair) for pair in zip(between[index], times[index], strict=True))
        pairs.append(PlannedPair(layer.name, key.path, following.path, (names[index], names[index + 1]), inbetweens))
    return PlannedLayer(layer.name, tuple(pairs))


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
    numbers = layer.numbers
    rooms = [following - number - 1 for number, following in pairwise(numbers)]
    if not any(rooms):
        return [None] * (len(layer.keys) - 1)
    return list(rooms)


def _choose_times(timing: str, count: int | None, room: int | None) -> tuple[Fraction, ...]:
    """Return the times of a pair whose numbers leave room for so many drawings."""
    if "/" in timing or "." in timing or "," in timing:
        return choose_times(timing, count)
    if count is None:
        count = 1 if room is None else room
    if count > MAX_COUNT:
        raise UsageError(
            f"{count} in-betweens of one pair are more than {MAX_COUNT}; if the numbers do not count frames, give the "
            "number of in-betweens by -n"
        )
    return choose_times(timing, count) if count else ()


def _names_between(key: KeyName, following: KeyName, count: int) -> list[str]:
    """Name the drawings between two keys."""
    if key.number is not None and following.number is not None:
        step = following.number - key.number
        if count < step:
            numbers = [key.number + (k * step + (count + 1) // 2) // (count + 1) for k in range(1, count + 1)]
            return [key.numbered(number) for number in numbers]
        digits = len(str(count))
        return [key.numbered(key.number, f"_{k:0{digits}}") for k in range(1, count + 1)]
    digits = len(str(count))
    return [f"{key.head}_{k:0{digits}}{key.path.suffix}" for k in range(1, count + 1)]


def _renumber(pattern: str, layer: Layer, counts: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    """Number all drawings of a layer anew: the names of the keys, and those between them."""
    if len(_NUMBER.findall(pattern)) != 1 or Path(pattern).suffix.lower() not in FORMATS:
        raise UsageError(f"expected names with one number and an image's suffix, such as key_%04d.png, got {pattern!r}")
    number = layer.numbers[0] if layer.numbers else 1
    names: list[str] = []
    for _ in range(len(layer.keys) + sum(counts)):
        names.append(check_name(_expand(pattern, layer.name, number), "the pattern of names"))
        number += 1
    keys, between = [names.pop(0)], []
    for count in counts:
        between.append([names.pop(0) for _ in range(count)])
        keys.append(names.pop(0))
    return keys, between


def _expand(pattern: str, layer: str, number: int) -> str:
    """Return the name that a pattern gives a number."""
    match = _NUMBER.search(pattern)
    if match is None:
        raise UsageError(f"expected a number such as %04d in the names, got {pattern!r}")
    digits = f"{number:{match[1]}{min(int(match[2] or 1), 9)}}"
    return f"{pattern[: match.start()]}{digits}{pattern[match.end() :]}".replace("{layer}", layer)
