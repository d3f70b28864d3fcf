"""Matched segments → coarse flow (paper §4.1, "Flow"; system §1d).

A matched segment moves by the shift of its bounding box; its deformation is DIS optical flow between the two segments,
cut
out and centered on each other. A flow that does not carry the segment onto its match is dropped. Where nothing
valid is known the flow is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import Segments

MIN_AREA = 50  # px
MAX_AREA = 0.12  # of the frame
MAX_AREA_RATIO = 3.0
# 250 px at 960x540 in the published code. Deviation: as a share of the diagonal, so that other sizes behave alike.
MAX_DISPLACEMENT = 250 / float(np.hypot(960, 540))
MIN_OVERLAP = 0.8
DARK, DARK_SCALE, DARK_LIFT = 20, 0.8, 40  # a patch darker than this would vanish in its black surroundings
MARGIN = 10
MIN_PATCH = 16


@dataclass(frozen=True, slots=True)
class Deformation:
    """How hard DIS optical flow works on each pair of segments.

    variational: iterations of variational refinement. descent: gradient-descent iterations. stride: px between patches.
    max_side: longer patches are halved until they fit, 0 never.
    """

    variational: int = 25
    descent: int = 50
    stride: int = 3
    max_side: int = 0


PUBLISHED = Deformation()
QUICK = Deformation(variational=5, descent=16, stride=4, max_side=128)


@dataclass(frozen=True, slots=True, eq=False)
class CoarseFlow:
    """What the matched segments say about motion from one frame to the other.

    flow: float32 (2, H, W), x first, px; 0 where nothing is known.
    confidence: float32 (K,), share of each segment that lands in its match, 0 where there is no valid flow.
    """

    flow: NDArray[np.float32]
    confidence: NDArray[np.float32]


def select_valid_matches(segments: Segments, others: Segments, match: NDArray[np.int64]) -> NDArray[np.int64]:
    """The matches that may give flow: neither tiny nor huge, of similar size, not too far apart; -1 elsewhere.

    match: int64 (K,), index into `others` or -1.
    """
    there = np.maximum(match, 0)
    area, area_there = segments.area, others.area[there]
    shift = others.centroid[:, there] - segments.centroid
    diagonal = np.hypot(*segments.labels.shape)
    valid = (
        (match >= 0)
        & (area > MIN_AREA)
        & (area < MAX_AREA * segments.labels.size)
        & (np.maximum(area / area_there, area_there / area) < MAX_AREA_RATIO)
        # The published 250 px include their end, and rounding must not push them out.
        & (np.hypot(shift[0], shift[1]) <= MAX_DISPLACEMENT * diagonal * (1 + 1e-9))
    )
    return np.where(valid, match, -1)


def estimate_coarse_flow(
    frame: NDArray[np.uint8],
    other: NDArray[np.uint8],
    segments: Segments,
    others: Segments,
    match: NDArray[np.int64],
    deformation: Deformation | None = PUBLISHED,
) -> CoarseFlow:
    """Flow from `frame` to `other` as their matched segments suggest.

    frame, other: uint8 (H, W, 3) RGB. segments, others: their segments. match: int64 (K,) into `others`, -1 = none.
    deformation: how DIS looks for deformation, None for translation only.
    """
    flow = np.zeros((2, *segments.labels.shape), np.float32)
    confidence = np.zeros(len(segments), np.float32)
    valid = select_valid_matches(segments, others, match)
    if deformation is None:
        _shift(segments.labels, others.labels, segments.box, others.box, valid, flow, confidence)
        return CoarseFlow(flow, confidence)
    gray, gray_there = (np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in (frame, other))
    dis = _dis(deformation)
    for segment in np.flatnonzero(valid >= 0).tolist():
        there = int(valid[segment])
        box, box_there = segments.box[:, segment], others.box[:, there]
        cut, cut_there = _mask(segments, segment), _mask(others, there)
        size = tuple(max(a, b, MIN_PATCH) + MARGIN for a, b in zip(cut.shape, cut_there.shape, strict=True))
        mask, mask_there = _center(cut, size), _center(cut_there, size)
        patch, patch_there = _patch(gray, box, cut, size), _patch(gray_there, box_there, cut_there, size)
        local = _deform(dis, patch, patch_there, deformation.max_side)
        landed = _share_landed(local, mask, mask_there)
        if landed > MIN_OVERLAP:
            confidence[segment] = landed
            shift = (box_there[:2] + box_there[2:] - box[:2] - box[2:]) / 2
            area = flow[:, box[1] : box[3] + 1, box[0] : box[2] + 1]
            top, left = ((large - small) // 2 for large, small in zip(size, cut.shape, strict=True))
            deformed = local[top : top + cut.shape[0], left : left + cut.shape[1]]
            for axis in (0, 1):
                np.copyto(area[axis], deformed[..., axis] + shift[axis], where=cut)
    return CoarseFlow(flow, confidence)


def _dis(deformation: Deformation) -> Any:
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setVariationalRefinementIterations(deformation.variational)
    dis.setGradientDescentIterations(deformation.descent)
    dis.setPatchStride(deformation.stride)
    return dis


def _mask(segments: Segments, segment: int) -> NDArray[np.bool_]:
    """The segment within its bounding box."""
    x0, y0, x1, y1 = segments.box[:, segment]
    return np.asarray(segments.labels[y0 : y1 + 1, x0 : x1 + 1] == segment)


def _center(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """The image in the middle of a larger one of zeros."""
    top, left = ((large - small) // 2 for large, small in zip(size, image.shape, strict=True))
    centered = np.zeros(size, image.dtype)
    centered[top : top + image.shape[0], left : left + image.shape[1]] = image
    return centered


def _patch(
    gray: NDArray[np.uint8], box: NDArray[np.int32], mask: NDArray[np.bool_], size: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The segment's lightness, black around it, dark segments lifted out of that black."""
    patch = np.where(mask, gray[box[1] : box[3] + 1, box[0] : box[2] + 1], np.uint8(0))
    if patch[mask].mean() < DARK:
        patch[mask] = (DARK_SCALE * patch[mask] + DARK_LIFT).astype(np.uint8)
    return _center(patch, size)


