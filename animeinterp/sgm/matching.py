"""Match the segments of two images (paper §4.1, "Matching"; docs/paper-to-code.md, 6).

The score of two segments is the affinity of their descriptors (histogram intersection), minus penalties where their
positions or sizes differ much. Two segments match when each is the other's best candidate; all others stay unmatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import Segments

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PenaltyWeights:
    """Penalties of two segments that differ; values of the paper, except where noted.

    Attributes:
        distance_threshold: Larger centroid distances are penalized, fraction of the image's diagonal. The paper gives
            0.15, the published code 0.14; the reference outputs follow the code.
        distance: Penalty per diagonal of distance.
        ratio_threshold: Larger ratios of the areas, larger to smaller, are penalized.
        ratio: Penalty per unit of that ratio.
    """

    distance_threshold: float = 0.14
    distance: float = 0.2
    ratio_threshold: float = 3.0
    ratio: float = 0.05


PENALTIES = PenaltyWeights()


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Scores and matches between the K0 segments of image 0 and the K1 segments of image 1.

    Attributes:
        score: float32 (K0, K1), affinity minus penalties; higher is better.
        match01: int64 (K0,), the matched segment of image 1, or -1.
        match10: int64 (K1,), the matched segment of image 0, or -1.
    """

    score: NDArray[np.float32]
    match01: NDArray[np.int64]
    match10: NDArray[np.int64]


@cached_njit(fastmath=True)
def _intersect_histograms(features0, features1):  # type: ignore[no-untyped-def]
    """Compute `compute_affinity` of contiguous float32 arrays."""
    count0, length = features0.shape
    count1 = features1.shape[0]
    overlap = np.empty((count0, count1), np.float32)
    for i in range(count0):
        row0 = features0[i]
        for j in range(count1):
            row1 = features1[j]
            total = np.float32(0)
            for n in range(length):
                total += min(row0[n], row1[n])
            overlap[i, j] = total
    return overlap


def compute_affinity(features0: NDArray[np.float32], features1: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the histogram intersection `A(i, j) = sum_n min(F0(i, n), F1(j, n))` (paper eq. 1).

    Args:
        features0: float32 (K0, N), non-negative, each row summing to 1.
        features1: float32 (K1, N), likewise.

    Returns:
        float32 (K0, K1) in [0, 1].
    """
    rows0, rows1 = (np.ascontiguousarray(features, np.float32) for features in (features0, features1))
    return np.asarray(_intersect_histograms(rows0, rows1))


def compute_distance_penalty(segments0: Segments, segments1: Segments, weights: PenaltyWeights = PENALTIES) -> Floats:
    """Compute the penalty for distant centroids: float64 (K0, K1), 0 up to the threshold."""
    offset = segments0.centroid[:, :, None] - segments1.centroid[:, None, :]
    distance = np.hypot(offset[0], offset[1]) / np.hypot(*segments0.labels.shape)
    return np.where(distance > weights.distance_threshold, weights.distance * distance, 0.0)


def compute_size_penalty(segments0: Segments, segments1: Segments, weights: PenaltyWeights = PENALTIES) -> Floats:
    """Compute the penalty for different areas: float64 (K0, K1), 0 up to the threshold."""
    ratio = segments0.area[:, None] / segments1.area[None, :]
    ratio = np.maximum(ratio, 1 / ratio)
    return np.where(ratio > weights.ratio_threshold, weights.ratio * ratio, 0.0)


def select_mutual_best(score: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Select the pairs in which each is the other's best candidate: those of rank sum 0 (paper §4.1).

    Args:
        score: float32 (K0, K1); of equal scores the first counts.

    Returns:
        int64 (K0,) and (K1,), the matches in both directions, -1 = none.
    """
    best01, best10 = score.argmax(1), score.argmax(0)
    match01 = np.where(best10[best01] == np.arange(len(best01)), best01, -1)
    match10 = np.where(best01[best10] == np.arange(len(best10)), best10, -1)
    return match01, match10


def match(
    segments0: Segments,
    segments1: Segments,
    features0: NDArray[np.float32],
    features1: NDArray[np.float32],
    known: Sequence[tuple[int, int]] = (),
) -> Matching:
    """Match the segments of two images of one size.

    Args:
        segments0: K0 segments of image 0.
        segments1: K1 segments of image 1.
        features0: Descriptors of `segments0`, float32 (K0, N), each row summing to 1.
        features1: Descriptors of `segments1`, float32 (K1, N), likewise.
        known: Segments that are known to belong together; they match each other and no others. Of several pairs with
            one segment the first counts.

    Returns:
        Scores and matches.
    """
    penalty = compute_distance_penalty(segments0, segments1) + compute_size_penalty(segments0, segments1)
    score = (compute_affinity(features0, features1) - penalty).astype(np.float32)
    taken0: set[int] = set()
    taken1: set[int] = set()
    for segment0, segment1 in known:
        if segment0 not in taken0 and segment1 not in taken1:
            score[segment0], score[:, segment1] = -np.inf, -np.inf
            score[segment0, segment1] = np.inf
            taken0.add(segment0)
            taken1.add(segment1)
    return Matching(score, *select_mutual_best(score))
