"""Flow of parts whose motion is known from hints, in place of what matching found there.

A part covers the segments that its points lie in, without what does not move like it (outlines that it crosses), and
around them segments and outlines that look more like the target under its motion than under their own. Its motion
(`part_motion`) is corrected by DIS flow (Kroeger et al. 2016) between the part alone in both images. What it covers in
the target moves as the rest of its segment does.

Flow is float32 (2, H, W), x first, px of the working image; images are uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import Flow, backward_warp, chain_flows, compute_color_error, create_dis, dis_flow
from animeinterp.frame import RGBImage
from animeinterp.sgm.coarse_flow import QUICK, CoarseFlowLimits, estimate_coarse_flow
from animeinterp.sgm.part_motion import PartPoints, Points, bend, pixel_places
from animeinterp.sgm.segments import Segments

Mask = NDArray[np.bool_]  # (H, W)
Cost = NDArray[np.float32]  # (H, W), levels


@dataclass(frozen=True, slots=True)
class HintLimits:
    """How far a hint reaches.

    By hand: looked at on five development triplets (`benchmarks/hints.py`) and on shapes drawn for the tests.

    Attributes:
        max_area: Segments that are larger are never moved whole, fraction of the image.
        core: A part reaches at least this many times its half thickness from the line through its points …
        reach: … and at most this many times …
        reach_in_large: … or this many in segments that are never moved whole …
        margin: … plus this, px.
        fit_margin: Between, pixels follow it where that costs at most this much more, levels.
        min_inside: Segments of which this fraction …
        soft_reach: … is within this distance of the part or of the line are examined, px.
        soft_gain: They follow the hint if that costs less than this fraction of what their own flow costs …
        soft_margin: … less this, levels. Segments that the line crosses may cost as much more.
        growths: How often segments are examined; those that follow are part of the part.
        closing: Gaps in the part up to this width follow it, px.
        min_rim: Pixels within this distance of the part follow it, px: blended with the background.
        rim: So do those within this distance where that costs less, px: its outline.
        max_correction: Points are set by hand; the motion is corrected by at most this, px.
        correction_blur: Standard deviation of the Gaussian blur of corrections, px.
        align_margin: Pixels around a part that are seen while it is aligned.
        max_error: Larger color errors count as this, levels.
        blur: Standard deviation of the Gaussian blur of errors, px.
        importance: Importance of hinted pixels, at least; that of others is at most 1.
        fringe: Other pixels within this distance of a part hold remains of it, px …
        fringe_importance: … and have this importance at most.
        covered_importance: What a part covers in the other image has this importance at least.
        background_reach: What a part covers moves as its segment does within this distance of it, px …
        min_background: … if as many pixels of it are there …
        background_fraction: … and this fraction of those that are covered.
    """

    max_area: float = 0.12
    core: float = 1.1
    reach: float = 2.5
    reach_in_large: float = 1.3
    margin: float = 3.0
    fit_margin: float = 1.0
    min_inside: float = 0.8
    soft_reach: float = 24.0
    soft_gain: float = 0.8
    soft_margin: float = 2.0
    growths: int = 2
    closing: int = 9
    min_rim: float = 1.5
    rim: float = 6.0
    max_correction: float = 10.0
    correction_blur: float = 4.0
    align_margin: int = 24
    max_error: float = 60.0
    blur: float = 1.5
    importance: float = 20.0
    fringe: float = 6.0
    fringe_importance: float = 0.02
    covered_importance: float = 0.3
    background_reach: float = 60.0
    min_background: int = 64
    background_fraction: float = 0.2


HINT_LIMITS = HintLimits()
# Whoever says that two segments belong together knows it, however they differ.
_NO_LIMITS = CoarseFlowLimits(
    min_area=0, max_area=np.inf, max_area_ratio=np.inf, max_displacement=np.inf, min_overlap=-1.0
)
_FIT_STEPS = 6
_MIN_CROSSING = 3  # px of the line through the points, in segments that it crosses


class Direction(NamedTuple):
    """One direction of a pair of images.

    Attributes:
        source: uint8 (H, W, 3) RGB, the image that moves.
        target: Same shape, the image it moves into.
        segments: Segments of `source`.
        target_segments: Segments of `target`.
        flow: What matching found, source to target.
    """

    source: RGBImage
    target: RGBImage
    segments: Segments
    target_segments: Segments
    flow: Flow


class SegmentPair(NamedTuple):
    """Two segments that belong together.

    Attributes:
        source: In the image that moves.
        target: In the image it moves into.
    """

    source: int
    target: int

    def swapped(self) -> SegmentPair:
        """Return the pair for the opposite direction."""
        return SegmentPair(self.target, self.source)


class HintedFlow(NamedTuple):
    """Flow of all hinted parts in one direction.

    Attributes:
        flow: Flow of the hinted pixels; others are those given.
        part: Index of the part that each pixel follows, int16 (H, W); -1 for none.
    """

    flow: Flow
    part: NDArray[np.int16]


def segments_at(segments: Segments, points: Points) -> NDArray[np.int64]:
    """Return the segment that each point lies in, int64 (N,); points outside count as at the border."""
    height, width = segments.labels.shape
    column = np.clip(np.rint(points[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(points[:, 1]).astype(int), 0, height - 1)
    return np.asarray(segments.labels[row, column], np.int64)


def replace_by_hints(
    directions: tuple[Direction, Direction], parts: Sequence[PartPoints | SegmentPair], limits: HintLimits = HINT_LIMITS
) -> tuple[HintedFlow, HintedFlow]:
    """Give the parts that are hinted at their motion.

    Args:
        directions: Of both images, forward and backward.
        parts: Forward; where parts overlap the last counts.
        limits: How far a hint reaches.

    Returns:
        The flow in both directions with the hinted parts replaced.
    """
    results = [
        HintedFlow(direction.flow.copy(), np.full(direction.flow.shape[1:], -1, np.int16)) for direction in directions
    ]
    own_costs = [_cost(direction, direction.flow, limits) for direction in directions]
    for index, pair in enumerate(parts):
        if isinstance(pair, SegmentPair):
            found = [
                _follow_segment(direction, one)
                for direction, one in zip(directions, (pair, pair.swapped()), strict=True)
            ]
        else:
            found = _follow_points(directions, pair, own_costs, limits)
        for result, (motion, mask) in zip(results, found, strict=True):
            result.flow[:, mask], result.part[mask] = motion[:, mask], index
    hinted = [result.part >= 0 for result in results]
    for i in (0, 1):
        _extend_background(directions[i].segments, results[i].flow, (hinted[i], hinted[1 - i]), limits)
    return results[0], results[1]


def adjust_importance(
    importance: NDArray[np.float32], hinted: tuple[Mask, Mask], scale: float = 1, limits: HintLimits = HINT_LIMITS
) -> NDArray[np.float32]:
    """Raise the importance of hinted pixels, so that nothing covers them, and set that of the pixels around.

    Consistency tells nothing about what a part covers in the other image, as its color must differ there.

    Args:
        importance: Of the pixels of one image, float32 (H, W).
        hinted: Pixels that follow hints in that image and in the other.
        scale: Size of the image in multiples of the working image's.
        limits: How far.

    Returns:
        float32 (H, W).
    """
    fringe, covered = (_distance_to(mask) <= limits.fringe * scale for mask in hinted)
    high = np.maximum(importance, np.float32(limits.importance))
    seen = np.maximum(importance, np.float32(limits.covered_importance))
    low = np.minimum(importance, np.float32(limits.fringe_importance))
    return np.where(hinted[0], high, np.where(fringe, low, np.where(covered, seen, importance)))


def _follow_segment(direction: Direction, pair: SegmentPair) -> tuple[Flow, Mask]:
    """Estimate how a segment moves onto another, however they differ, and mark it."""
    match = np.full(len(direction.segments), -1, np.int64)
    match[pair.source] = pair.target
    segments = direction.segments, direction.target_segments
    coarse = estimate_coarse_flow(direction.source, direction.target, *segments, match, QUICK, _NO_LIMITS)
    return coarse.flow, direction.segments.labels == pair.source


def _follow_points(
    directions: tuple[Direction, Direction], points: PartPoints, own_costs: list[Cost], limits: HintLimits
) -> list[tuple[Flow, Mask]]:
    """Compute the motion of a part in both directions and mark its pixels."""
    ways = points, points.swapped()
    motions = [_motion_of_points(way, directions[0].flow.shape[1:]) for way in ways]
    masks = [_mark_part(directions[i], ways[i], motions[i], own_costs[i], limits) for i in (0, 1)]
    return [(_align(directions[i], (masks[i], masks[1 - i]), motions[i], limits), masks[i]) for i in (0, 1)]


def _motion_of_points(points: PartPoints, size: tuple[int, ...]) -> Flow:
    """Compute the flow that the points of a part give to the whole image."""
    places = pixel_places(size)
    moved = bend(points, places) - places
    return np.stack([moved.real, moved.imag]).astype(np.float32)


def _mark_part(direction: Direction, points: PartPoints, motion: Flow, own_cost: Cost, limits: HintLimits) -> Mask:
    """Mark the pixels of a part: its segments, those around that fit better under its motion, and its outline."""
    # Points are set by hand: what fits within some px fits.
    guided = dis_flow(direction.source, direction.target, start=motion)
    guided = np.where(np.hypot(*(guided - motion)) <= limits.max_correction, guided, motion)
    cost = np.minimum(_cost(direction, motion, limits), _cost(direction, guided, limits))
    part = _segments_of_part(direction.segments, points, (cost, own_cost), limits)
    for _ in range(limits.growths):
        part |= _similar_around(direction.segments, part, points, (cost, own_cost), limits)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (limits.closing, limits.closing))
    distance = _distance_to(cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0)
    return np.asarray((distance <= limits.min_rim) | ((distance <= limits.rim) & (cost < own_cost)))


def _align(direction: Direction, masks: tuple[Mask, Mask], motion: Flow, limits: HintLimits) -> Flow:
    """Correct the motion of a part by DIS flow between the part alone in both images.

    masks: Of the part in the source and in the target.
    """
    rows, columns = (np.flatnonzero(masks[0].any(axis)) for axis in (1, 0))
    window = tuple(
        slice(max(0, int(side[0]) - limits.align_margin), int(side[-1]) + limits.align_margin + 1)
        for side in (rows, columns)
    )
    grays = [np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in direction[:2]]
    # Alone on black or white, from which it differs most.
    matte = np.uint8(255 if np.median(grays[0][masks[0]]) < 128 else 0)
    alone, target = (np.where(mask, gray, matte) for mask, gray in zip(masks, grays, strict=True))
    moved = backward_warp(target, motion)
    seen, sought = (np.ascontiguousarray(image[window]) for image in (alone, moved))
    found = create_dis(QUICK.dis)(seen, sought, None)
    correction = np.zeros_like(motion)
    correction[:, *window] = np.asarray(found).transpose(2, 0, 1)
    small = (masks[0] & (np.hypot(*correction) <= limits.max_correction)).astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(small, (0, 0), limits.correction_blur), 1e-3)
    smooth = [cv2.GaussianBlur(axis * small, (0, 0), limits.correction_blur) / weight for axis in correction]
    corrected = chain_flows(np.stack(smooth).astype(np.float32), motion)
    errors = [cv2.absdiff(alone, backward_warp(target, flow))[masks[0]].mean() for flow in (corrected, motion)]
    return corrected if errors[0] < errors[1] else motion


def _distance_to_line(points: Points, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Compute the distance of each pixel to the line through the points, float32 (H, W), px."""
    canvas = np.full(size, 255, np.uint8)
    line = np.rint(points).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [line], False, 0)
    inside = np.clip(np.rint(points).astype(int), 0, np.array(size[::-1]) - 1)
    canvas[inside[:, 1], inside[:, 0]] = 0
    return np.asarray(cv2.distanceTransform(canvas, cv2.DIST_L2, 5), np.float32)


