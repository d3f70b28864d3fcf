"""Which drawings the frames of the new film lie between."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import numpy as np
import pytest

from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.timeline import Grid, HoldPolicy, schedule

NOTHING = np.zeros((16, 16, 3), np.uint8)
RATE = Fraction(24)


def drawings(*stand, cuts=()):
    """Drawings that stand for so many frames of 24 each; those of the numbers in `cuts` begin a shot."""
    made, number = [], 0
    for place, frames in enumerate(stand):
        time, until = number / RATE, (number + frames) / RATE
        made.append(Drawing(number, time, until - 1 / RATE, until, NOTHING, place in cuts))
        number += frames
    return made


def seen(cels, source):
    """(place of the drawing, t) of each frame."""
    return [(source.index(cel.drawing), cel.t) for cel in cels]


def test_on_ones_every_second_frame_is_new():
    source = drawings(1, 1, 1)
    cels = list(schedule(source, Grid(2 * RATE), HoldPolicy()))
    half = Fraction(1, 2)
    assert seen(cels, source) == [(0, 0), (0, half), (1, 0), (1, half), (2, 0), (2, 0)]
    assert [cel.number for cel in cels] == list(range(6))
    assert [cel.following for cel in cels] == [None, source[1], None, source[2], None, None]


def test_on_twos_motion_takes_the_whole_time():
    source = drawings(2, 2)
    cels = schedule(source, Grid(2 * RATE), HoldPolicy())
    assert [cel.t for cel in cels] == [0, Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), 0, 0, 0, 0]


def test_before_a_cut_the_drawing_stands():
    source = drawings(2, 2, cuts=(1,))
    cels = list(schedule(source, Grid(2 * RATE), HoldPolicy()))
    assert all(cel.t == 0 for cel in cels)
    assert [cel.cut for cel in cels] == [True] * 4 + [False] * 4


def test_a_cycle_moves_into_its_first_drawing():
    source = drawings(1, 1, 1)
    cels = list(schedule(source, Grid(2 * RATE), HoldPolicy(), loop=True))
    assert cels[-1].t == Fraction(1, 2)
    assert cels[-1].following.number == 0
    assert [cel.t for cel in schedule(drawings(2), Grid(2 * RATE), HoldPolicy(), loop=True)] == [0] * 4


@pytest.mark.parametrize("begin", [0, 1, 7, 23, 47])
def test_from_any_frame_on_it_is_the_same(begin):
    source = drawings(1, 2, 3, 1, 20, 1, cuts=(3,))
    grid = Grid(Fraction(60000, 1001))
    whole = list(schedule(source, grid, HoldPolicy()))
    assert list(map(repr, schedule(source, grid, HoldPolicy(), begin=begin))) == list(map(repr, whole[begin:]))


def test_every_frame_stands_where_its_time_is():
    source = drawings(1, 2, 3, 1, 2)
    grid = Grid(Fraction(60), Fraction(3))
    cels = list(schedule(source, grid, HoldPolicy()))
    assert len(cels) == grid.count(source[-1].end_time)
    for cel in cels:
        when = grid.time(cel.number)
        assert cel.drawing.time <= when < cel.drawing.end_time
        if cel.following is not None:
            assert cel.drawing.time + cel.t * (cel.drawing.end_time - cel.drawing.time) == when


def test_a_preview_ends_where_it_should():
    source = drawings(*[1] * 48)
    cels = list(schedule(source, Grid(2 * RATE, begin=Fraction(1, 2), end=Fraction(1)), HoldPolicy()))
    assert len(cels) == 24
    assert cels[0].drawing.number == 12


def test_two_hours_are_scheduled_without_drift():
    """23.976 on twos to 60 per second: all frames, each at its time, in flat memory."""
    rate = Fraction(24000, 1001)

    def film(count):
        for k in range(count):
            time, until = 2 * k / rate, 2 * (k + 1) / rate
            yield Drawing(2 * k, time, time + 1 / rate, until, NOTHING, False)

    grid, count = Grid(Fraction(60)), 86_314
    (last,) = deque(schedule(film(count), grid, HoldPolicy(), begin=431_000), maxlen=1)
    assert last.number == grid.count(2 * count / rate) - 1
    assert last.drawing.number == 2 * (count - 1)
    assert abs(grid.time(last.number) - 2 * count / rate) < Fraction(1, 60)
