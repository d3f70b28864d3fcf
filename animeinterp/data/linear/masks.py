"""Exact masks of a shot's middle frame: in how many other frames each of its points is visible, and motion borders."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.linear.placing import transform_points
from animeinterp.data.linear.rendering import Shot, label_points

BORDER_WIDTH = 8.0  # px; pixels at most this far from a motion border belong to it
MIN_MOTION_DIFFERENCE = 0.5  # px from frame 1 to frame 3, of neighbors on both sides of a motion border


class Masks(NamedTuple):
    """Masks of frame 2. A point is the surface point that a pixel shows.

    Attributes:
        visibility: uint8 (H, W), in how many of frames 1 and 3 the point is visible: 0, 1 or 2.
        borders: bool (H, W), within 8 px of a motion border.
        layer: int32 (H, W), the visible layer, numbered from the back, from 0.
        motion: float64 (H, W, 2), of the point from frame 1 to frame 3, x first, px.
    """

    visibility: NDArray[np.uint8]
    borders: NDArray[np.bool_]
    layer: NDArray[np.int32]
    motion: NDArray[np.float64]


def compute_masks(shot: Shot) -> Masks:
    """Compute the masks of a shot's frame 2."""
    y, x = np.mgrid[: shot.height, : shot.width].astype(np.float64)
    visible = label_points(shot, 0.5, x, y)
    visibility, positions = np.zeros(visible.shape, np.uint8), []
    for t in (0.0, 1.0):
        position = np.stack([x, y])
        for number, layer in enumerate(shot.layers):
            pixels = visible == number
            points = transform_points(layer.to_image(0.5), x[pixels], y[pixels])
            position[:, pixels] = transform_points(layer.to_frame(t), *points)
        visibility += label_points(shot, t, *position) == visible
        positions.append(position)
    motion = np.moveaxis(positions[1] - positions[0], 0, -1)
    return Masks(visibility, find_motion_borders(visible, motion), visible, motion)


def find_motion_borders(layer: NDArray[np.int32], motion: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the pixels near a border between layers that move differently.

    Args:
        layer: int32 (H, W), the visible layer.
        motion: float64 (H, W, 2), from frame 1 to frame 3, x first, px.

    Returns:
        bool (H, W), at most 8 px from a pixel with such a neighbor on one of its four sides.
    """
    border = np.zeros(layer.shape, bool)
    before, after, every = slice(None, -1), slice(1, None), slice(None)
    for one, other in (((before, every), (after, every)), ((every, before), (every, after))):
        difference = np.hypot(*np.moveaxis(motion[one] - motion[other], -1, 0))
        at_border = (layer[one] != layer[other]) & (difference > MIN_MOTION_DIFFERENCE)
        border[one] |= at_border
        border[other] |= at_border
    if not border.any():
        return border
    distance: Any = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= BORDER_WIDTH)
