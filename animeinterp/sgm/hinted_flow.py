"""Flow of parts whose motion is known from pairs of points (hints), in place of what matching found there.

A part moves as its points do: by moving least squares of similarities (Schaefer et al. 2006), which is a translation
for one point, a similarity for two and bends for more. It covers the segments that the points lie in, a neighborhood of
the line through the points where such a segment is much larger than the part, and around it whatever looks like the
target image under that motion.

Flow is float32 (2, H, W), x first, px of the working image; images are uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import Flow, compute_color_error
from animeinterp.frame import RGBImage
from animeinterp.sgm.coarse_flow import QUICK, CoarseFlowLimits, estimate_coarse_flow
from animeinterp.sgm.segments import Segments

Points = NDArray[np.float64]  # (N, 2), x first, px
Mask = NDArray[np.bool_]  # (H, W)


@dataclass(frozen=True, slots=True)
class HintLimits:
    """How far a hint reaches.

    By hand, on keys drawn for the tests and looked at on five development triplets (`benchmarks/hints.py`).

    Attributes:
        max_area: Segments that are larger are never moved whole, fraction of the image.
        thickness: A part reaches this many times its half thickness from the line through its points …
        margin: … plus this, px.
        min_inside: Fraction of a segment within that reach above which it is moved whole.
        soft_reach: Segments of which `min_inside` is within this distance of the part are examined, px.
        soft_gain: They follow the hint if that costs less than this fraction of what their own flow costs …
        soft_margin: … less this, levels.
        rim: Pixels within this distance of a moved segment follow it where that costs less, px: its outline.
        max_error: Larger color errors count as this, levels.
        blur: Standard deviation of the Gaussian blur of errors, px.
        importance: Importance of hinted pixels, at least; that of others is at most 1.
    """

    max_area: float = 0.12
    thickness: float = 1.5
    margin: float = 3.0
    min_inside: float = 0.5
    soft_reach: float = 24.0
    soft_gain: float = 0.8
    soft_margin: float = 2.0
    rim: float = 6.0
    max_error: float = 60.0
    blur: float = 1.5
    importance: float = 20.0


HINT_LIMITS = HintLimits()
# Whoever says that two segments belong together knows it, however they differ.
_NO_LIMITS = CoarseFlowLimits(
    min_area=0, max_area=np.inf, max_area_ratio=np.inf, max_displacement=np.inf, min_overlap=-1.0
)


class PartPoints(NamedTuple):
    """Points of one part.

    Attributes:
        source: float64 (N, 2) in the image that moves.
        target: float64 (N, 2) in the image it moves into.
    """

    source: Points
    target: Points

    def swapped(self) -> PartPoints:
        """Return the points for the opposite direction."""
        return PartPoints(self.target, self.source)


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
        hinted: The pixels that follow a hint, bool (H, W).
        turn: Angle by which they turn on the way, float32 (H, W), radians from x to y; 0 elsewhere.
    """

    flow: Flow
    hinted: Mask
    turn: NDArray[np.float32]


def bend(points: PartPoints, size: tuple[int, int]) -> tuple[Flow, NDArray[np.float32]]:
    """Compute the motion that the points of a part give to every pixel.

    Args:
        points: Of the part.
        size: (height, width) of the image, px.

    Returns:
        Flow, and the angle by which each pixel turns, float32 (H, W), radians in (-2 pi, 2 pi).
    """
    # Points as complex numbers: a similarity is one multiplication and one addition.
    source, target = (pairs[:, 0] + 1j * pairs[:, 1] for pairs in points)
    y, x = np.ogrid[: size[0], : size[1]]
    places = x + 1j * y
    # A pixel from a point its weight stays finite.
    weights = np.stack([1 / (np.abs(places - point) ** 2 + 1) for point in source])
    weights /= weights.sum(0)
    center, target_center = np.tensordot(source, weights, 1), np.tensordot(target, weights, 1)
    turn, overall = np.ones(size, complex), _similarity(source, target)
    if len(source) > 1:
        product, square = np.zeros(size, complex), np.zeros(size)
        for point, goal, weight in zip(source, target, weights, strict=True):
            arm = point - center
            product += weight * arm.conj() * (goal - target_center)
            square += weight * np.abs(arm) ** 2
        turn = np.where(square > 1e-6, product / np.maximum(square, 1e-6), overall)
    moved = turn * (places - center) + target_center - places
    # Angles are continuous around that of the whole part.
    angle = np.angle(overall) + np.angle(turn * np.conj(overall))
    return np.stack([moved.real, moved.imag]).astype(np.float32), angle.astype(np.float32)


