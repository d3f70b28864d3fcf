"""Estimating the time of the true frame of a triplet."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.data.crops import cut_crops
from animeinterp.data.pseudo_labels import fit_time
from animeinterp.data.types import Triplet

DISTANCE = 20.0  # px


def pan(fraction: float) -> np.ndarray:
    """A smooth pattern, shifted right by a fraction of the distance: uint8 (96, 96, 3)."""
    y, x = np.mgrid[:96, :96].astype(np.float64)
    x = x - fraction * DISTANCE
    waves = [np.sin(x / a + y / b + c) for a, b, c in ((5, 9, 0), (9, -7, 1), (13, 5, 2))]
    return np.uint8(np.rint(127 + 100 * np.stack(waves, -1)))


def even_flow() -> np.ndarray:
    flow = np.zeros((2, 2, 96, 96), np.float32)
    flow[0, 0], flow[1, 0] = DISTANCE, -DISTANCE
    return flow


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.68])
def test_the_time_of_an_eased_frame_is_found(fraction):
    frames = np.stack([pan(s).transpose(2, 0, 1) for s in (0, fraction, 1)])
    assert fit_time(frames, even_flow(), 0.5) == pytest.approx(fraction, abs=0.02)


def test_the_nominal_time_is_kept_without_a_better_one():
    static = np.stack([pan(0).transpose(2, 0, 1)] * 3)
    assert fit_time(static, np.zeros((2, 2, 96, 96)), 0.4) == 0.4


def test_crops_with_pseudo_labels_get_the_estimated_time():
    triplet = Triplet(pan(0), pan(0.3), pan(1), 0.5)
    assert cut_crops(triplet, np.random.default_rng(0), 64, 1)["t"] == pytest.approx([0.3], abs=0.03)


def test_crops_with_true_flow_keep_their_time():
    known = np.ones((96, 96), np.bool_)
    triplet = Triplet(pan(0), pan(0.3), pan(1), 0.5, *even_flow(), known, known)
    assert cut_crops(triplet, np.random.default_rng(0), 64, 1)["t"] == [0.5]
