"""What is compared of frames: reduced copies, and how much two differ.

Two sizes. The fine copy (short side 360 to 719 px) still shows a small mouth that moves a few px, and is compared tile
by tile: codec noise differs a little everywhere, motion much in few tiles; `specks` finds what is smaller. The coarse
copy (about 160x90) is what `outlines` follows from frame to frame, to tell shots apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, rgb8
from animeinterp.video.cadence.specks import full_gray

Floats = NDArray[np.float32]

FINE = 360  # px, short side of the fine copy, at least (unless the frame itself is smaller)
COARSE = 160  # px, long side of the coarse copy
TILE = 8  # px of the fine copy

# What noise may do to a tile: root mean square of the difference, in 255ths, FLOOR + GRAIN x noise + STEEP x slope.
# Found on clips encoded by x264 (crf 16 to 32) and MPEG-4, with grain of 0, 3 and 8 levels.
_FLOOR, _GRAIN, _STEEP = 4.0, 1.5, 0.2
_MOST_NOISE = 8.0  # levels; more is taken for motion everywhere

_OUTLINE = 3.0  # levels per px, gradients below are no outline
_STRONGEST = 20.0  # levels per px, gradients above count as this


@dataclass(frozen=True, slots=True, eq=False)
class FrameSignature:
    """The reduced copies of one frame.

    fine: uint8 (h, w, 3), slightly smoothed. gray: uint8 (h, w) of it. slope: float32 (h / 8, w / 8), mean gradient of
    each tile in levels per px. color: float32 (y, x, 3) in 0 to 255, the coarse copy; coarse: uint8 (y, x), its gray.
    gradient: float32 (y, x), levels per px. outlines: float32 (y, x), 0 to 20, how much each pixel counts as outline.
    full: uint8 (H, W), the frame's gray at its full size, see `specks`.
    """

    fine: NDArray[np.uint8]
    gray: NDArray[np.uint8]
    slope: Floats
    color: Floats
    coarse: NDArray[np.uint8]
    gradient: Floats
    outlines: Floats
    full: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """How much two frames differ.

    most: in the tile that differs most; 1 is what noise may do, a redrawn mouth gives 2. all: what exceeds 1, the mean
    of all tiles.
    """

    most: float
    all: float


def frame_signature(frame: Frame) -> FrameSignature:
    """Reduce a frame of any mode and depth (see `animeinterp.frame`)."""
    height, width = frame.shape[:2]
    factor = max(1, min(height, width) // FINE)
    reduced: Any = frame
    if factor > 1:
        reduced = cv2.resize(frame, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    plain = rgb8(reduced)
    fine: Any = cv2.GaussianBlur(plain, (0, 0), 1)
    gray: Any = cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, COARSE / max(gray.shape))
    small: Any = cv2.resize(plain, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    coarse: Any = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    color = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7), np.float32)
    steep = gradient(color).max(axis=2)
    outlines: Floats = np.where(steep > _OUTLINE, np.minimum(steep, _STRONGEST), np.float32(0))
    return FrameSignature(fine, gray, per_tile(gradient(gray)), color, coarse, steep, outlines, full_gray(frame))


def gradient(picture: NDArray[np.uint8] | Floats) -> Floats:
    """How steep a picture is at each pixel: float32 of its shape, levels per px, |dx| + |dy|."""
    across = np.asarray(cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8))
    down = np.asarray(cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8))
    return np.asarray(np.abs(across) + np.abs(down), np.float32)


def per_tile(values: NDArray[Any]) -> Floats:
    """Means of tiles of about 8x8 px, float32."""
    height, width = values.shape[:2]
    tiles = max(1, width // TILE), max(1, height // TILE)
    return np.asarray(cv2.resize(values.astype(np.float32), tiles, interpolation=cv2.INTER_AREA), np.float32)


def frame_difference(a: FrameSignature, b: FrameSignature) -> FrameDifference:
    """How much two frames differ, as far as it is more than noise.

    The noise is what the flattest quarter of the picture shows: there motion can hardly be seen. What all of a tile has
    in common is none, but a fade.
    """
    if a.fine.shape != b.fine.shape:
        return FrameDifference(np.inf, np.inf)
    difference: Any = cv2.subtract(b.fine, a.fine, dtype=cv2.CV_32F)
    shift, square = per_tile(difference), per_tile(difference * difference)
    slope = np.maximum(a.slope, b.slope)
    grain = noise(np.sqrt(np.maximum(square - shift * shift, 0).max(axis=2)), slope)
    widest = np.maximum(np.maximum(*(np.abs(difference[..., i]) for i in (0, 1))), np.abs(difference[..., 2]))
    size = np.sqrt(per_tile(widest * widest)) / (_FLOOR + _GRAIN * grain + _STEEP * slope)
    return FrameDifference(float(size.max()), float(np.maximum(size - 1, 0).mean()))


def noise(difference: Floats, slope: Floats) -> float:
    """The noise in a difference of two frames, both by tile: at most 8 levels."""
    return min(float(np.median(difference[slope <= np.quantile(slope, 0.25)])), _MOST_NOISE)
