"""When the frames of the new film stand, and between which drawings: exact rational arithmetic, no drift.

Output frame k stands at k / rate. What is seen there is what the source shows at (k / rate) / slow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from animeinterp.errors import UsageError
from animeinterp.video.cadence.drawings import Drawing

Cadence = Literal["auto", "keep", "off"]
# Rates of television, n * 1000 / 1001, are written short (29.97, 23.976), and short ones doubled (47.96 is 2 x 23.98).
_SHORT = re.compile(r"\d+\.(\d*?[1-9])0*")
_NEAR = Fraction(1, 5000)  # relative
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
_RATIO = re.compile(r"[0-9]{1,9}(?:/[0-9]{1,9}|\.[0-9]{0,15})?|\.[0-9]{1,15}")  # 1e9999999 would take for ever
MAX_RATE = 1000
# After a long hold the figure starts as late as it would have moved at this many drawings per second, "on twos".
_STEP = Fraction(1, 12)


@dataclass(frozen=True, slots=True)
class Grid:
    """The times of the new film's frames.

    rate: frames per second. slow: how many times longer it lasts. begin, end: s of the source's time between which it
    is drawn; end None is the source's.
    """

    rate: Fraction
    slow: Fraction = Fraction(1)
    begin: Fraction = Fraction(0)
    end: Fraction | None = None

    def time(self, k: int) -> Fraction:
        """The source's time that frame k shows, s."""
        return self.begin + k / self.rate / self.slow

    def count(self, end: Fraction) -> int:
        """How many frames, if the source ends at `end`: all that begin before it."""
        if self.end is not None:
            end = min(end, self.end)
        return max(0, math.ceil((end - self.begin) * self.slow * self.rate))


@dataclass(frozen=True, slots=True)
class Holds:
    """What becomes of drawings that stand for several frames.

    cadence: `auto` turns holds into motion, and of holds longer than `longest`, s, the end; `keep` leaves those as the
    source has them; `off` knows no holds.
    """

    cadence: Cadence = "auto"
    longest: Fraction = Fraction(1, 2)

    def begins(self, time: Fraction, last: Fraction, until: Fraction) -> Fraction:
        """When the motion towards the next drawing begins.

        time: when the drawing appeared. last: its last source frame's time. until: when the next one appears.
        """
        if until - time <= self.longest:
            return time
        late = max(time, until - _STEP)
        return late if self.cadence == "auto" else max(last, late)


def share(at: Fraction, begins: Fraction, until: Fraction) -> Fraction:
    """How far the motion that begins then and ends at `until` has come, in [0, 1)."""
    return max(Fraction(0), (at - begins) / (until - begins))


def grid_of(
    source: Fraction,
    *,
    fps: str | None = None,
    times: int | None = None,
    slow: str | None = None,
    preview: str | None = None,
) -> Grid:
    """The grid that a user asks for; without a wish twice the source's rate.

    source: the film's own rate. fps: frames per second, `60`, `24000/1001` or `23.976`. times: as many times the
    source's. slow: how many times longer the film is to last. preview: `10s@1:30`, ten seconds from there on.
    Raises UsageError for what cannot be.
    """
    if fps is not None and times is not None:
        raise UsageError("--fps and --times both set the rate; give one of them")
    if times is not None and times < 1:
        raise UsageError(f"expected --times of at least 1, got {times}")
    factor = Fraction(1) if slow is None else _positive(slow, "--slow")
    if fps is not None:
        rate = parse_rate(fps)
    elif times is not None:
        rate = source * times
    else:
        # Slow motion by itself needs new frames only to keep the rate.
        rate = source if slow is not None else source * 2
    if rate > MAX_RATE:
        raise UsageError(f"expected at most {MAX_RATE} frames per second, got {float(rate):g}; give a lower rate")
    if preview is None:
        return Grid(rate, factor)
    begin, end = parse_span(preview)
    return Grid(rate, factor, begin, end)


def parse_rate(text: str) -> Fraction:
    """`60`, `24000/1001`, `23.976`: frames per second. Raises UsageError for anything else."""
    rate = _positive(text, "a frame rate")
    short = _SHORT.fullmatch(text.strip())
    exact = Fraction(1000 * round(rate * 1001 / 1000), 1001)
    if short is None or not exact:
        return rate
    digits = len(short[1])
    # Two digits and more may be cut off instead of rounded: 23.97.
    room = Fraction(1, 10**digits) if digits > 1 else Fraction(1, 20)
    return exact if abs(rate - exact) <= max(room, _NEAR * exact) else rate


def parse_span(text: str) -> tuple[Fraction, Fraction]:
    """`10s@1:30` → (90, 100), `10s` → (0, 10), s. Raises UsageError for anything else."""
    length, _, begin = text.partition("@")
    start = parse_clock(begin) if begin else Fraction(0)
    duration = parse_clock(length)
    if duration <= 0:
        raise UsageError(f"expected a preview of some length, such as 10s@1:30, got {text!r}")
    return start, start + duration


def parse_clock(text: str) -> Fraction:
    """`90`, `90.5s`, `1:30`, `01:02:03.5` → s. Raises UsageError for anything else."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"expected a time such as 90s, 1:30 or 00:01:30.5, got {text!r}")
    hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _positive(text: str, name: str) -> Fraction:
    plain = _RATIO.fullmatch(text.strip())
    try:
        number = Fraction(text.strip()) if plain else Fraction(0)
    except ZeroDivisionError:
        number = Fraction(0)
    if number <= 0:
        raise UsageError(f"expected {name} above 0, such as 60 or 24000/1001, got {text!r}")
    return number


@dataclass(frozen=True, slots=True, eq=False)
class OutputFrame:
    """One frame of the new film.

    number: from 0. drawing: what is shown, or what it comes from. following: where it goes; None where the drawing
    stands. t: how far along, in (0, 1); 0 where it stands. cut: whether it stands because a new shot follows.
    """

    number: int
    drawing: Drawing
    following: Drawing | None
    t: Fraction
    cut: bool = False


def schedule(
    drawings: Iterable[Drawing], grid: Grid, holds: Holds, *, begin: int = 0, loop: bool = False
) -> Iterator[OutputFrame]:
    """The frames of the new film from number `begin` on.

    loop: the last drawing moves into the first, as that of a cycle does.
    """
    k, first = begin, None
    stream = iter(drawings)
    drawing = next(stream, None)
    while drawing is not None:
        first = first or drawing
        following = next(stream, None)
        target = following
        if following is None and loop and first is not drawing:
            target = replace(first, time=drawing.until, cut=False)
        moves = target is not None and not target.cut
        begins = holds.begins(drawing.time, drawing.last, drawing.until)
        while grid.time(k) < drawing.until or grid.time(k) < drawing.time:
            if grid.end is not None and grid.time(k) >= grid.end:
                return
            t = share(grid.time(k), begins, drawing.until) if moves else Fraction(0)
            yield OutputFrame(k, drawing, target if t else None, t, cut=target is not None and target.cut)
            k += 1
        drawing = following
