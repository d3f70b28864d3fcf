"""How far the lines of two drawings lie apart: the line Chamfer distance of EISAI (Chen & Zwicker, ECCV 2022).

A line is where a difference of Gaussians says "darker than around": 2 (G1.6 - G1) > 0.01 on gray in [0, 1], with
kernels of 9 and 13 px and the border repeated. The distance is the mean over all pixels of line(a) · d(b), d(b) the
Euclidean distance to the nearest line of b, averaged both ways and divided by the frame's diagonal: the same for the
same drawing at any size. A frame without lines is a diagonal away from everything.

The same as the code published with EISAI: line maps, constants, normalization. Not the same: frames are of 8 bits
here, as they would be saved, where EISAI scores the network's floats; distances are the same, but come from OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIGMA, _RATIO, _TRUNCATE = 1.0, 1.6, 4  # of the narrow Gaussian; of the wide one to it; kernel half-width in sigmas
_GAIN, _THRESHOLD = 2.0, 0.01


def lines(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a frame has lines: uint8 (H, W, 3) RGB → bool (H, W)."""
    gray = np.asarray(cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2GRAY), np.float32)
    wide, narrow = (_blur(gray, sigma) for sigma in (_SIGMA * _RATIO, _SIGMA))
    return np.asarray(_GAIN * (wide - narrow) > _THRESHOLD)


def chamfer(drawn: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Line Chamfer distance of two line maps, bool (H, W) of one shape; share of the diagonal, 0 for equal ones."""
    there = _distance(true)[drawn].sum()
    back = _distance(drawn)[true].sum()
    return float((there + back) / 2 / drawn.size / np.hypot(*drawn.shape))


def _distance(lines: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not lines.any():
        return np.full(lines.shape, np.hypot(*lines.shape))
    found = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # its last digits depend on where in memory the map lies; squares of distances are whole numbers
    return np.asarray(np.sqrt(np.rint(np.square(found, dtype=np.float64))))


def _blur(gray: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    size = 2 * int(sigma * _TRUNCATE) + 1
    blurred = cv2.GaussianBlur(gray, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)
