"""Dense flow without learned weights: each segment takes the best of a few candidate motions.

Candidates are DIS optical flow (Kroeger et al. 2016), the coarse flow of matched segments, DIS started from that, the
frame's dominant motion (the camera) and, where a network proposes one, its flow. All pixels of a segment take the same
candidate: the one under which the segment looks most like the target image. This stands in for the recurrent
refinement of the paper (§4.2) in presets without a network, and gives others the flow that they refine.

Flow is float32 (2, H, W), x first, px; images are uint8 (H, W, 3) RGB; errors are in levels, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import CONSISTENCY, ConsistencyLimits
from animeinterp.flow import DisPreset, Flow, chain_flows, compute_color_error, dis_flow, flow_targets, resize
from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.segments import Segments


@dataclass(frozen=True, slots=True)
class FusionLimits:
    """How candidates are compared, and when a segment follows a periodic pan.

    The error limits were chosen by hand on development triplets, those of the pan on the synthetic scenes of
    docs/training-log.md ("A fence that pans by most of its period").

    Attributes:
        max_error: Larger color errors count as this, levels: beyond it a color is simply wrong.
        outside_error: Error of pixels whose flow leaves the target image, levels.
        blur: Standard deviation of the Gaussian blur of errors, px; it includes a segment's neighborhood.
        pan_radius: DIS flow farther from the pan than this does not refine the pan, px.
        min_edge: Laplacian response, levels, above which a pixel refines the pan; flat regions do not determine flow.
        min_distance: Mean distance between a segment's flow and the pan, px, above which the segment may switch to it.
        max_distance: Larger distances of single pixels count as this, px.
        pan_cost_ratio: The pan may cost this many times a segment's best cost …
        pan_cost_margin: … plus this, levels. Periodic texture fits a multiple of its period nearly as well.
    """

    max_error: float = 60.0
    outside_error: float = 30.0
    blur: float = 1.5
    pan_radius: float = 6.0
    min_edge: float = 8.0
    min_distance: float = 3.0
    max_distance: float = 50.0
    pan_cost_ratio: float = 1.1
    pan_cost_margin: float = 1.0


FUSION = FusionLimits()


class PairDirection(NamedTuple):
    """One direction of a pair of images.

    Attributes:
        source: uint8 (H, W, 3) RGB, the image that moves.
        target: Same shape, the image it moves into.
        segments: Segments of `source`.
        coarse: Coarse flow of the matched segments, `source` to `target`.
    """

    source: RGBImage
    target: RGBImage
    segments: Segments
    coarse: CoarseFlow


def select_flow_per_segment(
    direction: PairDirection,
    pan: NDArray[np.float32] | None = None,
    preset: DisPreset = "medium",
    proposed: Flow | None = None,
    limits: FusionLimits = FUSION,
) -> Flow:
    """Choose the best candidate flow for each segment.

    Args:
        direction: The pair in this direction.
        pan: Pan of a periodic background, float32 (2,), x first, px, see `periodic_pan.estimate_periodic_pan`.
        preset: DIS preset for unguided flow.
        proposed: One more candidate, float32 (2, H, W), px, such as a network's flow.
        limits: How candidates are compared.

    Returns:
        Flow from source to target, float32 (2, H, W), px.
    """
    source, target, segments, coarse = direction
    candidates = np.empty((4 if proposed is None else 5, 2, *segments.labels.shape), np.float32)
    unguided, matched, guided, camera = candidates[:4]
    if proposed is not None:
        candidates[4] = proposed
    unguided[:] = dis_flow(source, target, preset=preset)
    matched[:] = np.where((coarse.confidence > 0)[segments.labels], coarse.flow, unguided)
    guided[:] = dis_flow(source, target, start=matched)
    # A quarter of the pixels is enough for the dominant motion.
    camera[:] = np.median(unguided[:, ::2, ::2], axis=(1, 2))[:, None, None]
    costs = np.stack([_pixel_cost(source, target, flow, limits) for flow in candidates])
    mean_costs = _sum_per_segment(segments.labels, costs, len(segments)) / segments.area[:, None]
    # The first of equal candidates: without a match `matched` is `unguided`, except for the blur across its rim.
    flow = np.asarray(_take_per_segment(segments.labels, mean_costs.argmin(axis=1), candidates))
    return flow if pan is None else _follow_pan(direction, flow, pan, limits)


def compute_importance(
    source: RGBImage, target: RGBImage, flow: Flow, reverse_flow: Flow, limits: ConsistencyLimits = CONSISTENCY
) -> NDArray[np.float32]:
    """Compute the importance of each pixel, exp(Z) of softmax splatting, from forward-backward and color errors.

    Args:
        source: uint8 (H, W, 3) RGB.
        target: Of the same shape.
        flow: Flow from source to target, float32 (2, H, W), px.
        reverse_flow: Flow from target to source, of the same shape.
        limits: Weights of the two errors.

    Returns:
        float32 (H, W) in (0, 1]; high where both flows agree and the colors match.
    """
    inconsistency = np.minimum(np.hypot(*chain_flows(flow, reverse_flow)), limits.max_error_px)
    color_error = compute_color_error(source, target, flow)
    importance = np.exp(-limits.per_px * inconsistency - limits.per_level * color_error)
    return np.asarray(np.maximum(importance, limits.min_importance), np.float32)


def compute_importances(
    images: tuple[RGBImage, RGBImage], flows: tuple[Flow, Flow], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the importance of both frames of a pair.

    Args:
        images: uint8 (h, w, 3) RGB.
        flows: Flow 0→1 and 1→0, float32 (2, h, w), px.
        size: (H, W) of the result.

    Returns:
        Of frame 0 and frame 1, float32 (H, W) in (0, 1].
    """
    importance0 = compute_importance(*images, *flows)
    importance1 = compute_importance(*images[::-1], *flows[::-1])
    return resize(importance0, size), resize(importance1, size)


