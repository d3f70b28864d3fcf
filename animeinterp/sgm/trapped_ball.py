"""Line map → fills: regions that a rolling ball reaches without leaking through gaps (docs/paper-to-code.md, 2).

Trapped-ball segmentation (Zhang et al. 2009): the published code takes, for one ball, the first free pixel whose ball
fits, floods from it to wherever the ball can roll, removes that fill and starts again. Here one sweep makes all fills
of a ball. Let E be the free area eroded by the ball B: the next fill is D ⊕ B, where D is the 4-connected component of
E that comes first in raster order, and removing it leaves of E exactly what lies outside D ⊕ B ⊕ B. So only E is kept
up to date, and only around the rim of D: with an offset, B contains all offsets between it and 0, hence the rim of D
reaches all that D reaches.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit

BALL_RADII = (3, 2, 1, 0)  # px, in this order; 0 floods the rest
MAX_FILLS_PER_BALL = 1000  # the published limits; what they leave unfilled counts as line
MAX_FILLS_PER_FLOOD = 20000
_MARGIN = 6  # px, the reach of the largest ball


def fill_trapped_ball(fillable: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Fill everything but lines with balls of radius 3 (largest fill only), 2 and 1, and flood the rest.

    Args:
        fillable: uint8 (H, W), 255 = fillable, 0 = line.

    Returns:
        int32 (H, W): 0 = line, 1..n = fills in the order they were made.
    """
    height, width = fillable.shape
    # A margin as wide as the largest reach makes checks for the image's edges unnecessary; -1 belongs to no fill.
    fills = np.full((height + 2 * _MARGIN, width + 2 * _MARGIN), -1, np.int32)
    inner = fills[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inner[:] = 0
    core = np.zeros(fills.shape, np.uint8)
    last = 0
    for radius in BALL_RADII:
        ball = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)
        free = np.where(inner == 0, fillable, np.uint8(0))
        # OpenCV's default border: outside the image the ball is not obstructed.
        core[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = cv2.erode(free, ball)
        reach = np.asarray(cv2.dilate(np.pad(ball, radius), ball), np.uint8)
        limit = MAX_FILLS_PER_BALL if radius > 0 else MAX_FILLS_PER_FLOOD
        largest_only = radius == max(BALL_RADII)
        last = _fill_with_ball(core, fills, last, _offsets(ball, fills), _offsets(reach, fills), limit, largest_only)
    return inner.copy()


def _offsets(kernel: NDArray[np.uint8], image: NDArray[np.int32]) -> NDArray[np.int64]:
    """Convert the kernel's pixels to steps in the flattened image."""
    y, x = np.nonzero(kernel)
    return np.asarray((y - len(kernel) // 2) * image.shape[1] + x - len(kernel) // 2, np.int64)


@cached_njit()
def _fill_with_ball(core, fills, last, ball, reach, limit, largest_only):  # type: ignore[no-untyped-def]
    """Make all fills of one ball in `fills`; returns the number of the last one. Overwrites `core`.

    core: the free area eroded by the ball. last: number of the last fill so far. ball, reach: B and B ⊕ B.
    """
    is_core, owner = core.reshape(-1), fills.reshape(-1)
    sides = np.array([1, -1, core.shape[1], -core.shape[1]])
    queue = np.empty(core.size, np.int32)
    rim = np.empty(core.size, np.int32)
    sizes = np.zeros(limit + 1, np.int64)
    first = last
    for seed in range(core.size):
        if is_core[seed] == 0:
            continue
        if last - first == limit:
            break
        last += 1
        size, rim_size = _flood(is_core, owner, seed, last, sides, queue, rim)
        for index in rim[:rim_size]:
            for step in reach:
                is_core[index + step] = 0
            for step in ball:
                if owner[index + step] == 0:
                    owner[index + step] = last
                    size += 1
        sizes[last - first] = size
    if largest_only:
        last = _keep_largest(owner, sizes[: last - first + 1], first)
    return last


@cached_njit()
def _flood(is_core, owner, seed, fill, sides, queue, rim):  # type: ignore[no-untyped-def]
    """Move the core component of `seed` to `fill` and list its rim; returns the sizes of both."""
    is_core[seed] = 0
    owner[seed] = fill
    queue[0] = seed
    size, rim_size, head = 1, 0, 0
    while head < size:
        index = queue[head]
        head += 1
        inside = True
        for step in sides:
            neighbor = index + step
            if is_core[neighbor] != 0:
                is_core[neighbor] = 0
                owner[neighbor] = fill
                queue[size] = neighbor
                size += 1
            elif owner[neighbor] != fill and owner[neighbor] >= 0:
                inside = False
        if not inside:
            rim[rim_size] = index
            rim_size += 1
    return size, rim_size


@cached_njit()
def _keep_largest(owner, sizes, first):  # type: ignore[no-untyped-def]
    """Remove all fills after `first` except the largest (all of equal size), and renumber; returns the last number."""
    new_number = np.zeros(sizes.size, np.int32)
    largest = sizes.max()
    last = first
    for i in range(1, sizes.size):
        if sizes[i] == largest:
            last += 1
            new_number[i] = last
    for i in range(owner.size):
        if owner[i] > first:
            owner[i] = new_number[owner[i] - first]
    return last
