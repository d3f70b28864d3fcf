"""How far two frames lie apart: the benchmark's levels, where it moves, and whether a third frame lies between them.

Frames are uint8 (H, W, 3) RGB. Motion is DIS optical flow (Kroeger et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.types import Level
from animeinterp.flow import backward_warp, chain_flows, dis_flow
from animeinterp.frame import RGBImage

CHANGED = 8  # of 255; a pixel that differs by more has changed
MOVING = 0.5  # px
MAX_UNEXPLAINED = 0.3  # share of the changed pixels of the middle frame that neither end explains
UNEXPLAINED = 40  # of 255
_BLUR = 5  # px
_DIFFERENT = 12  # of 255, mean over 5x5 px: below a mouth that opens
_GRAIN = 4  # times the median difference: above what codecs and grain do
_OUTLIERS = 0.01  # share of the change that may lie outside the region, at each side


def find_changed_pixels(first: RGBImage, second: RGBImage) -> NDArray[np.bool_]:
    """Where two frames differ: bool (H, W)."""
    return np.asarray(cv2.absdiff(first, second).max(axis=2) > CHANGED)


def measure_displacement(frame0: RGBImage, frame1: RGBImage, scale: float = 1.0) -> tuple[float, float]:
    """Mean displacement of moving pixels, px of the full size, and the share of changed pixels that are occluded.

    frame0, frame1: uint8 (H, W, 3) RGB, `scale` times the full size.
    """
    flow01, flow10 = dis_flow(frame0, frame1), dis_flow(frame1, frame0)
    length = np.hypot(*flow01) / scale
    moving = length > MOVING
    wrong = np.hypot(*chain_flows(flow01, flow10, border="zero")) > 1 + 0.05 * length * scale
    differs = find_changed_pixels(frame0, frame1)
    mean = float(length[moving].mean()) if moving.any() else 0.0
    return mean, float(wrong[differs].mean()) if differs.any() else 0.0


def classify_pair(frame0: RGBImage, frame1: RGBImage, scale: float = 1.0) -> Level:
    """How hard a pair is, by the rule of the benchmark."""
    return classify_motion(*measure_displacement(frame0, frame1, scale))


def classify_motion(far: float, occluded: float) -> Level:
    """The level of a pair with the displacement, px, and share of occlusion that `measure_displacement` tells."""
    if far >= 28 or (occluded >= 0.62 and far >= 8):
        return "hard"
    return "easy" if far < 12 and occluded < 0.35 else "medium"


def is_between(frame0: RGBImage, truth: RGBImage, frame1: RGBImage, most_unexplained: float = MAX_UNEXPLAINED) -> bool:
    """False where the ends are more alike than either is to the middle, or where the middle shows other things.

    most_unexplained: share of the changed pixels of the middle frame that neither end may explain, [0, 1].
    """
    ends = find_changed_pixels(frame0, frame1).mean()
    halves = find_changed_pixels(frame0, truth), find_changed_pixels(truth, frame1)
    if min(half.mean() for half in halves) == 0 or ends < 0.6 * max(half.mean() for half in halves):
        return False
    errors = [
        cv2.absdiff(backward_warp(end, dis_flow(truth, end), border="zero"), truth).max(axis=2)
        for end in (frame0, frame1)
    ]
    unexplained = np.minimum(*errors) > UNEXPLAINED
    return bool(unexplained[halves[0] | halves[1]].mean() <= most_unexplained)


def find_moving_region(frames: Sequence[RGBImage]) -> tuple[int, int, int, int]:
    """The box (x, y, width, height), px, of what moves through frames in a row, the camera's own shift aside.

    The whole frame where nothing does, or everything.
    """
    height, width = frames[0].shape[:2]
    moves = np.zeros((height, width))
    for first, second in pairwise(frames):
        camera = np.median(dis_flow(first, second), axis=(1, 2))
        camera = np.where(np.abs(camera) > MOVING, camera, 0).astype(np.float32)
        everywhere = np.broadcast_to(camera[:, None, None], (2, height, width))
        x, y = np.arange(width) + camera[0], np.arange(height)[:, None] + camera[1]
        seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        difference = cv2.absdiff(first, backward_warp(second, everywhere, border="zero")).max(axis=2) * seen
        change = cv2.blur(difference.astype(np.float32), (_BLUR, _BLUR))
        moves += np.where(change > max(_DIFFERENT, _GRAIN * float(np.median(change))), change, 0)
    if not moves.any():
        return 0, 0, width, height
    left, right = _extent(moves.sum(axis=0))
    top, bottom = _extent(moves.sum(axis=1))
    return left, top, right - left, bottom - top


def _extent(amounts: NDArray[np.float64]) -> tuple[int, int]:
    """Where nearly all of what lies in a row is: from the first to before the second."""
    share = np.cumsum(amounts) / amounts.sum()
    first = int(np.searchsorted(share, _OUTLIERS, side="right"))
    return first, int(np.searchsorted(share, 1 - _OUTLIERS)) + 1
