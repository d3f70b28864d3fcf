"""Frame → line map: the outlines between which colour pieces lie (system §1a, step 1).

An edge-preserving (bilateral) filter flattens the paint, a 5x5 Laplacian answers on the dark side of each edge, and
hysteresis keeps the weak answers that hang together with a strong one. Equal to the published code for every frame
it can handle; a frame without any edge, where that divides by zero, has no lines.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.options import JAPANESE, WESTERN, LineStyle
from animeinterp.sgm.jit import compiled

LINE_STRENGTH = 35  # the published "255 - strength > 220 is fillable"
_GAIN = np.float32(20)


def line_map(frame: NDArray[np.uint8], style: LineStyle) -> NDArray[np.uint8]:
    """Where pieces may lie and where lines are.

    frame: (H, W, 3) uint8, RGB. Returns (H, W) uint8, 255 = fillable, 0 = line.
    """
    return np.where(line_strength(frame, style) < LINE_STRENGTH, np.uint8(255), np.uint8(0))


def line_strength(frame: NDArray[np.uint8], style: LineStyle) -> NDArray[np.uint8]:
    """How dark a line is drawn at each pixel.

    frame: (H, W, 3) uint8, RGB. Returns (H, W) uint8: 0 = no line, 255 = full line; from 35 up `line_map` sees a line.
    """
    diameter, sigma_color, sigma_space = style.bilateral
    smooth = cv2.bilateralFilter(frame, diameter, sigma_color, sigma_space)
    # The response is an integer of at most 56 * 255: int16 holds it exactly, the published float32 as well.
    response = np.asarray(cv2.Laplacian(smooth, cv2.CV_16S, ksize=5))
    peak = int(response.max())
    if peak <= 0:
        return np.zeros(frame.shape[:2], np.uint8)
    # One table entry per possible response, in float32 as published, so that thresholds fall on the same integers.
    scaled = np.arange(peak + 1, dtype=np.float32) * (np.float32(255) / np.float32(peak))
    strength = 255 - np.clip(np.float32(255) - scaled * _GAIN, 0, 255).astype(np.uint8)
    low, high = (
        int(np.searchsorted(scaled, threshold, side="right")) for threshold in (style.low, style.high)
    )
    return _hysteresis(response, min(low, high), high, strength)


@compiled
def _hysteresis(response, low, high, strength):  # type: ignore[no-untyped-def]
    """Strength of the responses >= low that are connected to one >= high; works in place on `response`.

    Connected: next to each other in the row, the column, or the neighbouring channel of the same pixel.
    """
    height, width, channels = response.shape
    flat = response.reshape(-1)
    out = np.zeros(height * width, np.uint8)
    stack = np.empty(flat.size, np.int32)
    row = width * channels
    for seed in range(flat.size):
        if flat[seed] < high:
            continue
        top = 0
        stack[0] = seed
        out[seed // channels] = max(out[seed // channels], strength[flat[seed]])
        flat[seed] = -1
        while top >= 0:
            here = stack[top]
            top -= 1
            pixel = here // channels
            channel = here - pixel * channels
            x = pixel % width
            for side in range(6):
                if side == 0 and channel > 0:
                    there = here - 1
                elif side == 1 and channel < channels - 1:
                    there = here + 1
                elif side == 2 and x > 0:
                    there = here - channels
                elif side == 3 and x < width - 1:
                    there = here + channels
                elif side == 4 and here >= row:
                    there = here - row
                elif side == 5 and here < flat.size - row:
                    there = here + row
                else:
                    continue
                if flat[there] >= low:
                    out[there // channels] = max(out[there // channels], strength[flat[there]])
                    flat[there] = -1
                    top += 1
                    stack[top] = there
    return out.reshape((height, width))


def choose_style(frame: NDArray[np.uint8]) -> LineStyle:
    """Placeholder."""
    return JAPANESE if frame.size else WESTERN
