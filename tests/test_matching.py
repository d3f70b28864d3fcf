"""Matching: the affinity and penalties of the paper, and that known correspondences are found."""

import numpy as np
import pytest
from conftest import draw_scene
from hypothesis import given
from hypothesis import strategies as st

from animeinterp.sgm import appearance
from animeinterp.sgm.matching import affinity, distance_penalty, match, mutual_best, size_penalty
from animeinterp.sgm.pieces import pieces_of, segment


def test_affinity_is_histogram_intersection():
    random = np.random.default_rng(0)
    features0, features1 = random.random((5, 33), np.float32), random.random((7, 33), np.float32)
    expected = np.minimum(features0[:, None], features1[None]).sum(2)
    np.testing.assert_allclose(affinity(features0, features1), expected, rtol=1e-5)


def two_pieces(columns: int, width: int = 100, height: int = 20):
    labels = np.ones((height, width), np.int32)
    labels[:, :columns] = 0
    return pieces_of(labels)


def test_penalties_start_where_the_paper_says():
    pieces0, pieces1 = two_pieces(10), two_pieces(40)
    # centroids of the left pieces: 4.5 and 19.5, 15 px apart, 0.147 diagonals
    far = 15 / np.hypot(100, 20)
    assert distance_penalty(pieces0, pieces1)[0, 0] == pytest.approx(0.2 * far)
    assert size_penalty(pieces0, pieces1)[0, 0] == pytest.approx(0.05 * 4)
    nearer = two_pieces(36)  # 13 px apart: free; 3.6 times as large: not free
    assert distance_penalty(pieces0, nearer)[0, 0] == 0
    assert size_penalty(two_pieces(12), nearer)[0, 0] == 0


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_a_match_is_mutual_and_has_rank_sum_zero(seed, count0, count1):
    score = np.random.default_rng(seed).random((count0, count1), np.float32)
    match01, match10 = mutual_best(score)
    ranks0 = (-score).argsort(1).argsort(1)
    ranks1 = (-score).argsort(0).argsort(0)
    for i, j in np.ndindex(score.shape):
        assert (match01[i] == j) == (match10[j] == i) == (ranks0[i, j] + ranks1[i, j] == 0)


def test_descriptors_are_shares():
    frame = draw_scene(0, (240, 160))
    rows = appearance.describe(frame, segment(frame, "japanese"))
    assert rows.dtype == np.float32
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


def test_moved_pieces_are_found_again():
    frames = [draw_scene(shift, (240, 160)) for shift in (0, 14)]
    pieces = [segment(frame, "japanese") for frame in frames]
    found = match(*pieces, *(appearance.describe(*both) for both in zip(frames, pieces, strict=True)))
    for x, y in ((80, 80), (140, 60)):  # the middle of the disc and of the box
        here, there = pieces[0].labels[y, x], pieces[1].labels[y, x + 14]
        assert found.match01[here] == there
        assert found.match10[there] == here
