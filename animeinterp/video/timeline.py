"""Place the frames of the new film in time: at which time each is shown, and between which drawings it lies.

Frame k of the new film is shown at k / rate and shows the source at begin + (k / rate) / slow. Times are exact
fractions in seconds, so nothing drifts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from animeinterp.errors import UsageError
from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.time_text import parse_positive, parse_rate, parse_span

Cadence = Literal["auto", "keep", "off"]
MAX_RATE = 1000
# After a long hold the motion takes as long as a drawing "on twos" would.
_TWOS = Fraction(1, 12)


@dataclass(frozen=True, slots=True)
class Grid:
    """The times of the new film's frames.

    Attributes:
        rate: Frames per second.
        slow: How many times longer than the source the new film lasts.
        begin: Time of the source at which the new film begins, s.
        end: Time of the source at which it ends, s; None = with the source.
    """

    rate: Fraction
    slow: Fraction = Fraction(1)
    begin: Fraction = Fraction(0)
    end: Fraction | None = None

    def time(self, k: int) -> Fraction:
        """Return the time of the source that frame k shows, s."""
        return self.begin + k / self.rate / self.slow

    def count(self, end: Fraction) -> int:
        """Count the frames of the new film if the source ends at `end`, s: those that begin before it."""
        if self.end is not None:
            end = min(end, self.end)
        return max(0, math.ceil((end - self.begin) * self.slow * self.rate))


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """What to do with drawings that are held for several frames.

    Attributes:
        cadence: `auto` turns short holds into motion, and the end of long ones; `keep` leaves long holds as they are
            in the source; `off` treats every frame as a drawing.
        longest: Duration above which a hold is long, s.
    """

    cadence: Cadence = "auto"
    longest: Fraction = Fraction(1, 2)

    def motion_start(self, drawing: Drawing) -> Fraction:
        """Return when the motion from a drawing to the next one begins, s."""
        if drawing.end_time - drawing.time <= self.longest:
            return drawing.time
        late = max(drawing.time, drawing.end_time - _TWOS)
        return late if self.cadence == "auto" else max(drawing.last_time, late)


def motion_fraction(time: Fraction, start: Fraction, end: Fraction) -> Fraction:
    """Return the fraction of a motion from `start` to `end` that is done at `time` < `end`, in [0, 1)."""
    return max(Fraction(0), (time - start) / (end - start))


def build_grid(
    source_rate: Fraction,
    *,
    fps: str | None = None,
    times: int | None = None,
    slow: str | None = None,
    preview: str | None = None,
) -> Grid:
    """Build the grid that the options of a user describe.

    Args:
        source_rate: Frames per second of the source.
        fps: Frames per second of the new film: `60`, `24000/1001` or `23.976`.
        times: Multiple of the source's rate, at least 1; without `fps` and `times` 2, or 1 in slow motion.
        slow: How many times longer the new film lasts, such as `4` or `1.5`.
        preview: The part to make, `10s@1:30` for ten seconds from 1:30 on.

    Returns:
        The grid.

    Raises:
        UsageError: A value is not valid, the rate exceeds `MAX_RATE`, or both `fps` and `times` are given.
    """
    if fps is not None and times is not None:
        raise UsageError("--fps and --times both set the rate; give one of them")
    if times is not None and times < 1:
        raise UsageError(f"expected --times of at least 1, got {times}")
    factor = Fraction(1) if slow is None else parse_positive(slow, "--slow")
    if fps is not None:
        rate = parse_rate(fps)
    elif times is not None:
        rate = source_rate * times
    else:
        # Slow motion needs new frames to keep the rate, so the rate is not doubled as well.
        rate = source_rate if slow is not None else source_rate * 2
    if rate > MAX_RATE:
        raise UsageError(f"expected at most {MAX_RATE} frames per second, got {float(rate):g}; give a lower rate")
    if preview is None:
        return Grid(rate, factor)
    begin, end = parse_span(preview)
    return Grid(rate, factor, begin, end)


@dataclass(frozen=True, slots=True, eq=False)
class OutputFrame:
    """One frame of the new film.

    Attributes:
        number: From 0.
        drawing: The drawing that is shown, or from which the motion comes.
        following: The drawing to which the motion goes; None where `drawing` is shown.
        t: Fraction of the motion, in (0, 1); 0 where `drawing` is shown.
        cut: Whether the drawing is held because a new shot follows.
    """

    number: int
    drawing: Drawing
    following: Drawing | None
    t: Fraction
    cut: bool = False


def schedule(
    drawings: Iterable[Drawing], grid: Grid, policy: HoldPolicy, *, begin: int = 0, loop: bool = False
) -> Iterator[OutputFrame]:
    """Place the frames of the new film between drawings.

    Args:
        drawings: The drawings of the source in order.
        grid: The times of the frames.
        policy: What to do with holds.
        begin: Number of the first frame to yield.
        loop: Whether the last drawing moves into the first, as in a cycle.

    Yields:
        The frames in order.
    """
    k, first = begin, None
    stream = iter(drawings)
    drawing = next(stream, None)
    while drawing is not None:
        first = first or drawing
        following = next(stream, None)
        target = following
        if following is None and loop and first is not drawing:
            target = replace(first, time=drawing.end_time, cut=False)
        moves = target is not None and not target.cut
        start = policy.motion_start(drawing)
        while grid.time(k) < drawing.end_time or grid.time(k) < drawing.time:
            if grid.end is not None and grid.time(k) >= grid.end:
                return
            t = motion_fraction(grid.time(k), start, drawing.end_time) if moves else Fraction(0)
            yield OutputFrame(k, drawing, target if t else None, t, cut=target is not None and target.cut)
            k += 1
        drawing = following
