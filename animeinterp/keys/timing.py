"""Compute the times of new frames: t between frame 0 (t = 0) and frame 1 (t = 1).

An animator's timing chart is a line from one key drawing to the next with a mark for each in-between; where the marks
are close together, the motion is slow. n in-betweens are shown at even steps of screen time u = 1/(n+1), 2/(n+1), …; a
chart gives the fraction t of the motion that is done at u. The names are those of CSS and animation software, by how
the motion *begins* or *ends*:

    linear        t = u             even spacing
    ease-in       t = u²            starts slowly: marks are close at frame 0 (animators: "slow-out" of it)
    ease-out      t = 1 - (1-u)²    ends slowly: marks are close at frame 1 ("slow-in" to it)
    ease-in-out   t = 3u² - 2u³     starts and ends slowly

All times are exact fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from animeinterp.errors import UsageError
from animeinterp.frame import check_time

_MOTION_FRACTION: dict[str, Callable[[Fraction], Fraction]] = {
    "linear": lambda u: u,
    "ease-in": lambda u: u**2,
    "ease-out": lambda u: 1 - (1 - u) ** 2,
    "ease-in-out": lambda u: u**2 * (3 - 2 * u),
}
CHARTS = tuple(_MOTION_FRACTION)

# No exponents: Fraction("1e999999999") would compute all digits of the number.
_TIME = re.compile(r"-?(\d{1,9}(\.\d{0,15})?|\.\d{1,15}|\d{1,9}/0*[1-9]\d{0,8})")


def even_times(count: int) -> tuple[Fraction, ...]:
    """Return the times of `count` evenly spaced in-betweens: 1/(n+1), …, n/(n+1). UsageError if count < 1."""
    if count < 1:
        raise UsageError(f"expected 1 or more in-betweens, got {count}; give their number by -n")
    return tuple(Fraction(k, count + 1) for k in range(1, count + 1))


def timing_chart(chart: str, count: int) -> tuple[Fraction, ...]:
    """Compute the times of in-betweens on a timing chart.

    Args:
        chart: One of `CHARTS`.
        count: Number of in-betweens.

    Returns:
        Times in (0, 1), ascending.

    Raises:
        UsageError: The chart is unknown, or count < 1.
    """
    if chart not in _MOTION_FRACTION:
        raise UsageError(f"expected a timing chart out of {', '.join(CHARTS)}, got {chart!r}")
    return tuple(_MOTION_FRACTION[chart](u) for u in even_times(count))


def choose_times(timing: str, count: int | None = None) -> tuple[Fraction, ...]:
    """Compute the times that a timing names: a chart for a number of in-betweens, or the times themselves.

    Args:
        timing: One of `CHARTS`, or times such as `1/8,1/2,7/8`.
        count: Number of in-betweens of a chart, 1 if None; times need none, and may not contradict it.

    Returns:
        Times in [0, 1], ascending.

    Raises:
        UsageError: Neither a chart nor times, or the number of times differs from `count`.
    """
    if timing in _MOTION_FRACTION:
        return timing_chart(timing, 1 if count is None else count)
    if not timing[:1].isdigit() and timing[:1] not in ("-", "."):
        raise UsageError(f"expected a timing out of {', '.join(CHARTS)}, or times such as 1/8,1/2,7/8; got {timing!r}")
    times = parse_times(timing)
    if count is not None and count != len(times):
        raise UsageError(f"{timing} are {len(times)} times for {count} in-betweens; leave out their number, or a time")
    return times


def parse_times(text: str) -> tuple[Fraction, ...]:
    """Parse times such as `0.25,0.6` or `1/3,2/3`.

    Args:
        text: The times, separated by commas.

    Returns:
        Times in [0, 1], ascending.

    Raises:
        UsageError: A time is not a number in [0, 1], or is given twice.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not _TIME.fullmatch(word):
            raise UsageError(f"expected times from 0 to 1 separated by commas, such as 0.25,0.6, got {word!r}")
    times = [Fraction(word) for word in words]
    for time in times:
        check_time(time)
    if len(set(times)) < len(times):
        raise UsageError(f"expected each time once, got {text}; leave out the repeated ones")
    return tuple(sorted(times))
