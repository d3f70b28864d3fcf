"""The color segments of a frame: a label map and a table with one row per segment (system §1a).

Conventions: x before y; boxes inclusive; segments numbered by area, the smallest 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import JAPANESE, WESTERN, LineStyle
from animeinterp.errors import FrameError, UsageError
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.contours import choose_style, compute_line_map
from animeinterp.sgm.merging import merge_small_segments, relabel_by_area, thin_lines
from animeinterp.sgm.trapped_ball import fill_trapped_ball

MIN_SIDE = 16  # px; smaller frames have no segments worth matching


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The color segments of one frame: label map and one table row per segment.

    labels: (H, W) int32, 0..K-1 in ascending order of area; every label occurs.
    area: (K,) int64, px.
    centroid: (2, K) float64, mean x and mean y of the pixels, px.
    box: (4, K) int32, x0, y0, x1, y1, both ends inclusive, px.
    fillable: (H, W) uint8, the line map the labels came from: 255 = fillable, 0 = line.
    style: the `LineStyle` that drew it.
    """

    labels: NDArray[np.int32]
    area: NDArray[np.int64]
    centroid: NDArray[np.float64]
    box: NDArray[np.int32]
    fillable: NDArray[np.uint8]
    style: LineStyle

    def __len__(self) -> int:
        return len(self.area)


def segment(frame: NDArray[np.uint8], style: LineStyle | Literal["auto", "western", "japanese"] = "auto") -> Segments:
    """Divide a frame into color segments.

    frame: (H, W, 3) uint8, RGB, at least 16x16. style: how lines are found; `auto` looks at the frame.
    Raises FrameError for any other array, UsageError for an unknown style.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape[:2]) < MIN_SIDE:
        raise FrameError(
            f"expected a uint8 RGB frame (H, W, 3) of at least {MIN_SIDE}x{MIN_SIDE} pixels, "
            f"got {frame.dtype} {frame.shape}; convert or enlarge it first"
        )
    frame = np.ascontiguousarray(frame)
    chosen = resolve_style(frame, style)
    return segment_between_lines(frame, compute_line_map(frame, chosen), chosen)


def segment_between_lines(frame: NDArray[np.uint8], fillable: NDArray[np.uint8], style: LineStyle) -> Segments:
    """The segments of a frame between the lines of its line map.

    frame: (H, W, 3) uint8, RGB. fillable: (H, W) uint8, what `line_map(frame, style)` gave.
    """
    fills = merge_small_segments(fill_trapped_ball(fillable), frame)
    return measure_segments(relabel_by_area(thin_lines(fills)), fillable, style)


def resolve_style(frame: NDArray[np.uint8], style: LineStyle | str) -> LineStyle:
    """The style that a name stands for on this frame. Raises UsageError for an unknown name."""
    if isinstance(style, LineStyle):
        return style
    if style == "auto":
        return choose_style(frame)
    named = {"western": WESTERN, "japanese": JAPANESE}
    if style not in named:
        raise UsageError(f"expected the style auto, western, japanese or a LineStyle, got {style!r}")
    return named[style]


def measure_segments(
    labels: NDArray[np.int32], fillable: NDArray[np.uint8] | None = None, style: LineStyle = JAPANESE
) -> Segments:
    """The table of a given label map.

    labels: (H, W) int32, 0..K-1, each present. fillable: its line map; left out, all is fillable.
    """
    area, centroid, box = _measure(labels, int(labels.max()) + 1)
    if fillable is None:
        fillable = np.full(labels.shape, 255, np.uint8)
    return Segments(labels, area, centroid, box, fillable, style)


@cached_njit()
def _measure(labels, count):  # type: ignore[no-untyped-def]
    """Area, centroid (2, K) and box (4, K) of each label."""
    height, width = labels.shape
    area = np.zeros(count, np.int64)
    total = np.zeros((2, count), np.int64)
    box = np.empty((4, count), np.int32)
    box[0], box[1], box[2], box[3] = width, height, -1, -1
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            area[k] += 1
            total[0, k] += x
            total[1, k] += y
            box[0, k] = min(box[0, k], x)
            box[1, k] = min(box[1, k], y)
            box[2, k] = max(box[2, k], x)
            box[3, k] = max(box[3, k], y)
    return area, total / area, box
