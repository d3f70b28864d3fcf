"""Pictures, planes and flow at another size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import MIN_SIDE


def at_working_size(picture: NDArray[np.uint8], working_pixels: int) -> NDArray[np.uint8]:
    """The picture, made smaller if it has more than `working_pixels`, its shape kept."""
    height, width = picture.shape[:2]
    scale = (working_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return picture
    size = max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def resize(planes: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """(H, W) or (C, H, W) → the same at `size` = (height, width), bilinear."""
    if planes.shape[-2:] == tuple(size[:2]):
        return planes
    if planes.ndim == 3:
        return np.stack([resize(plane, size) for plane in planes])
    return np.asarray(cv2.resize(planes, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def resize_flow(flow: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Flow (2, H, W) at another size, its vectors scaled with it."""
    scale = np.array([size[1] / flow.shape[2], size[0] / flow.shape[1]], np.float32)
    return np.ascontiguousarray(resize(flow, size) * scale[:, None, None])
