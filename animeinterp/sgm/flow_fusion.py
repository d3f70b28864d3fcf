"""Dense flow without learned weights: each segment takes the best of a few motions.

Candidates are DIS optical flow (Kroeger et al. 2016), the flow of matched segments, DIS started from that, and the
frame's dominant motion (the camera). A segment moves as one: it takes the candidate under which it looks most like the
other frame. This stands in for the recurrent refinement of the paper (§4.2) in presets with `flow="dis"`.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import Effort, backward_warp, color_error, dis_flow
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.segments import Segments

ERROR_CAP = 60.0  # of 255; beyond this a color is simply wrong
ERROR_OUTSIDE = 30.0  # of 255; what lies outside the other frame cannot be judged
NEAR_SLIDE = 6.0  # px; what DIS moves farther from a slide does not tell its exact length
LINE = 8  # levels of the Laplacian; what is flat does not tell it either
STRAYS, MAX_APART = 3.0, 50.0  # px; segments nearer than that to a slide on the mean go with it already
AS_WELL, AS_WELL_LEVELS = 1.1, 1.0  # times the best cost, and levels beyond that, that a slide may cost
BLUR = 1.5  # px; lets a segment's rim see its neighbors
# Importance falls by e per 5 px of forward-backward error and per 25/255 of color error.
PER_PIXEL_OF_INCONSISTENCY = 0.2
PER_COLOR_STEP = 0.04
MAX_INCONSISTENCY = 10.0  # px
MIN_IMPORTANCE = 1e-4


class PairDirection(NamedTuple):
    """What is known of one direction of a pair, from `frame` to `other`.

    frame, other: uint8 (H, W, 3) RGB. segments: of `frame`. guidance: coarse flow of its matched segments.
    """

    frame: NDArray[np.uint8]
    other: NDArray[np.uint8]
    segments: Segments
    guidance: CoarseFlow


def select_flow_per_segment(
    direction: PairDirection,
    slide: NDArray[np.float32] | None = None,
    effort: Effort = "medium",
    proposed: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Choose the best candidate for each segment.

    Args:
        direction: What is known of the pair in this direction.
        slide: float32 (2,), x first, px, how a ground that repeats itself moves (`repeats.slide_of_repeats`).
        effort: DIS preset for unguided flow.
        proposed: One more candidate, float32 (2, H, W), x first, px, such as a network's flow.

    Returns:
        float32 (2, H, W), x first, px.
    """
    frame, other, segments, guidance = direction
    candidates = np.empty((4 if proposed is None else 5, 2, *segments.labels.shape), np.float32)
    free, guided, tracked, camera = candidates[:4]
    if proposed is not None:
        candidates[4] = proposed
    free[:] = dis_flow(frame, other, effort=effort)
    known = (guidance.confidence > 0)[segments.labels]
    guided[:] = np.where(known, guidance.flow, free)
    tracked[:] = dis_flow(frame, other, start=guided)
    # Every fourth pixel tells the dominant motion as well as all of them.
    camera[:] = np.median(free[:, ::2, ::2], axis=(1, 2))[:, None, None]
    costs = _sum_per_segment(
        segments.labels, np.stack([_cost(frame, other, flow) for flow in candidates]), len(segments)
    )
    # Of equals the first counts: in a segment without a match `guided` is `free`, except for its neighbors' blur.
    flow = np.asarray(_choose(segments.labels, (costs / segments.area[:, None]).argmin(axis=1), candidates))
    return flow if slide is None else _slid(direction, flow, slide)


