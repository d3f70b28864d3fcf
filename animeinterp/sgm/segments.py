"""The color segments of an image: a label map and a table with one row per segment (docs/paper-to-code.md, 1 to 4).

A segment is the paper's color piece. Conventions: x before y; boxes are inclusive; segments are numbered by area, 0
being the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import JAPANESE, WESTERN, LineStyle
from animeinterp.errors import FrameError, UsageError
from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit
from animeinterp.sgm.contours import choose_style, compute_line_map
from animeinterp.sgm.merging import merge_small_segments
from animeinterp.sgm.thinning import relabel_by_area, thin_lines
from animeinterp.sgm.trapped_ball import fill_trapped_ball

MIN_SIDE = 16  # px; smaller images have no segments worth matching


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The K color segments of one image.

    Attributes:
        labels: int32 (H, W), 0..K-1 in ascending order of area; every label occurs.
        area: int64 (K,), px.
        centroid: float64 (2, K), mean x and mean y of the pixels, px.
        box: int32 (4, K), x0, y0, x1, y1, both ends inclusive, px.
        fillable: uint8 (H, W), the line map the labels came from: 255 = fillable, 0 = line.
        style: The `LineStyle` of the line map.
    """

    labels: NDArray[np.int32]
    area: NDArray[np.int64]
    centroid: NDArray[np.float64]
    box: NDArray[np.int32]
    fillable: NDArray[np.uint8]
    style: LineStyle

    def __len__(self) -> int:
        return len(self.area)


def segment(image: RGBImage, style: LineStyle | Literal["auto", "western", "japanese"] = "auto") -> Segments:
    """Divide an image into color segments.

    Args:
        image: uint8 (H, W, 3) RGB, at least 16x16.
        style: How lines are found; `auto` decides by the image's grain.

    Returns:
        The segments.

    Raises:
        FrameError: `image` has another dtype or shape, or is too small.
        UsageError: The style is unknown.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < MIN_SIDE:
        raise FrameError(
            f"expected a uint8 RGB frame (H, W, 3) of at least {MIN_SIDE}x{MIN_SIDE} pixels, "
            f"got {image.dtype} {image.shape}; convert or enlarge it first"
        )
    image = np.ascontiguousarray(image)
    line_style = resolve_style(image, style)
    return segment_between_lines(image, compute_line_map(image, line_style), line_style)


def segment_between_lines(image: RGBImage, fillable: NDArray[np.uint8], style: LineStyle) -> Segments:
    """Divide an image into color segments, given its line map.

    Args:
        image: uint8 (H, W, 3) RGB.
        fillable: uint8 (H, W), the result of `compute_line_map(image, style)`.
        style: The style of the line map.

    Returns:
        The segments.
    """
    fills = merge_small_segments(fill_trapped_ball(fillable), image)
    return measure_segments(relabel_by_area(thin_lines(fills)), fillable, style)


def resolve_style(image: RGBImage, style: LineStyle | str) -> LineStyle:
    """Convert the name of a line style to the style.

    Args:
        image: uint8 (H, W, 3) RGB, which decides for `auto`.
        style: `auto`, `western`, `japanese`, or a style, which is returned.

    Returns:
        The style.

    Raises:
        UsageError: The name is unknown.
    """
    if isinstance(style, LineStyle):
        return style
    if style == "auto":
        return choose_style(image)
    named = {"western": WESTERN, "japanese": JAPANESE}
    if style not in named:
        raise UsageError(f"expected the style auto, western, japanese or a LineStyle, got {style!r}")
    return named[style]


def measure_segments(
    labels: NDArray[np.int32], fillable: NDArray[np.uint8] | None = None, style: LineStyle = JAPANESE
) -> Segments:
    """Compute the table of a given label map.

    Args:
        labels: int32 (H, W), 0..K-1, each present.
        fillable: uint8 (H, W), its line map; None = all fillable.
        style: The style of the line map.

    Returns:
        The segments.
    """
    area, centroid, box = _measure(labels, int(labels.max()) + 1)
    if fillable is None:
        fillable = np.full(labels.shape, 255, np.uint8)
    return Segments(labels, area, centroid, box, fillable, style)


@cached_njit()
def _measure(labels, count):  # type: ignore[no-untyped-def]
    """Compute area (K,), centroid (2, K) and box (4, K) of each label."""
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
