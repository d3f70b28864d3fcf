"""Segments equal the published ones, and odd images are handled."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from test_merging import assert_same_labels

from animeinterp.config import JAPANESE, WESTERN, LineStyle
from animeinterp.errors import FrameError, UsageError
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import measure_segments, segment
from support import plain_segmentation as plain
from support.drawings import draw, drawings, golden_frames


@golden_frames
def test_equals_golden(golden, index):
    with np.load(golden) as file:
        segments = segment(file[f"frame{index}"], "japanese")
        assert_same_labels(segments.labels, file[f"labels{index}"])
        assert np.array_equal(segments.fillable, file[f"fillable{index}"])
        if f"centroid{index}" in file:
            centroid = measure_segments(file[f"labels{index}"]).centroid
            np.testing.assert_allclose(centroid, file[f"centroid{index}"], rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(frame=drawings())
def test_equals_plain_restatement_and_table_fits_labels(frame):
    for name, style in (("japanese", JAPANESE), ("western", WESTERN)):
        segments = segment(frame, name)
        expected = plain.label_map(frame, style.bilateral, style.low, style.high)
        assert np.array_equal(segments.labels, expected)
        assert segments.style == style
        assert_table_fits(segments)


def assert_table_fits(segments):
    assert segments.area.sum() == segments.labels.size
    assert (np.diff(segments.area) >= 0).all()
    for k in range(len(segments)):
        y, x = np.nonzero(segments.labels == k)
        assert segments.area[k] == len(x) > 0
        np.testing.assert_allclose(segments.centroid[:, k], (x.mean(), y.mean()), rtol=1e-12)
        assert segments.box[:, k].tolist() == [x.min(), y.min(), x.max(), y.max()]


@pytest.mark.parametrize("style", ["auto", "western", "japanese"])
@pytest.mark.parametrize("shape", [(16, 16), (16, 200), (200, 17)])
def test_flat_frame_is_one_segment(style, shape):
    segments = segment(np.full((*shape, 3), 90, np.uint8), style)
    assert len(segments) == 1
    assert segments.area.tolist() == [shape[0] * shape[1]]
    assert (segments.fillable == 255).all()


@pytest.mark.parametrize("style", ["auto", "western", "japanese"])
def test_odd_frames_never_crash(style):
    y, x = np.mgrid[:90, :70]
    checks = ((y + x) % 2 * 255).astype(np.uint8)
    stripes = (x % 2 * 255).astype(np.uint8)
    ramp = (x * 3).astype(np.uint8)
    for gray in (checks, stripes, ramp, stripes.T.copy()):
        assert_table_fits(segment(np.repeat(gray[..., None], 3, 2), style))


def test_thousands_of_segments():
    # Cells of 5 px between lines of 3 px, each of its own color, so that most do not merge.
    random = np.random.default_rng(1)
    cells = np.kron(random.integers(60, 256, (75, 75, 3)), np.ones((12, 12, 1), np.int64)).astype(np.uint8)
    cells[::12] = cells[1::12] = cells[:, ::12] = cells[:, 1::12] = 0
    segments = segment(cells, "japanese")
    assert len(segments) > 2000
    assert segments.area.sum() == segments.labels.size
    assert np.bincount(segments.labels.ravel()).min() > 0


def test_views_equal_their_copies():
    frame = draw(4)
    view = np.repeat(frame, 2, axis=1)[:, ::2]
    assert np.array_equal(segment(view, "japanese").labels, segment(frame, "japanese").labels)
    mirrored = frame[:, ::-1]
    assert np.array_equal(segment(mirrored).labels, segment(mirrored.copy()).labels)


def test_frame_is_not_written_to():
    frame = draw(9)
    frame.flags.writeable = False
    segment(frame)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((15, 40, 3), np.uint8),
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
    ],
)
def test_other_arrays_are_rejected(frame):
    with pytest.raises(FrameError, match="expected a uint8 RGB frame"):
        segment(frame)


def test_unknown_style_is_rejected():
    with pytest.raises(UsageError, match="'eastern'"):
        segment(np.zeros((20, 20, 3), np.uint8), "eastern")


def test_own_line_style():
    style = LineStyle((5, 20, 5), 5, 60)
    assert segment(draw(4), style).style is style


def test_compiles_without_a_cache_folder(monkeypatch):
    njit = numba.njit

    def no_cache(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", no_cache)
    assert cached_njit()(lambda x: x + 1)(1) == 2
