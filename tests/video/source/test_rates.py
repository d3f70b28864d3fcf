"""Frame rates are estimated from the intervals between frames, not from their number and the duration."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import accumulate

import pytest

from animeinterp.video.source.rates import estimate_frame_rate
from animeinterp.video.time_text import parse_rate

NTSC = Fraction(24000, 1001)
MS = Fraction(1, 1000)


def rounded(numbers, rate, tick):
    """Times of the frames of these numbers, rounded to ticks."""
    return [round(number / rate / tick) for number in numbers]


@pytest.mark.parametrize("tick", [MS, Fraction(1, 90000), Fraction(1, 12800)])
@pytest.mark.parametrize("rate", [Fraction(24), NTSC, Fraction(25, 2), Fraction(60000, 1001), Fraction(120)])
def test_a_regular_film_with_dropped_frames_and_a_pause_keeps_its_clock(rate, tick):
    numbers = [n for n in range(200) if n not in (20, 41, 42)] + list(range(700, 730))
    assert estimate_frame_rate(rounded(numbers, rate, tick), tick, []) == rate


def test_bursts_between_pauses_have_the_rate_of_the_bursts():
    numbers = [*range(30), *range(150, 180), *range(397, 420)]
    assert estimate_frame_rate(rounded(numbers, 60, MS), MS, [Fraction(20)]) == 60


def test_frames_on_twos_and_threes_have_the_rate_of_ones():
    numbers = [sum((2, 3)[k % 2] for k in range(n)) for n in range(60)]
    assert estimate_frame_rate(rounded(numbers, 24, MS), MS, []) == 24


def test_a_finer_clock_of_the_container_is_ignored():
    assert estimate_frame_rate([5 * n for n in range(40)], Fraction(1, 120), [Fraction(120)]) == 24
    assert estimate_frame_rate([10 * n for n in range(8)] + [270], Fraction(1, 100), []) == 10


def test_milliseconds_of_an_earlier_file_are_found_in_finer_ticks():
    times = [90 * ms for ms in rounded([n for n in range(50) if n != 30], NTSC, MS)]
    assert estimate_frame_rate(times, Fraction(1, 90000), []) == NTSC


def test_a_clock_that_only_jitters_has_the_usual_rate():
    noise = random.Random(0)
    times = [round(3000 * n + noise.uniform(-300, 300)) for n in range(90)]
    assert estimate_frame_rate(times, Fraction(1, 90000), []) == 30


def test_a_film_without_a_clock_has_its_average_rate():
    times = [round(1000 * n**1.7) for n in range(60)]
    rate = estimate_frame_rate(times, Fraction(1, 90000), [])
    assert abs(rate / Fraction(59 * 90000, times[-1]) - 1) < Fraction(1, 100)


def test_short_films_use_the_declared_rate():
    assert estimate_frame_rate([0, 42], MS, [NTSC]) == NTSC
    assert estimate_frame_rate([0, 42], MS, [Fraction(30)]) == 24
    assert estimate_frame_rate([0], MS, [NTSC]) == NTSC
    assert estimate_frame_rate([], MS, []) == 24


def test_errors_of_rounded_intervals_add_up():
    times = [4167 * n for n in range(20)]  # a 24th in 100,000ths, as APNG is read
    assert estimate_frame_rate(times, Fraction(1, 100000), [], summed=True) == 24


@pytest.mark.parametrize("count", [8, 12, 15, 24, 25, 30, 48, 60, 72, 90, 96, 120, 144, 240])
@pytest.mark.parametrize("digits", [2, 3, 6])
def test_abbreviated_television_rates_are_exact(count, digits):
    exact = Fraction(1000 * count, 1001)
    assert parse_rate(f"{float(exact):.{digits}f}") == exact


def test_other_rates_are_taken_literally():
    assert parse_rate("23.97") == NTSC, "cut off"
    assert parse_rate("47.96") == 2 * NTSC, "twice 23.98"
    for text in ("24", "24.0", "12.5", "12.48", "6.25", "0.1", "7.5", "24.5", "59.5"):
        assert parse_rate(text) == Fraction(text)


def test_seams_of_an_edit_list_do_not_change_the_rate():
    times = list(accumulate([500] * 9 + [300] + [500] * 9 + [300] + [500] * 9, initial=0))
    assert estimate_frame_rate(times, Fraction(1, 12_000), []) == 24
