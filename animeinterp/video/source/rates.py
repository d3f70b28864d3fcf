"""Estimate the frame rate of a film from the intervals between its frames.

Most films keep a regular clock even where their average rate is irregular: holds, dropped frames and pauses of screen
captures are multiples of the clock's interval. The estimate is the rate of that clock, else the average rate.
Containers round times to their ticks, so an interval may be off by one tick; a film that was stored in Matroska before
keeps rounding to milliseconds in finer ticks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

_NTSC = Fraction(1000, 1001)  # television's rates are whole multiples
_MILLISECOND = Fraction(1, 1000)  # s


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Thresholds of regular clocks.

    Chosen on regular, dropped, held and jittering intervals at the ticks of Matroska, MP4, MPEG-TS, GIF and APNG;
    `tests/video/source/test_rates.py` holds them. Fractions are of the number of intervals.

    Attributes:
        max_rate: Frames per second, at most; a finer clock is the container's.
        common: Fraction from which an interval is common.
        stray: Fraction that may not fit the clock.
        seam_intervals: Number of intervals from which `seams` may stray, however small their fraction is.
        seams: Intervals that stray where the segments of an edit list meet.
        max_divisor: The shortest common interval spans at most this number of the clock's intervals.
        max_steps: Length of an interval in the clock's, at most; a longer pause does not count.
        min_ticks: Length of a divided interval, ticks, at least, unless it fits exactly.
        jitter: Deviation from the clock in an average rate, as a fraction of the interval, at most.
        near: Relative deviation of an average rate from a standard one, at most.
        exact: Relative deviation of a declared rate from a standard one, at most.
    """

    max_rate: int = 300
    common: float = 0.05
    stray: float = 0.05
    seam_intervals: int = 20
    seams: int = 2
    max_divisor: int = 6
    max_steps: int = 12
    min_ticks: int = 8
    jitter: float = 0.3
    near: Fraction = Fraction(1, 200)
    exact: Fraction = Fraction(1, 100_000)


LIMITS = RateLimits()


def estimate_frame_rate(
    times: Sequence[int], tick: Fraction, hints: list[Fraction], *, summed: bool = False, limits: RateLimits = LIMITS
) -> Fraction:
    """Return the rate of the clock that frames keep, else their average rate.

    Args:
        times: When frames are shown, ticks, rising; intervals of 0 or less do not count.
        tick: Unit of the times, s.
        hints: Rates that the file declares, frames per second, the most reliable first; they decide where the times
            allow several.
        summed: Whether the file stores rounded intervals instead of rounded times, so that errors add up.
        limits: Thresholds of regular clocks.

    Returns:
        Frames per second, above 0.
    """
    declared = [snap_rate(hint, limits) for hint in hints if 0 < hint <= limits.max_rate]
    intervals = [after - before for before, after in pairwise(times)]
    counts = Counter(interval for interval in intervals if interval > 0)
    if not counts:
        return declared[0] if declared else Fraction(24)
    for slack in dict.fromkeys((Fraction(1), max(Fraction(1), _MILLISECOND / tick))):
        interval = _find_clock(counts, tick, slack, limits)
        if interval is None:
            continue
        low, high = _bound_clock(intervals, interval, slack, summed)
        return _choose_rate(1 / (high * tick), 1 / (interval * tick), 1 / (low * tick), declared)
    return _average_rate(counts, tick, declared, limits)


def snap_rate(rate: Fraction, limits: RateLimits = LIMITS) -> Fraction:
    """Undo a container's rounding of a rate, frames per second: 19001/317 becomes 60000/1001."""
    return next((exact for exact in _standard_rates(rate) if abs(rate / exact - 1) < limits.exact), rate)


def rounding_tolerance(rate: Fraction, tick: Fraction) -> Fraction:
    """Return how far rounding may move a frame off its clock, s: one tick, or a millisecond of an earlier Matroska.

    Args:
        rate: Frames per second.
        tick: Unit of times in the file, s.
    """
    return max(tick, min(_MILLISECOND, 1 / (8 * rate)))


def snap_time(time: Fraction, rate: Fraction, tick: Fraction) -> Fraction:
    """Undo the rounding of a time by the file.

    Matroska counts milliseconds: at 24 frames per second the second frame has the time 0.042 instead of 1/24, and a
    new frame would be drawn right beside it. Films that were stored in Matroska before keep the rounding.

    Args:
        time: Time since the first frame, s.
        rate: Frames per second.
        tick: Unit of times in the file, s.

    Returns:
        The closest time on the film's clock, s, if rounding explains the difference, else `time`.
    """
    regular = round(time * rate) / rate
    return regular if abs(time - regular) <= rounding_tolerance(rate, tick) else time


def _standard_rates(rate: Fraction) -> list[Fraction]:
    """Return the standard rates closest to a rate: whole, NTSC, multiples of one half."""
    return [near for near in (Fraction(round(rate)), round(rate / _NTSC) * _NTSC, Fraction(round(2 * rate), 2)) if near]


