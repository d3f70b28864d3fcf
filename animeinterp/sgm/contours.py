"""Image → line map: the outlines that separate color segments (docs/paper-to-code.md, 1).

An edge-preserving (bilateral) filter flattens the paint, a 5x5 Laplacian responds on the dark side of each edge, and
hysteresis keeps the weak responses that are connected to a strong one. Equal to the published code on every image
that it can handle; an image without any edge, where that divides by zero, has no lines.

The filter takes most of the time and is OpenCV's own: its last rounding differs between builds and processors, and so
do the published results.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import JAPANESE, WESTERN, LineStyle
from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit

MIN_LINE_STRENGTH = 35  # of 255; published as: fillable where 255 - strength > 220
STRENGTH_GAIN = np.float32(20)
# Noise of this standard deviation, gray levels, chooses the style WESTERN; chosen by benchmarks/label_map.py.
MIN_GRAIN = 1.75
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkær 1996


def compute_line_map(image: RGBImage, style: LineStyle) -> NDArray[np.uint8]:
    """Divide an image into lines and fillable pixels.

    Args:
        image: uint8 (H, W, 3) RGB.
        style: Filter and thresholds.

    Returns:
        uint8 (H, W), 255 = fillable, 0 = line.
    """
    fillable = compute_line_strength(image, style) < MIN_LINE_STRENGTH
    return fillable.astype(np.uint8) * np.uint8(255)


def compute_line_strength(image: RGBImage, style: LineStyle) -> NDArray[np.uint8]:
    """Compute the strength of the line at each pixel.

    Args:
        image: uint8 (H, W, 3) RGB.
        style: Filter and thresholds.

    Returns:
        uint8 (H, W): 0 = none, 255 = strongest; from `MIN_LINE_STRENGTH` up it is a line.
    """
    smooth = cv2.bilateralFilter(image, *style.bilateral)
    # The response is an integer of at most 56 * 255: exact in int16 as in the published float32.
    response = np.asarray(cv2.Laplacian(smooth, cv2.CV_16S, ksize=5))
    peak = int(response.max())
    if peak <= 0:
        return np.zeros(image.shape[:2], np.uint8)
    # One entry per possible response, in float32 as published: thresholds fall between the same integers.
    scaled = np.arange(peak + 1, dtype=np.float32) * (np.float32(255) / np.float32(peak))
    strength = 255 - np.clip(np.float32(255) - scaled * STRENGTH_GAIN, 0, 255).astype(np.uint8)
    low, high = (int(np.searchsorted(scaled, threshold, side="right")) for threshold in (style.low, style.high))
    response = cv2.copyMakeBorder(response, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(-1, -1, -1))
    return np.asarray(_hysteresis(response, min(low, high), high, strength), np.uint8)


def choose_style(image: RGBImage) -> LineStyle:
    """Choose the line style of an image: WESTERN for grainy images, JAPANESE for all others.

    Grain is the median response to the noise mask of Immerkær 1996, which edges and smooth shading hardly affect. The
    published code decides by the film's name. On clean drawings the segments of both styles reappear equally well in a
    later frame, and WESTERN takes eight times as long; from noise of 3 gray levels up, its stronger filter keeps
    segments whole that JAPANESE splits (benchmarks/label_map.py).

    Args:
        image: uint8 (H, W, 3) RGB.

    Returns:
        The style.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    response = np.abs(cv2.filter2D(gray, cv2.CV_16S, _NOISE_MASK))
    # The response to noise of deviation s has deviation 6 s; its median magnitude is 0.6745 deviations.
    grainy = np.count_nonzero(response > 6 * 0.6745 * MIN_GRAIN)
    return WESTERN if 2 * grainy > response.size else JAPANESE


@cached_njit()
def _hysteresis(response, low, high, strength):  # type: ignore[no-untyped-def]
    """Compute the strength of responses >= low that are connected to one >= high; overwrites `response`.

    Connected are neighbors in the row, the column, or among the three channels of a pixel. The outermost rows and
    columns of `response` are a margin below `low`.
    """
    height, width, _ = response.shape
    flat = response.reshape(-1)
    row = 3 * width
    out = np.zeros(height * width, np.uint8)
    stack = np.empty(flat.size, np.int32)
    for seed in range(flat.size):
        if flat[seed] < high:
            continue
        out[seed // 3] = max(out[seed // 3], strength[flat[seed]])
        flat[seed] = -1
        stack[0] = seed
        size = 1
        while size > 0:
            size -= 1
            index = stack[size]
            channel = index % 3
            for step in (-row, row, -3, 3, -1, 1):
                neighbor = index + step
                other_pixel = (step == -1 and channel == 0) or (step == 1 and channel == 2)
                if flat[neighbor] >= low and not other_pixel:
                    out[neighbor // 3] = max(out[neighbor // 3], strength[flat[neighbor]])
                    flat[neighbor] = -1
                    stack[size] = neighbor
                    size += 1
    return out.reshape((height, width))[1:-1, 1:-1]
