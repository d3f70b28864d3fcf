"""Line map → fills: regions that a rolling ball reaches without leaking through gaps (system §1a [1]).

The published method takes, for one ball, the first free pixel whose ball fits, floods from it to wherever the
ball can roll, removes that fill and starts again. Here one sweep makes all fills of a ball. Let E be the free
area eroded by the ball B: the next fill is D ⊕ B, where D is the 4-connected component of E that comes first
in raster order, and taking it away leaves of E exactly what lies outside D ⊕ B ⊕ B. So only E is kept up to
date, and only around the rim of D: with an offset, B contains all offsets between it and 0, hence D's rim
reaches all D reaches.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit

FILLS_PER_BALL = 1000  # the published limits; what they leave unfilled counts as line
FILLS_PER_FLOOD = 20000
_MARGIN = 6  # px, the reach of the largest ball


def fill_trapped_ball(fillable: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Fill what is not line with balls of radius 3 (largest fill only), 2 and 1, and flood the rest.

    fillable: (H, W) uint8, 255 = fillable, 0 = line.
    Returns (H, W) int32: 0 = line, 1..n = fills in the order they were made.
    """
    height, width = fillable.shape
    # A margin as wide as the largest reach spares all tests for the frame's edges; -1 belongs to nobody.
    fills = np.full((height + 2 * _MARGIN, width + 2 * _MARGIN), -1, np.int32)
    inner = fills[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inner[:] = 0
    core = np.zeros(fills.shape, np.uint8)
    made = 0
    for radius in (3, 2, 1, 0):
        ball = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)
        free = np.where(inner == 0, fillable, np.uint8(0))
        # OpenCV's default border: what lies outside the frame hinders no ball.
        core[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = cv2.erode(free, ball)
        reach = np.asarray(cv2.dilate(np.pad(ball, radius), ball), np.uint8)
        limit = FILLS_PER_BALL if radius > 0 else FILLS_PER_FLOOD
        made = _roll(core, fills, made, _offsets(ball, fills), _offsets(reach, fills), limit, radius == 3)
    return inner.copy()


def _offsets(kernel: NDArray[np.uint8], image: NDArray[np.int32]) -> NDArray[np.int64]:
    """The kernel's pixels as steps in the flattened image."""
    y, x = np.nonzero(kernel)
    return np.asarray((y - len(kernel) // 2) * image.shape[1] + x - len(kernel) // 2, np.int64)


@cached_njit()
def _roll(core, fills, made, ball, reach, limit, largest_only):  # type: ignore[no-untyped-def]
    """Make all fills of one ball in `fills`; returns the number of the last one. `core` is used up.

    core: the free area eroded by the ball. made: number of the last fill so far. ball, reach: B and B ⊕ B.
    """
    live, owner = core.reshape(-1), fills.reshape(-1)
    sides = np.array([1, -1, core.shape[1], -core.shape[1]])
    queue = np.empty(core.size, np.int32)
    rim = np.empty(core.size, np.int32)
    sizes = np.zeros(limit + 1, np.int64)
    first = made
    for seed in range(core.size):
        if live[seed] == 0:
            continue
        if made - first == limit:
            break
        made += 1
        size, rim_size = _flood(live, owner, seed, made, sides, queue, rim)
        for here in rim[:rim_size]:
            for step in reach:
                live[here + step] = 0
            for step in ball:
                if owner[here + step] == 0:
                    owner[here + step] = made
                    size += 1
        sizes[made - first] = size
    if largest_only:
        made = _keep_largest(owner, sizes[: made - first + 1], first)
    return made


@cached_njit()
def _flood(live, owner, seed, fill, sides, queue, rim):  # type: ignore[no-untyped-def]
    """Hand the live component of `seed` over to `fill`; returns its size and that of its `rim`."""
    live[seed] = 0
    owner[seed] = fill
    queue[0] = seed
    size, rim_size, head = 1, 0, 0
    while head < size:
        here = queue[head]
        head += 1
        inside = True
        for step in sides:
            there = here + step
            if live[there] != 0:
                live[there] = 0
                owner[there] = fill
                queue[size] = there
                size += 1
            elif owner[there] != fill and owner[there] >= 0:
                inside = False
        if not inside:
            rim[rim_size] = here
            rim_size += 1
    return size, rim_size


@cached_njit()
def _keep_largest(owner, sizes, first):  # type: ignore[no-untyped-def]
    """Drop all fills after `first` but the largest (all of them where several are), renumbered."""
    kept = np.zeros(sizes.size, np.int32)
    largest = sizes.max()
    last = first
    for i in range(1, sizes.size):
        if sizes[i] == largest:
            last += 1
            kept[i] = last
    for i in range(owner.size):
        if owner[i] > first:
            owner[i] = kept[owner[i] - first]
    return last