def segments_at(segments: Segments, points: Points) -> NDArray[np.int64]:
    """Return the segment that each point lies in, int64 (N,); points outside count as at the border."""
    height, width = segments.labels.shape
    column = np.clip(np.rint(points[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(points[:, 1]).astype(int), 0, height - 1)
    return np.asarray(segments.labels[row, column], np.int64)


def replace_by_hints(
    images: tuple[RGBImage, RGBImage],
    segments: tuple[Segments, Segments],
    flow: Flow,
    parts: Sequence[PartPoints | SegmentPair],
    limits: HintLimits = HINT_LIMITS,
) -> HintedFlow:
    """Give the parts that are hinted at their motion.

    Args:
        images: The image that moves, and the one it moves into.
        segments: Of both.
        flow: What matching found, from the first image to the second.
        parts: Where parts overlap the last counts.
        limits: How far a hint reaches.

    Returns:
        The flow with the hinted parts replaced.
    """
    size = (flow.shape[1], flow.shape[2])
    replaced, hinted, turns = flow.copy(), np.zeros(size, np.bool_), np.zeros(size, np.float32)
    own_cost = _cost(*images, flow, limits)
    for pair in parts:
        if isinstance(pair, SegmentPair):
            motion, turn = _motion_of_segment(images, segments, pair), np.zeros(size, np.float32)
            part = segments[0].labels == pair.source
        else:
            motion, turn = bend(pair, size)
            part = _part_of(segments[0], pair, limits)
            cost = _cost(*images, motion, limits)
            part |= _similar_around(segments[0], part, (cost, own_cost), limits)
            rim = cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 5) <= limits.rim
            part |= rim & (cost < own_cost)
        replaced[:, part], turns[part] = motion[:, part], turn[part]
        hinted |= part
    return HintedFlow(replaced, hinted, turns)


def _motion_of_segment(
    images: tuple[RGBImage, RGBImage], segments: tuple[Segments, Segments], pair: SegmentPair
) -> Flow:
    """Estimate how a segment moves onto another, however they differ."""
    match = np.full(len(segments[0]), -1, np.int64)
    match[pair.source] = pair.target
    return estimate_coarse_flow(*images, *segments, match, QUICK, _NO_LIMITS).flow


def _similarity(source: NDArray[np.complex128], target: NDArray[np.complex128]) -> complex:
    """Return the factor of the similarity that fits all points best; 1 for a single point."""
    arms, goals = source - source.mean(), target - target.mean()
    square = float((np.abs(arms) ** 2).sum())
    factor = complex((arms.conj() * goals).sum() / square) if square > 1e-6 else 1 + 0j
    return factor if abs(factor) > 1e-6 else 1 + 0j


def _distance_to_line(points: Points, size: tuple[int, int]) -> NDArray[np.float32]:
    """Compute the distance of each pixel to the line through the points, float32 (H, W), px."""
    canvas = np.full(size, 255, np.uint8)
    line = np.rint(points).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [line], False, 0)
    inside = np.clip(np.rint(points).astype(int), 0, np.array(size[::-1]) - 1)
    canvas[inside[:, 1], inside[:, 0]] = 0
    return np.asarray(cv2.distanceTransform(canvas, cv2.DIST_L2, 5), np.float32)


def _part_of(segments: Segments, points: PartPoints, limits: HintLimits) -> Mask:
    """Mark the part: the segments of its points, cut to its neighborhood where they are more than the part."""
    labels = segments.labels
    indices = np.unique(segments_at(segments, points.source))
    members = np.isin(labels, indices)
    depth = cv2.distanceTransform(members.astype(np.uint8), cv2.DIST_L2, 5)
    size = (labels.shape[0], labels.shape[1])
    near_line = _distance_to_line(points.source, size)
    # The line need not be in the middle of the part: the depth is that of the largest circle that meets the line.
    reach = limits.thickness * float(depth[near_line <= 1.5].max(initial=0)) + limits.margin
    near = near_line <= reach
    part = np.zeros(size, np.bool_)
    for index in indices.tolist():
        member = labels == index
        whole = segments.area[index] <= limits.max_area * labels.size
        if whole and (len(points.source) == 1 or (member & near).sum() >= limits.min_inside * segments.area[index]):
            part |= member
        else:
            part |= member & near
    return part


def _similar_around(
    segments: Segments,
    part: Mask,
    costs: tuple[NDArray[np.float32], NDArray[np.float32]],
    limits: HintLimits,
) -> Mask:
    """Mark the segments around a part that fit better under its motion.

    costs: Under that motion and under their own.
    """
    near = cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 5) <= limits.soft_reach
    count, labels = len(segments), segments.labels.ravel()
    inside = np.bincount(labels, near.ravel(), count) / segments.area
    hinted, own = (np.bincount(labels, plane.ravel(), count) / segments.area for plane in costs)
    follows = (inside >= limits.min_inside) & (hinted < limits.soft_gain * own - limits.soft_margin)
    follows &= segments.area <= limits.max_area * labels.size
    return np.asarray(follows[segments.labels])


def _cost(source: RGBImage, target: RGBImage, flow: Flow, limits: HintLimits) -> NDArray[np.float32]:
    """Compute the color error of each pixel under a flow, capped and blurred, float32 (H, W), levels."""
    error = np.minimum(compute_color_error(source, target, flow), limits.max_error)
    return np.asarray(cv2.GaussianBlur(error, (0, 0), limits.blur), np.float32)
