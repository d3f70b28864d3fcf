"""Pseudo-ground-truth flow from the true middle frame."""

from __future__ import annotations

import cv2
import numpy as np

from animeinterp import load_interpolator
from animeinterp.data.pseudo_labels import LIMITS, pseudo_label_flow
from animeinterp.data.types import Triplet

SIZE = 192, 160
STEP = 24  # px from frame to frame


def scene(shift):
    """A patterned disc on a patterned background, shifted right by `shift` px."""
    random = np.random.default_rng(1)
    background = cv2.resize(random.integers(60, 200, (10, 12, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    disc = cv2.resize(random.integers(0, 256, (9, 9, 3), np.uint8), (61, 61), interpolation=cv2.INTER_NEAREST)
    inside = np.hypot(*np.mgrid[-30:31, -30:31]) <= 28
    region = background[50:111, 10 + shift : 71 + shift]
    region[inside] = disc[inside]
    return background


def test_missed_motion_is_found_through_the_middle_frame():
    frames = [scene(shift) for shift in (0, STEP, 2 * STEP)]
    nothing = np.zeros((2, *SIZE[::-1]), np.float32)
    flow, known = pseudo_label_flow(load_interpolator("classical", "cpu"), Triplet(*frames, 0.5), nothing, nothing)
    disc = np.hypot(*np.mgrid[-80:80, -40:152]) <= 20
    assert flow.shape == (2, 2, 160, 192)
    assert known[0][disc].mean() > 0.95
    assert np.abs(flow[0][:, disc] - np.array([[2 * STEP], [0]])).mean() < 1
    assert np.abs(flow[0][:, :30]).max() < 1, "the background is static"
    assert known[0][:30].all()
    covered = np.hypot(*np.mgrid[-80:80, -40 - 2 * STEP : 152 - 2 * STEP]) <= 24
    assert known[0][covered & ~disc].mean() < 0.3, "covered background has no match"


def test_a_wrong_flow_is_replaced_or_unknown():
    frames = scene(0), scene(0), scene(2 * STEP)
    wrong = np.zeros((2, 2, *SIZE[::-1]), np.float32)
    _, known = pseudo_label_flow(load_interpolator("classical", "cpu"), Triplet(*frames, 0.5), *wrong)
    assert LIMITS.max_error < 64
    disc = np.hypot(*np.mgrid[-80:80, -40:152]) <= 20
    static = np.hypot(*np.mgrid[-80:80, -40:152]) > 100
    assert known[0][static].all()
    assert known[0][disc].mean() > 0.5, "it is found through the middle frame, where it has not moved yet"
