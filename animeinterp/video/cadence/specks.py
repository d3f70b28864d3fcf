"""Detect small changes between two frames at full size: snow, sparks, a blink, a cursor.

The fine copy of a `FrameSignature` averages away a flake of 2 px at 1080p. Here the signed difference of the full-size
gray copies is averaged over 3x3 px: motion is coherent and stands out however few pixels it covers, while grain and
codec noise cancel out. The rest of the noise is measured from the pair itself and tolerated, more of it along edges
that both frames share, where codecs leave ringing.

Not detected: changes without a difference in gray, and those that the codec has already removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, has_alpha, rgb8

Gray = NDArray[np.uint8]

_HALVED_SIDE = 1440  # px, short side from which the gray copy has half the size
_MAX_SINGLE_PIXELS = 2000  # contrast is computed pixel by pixel up to here, for the whole image above


@dataclass(frozen=True, slots=True)
class SpeckLimits:
    """Parameters of the detector of small changes.

    Chosen on films made at 480 and 1080 lines and encoded by x264 (crf 18 to 30, with key frames every 3 frames, with
    grain of 0, 3 and 8 levels), MPEG-4 and MPEG-2. There repeats of moving and of static scenes reach a
    `largest_speck` of 1.4 (1.9 beside motion, 4.0 with grain at crf 30), flakes of 2 px 4.1 to 26, a blinking eye of
    12x8 px 1.4 to 5.5. `tests/video/cadence/test_specks.py` holds such films.

    Attributes:
        floor: Levels of the averaged difference that are always tolerated.
        per_noise: Levels per level of noise, the 0.99 quantile of the averaged difference.
        max_noise: Levels; a larger quantile is motion everywhere, not noise.
        per_contrast: Levels per level of contrast within 5x5 px.
        max_repeat: Largest speck of a repeat.
        max_repeat_in_motion: In place of `max_repeat` beside motion, where poor encodings repeat worse.
        max_repeat_in_motion_small: Likewise for small frames, whose fine copy has full size.
        small_side: Short side below which a frame is small, px.
        motion_fraction: Speck per `FrameDifference.peak` of the motion around it, up to the limits in motion.
    """

    floor: float = 4.0
    per_noise: float = 2.5
    max_noise: float = 12.0
    per_contrast: float = 0.15
    max_repeat: float = 1.7
    max_repeat_in_motion: float = 4.0
    max_repeat_in_motion_small: float = 12.0
    small_side: int = 720
    motion_fraction: float = 0.35


SPECK_LIMITS = SpeckLimits()


def full_size_gray(frame: Frame) -> Gray:
    """Convert a frame to gray.

    Args:
        frame: Of any mode and depth, see `animeinterp.frame`.

    Returns:
        uint8 (H, W); at half the size from 1440 lines on, for speed.
    """
    image: Any = frame
    if min(frame.shape[:2]) >= _HALVED_SIDE:
        image = frame = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if has_alpha(frame):
        image = rgb8(frame)
    elif frame.dtype == np.uint16:
        image = cv2.convertScaleAbs(frame, alpha=1 / 257)
    return np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def largest_speck(a: Gray, b: Gray, limits: SpeckLimits = SPECK_LIMITS) -> float:
    """Measure the small change that exceeds the noise between two frames most.

    Args:
        a: uint8 (H, W), see `full_size_gray`.
        b: Another of its size.
        limits: What counts as noise.

    Returns:
        The change relative to what noise may cause: noise stays below 1; compare it with `speck_limit`. Infinite for
        frames of two sizes.
    """
    if a is b:
        return 0.0
    if a.shape != b.shape:
        return float("inf")
    difference: Any = cv2.blur(cv2.subtract(b, a, dtype=cv2.CV_16S), (3, 3))
    size: Any = cv2.convertScaleAbs(difference)
    counts = np.bincount(size[::4, ::4].ravel(), minlength=256).cumsum()
    noise = min(float(np.searchsorted(counts, 0.99 * counts[-1])), limits.max_noise)
    tolerance = limits.floor + limits.per_noise * noise
    if float(size.max()) <= tolerance:
        return float(size.max()) / tolerance
    rows, columns = np.nonzero(size > tolerance)
    if len(rows) <= _MAX_SINGLE_PIXELS:
        contrast = np.minimum(_contrast_at(a, rows, columns), _contrast_at(b, rows, columns))
    else:
        kernel = np.ones((5, 5), np.uint8)
        full: Any = cv2.min(*(cv2.morphologyEx(side, cv2.MORPH_GRADIENT, kernel) for side in (a, b)))
        contrast = full[rows, columns]
    return float((size[rows, columns] / (tolerance + limits.per_contrast * contrast)).max())


def speck_limit(motion: float, gray: Gray, limits: SpeckLimits = SPECK_LIMITS) -> float:
    """Return the `largest_speck` up to which a frame counts as a repeat.

    Args:
        motion: `FrameDifference.peak` of the motion around the frame.
        gray: uint8 (H, W), see `full_size_gray`.
        limits: The limits at rest and in motion.

    Returns:
        The limit, at least `max_repeat`.
    """
    is_small = min(gray.shape) < limits.small_side
    in_motion = limits.max_repeat_in_motion_small if is_small else limits.max_repeat_in_motion
    return max(limits.max_repeat, min(in_motion, limits.motion_fraction * motion))


def _contrast_at(gray: Gray, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Gray:
    """Compute the range of levels within 5x5 px around some pixels."""
    height, width = gray.shape
    offsets = np.arange(-2, 3)
    y = np.clip(rows[:, None] + offsets, 0, height - 1)
    x = np.clip(columns[:, None] + offsets, 0, width - 1)
    windows = gray[y[:, :, None], x[:, None, :]]
    contrast: Gray = windows.max((1, 2)) - windows.min((1, 2))
    return contrast