def _segments_of_part(segments: Segments, points: PartPoints, costs: tuple[Cost, Cost], limits: HintLimits) -> Mask:
    """Mark the segments of the points, without what does not move like the part: outlines that it crosses.

    costs: Under the motion of the part and under their own.
    """
    labels = segments.labels
    indices = np.unique(segments_at(segments, points.source))
    is_small = segments.area[indices] <= limits.max_area * labels.size
    if is_small.any():  # a point beside the part lies in the background
        indices = indices[is_small]
    members = np.isin(labels, indices)
    fits = members & (costs[0] <= costs[1] + limits.fit_margin)
    if len(points.source) == 1 and is_small.any():
        return members
    line = _distance_to_line(points.source, labels.shape)
    depth = cv2.distanceTransform(members.astype(np.uint8), cv2.DIST_L2, 5)
    # Not the largest depth on the line: that is where the part crosses others.
    on_line = depth[(line <= 1.5) & members]
    thickness = float(np.median(on_line)) if on_line.size else 0.0
    core = members & (line <= limits.core * thickness)
    reach = limits.reach if is_small.any() else limits.reach_in_large
    return core | (fits & (line <= reach * thickness + limits.margin))


def _similar_around(
    segments: Segments,
    part: Mask,
    points: PartPoints,
    costs: tuple[Cost, Cost],
    limits: HintLimits,
) -> Mask:
    """Mark the segments around a part, or on the line through its points, that fit better under its motion.

    costs: Under that motion and under their own.
    """
    count, labels = len(segments), segments.labels.ravel()
    line = _distance_to_line(points.source, part.shape)
    near = np.minimum(_distance_to(part), line) <= limits.soft_reach
    inside, crossed = (np.bincount(labels, marks.ravel(), count) for marks in (near, line < 1))
    hinted, own = (np.bincount(labels, plane.ravel(), count) / segments.area for plane in costs)
    follows = hinted < limits.soft_gain * own - limits.soft_margin
    follows |= (crossed >= _MIN_CROSSING) & (hinted < own + limits.soft_margin)
    follows[segments_at(segments, points.source)] = False  # they have been looked at, pixel by pixel
    follows &= (inside >= limits.min_inside * segments.area) & (segments.area <= limits.max_area * labels.size)
    return np.asarray(follows[segments.labels])


