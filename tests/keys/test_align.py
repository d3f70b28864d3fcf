"""Scans are registered by what does not move: peg holes or background, never the figure."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.keys.align import Placement, find_placement
from support.scans import LAY, PAPER, corner_error, painting, paper, scan, with_holes

FLAT = np.broadcast_to(PAPER, paper(0).shape).copy()


@pytest.mark.parametrize(
    ("sheets", "found_by"),
    [
        ((with_holes(paper(0)), with_holes(paper(1))), "peg holes"),
        ((painting(2), painting(2)), "background"),
        ((paper(3, 4.0), paper(3, 4.0)), "background"),
    ],
    ids=["peg holes", "painting", "one texture of paper"],
)
def test_shift_angle_and_brightness_are_found(sheets, found_by):
    scans = scan(*sheets)
    found = find_placement(scans.frame0, scans.frame1)
    assert found.found_by == found_by
    assert corner_error(Placement(), LAY) > 7
    assert corner_error(found, LAY) < 0.4
    assert found.gain == pytest.approx(LAY.gain, abs=0.01)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_peg_holes_may_lie_on_any_side(turns):
    scans = scan(with_holes(paper(0)), with_holes(paper(1)))
    upright = find_placement(scans.frame0, scans.frame1)
    turned = find_placement(*(np.ascontiguousarray(np.rot90(f, turns)) for f in (scans.frame0, scans.frame1)))
    assert turned.found_by == "peg holes"
    assert turned.degrees == pytest.approx(upright.degrees, abs=0.01)
    assert np.hypot(*turned.shift) == pytest.approx(np.hypot(*upright.shift), abs=0.02)


@pytest.mark.parametrize("sheets", [(FLAT, FLAT), (paper(0), paper(1))], ids=["flat", "two sheets"])
def test_plain_paper_is_left_in_place_though_the_figure_moves(sheets):
    scans = scan(*sheets, lay=Placement(gain=LAY.gain), poses=(0.5, 0.5))
    found = find_placement(scans.frame0, scans.frame1)
    assert not found.moves
    assert found.found_by == "nothing"
    assert found.gain == pytest.approx(LAY.gain, abs=0.01)
    assert "left alone" in found.describe()


def test_keys_in_one_place_stay_there():
    scans = scan(painting(2), painting(2), lay=Placement())
    found = find_placement(scans.frame0, scans.frame1)
    assert found.found_by == "background"
    assert not found.moves
    assert not found.brightens


def test_a_larger_shift_is_another_scene():
    scans = scan(painting(2), painting(2), lay=Placement((31.0, 4.0)))
    assert not find_placement(scans.frame0, scans.frame1).moves


def test_the_placement_is_described():
    text = Placement((4.25, -1.0), 0.312, (0.95, 0.95, 0.9), "peg holes").describe()
    assert text.startswith("moved 4.2 px right and 1.0 px up, turned 0.31° clockwise, found by peg holes")
    assert "0.950, 0.950, 0.900" in text


def test_16_bits_and_alpha_give_the_same_placement():
    scans = scan(with_holes(paper(0)), with_holes(paper(1)))
    deep = [frame.astype(np.uint16) * 257 for frame in (scans.frame0, scans.frame1)]
    opaque = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in (scans.frame0, scans.frame1)]
    expected = find_placement(scans.frame0, scans.frame1)
    assert find_placement(*deep) == find_placement(*opaque) == expected
