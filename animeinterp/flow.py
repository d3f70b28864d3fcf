"""Dense optical flow on the CPU: estimate it, warp by it, resize it, color it.

Flow is float32 (2, H, W), x first, in px. Images are uint8 (H, W, 3) RGB unless stated otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit

Flow = NDArray[np.float32]
DisPreset = Literal["ultrafast", "fast", "medium"]
# (source, target, initial flow or None) → flow; grayscale uint8 (H, W), flow float32 (H, W, 2) px
GrayFlowEstimator = Callable[[NDArray[Any], NDArray[Any], Flow | None], Flow]


@dataclass(frozen=True, slots=True)
class DisSettings:
    """Settings of OpenCV's DIS optical flow (Kroeger et al. 2016); None keeps the preset's own value.

    Attributes:
        preset: OpenCV's preset, from least to most work: `ultrafast`, `fast`, `medium`.
        finest_scale: Pyramid level at which the search ends; 0 = full resolution.
        variational_iterations: Iterations of variational refinement per level.
        descent_iterations: Gradient descent iterations per patch.
        patch_stride: Distance between patches, px.
    """

    preset: DisPreset = "medium"
    finest_scale: int | None = None
    variational_iterations: int | None = None
    descent_iterations: int | None = None
    patch_stride: int | None = None


def create_dis(settings: DisSettings) -> GrayFlowEstimator:
    """Create a DIS flow estimator for grayscale images; it may write into the initial flow that it is given."""
    dis: Any = cv2.DISOpticalFlow.create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{settings.preset.upper()}"))
    for setter, value in (
        (dis.setFinestScale, settings.finest_scale),
        (dis.setVariationalRefinementIterations, settings.variational_iterations),
        (dis.setGradientDescentIterations, settings.descent_iterations),
        (dis.setPatchStride, settings.patch_stride),
    ):
        if value is not None:
            setter(value)
    return dis.calc  # type: ignore[no-any-return]


def dis_flow(source: RGBImage, target: RGBImage, start: Flow | None = None, preset: DisPreset = "medium") -> Flow:
    """Estimate DIS optical flow between two RGB images.

    Args:
        source: uint8 (H, W, 3) RGB.
        target: Same shape.
        start: Initial flow, float32 (2, H, W), px; None starts from zero.
        preset: OpenCV's DIS preset.

    Returns:
        Flow from `source` to `target`, float32 (2, H, W), px.
    """
    source_gray, target_gray = (np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in (source, target))
    # A copy: DIS writes into the initial flow.
    initial = None if start is None else np.array(start.transpose(1, 2, 0), np.float32, order="C")
    flow = create_dis(DisSettings(preset))(source_gray, target_gray, initial)
    return np.ascontiguousarray(np.asarray(flow).transpose(2, 0, 1))


def flow_targets(flow: Flow) -> tuple[Flow, Flow]:
    """Compute where each pixel of a flow (2, H, W) ends: x and y, float32 (H, W), px."""
    x = flow[0] + np.arange(flow.shape[2], dtype=np.float32)
    y = flow[1] + np.arange(flow.shape[1], dtype=np.float32)[:, None]
    return x, y


def backward_warp(image: NDArray[Any], flow: Flow, outside: Literal["border", "zeros"] = "border") -> NDArray[Any]:
    """Sample an image at p + flow(p), bilinear.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        flow: float32 (2, H, W), px.
        outside: Value outside the image: the nearest border pixel, or zero.

    Returns:
        The warped image, shape and dtype of `image`.
    """
    mode = cv2.BORDER_REPLICATE if outside == "border" else cv2.BORDER_CONSTANT
    return np.asarray(cv2.remap(image, *flow_targets(flow), cv2.INTER_LINEAR, borderMode=mode))


def chain_flows(first: Flow, second: Flow, outside: Literal["border", "zeros"] = "border") -> Flow:
    """Add a second flow, sampled at the targets of the first.

    With the opposite flow as `second` the result is the forward-backward error, zero where both agree.

    Args:
        first: Flow from a to b, float32 (2, H, W), px.
        second: Flow from b to c, same shape.
        outside: See `backward_warp`.

    Returns:
        Flow from a to c, float32 (2, H, W), px.
    """
    return np.asarray(first + backward_warp(second.transpose(1, 2, 0), first, outside).transpose(2, 0, 1))


def compute_color_error(source: RGBImage, target: RGBImage, flow: Flow) -> NDArray[np.float32]:
    """Compare an image with another one warped back onto it.

    Args:
        source: uint8 (H, W, 3) RGB.
        target: Same shape.
        flow: Flow from `source` to `target`, float32 (2, H, W), px.

    Returns:
        Mean absolute difference over the channels, float32 (H, W), 0 to 255.
    """
    return np.asarray(_channel_mean(cv2.absdiff(backward_warp(target, flow), source)))


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
    """Resize planes, bilinear.

    Args:
        planes: float32 (H, W) or (C, H, W).
        size: New height and width, px; further entries are ignored, so that an image's shape may be given.

    Returns:
        The planes at `size`; `planes` itself where they have that size.
    """
    if planes.shape[-2:] == tuple(size[:2]):
        return planes
    if planes.ndim == 3:
        return np.stack([resize(plane, size) for plane in planes])
    return np.asarray(cv2.resize(planes, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def resize_flow(flow: Flow, size: tuple[int, ...]) -> Flow:
    """Resize a flow (2, H, W) to `size`, see `resize`, and scale its vectors with it."""
    scale = np.array([size[1] / flow.shape[2], size[0] / flow.shape[1]], np.float32)
    return np.ascontiguousarray(resize(flow, size) * scale[:, None, None])


# The color wheel of Baker et al. 2011: its hues, red to yellow to … to red, and the steps from one hue to the next.
_WHEEL_HUES = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0))
_WHEEL_STEPS = (15, 6, 4, 11, 13, 6)


def flow_to_color(flow: NDArray[np.floating], radius: float) -> RGBImage:
    """Draw flow as colors: hue = direction, white = no motion, full color = `radius`, darker = longer.

    Args:
        flow: (2, H, W), x first, px.
        radius: Length drawn in full color, px, > 0.

    Returns:
        uint8 RGB (H, W, 3), in the colors of Baker et al. 2011.
    """
    arcs = zip(pairwise(_WHEEL_HUES), _WHEEL_STEPS, strict=True)
    wheel = np.concatenate([np.linspace(*hues, steps, endpoint=False) for hues, steps in arcs])
    length = np.hypot(flow[0], flow[1]) / radius
    position = (np.arctan2(-flow[1], -flow[0]) / (2 * math.pi) + 0.5) * len(wheel)
    steps = np.arange(len(wheel))
    color = np.stack([np.interp(position, steps, channel, period=len(wheel)) for channel in wheel.T], axis=2)
    inside = length[..., None] <= 1
    color = np.where(inside, 255 - length[..., None] * (255 - color), color * 0.75)
    return np.asarray(np.rint(color).astype(np.uint8))


def distinct_colors(count: int) -> RGBImage:
    """List `count` colors, uint8 (count, 3) RGB, whose neighbors differ: hues a golden section apart."""
    k = np.arange(count)
    hsv = np.stack([k * 0.618034 % 1 * 180, 80 + k * 37 % 4 * 30, 255 - k * 53 % 3 * 35], axis=1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0].astype(np.uint8))