def _extend_background(segments: Segments, flow: Flow, hinted: tuple[Mask, Mask], limits: HintLimits) -> None:
    """Let what a part covers move as the rest of its segment does, in place: nothing of it is seen in the target.

    hinted: In the source and in the target.
    """
    unknown = (_distance_to(hinted[1]) <= limits.fringe) | (_distance_to(hinted[0]) <= limits.fringe)
    unknown &= ~hinted[0]
    known = (_distance_to(unknown | hinted[0]) <= limits.background_reach) & ~unknown & ~hinted[0]
    places = pixel_places(unknown.shape)
    for index in np.unique(segments.labels[unknown]).tolist():
        x0, y0, x1, y1 = segments.box[:, index].tolist()
        box = slice(y0, y1 + 1), slice(x0, x1 + 1)
        member = segments.labels[box] == index
        source, goal = known[box] & member, unknown[box] & member
        if np.count_nonzero(source) < max(limits.min_background, limits.background_fraction * np.count_nonzero(goal)):
            continue
        terms = np.stack([np.ones(member.shape), places[box].real, places[box].imag], axis=-1)
        flow[:, *box][:, goal] = (terms[goal] @ _fit_robustly(terms[source], flow[:, *box][:, source].T)).T


def _fit_robustly(terms: NDArray[np.float64], flow: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit flow (N, 2) by terms (N, K) with least absolute errors, by reweighted least squares: (K, 2)."""
    weights = np.ones((len(terms), 1))
    for _ in range(_FIT_STEPS):
        fit = np.linalg.lstsq(weights * terms, weights * flow, rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.hypot(*(terms @ fit - flow).T), 1))[:, None]
    return np.asarray(fit)


def _distance_to(mask: Mask) -> NDArray[np.float32]:
    """Compute the distance of each pixel to the nearest marked one, float32 (H, W), px."""
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _cost(direction: Direction, flow: Flow, limits: HintLimits) -> Cost:
    """Compute the color error of each pixel under a flow, capped and blurred, float32 (H, W), levels."""
    error = np.minimum(compute_color_error(direction.source, direction.target, flow), limits.max_error)
    return np.asarray(cv2.GaussianBlur(error, (0, 0), limits.blur), np.float32)
