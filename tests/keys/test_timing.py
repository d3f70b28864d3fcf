from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeinterp.errors import UsageError
from animeinterp.keys.timing import CHARTS, choose_times, even_times, parse_times, timing_chart


def test_even_times_are_exact():
    assert even_times(1) == (Fraction(1, 2),)
    assert even_times(3) == (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))


def test_charts_crowd_where_their_name_says():
    assert timing_chart("linear", 3) == even_times(3)
    assert timing_chart("ease-in", 3) == (Fraction(1, 16), Fraction(1, 4), Fraction(9, 16))
    assert timing_chart("ease-out", 3) == (Fraction(7, 16), Fraction(3, 4), Fraction(15, 16))
    assert timing_chart("ease-in-out", 3) == (Fraction(5, 32), Fraction(1, 2), Fraction(27, 32))


@given(st.sampled_from(CHARTS), st.integers(1, 60))
def test_charts_ascend_inside_the_pair(chart, count):
    times = timing_chart(chart, count)
    assert len(set(times)) == count
    assert list(times) == sorted(times)
    assert times[0] > 0
    assert times[-1] < 1


@given(st.integers(1, 60))
def test_ease_out_is_ease_in_backwards(count):
    assert timing_chart("ease-out", count) == tuple(1 - t for t in reversed(timing_chart("ease-in", count)))
    assert timing_chart("ease-in-out", count) == tuple(1 - t for t in reversed(timing_chart("ease-in-out", count)))


@pytest.mark.parametrize("count", [0, -1])
def test_less_than_one_in_between(count):
    with pytest.raises(UsageError, match="1 or more"):
        even_times(count)


def test_unknown_chart():
    with pytest.raises(UsageError, match="linear, ease-in"):
        timing_chart("bounce", 3)


def test_times_are_read_and_put_in_order():
    assert parse_times("0.6, 0.25") == (Fraction(1, 4), Fraction(3, 5))
    assert parse_times("1/3,0,1,.5") == (0, Fraction(1, 3), Fraction(1, 2), 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5,",
        "nan",
        "inf",
        "2",
        "-0.1",
        "1e-3",
        "1e999999999",
        "0,5x",
        "1/0",
        "3/2",
        "0.5,0.50",
        "9" * 5000,
    ],
)
def test_times_that_cannot_be(text):
    with pytest.raises(UsageError, match="expected"):
        parse_times(text)


def test_a_timing_is_a_chart_or_its_times():
    assert choose_times("ease-in", 3) == timing_chart("ease-in", 3)
    assert choose_times("1/8,1/2,7/8") == choose_times("7/8,1/2,.125", 3)
    with pytest.raises(UsageError, match="3 times for 2"):
        choose_times("1/8,1/2,7/8", 2)
    with pytest.raises(UsageError, match="out of linear"):
        choose_times("bounce")
