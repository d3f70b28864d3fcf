"""Name the drawings between two keys, and number all drawings anew by a pattern.

Keys keep their names. Where their numbers leave room, in-betweens take the numbers between; elsewhere `A0001.png` is
followed by `A0001_1.png`, `A0001_2.png`, …, which stay in order when files are sorted by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count as count_from
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.io.files import check_name
from animeinterp.io.image_header import FORMATS
from animeinterp.keys.numbering import KeyName

_NUMBER = re.compile(r"%(0?)(\d?)d")


def numbers_between(key: KeyName, following: KeyName, count: int) -> list[int] | None:
    """Spread in-betweens over the numbers between two keys.

    Args:
        key: The first key.
        following: The second one.
        count: Number of in-betweens.

    Returns:
        Ascending numbers; None if the keys have none, or leave too little room.
    """
    if key.number is None or following.number is None:
        return None
    step = following.number - key.number
    if count >= step:
        return None
    return [key.number + (k * step + (count + 1) // 2) // (count + 1) for k in range(1, count + 1)]


def names_between(key: KeyName, following: KeyName, count: int) -> list[str]:
    """Name the in-betweens of two keys; arguments as `numbers_between`."""
    numbers = numbers_between(key, following, count)
    if numbers is not None:
        return [key.numbered(number) for number in numbers]
    digits = len(str(count))
    additions = [f"_{k:0{digits}}" for k in range(1, count + 1)]
    if key.number is None:
        return [f"{key.head}{addition}{key.path.suffix}" for addition in additions]
    return [key.numbered(key.number, addition) for addition in additions]


def pattern_names(pattern: str, layer: str, first: int) -> Iterator[str]:
    """Yield the names that a pattern gives the drawings of a layer, one after the other.

    Args:
        pattern: Such as `key_%04d.png`; `{layer}` in it stands for the name of the layer.
        layer: Name of the layer.
        first: Number of the first drawing.

    Raises:
        UsageError: The pattern has not one number, or no suffix of an image.
        FileError: A name leads to another folder, or is none on some operating system.
    """
    match = _NUMBER.search(pattern)
    if match is None or len(_NUMBER.findall(pattern)) > 1 or Path(pattern).suffix.lower() not in FORMATS:
        raise UsageError(f"expected names with one number and an image's suffix, such as key_%04d.png, got {pattern!r}")
    head, tail = (text.replace("{layer}", layer) for text in (pattern[: match.start()], pattern[match.end() :]))
    for number in count_from(first):
        yield check_name(f"{head}{number:{match[1]}{match[2] or 1}}{tail}", "the pattern of names")
