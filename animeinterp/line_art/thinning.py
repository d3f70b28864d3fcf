"""Thin ink to center lines that are one pixel wide (Zhang & Suen 1984), visiting only the rim of the ink."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit


def thin(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin ink to center lines; connected ink stays connected.

    Args:
        ink: bool (H, W).

    Returns:
        bool (H, W), a subset of the ink.
    """
    padded = np.zeros((ink.shape[0] + 2, ink.shape[1] + 2), np.uint8)
    padded[1:-1, 1:-1] = ink
    return np.asarray(_remove_corners(_thin(padded))[1:-1, 1:-1].astype(np.bool_))


@cached_njit()
def _is_removable(ink, y, x, second):  # type: ignore[no-untyped-def]
    """Tell whether Zhang and Suen's first or second pass removes a pixel."""
    p2, p3, p4, p5 = ink[y - 1, x], ink[y - 1, x + 1], ink[y, x + 1], ink[y + 1, x + 1]
    p6, p7, p8, p9 = ink[y + 1, x], ink[y + 1, x - 1], ink[y, x - 1], ink[y - 1, x - 1]
    count = p2 + p3 + p4 + p5 + p6 + p7 + p8 + p9
    if count < 2 or count > 6:
        return False
    turns = (p2 < p3) + (p3 < p4) + (p4 < p5) + (p5 < p6) + (p6 < p7) + (p7 < p8) + (p8 < p9) + (p9 < p2)
    if turns != 1:
        return False
    if second:
        return p2 * p4 * p8 == 0 and p2 * p6 * p8 == 0
    return p2 * p4 * p6 == 0 and p4 * p6 * p8 == 0


@cached_njit()
def _first_rim(ink, rim, queued):  # type: ignore[no-untyped-def]
    """List the pixels of the ink with a side on the paper; returns their number."""
    height, width = ink.shape
    size = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if ink[y, x] and not (ink[y - 1, x] and ink[y + 1, x] and ink[y, x - 1] and ink[y, x + 1]):
                rim[size] = y * width + x
                queued[y, x] = True
                size += 1
    return size


@cached_njit()
def _remove_layer(ink, rim, size, queued, removed, second):  # type: ignore[no-untyped-def]
    """Remove what one pass removes of the rim, and append what that uncovers; returns the new size and the number."""
    width = ink.shape[1]
    gone = 0
    for i in range(size):
        y, x = divmod(rim[i], width)
        if ink[y, x] and _is_removable(ink, y, x, second):
            removed[gone] = rim[i]
            gone += 1
    for i in range(gone):
        y, x = divmod(removed[i], width)
        ink[y, x] = 0
    for i in range(gone):
        y, x = divmod(removed[i], width)
        for v in range(y - 1, y + 2):
            for u in range(x - 1, x + 2):
                if ink[v, u] and not queued[v, u]:
                    queued[v, u] = True
                    rim[size] = v * width + u
                    size += 1
    return size, gone


@cached_njit()
def _thin(ink):  # type: ignore[no-untyped-def]
    """See `thin`; the margin of one pixel is empty. Overwrites `ink`."""
    width = ink.shape[1]
    # Each pixel enters the rim once.
    count = np.count_nonzero(ink)
    rim, removed = np.empty(count, np.int64), np.empty(count, np.int64)
    queued = np.zeros(ink.shape, np.bool_)
    size = _first_rim(ink, rim, queued)
    while True:
        size, first = _remove_layer(ink, rim, size, queued, removed, False)
        size, second = _remove_layer(ink, rim, size, queued, removed, True)
        if first + second == 0:
            return ink
        kept = 0
        for i in range(size):
            y, x = divmod(rim[i], width)
            if ink[y, x]:
                rim[kept] = rim[i]
                kept += 1
        size = kept


@cached_njit()
def _remove_corners(ink):  # type: ignore[no-untyped-def]
    """Remove corners of staircases, which Zhang and Suen leave: pixels whose neighbors stay connected without them."""
    height, width = ink.shape
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if not ink[y, x]:
                continue
            p2, p3, p4, p5 = ink[y - 1, x], ink[y - 1, x + 1], ink[y, x + 1], ink[y + 1, x + 1]
            p6, p7, p8, p9 = ink[y + 1, x], ink[y + 1, x - 1], ink[y, x - 1], ink[y - 1, x - 1]
            count = p2 + p3 + p4 + p5 + p6 + p7 + p8 + p9
            # Yokoi's number of 8-connected groups around the pixel.
            groups = (1 - p2) - (1 - p2) * (1 - p3) * (1 - p4) + (1 - p4) - (1 - p4) * (1 - p5) * (1 - p6)
            groups += (1 - p6) - (1 - p6) * (1 - p7) * (1 - p8) + (1 - p8) - (1 - p8) * (1 - p9) * (1 - p2)
            if count >= 2 and groups == 1:
                ink[y, x] = 0
    return ink
