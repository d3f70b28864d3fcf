"""The confidence map marks what is wrong, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import cuda

from animeinterp import load_interpolator
from animeinterp.confidence import CONFIDENCE, compute_doubt, confidence_at, grade
from animeinterp.net.ops.backend import torch_only
from conftest import draw_scene

SIZE = (240, 160)


@pytest.fixture(scope="module")
def classical():
    return load_interpolator("classical", "cpu")


@pytest.fixture(scope="module")
def motion(classical):
    return classical.motion(*(classical.analyze(draw_scene(shift, SIZE)) for shift in (0, 16)))


def moved_along(motion, shift0, shift1):
    """Return the motion with other flow, px to the right."""
    flow01, flow10 = np.zeros_like(motion.flow01), np.zeros_like(motion.flow10)
    flow01[0], flow10[0] = shift0, shift1
    full = np.ones_like(motion.importance0)
    return replace(motion, flow01=flow01, flow10=flow10, importance0=full, importance1=full)


def test_wrong_flow_is_marked_where_the_shapes_are(motion):
    right, wrong = moved_along(motion, 16, -16), moved_along(motion, 0, 0)
    x = slice(20, 220)  # flow that leaves the frame is unknown there
    assert confidence_at(right, 0.5)[:115, x].min() > 0.99
    confidence = confidence_at(wrong, 0.5)
    differs = (motion.analysis0.frame != motion.analysis1.frame).any(2)
    assert confidence[differs].mean() < 0.5
    assert (confidence[~motion.moving] == 1).all()
    assert compute_doubt(wrong.confidence) > 10 * compute_doubt(motion.confidence)


def test_what_neither_frame_reaches_has_no_confidence(motion):
    x = np.arange(SIZE[0]) - 120
    apart = moved_along(motion, np.where(x < 0, -20, 20), np.where(x < 0, -20, 20))
    confidence = confidence_at(apart, 0.5)
    inside = motion.moving[60]
    assert inside[115:125].all()
    assert confidence[60, 115:125].max() < 0.05


def test_swapped_frames_have_the_same_confidence(motion):
    swapped = replace(
        motion,
        analysis0=motion.analysis1,
        analysis1=motion.analysis0,
        flow01=motion.flow10,
        flow10=motion.flow01,
        importance0=motion.importance1,
        importance1=motion.importance0,
    )
    np.testing.assert_allclose(confidence_at(motion, 0.3), confidence_at(swapped, 0.7), atol=1e-4)


def test_the_compiled_kernels_and_torch_agree(motion):
    with torch_only():
        plain = confidence_at(motion, 0.4)
    np.testing.assert_allclose(confidence_at(motion, 0.4), plain, atol=1e-3)


@pytest.mark.skipif(not cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_tells_the_same(motion):
    planes = [analysis.planes for analysis in (motion.analysis0, motion.analysis1)]
    first, second = (
        replace(a, planes=p.cuda()) for a, p in zip((motion.analysis0, motion.analysis1), planes, strict=True)
    )
    there = confidence_at(replace(motion, analysis0=first, analysis1=second), 0.4)
    np.testing.assert_allclose(there, confidence_at(motion, 0.4), atol=1e-3)


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint16), (3, np.uint16), (4, np.uint8)])
def test_render_returns_both_for_every_mode(classical, channels, dtype):
    frames = []
    for shift in (0, 8):
        scene = draw_scene(shift)
        planes = [*scene.transpose(2, 0, 1)] if channels > 2 else [scene.mean(2)]
        planes += [np.full(scene.shape[:2], 255)] if channels % 2 == 0 else []
        frame = np.stack(planes, 2).astype(dtype) * (257 if dtype == np.uint16 else 1)
        frames.append(frame[..., 0] if channels == 1 else frame)
    motion = classical.motion(*map(classical.analyze, frames))
    frame, confidence = classical.render(motion, 0.5, with_confidence=True)
    np.testing.assert_array_equal(frame, classical.render(motion, 0.5))
    np.testing.assert_array_equal(confidence, motion.confidence)
    assert (confidence.shape, confidence.dtype) == (frame.shape[:2], np.float32)
    assert confidence.min() >= 0
    assert 0.5 < confidence.mean() < 1


def test_a_source_frame_and_a_matte_have_full_confidence(classical):
    bars = [np.zeros((160, 160, 3), np.uint8) for _ in range(2)]
    for frame, shift in zip(bars, (0, 30), strict=True):
        frame[32:128] = np.random.default_rng(1).integers(0, 256, (96, 190, 3), np.uint8)[:, shift : shift + 160]
    motion = classical.motion(*map(classical.analyze, bars))
    assert motion.window is not None
    confidence = motion.confidence
    assert (confidence[:32] == 1).all()
    assert confidence[32:128].min() < 0.5
    assert (classical.render(motion, 0, with_confidence=True)[1] == 1).all()


def test_a_drawing_is_good_up_to_the_threshold():
    assert (grade(CONFIDENCE.max_doubt), grade(CONFIDENCE.max_doubt + 1e-6)) == ("good", "doubtful")
    confidence = np.ones((10, 10), np.float32)
    confidence[:5] = 0.5
    assert compute_doubt(confidence) == pytest.approx(0.25)
    assert compute_doubt(confidence, 0.1) == pytest.approx(0.025)
