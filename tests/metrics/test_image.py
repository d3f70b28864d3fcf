"""Measures, compared with scikit-image and plain implementations."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import metrics as reference

from animeinterp.errors import FrameError
from animeinterp.metrics.chamfer import line_distance, line_map
from animeinterp.metrics.image import ie, measure, psnr, ssim, ssim_atd
from conftest import draw_scene


@pytest.fixture(params=[1, 10, 80])
def frames(request):
    """A drawn and a true frame, 72x64."""
    random = np.random.default_rng(request.param)
    true = np.kron(random.integers(0, 256, (8, 9, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return np.clip(true + random.normal(0, request.param, true.shape), 0, 255).astype(np.uint8), true


def test_psnr_and_ssim_are_equal_to_scikit_image(frames):
    drawn, true = (frame / 255 for frame in frames)
    expected = reference.structural_similarity(
        drawn, true, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
    )
    assert ssim(*frames) == pytest.approx(expected, abs=1e-6)
    assert psnr(*frames) == pytest.approx(reference.peak_signal_noise_ratio(true, drawn, data_range=1), abs=1e-6)


def test_ssim_atd_is_what_the_published_script_gets_from_scikit_image(frames):
    drawn, true = (frame / 255 for frame in frames)
    expected = reference.structural_similarity(
        drawn, true, win_size=7, data_range=2, channel_axis=2, gaussian_weights=False
    )
    assert ssim_atd(*frames) == pytest.approx(expected, abs=1e-6)
    assert ssim_atd(*frames) != pytest.approx(ssim(*frames), abs=1e-4)


def test_interpolation_error_is_the_mean_distance_of_colors():
    true = np.zeros((16, 20, 3), np.uint8)
    drawn = true.copy()
    drawn[:4] = (2, 3, 6)  # 7 away, on a quarter of the frame
    assert ie(drawn, true) == pytest.approx(7 / 4)
    assert ie(true + 255, true) == pytest.approx(255 * 3**0.5)


def plain_chamfer(drawn, true):
    """The definition of EISAI's paper and code, by SciPy."""

    def line_map(frame):
        gray = (frame / 255) @ (0.299, 0.587, 0.114)
        narrow, wide = (
            ndimage.gaussian_filter(gray, sigma, radius=radius, mode="nearest") for sigma, radius in ((1, 4), (1.6, 6))
        )
        return 0.5 + 2 * (wide - narrow) - 0.01 > 0.5

    a, b = line_map(drawn), line_map(true)
    to_a, to_b = (ndimage.distance_transform_edt(~one) for one in (a, b))
    return ((a * to_b).mean() + (b * to_a).mean()) / 2 / np.hypot(*a.shape)


def test_chamfer_distance_is_that_of_eisai():
    for shift in (1, 5):
        drawn, true = draw_scene(shift), draw_scene(0)
        distance = measure(drawn, true).chamfer
        # float32 distances would differ by 1e-7, and between runs
        assert distance == pytest.approx(plain_chamfer(drawn, true), rel=1e-9)
        assert distance > 0
        assert distance == pytest.approx(measure(true, drawn).chamfer)


def test_lines_are_darker_than_their_surroundings():
    frame = np.full((40, 60, 3), 200, np.uint8)
    cv2.line(frame, (10, 20), (50, 20), (0, 0, 0), 2)
    lines = line_map(frame)
    assert lines[20, 12:48].all()
    assert not lines[:15].any()
    assert not line_map(np.full((20, 20, 3), 90, np.uint8)).any()


def test_chamfer_distance_of_a_worked_example_at_two_sizes():
    a, b = np.zeros((2, 30, 40), np.bool_)
    a[10, :], b[13, :] = True, True
    expected = 3 * 40 / (30 * 40) / 50  # 40 of 1200 pixels, 3 px away, on a diagonal of 50
    assert line_distance(a, b) == pytest.approx(expected, rel=1e-12)
    a[20:], b[20:] = False, False
    nothing = np.zeros_like(a)
    assert line_distance(a, nothing) == pytest.approx(40 / 1200 / 2), "without lines every pixel is a diagonal away"
    assert line_distance(nothing, nothing) == 0


def test_equal_frames_are_perfect_and_other_shapes_are_refused():
    frame = draw_scene(3)
    assert psnr(frame, frame) == float("inf")
    assert ssim(frame, frame) == pytest.approx(1)
    assert ssim_atd(frame, frame) == pytest.approx(1)
    perfect = measure(frame, frame)
    assert (perfect.ie, perfect.chamfer, perfect.lpips) == (0, 0, None)
    for function in (psnr, ssim, ssim_atd, ie):
        with pytest.raises(FrameError, match="one shape"):
            function(frame, frame[1:])
    with pytest.raises(FrameError, match="at least 7x7"):
        ssim_atd(frame[:6], frame[:6])
