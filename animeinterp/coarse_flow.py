"""The coarse flow of a pair: by segment-guided matching, or as it was given."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from animeinterp.errors import UsageError
from animeinterp.flow import resize_flow
from animeinterp.motion import Analysis, timed
from animeinterp.sgm.coarse_flow import PUBLISHED, QUICK, CoarseFlow, estimate_coarse_flow
from animeinterp.sgm.matching import match

CoarseFlows = tuple[NDArray[np.float32], NDArray[np.float32]]
Guided = tuple[list[NDArray[np.int64]], list[CoarseFlow]]  # matches and flow, 0→1 and 1→0
_DEFORMATIONS = {"published": PUBLISHED, "quick": QUICK, "none": None}


def match_segments(
    deformation: Literal["published", "quick", "none"],
    analysis0: Analysis,
    analysis1: Analysis,
    seconds: dict[str, float],
) -> Guided:
    """Match the segments of two frames, both ways, and find the flow of those that match.

    Args:
        deformation: Of `ModelConfig`.
        analysis0: Frame 0.
        analysis1: Frame 1.
        seconds: Wall time by stage, added to.

    Returns:
        Matches as in `Motion`, and flow at working size, in both directions.

    Raises:
        UsageError: An analysis holds no segments.
    """
    if not (analysis0.descriptors.size and analysis1.descriptors.size):
        raise UsageError("an analysis holds no segments to match; analyze with segment=True, or give the coarse flow")
    segments, pictures = (analysis0.segments, analysis1.segments), (analysis0.picture, analysis1.picture)
    with timed(seconds, "matching"):
        found = match(*segments, analysis0.descriptors, analysis1.descriptors)
    with timed(seconds, "coarse flow"):
        settings = _DEFORMATIONS[deformation]
        guidance01 = estimate_coarse_flow(*pictures, *segments, found.match01, settings)
        guidance10 = estimate_coarse_flow(*pictures[::-1], *segments[::-1], found.match10, settings)
    return [found.match01, found.match10], [guidance01, guidance10]


def given_flow(analysis0: Analysis, analysis1: Analysis, coarse: CoarseFlows) -> Guided:
    """Take a given coarse flow for what matching would say: no matches, no confidence in any segment.

    Args:
        analysis0: Frame 0.
        analysis1: Frame 1.
        coarse: Flow 0→1 and 1→0, float32 (2, h, w), x first, px of that size.

    Returns:
        As `match_segments`.

    Raises:
        UsageError: The flow has another shape or dtype.
    """
    for flow in coarse:
        if flow.ndim != 3 or flow.shape[0] != 2 or flow.dtype != np.float32:
            raise UsageError(f"expected coarse flow as float32 (2, h, w), got {flow.dtype} {flow.shape}")
    size, segments = analysis0.picture.shape[:2], (analysis0.segments, analysis1.segments)
    matches = [np.full(len(table), -1, np.int64) for table in segments]
    known = [np.zeros(len(table), np.float32) for table in segments]
    return matches, [CoarseFlow(resize_flow(coarse[i], size), known[i]) for i in (0, 1)]