def _slid(direction: PairDirection, flow: NDArray[np.float32], slide: NDArray[np.float32]) -> NDArray[np.float32]:
    """The flow, in which every segment goes with a sliding ground that fits it as well: a period is no reason to
    stay."""
    frame, other, segments, _ = direction
    candidates = np.empty((3, *flow.shape), np.float32)
    chosen, carried, steady = candidates
    chosen[:] = flow
    steady[:] = slide[:, None, None]
    carried[:] = dis_flow(frame, other, start=steady)
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    with_it = (np.hypot(*(carried - steady)) < NEAR_SLIDE) & (np.abs(cv2.Laplacian(gray, cv2.CV_16S)) > LINE)
    if with_it.any():
        steady[:] = np.median(carried[:, with_it], axis=1)[:, None, None]
    costs = np.stack([_mean_cost_inside(frame, other, segments, candidate) for candidate in candidates], 1)
    apart = np.minimum(np.hypot(*(flow - steady)), MAX_APART)[None].astype(np.float32)
    strays = _sum_per_segment(segments.labels, apart, len(segments))[:, 0] > STRAYS * segments.area
    fits = costs[:, 1:].min(axis=1) <= AS_WELL * costs[:, 0] + AS_WELL_LEVELS
    best = np.where(strays & fits, 1 + costs[:, 1:].argmin(axis=1), 0)
    return np.asarray(_choose(segments.labels, best, candidates))


def _mean_cost_inside(
    frame: NDArray[np.uint8], other: NDArray[np.uint8], segments: Segments, flow: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How badly flow fits each segment, 0..60, by those of its pixels alone that stay in the frame; 0 if none does."""
    height, width = flow.shape[1:]
    x = flow[0] + np.arange(width, dtype=np.float32)
    y = flow[1] + np.arange(height, dtype=np.float32)[:, None]
    inside = ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)).astype(np.float32)
    error = inside * np.minimum(color_error(frame, other, flow), ERROR_CAP)
    planes = np.stack([inside * cv2.GaussianBlur(error, (0, 0), BLUR), inside])
    total, count = _sum_per_segment(segments.labels, planes, len(segments)).T
    return np.asarray(total / np.maximum(count, 1))


def _cost(frame: NDArray[np.uint8], other: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """How badly a flow fits each pixel and its surroundings, 0..60."""
    error = color_error(frame, other, flow)
    _limit(error, flow)
    return np.asarray(cv2.GaussianBlur(error, (0, 0), BLUR))


@cached_njit()
def _limit(error, flow):  # type: ignore[no-untyped-def]
    """Cap the error; where flow leaves the frame it cannot be judged."""
    height, width = error.shape
    for y in range(height):
        for x in range(width):
            u, v = x + flow[0, y, x], y + flow[1, y, x]
            outside = (u < -0.5) | (u > width - 0.5) | (v < -0.5) | (v > height - 0.5)
            error[y, x] = ERROR_OUTSIDE if outside else min(error[y, x], ERROR_CAP)


@cached_njit()
def _sum_per_segment(labels, planes, count):  # type: ignore[no-untyped-def]
    """The sums of planes (N, H, W) over each of `count` segments: (count, N) float64."""
    number, height, width = planes.shape
    total = np.zeros((count, number))
    for y in range(height):
        for x in range(width):
            for n in range(number):
                total[labels[y, x], n] += planes[n, y, x]
    return total


@cached_njit()
def _choose(labels, best, candidates):  # type: ignore[no-untyped-def]
    """For each pixel the candidate, of (N, 2, H, W), that is the best of its segment: (2, H, W)."""
    _, _, height, width = candidates.shape
    flow = np.empty((2, height, width), np.float32)
    for axis in range(2):
        for y in range(height):
            for x in range(width):
                flow[axis, y, x] = candidates[best[labels[y, x]], axis, y, x]
    return flow


def flow_importance(
    direction: PairDirection, flow: NDArray[np.float32], back: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far each pixel's motion can be trusted, float32 (H, W) in (0, 1]: exp(Z) of softmax splatting.

    flow: from `direction.frame` on; back: the flow the other way. High where going there and back returns to the
    same place and the colors agree (forward-backward consistency).
    """
    there_and_back = flow + backward_warp(back.transpose(1, 2, 0), flow).transpose(2, 0, 1)
    inconsistency = np.minimum(np.hypot(*there_and_back), MAX_INCONSISTENCY)
    error = color_error(direction.frame, direction.other, flow)
    trust = np.exp(-PER_PIXEL_OF_INCONSISTENCY * inconsistency - PER_COLOR_STEP * error)
    return np.asarray(np.maximum(trust, MIN_IMPORTANCE), np.float32)
