"""Coarse flow: equal to the published code's, and what its parameters promise."""

from pathlib import Path

import numpy as np
import pytest

from animeinterp.sgm.guidance import MAX_DISPLACEMENT, PUBLISHED, QUICK, coarse_flow
from animeinterp.sgm.matching import match
from animeinterp.sgm.pieces import pieces_of

GOLDEN = [
    Path(__file__).parent / "golden/sgm/draw_easy.npz",
    Path(__file__).parents[2] / "shared/golden/sgm/lottie_guitar_001_d1.npz",
]


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request):
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not here; it lies in ../shared, which is not part of the repository")
    return np.load(request.param)


def test_scores_and_matches_equal_the_published_ones(golden):
    pieces = [pieces_of(golden[f"labels{i}"]) for i in (0, 1)]
    for i in (0, 1):
        np.testing.assert_allclose(pieces[i].centroid, golden[f"centroid{i}"], atol=1e-6)
    found = match(*pieces, golden["features0"].T, golden["features1"].T)
    np.testing.assert_allclose(found.score, golden["score"], rtol=1e-6, atol=2e-6)
    expected = np.where(golden["ranksum01"] == 0, golden["match01"], -1)
    np.testing.assert_array_equal(found.match01, expected)


def test_coarse_flow_equals_the_published_one(golden):
    pieces = [pieces_of(golden[f"labels{i}"]) for i in (0, 1)]
    frames = [golden[f"frame{i}"] for i in (0, 1)]
    found = match(*pieces, golden["features0"].T, golden["features1"].T)
    # float16 goldens: half a unit in the last place at 250 px is 0.0625.
    flow01 = coarse_flow(*frames, *pieces, found.match01, PUBLISHED).flow
    np.testing.assert_allclose(flow01, golden["flow01"].astype(np.float32), atol=0.07)
    flow10 = coarse_flow(*frames[::-1], *pieces[::-1], found.match10, PUBLISHED).flow
    np.testing.assert_allclose(flow10, golden["flow10"].astype(np.float32), atol=0.07)


def squares(shift_x: int, shift_y: int):
    """A frame with one shaded square of 30x30 px, and its two pieces: the square is piece 0."""
    frame = np.full((120, 160, 3), 200, np.uint8)
    labels = np.ones((120, 160), np.int32)
    place = slice(30 + shift_y, 60 + shift_y), slice(40 + shift_x, 70 + shift_x)
    frame[place] = (np.indices((30, 30)).sum(0) * 4)[..., None]
    labels[place] = 0
    return frame, pieces_of(labels)


@pytest.mark.parametrize("deformation", [None, QUICK, PUBLISHED])
def test_a_shifted_piece_flows_by_its_shift_and_the_rest_not_at_all(deformation):
    (frame, pieces), (other, others) = squares(0, 0), squares(25, -12)
    guidance = coarse_flow(frame, other, pieces, others, np.array([0, 1]), deformation)
    inside = pieces.labels == 0
    np.testing.assert_allclose(guidance.flow[0][inside], 25, atol=0.3)
    np.testing.assert_allclose(guidance.flow[1][inside], -12, atol=0.3)
    assert not guidance.flow[:, ~inside].any()  # the ground has 95 % of the frame: too large to guide
    assert guidance.confidence[0] > 0.95
    assert guidance.confidence[1] == 0


def test_a_flow_that_misses_its_match_is_dropped():
    frame, pieces = squares(0, 0)
    labels = np.ones((120, 160), np.int32)
    labels[20:80, 60:75] = 0  # same area, twice as high, half as wide
    guidance = coarse_flow(frame, frame, pieces, pieces_of(labels), np.array([0, -1]), None)
    assert not guidance.flow.any()
    assert not guidance.confidence.any()


def test_unmatched_and_far_pieces_give_no_flow():
    (frame, pieces), (other, others) = squares(0, 0), squares(80, 0)
    assert 80 > MAX_DISPLACEMENT * np.hypot(120, 160) > 25
    for there in (0, -1):
        guidance = coarse_flow(frame, other, pieces, others, np.array([there, -1]), None)
        assert not guidance.flow.any()
