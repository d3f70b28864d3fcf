"""Times of the new film: exact, however long it is."""

from __future__ import annotations

from fractions import Fraction

import pytest

from animeinterp.errors import UsageError
from animeinterp.video.timeline import Grid, Holds, grid_of, parse_clock, parse_rate, parse_span, share

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
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(UsageError, match="frame rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90.5s", Fraction(181, 2)), ("1:30", 90), ("01:02:03.25", Fraction(14893, 4))]
)
def test_clock_times(text, seconds):
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "1:2:3:4", "ten", "-5", "10s@", "0s@5"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(UsageError):
        parse_span(text if "@" in text and not text.endswith("@") else text + "@x")


def test_a_span_is_a_length_at_a_time():
    assert parse_span("10s@1:30") == (90, 100)
    assert parse_span("2.5") == (0, Fraction(5, 2))


def test_without_a_wish_the_rate_is_doubled_and_slow_motion_keeps_it():
    assert grid_of(NTSC).rate == 2 * NTSC
    slow = grid_of(NTSC, slow="4")
    assert (slow.rate, slow.slow) == (NTSC, 4)
    assert grid_of(NTSC, times=3).rate == 3 * NTSC
    assert grid_of(NTSC, fps="60", slow="1.5").slow == Fraction(3, 2)


@pytest.mark.parametrize("wish", [{"fps": "60", "times": 2}, {"times": 0}, {"slow": "0"}, {"fps": "5000"}])
def test_what_cannot_be_asked_for(wish):
    with pytest.raises(UsageError):
        grid_of(Fraction(24), **wish)


def test_there_is_no_drift_over_two_hours():
    """23.976 to 60 frames per second: the last frame stands where the first one's clock says, to the last digit."""
    grid = grid_of(NTSC, fps="60")
    length = 172_627 / NTSC  # the first whole number of frames beyond two hours
    count = grid.count(length)
    assert grid.time(count - 1) < length <= grid.time(count)
    assert grid.time(432_000) == 7200
    assert all(grid.time(k) * 60 == k for k in (0, 1, 12345, 431_999))
    # A frame of the source that falls onto the grid is met exactly: after 1001 s, 24000 of its frames.
    assert grid.time(60 * 1001) == 24000 / NTSC


@pytest.mark.parametrize("slow", [1, 4, Fraction(5, 3)])
@pytest.mark.parametrize("rate", [NTSC, Fraction(60), Fraction(25), Fraction(1, 2)])
def test_the_length_is_the_sources_within_one_frame(rate, slow):
    grid = Grid(rate, Fraction(slow))
    for length in (Fraction(1, 24), Fraction(10), Fraction(100, 7)):
        assert 0 <= grid.count(length) / rate - length * slow < 1 / rate


def test_a_preview_has_its_own_frames():
    grid = grid_of(Fraction(24), fps="48", preview="2s@10")
    assert grid.count(Fraction(60)) == 96
    assert grid.time(0) == 10
    assert grid_of(Fraction(24), preview="10s@55").count(Fraction(60)) == 48 * 5
    assert grid_of(Fraction(24), preview="10s@70").count(Fraction(60)) == 0


def test_short_holds_become_motion_from_their_beginning():
    for cadence in ("auto", "keep"):
        assert Holds(cadence).begins(Fraction(1), Fraction(9, 8), Fraction(7, 6)) == 1


def test_long_holds_stand_until_shortly_before_their_end_or_to_their_end():
    time, last, until = Fraction(1), Fraction(71, 24), Fraction(3)
    assert Holds("auto").begins(time, last, until) == 3 - Fraction(1, 12)
    assert Holds("keep").begins(time, last, until) == last
    assert Holds("off").begins(time, last, until) == last
    assert Holds("auto", Fraction(5)).begins(time, last, until) == time


def test_share_runs_from_0_to_1_between_its_ends():
    assert share(Fraction(1), Fraction(2), Fraction(3)) == 0
    assert share(Fraction(5, 2), Fraction(2), Fraction(3)) == Fraction(1, 2)
