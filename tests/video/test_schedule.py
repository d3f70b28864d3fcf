"""The schedule: between which drawings each frame of the new film lies."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import numpy as np
import pytest

from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.timeline import Grid, HoldPolicy, schedule

NOTHING = np.zeros((16, 16, 3), np.uint8)
RATE = Fraction(24)


def drawings(*durations, cuts=()):
    """Make drawings held for these numbers of frames, 24 per second; those at the indices in `cuts` begin a shot."""
    made, number = [], 0
    for index, frames in enumerate(durations):
        time, end_time = number / RATE, (number + frames) / RATE
        made.append(Drawing(number, time, end_time - 1 / RATE, end_time, NOTHING, index in cuts))
        number += frames
    return made


def placed(frames, source):
    """Return (index of the drawing, t) of each frame."""
    return [(source.index(frame.drawing), frame.t) for frame in frames]


def test_on_ones_every_second_frame_is_new():
    source = drawings(1, 1, 1)
    frames = list(schedule(source, Grid(2 * RATE), HoldPolicy()))
    half = Fraction(1, 2)
    assert placed(frames, source) == [(0, 0), (0, half), (1, 0), (1, half), (2, 0), (2, 0)]
    assert [frame.number for frame in frames] == list(range(6))
    assert [frame.following for frame in frames] == [None, source[1], None, source[2], None, None]


def test_on_twos_motion_takes_the_whole_time():
    source = drawings(2, 2)
    frames = schedule(source, Grid(2 * RATE), HoldPolicy())
    assert [frame.t for frame in frames] == [0, Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), 0, 0, 0, 0]


def test_the_drawing_is_held_before_a_cut():
    source = drawings(2, 2, cuts=(1,))
    frames = list(schedule(source, Grid(2 * RATE), HoldPolicy()))
    assert all(frame.t == 0 for frame in frames)
    assert [frame.cut for frame in frames] == [True] * 4 + [False] * 4


def test_a_cycle_moves_into_its_first_drawing():
    source = drawings(1, 1, 1)
    frames = list(schedule(source, Grid(2 * RATE), HoldPolicy(), loop=True))
    assert frames[-1].t == Fraction(1, 2)
    assert frames[-1].following.number == 0
    assert [frame.t for frame in schedule(drawings(2), Grid(2 * RATE), HoldPolicy(), loop=True)] == [0] * 4


@pytest.mark.parametrize("begin", [0, 1, 7, 23, 47])
def test_the_schedule_is_the_same_from_any_frame_on(begin):
    source = drawings(1, 2, 3, 1, 20, 1, cuts=(3,))
    grid = Grid(Fraction(60000, 1001))
    whole = list(schedule(source, grid, HoldPolicy()))
    assert list(map(repr, schedule(source, grid, HoldPolicy(), begin=begin))) == list(map(repr, whole[begin:]))


def test_every_frame_lies_where_its_time_is():
    source = drawings(1, 2, 3, 1, 2)
    grid = Grid(Fraction(60), Fraction(3))
    frames = list(schedule(source, grid, HoldPolicy()))
    assert len(frames) == grid.count(source[-1].end_time)
    for frame in frames:
        when = grid.time(frame.number)
        assert frame.drawing.time <= when < frame.drawing.end_time
        if frame.following is not None:
            assert frame.drawing.time + frame.t * (frame.drawing.end_time - frame.drawing.time) == when


def test_a_preview_contains_its_span_only():
    source = drawings(*[1] * 48)
    frames = list(schedule(source, Grid(2 * RATE, begin=Fraction(1, 2), end=Fraction(1)), HoldPolicy()))
    assert len(frames) == 24
    assert frames[0].drawing.number == 12


def test_two_hours_are_scheduled_without_drift():
    """23.976 on twos to 60 per second: all frames, each at its time, in flat memory."""
    rate = Fraction(24000, 1001)

    def film(count):
        for k in range(count):
            time, end_time = 2 * k / rate, 2 * (k + 1) / rate
            yield Drawing(2 * k, time, time + 1 / rate, end_time, NOTHING, False)

    grid, count = Grid(Fraction(60)), 86_314
    (last,) = deque(schedule(film(count), grid, HoldPolicy(), begin=431_000), maxlen=1)
    assert last.number == grid.count(2 * count / rate) - 1
    assert last.drawing.number == 2 * (count - 1)
    assert abs(grid.time(last.number) - 2 * count / rate) < Fraction(1, 60)