def _follow_pan(direction: PairDirection, flow: Flow, pan: NDArray[np.float32], limits: FusionLimits) -> Flow:
    """Give each segment the pan, or DIS flow started from it, where that fits nearly as well as its own flow."""
    source, target, segments, _ = direction
    candidates = np.empty((3, *flow.shape), np.float32)
    own, guided, panned = candidates
    own[:] = flow
    panned[:] = pan[:, None, None]
    guided[:] = dis_flow(source, target, start=panned)
    gray = cv2.cvtColor(source, cv2.COLOR_RGB2GRAY)
    is_edge = np.abs(cv2.Laplacian(gray, cv2.CV_16S)) > limits.min_edge
    refines = (np.hypot(*(guided - panned)) < limits.pan_radius) & is_edge
    if refines.any():
        panned[:] = np.median(guided[:, refines], axis=1)[:, None, None]
    costs = np.stack([_mean_cost_inside(direction, candidate, limits) for candidate in candidates], axis=1)
    distance = np.minimum(np.hypot(*(flow - panned)), limits.max_distance)[None].astype(np.float32)
    is_apart = _sum_per_segment(segments.labels, distance, len(segments))[:, 0] > limits.min_distance * segments.area
    fits = costs[:, 1:].min(axis=1) <= limits.pan_cost_ratio * costs[:, 0] + limits.pan_cost_margin
    best = np.where(is_apart & fits, 1 + costs[:, 1:].argmin(axis=1), 0)
    return np.asarray(_take_per_segment(segments.labels, best, candidates))


def _mean_cost_inside(direction: PairDirection, flow: Flow, limits: FusionLimits) -> NDArray[np.float64]:
    """Average the error of each segment over its pixels that stay in the image; 0 for segments without any."""
    source, target, segments, _ = direction
    height, width = flow.shape[1:]
    x, y = flow_targets(flow)
    inside = ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)).astype(np.float32)
    error = inside * np.minimum(compute_color_error(source, target, flow), limits.max_error)
    planes = np.stack([inside * cv2.GaussianBlur(error, (0, 0), limits.blur), inside])
    total, count = _sum_per_segment(segments.labels, planes, len(segments)).T
    return np.asarray(total / np.maximum(count, 1))


def _pixel_cost(source: RGBImage, target: RGBImage, flow: Flow, limits: FusionLimits) -> NDArray[np.float32]:
    """Blur the capped color error of a flow: float32 (H, W), levels."""
    error = compute_color_error(source, target, flow)
    _cap_error(error, flow, limits.max_error, limits.outside_error)
    return np.asarray(cv2.GaussianBlur(error, (0, 0), limits.blur))


@cached_njit()
def _cap_error(error, flow, max_error, outside_error):  # type: ignore[no-untyped-def]
    """Cap the error in place; where flow leaves the image it is `outside_error`."""
    height, width = error.shape
    for y in range(height):
        for x in range(width):
            u, v = x + flow[0, y, x], y + flow[1, y, x]
            outside = (u < -0.5) | (u > width - 0.5) | (v < -0.5) | (v > height - 0.5)
            error[y, x] = outside_error if outside else min(error[y, x], max_error)


@cached_njit()
def _sum_per_segment(labels, planes, count):  # type: ignore[no-untyped-def]
    """Sum planes (N, H, W) over each of `count` segments: (count, N) float64."""
    number, height, width = planes.shape
    total = np.zeros((count, number))
    for y in range(height):
        for x in range(width):
            for n in range(number):
                total[labels[y, x], n] += planes[n, y, x]
    return total


@cached_njit()
def _take_per_segment(labels, best, candidates):  # type: ignore[no-untyped-def]
    """Copy to each pixel the candidate, of (N, 2, H, W), with its segment's index in `best`: (2, H, W)."""
    _, _, height, width = candidates.shape
    flow = np.empty((2, height, width), np.float32)
    for axis in range(2):
        for y in range(height):
            for x in range(width):
                flow[axis, y, x] = candidates[best[labels[y, x]], axis, y, x]
    return flow
