"""Draws a shot's frames from the continuous parameters of its layers, and says which layer each pixel shows.

Each pixel is the mean of 4x4 points of the frame. At each point the layers are laid over each other, front to back,
each read bilinearly where its own inverse transform leads, colors multiplied by alpha. No frame is resampled from
another one, and all frames read the same pictures, which are first made smaller by area averages to at most about two
picture pixels a frame pixel: so all frames are equally sharp. Colors are mixed as they are stored (sRGB), as
compositing programs for animation do.
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

SAMPLES = 4  # per side of a pixel
DENSITY = 2.0  # px of a picture per px of the frame: at 4x4 points a pixel every one of them counts
OPAQUE = 0.5  # alpha of a point from which on a layer is what is seen


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The layers of a shot with their pictures, ready to be drawn; made by `prepare_shot`.

    layers: from back to front; the first covers the frame at all times. pixels: float32 (N, 4), the pictures' RGB times
    alpha and alpha in [0, 1], one after another, each row by row. starts: where each begins in `pixels`. sizes: (L, 2),
    height and width of each. zooms: (L, 2), its px per px of the file, x and y. width, height: of the frame, px.
    """

    layers: tuple[Layer, ...]
    pixels: NDArray[np.float32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    zooms: NDArray[np.float64]
    width: int
    height: int

    def readers(self, t: float) -> NDArray[np.float64]:
        """The matrices (L, 2, 3) from the frame at time t to each layer's `pixels`."""
        to_picture = np.stack([layer.to_picture(t) for layer in self.layers])
        # Pixel centers are at whole numbers in the file and in the smaller picture.
        readers = self.zooms[:, :, None] * to_picture
        readers[:, :, 2] += (self.zooms - 1) / 2
        return np.asarray(readers, np.float64)


def prepare_shot(layers: Sequence[Layer], pictures: Sequence[RGBImage], width: int, height: int) -> Shot:
    """Make pictures, uint8 (H, W, 4) RGBA, small enough for the size that their layers are drawn at.

    Args:
        layers: From back to front.
        pictures: Of each layer.
        width: Of the frame, px.
        height: Of the frame, px.
    """
    parts = [_reduced(picture, max(layer.scale)) for picture, layer in zip(pictures, layers, strict=True)]
    sizes = np.array([part.shape[:2] for part in parts], np.int64)
    full = np.array([picture.shape[1::-1] for picture in pictures], np.float64)
    ends = np.cumsum(sizes.prod(axis=1))
    pixels = np.concatenate([part.reshape(-1, 4) for part in parts])
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return Shot(tuple(layers), pixels, starts, sizes, sizes[:, ::-1] / full, width, height)


def render_frame(shot: Shot, t: float) -> RGBImage:
    """The frame at time t in [0, 1]: uint8 (height, width, 3) RGB."""
    colors = np.empty((shot.height, shot.width, 3), np.float32)
    _render(shot.pixels, shot.starts, shot.sizes, shot.readers(t), SAMPLES, colors)
    return np.asarray(np.rint(255 * colors.clip(0, 1)), np.uint8)


def label_points(shot: Shot, t: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    """The layer that is seen at points of the frame at time t: the foremost whose alpha is at least 0.5 there.

    Args:
        shot: Its layers are numbered from the back, from 0.
        t: The time, in [0, 1].
        x: Points of the frame, px, of any shape.
        y: The same.

    Returns:
        int32 of that shape; -1 outside the frame.
    """
    found = np.empty(x.shape, np.int32)
    readers = shot.readers(t)
    _labels(shot.pixels, shot.starts, shot.sizes, readers, x.ravel(), y.ravel(), found.reshape(-1))
    outside = (x < -0.5) | (y < -0.5) | (x > shot.width - 0.5) | (y > shot.height - 0.5)
    found[outside] = -1
    return found


def _reduced(picture: RGBImage, scale: float) -> NDArray[np.float32]:
    """Float32 (h, w, 4), RGB times alpha and alpha in [0, 1], at most `DENSITY` px of it per px of the frame."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    whole: Any = np.dstack([picture[..., :3].astype(np.float32) / 255 * alpha, alpha])
    height, width = picture.shape[:2]
    share = min(1.0, DENSITY * scale)
    size = max(1, math.ceil(width * share)), max(1, math.ceil(height * share))
    if size != (width, height):
        whole = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return np.asarray(whole, np.float32)


@cached_njit()
def _read(pixels, starts, sizes, readers, layer, x, y, into):  # type: ignore[no-untyped-def]
    """Read a layer bilinearly at a point of the frame; the backmost goes on beyond its edges, others end there."""
    height, width = sizes[layer, 0], sizes[layer, 1]
    u = readers[layer, 0, 0] * x + readers[layer, 0, 1] * y + readers[layer, 0, 2]
    v = readers[layer, 1, 0] * x + readers[layer, 1, 1] * y + readers[layer, 1, 2]
    if layer == 0:
        u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
    into[:] = 0
    if u <= -1 or v <= -1 or u >= width or v >= height:
        return
    left, top = int(np.floor(u)), int(np.floor(v))
    for row in range(2):
        down = v - top if row else 1 - (v - top)
        for column in range(2):
            weight = down * (u - left if column else 1 - (u - left))
            i, j = top + row, left + column
            if weight > 0 and 0 <= i < height and 0 <= j < width:
                at = starts[layer] + i * width + j
                for channel in range(4):
                    into[channel] += weight * pixels[at, channel]


@cached_njit()
def _near(sizes, readers, x, y, near):  # type: ignore[no-untyped-def]
    """Write into `near` the layers that may reach into a pixel, from front to back; returns how many."""
    count = 0
    for layer in range(len(sizes) - 1, -1, -1):
        u = readers[layer, 0, 0] * x + readers[layer, 0, 1] * y + readers[layer, 0, 2]
        v = readers[layer, 1, 0] * x + readers[layer, 1, 1] * y + readers[layer, 1, 2]
        far = 1 + np.abs(readers[layer, :, :2]).sum()
        if layer == 0 or (-far < u < sizes[layer, 1] + far and -far < v < sizes[layer, 0] + far):
            near[count] = layer
            count += 1
    return count


@cached_njit()
def _render(pixels, starts, sizes, readers, samples, colors):  # type: ignore[no-untyped-def]
    """The mean of samples x samples points of each pixel, each the layers over each other."""
    height, width = colors.shape[:2]
    point, total = np.empty(4), np.empty(3)
    near = np.empty(len(starts), np.int64)
    for i in range(height):
        for j in range(width):
            total[:] = 0
            count = _near(sizes, readers, j, i, near)
            for sample in range(samples * samples):
                y = i + (sample // samples + 0.5) / samples - 0.5
                x = j + (sample % samples + 0.5) / samples - 0.5
                through = 1.0
                for place in range(count):
                    _read(pixels, starts, sizes, readers, near[place], x, y, point)
                    for channel in range(3):
                        total[channel] += through * point[channel]
                    through *= 1 - point[3]
                    if through <= 1e-4:
                        break
            for channel in range(3):
                colors[i, j, channel] = total[channel] / (samples * samples)


@cached_njit()
def _labels(pixels, starts, sizes, readers, x, y, found):  # type: ignore[no-untyped-def]
    """The foremost layer whose alpha is at least 0.5 at each point, else the backmost."""
    point = np.empty(4)
    for n in range(len(x)):
        found[n] = 0
        for layer in range(len(starts) - 1, 0, -1):
            _read(pixels, starts, sizes, readers, layer, x[n], y[n], point)
            if point[3] >= OPAQUE:
                found[n] = layer
                break
