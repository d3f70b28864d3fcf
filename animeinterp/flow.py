"""Dense optical flow on the CPU: estimate it, warp by it, resize it, color it."""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit

Effort = Literal["medium", "fast"]


_PRESETS = {"medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST}


def dis_flow(
    frame: NDArray[np.uint8],
    other: NDArray[np.uint8],
    start: NDArray[np.float32] | None = None,
    effort: Effort = "medium",
) -> NDArray[np.float32]:
    """DIS optical flow from `frame` to `other`, float32 (2, H, W), x first, px.

    frame, other: uint8 (H, W, 3) RGB. start: flow to begin with, of the same form. effort: OpenCV's preset.
    """
    dis: Any = cv2.DISOpticalFlow.create(_PRESETS[effort])
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
    return np.asarray(_channel_mean(cv2.absdiff(backward_warp(other, flow), frame)))


@cached_njit()
def _channel_mean(image):  # type: ignore[no-untyped-def]
    """(H, W, 3) uint8 → (H, W) float32. Equal to numpy's mean, which takes twenty times as long."""
    height, width, _ = image.shape
    mean = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            total = np.int32(image[y, x, 0]) + np.int32(image[y, x, 1]) + np.int32(image[y, x, 2])
            mean[y, x] = np.float32(total) / np.float32(3)
    return mean


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


# steps from one hue to the next, and the hues: red, yellow, green, cyan, blue, magenta, red
_WHEEL_STEPS = (15, 6, 4, 11, 13, 6)


_WHEEL_HUES = (
    (255, 0, 0),
    (255, 255, 0),
    (0, 255, 0),
    (0, 255, 255),
    (0, 0, 255),
    (255, 0, 255),
    (255, 0, 0),
)


def flow_to_color(flow: NDArray[np.floating], radius: float) -> RGBImage:
    """Flow as colors: hue = direction, white = no motion, full color = `radius` px, darker = beyond it.

    flow: (2, H, W), x first, px. radius: px, > 0. Returns uint8 RGB (H, W, 3). Colors of Baker et al. 2011.
    """
    wheel = np.concatenate(
        [
            np.linspace(a, b, steps, endpoint=False)
            for a, b, steps in zip(_WHEEL_HUES[:-1], _WHEEL_HUES[1:], _WHEEL_STEPS, strict=True)
        ]
    )
    length = np.hypot(flow[0], flow[1]) / radius
    place = (np.arctan2(-flow[1], -flow[0]) / (2 * math.pi) + 0.5) * len(wheel)
    steps = np.arange(len(wheel))
    color = np.stack([np.interp(place, steps, channel, period=len(wheel)) for channel in wheel.T], axis=2)
    inside = length[..., None] <= 1
    color = np.where(inside, 255 - length[..., None] * (255 - color), color * 0.75)
    picture: RGBImage = np.rint(color).astype(np.uint8)
    return picture


def _hues(count: int) -> RGBImage:
    """Colors (count, 3) that differ from one number to the next: hues a golden section apart."""
    k = np.arange(count)
    hsv = np.stack([k * 0.618034 % 1 * 180, 80 + k * 37 % 4 * 30, 255 - k * 53 % 3 * 35], axis=1).astype(np.uint8)
    colors: RGBImage = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0].astype(np.uint8)
    return colors
