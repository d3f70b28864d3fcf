import cv2
import numpy as np
import pytest
from drawings import drawings, golden_frames
from hypothesis import given, settings

from animeinterp.options import JAPANESE
from animeinterp.sgm import bilateral
from animeinterp.sgm.bilateral import bilateral_filter

SETTINGS = [(10, 10, 10), (10, 40, 10), (8, 1, 5), (14, 30, 7), (5, 20, 5), (30, 40, 30), (0, 10, 2), (9, 0, 3)]


@golden_frames
def test_equals_opencv_on_frames(golden, index):
    with np.load(golden) as file:
        frame = file[f"frame{index}"]
    assert np.array_equal(bilateral_filter(frame, *JAPANESE.bilateral), cv2.bilateralFilter(frame, 10, 10, 10))


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@settings(deadline=None, max_examples=15)
@given(frame=drawings())
def test_equals_opencv_on_drawings(setting, frame):
    assert np.array_equal(bilateral_filter(frame, *setting), cv2.bilateralFilter(frame, *setting))


@pytest.mark.parametrize("width", [959, 702, 333, 128])
def test_ends_of_rows_are_opencvs(width):
    random = np.random.default_rng(width)
    for _ in range(3):
        frame = cv2.GaussianBlur(random.integers(0, 256, (300, width, 3), np.uint8), (0, 0), 2)
        assert np.array_equal(bilateral_filter(frame, 10, 10, 10), cv2.bilateralFilter(frame, 10, 10, 10))


def test_opencv_is_never_shown_more_than_the_frame(monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    expected = cv2.bilateralFilter(frame, 10, 10, 10)
    shown = []
    opencv = cv2.bilateralFilter
    monkeypatch.setattr(bilateral, "_sum_again", lambda *arguments: np.arange(frame.size))
    monkeypatch.setattr(cv2, "bilateralFilter", lambda image, *rest: shown.append(image.size) or opencv(image, *rest))
    assert np.array_equal(bilateral_filter(frame, 10, 10, 10), expected)
    assert sum(shown) == frame.size
