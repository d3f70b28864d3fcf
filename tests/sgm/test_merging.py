"""Merging and thinning equal the published code and a plain restatement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animeinterp.sgm.merging import merge_small_segments
from animeinterp.sgm.thinning import relabel_by_area, thin_lines
from animeinterp.sgm.trapped_ball import fill_trapped_ball
from support import plain_segmentation as plain
from support.drawings import draw, draw_lines, golden_frames, painted_label_maps


@golden_frames
def test_equals_golden_merged_segments(golden, index):
    with np.load(golden) as file:
        merged = merge_small_segments(file[f"fills{index}"], file[f"frame{index}"])
        assert np.array_equal(merged, file[f"merged{index}"])


@golden_frames
def test_equals_golden_labels(golden, index):
    with np.load(golden) as file:
        thinned = thin_lines(file[f"merged{index}"])
        assert_same_labels(relabel_by_area(thinned), file[f"labels{index}"])
        assert np.array_equal(relabel_by_area(thinned), plain.relabel_by_area(thinned))


def assert_same_labels(labels, golden):
    """Compare labels, except for the order of segments of equal area, which numpy's sort leaves to the processor."""
    area, golden_area = np.bincount(labels.ravel()), np.bincount(golden.ravel())
    assert np.array_equal(area, golden_area)
    pairs = np.unique(np.stack([labels.ravel(), golden.ravel()]), axis=1)
    assert pairs.shape[1] == len(area)
    assert np.array_equal(area[pairs[0]], area[pairs[1]])


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10**6))
def test_merging_of_fills_equals_plain_restatement(seed):
    frame = draw(seed)
    fills = fill_trapped_ball(draw_lines(seed + 3, frame.shape[:2]))
    assert np.array_equal(merge_small_segments(fills, frame), plain.merge_small_segments(fills, frame))


@settings(deadline=None, max_examples=60)
@given(case=painted_label_maps())
def test_merging_of_segments_in_parts_equals_plain_restatement(case):
    labels, frame = case
    assert np.array_equal(merge_small_segments(labels, frame), plain.merge_small_segments(labels, frame))


@settings(deadline=None, max_examples=60)
@given(case=painted_label_maps())
def test_thinning_and_relabeling_equal_plain_restatement(case):
    labels, _ = case
    labels = np.where(np.random.default_rng(labels.size).random(labels.shape) < 0.8, 0, labels).astype(np.int32)
    thinned = thin_lines(labels)
    assert np.array_equal(thinned, plain.thin_lines(labels))
    assert np.array_equal(relabel_by_area(thinned), plain.relabel_by_area(thinned))


def test_small_segment_joins_the_neighbor_of_the_most_similar_histogram():
    fills = np.ones((40, 60), np.int32)
    fills[:, 30:] = 2
    fills[18:24, 27:33] = 3
    frame = np.full((40, 60, 3), 90, np.uint8)
    frame[fills != 1] = np.random.default_rng(0).integers(60, 120, (np.count_nonzero(fills != 1), 3))
    assert np.array_equal(merge_small_segments(fills, frame), np.where(fills == 3, 2, fills))


def test_flat_segments_all_have_the_same_histogram():
    # Bins span each segment's own range, so any flat color is the same histogram: the first neighbor wins.
    fills = np.ones((40, 60), np.int32)
    fills[:, 30:] = 2
    fills[18:24, 27:33] = 3
    frame = np.where((fills == 1)[..., None], (200, 30, 30), (30, 30, 200)).astype(np.uint8)
    assert np.array_equal(merge_small_segments(fills, frame), np.where(fills == 3, 1, fills))


def test_large_segments_stay():
    fills = np.ones((60, 60), np.int32)
    fills[:, 30:] = 2
    assert np.array_equal(merge_small_segments(fills, np.zeros((60, 60, 3), np.uint8)), fills)


def test_speck_in_a_line_becomes_line():
    fills = np.zeros((30, 30), np.int32)
    fills[:, :10] = 1
    fills[15, 20:22] = 2
    merged = merge_small_segments(fills, np.zeros((30, 30, 3), np.uint8))
    assert np.array_equal(merged, np.where(fills == 2, 0, fills))


@pytest.mark.parametrize("gap", [3, 4])
@pytest.mark.parametrize("side", [24, 30, 36])
def test_winding_contours_are_not_points(side, gap):
    # A comb has the longest contour for its width; it must not count as a point.
    fills = np.zeros((60, 60), np.int32)
    fills[2, 2 : 2 + side] = 1
    fills[2 : 2 + side, 2 : 2 + side : gap] = 1
    assert (fills > 0).sum() < 500
    frame = np.zeros((60, 60, 3), np.uint8)
    assert np.array_equal(merge_small_segments(fills, frame), plain.merge_small_segments(fills, frame))
    assert not plain.first_contour_is_point(fills > 0)


def test_lines_thicker_than_the_layers_keep_a_core():
    fills = np.zeros((40, 420), np.int32)
    fills[:, :5] = 1
    fills[:, -5:] = 2
    thinned = thin_lines(fills)
    assert (thinned[20, 5:105] == 1).all()
    assert (thinned[20, 105:315] == 0).all()
    assert (thinned[20, 315:] == 2).all()


def test_column_and_row_zero_pass_on_no_label():
    fills = np.zeros((20, 20), np.int32)
    fills[:, 0] = 1
    assert np.array_equal(thin_lines(fills), fills)


def test_relabeling_starts_at_the_smallest():
    labels = np.full((10, 10), 7, np.int32)
    labels[0, :3] = 2
    labels[1, 0] = 0
    relabeled = relabel_by_area(labels)
    assert np.bincount(relabeled.ravel()).tolist() == [1, 3, 96]
    assert relabeled[1, 0] == 0
