"""Coarse flow: equal to the published code's, and what its parameters promise."""

from pathlib import Path

import numpy as np
import pytest

from animeinterp.sgm.guidance import PUBLISHED, QUICK, coarse_flow
from animeinterp.sgm.matching import affinity, match, mutual_best
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
