"""Coarse flow equals that of the published code, and its limits hold."""

from pathlib import Path

import numpy as np
import pytest

from animeinterp.sgm.coarse_flow import (
    COARSE_FLOW_LIMITS,
    MIN_PATCH_SIDE,
    PATCH_MARGIN,
    PUBLISHED,
    QUICK,
    estimate_coarse_flow,
    select_valid_matches,
)
from animeinterp.sgm.matching import match
from animeinterp.sgm.segments import measure_segments

GOLDEN = [
    Path(__file__).parents[1] / "golden/sgm/draw_easy.npz",
    Path(__file__).parents[3] / "shared/golden/sgm/lottie_guitar_001_d1.npz",
]


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request):
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not found; it is in ../shared, which is not part of the repository")
    return np.load(request.param)


def test_scores_and_matches_equal_the_published_ones(golden):
    segments = [measure_segments(golden[f"labels{i}"]) for i in (0, 1)]
    for i in (0, 1):
        np.testing.assert_allclose(segments[i].centroid, golden[f"centroid{i}"], atol=1e-6)
    matching = match(*segments, golden["features0"].T, golden["features1"].T)
    np.testing.assert_allclose(matching.score, golden["score"], rtol=1e-6, atol=2e-6)
    expected = np.where(golden["ranksum01"] == 0, golden["match01"], -1)
    np.testing.assert_array_equal(matching.match01, expected)


def test_coarse_flow_equals_the_published_one(golden):
    segments = [measure_segments(golden[f"labels{i}"]) for i in (0, 1)]
    frames = [golden[f"frame{i}"] for i in (0, 1)]
    matching = match(*segments, golden["features0"].T, golden["features1"].T)
    # float16 goldens: half a unit in the last place at 250 px is 0.0625.
    flow01 = estimate_coarse_flow(*frames, *segments, matching.match01, PUBLISHED).flow
    np.testing.assert_allclose(flow01, golden["flow01"].astype(np.float32), atol=0.07)
    flow10 = estimate_coarse_flow(*frames[::-1], *segments[::-1], matching.match10, PUBLISHED).flow
    np.testing.assert_allclose(flow10, golden["flow10"].astype(np.float32), atol=0.07)


def squares(shift_x: int, shift_y: int):
    """A frame with one shaded square of 30x30 px, and its two segments: the square is segment 0."""
    frame = np.full((120, 160, 3), 200, np.uint8)
    labels = np.ones((120, 160), np.int32)
    place = slice(30 + shift_y, 60 + shift_y), slice(40 + shift_x, 70 + shift_x)
    frame[place] = (np.indices((30, 30)).sum(0) * 4)[..., None]
    labels[place] = 0
    return frame, measure_segments(labels)


@pytest.mark.parametrize("deformation", [None, QUICK, PUBLISHED])
def test_a_shifted_segment_flows_by_its_shift_and_the_rest_not_at_all(deformation):
    (frame, segments), (other, others) = squares(0, 0), squares(25, -12)
    coarse = estimate_coarse_flow(frame, other, segments, others, np.array([0, 1]), deformation)
    inside = segments.labels == 0
    np.testing.assert_allclose(coarse.flow[0][inside], 25, atol=0.3)
    np.testing.assert_allclose(coarse.flow[1][inside], -12, atol=0.3)
    assert not coarse.flow[:, ~inside].any()  # the background covers 95 % of the frame: too large to give flow
    assert coarse.confidence[0] > 0.95
    assert coarse.confidence[1] == 0


def test_flow_that_misses_the_match_is_dropped():
    frame, segments = squares(0, 0)
    labels = np.ones((120, 160), np.int32)
    labels[20:80, 60:75] = 0  # same area, twice as high, half as wide
    coarse = estimate_coarse_flow(frame, frame, segments, measure_segments(labels), np.array([0, -1]), None)
    assert not coarse.flow.any()
    assert not coarse.confidence.any()


def test_unmatched_and_far_segments_give_no_flow():
    (frame, segments), (other, others) = squares(0, 0), squares(80, 0)
    assert 80 > COARSE_FLOW_LIMITS.max_displacement * np.hypot(120, 160) > 25
    for target in (0, -1):
        coarse = estimate_coarse_flow(frame, other, segments, others, np.array([target, -1]), None)
        assert not coarse.flow.any()


def test_confidence_of_a_translation_is_its_overlap_with_the_match():
    """The translation kernel equals a comparison of the segments' masks, cut out and centered."""
    random = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        labels = np.full((200, 300), 40, np.int32)
        for cell in range(40):
            x, y = 30 * (cell % 10) + random.integers(1, 7), 40 * (cell // 10) + random.integers(1, 7)
            labels[y : y + 20 + random.integers(0, 8), x : x + 14 + random.integers(0, 6)] = cell
        labels[random.random(labels.shape) < 0.1] = 40
        sides.append(measure_segments(labels))
    segments, others = sides
    frame, same = np.zeros((200, 300, 3), np.uint8), np.arange(41)
    coarse = estimate_coarse_flow(frame, frame, segments, others, same, None)
    valid = select_valid_matches(segments, others, same)
    assert 0 < np.count_nonzero(coarse.confidence) < np.count_nonzero(valid >= 0) == 40
    for k in range(40):
        cuts = []
        for side in (segments, others):
            x0, y0, x1, y1 = side.box[:, k]
            cuts.append(side.labels[y0 : y1 + 1, x0 : x1 + 1] == k)
        size = [max(a, b, MIN_PATCH_SIDE) + PATCH_MARGIN for a, b in zip(cuts[0].shape, cuts[1].shape, strict=True)]
        centered = []
        for cut in cuts:
            top, left = ((size[i] - cut.shape[i]) // 2 for i in (0, 1))
            centered.append(np.pad(cut, ((top, size[0] - top - len(cut)), (left, size[1] - left - cut.shape[1]))))
        overlap = np.count_nonzero(centered[0] & centered[1]) / np.count_nonzero(centered[0])
        inside = segments.labels == k
        if overlap > COARSE_FLOW_LIMITS.min_overlap:
            assert coarse.confidence[k] == np.float32(overlap)
            box, target = segments.box[:, k], others.box[:, k]
            expected = (target[:2] + target[2:] - box[:2] - box[2:]) / 2
            assert (coarse.flow[:, inside] == expected[:, None]).all()
        else:
            assert coarse.confidence[k] == 0
            assert not coarse.flow[:, inside].any()
