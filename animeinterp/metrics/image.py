"""Compare a drawn frame with the true one: PSNR, SSIM, interpolation error, Chamfer distance of lines, LPIPS.

Frames are uint8, as they would be saved; PSNR and SSIM are computed on the scale [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.errors import FrameError
from animeinterp.metrics.chamfer import line_distance, line_map
from animeinterp.metrics.scores import Scores

Planes = NDArray[np.float64]
Lpips = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float | None]  # drawn and true frame → LPIPS, if large enough

_SIGMA, _RADIUS = 1.5, 5  # px; window of Wang et al. 2004, truncated at 3.5 sigma as in scikit-image
_SIZE = 2 * _RADIUS + 1
_ATD_SIZE = 7  # px, uniform: scikit-image's default
_ATD_RADIUS = _ATD_SIZE // 2
_ATD_RANGE = 2.0  # the range that scikit-image assumes for floats, [-1, 1]


def measure(drawn: NDArray[np.uint8], true: NDArray[np.uint8], lpips: Lpips | None = None) -> Scores:
    """Compute every score of a drawn frame or of a part of it.

    Args:
        drawn: uint8 (H, W, 3) RGB, at least 11x11.
        true: Of the same shape.
        lpips: Computes LPIPS, see `animeinterp.metrics.lpips`; None skips it.

    Returns:
        The scores.

    Raises:
        FrameError: The frames differ in shape, are not uint8 or too small.
    """
    return Scores(
        psnr=psnr(drawn, true),
        ssim=ssim(drawn, true),
        ssim_atd=ssim_atd(drawn, true),
        ie=ie(drawn, true),
        chamfer=chamfer(drawn, true),
        lpips=lpips(drawn, true) if lpips else None,
    )


def psnr(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Compute the peak signal-to-noise ratio, data range 1.

    Args:
        drawn: uint8 (H, W, C).
        true: Of the same shape.

    Returns:
        PSNR, dB; infinite for equal frames.

    Raises:
        FrameError: The frames differ in shape or are not uint8.
    """
    _check(drawn, true)
    error = float(np.mean((drawn.astype(np.float64) - true) ** 2)) / 255**2
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Compute the structural similarity (Wang et al. 2004): Gaussian window, sigma 1.5, data range 1.

    Args:
        drawn: uint8 (H, W, C), at least 11x11.
        true: Of the same shape.

    Returns:
        SSIM, at most 1, mean over channels and pixels except a border of 5 px, where the window leaves the frame.

    Raises:
        FrameError: The frames differ in shape, are not uint8 or too small.
    """
    _check(drawn, true)
    _check_size(true, _SIZE)
    return _similarity(drawn, true, _gaussian, 1.0, _RADIUS, 1.0)


def ssim_atd(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Compute SSIM as in the published figures for ATD-12K, for comparison with papers only.

    The published script gives scikit-image floats in [0, 1] without their range, which scikit-image takes for 2, and
    misspells the flag of the Gaussian window, so the window is uniform, 7x7, with sample covariance.

    Args:
        drawn: uint8 (H, W, C), at least 7x7.
        true: Of the same shape.

    Returns:
        The similarity, at most 1.

    Raises:
        FrameError: The frames differ in shape, are not uint8 or too small.
    """
    _check(drawn, true)
    _check_size(true, _ATD_SIZE)
    pixels = _ATD_SIZE**2
    return _similarity(drawn, true, _uniform, _ATD_RANGE, _ATD_RADIUS, pixels / (pixels - 1))


def ie(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Compute the interpolation error, the mean over pixels of the Euclidean distance of two colors.

    Args:
        drawn: uint8 (H, W, C).
        true: Of the same shape.

    Returns:
        The error, 0 to 441 for three channels.

    Raises:
        FrameError: The frames differ in shape or are not uint8.
    """
    _check(drawn, true)
    error = drawn.astype(np.float64) - true
    return float(np.sqrt((error * error).sum(axis=2)).mean())


def chamfer(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Compute the line Chamfer distance, see `animeinterp.metrics.chamfer`.

    Args:
        drawn: uint8 (H, W, 3) RGB.
        true: Of the same shape.

    Returns:
        The distance as a fraction of the diagonal.

    Raises:
        FrameError: The frames differ in shape or are not uint8.
    """
    _check(drawn, true)
    return line_distance(line_map(drawn), line_map(true))


def _similarity(
    drawn: NDArray[np.uint8],
    true: NDArray[np.uint8],
    window: Callable[[Planes], Planes],
    data_range: float,
    radius: int,
    covariance_scale: float,
) -> float:
    """Compute SSIM with any window; a `covariance_scale` of n / (n - 1) gives sample covariances."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = drawn / 255, true / 255
    mean_x, mean_y = window(x), window(y)
    variances = covariance_scale * (window(x * x + y * y) - mean_x**2 - mean_y**2)
    covariance = covariance_scale * (window(x * y) - mean_x * mean_y)
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    return float(similarity[radius:-radius, radius:-radius].mean())


def _gaussian(planes: Planes) -> Planes:
    """Average each plane by the Gaussian window."""
    return np.asarray(cv2.GaussianBlur(planes, (_SIZE, _SIZE), _SIGMA, borderType=cv2.BORDER_REFLECT), np.float64)


def _uniform(planes: Planes) -> Planes:
    """Average each plane by the uniform window."""
    return np.asarray(cv2.blur(planes, (_ATD_SIZE, _ATD_SIZE), borderType=cv2.BORDER_REFLECT), np.float64)


def _check(drawn: NDArray[np.uint8], true: NDArray[np.uint8]) -> None:
    """Raise FrameError unless both are uint8 of one shape."""
    if drawn.shape != true.shape or drawn.dtype != np.uint8 or true.dtype != np.uint8:
        raise FrameError(
            f"expected two uint8 frames of one shape, got {drawn.dtype} {drawn.shape} and {true.dtype} "
            f"{true.shape}; convert or resize one"
        )


def _check_size(frame: NDArray[np.uint8], minimum: int) -> None:
    """Raise FrameError for frames smaller than the window."""
    height, width = frame.shape[:2]
    if min(height, width) < minimum:
        raise FrameError(f"expected at least {minimum}x{minimum} px for SSIM, got {width}x{height}; take a larger part")
