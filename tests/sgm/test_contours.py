"""The line map equals the published one, and the style follows the grain."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from animeinterp.config import JAPANESE, WESTERN, LineStyle, scale_style
from animeinterp.sgm.contours import choose_style, compute_line_map, compute_line_strength
from support import plain_segmentation as plain
from support.drawings import draw, drawings, golden_frames

STYLES = pytest.mark.parametrize("style", [WESTERN, JAPANESE], ids=["western", "japanese"])


def plain_line_map(frame, style):
    return plain.line_map(frame, style.bilateral, style.low, style.high)


@golden_frames
def test_equals_golden_line_map(golden: Path, index: int):
    with np.load(golden) as file:
        assert np.array_equal(compute_line_map(file[f"frame{index}"], JAPANESE), file[f"fillable{index}"])


@STYLES
@settings(deadline=None, max_examples=60)
@given(frame=drawings())
def test_equals_plain_restatement(style, frame):
    assert np.array_equal(compute_line_map(frame, style), plain_line_map(frame, style))


@settings(deadline=None, max_examples=20)
@given(frame=drawings())
def test_thresholds_of_a_style_are_used(frame):
    for style in (LineStyle((5, 20, 5), 5, 60), LineStyle((3, 1, 1), 0, 0), LineStyle((3, 1, 1), 50, 10)):
        assert np.array_equal(compute_line_map(frame, style), plain_line_map(frame, style))


@STYLES
def test_flat_frame_has_no_lines(style):
    frame = np.full((20, 33, 3), 117, np.uint8)
    assert not compute_line_strength(frame, style).any()
    assert (compute_line_map(frame, style) == 255).all()


def test_black_outline_is_a_line_and_paint_is_not():
    frame = np.full((60, 60, 3), (250, 200, 120), np.uint8)
    frame[:, 29:32] = 0
    fillable = compute_line_map(frame, JAPANESE)
    assert (fillable[:, 29:32] == 0).all()
    assert (fillable[:, :25] == 255).all()


def test_channel_order_does_not_matter():
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    assert np.array_equal(
        compute_line_map(frame, JAPANESE), compute_line_map(np.ascontiguousarray(frame[..., ::-1]), JAPANESE)
    )


def test_grain_chooses_the_stronger_filter():
    random = np.random.default_rng(0)
    clean = draw(4)
    assert choose_style(clean) is JAPANESE
    for deviation, style in ((0.8, JAPANESE), (4, WESTERN)):
        noisy = np.clip(np.rint(128 + random.normal(0, deviation, (80, 90, 3))), 0, 255).astype(np.uint8)
        assert choose_style(noisy) is style


def test_texture_on_less_than_half_of_the_frame_is_not_grain():
    frame = np.full((80, 80, 3), 128, np.uint8)
    frame[:35] = np.random.default_rng(0).integers(0, 256, (35, 80, 3))
    assert choose_style(frame) is JAPANESE


def test_the_filter_shrinks_with_the_image():
    assert scale_style(WESTERN, 1.0) == WESTERN
    assert scale_style(JAPANESE, 0.25).bilateral == (5, 10, 5.0)
    assert scale_style(JAPANESE, 0.01).bilateral[0] == 3, "a filter of one px would do nothing"
