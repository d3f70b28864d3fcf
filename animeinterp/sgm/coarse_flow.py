"""Matched segments → coarse flow (paper §4.1, "Flow"; docs/paper-to-code.md, 7).

A matched segment moves by the shift between the centers of the two bounding boxes, plus a deformation: DIS optical flow
between the two segments, cut out and centered on each other. A flow that does not carry the segment onto its match is
dropped. Where no valid flow is known it is 0.

Flow is float32 (2, H, W), x first, px; boxes are x0, y0, x1, y1, both ends inclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import DisSettings, Flow, GrayFlowEstimator, create_dis
from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import Segments

Gray = NDArray[np.uint8]  # (h, w)
Mask = NDArray[np.bool_]  # (h, w)

PATCH_MARGIN = 10  # px, added to the size of two segments that are centered on each other
MIN_PATCH_SIDE = 16  # px, without the margin


@dataclass(frozen=True, slots=True)
class CoarseFlowLimits:
    """Which matches give flow, and which flow is kept; values of the published code.

    Attributes:
        min_area: Smaller segments give no flow, px.
        max_area: Larger segments give no flow, fraction of the image.
        max_area_ratio: Area of the larger of two matched segments, at most, as a multiple of the smaller.
        max_displacement: Distance of their centroids, at most, fraction of the image's diagonal. Deviation: the
            published 250 px at 960x540, as a fraction, so that other sizes behave alike.
        min_overlap: Fraction of a moved segment that must be inside its match.
        dark_level: A segment with a darker mean, levels, would vanish in its black surroundings: it is brightened …
        dark_scale: … by this factor …
        dark_offset: … and this, levels.
    """

    min_area: int = 50
    max_area: float = 0.12
    max_area_ratio: float = 3.0
    max_displacement: float = 250 / float(np.hypot(960, 540))
    min_overlap: float = 0.8
    dark_level: float = 20
    dark_scale: float = 0.8
    dark_offset: float = 40


COARSE_FLOW_LIMITS = CoarseFlowLimits()


@dataclass(frozen=True, slots=True)
class Deformation:
    """How the deformation of a matched segment is estimated.

    Attributes:
        dis: Settings of DIS optical flow.
        max_side: Patches with a longer side are halved until they fit, px; 0 = never.
    """

    dis: DisSettings
    max_side: int = 0


PUBLISHED = Deformation(DisSettings("medium", 0, variational_iterations=25, descent_iterations=50, patch_stride=3))
# Patches of at most 64 px: with 128 px motion takes 15 % more time; `cel` scores the same on the development set.
QUICK = Deformation(DisSettings("medium", 0, variational_iterations=5, descent_iterations=16, patch_stride=4), 64)


@dataclass(frozen=True, slots=True, eq=False)
class CoarseFlow:
    """Flow of the matched segments of one image to another.

    Attributes:
        flow: float32 (2, H, W), x first, px; 0 where nothing is known.
        confidence: float32 (K,), fraction of each moved segment that is inside its match; 0 without valid flow.
    """

    flow: Flow
    confidence: NDArray[np.float32]


def select_valid_matches(
    segments: Segments,
    target_segments: Segments,
    match: NDArray[np.int64],
    limits: CoarseFlowLimits = COARSE_FLOW_LIMITS,
) -> NDArray[np.int64]:
    """Select the matches that may give flow: neither tiny nor huge, of similar size, not too far apart.

    Args:
        segments: K segments.
        target_segments: Segments of the other image.
        match: int64 (K,), index into `target_segments`, -1 = none.
        limits: Bounds of area and distance.

    Returns:
        int64 (K,), `match` with -1 for those that may not.
    """
    index = np.maximum(match, 0)
    area, target_area = segments.area, target_segments.area[index]
    shift = target_segments.centroid[:, index] - segments.centroid
    diagonal = np.hypot(*segments.labels.shape)
    valid = (
        (match >= 0)
        & (area > limits.min_area)
        & (area < limits.max_area * segments.labels.size)
        & (np.maximum(area / target_area, target_area / area) < limits.max_area_ratio)
        # The published limit is inclusive: allow for rounding.
        & (np.hypot(shift[0], shift[1]) <= limits.max_displacement * diagonal * (1 + 1e-9))
    )
    return np.where(valid, match, -1)


def estimate_coarse_flow(
    source: RGBImage,
    target: RGBImage,
    segments: Segments,
    target_segments: Segments,
    match: NDArray[np.int64],
    deformation: Deformation | None = PUBLISHED,
    limits: CoarseFlowLimits = COARSE_FLOW_LIMITS,
) -> CoarseFlow:
    """Estimate the flow of matched segments.

    Args:
        source: uint8 (H, W, 3) RGB.
        target: Same shape.
        segments: K segments of `source`.
        target_segments: Segments of `target`.
        match: int64 (K,), index into `target_segments`, -1 = none.
        deformation: How deformation is estimated; None for translation only.
        limits: Which matches give flow, and which flow is kept.

    Returns:
        Flow from source to target, and its confidence per segment.
    """
    flow = np.zeros((2, *segments.labels.shape), np.float32)
    confidence = np.zeros(len(segments), np.float32)
    valid = select_valid_matches(segments, target_segments, match, limits)
    if deformation is None:
        labels, boxes = (segments.labels, target_segments.labels), (segments.box, target_segments.box)
        _translate_segments(labels, boxes, valid, limits.min_overlap, flow, confidence)
        return CoarseFlow(flow, confidence)
    gray, target_gray = (np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in (source, target))
    estimate = create_dis(deformation.dis)
    for segment in np.flatnonzero(valid >= 0).tolist():
        target_segment = int(valid[segment])
        box, target_box = segments.box[:, segment], target_segments.box[:, target_segment]
        mask, target_mask = _cut_mask(segments, segment), _cut_mask(target_segments, target_segment)
        height, width = (
            max(a, b, MIN_PATCH_SIDE) + PATCH_MARGIN for a, b in zip(mask.shape, target_mask.shape, strict=True)
        )
        patch = _cut_patch(gray, box, mask, (height, width), limits)
        target_patch = _cut_patch(target_gray, target_box, target_mask, (height, width), limits)
        deformed = _estimate_deformation(estimate, patch, target_patch, deformation.max_side)
        overlap = _splat_overlap(deformed, _center(mask, (height, width)), _center(target_mask, (height, width)))
        if overlap > limits.min_overlap:
            confidence[segment] = overlap
            shift = (target_box[:2] + target_box[2:] - box[:2] - box[2:]) / 2
            flow_in_box = flow[:, box[1] : box[3] + 1, box[0] : box[2] + 1]
            top, left = (height - mask.shape[0]) // 2, (width - mask.shape[1]) // 2
            own = deformed[top : top + mask.shape[0], left : left + mask.shape[1]]
            for axis in (0, 1):
                np.copyto(flow_in_box[axis], own[..., axis] + shift[axis], where=mask)
    return CoarseFlow(flow, confidence)


def _cut_mask(segments: Segments, segment: int) -> Mask:
    """Mark a segment within its bounding box."""
    x0, y0, x1, y1 = segments.box[:, segment]
    return np.asarray(segments.labels[y0 : y1 + 1, x0 : x1 + 1] == segment)


def _center(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Put an image (h, w) into the middle of a larger one of zeros."""
    top, left = ((large - small) // 2 for large, small in zip(size, image.shape, strict=True))
    centered = np.zeros(size, image.dtype)
    centered[top : top + image.shape[0], left : left + image.shape[1]] = image
    return centered


def _cut_patch(gray: Gray, box: NDArray[np.int32], mask: Mask, size: tuple[int, int], limits: CoarseFlowLimits) -> Gray:
    """Cut out the gray levels of a segment on black, brightened if it is dark, and center them."""
    patch = np.where(mask, gray[box[1] : box[3] + 1, box[0] : box[2] + 1], np.uint8(0))
    if patch[mask].mean() < limits.dark_level:
        patch[mask] = (limits.dark_scale * patch[mask] + limits.dark_offset).astype(np.uint8)
    return _center(patch, size)


def _estimate_deformation(estimate: GrayFlowEstimator, source: Gray, target: Gray, max_side: int) -> Flow:
    """Estimate DIS flow between two patches of one size: float32 (h, w, 2), px."""
    halvings = 0
    while max_side and max(source.shape) >> halvings > max_side:
        halvings += 1
    if halvings == 0:
        return np.asarray(estimate(source, target, None), np.float32)
    height, width = source.shape
    small = (max(width >> halvings, MIN_PATCH_SIDE), max(height >> halvings, MIN_PATCH_SIDE))
    small_source, small_target = (cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in (source, target))
    flow = estimate(small_source, small_target, None)
    flow = np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(flow * (width / small[0], height / small[1]), np.float32)


@cached_njit()
def _splat_overlap(flow, mask, target_mask):  # type: ignore[no-untyped-def]
    """Splat a mask by the flow (average mode): the fraction of the pixels it reaches that are in the target mask."""
    height, width = mask.shape
    splatted = np.zeros((height, width), np.float32)
    weight = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            to_x, to_y = x + flow[y, x, 0], y + flow[y, x, 1]
            left, top = int(np.floor(to_x)), int(np.floor(to_y))
            for v in range(max(top, 0), min(top + 2, height)):
                for u in range(max(left, 0), min(left + 2, width)):
                    bilinear = (1 - abs(to_x - u)) * (1 - abs(to_y - v))
                    weight[v, u] += bilinear
                    if mask[y, x]:
                        splatted[v, u] += bilinear
    reached, inside = 0, 0
    for y in range(height):
        for x in range(width):
            if weight[y, x] > 0 and splatted[y, x] >= 0.05 * weight[y, x]:
                reached += 1
                inside += target_mask[y, x]
    return inside / max(reached, 1)


@cached_njit()
def _translate_segments(labels, boxes, match, min_overlap, flow, confidence):  # type: ignore[no-untyped-def]
    """Write the flow and confidence of matched segments that only move by a translation.

    labels, boxes: Of the source and of the target.
    """
    for segment in range(match.size):
        if match[segment] < 0:
            continue
        box, target_box = boxes[0][:, segment], boxes[1][:, match[segment]]
        overlap = _translation_overlap(labels[0], labels[1], box, target_box, segment, match[segment])
        if overlap <= min_overlap:
            continue
        confidence[segment] = overlap
        for y in range(box[1], box[3] + 1):
            for x in range(box[0], box[2] + 1):
                if labels[0][y, x] == segment:
                    flow[0, y, x] = (target_box[0] + target_box[2] - box[0] - box[2]) / 2
                    flow[1, y, x] = (target_box[1] + target_box[3] - box[1] - box[3]) / 2


@cached_njit()
def _translation_overlap(labels, target_labels, box, target_box, segment, match):  # type: ignore[no-untyped-def]
    """Compute `_splat_overlap` of two segments that are centered on each other and do not deform."""
    dx = _centering_offset(box[0], box[2], target_box[0], target_box[2])
    dy = _centering_offset(box[1], box[3], target_box[1], target_box[3])
    area, inside = 0, 0
    for y in range(box[1], box[3] + 1):
        for x in range(box[0], box[2] + 1):
            if labels[y, x] == segment:
                area += 1
                u, v = x + dx, y + dy
                if target_box[0] <= u <= target_box[2] and target_box[1] <= v <= target_box[3]:
                    inside += target_labels[v, u] == match
    return inside / area


@cached_njit()
def _centering_offset(first, last, target_first, target_last):  # type: ignore[no-untyped-def]
    """Compute the offset along one axis that centers a segment on another, rounded as `_center` rounds."""
    side, target_side = last - first + 1, target_last - target_first + 1
    room = max(side, target_side, MIN_PATCH_SIDE) + PATCH_MARGIN
    return target_first + (room - side) // 2 - (room - target_side) // 2 - first
