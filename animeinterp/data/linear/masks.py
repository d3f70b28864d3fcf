"""What is exactly known of a shot's frame 2: how many of the other frames see each point of it, and motion borders."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.linear.placing import transform_points
from animeinterp.data.linear.rendering import Shot, label_points

BORDER = 8.0  # px: how near a motion border a pixel lies
APART = 0.5  # px from frame 1 to frame 3: neighbors whose motions differ by more have a motion border between them


class Masks(NamedTuple):
    """Of frame 2, (H, W).

    seen: uint8, by how many of frames 1 and 3 the point of the surface that the pixel shows is seen: 0, 1 or 2.
    borders: bool, within 8 px of a motion border. label: int32, the layer that is seen, from the back, from 0. motion:
    float64 (H, W, 2), of that point from frame 1 to frame 3, x first, px.
    """

    seen: NDArray[np.uint8]
    borders: NDArray[np.bool_]
    label: NDArray[np.int32]
    motion: NDArray[np.float64]


def compute_masks(shot: Shot) -> Masks:
    """The masks of a shot's frame 2."""
    y, x = np.mgrid[: shot.height, : shot.width].astype(np.float64)
    label = label_points(shot, 0.5, x, y)
    seen, ends = np.zeros(label.shape, np.uint8), []
    for t in (0.0, 1.0):
        there = np.stack([x, y])
        for number, layer in enumerate(shot.layers):
            shown = label == number
            picture = transform_points(layer.to_picture(0.5), x[shown], y[shown])
            there[:, shown] = transform_points(layer.to_frame(t), *picture)
        seen += label_points(shot, t, *there) == label
        ends.append(there)
    motion = np.moveaxis(ends[1] - ends[0], 0, -1)
    return Masks(seen, find_motion_borders(label, motion), label, motion)


def find_motion_borders(label: NDArray[np.int32], motion: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Bool (H, W): pixels at most 8 px from one that touches, at a side, another layer which moves otherwise.

    Args:
        label: int32 (H, W), the layer that is seen.
        motion: (H, W, 2), from frame 1 to frame 3, x first, px.
    """
    border = np.zeros(label.shape, bool)
    before, after, every = slice(None, -1), slice(1, None), slice(None)
    for one, other in (((before, every), (after, every)), ((every, before), (every, after))):
        apart = np.hypot(*np.moveaxis(motion[one] - motion[other], -1, 0)) > APART
        differs = (label[one] != label[other]) & apart
        border[one] |= differs
        border[other] |= differs
    if not border.any():
        return border
    far: Any = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(far <= BORDER)
