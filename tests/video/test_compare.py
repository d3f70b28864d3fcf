"""Comparison frames: labels at any size, depth and mode."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animeinterp.loading import load_interpolator
from animeinterp.video.compare import comparison_frame
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from support.films import figure, make_film, pictures

LABELS = ("source 23.976 fps", "new 60 fps")
SHAPES = [(), (2,), (3,), (4,)]


def gray_frame(height: int, width: int, tail: tuple[int, ...], dtype: type, value: float) -> np.ndarray:
    return np.full((height, width, *tail), round(value * np.iinfo(dtype).max), dtype)


@pytest.mark.parametrize("tail", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(16, 16), (17, 400), (300, 16), (64, 96), (1080, 1920)])
def test_both_sides_have_a_label_of_white_and_black(size, dtype, tail):
    frame = gray_frame(*size, tail, dtype, 0.5)
    full_scale = np.iinfo(dtype).max
    both = comparison_frame(frame, frame, Fraction(0), "side", LABELS)
    assert both.shape == (size[0], 2 * size[1], *tail)
    assert both.dtype == dtype
    for half in (both[:, : size[1]], both[:, size[1] :]):
        color = half.reshape(*size, -1)[..., :1]
        assert color.max() > 0.9 * full_scale
        assert color.min() < 0.1 * full_scale
        assert (color == frame.flat[0]).mean() > 0.3, "most of the frame is visible"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_labels_are_visible_on_any_background(value):
    frame = gray_frame(90, 160, (3,), np.uint8, value)
    both = comparison_frame(frame, frame, Fraction(0), "side", LABELS)
    assert both.min() < 30
    assert both.max() > 225


def test_labels_are_opaque_where_the_frame_is_not():
    frame = gray_frame(90, 160, (4,), np.uint8, 0)
    both = comparison_frame(frame, frame, Fraction(0), "side", LABELS)
    assert both[both[..., 0] > 200][:, 3].min() > 200
    assert (both[40:, :, 3] == 0).all()


def test_a_wipe_shows_each_label_on_its_own_side():
    frame = gray_frame(90, 400, (3,), np.uint8, 0.5)
    changed = comparison_frame(frame, frame, Fraction(1), "wipe", LABELS) != frame
    assert changed[:, :190].any()
    assert changed[:, 210:].any()
    left = comparison_frame(frame, frame, Fraction(0), "wipe", LABELS) != frame
    assert not left[:, :200].any(), "the source is hidden then"


def test_the_given_frames_stay_unchanged():
    frame = gray_frame(90, 160, (3,), np.uint8, 0.5)
    before = frame.copy()
    comparison_frame(frame, frame, Fraction(0), "side", LABELS)
    np.testing.assert_array_equal(frame, before)


def test_the_source_is_on_the_left():
    source, new = np.zeros((4, 100, 3), np.uint8), np.full((4, 100, 3), 200, np.uint8)
    both = comparison_frame(source, new, Fraction(0), "side")
    assert both.shape == (4, 200, 3)
    assert both[:, :100].max() == 0
    assert both[:, 100:].min() == 200
    assert comparison_frame(source, new, Fraction(0), "wipe").min() == 200
    half = comparison_frame(source, new, Fraction(1), "wipe")
    assert half[:, :48].max() == 0
    assert half[:, 50:].min() == 200


@pytest.mark.parametrize("how", ["side", "wipe"])
def test_labels_name_the_frame_rates(tmp_path, how):
    make_film(tmp_path / "a.mkv", [figure(2 * k, (320, 160)) for k in range(3)])
    interpolator = load_interpolator("classical", "cpu")
    for fps in ("30", "48"):
        interpolate_video(
            tmp_path / "a.mkv", tmp_path / f"{fps}.mkv", VideoOptions(fps=fps, compare=how), interpolator=interpolator
        )
    first, second = (pictures(tmp_path / f"{fps}.mkv")[0][1].astype(int) for fps in ("30", "48"))
    differ = np.abs(first - second).max(axis=2) > 60
    assert differ[:16].any(), "the labels read 30 and 48"
    assert not differ[30:].any()
