"""Renders the frames of a shot from the continuous parameters of its layers, and labels the visible layer of points.

Each pixel is the mean of 4x4 points of the frame. At each point the layers are composited front to back, each sampled
bilinearly at its inverse-transformed position, premultiplied. No frame is resampled from another. All frames sample the
same images, which are first reduced by area averaging to at most about two image pixels per frame pixel, so that all
frames are equally sharp. Colors are blended as stored (sRGB), as compositing programs for animation do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.linear.placing import Layer
from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit

SAMPLES_PER_SIDE = 4  # of a pixel
MAX_DENSITY = 2.0  # px of an image per px of the frame; at 4x4 points a pixel each of them is sampled
VISIBLE_ALPHA = 0.5  # a layer of at least this alpha at a point hides those behind it from labels
_MIN_TRANSMISSION = 1e-4  # below it the layers behind do not change an 8-bit color


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The layers of a shot with their images, made by `prepare_shot`.

    Attributes:
        layers: L layers from back to front; the first covers the frame at all times.
        pixels: float32 (N, 4), premultiplied RGBA in [0, 1] of all images, one after another, row by row.
        starts: int64 (L,), index in `pixels` at which each image starts.
        sizes: int64 (L, 2), height and width of each image.
        zooms: float64 (L, 2), its px per px of the file, x and y.
        width: Width of the frame, px.
        height: Height of the frame, px.
    """

    layers: tuple[Layer, ...]
    pixels: NDArray[np.float32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    zooms: NDArray[np.float64]
    width: int
    height: int

    def sampling_matrices(self, t: float) -> NDArray[np.float64]:
        """Return the matrices (L, 2, 3) from the frame at time t to each image in `pixels`."""
        matrices = self.zooms[:, :, None] * np.stack([layer.to_image(t) for layer in self.layers])
        # Pixel centers are integers in the file and in the reduced image.
        matrices[:, :, 2] += (self.zooms - 1) / 2
        return np.asarray(matrices, np.float64)


def prepare_shot(layers: Sequence[Layer], images: Sequence[NDArray[np.uint8]], width: int, height: int) -> Shot:
    """Reduce the images of layers to the scale at which they are drawn.

    Args:
        layers: Layers from back to front.
        images: uint8 (H, W, 4) RGBA of each layer.
        width: Width of the frame, px.
        height: Height of the frame, px.

    Returns:
        The shot.
    """
    reduced = [_reduce(image, max(layer.scale)) for image, layer in zip(images, layers, strict=True)]
    sizes = np.array([image.shape[:2] for image in reduced], np.int64)
    original_sizes = np.array([image.shape[1::-1] for image in images], np.float64)
    ends = np.cumsum(sizes.prod(axis=1))
    return Shot(
        layers=tuple(layers),
        pixels=np.concatenate([image.reshape(-1, 4) for image in reduced]),
        starts=np.concatenate([[0], ends[:-1]]).astype(np.int64),
        sizes=sizes,
        zooms=sizes[:, ::-1] / original_sizes,
        width=width,
        height=height,
    )


def render_frame(shot: Shot, t: float) -> RGBImage:
    """Render the frame at time t in [0, 1]: uint8 (height, width, 3) RGB."""
    colors = np.empty((shot.height, shot.width, 3), np.float32)
    _render(shot.pixels, shot.starts, shot.sizes, shot.sampling_matrices(t), SAMPLES_PER_SIDE, colors)
    return np.asarray(np.rint(255 * colors.clip(0, 1)), np.uint8)


def label_points(shot: Shot, t: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    """Find the visible layer at points of the frame: the frontmost whose alpha is at least 0.5.

    Args:
        shot: The shot.
        t: Time, in [0, 1].
        x: Coordinates in the frame, px, of any shape.
        y: The same.

    Returns:
        int32 of that shape: the layer, numbered from the back, from 0; -1 outside the frame.
    """
    labels = np.empty(x.shape, np.int32)
    matrices = shot.sampling_matrices(t)
    _label(shot.pixels, shot.starts, shot.sizes, matrices, x.ravel(), y.ravel(), labels.reshape(-1))
    outside = (x < -0.5) | (y < -0.5) | (x > shot.width - 0.5) | (y > shot.height - 0.5)
    labels[outside] = -1
    return labels


def _reduce(image: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Premultiply an image and reduce it to at most `MAX_DENSITY`, float32 (h, w, 4) in [0, 1]."""
    alpha = image[..., 3:].astype(np.float32) / 255
    reduced: Any = np.dstack([image[..., :3].astype(np.float32) / 255 * alpha, alpha])
    height, width = image.shape[:2]
    factor = min(1.0, MAX_DENSITY * scale)
    size = max(1, math.ceil(width * factor)), max(1, math.ceil(height * factor))
    if size != (width, height):
        reduced = cv2.resize(reduced, size, interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.float32)


@cached_njit()
def _sample(pixels, starts, sizes, matrices, layer, x, y, color):  # type: ignore[no-untyped-def]
    """Sample a layer bilinearly at a point of the frame; transparent beyond its edges, but the first repeats them."""
    height, width = sizes[layer, 0], sizes[layer, 1]
    u = matrices[layer, 0, 0] * x + matrices[layer, 0, 1] * y + matrices[layer, 0, 2]
    v = matrices[layer, 1, 0] * x + matrices[layer, 1, 1] * y + matrices[layer, 1, 2]
    if layer == 0:
        u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
    color[:] = 0
    if u <= -1 or v <= -1 or u >= width or v >= height:
        return
    left, top = int(np.floor(u)), int(np.floor(v))
    for row in range(2):
        row_weight = v - top if row else 1 - (v - top)
        for column in range(2):
            weight = row_weight * (u - left if column else 1 - (u - left))
            i, j = top + row, left + column
            if weight > 0 and 0 <= i < height and 0 <= j < width:
                index = starts[layer] + i * width + j
                for channel in range(4):
                    color[channel] += weight * pixels[index, channel]


@cached_njit()
def _find_near(sizes, matrices, x, y, near):  # type: ignore[no-untyped-def]
    """Write the layers that may reach into a pixel to `near`, front to back; return their number."""
    count = 0
    for layer in range(len(sizes) - 1, -1, -1):
        u = matrices[layer, 0, 0] * x + matrices[layer, 0, 1] * y + matrices[layer, 0, 2]
        v = matrices[layer, 1, 0] * x + matrices[layer, 1, 1] * y + matrices[layer, 1, 2]
        reach = 1 + np.abs(matrices[layer, :, :2]).sum()
        if layer == 0 or (-reach < u < sizes[layer, 1] + reach and -reach < v < sizes[layer, 0] + reach):
            near[count] = layer
            count += 1
    return count


@cached_njit()
def _render(pixels, starts, sizes, matrices, samples, colors):  # type: ignore[no-untyped-def]
    """Composite samples x samples points of each pixel and write their mean to `colors`."""
    height, width = colors.shape[:2]
    color, total = np.empty(4), np.empty(3)
    near = np.empty(len(starts), np.int64)
    for i in range(height):
        for j in range(width):
            total[:] = 0
            count = _find_near(sizes, matrices, j, i, near)
            for sample in range(samples * samples):
                y = i + (sample // samples + 0.5) / samples - 0.5
                x = j + (sample % samples + 0.5) / samples - 0.5
                transmission = 1.0
                for index in range(count):
                    _sample(pixels, starts, sizes, matrices, near[index], x, y, color)
                    for channel in range(3):
                        total[channel] += transmission * color[channel]
                    transmission *= 1 - color[3]
                    if transmission <= _MIN_TRANSMISSION:
                        break
            for channel in range(3):
                colors[i, j, channel] = total[channel] / (samples * samples)


@cached_njit()
def _label(pixels, starts, sizes, matrices, x, y, labels):  # type: ignore[no-untyped-def]
    """Write the frontmost layer of visible alpha at each point to `labels`, or else the first."""
    color = np.empty(4)
    for n in range(len(x)):
        labels[n] = 0
        for layer in range(len(starts) - 1, 0, -1):
            _sample(pixels, starts, sizes, matrices, layer, x[n], y[n], color)
            if color[3] >= VISIBLE_ALPHA:
                labels[n] = layer
                break
