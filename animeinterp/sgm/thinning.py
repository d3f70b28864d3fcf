"""Line pixels join a neighboring segment, and segments are numbered by area (docs/paper-to-code.md, 4)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit

MAX_LAYERS = 100  # lines more than twice as thick keep a core, which becomes a segment
_NEIGHBORS = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1))  # (dx, dy), clockwise


def thin_lines(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give line pixels the label of a labeled neighbor, layer by layer, up to `MAX_LAYERS`.

    Args:
        fills: int32 (H, W), 0 = line.

    Returns:
        int32 (H, W); 0 is left only in lines that no layer reached.
    """
    labeled = (fills != 0).astype(np.uint8)
    cross = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
    front = np.flatnonzero(np.asarray(cv2.dilate(labeled, cross)) > labeled)
    return np.asarray(_thin(np.ascontiguousarray(fills), front))


@cached_njit()
def _neighbor_label(labels, y, x):  # type: ignore[no-untyped-def]
    """Get the label of the first labeled neighbor in the order W, NW, N, NE, E, SE, S, SW; 0 if none."""
    height, width = labels.shape
    for dx, dy in _NEIGHBORS:
        v, u = y + dy, x + dx
        # As published, row 0 gives no label to the row below it, column 0 none to the column at its right.
        inside = u < width and v < height and (dx >= 0 or u > 0) and (dy >= 0 or v > 0)
        if inside and labels[v, u] != 0:
            return labels[v, u]
    return np.int32(0)


@cached_njit()
def _thin(fills, first_front):  # type: ignore[no-untyped-def]
    """See `thin_lines`; a layer visits only the front: line pixels with a labeled one on a side."""
    height, width = fills.shape
    out = fills.copy()
    # The margin counts as queued, so that no pixel outside the image is read.
    queued = np.ones((height + 2, width + 2), np.bool_)
    queued[1:-1, 1:-1] = fills != 0
    front = np.empty(fills.size, np.int64)
    label = np.empty(fills.size, np.int32)
    size = first_front.size
    for i in range(size):
        front[i] = first_front[i]
        queued[front[i] // width + 1, front[i] % width + 1] = True
    for _ in range(MAX_LAYERS):
        for i in range(size):
            label[i] = _neighbor_label(out, front[i] // width, front[i] % width)
        layer = front[:size].copy()
        size = 0
        for i in range(layer.size):
            y, x = divmod(layer[i], width)
            out[y, x] = label[i]
            if label[i] == 0:
                # On the front but without a label, by the rule on row and column 0: it stays on the front.
                front[size] = layer[i]
                size += 1
                continue
            for v, u in ((y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x)):
                if not queued[v + 1, u + 1]:
                    queued[v + 1, u + 1] = True
                    front[size] = v * width + u
                    size += 1
        if size == 0:
            break
    return out


def relabel_by_area(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the labels by area, ascending.

    Args:
        fills: int32 (H, W), >= 0.

    Returns:
        int32 (H, W), 0 = the smallest segment .. K-1 = the largest.
    """
    area = np.bincount(fills.reshape(-1))
    present = np.flatnonzero(area)
    # numpy's default sort, not a stable one: segments of equal area keep the published order.
    order = present[np.argsort(area[present])]
    rank = np.zeros(len(area), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[fills]
