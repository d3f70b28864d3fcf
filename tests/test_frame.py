from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from animeinterp.errors import FrameError, UsageError
from animeinterp.frame import check_frame, check_pair, check_time, composited, from_planes, rgb8, to_planes

LIMIT = 10_000
SHAPES = [(20, 24), (20, 24, 2), (20, 24, 3), (20, 24, 4)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_mode_and_depth_is_a_frame(shape, dtype):
    check_frame(np.zeros(shape, dtype), LIMIT)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ([[1, 2], [3, 4]], "list"),
        (np.zeros((20, 20, 3), np.float32), "float32"),
        (np.zeros((20, 20, 3), np.int16), "int16"),
        (np.zeros((20, 20, 3), ">u2"), ">u2"),
        (np.zeros((3, 20, 20), np.uint8), r"\(3, 20, 20\)"),
        (np.zeros((20, 20, 1), np.uint8), r"\(20, 20, 1\)"),
        (np.zeros((1, 20, 20, 3), np.uint8), r"\(1, 20, 20, 3\)"),
        (np.zeros((1, 1, 3), np.uint8), "1x1.*16x16"),
        (np.zeros((0, 20, 3), np.uint8), "20x0"),
        (np.zeros((101, 100), np.uint8), "100x101, 10,100 pixels; the limit is 10,000"),
    ],
)
def test_anything_else_is_refused(frame, said):
    with pytest.raises(FrameError, match=said):
        check_frame(frame, LIMIT)


@pytest.mark.parametrize(
    "other",
    [np.zeros((20, 24), np.uint8), np.zeros((24, 20, 3), np.uint8), np.zeros((20, 24, 3), np.uint16)],
)
def test_a_pair_has_one_size_mode_and_depth(other):
    frame = np.zeros((20, 24, 3), np.uint8)
    check_pair(frame, frame.copy())
    with pytest.raises(FrameError, match="8-bit RGB 24x20"):
        check_pair(frame, other)


@pytest.mark.parametrize("t", [0, 1, 0.5, Fraction(1, 3), np.float32(0.25)])
def test_times_in_range(t):
    assert check_time(t) == pytest.approx(float(t))


@pytest.mark.parametrize("t", [-1e-9, 1.0001, float("nan"), float("inf"), "0.5", None, 1j])
def test_times_out_of_range(t):
    with pytest.raises(UsageError, match=r"from 0 .* to 1"):
        check_time(t)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_opaque_value_comes_back(dtype):
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 16)
    assert np.array_equal(from_planes(to_planes(values), values), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_color_under_every_alpha_comes_back(dtype):
    top = np.iinfo(dtype).max
    steps = np.unique(np.r_[0:256, np.linspace(0, top, 300).astype(int), top]).astype(dtype)
    steps = steps[steps <= top]
    color, alpha = np.meshgrid(steps, steps[1:])
    frame = np.stack([color, alpha], axis=2)
    assert np.array_equal(from_planes(to_planes(frame), frame), frame)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4))))
def test_color_is_lost_only_where_nothing_is_seen(frame):
    back = from_planes(to_planes(frame), frame)
    seen = frame[..., 3] > 0
    assert np.array_equal(back[seen], frame[seen])
    assert not back[~seen].any()


def test_planes_are_premultiplied():
    frame = np.zeros((16, 16, 4), np.uint8)
    frame[...] = (255, 0, 0, 51)
    planes = to_planes(frame)
    assert planes.shape == (4, 16, 16)
    assert planes.dtype == np.float32
    assert np.allclose(planes[:, 0, 0], (0.2, 0, 0, 0.2))


def test_half_of_empty_and_half_of_red_is_red():
    red, empty = np.zeros((2, 16, 16, 4), np.uint8)
    red[...] = (255, 0, 0, 255)
    empty[...] = (0, 255, 0, 0)
    mixed = from_planes((to_planes(red) + to_planes(empty)) / 2, red)
    assert tuple(mixed[0, 0]) == (255, 0, 0, 128)


def test_planes_are_rounded_to_the_nearest_and_clipped():
    like = np.zeros((1, 5), np.uint8)
    planes = np.array([[[-0.2, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.5]]], np.float32)
    assert from_planes(planes, like).tolist() == [[0, 0, 1, 255, 255]]


def test_planes_of_another_size_are_refused():
    with pytest.raises(FrameError, match="channels first"):
        from_planes(np.zeros((20, 24, 3)), np.zeros((20, 24, 3), np.uint8))


def test_analysis_sees_sixteen_bits_rounded_to_eight():
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(deep.astype(np.float64) * 255 / 65535).astype(np.uint8)
    assert np.array_equal(rgb8(deep), np.stack([expected] * 3, axis=2))


def test_analysis_sees_alpha_over_mid_gray():
    frame = np.zeros((1, 3, 4), np.uint8)
    frame[0] = [(10, 200, 90, 255), (10, 200, 90, 0), (255, 0, 0, 128)]
    assert rgb8(frame).tolist() == [[[10, 200, 90], [128, 128, 128], [192, 64, 64]]]


def test_frames_are_composited_over_a_background():
    half = np.zeros((16, 16, 4), np.uint8)
    half[..., 0], half[..., 3] = 255, 51
    assert composited(half)[0, 0].tolist() == [255, 204, 204]
    levels = np.zeros((16, 16), np.int64)
    levels[0] = 100
    assert composited(half, levels)[[0, 1], 0].tolist() == [[131, 80, 80], [51, 0, 0]]
    deep = np.dstack([np.full((16, 16), 65535, np.uint16), np.full((16, 16), 32896, np.uint16)])
    assert composited(deep, 0)[0, 0].tolist() == [128, 128, 128]
    opaque = half[..., :3]
    assert np.array_equal(composited(opaque, levels), opaque)
