"""Times of the new film are exact, however long it is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animeinterp.errors import UsageError
from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.timeline import Grid, HoldPolicy, build_grid, motion_fraction

NTSC = Fraction(24000, 1001)


def test_by_default_the_rate_is_doubled_and_slow_motion_keeps_it():
    assert build_grid(NTSC).rate == 2 * NTSC
    slow = build_grid(NTSC, slow="4")
    assert (slow.rate, slow.slow) == (NTSC, 4)
    assert build_grid(NTSC, times=3).rate == 3 * NTSC
    assert build_grid(NTSC, fps="60", slow="1.5").slow == Fraction(3, 2)


@pytest.mark.parametrize("options", [{"fps": "60", "times": 2}, {"times": 0}, {"slow": "0"}, {"fps": "5000"}])
def test_invalid_options_are_refused(options):
    with pytest.raises(UsageError):
        build_grid(Fraction(24), **options)


def test_there_is_no_drift_over_two_hours():
    """23.976 to 60 frames per second: the time of the last frame is exact."""
    grid = build_grid(NTSC, fps="60")
    length = 172_627 / NTSC  # the first whole number of frames beyond two hours
    count = grid.count(length)
    assert grid.time(count - 1) < length <= grid.time(count)
    assert grid.time(432_000) == 7200
    assert all(grid.time(k) * 60 == k for k in (0, 1, 12345, 431_999))
    # A source frame that coincides with the grid is met exactly: after 1001 s, 24000 of its frames.
    assert grid.time(60 * 1001) == 24000 / NTSC


@pytest.mark.parametrize("slow", [1, 4, Fraction(5, 3)])
@pytest.mark.parametrize("rate", [NTSC, Fraction(60), Fraction(25), Fraction(1, 2)])
def test_the_length_is_the_sources_within_one_frame(rate, slow):
    grid = Grid(rate, Fraction(slow))
    for length in (Fraction(1, 24), Fraction(10), Fraction(100, 7)):
        assert 0 <= grid.count(length) / rate - length * slow < 1 / rate


def test_a_preview_has_its_own_frames():
    grid = build_grid(Fraction(24), fps="48", preview="2s@10")
    assert grid.count(Fraction(60)) == 96
    assert grid.time(0) == 10
    assert build_grid(Fraction(24), preview="10s@55").count(Fraction(60)) == 48 * 5
    assert build_grid(Fraction(24), preview="10s@70").count(Fraction(60)) == 0


def drawing(time, last_time, end_time):
    return Drawing(0, Fraction(time), Fraction(last_time), Fraction(end_time), np.zeros((16, 16, 3), np.uint8), False)


def test_short_holds_become_motion_from_their_beginning():
    short = drawing(1, Fraction(9, 8), Fraction(7, 6))
    for cadence in ("auto", "keep"):
        assert HoldPolicy(cadence).motion_start(short) == 1


def test_motion_after_a_long_hold_starts_a_twelfth_before_its_end_or_with_its_last_frame():
    long = drawing(1, Fraction(71, 24), 3)
    assert HoldPolicy("auto").motion_start(long) == 3 - Fraction(1, 12)
    assert HoldPolicy("keep").motion_start(long) == long.last_time
    assert HoldPolicy("off").motion_start(long) == long.last_time
    assert HoldPolicy("auto", Fraction(5)).motion_start(long) == long.time


def test_motion_fraction_runs_from_0_to_1_between_its_ends():
    assert motion_fraction(Fraction(1), Fraction(2), Fraction(3)) == 0
    assert motion_fraction(Fraction(5, 2), Fraction(2), Fraction(3)) == Fraction(1, 2)
