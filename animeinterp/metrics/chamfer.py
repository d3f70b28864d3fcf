"""Line Chamfer distance of two drawings, as in EISAI (Chen & Zwicker 2022).

A pixel is on a line where a difference of Gaussians is darker than its surroundings: 2 (G1.6 - G1) > 0.01 on gray in
[0, 1], with kernels of 9 and 13 px and a replicated border. The distance is the mean over all pixels of line(a) · d(b),
where d(b) is the Euclidean distance to the nearest line of b, averaged over both directions and divided by the frame's
diagonal. It does not depend on the size at which a drawing is rendered. Every pixel of a frame without lines is one
diagonal away.

Line maps, constants and normalization are those of EISAI's published code. Two things differ: frames are 8-bit here, as
they would be saved, where EISAI scores the network's floats; and distances are computed by OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_NARROW_SIGMA, _WIDE_SIGMA = 1.0, 1.6  # px
_TRUNCATE = 4  # kernel half-width in sigmas
_GAIN, _THRESHOLD = 2.0, 0.01


def line_map(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Detect the lines of a frame.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        bool (H, W), true on lines.
    """
    gray = np.asarray(cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2GRAY), np.float32)
    return np.asarray(_GAIN * (_blur(gray, _WIDE_SIGMA) - _blur(gray, _NARROW_SIGMA)) > _THRESHOLD)


def line_distance(drawn: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Compute the Chamfer distance of two line maps.

    Args:
        drawn: bool (H, W).
        true: bool (H, W).

    Returns:
        The distance as a fraction of the diagonal; 0 for equal maps.
    """
    forward = _distance(true)[drawn].sum()
    backward = _distance(drawn)[true].sum()
    return float((forward + backward) / 2 / drawn.size / np.hypot(*drawn.shape))


def _distance(lines: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each pixel's distance to the nearest line, px."""
    if not lines.any():
        return np.full(lines.shape, np.hypot(*lines.shape))
    distance = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last digits depend on the memory address of the map. Squared distances are integers.
    return np.asarray(np.sqrt(np.rint(np.square(distance, dtype=np.float64))))


def _blur(gray: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur a gray image by a Gaussian."""
    size = 2 * int(sigma * _TRUNCATE) + 1
    blurred = cv2.GaussianBlur(gray, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)
