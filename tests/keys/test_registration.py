"""Registered keys lie in one place; in-betweens go back to the place between."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animeinterp.hints import Hint, Hints
from animeinterp.keys.align import Placement
from animeinterp.keys.registration import register_pair
from support.scans import HEIGHT, LAY, MARGIN, WIDTH, painting, scan


@pytest.fixture(scope="module")
def scans():
    return scan(painting(2), painting(2))


def level_difference(a, b):
    return float(np.abs(a.astype(float) - b).mean())


def test_registered_keys_agree_where_nothing_moves(scans):
    pair = register_pair(scans.frame0, scans.frame1, LAY)
    inner = slice(pair.margin, -pair.margin), slice(pair.margin, -pair.margin)
    still = ~cv2.dilate(scans.figure.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    assert level_difference(scans.frame0[still], scans.frame1[still]) > 12
    assert level_difference(pair.frame0[inner][still], pair.frame1[inner][still]) < 1
    assert np.array_equal(pair.frame0[inner], scans.frame0)


def test_the_ends_are_the_keys(scans):
    pair = register_pair(scans.frame0, scans.frame1, LAY)
    assert np.array_equal(pair.place(pair.frame0, 0.0), scans.frame0)
    assert level_difference(pair.place(pair.frame1, 1.0), scans.frame1) < 1


def test_an_in_between_lies_halfway_with_half_of_the_brightness():
    sheet = painting(2)
    scans = scan(sheet, sheet, poses=(0.5, 0.5))
    pair = register_pair(scans.frame0, scans.frame1, LAY)
    half = Placement(tuple(s / 2 for s in LAY.shift), LAY.degrees / 2, tuple((1 + g) / 2 for g in LAY.gain))
    matrix = half.matrix(WIDTH, HEIGHT)
    matrix[:, 2] -= matrix[:, :2] @ np.full(2, float(MARGIN))
    true = cv2.warpAffine(sheet, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC) * np.array(half.gain)
    placed = pair.place(pair.frame0, 0.5)
    still = ~cv2.dilate(scans.figure.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    assert level_difference(placed[still], true[still]) < 1
    # Also in the strip along the border that only the later key reaches.
    strip = still.copy()
    strip[4:-4, 4:-4] = False
    assert level_difference(placed[strip], true[strip]) < 3


def test_nothing_to_undo_gives_the_keys_themselves(scans):
    pair = register_pair(scans.frame0, scans.frame1, Placement(found_by="background"))
    assert pair.frame0 is scans.frame0
    assert pair.frame1 is scans.frame1
    assert np.array_equal(pair.place(scans.frame1, 0.3), scans.frame1)


def test_hints_follow_the_keys(scans):
    pair = register_pair(scans.frame0, scans.frame1, LAY)
    spot = np.array([100.0, 80.0])
    laid = LAY.matrix(WIDTH, HEIGHT) @ [*spot, 1]
    (hint,) = pair.register_hints(Hints((Hint((tuple(spot),), (tuple(laid),)),)))
    assert hint.points0[0] == pytest.approx(spot + pair.margin)
    assert hint.points1[0] == pytest.approx(spot + pair.margin)
    hints = Hints((Hint(((3.0, 4.0),), ((5.0, 6.0),)),))
    assert register_pair(scans.frame0, scans.frame0, Placement()).register_hints(hints) is hints


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_mode_keeps_its_type_and_size(channels, dtype):
    shape = (40, 60) if channels is None else (40, 60, channels)
    frame = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    pair = register_pair(frame, frame, Placement((2.0, 1.0), 0.5, (0.9, 0.9, 0.9)))
    assert pair.frame0.shape == pair.frame1.shape
    assert pair.frame0.shape[0] > 40
    placed = pair.place(pair.frame1, 0.5)
    assert placed.shape == frame.shape
    assert placed.dtype == dtype
