"""Fills equal the published ones and a plain restatement."""

import numpy as np
import pytest
from hypothesis import given, settings

from animeinterp.sgm import trapped_ball
from animeinterp.sgm.trapped_ball import fill_trapped_ball
from support import plain_segmentation as plain
from support.drawings import draw_lines, golden_frames, line_maps


@golden_frames
def test_equals_golden_fills(golden, index):
    with np.load(golden) as file:
        assert np.array_equal(fill_trapped_ball(file[f"fillable{index}"]), file[f"fills{index}"])


@settings(deadline=None, max_examples=150)
@given(fillable=line_maps())
def test_equals_plain_restatement(fillable):
    assert np.array_equal(fill_trapped_ball(fillable), plain.trapped_ball_fill(fillable))


@pytest.mark.parametrize(("ball_limit", "flood_limit"), [(1, 1), (2, 30), (3, 7)])
def test_limits_on_the_number_of_fills(monkeypatch, ball_limit, flood_limit):
    monkeypatch.setattr(trapped_ball, "MAX_FILLS_PER_BALL", ball_limit)
    monkeypatch.setattr(trapped_ball, "MAX_FILLS_PER_FLOOD", flood_limit)
    for seed in range(20):
        fillable = draw_lines(seed, (48, 40))
        expected = plain.trapped_ball_fill(fillable, ball_limit, flood_limit)
        assert np.array_equal(fill_trapped_ball(fillable), expected)


def test_published_limits():
    # 1600 cells of 3x3 px, and 22500 single pixels: more than either limit.
    cells = np.zeros((161, 161), np.uint8)
    for y in range(1, 4):
        for x in range(1, 4):
            cells[y::4, x::4] = 255
    areas = np.bincount(fill_trapped_ball(cells)[cells == 255])
    # The smallest ball fills a cross in 1000 cells and stops; the flood takes the corners and other cells.
    assert (areas[1:1001] == 5).all()
    assert np.bincount(areas[1001:]).tolist() == [0, 4000, 0, 0, 0, 0, 0, 0, 0, 600]
    dots = np.zeros((300, 300), np.uint8)
    dots[::2, ::2] = 255
    fills = fill_trapped_ball(dots)
    assert fills.max() == 20000
    assert ((fills == 0) & (dots == 255)).sum() == 2500


def test_ball_does_not_leak_through_a_narrow_gap():
    fillable = np.full((41, 60), 255, np.uint8)
    fillable[:, 30] = 0
    fillable[19:22, 30] = 255  # gap of 3 px: too narrow for radius 2
    fills = fill_trapped_ball(fillable)
    assert fills[20, 10] != fills[20, 50]
    fillable[10:31, 30] = 255  # wide open
    fills = fill_trapped_ball(fillable)
    assert fills[20, 10] == fills[20, 50]


def test_all_line_and_no_line():
    assert not fill_trapped_ball(np.zeros((16, 20), np.uint8)).any()
    assert (fill_trapped_ball(np.full((16, 20), 255, np.uint8)) == 1).all()
