"""Number the frames of a folder by the numbers in their names.

A number gives the frame of the film at which an image appears, as TVPaint, OpenToonz and Blender (frame step) write
them: an image whose successor is missing is held until the next one. Digits are 0 to 9; others of Unicode are text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path

from animeinterp.errors import FileError

_DIGITS = re.compile(r"[0-9]+")
_SIGN = re.compile(r"(^|[_.])-")  # a hyphen before a number that is a minus sign
_MAX_HOLD = 60  # s; numbers further apart do not count frames


@dataclass(frozen=True, slots=True)
class Numbering:
    """The images of a folder in order.

    Attributes:
        frames: Each image with the number of the frame at which it appears, from 0.
        length: Number of frames of the film.
        notes: Assumptions, as sentences for the user.
    """

    frames: tuple[tuple[int, Path], ...]
    length: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    """A file name split into `texts` around `numbers`, one text more than numbers."""

    path: Path
    texts: tuple[str, ...]
    numbers: tuple[int, ...]


def number_frames(paths: Sequence[Path], rate: Fraction) -> Numbering:
    """Put images in the order of their numbers.

    If names hold several numbers, the one that varies counts.

    Args:
        paths: The images of one folder, at least one.
        rate: Frames per second that the numbers count.

    Raises:
        FileError: Two images have the same number, or their names are not of one sequence.
    """
    names = [_parse_name(path) for path in paths]
    if len(names) > 1 and not any(name.numbers for name in names):
        ordered = sorted(paths, key=lambda path: (path.name.casefold(), path.name))
        note = f"the names in {paths[0].parent} hold no numbers: frames are taken in the order of their names"
        return Numbering(tuple(enumerate(ordered)), len(ordered), (note,))
    if len(names) == 1:
        return Numbering(((0, paths[0]),), 1)
    numbered = sorted(zip(_read_numbers(names), paths, strict=True))
    for (number, path), (following, other) in pairwise(numbered):
        if number == following:
            raise FileError(
                f"{path} and {other.name} both have the number {number}; expected one image each, so remove one"
            )
    return _place_frames(numbered, rate)


def in_same_sequence(path: Path, frame: Path) -> bool:
    """Whether the names of two files differ in their numbers and suffixes only."""
    one, other = _parse_name(path), _parse_name(frame)
    return bool(one.numbers) and one.texts == other.texts


def _parse_name(path: Path) -> _Name:
    """Split a file name into texts and numbers."""
    stem = path.stem
    return _Name(path, tuple(text.casefold() for text in _DIGITS.split(stem)), tuple(map(int, _DIGITS.findall(stem))))


def _read_numbers(names: Sequence[_Name]) -> list[int]:
    """Return the number of each image. Raises FileError if the names are not of one sequence."""
    names = _apply_signs(names)
    patterns = Counter(name.texts for name in names)
    if len(patterns) == 1:
        return _varying_numbers(names)
    if all(name.numbers and not name.texts[0] for name in names):
        return [name.numbers[0] for name in names]  # 0001_key.png, 0002_between.png
    (usual, _), *_ = patterns.most_common()
    example = next(name.path for name in names if name.texts == usual)
    exception = next(name.path for name in names if name.texts != usual)
    raise _several_sequences(example, exception)


def _apply_signs(names: Sequence[_Name]) -> Sequence[_Name]:
    """Return the names with negative numbers, as Blender counts before 0: shot-0001, shot0000, shot0001."""
    patterns = {name.texts for name in names}
    signed = [
        (texts, column)
        for texts in patterns
        for column, text in enumerate(texts[:-1])
        if text.endswith("-") and (_SIGN.fullmatch(text[-2:]) or _without_hyphen(texts, column) in patterns)
    ]
    if len(signed) != 1:
        return names
    ((texts, column),) = signed
    positive = _without_hyphen(texts, column)
    return [
        replace(name, texts=positive, numbers=_negate(name.numbers, column)) if name.texts == texts else name
        for name in names
    ]


def _without_hyphen(texts: tuple[str, ...], column: int) -> tuple[str, ...]:
    """Remove the hyphen that ends one of the texts."""
    return (*texts[:column], texts[column][:-1], *texts[column + 1 :])


def _negate(numbers: tuple[int, ...], column: int) -> tuple[int, ...]:
    """Negate one of the numbers."""
    return tuple(-number if index == column else number for index, number in enumerate(numbers))


def _varying_numbers(names: Sequence[_Name]) -> list[int]:
    """Return the numbers that count frames; of several, those with the smallest range."""
    columns = list(zip(*(name.numbers for name in names), strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    distinct = [column for column in varying if len(set(column)) == len(column)]
    if distinct:
        return list(min(reversed(distinct), key=lambda column: max(column) - min(column)))
    if len(varying) > 1 and len({name.numbers for name in names}) == len(names):
        ordered = sorted(names, key=lambda name: name.numbers)
        raise _several_sequences(ordered[0].path, ordered[-1].path)
    return list(varying[-1] if varying else columns[-1])


def _several_sequences(path: Path, other: Path) -> FileError:
    """Build the error for images of several sequences in one folder."""
    return FileError(
        f"{path.parent} holds {path.name} and {other.name}, which are not of one sequence; put each sequence into its "
        "own folder, and other images elsewhere"
    )


def _place_frames(numbered: Sequence[tuple[int, Path]], rate: Fraction) -> Numbering:
    """Place numbered images on the frames of the film."""
    max_step = _MAX_HOLD * rate
    notes: list[str] = []
    steps = [following - number for (number, _), (following, _) in pairwise(numbered)]
    usual = gcd(*(step for step in steps if step <= max_step)) or 1
    places = [0]
    for step, (_, path), (_, other) in zip(steps, numbered, numbered[1:], strict=False):
        if step > max_step and not notes:
            notes.append(
                f"{path.name} and {other.name} are {step} numbers apart, more than {_MAX_HOLD} s: images so far "
                "apart are taken as consecutive"
            )
        places.append(places[-1] + (step if step <= max_step else usual))
    length = places[-1] + usual
    folder = numbered[0][1].parent
    if usual > 1 and set(steps) == {usual}:
        notes.append(
            f"the numbers in {folder} rise by {usual}: each image is held for {usual} frames at {float(rate):g} per "
            f"second; give --rate {float(rate / usual):g} if they count images"
        )
    elif length > len(places):
        notes.append(
            f"the numbers in {folder} leave out {length - len(places)} of {length}: the frame before a missing number "
            "is held until the next one"
        )
    return Numbering(tuple(zip(places, (path for _, path in numbered), strict=True)), length, tuple(notes))
