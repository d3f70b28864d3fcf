"""Describe segments without learned weights: by color, gradient, shape, surroundings and position.

These descriptors stand in for the VGG-19 features of the paper (§4.1) and have the same form, so that the same affinity
applies: one non-negative vector per segment that sums to 1. A flat segment has little to distinguish it; the colors to
its left, right, top and bottom, near and farther away, distinguish two eyes or two fence posts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import Segments

COLOR_BINS = 16
GRADIENT_BINS = 8  # a power of two, see `_gradient`
SURROUNDINGS_BINS = 8
SURROUNDINGS_DISTANCES = (0.012, 0.035)  # of the image's diagonal: 13 and 39 px at 960x540
POSITION_BINS = 8
SIZE_BINS, FILL_BINS, ASPECT_BINS = 20, 6, 12
MAX_GRADIENT = 32  # lightness levels per px; stronger gradients count as this
FLAT_GRADIENT = 8  # lightness levels per px; weaker gradients are partly flat
# Chroma of paint rarely leaves the middle half of its range: doubled about neutral it uses more of the bins.
_DOUBLED_CHROMA = np.clip(2 * np.arange(256) - 128, 0, 255).astype(np.uint8)
_LAB_TABLE = np.stack([np.arange(256, dtype=np.uint8), _DOUBLED_CHROMA, _DOUBLED_CHROMA], axis=1)[:, None]
# Weight of each group, summing to 1; chosen by hand on warped copies of every fifth development frame, counted from the
# first. benchmarks/matching.py measures on others (--first 2).
WEIGHTS = {"color": 0.25, "gradient": 0.10, "shape": 0.08, "surroundings": 0.45, "position": 0.12}


def describe(image: RGBImage, segments: Segments) -> NDArray[np.float32]:
    """Describe each segment of an image.

    Args:
        image: uint8 (H, W, 3) RGB.
        segments: Its K segments.

    Returns:
        float32 (K, N), rows non-negative and summing to 1.
    """
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.uint8)
    groups: dict[str, NDArray[Any]] = {
        "color": _color(lab, segments),
        "gradient": _gradient(lab, segments),
        "shape": _shape(segments),
        "surroundings": _surroundings(lab, segments),
        "position": _position(segments),
    }
    weighted = [WEIGHTS[name] * _normalize_rows(group) for name, group in groups.items()]
    return _normalize_rows(np.concatenate(weighted, axis=1)).astype(np.float32)


def _normalize_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """Scale each row to the sum 1; rows of zeros stay."""
    total = rows.sum(axis=1, keepdims=True)
    return np.asarray(rows / np.where(total > 0, total, 1))


def _soft_bins(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Split values in [0, 1] between their two nearest of `bins` bins: (K,) → (K, bins)."""
    position = np.clip(values, 0, 1) * (bins - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(bins))))


def _color(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
    """Compute a soft Lab histogram of each segment: (K, 3 COLOR_BINS)."""
    rows = np.zeros((len(segments), 3 * COLOR_BINS), np.float32)
    _pool_colors(cv2.LUT(lab, _LAB_TABLE), segments.labels, rows, 0, 0, COLOR_BINS, 0)
    return rows


def _surroundings(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
    """Compute soft Lab histograms of the colors on four sides of each segment, at each distance."""
    diagonal = float(np.hypot(*segments.labels.shape))
    rows = np.zeros((len(segments), len(SURROUNDINGS_DISTANCES) * 4 * 3 * SURROUNDINGS_BINS), np.float32)
    column = 0
    for distance in SURROUNDINGS_DISTANCES:
        px = max(1, round(distance * diagonal))
        for dx, dy in ((-px, 0), (px, 0), (0, -px), (0, px)):
            _pool_colors(lab, segments.labels, rows, dx, dy, SURROUNDINGS_BINS, column)
            column += 3 * SURROUNDINGS_BINS
    return rows


@cached_njit()
def _pool_colors(colors, labels, rows, dx, dy, bins, first_column):  # type: ignore[no-untyped-def]
    """Add to `rows` the soft color histogram at offset (dx, dy) from each segment's pixels.

    The segment's own pixels are left out, unless dx = dy = 0.
    """
    height, width = labels.shape
    scale = np.float32((bins - 1) / 255)
    for y in range(max(0, -dy), height - max(0, dy)):
        for x in range(max(0, -dx), width - max(0, dx)):
            label = labels[y, x]
            if (dx != 0 or dy != 0) and labels[y + dy, x + dx] == label:
                continue
            for channel in range(3):
                position = colors[y + dy, x + dx, channel] * scale
                low = min(int(position), bins - 2)
                upper_weight = position - low
                column = first_column + channel * bins + low
                rows[label, column] += 1 - upper_weight
                rows[label, column + 1] += upper_weight


def _gradient(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float64]:
    """Compute orientation histograms of the lightness gradient, weighted by strength, and the area of flat paint."""
    lightness = np.ascontiguousarray(lab[..., 0])
    dx, dy = cv2.Sobel(lightness, cv2.CV_32F, 1, 0), cv2.Sobel(lightness, cv2.CV_32F, 0, 1)
    # Most of a drawing is flat paint: compute only where there is a gradient.
    nonzero = np.flatnonzero((dx != 0) | (dy != 0))
    dx, dy, labels = dx.ravel()[nonzero] / 8, dy.ravel()[nonzero] / 8, segments.labels.ravel()[nonzero]
    strength = np.minimum(np.hypot(dx, dy), MAX_GRADIENT)
    # Without a modulo, which would dominate the time: a turn is in [-0.5, 0.5], and the bins are a power of two.
    turn = np.arctan2(dy, dx) / (2 * np.pi)
    position = (turn + (turn < 0)) * GRADIENT_BINS
    low = position.astype(np.int64) & (GRADIENT_BINS - 1)
    upper_weight = position - np.floor(position)
    count = len(segments)
    first_bin = labels.astype(np.int64) * GRADIENT_BINS
    length = count * GRADIENT_BINS
    rows = np.bincount(first_bin + low, strength * (1 - upper_weight), length)
    rows += np.bincount(first_bin + (low + 1 & GRADIENT_BINS - 1), strength * upper_weight, length)
    flat = 4 * (segments.area - np.bincount(labels, minlength=count))
    flat = flat + np.bincount(labels, 4 * np.maximum(0, 1 - strength / FLAT_GRADIENT), count)
    return np.concatenate([rows.reshape(count, GRADIENT_BINS), flat[:, None]], axis=1)


def _shape(segments: Segments) -> NDArray[np.float64]:
    """Compute soft bins of log area, fill of the bounding box, and log aspect of the box."""
    x0, y0, x1, y1 = segments.box.astype(np.float64)
    width, height = x1 - x0 + 1, y1 - y0 + 1
    size = np.log2(segments.area) / np.log2(segments.labels.size)
    fill = segments.area / (width * height)
    aspect = 0.5 + np.log2(width / height) / 8
    return np.concatenate(
        [2 * _soft_bins(size, SIZE_BINS), _soft_bins(fill, FILL_BINS), _soft_bins(aspect, ASPECT_BINS)], axis=1
    )


def _position(segments: Segments) -> NDArray[np.float64]:
    """Compute soft bins of the centroid's x and y."""
    height, width = segments.labels.shape
    x, y = segments.centroid
    return np.concatenate([_soft_bins(x / width, POSITION_BINS), _soft_bins(y / height, POSITION_BINS)], axis=1)
