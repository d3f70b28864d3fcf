"""Rates, times and spans as users write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from animeinterp.errors import UsageError
from animeinterp.video.time_text import parse_clock, parse_rate, parse_span

NTSC = Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", 60),
        ("24000/1001", NTSC),
        ("23.976", NTSC),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates_are_exact(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-24", "fast", "1/0", "nan"])
def test_invalid_rates_are_refused(text):
    with pytest.raises(UsageError, match="frame rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90.5s", Fraction(181, 2)), ("1:30", 90), ("01:02:03.25", Fraction(14893, 4))]
)
def test_clock_times(text, seconds):
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2:3:4", "ten", "-5", "10s@", "0s@5"])
def test_invalid_spans_are_refused(text):
    with pytest.raises(UsageError):
        parse_span(text if "@" in text and not text.endswith("@") else text + "@x")


def test_a_span_is_a_length_at_a_time():
    assert parse_span("10s@1:30") == (90, 100)
    assert parse_span("2.5") == (0, Fraction(5, 2))