def _find_clock(counts: Counter[int], tick: Fraction, slack: Fraction, limits: RateLimits) -> Fraction | None:
    """Find the longest interval, ticks, that all intervals but long ones are multiples of, to within `slack` ticks."""
    total = counts.total()
    span = math.floor(2 * slack)
    seams = limits.seams if total >= limits.seam_intervals else 0
    common = max(limits.common * total, seams + 1)
    shortest = next((i for i in sorted(counts) if _count_within(counts, i, i + span) >= common), min(counts))
    similar = Counter({i: count for i, count in counts.items() if shortest <= i <= shortest + span})
    usual = Fraction(sum(i * count for i, count in similar.items()), similar.total())
    for divisor in range(1, limits.max_divisor + 1):
        # The shortest interval may be exact where the mean is not, because neighbors are one tick longer.
        for whole in dict.fromkeys((usual, Fraction(shortest))):
            interval = whole / divisor
            if 1 / (interval * tick) > limits.max_rate and divisor > 1:
                continue
            exact = all(i % interval == 0 for i in counts if i <= limits.max_steps * interval)
            if divisor > 1 and interval < limits.min_ticks * slack and not exact:
                continue
            fitted = interval if exact else _fit_interval(counts, interval, limits)
            if fitted and _count_strays(counts, fitted, slack, limits) <= max(limits.stray * total, seams):
                return fitted
    return None


def _count_within(counts: Counter[int], low: int, high: int) -> int:
    """Count the intervals from `low` to `high`."""
    return sum(count for interval, count in counts.items() if low <= interval <= high)


def _fit_interval(counts: Counter[int], interval: Fraction, limits: RateLimits) -> Fraction | None:
    """Refine an approximate interval by the mean of the intervals that fit it."""
    pairs = [(i, round(i / interval), count) for i, count in counts.items() if i <= limits.max_steps * interval]
    fits = [(i, n, count) for i, n, count in pairs if n and abs(i - n * interval) <= interval / 3]
    steps = sum(n * count for _, n, count in fits)
    return Fraction(sum(i * count for i, _, count in fits), steps) if steps else None


def _count_strays(counts: Counter[int], interval: Fraction, slack: Fraction, limits: RateLimits) -> int:
    """Count the intervals, long ones excluded, that are not multiples to within rounding."""
    tolerance = min(slack * Fraction(11, 10), interval / 3) if interval >= 2 else interval / 2
    return sum(
        count
        for i, count in counts.items()
        if i <= limits.max_steps * interval
        and (round(i / interval) == 0 or abs(i - round(i / interval) * interval) > tolerance)
    )


def _bound_clock(intervals: list[int], interval: Fraction, slack: Fraction, summed: bool) -> tuple[Fraction, Fraction]:
    """Bound the clock's interval, ticks, by the longest run of intervals that fit it."""
    longest, low, high, run, ticks, steps = 0, interval, interval, 0, 0, 0
    intervals = [*intervals, 0]
    multiples = {i: round(i / interval) for i in set(intervals)}
    fits = {i for i, n in multiples.items() if n and abs(i - n * interval) <= interval / 3}
    for i in intervals:
        if i in fits:
            ticks, steps, run = ticks + i, steps + multiples[i], run + 1
            continue
        if steps > longest:
            error = Fraction(run, 2) if summed else slack
            longest, low, high = steps, (ticks - error) / steps, (ticks + error) / steps
        ticks = steps = run = 0
    return max(low, interval / 2), max(high, interval)


def _choose_rate(low: Fraction, best: Fraction, high: Fraction, declared: list[Fraction]) -> Fraction:
    """Return the most likely rate from `low` to `high`: a declared one, a standard one, the simplest fraction."""
    likely = (*declared, *_standard_rates(best))
    return next((rate for rate in likely if low <= rate <= high), None) or _simplest_fraction(low, high)


def _simplest_fraction(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction with the smallest denominator from `low` to `high`."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    whole -= 1
    return whole + 1 / _simplest_fraction(1 / (high - whole), 1 / (low - whole))


def _average_rate(counts: Counter[int], tick: Fraction, declared: list[Fraction], limits: RateLimits) -> Fraction:
    """Return the average rate without pauses where intervals only jitter, else the average rate of all."""
    usual = median_low(counts.elements())
    short = Counter({i: count for i, count in counts.items() if i <= limits.max_steps * usual})
    multiples = {i: round(Fraction(i, usual)) for i in short}
    steps = sum(multiples[i] * count for i, count in short.items())
    stray = sum(count for i, count in short.items() if abs(i - multiples[i] * usual) > limits.jitter * usual)
    jitters = steps and stray <= 2 * limits.stray * short.total()
    shown, number = (short, steps) if jitters else (counts, counts.total())
    rate = number / (sum(i * count for i, count in shown.items()) * tick)
    near = [known for known in (*declared, *_standard_rates(rate)) if abs(known / rate - 1) <= limits.near]
    return min(near, key=lambda known: abs(known - rate)) if near else rate.limit_denominator(1001) or rate
