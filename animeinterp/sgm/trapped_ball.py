"""Line map → fills: regions that a rolling ball can reach without leaking through gaps (system §1a [1]).

The published method takes, for one ball, the first free pixel whose ball fits, floods from it to wherever the ball can
roll, removes that fill and starts again. All fills of a ball are found here in one sweep instead: let E be the free
area eroded by the ball B. The next fill is D ⊕ B, where D is the first 4-connected component of E in raster order;
taking it away leaves of E exactly E \\ (D ⊕ B ⊕ B). So only E is kept up to date, and only around the rim of D: B
contains with an offset all offsets between it and 0, hence what lies outside D is reached from D's rim.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.sgm.jit import compiled

FILLS_PER_BALL = 1000  # the published limits; what they leave unfilled counts as line
FILLS_PER_FLOOD = 20000


def trapped_ball_fill(fillable: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Fill what is not line with balls of radius 3 (largest fill only), 2 and 1, and flood the rest.

    fillable: (H, W) uint8, 255 = fillable, 0 = line. Returns (H, W) int32: 0 = line, 1..n = fills as they were made.
    """
    fills = np.zeros(fillable.shape, np.int32)
    free = fillable.copy()
    made = 0
    for radius, largest_only in ((3, True), (2, False), (1, False)):
        ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        # Default border: what lies outside the frame hinders no ball.
        core = np.asarray(cv2.erode(free, ball))
        made = _roll(core, free, fills, made, *_half_widths(ball), FILLS_PER_BALL, largest_only)
    point = np.zeros(1, np.int64)
    core = free.copy()
    _roll(core, free, fills, made, point, point, FILLS_PER_FLOOD, False)
    return fills


def _half_widths(ball: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Half the width of each row, of the ball B and of B ⊕ B; every row is centred."""
    width = ball.sum(axis=1, dtype=np.int64) // 2
    twice = cv2.dilate(cv2.copyMakeBorder(ball, *[len(ball) // 2] * 4, cv2.BORDER_CONSTANT), ball)
    return width, np.asarray(twice).sum(axis=1, dtype=np.int64) // 2


@compiled
def _roll(core, free, fills, made, ball, reach, limit, largest_only):  # type: ignore[no-untyped-def]
    """Make all fills of one ball; returns the number of the last fill. `core` is used up, `free` and `fills` updated.

    core: free eroded by the ball. made: fills made so far. ball, reach: half-widths of the rows of B and B ⊕ B.
    """
    height, width = core.shape
    queue = np.empty(core.size, np.int32)
    rim = np.empty(core.size, np.int32)
    sizes = np.zeros(limit + 1, np.int64)
    first = made
    ball_radius, reach_radius = len(ball) // 2, len(reach) // 2
    for seed in range(core.size):
        if core[seed // width, seed % width] == 0:
            continue
        if made - first == limit:
            break
        made += 1
        queue[0] = seed
        core[seed // width, seed % width] = 0
        fills[seed // width, seed % width] = made
        head, size = 0, 1
        while head < size:
            y, x = divmod(queue[head], width)
            head += 1
            for side in range(4):
                v = y + (side == 2) - (side == 3)
                u = x + (side == 0) - (side == 1)
                if 0 <= v < height and 0 <= u < width and core[v, u] != 0:
                    core[v, u] = 0
                    fills[v, u] = made
                    queue[size] = v * width + u
                    size += 1
        area = size
        if ball_radius > 0:
            rim_size = 0
            for i in range(size):
                y, x = divmod(queue[i], width)
                if (
                    (x > 0 and fills[y, x - 1] != made)
                    or (x < width - 1 and fills[y, x + 1] != made)
                    or (y > 0 and fills[y - 1, x] != made)
                    or (y < height - 1 and fills[y + 1, x] != made)
                ):
                    rim[rim_size] = queue[i]
                    rim_size += 1
            for i in range(rim_size):
                y, x = divmod(rim[i], width)
                for v in range(max(y - reach_radius, 0), min(y + reach_radius + 1, height)):
                    half = reach[v - y + reach_radius]
                    for u in range(max(x - half, 0), min(x + half + 1, width)):
                        core[v, u] = 0
                for v in range(max(y - ball_radius, 0), min(y + ball_radius + 1, height)):
                    half = ball[v - y + ball_radius]
                    for u in range(max(x - half, 0), min(x + half + 1, width)):
                        area += fills[v, u] != made
                        fills[v, u] = made
        sizes[made - first] = area
    if largest_only:
        kept = np.zeros(limit + 1, np.int32)
        largest = sizes.max()
        last = first
        for i in range(1, made - first + 1):
            if sizes[i] == largest:
                last += 1
                kept[i] = last
        made = last
        for y in range(height):
            for x in range(width):
                if fills[y, x] > first:
                    fills[y, x] = kept[fills[y, x] - first]
    for y in range(height):
        for x in range(width):
            if fills[y, x] != 0:
                free[y, x] = 0
    return made
