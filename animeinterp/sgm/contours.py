"""Frame → line map: the outlines between which color segments lie (system §1a, step 1).

An edge-preserving (bilateral) filter flattens the paint, a 5x5 Laplacian answers on the dark side of each
edge, and hysteresis keeps the weak answers that hang together with a strong one. Equal to the published code
on every frame that it can handle; a frame without any edge, where that divides by zero, has no lines.

The filter is most of the cost and stays OpenCV's own: its last rounding differs between builds and
processors, and so do the published results.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import JAPANESE, WESTERN, LineStyle
from animeinterp.runtime.jit import cached_njit

LINE_STRENGTH = 35  # published as: fillable where 255 - strength > 220
_GAIN = np.float32(20)
_GRAIN = 1.75  # gray levels
_GRAIN_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def compute_line_map(frame: NDArray[np.uint8], style: LineStyle) -> NDArray[np.uint8]:
    """Where segments may lie and where lines are.

    frame: (H, W, 3) uint8, RGB. Returns (H, W) uint8, 255 = fillable, 0 = line.
    """
    fillable = compute_line_strength(frame, style) < LINE_STRENGTH
    return fillable.astype(np.uint8) * np.uint8(255)


def compute_line_strength(frame: NDArray[np.uint8], style: LineStyle) -> NDArray[np.uint8]:
    """How dark a line is drawn at each pixel.

    frame: (H, W, 3) uint8, RGB.
    Returns (H, W) uint8: 0 = none, 255 = strongest; `compute_line_map` takes 35 and above for a line.
    """
    smooth = cv2.bilateralFilter(frame, *style.bilateral)
    # The response is an integer of at most 56 * 255: exact in int16 as in the published float32.
    response = np.asarray(cv2.Laplacian(smooth, cv2.CV_16S, ksize=5))
    peak = int(response.max())
    if peak <= 0:
        return np.zeros(frame.shape[:2], np.uint8)
    # One entry per possible response, in float32 as published: thresholds fall between the same integers.
    scaled = np.arange(peak + 1, dtype=np.float32) * (np.float32(255) / np.float32(peak))
    strength = 255 - np.clip(np.float32(255) - scaled * _GAIN, 0, 255).astype(np.uint8)
    low, high = (int(np.searchsorted(scaled, threshold, side="right")) for threshold in (style.low, style.high))
    response = cv2.copyMakeBorder(response, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(-1, -1, -1))
    return np.asarray(_hysteresis(response, min(low, high), high, strength), np.uint8)


def choose_style(frame: NDArray[np.uint8]) -> LineStyle:
    """The line style that suits a frame: WESTERN for grainy pictures, JAPANESE for all others.

    frame: (H, W, 3) uint8, RGB. Grain is the median answer to Immerkær's noise mask (1996), which edges and
    smooth shading leave alone. The published code goes by the film's name. Here segments decide: on clean
    drawings those of both styles recur equally well in a later frame, and WESTERN takes eight times as long;
    from noise of 3 gray levels up, its stronger filter keeps segments whole where JAPANESE splinters
    (benchmarks/label_map.py).
    """
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    answer = np.abs(cv2.filter2D(gray, cv2.CV_16S, _GRAIN_MASK))
    # Noise of deviation s answers with deviation 6 s, and its median magnitude is 0.6745 deviations.
    grainy = np.count_nonzero(answer > 6 * 0.6745 * _GRAIN)
    return WESTERN if 2 * grainy > answer.size else JAPANESE


@cached_njit()
def _hysteresis(response, low, high, strength):  # type: ignore[no-untyped-def]
    """Strength of the responses >= low that are connected to one >= high; `response` is used up.

    Connected: next to each other in the row, the column, or among the three channels of a pixel. The
    outermost rows and columns of `response` are a margin below `low`.
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
            here = stack[size]
            channel = here % 3
            for step in (-row, row, -3, 3, -1, 1):
                there = here + step
                beyond = (step == -1 and channel == 0) or (step == 1 and channel == 2)
                if flat[there] >= low and not beyond:
                    out[there // 3] = max(out[there // 3], strength[flat[there]])
                    flat[there] = -1
                    stack[size] = there
                    size += 1
    return out.reshape((height, width))[1:-1, 1:-1]
