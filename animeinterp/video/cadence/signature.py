"""Reduced copies of a frame, and the difference between two frames.

`FrameSignature` holds two reduced copies of a frame. The fine copy (short side 360 to 719 px) still shows a mouth that
moves by a few pixels. `frame_difference` compares it tile by tile: codec noise changes all tiles a little, motion
changes few tiles a lot. The coarse copy (long side 160 px) serves `edge_matching`, which tells shots apart. Changes
that are too small for the fine copy are detected at full size by `specks`.

Levels are 255ths of the full range, whatever the depth of the frame. "Noise" below is the change that a codec or film
grain causes between two frames of one drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, rgb8
from animeinterp.video.cadence.specks import full_size_gray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

FINE_SIDE = 360  # px, least short side of the fine copy, unless the frame itself is smaller
COARSE_SIDE = 160  # px, long side of the coarse copy
TILE = 8  # px of the fine copy


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """The difference that noise may cause in a tile: floor + per_noise * noise + per_gradient * gradient.

    Attributes:
        floor: Levels that are always tolerated.
        per_noise: Levels per level of noise in this pair of frames.
        per_gradient: Levels per level/px of mean gradient: codecs leave ringing along edges.
        max_noise: Levels; a larger difference in flat tiles is motion everywhere, not noise.
    """

    floor: float
    per_noise: float
    per_gradient: float
    max_noise: float = 8.0

    def estimate(self, difference: Floats, gradient: Floats) -> float:
        """Estimate the noise in a difference of two frames.

        Motion is least visible in flat tiles, so the noise is the median of the flattest quarter.

        Args:
            difference: float32 (y, x), difference per tile, levels.
            gradient: float32 (y, x), mean gradient per tile, levels/px.

        Returns:
            Levels, at most `max_noise`.
        """
        flattest = gradient <= np.quantile(gradient, 0.25)
        return min(float(np.median(difference[flattest])), self.max_noise)

    def tolerance(self, difference: Floats, gradient: Floats) -> Floats:
        """Return the difference that noise may cause in each tile, levels; arguments as for `estimate`."""
        noise = self.estimate(difference, gradient)
        return self.floor + self.per_noise * noise + self.per_gradient * gradient


@dataclass(frozen=True, slots=True)
class SignatureLimits:
    """Parameters of signatures and their difference.

    Attributes:
        noise: The root mean square difference that noise may cause in a tile. Chosen on clips encoded by x264 (crf 16
            to 32) and MPEG-4 with grain of 0, 3 and 8 levels; `benchmarks/cuts.py CLIPS --assets ASSETS` measures it.
        min_edge: Gradient below which a pixel is not part of an edge, levels/px.
        max_edge: Gradient above which all edges count the same, levels/px.
    """

    noise: NoiseModel = NoiseModel(floor=4.0, per_noise=1.5, per_gradient=0.2)
    min_edge: float = 3.0
    max_edge: float = 20.0


SIGNATURE_LIMITS = SignatureLimits()


@dataclass(frozen=True, slots=True, eq=False)
class FrameSignature:
    """The reduced copies of one frame.

    Attributes:
        fine: uint8 (h, w, 3), the fine copy, slightly blurred.
        fine_gray: uint8 (h, w), its gray copy.
        tile_gradient: float32 (h / 8, w / 8), mean gradient of each tile, levels/px.
        coarse: float32 (y, x, 3) in [0, 255], the coarse copy, slightly blurred.
        coarse_gray: uint8 (y, x), gray copy of the coarse copy before the blur.
        coarse_gradient: float32 (y, x), its largest gradient over the channels, levels/px.
        edges: float32 (y, x), edge strength of each pixel in [0, `SignatureLimits.max_edge`].
        full_gray: uint8 (H, W), see `specks.full_size_gray`.
    """

    fine: Image
    fine_gray: Image
    tile_gradient: Floats
    coarse: Floats
    coarse_gray: Image
    coarse_gradient: Floats
    edges: Floats
    full_gray: Image


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """The difference of two frames relative to what noise may cause.

    Attributes:
        peak: Of the tile that differs most; noise stays below 1, a redrawn mouth gives 2.
        mean_excess: What exceeds 1, mean of all tiles.
    """

    peak: float
    mean_excess: float


def frame_signature(frame: Frame, limits: SignatureLimits = SIGNATURE_LIMITS) -> FrameSignature:
    """Reduce a frame.

    Args:
        frame: Of any mode and depth, see `animeinterp.frame`.
        limits: What counts as an edge.

    Returns:
        Its signature.
    """
    height, width = frame.shape[:2]
    factor = max(1, min(height, width) // FINE_SIDE)
    reduced: Any = frame
    if factor > 1:
        reduced = cv2.resize(frame, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    rgb = rgb8(reduced)
    fine: Any = cv2.GaussianBlur(rgb, (0, 0), 1)
    fine_gray: Any = cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, COARSE_SIDE / max(fine_gray.shape))
    small: Any = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7), np.float32)
    gradient = image_gradient(coarse).max(axis=2)
    return FrameSignature(
        fine=fine,
        fine_gray=fine_gray,
        tile_gradient=tile_means(image_gradient(fine_gray)),
        coarse=coarse,
        coarse_gray=np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8),
        coarse_gradient=gradient,
        edges=np.where(gradient > limits.min_edge, np.minimum(gradient, limits.max_edge), np.float32(0)),
        full_gray=full_size_gray(frame),
    )


def image_gradient(image: Image | Floats) -> Floats:
    """Compute |dx| + |dy| of each pixel.

    Args:
        image: uint8 or float32 (H, W) or (H, W, C).

    Returns:
        float32 of its shape, levels/px.
    """
    dx = np.asarray(cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8))
    dy = np.asarray(cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=1 / 8))
    return np.asarray(np.abs(dx) + np.abs(dy), np.float32)


def tile_means(values: NDArray[Any]) -> Floats:
    """Average over tiles of about 8x8 px.

    Args:
        values: (h, w) or (h, w, C).

    Returns:
        float32 (h // 8, w // 8[, C]), at least 1 tile each way.
    """
    height, width = values.shape[:2]
    tiles = max(1, width // TILE), max(1, height // TILE)
    return np.asarray(cv2.resize(values.astype(np.float32), tiles, interpolation=cv2.INTER_AREA), np.float32)


def frame_difference(
    a: FrameSignature, b: FrameSignature, limits: SignatureLimits = SIGNATURE_LIMITS
) -> FrameDifference:
    """Measure by how much two frames differ beyond noise.

    Args:
        a: Signature of one frame.
        b: Of the other; an infinite difference if its size is another.
        limits: What noise may cause.

    Returns:
        The difference.
    """
    if a.fine.shape != b.fine.shape:
        return FrameDifference(np.inf, np.inf)
    difference: Any = cv2.subtract(b.fine, a.fine, dtype=cv2.CV_32F)
    mean, mean_square = tile_means(difference), tile_means(difference * difference)
    # A shift of a whole tile is a fade, not noise.
    deviation = np.sqrt(np.maximum(mean_square - mean * mean, 0).max(axis=2))
    tolerance = limits.noise.tolerance(deviation, np.maximum(a.tile_gradient, b.tile_gradient))
    largest = np.maximum(np.maximum(*(np.abs(difference[..., i]) for i in (0, 1))), np.abs(difference[..., 2]))
    relative = np.sqrt(tile_means(largest * largest)) / tolerance
    return FrameDifference(float(relative.max()), float(np.maximum(relative - 1, 0).mean()))
