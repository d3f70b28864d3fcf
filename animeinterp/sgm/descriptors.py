"""Segment descriptors that need no learned weights: color, gradient, shape, surroundings and place.

They stand in for the VGG-19 features of the paper (§4.1) and have the same form, so that the same affinity applies:
one non-negative vector per segment that sums to 1. A flat segment says little by itself; what lies to its left, right,
top and bottom, near and farther away, is what tells two eyes or two fence posts apart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.segments import Segments

COLOR_BINS = 16
GRADIENT_BINS = 8
SURROUNDING_BINS = 8
SURROUNDING_STEPS = (0.012, 0.035)  # of the frame's diagonal: 13 and 39 px at 960x540
PLACE_BINS = 8
# Chroma of paint rarely leaves the middle half of its scale: stretched, its bins tell more.
_STRETCHED = np.clip(2 * np.arange(256) - 128, 0, 255).astype(np.uint8)
_STRETCH = np.stack([np.arange(256, dtype=np.uint8), _STRETCHED, _STRETCHED], axis=1)[:, None]
# Shares of the five groups; chosen by hand on warped copies of every fifth development frame, counted from the first;
# benchmarks/matching.py measures on others (--first 2).
SHARES = {"color": 0.25, "gradient": 0.10, "shape": 0.08, "surroundings": 0.45, "place": 0.12}


def describe(frame: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
    """Describe each segment of a frame.

    frame: (H, W, 3) uint8, RGB. segments: its K segments. Returns float32 (K, N), rows non-negative, summing to 1.
    """
    lab = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2Lab), np.uint8)
    groups: dict[str, NDArray[Any]] = {
        "color": _color(lab, segments),
        "gradient": _gradient(lab, segments),
        "shape": _shape(segments),
        "surroundings": _surroundings(lab, segments),
        "place": _place(segments),
    }
    shares = [SHARES[name] * _unit_sum(group) for name, group in groups.items()]
    return _unit_sum(np.concatenate(shares, axis=1)).astype(np.float32)


def _unit_sum(rows: NDArray[Any]) -> NDArray[Any]:
    total = rows.sum(axis=1, keepdims=True)
    return np.asarray(rows / np.where(total > 0, total, 1))


def _soft_bins(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Values in [0, 1] as weights of their two nearest of `bins` bins: (K,) → (K, bins)."""
    place = np.clip(values, 0, 1) * (bins - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(bins))))


def _color(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
    rows = np.zeros((len(segments.area), 3 * COLOR_BINS), np.float32)
    _pool_colors(cv2.LUT(lab, _STRETCH), segments.labels, rows, 0, 0, COLOR_BINS, 0)
    return rows


def _surroundings(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
    diagonal = float(np.hypot(*segments.labels.shape))
    rows = np.zeros((len(segments.area), len(SURROUNDING_STEPS) * 4 * 3 * SURROUNDING_BINS), np.float32)
    offset = 0
    for step in SURROUNDING_STEPS:
        px = max(1, round(step * diagonal))
        for dx, dy in ((-px, 0), (px, 0), (0, -px), (0, px)):
            _pool_colors(lab, segments.labels, rows, dx, dy, SURROUNDING_BINS, offset)
            offset += 3 * SURROUNDING_BINS
    return rows


@cached_njit()
def _pool_colors(colors, labels, rows, dx, dy, bins, offset):  # type: ignore[no-untyped-def]
    """Soft color histogram per segment of what lies (dx, dy) away, without the segment itself unless dx = dy = 0."""
    height, width = labels.shape
    scale = np.float32((bins - 1) / 255)
    for y in range(max(0, -dy), height - max(0, dy)):
        for x in range(max(0, -dx), width - max(0, dx)):
            label = labels[y, x]
            if (dx != 0 or dy != 0) and labels[y + dy, x + dx] == label:
                continue
            for channel in range(3):
                place = colors[y + dy, x + dx, channel] * scale
                low = min(int(place), bins - 2)
                share = place - low
                column = offset + channel * bins + low
                rows[label, column] += 1 - share
                rows[label, column + 1] += share


def _gradient(lab: NDArray[np.uint8], segments: Segments) -> NDArray[np.float64]:
    """Orientation histogram of the lightness gradient, weighted by its strength, and the share of flat paint."""
    light = np.ascontiguousarray(lab[..., 0])
    dx, dy = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    # Most of a drawing is flat paint, about which nothing need be worked out.
    drawn = np.flatnonzero((dx != 0) | (dy != 0))
    dx, dy, labels = dx.ravel()[drawn] / 8, dy.ravel()[drawn] / 8, segments.labels.ravel()[drawn]
    strength = np.minimum(np.hypot(dx, dy), 32)
    # Remainders take numpy longer than all else here: a turn is in [-0.5, 0.5], and the bins are a power of two.
    turn = np.arctan2(dy, dx) / (2 * np.pi)
    angle = (turn + (turn < 0)) * GRADIENT_BINS
    low = angle.astype(np.int64) & (GRADIENT_BINS - 1)
    share = angle - np.floor(angle)
    count = len(segments.area)
    index = labels.astype(np.int64) * GRADIENT_BINS
    length = count * GRADIENT_BINS
    rows = np.bincount(index + low, strength * (1 - share), length)
    rows += np.bincount(index + (low + 1 & GRADIENT_BINS - 1), strength * share, length)
    flat = 4 * (segments.area - np.bincount(labels, minlength=count))
    flat = flat + np.bincount(labels, 4 * np.maximum(0, 1 - strength / 8), count)
    return np.concatenate([rows.reshape(count, GRADIENT_BINS), flat[:, None]], axis=1)


def _shape(segments: Segments) -> NDArray[np.float64]:
    """Size, how much of its bounding box the segment fills, and the aspect of that box."""
    x0, y0, x1, y1 = segments.box.astype(np.float64)
    wide, high = x1 - x0 + 1, y1 - y0 + 1
    size = np.log2(segments.area) / np.log2(segments.labels.size)
    fill = segments.area / (wide * high)
    aspect = 0.5 + np.log2(wide / high) / 8
    return np.concatenate(
        [2 * _soft_bins(size, 20), _soft_bins(fill, 6), _soft_bins(aspect, 12)],
        axis=1,
    )


def _place(segments: Segments) -> NDArray[np.float64]:
    height, width = segments.labels.shape
    x, y = segments.centroid
    return np.concatenate([_soft_bins(x / width, PLACE_BINS), _soft_bins(y / height, PLACE_BINS)], axis=1)
