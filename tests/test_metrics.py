"""Measures, against scikit-image."""

import numpy as np
import pytest
from skimage import metrics as reference

from animeinterp.errors import FrameError
from animeinterp.evaluation.metrics import psnr, ssim


@pytest.mark.parametrize("noise", [1, 10, 80])
def test_equal_to_scikit_image(noise):
    random = np.random.default_rng(noise)
    true = np.kron(random.integers(0, 256, (8, 9, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    drawn = np.clip(true + random.normal(0, noise, true.shape), 0, 255).astype(np.uint8)
    expected = reference.structural_similarity(
        drawn, true, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(drawn, true) == pytest.approx(expected, abs=1e-6)
    assert psnr(drawn, true) == pytest.approx(reference.peak_signal_noise_ratio(true, drawn), abs=1e-9)


def test_equal_frames_are_perfect_and_unlike_ones_refused():
    frame = np.zeros((20, 20, 3), np.uint8)
    assert psnr(frame, frame) == float("inf")
    assert ssim(frame, frame) == pytest.approx(1)
    with pytest.raises(FrameError, match="one shape"):
        psnr(frame, frame[1:])
