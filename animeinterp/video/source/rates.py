"""The frame rate of a film, from the intervals between its frames.

A film stands on a regular clock more often than its average rate says: a drawing that is held, a dropped frame and a
pause of a screen capture are multiples of the clock's interval. The rate is the clock's where there is one, else the
average. Containers round times to their own ticks, so that an interval may be off by one tick; films that were Matroska
once keep its milliseconds in finer ticks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

# Television's rates are n * 1000 / 1001.
_NTSC = Fraction(1000, 1001)
_MOST = 300  # frames per second; a finer clock is the container's, not the film's
_COMMON = 0.05  # share of the intervals from which a length of them is usual
_STRAY = 0.05  # share of the intervals that may miss the clock
# In films of so many intervals two may miss it however few they are: where pieces of an edit list meet.
_ENOUGH, _SEAMS = 20, 2
_FINEST = 6  # the clock's interval is at least this fraction of the shortest usual one
_LONG = 12  # intervals of the clock; how a longer pause ends says nothing about it
_TICKS = 8  # a fraction of an interval is believed if it is this many ticks long, or exact
_JITTER = 0.3  # of an interval
_NEAR = Fraction(1, 200)  # relative
_ROUNDED = Fraction(1, 100_000)  # relative
_MILLISECOND = Fraction(1, 1000)  # s


def estimate_frame_rate(
    times: Sequence[int], tick: Fraction, hints: Iterable[Fraction], *, summed: bool = False
) -> Fraction:
    """The rate of the clock that frames stand on; their average rate if they stand on none.

    Args:
        times: When frames are shown, in ticks, rising. An interval of 0 or less counts for nothing.
        tick: Seconds.
        hints: Rates that the file declares, frames per second, the most reliable first: one of them is taken where the
            times admit several.
        summed: Whether the file stores rounded intervals instead of rounded times, so that errors add up.

    Returns:
        Frames per second, above 0.
    """
    declared = [snap_rate(hint) for hint in hints if 0 < hint <= _MOST]
    intervals = [after - before for before, after in pairwise(times)]
    counts = Counter(interval for interval in intervals if interval > 0)
    if not counts:
        return declared[0] if declared else Fraction(24)
    for slack in dict.fromkeys((Fraction(1), max(Fraction(1), _MILLISECOND / tick))):
        interval = _clock(counts, tick, slack)
        if interval is None:
            continue
        low, high = _bounds(intervals, interval, slack, summed)
        return _choose(1 / (high * tick), 1 / (interval * tick), 1 / (low * tick), declared)
    return _average(counts, tick, declared)


def snap_rate(rate: Fraction) -> Fraction:
    """A rate without what a container's rounding made of it: 19001/317 was 60000/1001."""
    for exact in _standard(rate):
        if abs(rate / exact - 1) < _ROUNDED:
            return exact
    return rate


def rounding_tolerance(rate: Fraction, tick: Fraction) -> Fraction:
    """By how much, s, a file's ticks may move a frame off its clock, a millisecond of Matroska's before included."""
    return max(tick, min(_MILLISECOND, 1 / (8 * rate)))


def _standard(rate: Fraction) -> list[Fraction]:
    """The rates of films and television nearest to a rate: whole, NTSC, halves."""
    found = [Fraction(round(rate)), round(rate / _NTSC) * _NTSC, Fraction(round(2 * rate), 2)]
    return [rate for rate in found if rate]


