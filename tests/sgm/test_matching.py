"""Matching uses the affinity and penalties of the paper and finds known correspondences."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeinterp.sgm import descriptors as appearance
from animeinterp.sgm.matching import (
    compute_affinity,
    compute_distance_penalty,
    compute_size_penalty,
    match,
    select_mutual_best,
)
from animeinterp.sgm.segments import measure_segments, segment
from conftest import draw_scene


def test_affinity_is_histogram_intersection():
    random = np.random.default_rng(0)
    features0, features1 = random.random((5, 33), np.float32), random.random((7, 33), np.float32)
    expected = np.minimum(features0[:, None], features1[None]).sum(2)
    np.testing.assert_allclose(compute_affinity(features0, features1), expected, rtol=1e-5)


def two_segments(columns: int, width: int = 100, height: int = 20):
    labels = np.ones((height, width), np.int32)
    labels[:, :columns] = 0
    return measure_segments(labels)


def test_penalties_start_where_the_paper_says():
    segments0, segments1 = two_segments(10), two_segments(40)
    # centroids of the left segments: 4.5 and 19.5, 15 px apart, 0.147 diagonals
    distance = 15 / np.hypot(100, 20)
    assert compute_distance_penalty(segments0, segments1)[0, 0] == pytest.approx(0.2 * distance)
    assert compute_size_penalty(segments0, segments1)[0, 0] == pytest.approx(0.05 * 4)
    closer = two_segments(36)  # 13 px apart: no penalty; 3.6 times as large: a penalty
    assert compute_distance_penalty(segments0, closer)[0, 0] == 0
    assert compute_size_penalty(two_segments(12), closer)[0, 0] == 0


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_a_match_is_mutual_and_has_rank_sum_zero(seed, count0, count1):
    score = np.random.default_rng(seed).random((count0, count1), np.float32)
    match01, match10 = select_mutual_best(score)
    ranks0 = (-score).argsort(1).argsort(1)
    ranks1 = (-score).argsort(0).argsort(0)
    for i, j in np.ndindex(score.shape):
        assert (match01[i] == j) == (match10[j] == i) == (ranks0[i, j] + ranks1[i, j] == 0)


def test_descriptors_sum_to_one():
    frame = draw_scene(0, (240, 160))
    rows = appearance.describe(frame, segment(frame, "japanese"))
    assert rows.dtype == np.float32
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("grain", [0, 20])  # mostly flat paint, which is skipped, and none
def test_gradients_and_colors_are_pooled_pixel_by_pixel(grain):
    frame = draw_scene(0).astype(int) + np.random.default_rng(0).integers(-grain, grain + 1, (64, 96, 3))
    lab = cv2.cvtColor(frame.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2Lab)
    segments = two_segments(40, 96, 64)
    lightness = np.ascontiguousarray(lab[..., 0])
    dx, dy = cv2.Sobel(lightness, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(lightness, cv2.CV_32F, 0, 1) / 8
    gradient, color = np.zeros((2, 9)), np.zeros((2, 48))
    for y, x in np.ndindex(64, 96):
        segment = segments.labels[y, x]
        strength = min(np.hypot(dx[y, x], dy[y, x]), 32)
        angle = np.arctan2(dy[y, x], dx[y, x]) / (2 * np.pi) % 1 * 8
        gradient[segment, int(angle) % 8] += strength * (1 - angle % 1)
        gradient[segment, (int(angle) + 1) % 8] += strength * (angle % 1)
        gradient[segment, 8] += 4 * max(0, 1 - strength / 8)
        for channel, value in enumerate(lab[y, x].astype(int)):
            doubled = value if channel == 0 else np.clip(2 * (value - 128) + 128, 0, 255)
            position = doubled / 255 * 15
            low = min(int(position), 14)
            color[segment, 16 * channel + low] += 1 - (position - low)
            color[segment, 16 * channel + low + 1] += position - low
    np.testing.assert_allclose(appearance._gradient(lab, segments), gradient, rtol=1e-4, atol=0.01)
    np.testing.assert_allclose(appearance._color(lab, segments), color, rtol=1e-4, atol=0.05)


def test_moved_segments_are_found_again():
    frames = [draw_scene(shift, (240, 160)) for shift in (0, 14)]
    segments = [segment(frame, "japanese") for frame in frames]
    matching = match(*segments, *(appearance.describe(*both) for both in zip(frames, segments, strict=True)))
    for x, y in ((80, 80), (140, 60)):  # the middle of the disc and of the box
        source, target = segments[0].labels[y, x], segments[1].labels[y, x + 14]
        assert matching.match01[source] == target
        assert matching.match10[target] == source
