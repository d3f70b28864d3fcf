"""The SGM step as a whole: from two analyses to matches and coarse flow in both directions (paper §4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Deformation
from animeinterp.errors import UsageError
from animeinterp.flow import resize_flow
from animeinterp.motion import Analysis, timed
from animeinterp.sgm.coarse_flow import PUBLISHED, QUICK, CoarseFlow, estimate_coarse_flow
from animeinterp.sgm.matching import match

CoarseFlows = tuple[NDArray[np.float32], NDArray[np.float32]]
_DEFORMATIONS = {"published": PUBLISHED, "quick": QUICK, "translation": None}


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMatches:
    """Segments of two frames that correspond, and the flow that follows from them.

    Attributes:
        match01: Match of each segment of frame 0 in frame 1, int64 (K0,), -1 = none.
        match10: Match of each segment of frame 1 in frame 0, int64 (K1,).
        coarse01: Flow 0→1 at working size with the confidence of each segment.
        coarse10: Flow 1→0.
        seconds: Wall time per stage.
    """

    match01: NDArray[np.int64]
    match10: NDArray[np.int64]
    coarse01: CoarseFlow
    coarse10: CoarseFlow
    seconds: dict[str, float] = field(default_factory=dict)


def match_segments(
    analysis0: Analysis, analysis1: Analysis, deformation: Deformation, known: Sequence[tuple[int, int]] = ()
) -> SegmentMatches:
    """Match the segments of two frames and estimate the flow of those that match.

    DIS flow depends on OpenCV's number of threads.

    Args:
        analysis0: Frame 0.
        analysis1: Frame 1, segmented in the same style.
        deformation: Of `SgmConfig`.
        known: Segments that are known to belong together, see `sgm.matching.match`.

    Returns:
        Matches and flow in both directions.

    Raises:
        UsageError: An analysis holds no segments.
    """
    if not (analysis0.descriptors.size and analysis1.descriptors.size):
        raise UsageError("an analysis holds no segments to match; analyze with segment=True, or give the coarse flow")
    images = analysis0.working_image, analysis1.working_image
    segments = analysis0.segments, analysis1.segments
    seconds: dict[str, float] = {}
    with timed(seconds, "matching"):
        matching = match(*segments, analysis0.descriptors, analysis1.descriptors, known)
    with timed(seconds, "coarse flow"):
        settings = _DEFORMATIONS[deformation]
        coarse01 = estimate_coarse_flow(*images, *segments, matching.match01, settings)
        coarse10 = estimate_coarse_flow(*images[::-1], *segments[::-1], matching.match10, settings)
    return SegmentMatches(matching.match01, matching.match10, coarse01, coarse10, seconds)


def matches_of_known_flow(analysis0: Analysis, analysis1: Analysis, coarse: CoarseFlows) -> SegmentMatches:
    """Use known coarse flow in place of matching: no matches, confidence 0.

    Args:
        analysis0: Frame 0.
        analysis1: Frame 1.
        coarse: Flow 0→1 and 1→0, float32 (2, h, w), x first, px of that size.

    Returns:
        The flow at working size.

    Raises:
        UsageError: The flow has another shape or dtype.
    """
    for flow in coarse:
        if flow.ndim != 3 or flow.shape[0] != 2 or flow.dtype != np.float32:
            raise UsageError(f"expected coarse flow as float32 (2, h, w), got {flow.dtype} {flow.shape}")
    size = analysis0.working_image.shape[:2]
    counts = len(analysis0.segments), len(analysis1.segments)
    unmatched = [np.full(count, -1, np.int64) for count in counts]
    flows = [CoarseFlow(resize_flow(coarse[i], size), np.zeros(counts[i], np.float32)) for i in (0, 1)]
    return SegmentMatches(unmatched[0], unmatched[1], flows[0], flows[1])
