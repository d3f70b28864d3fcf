"""When the frames of a folder stand, by the numbers in their names.

A number says on which frame of the film a picture appears, as TVPaint, OpenToonz and Blender (frame step) write them:
the frame before a missing number stands until the next one. Digits are 0 to 9; others of Unicode are text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path

from animeinterp.errors import FileError

_DIGITS = re.compile(r"[0-9]+")
_SIGN = re.compile(r"(^|[_.])-")  # a hyphen that stands for minus, before a number
_LONGEST = 60  # s; numbers that are further apart do not count frames


@dataclass(frozen=True, slots=True)
class Numbering:
    """The pictures of a folder in order.

    Attributes:
        frames: Each picture and the frame of the film on which it appears, from 0.
        length: Frames of the film.
        notes: What was assumed, as sentences.
    """

    frames: tuple[tuple[int, Path], ...]
    length: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    """A file's name taken apart: `texts` around `numbers`, one more than these."""

    path: Path
    texts: tuple[str, ...]
    numbers: tuple[int, ...]


def number_frames(paths: Sequence[Path], rate: Fraction) -> Numbering:
    """Put pictures in the order of their numbers.

    Where names hold several numbers, the one that differs from picture to picture counts.

    Args:
        paths: The pictures of one folder, at least one.
        rate: Frames per second that the numbers count.

    Raises:
        FileError: Two pictures have one number, or their names are not of one sequence.
    """
    names = [_parsed(path) for path in paths]
    if len(names) > 1 and not any(name.numbers for name in names):
        ordered = sorted(paths, key=lambda path: (path.name.casefold(), path.name))
        note = f"the names in {paths[0].parent} hold no numbers: frames are taken in the order of their names"
        return Numbering(tuple(enumerate(ordered)), len(ordered), (note,))
    if len(names) == 1:
        return Numbering(((0, paths[0]),), 1)
    numbered = sorted(zip(_numbers(names), paths, strict=True))
    for (number, path), (following, other) in pairwise(numbered):
        if number == following:
            raise FileError(
                f"{path} and {other.name} have the number {number} both; expected one picture each, so take one out"
            )
    return _placed(numbered, rate)


def in_same_sequence(path: Path, frame: Path) -> bool:
    """Whether two files are named alike but for their numbers and suffixes."""
    one, other = _parsed(path), _parsed(frame)
    return bool(one.numbers) and one.texts == other.texts


def _parsed(path: Path) -> _Name:
    stem = path.stem
    return _Name(path, tuple(text.casefold() for text in _DIGITS.split(stem)), tuple(map(int, _DIGITS.findall(stem))))


def _numbers(names: Sequence[_Name]) -> list[int]:
    """The number of each picture. Raises FileError if there is none that all have."""
    names = _with_signs(names)
    kinds = Counter(name.texts for name in names)
    if len(kinds) == 1:
        return _varying(names)
    if all(name.numbers and not name.texts[0] for name in names):
        return [name.numbers[0] for name in names]  # 0001_key.png, 0002_between.png
    (usual, _), *_ = kinds.most_common()
    example = next(name.path for name in names if name.texts == usual)
    stranger = next(name.path for name in names if name.texts != usual)
    raise _not_one(example, stranger)


def _with_signs(names: Sequence[_Name]) -> Sequence[_Name]:
    """The names with negative numbers, as Blender counts before 0: shot-0001, shot0000, shot0001."""
    kinds = {name.texts for name in names}
    pairs = [
        (kind, column)
        for kind in kinds
        for column, text in enumerate(kind[:-1])
        if text.endswith("-") and (_SIGN.fullmatch(text[-2:]) or _without(kind, column) in kinds)
    ]
    if len(pairs) != 1:
        return names
    ((kind, column),) = pairs
    return [
        name
        if name.texts != kind
        else _Name(
            name.path,
            _without(kind, column),
            (*name.numbers[:column], -name.numbers[column], *name.numbers[column + 1 :]),
        )
        for name in names
    ]


def _without(kind: tuple[str, ...], column: int) -> tuple[str, ...]:
    """The texts without the hyphen that ends one of them."""
    return (*kind[:column], kind[column][:-1], *kind[column + 1 :])


def _varying(names: Sequence[_Name]) -> list[int]:
    """The number that counts the frames; of several the one that rises least."""
    columns = list(zip(*(name.numbers for name in names), strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    distinct = [column for column in varying if len(set(column)) == len(column)]
    if distinct:
        return list(min(reversed(distinct), key=lambda column: max(column) - min(column)))
    if len(varying) > 1 and len({name.numbers for name in names}) == len(names):
        ordered = sorted(names, key=lambda name: name.numbers)
        raise _not_one(ordered[0].path, ordered[-1].path)
    return list(varying[-1] if varying else columns[-1])


def _not_one(path: Path, other: Path) -> FileError:
    return FileError(
        f"{path.parent} holds {path.name} and {other.name}, which are not of one sequence; put every sequence into a "
        "folder of its own, and other pictures elsewhere"
    )


def _placed(numbered: Sequence[tuple[int, Path]], rate: Fraction) -> Numbering:
    longest = _LONGEST * rate
    notes: list[str] = []
    steps = [following - number for (number, _), (following, _) in pairwise(numbered)]
    usual = gcd(*(step for step in steps if step <= longest)) or 1
    places = [0]
    for step, (_, path), (_, other) in zip(steps, numbered, numbered[1:], strict=False):
        if step > longest and not notes:
            notes.append(
                f"{path.name} and {other.name} are {step} numbers apart, more than {_LONGEST} s: pictures so far "
                "apart are taken as following each other"
            )
        places.append(places[-1] + (step if step <= longest else usual))
    length = places[-1] + usual
    folder = numbered[0][1].parent
    if usual > 1 and set(steps) == {usual}:
        notes.append(
            f"the numbers in {folder} rise by {usual}: each picture stands for {usual} frames at {float(rate):g} per "
            f"second; give --rate {float(rate / usual):g} if it is to count pictures"
        )
    elif length > len(places):
        notes.append(
            f"the numbers in {folder} leave out {length - len(places)} of {length}: the frame before a missing number "
            "stands until the next one"
        )
    return Numbering(tuple(zip(places, (path for _, path in numbered), strict=True)), length, tuple(notes))
