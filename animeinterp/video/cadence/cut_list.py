"""A user's list of cuts, in place of those that are detected."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.io.reading import read_text
from animeinterp.video.time_text import parse_clock

_NUMBER = re.compile(r"[0-9]{1,9}")
# A clock time, or seconds with their unit: a plain number is a frame's number.
_TIME = re.compile(
    r"(?:[0-9]{1,9}:0{0,7}[0-5]?[0-9]|[0-9]{1,9}):0{0,7}[0-5]?[0-9](?:\.[0-9]{1,9})?|[0-9]{1,9}(?:\.[0-9]{1,9})?s"
)


@dataclass(frozen=True, slots=True)
class CutList:
    """Where shots begin.

    Attributes:
        frames: Numbers of source frames that begin a shot, from 0.
        times: Times that begin a shot, s since the first frame, increasing. Each stands for the first frame shown no
            more than half a frame earlier.
    """

    frames: frozenset[int] = frozenset()
    times: tuple[Fraction, ...] = ()

    def describe(self) -> str:
        """Return the list as text, the same for the same cuts."""
        frames = ", ".join(str(number) for number in sorted(self.frames))
        times = ", ".join(f"{time} s" for time in self.times)
        return "; ".join(filter(None, (frames, times))) or "none"

    def matcher(self) -> Callable[[int, Fraction, Fraction], bool]:
        """Return a function that tells whether a frame begins a shot; call it with every frame in order.

        Its arguments are the frame's number, its time and its duration, s; an estimate will do for the duration.
        """
        reached = Fraction(-1)

        def begins_shot(number: int, time: Fraction, duration: Fraction) -> bool:
            nonlocal reached
            previous, reached = reached, time + duration / 2
            return number in self.frames or any(previous < cut <= reached for cut in self.times)

        return begins_shot


def parse_cuts(source: str | Path) -> CutList:
    """Parse a list of cuts.

    Args:
        source: Entries separated by commas or line breaks, or the path of a file with them; `#` starts a comment. An
            entry is the number of a frame, from 0 (`36`), or a time (`1:30.5`, `00:01:30.500`, `90.5s`). An empty
            list, or the word `none`, stands for no cuts. Any other text with letters is a path.

    Returns:
        The list.

    Raises:
        UsageError: An entry is neither a number nor a time.
        FileError: The file cannot be read.
    """
    if isinstance(source, Path):
        return _parse(read_text(source, "a list of cuts: frame numbers or times such as 36,1:30.5"), f"{source}: ")
    if source.strip().lower() == "none":
        return CutList()
    if any(character.isalpha() and character != "s" for character in source.partition("#")[0]):
        return parse_cuts(Path(source))
    return _parse(source, "")


def _parse(text: str, origin: str) -> CutList:
    """Parse the entries of a text; `origin` begins messages."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = filter(None, (entry.strip() for line in lines for entry in line.split(",")))
    frames, times = set(), set()
    for entry in entries:
        if _NUMBER.fullmatch(entry):
            frames.add(int(entry))
        elif _TIME.fullmatch(entry):
            times.add(parse_clock(entry))
        else:
            raise UsageError(
                f"{origin}{entry!r} is not a cut; expected a frame's number such as 36, or a time such as 1:30.5 or "
                "90.5s"
            )
    return CutList(frozenset(frames), tuple(sorted(times)))