def _deform(dis: Any, here: NDArray[np.uint8], there: NDArray[np.uint8], max_side: int) -> NDArray[np.float32]:
    """DIS flow between two patches of one size: float32 (h, w, 2), px."""
    halvings = 0
    while max_side and max(here.shape) >> halvings > max_side:
        halvings += 1
    if halvings == 0:
        return np.asarray(dis.calc(here, there, None), np.float32)
    height, width = here.shape
    small = (max(width >> halvings, MIN_PATCH), max(height >> halvings, MIN_PATCH))
    shrunk = [cv2.resize(patch, small, interpolation=cv2.INTER_AREA) for patch in (here, there)]
    flow = np.asarray(cv2.resize(dis.calc(*shrunk, None), (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(flow * (width / small[0], height / small[1]), np.float32)


@cached_njit()
def _share_landed(flow, mask, mask_there):  # type: ignore[no-untyped-def]
    """Of the pixels that the mask reaches when splatted (average) by the flow, the share inside the other mask."""
    height, width = mask.shape
    arrived = np.zeros((height, width), np.float32)
    weight = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            to_x, to_y = x + flow[y, x, 0], y + flow[y, x, 1]
            left, top = int(np.floor(to_x)), int(np.floor(to_y))
            for v in range(max(top, 0), min(top + 2, height)):
                for u in range(max(left, 0), min(left + 2, width)):
                    share = (1 - abs(to_x - u)) * (1 - abs(to_y - v))
                    weight[v, u] += share
                    if mask[y, x]:
                        arrived[v, u] += share
    reached, inside = 0, 0
    for y in range(height):
        for x in range(width):
            if weight[y, x] > 0 and arrived[y, x] >= 0.05 * weight[y, x]:
                reached += 1
                inside += mask_there[y, x]
    return inside / max(reached, 1)


@cached_njit()
def _shift(labels, labels_there, box, box_there, match, flow, confidence):  # type: ignore[no-untyped-def]
    """The flow of matched segments that are only shifted, and the share of each that lands in its match."""
    for segment in range(match.size):
        if match[segment] < 0:
            continue
        here, there = box[:, segment], box_there[:, match[segment]]
        landed = _share_covered(labels, labels_there, here, there, segment, match[segment])
        if landed <= MIN_OVERLAP:
            continue
        confidence[segment] = landed
        for y in range(here[1], here[3] + 1):
            for x in range(here[0], here[2] + 1):
                if labels[y, x] == segment:
                    flow[0, y, x] = (there[0] + there[2] - here[0] - here[2]) / 2
                    flow[1, y, x] = (there[1] + there[3] - here[1] - here[3]) / 2


@cached_njit()
def _share_covered(labels, labels_there, here, there, segment, match):  # type: ignore[no-untyped-def]
    """`_share_landed` of two segments that are centered on each other and do not move, from their boxes."""
    dx, dy = _centering(here[0], here[2], there[0], there[2]), _centering(here[1], here[3], there[1], there[3])
    area, inside = 0, 0
    for y in range(here[1], here[3] + 1):
        for x in range(here[0], here[2] + 1):
            if labels[y, x] == segment:
                area += 1
                u, v = x + dx, y + dy
                if there[0] <= u <= there[2] and there[1] <= v <= there[3]:
                    inside += labels_there[v, u] == match
    return inside / area


@cached_njit()
def _centering(first, last, first_there, last_there):  # type: ignore[no-untyped-def]
    """By how much a segment moves along one axis to be centered on another, rounded as `_center` rounds."""
    side, side_there = last - first + 1, last_there - first_there + 1
    room = max(side, side_there, MIN_PATCH) + MARGIN
    return first_there + (room - side) // 2 - (room - side_there) // 2 - first
