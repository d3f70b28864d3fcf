"""Parse the frame rates, clock times and previews that users write, as exact fractions; describe durations."""

from __future__ import annotations

import re
from fractions import Fraction

from animeinterp.errors import UsageError

# Rates of television, n * 1000 / 1001, are written short (29.97, 23.976), and short ones doubled (47.96 is 2 x 23.98).
_SHORT_RATE = re.compile(r"\d+\.(\d*?[1-9])0*")
_RATE_TOLERANCE = Fraction(1, 5000)  # relative
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,9}(?:\.[0-9]{1,9})?)s?")
# Fraction("1e9999999") would not end, and Fraction("1/0") raises ZeroDivisionError.
_RATIO = re.compile(r"[0-9]{1,9}(?:/(?!0+\Z)[0-9]{1,9}|\.[0-9]{0,15})?|\.[0-9]{1,15}")


def parse_rate(text: str) -> Fraction:
    """Parse a frame rate.

    Args:
        text: Such as `60`, `24000/1001` or `23.976`, which is read as 24000/1001.

    Returns:
        Frames per second, above 0.

    Raises:
        UsageError: The text is not a rate.
    """
    rate = parse_positive(text, "a frame rate")
    short = _SHORT_RATE.fullmatch(text.strip())
    ntsc = Fraction(1000 * round(rate * 1001 / 1000), 1001)
    if short is None or not ntsc:
        return rate
    digits = len(short[1])
    # Two digits and more may be cut off instead of rounded: 23.97.
    rounding = Fraction(1, 10**digits) if digits > 1 else Fraction(1, 20)
    return ntsc if abs(rate - ntsc) <= max(rounding, _RATE_TOLERANCE * ntsc) else rate


def parse_span(text: str) -> tuple[Fraction, Fraction]:
    """Parse a part of a film.

    Args:
        text: Its length and where it begins: `10s@1:30`, or `10s` from the beginning on.

    Returns:
        Begin and end, s: (90, 100) and (0, 10).

    Raises:
        UsageError: The text is not a span, or the span is empty.
    """
    length, _, begin = text.partition("@")
    start = parse_clock(begin) if begin else Fraction(0)
    duration = parse_clock(length)
    if duration <= 0:
        raise UsageError(f"expected a preview longer than 0 s, such as 10s@1:30, got {text!r}")
    return start, start + duration


def parse_clock(text: str) -> Fraction:
    """Parse a time.

    Args:
        text: Such as `90`, `90.5s`, `1:30` or `01:02:03.5`.

    Returns:
        Seconds.

    Raises:
        UsageError: The text is not a time.
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"expected a time such as 90s, 1:30 or 00:01:30.5, got {text!r}")
    hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_positive(text: str, name: str) -> Fraction:
    """Parse a number above 0.

    Args:
        text: Such as `60`, `0.5` or `24000/1001`.
        name: What the number is, for the message.

    Returns:
        The exact number.

    Raises:
        UsageError: The text is not such a number.
    """
    number = Fraction(text.strip()) if _RATIO.fullmatch(text.strip()) else Fraction(0)
    if number <= 0:
        raise UsageError(f"expected {name} above 0, such as 60 or 24000/1001, got {text!r}")
    return number


def describe_duration(seconds: float) -> str:
    """Describe an estimated duration in words, no finer than an estimate is: 3 hours 20 minutes."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} seconds"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} minutes"
    hours, minutes = divmod(round(minutes, -1), 60)
    days, hours = divmod(hours, 24) if hours >= 48 else (0, hours)
    parts = [(days, "day"), (hours, "hour"), (0 if days else minutes, "minute")]
    return " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts if count)