def _clock(counts: Counter[int], tick: Fraction, slack: Fraction) -> Fraction | None:
    """The longest interval, in ticks, of which all intervals that are not long are multiples; None if there is none.

    slack: ticks by which an interval may be off.
    """
    total = counts.total()
    span = math.floor(2 * slack)
    seams = _SEAMS if total >= _ENOUGH else 0
    common = max(_COMMON * total, seams + 1)
    shortest = next((i for i in sorted(counts) if _within(counts, i, i + span) >= common), min(counts))
    usual = Fraction(
        sum(i * count for i, count in counts.items() if shortest <= i <= shortest + span),
        _within(counts, shortest, shortest + span),
    )
    for parts in range(1, _FINEST + 1):
        # Whole intervals may be exact where their mean is not, beside a neighbor that is one tick longer.
        for whole in dict.fromkeys((usual, Fraction(shortest))):
            interval = whole / parts
            if 1 / (interval * tick) > _MOST and parts > 1:
                continue
            exact = all(i % interval == 0 for i in counts if i <= _LONG * interval)
            if parts > 1 and interval < _TICKS * slack and not exact:
                continue
            refined = interval if exact else _refined(counts, interval)
            if refined is not None and _misses(counts, refined, slack) <= max(_STRAY * total, seams):
                return refined
    return None


def _within(counts: Counter[int], low: int, high: int) -> int:
    return sum(count for interval, count in counts.items() if low <= interval <= high)


def _refined(counts: Counter[int], interval: Fraction) -> Fraction | None:
    """The interval that fits best, given about what it is."""
    pairs = [(i, round(i / interval), count) for i, count in counts.items() if i <= _LONG * interval]
    steps = sum(n * count for i, n, count in pairs if n and abs(i - n * interval) <= interval / 3)
    ticks = sum(i * count for i, n, count in pairs if n and abs(i - n * interval) <= interval / 3)
    return Fraction(ticks, steps) if steps else None


def _misses(counts: Counter[int], interval: Fraction, slack: Fraction) -> int:
    """How many intervals, long ones aside, are not multiples to within the rounding."""
    room = min(slack * Fraction(11, 10), interval / 3) if interval >= 2 else interval / 2
    return sum(
        count
        for i, count in counts.items()
        if i <= _LONG * interval and (round(i / interval) == 0 or abs(i - round(i / interval) * interval) > room)
    )


def _bounds(intervals: Iterable[int], interval: Fraction, slack: Fraction, summed: bool) -> tuple[Fraction, Fraction]:
    """Between which lengths, in ticks, the interval lies, from the longest row of intervals that fit it."""
    best, low, high, row, ticks, steps = 0, interval, interval, 0, 0, 0
    intervals = [*intervals, 0]
    counts = {one: round(one / interval) for one in set(intervals)}
    fitting = {one for one, n in counts.items() if n and abs(one - n * interval) <= interval / 3}
    for one in intervals:
        if one in fitting:
            ticks, steps, row = ticks + one, steps + counts[one], row + 1
            continue
        if steps > best:
            error = Fraction(row, 2) if summed else slack
            best, low, high = steps, (ticks - error) / steps, (ticks + error) / steps
        ticks = steps = row = 0
    return max(low, interval / 2), max(high, interval)


def _choose(low: Fraction, best: Fraction, high: Fraction, declared: Sequence[Fraction]) -> Fraction:
    """A rate between two, the most likely one."""
    for rate in (*declared, *_standard(best)):
        if low <= rate <= high:
            return rate
    return _simplest(low, high)


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator between two."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    whole -= 1
    return whole + 1 / _simplest(1 / (high - whole), 1 / (low - whole))


def _average(counts: Counter[int], tick: Fraction, declared: Sequence[Fraction]) -> Fraction:
    """A rate where no clock fits: of intervals that only jitter, pauses left out; else of all."""
    usual = median_low(counts.elements())
    short = {i: count for i, count in counts.items() if i <= _LONG * usual}
    steps = sum(round(Fraction(i, usual)) * count for i, count in short.items())
    stray = sum(count for i, count in short.items() if abs(i - round(Fraction(i, usual)) * usual) > _JITTER * usual)
    if steps and stray <= 2 * _STRAY * sum(short.values()):
        rate = steps / (sum(i * count for i, count in short.items()) * tick)
    else:
        rate = counts.total() / (sum(i * count for i, count in counts.items()) * tick)
    near = [known for known in (*declared, *_standard(rate)) if abs(known / rate - 1) <= _NEAR]
    return min(near, key=lambda known: abs(known - rate)) if near else rate.limit_denominator(1001) or rate
