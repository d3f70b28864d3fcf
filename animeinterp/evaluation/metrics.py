"""Measures of a drawn frame against the true one, on frames scaled to [0, 1] (system §5)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.errors import FrameError

_SIGMA, _RADIUS = 1.5, 5  # the Gaussian window of Wang et al. 2004, cut at 3.5 sigma as scikit-image does
_C1, _C2 = 0.01**2, 0.03**2


def psnr(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB, data range 1; infinite for equal frames. uint8 (H, W, C)."""
    _check(drawn, true)
    error = float(np.mean((drawn.astype(np.float64) - true) ** 2)) / 255**2
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window, sigma 1.5, data range 1, mean over channels.

    uint8 (H, W, C), at least 11x11. A border of 5 px, where the window leaves the frame, does not count.
    """
    _check(drawn, true)
    if min(true.shape[:2]) <= 2 * _RADIUS:
        raise FrameError(
            f"expected at least 11x11 px for SSIM, got {true.shape[1]}x{true.shape[0]}; take a larger part"
        )
    x, y = drawn / 255, true / 255
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similarity /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    inside = slice(_RADIUS, -_RADIUS)
    return float(similarity[inside, inside].mean())


def _blur(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 2 * _RADIUS + 1
    return np.asarray(cv2.GaussianBlur(planes, (size, size), _SIGMA, borderType=cv2.BORDER_REFLECT), np.float64)


def _check(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> None:
    if drawn.shape != true.shape or drawn.dtype != np.uint8 or true.dtype != np.uint8:
        raise FrameError(
            f"expected two uint8 frames of one shape, got {drawn.dtype} {drawn.shape} and {true.dtype} "
            f"{true.shape}; convert or resize one"
        )
