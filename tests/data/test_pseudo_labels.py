"""What the true middle frame tells of the motion between its neighbors."""

from __future__ import annotations

import cv2
import numpy as np

from animeinterp import load_interpolator
from animeinterp.data.pseudo_labels import AGREES, pseudo_label_flow

SIZE = 192, 160
STEP = 24  # px from frame to frame


def scene(shift):
    """A patterned disc on a patterned ground, `shift` px to the right."""
    random = np.random.default_rng(1)
    ground = cv2.resize(random.integers(60, 200, (10, 12, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    disc = cv2.resize(random.integers(0, 256, (9, 9, 3), np.uint8), (61, 61), interpolation=cv2.INTER_NEAREST)
    inside = np.hypot(*np.mgrid[-30:31, -30:31]) <= 28
    place = ground[50:111, 10 + shift : 71 + shift]
    place[inside] = disc[inside]
    return ground


def test_motion_that_was_missed_is_found_by_way_of_the_middle():
    frames = tuple(scene(shift) for shift in (0, STEP, 2 * STEP))
    nothing = np.zeros((2, *SIZE[::-1]), np.float32)
    flow, known = pseudo_label_flow(load_interpolator("classical", "cpu"), frames, 0.5, (nothing, nothing))
    disc = np.hypot(*np.mgrid[-80:80, -40:152]) <= 20
    assert flow.shape == (2, 2, 160, 192)
    assert known[0][disc].mean() > 0.95
    assert np.abs(flow[0][:, disc] - np.array([[2 * STEP], [0]])).mean() < 1
    assert np.abs(flow[0][:, :30]).max() < 1, "the ground stands"
    assert known[0][:30].all()
    covered = np.hypot(*np.mgrid[-80:80, -40 - 2 * STEP : 152 - 2 * STEP]) <= 24
    assert known[0][covered & ~disc].mean() < 0.3, "ground that is covered is found nowhere"


def test_a_flow_that_leads_astray_is_not_known():
    frames = scene(0), scene(0), scene(2 * STEP)
    wrong = np.zeros((2, 2, *SIZE[::-1]), np.float32)
    _, known = pseudo_label_flow(load_interpolator("classical", "cpu"), frames, 0.5, (wrong[0], wrong[1]))
    assert AGREES < 64
    disc = np.hypot(*np.mgrid[-80:80, -40:152]) <= 20
    still = np.hypot(*np.mgrid[-80:80, -40:152]) > 100
    assert known[0][still].all()
    assert known[0][disc].mean() > 0.5, "by way of the middle it is found: there it stood still at first"
