"""Dense flow without learned weights: each piece takes the best of a few motions.

Candidates are DIS optical flow (Kroeger et al. 2016), the flow of matched pieces, DIS started from that, and the
frame's dominant motion (the camera). A piece moves as one: it takes the candidate under which it looks most like the
other frame. This stands in for the recurrent refinement of the paper (§4.2) in presets with `flow="dis"`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.sgm.guidance import Guidance
from animeinterp.sgm.pieces import Pieces

ERROR_CAP = 60.0  # of 255; beyond this a colour is simply wrong
ERROR_OUTSIDE = 30.0  # of 255; what lies outside the other frame cannot be judged
BLUR = 1.5  # px; lets a piece's rim see its neighbours
# Importance falls by e per 5 px of forward-backward error and per 25/255 of colour error.
PER_PIXEL_OF_INCONSISTENCY = 0.2
PER_COLOR_STEP = 0.04
MAX_INCONSISTENCY = 10.0  # px
MIN_IMPORTANCE = 1e-4


class Direction(NamedTuple):
    """What is known of one direction of a pair, from `frame` to `other`.

    frame, other: uint8 (H, W, 3) RGB. pieces: of `frame`. guidance: coarse flow of its matched pieces.
    """

    frame: NDArray[np.uint8]
    other: NDArray[np.uint8]
    pieces: Pieces
    guidance: Guidance


def dis_flow(
    frame: NDArray[np.uint8], other: NDArray[np.uint8], start: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """DIS optical flow from `frame` to `other`, float32 (2, H, W), x first, px.

    frame, other: uint8 (H, W, 3) RGB. start: flow to begin with, of the same form.
    """
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    gray, gray_there = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, other))
    # DIS writes into the flow it is given.
    begin = None if start is None else np.array(start.transpose(1, 2, 0), np.float32, order="C")
    return np.ascontiguousarray(np.asarray(dis.calc(gray, gray_there, begin)).transpose(2, 0, 1))


def backward_warp(image: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[Any]:
    """`image` sampled at p + flow(p), bilinear, its border repeated. image: (H, W) or (H, W, C)."""
    height, width = flow.shape[1:]
    x = flow[0] + np.arange(width, dtype=np.float32)
    y = flow[1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def color_error(frame: NDArray[np.uint8], other: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean absolute difference over the channels between `frame` and `other` warped back by `flow`, 0..255."""
    warped = backward_warp(other, flow)
    return np.asarray(cv2.absdiff(warped, frame).mean(axis=2, dtype=np.float32))


def fuse(direction: Direction) -> NDArray[np.float32]:
    """The best candidate for each piece: flow float32 (2, H, W), x first, px."""
    frame, other, pieces, guidance = direction
    free = dis_flow(frame, other)
    known = (guidance.confidence > 0)[pieces.labels]
    guided = np.where(known, guidance.flow, free)
    camera = np.empty_like(free)
    camera[:] = np.median(free, axis=(1, 2))[:, None, None]
    candidates = [free, guided, dis_flow(frame, other, start=guided), camera]
    costs = [_cost_per_piece(frame, other, pieces, flow) for flow in candidates]
    # A piece without a match would have `guided` equal to `free`: the first of equals counts.
    best = np.argmin(costs, axis=0).astype(np.uint8)[pieces.labels]
    flow = np.empty_like(free)
    for index, candidate in enumerate(candidates):
        np.copyto(flow, candidate, where=best == index)
    return flow


def _cost_per_piece(
    frame: NDArray[np.uint8], other: NDArray[np.uint8], pieces: Pieces, flow: NDArray[np.float32]
) -> NDArray[np.float64]:
    height, width = flow.shape[1:]
    error = np.minimum(color_error(frame, other, flow), ERROR_CAP)
    x = flow[0] + np.arange(width, dtype=np.float32)
    y = flow[1] + np.arange(height, dtype=np.float32)[:, None]
    error[(x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)] = ERROR_OUTSIDE
    error = np.asarray(cv2.GaussianBlur(error, (0, 0), BLUR))
    return np.bincount(pieces.labels.ravel(), error.ravel(), len(pieces)) / pieces.area


def importance(direction: Direction, flow: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each pixel's motion can be trusted, float32 (H, W) in (0, 1]: exp(Z) of softmax splatting.

    flow: from `direction.frame` on; back: the flow the other way. High where going there and back returns to the
    same place and the colours agree (forward-backward consistency).
    """
    there_and_back = flow + backward_warp(back.transpose(1, 2, 0), flow).transpose(2, 0, 1)
    inconsistency = np.minimum(np.hypot(*there_and_back), MAX_INCONSISTENCY)
    error = color_error(direction.frame, direction.other, flow)
    trust = np.exp(-PER_PIXEL_OF_INCONSISTENCY * inconsistency - PER_COLOR_STEP * error)
    return np.asarray(np.maximum(trust, MIN_IMPORTANCE), np.float32)
