"""Small changes between two frames at their full size: snow, sparks, a blink, a cursor.

The reduced copies of `looks` average a flake of 2 px at 1080p away. Here the signed difference of the full-size gray
copies is averaged over 3x3 px: what moved is coherent and stands far above the rest, however few pixels it has, while
grain and a codec's noise cancel out. What is left of them is measured from the pair itself and forgiven, more so along
outlines that both frames share, where codecs leave ringing.

Changes without a difference in gray, and those that the codec has already removed, are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, has_alpha, rgb8

Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SpeckLimits:
    """How large a small change has to be.

    Chosen on films made at 480 and 1080 lines and encoded by x264 (crf 18 to 30, with key frames every 3 frames, with
    grain of 0, 3 and 8 levels), MPEG-4 and MPEG-2: repeats of moving and of static scenes reach `largest` 1.4 (1.9
    beside motion, 4.0 with grain at crf 30), flakes of 2 px 4.1 to 26, an eye of 12x8 px that blinks 1.4 to 5.5.

    floor: levels of the averaged difference that are always forgiven. grain: for each level of noise, the 0.99
    quantile of the averaged difference. most_noise: levels; more noise is taken for motion everywhere. outline: for
    each level of contrast within 5x5 px. repeat: of `largest`, above it a frame is new. poor: the limit beside motion,
    which poor encodings repeat worse; it is reached where `share` of the motion's size comes to it. poor_small: in its
    place for frames of less than `small` px on the short side, which `looks` compares at full size itself.
    """

    floor: float = 4.0
    grain: float = 2.5
    most_noise: float = 12.0
    outline: float = 0.15
    repeat: float = 1.7
    poor: float = 4.0
    poor_small: float = 12.0
    small: int = 720
    share: float = 0.35


LIMITS = SpeckLimits()
_LARGE = 1440  # px, short side
_FEW = 2000  # px that are looked at one by one


def full_gray(frame: Frame) -> Gray:
    """The gray copy of a frame of any mode and depth: uint8 (H, W), at half the size from 1440 lines on, for speed."""
    plain: Any = frame
    if min(frame.shape[:2]) >= _LARGE:
        plain = frame = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if has_alpha(frame):
        plain = rgb8(frame)
    elif frame.dtype == np.uint16:
        plain = cv2.convertScaleAbs(frame, alpha=1 / 257)
    return np.asarray(plain if plain.ndim == 2 else cv2.cvtColor(plain, cv2.COLOR_RGB2GRAY), np.uint8)


def largest_speck(a: Gray, b: Gray, limits: SpeckLimits = LIMITS) -> float:
    """Measure the small change that stands out most from the noise between two frames.

    Args:
        a: uint8 (H, W), see `full_gray`.
        b: Another of its size.
        limits: What counts as noise.

    Returns:
        1 is what noise may do; compare it with `SpeckLimits.repeat`. Infinite for frames of two sizes.
    """
    if a is b:
        return 0.0
    if a.shape != b.shape:
        return float("inf")
    difference: Any = cv2.blur(cv2.subtract(b, a, dtype=cv2.CV_16S), (3, 3))
    size: Any = cv2.convertScaleAbs(difference)
    counts = np.bincount(size[::4, ::4].ravel(), minlength=256).cumsum()
    noise = min(float(np.searchsorted(counts, 0.99 * counts[-1])), limits.most_noise)
    forgiven = limits.floor + limits.grain * noise
    if float(size.max()) <= forgiven:
        return float(size.max()) / forgiven
    rows, columns = np.nonzero(size > forgiven)
    if len(rows) <= _FEW:
        contrast = np.minimum(_contrast_at(a, rows, columns), _contrast_at(b, rows, columns))
    else:
        square = np.ones((5, 5), np.uint8)
        full: Any = cv2.min(*(cv2.morphologyEx(side, cv2.MORPH_GRADIENT, square) for side in (a, b)))
        contrast = full[rows, columns]
    return float((size[rows, columns] / (forgiven + limits.outline * contrast)).max())


def speck_limit(motion: float, gray: Gray, limits: SpeckLimits = LIMITS) -> float:
    """The `largest_speck` that a repeat may have beside motion of a size, see `looks.Change.most`, in such a frame."""
    poor = limits.poor_small if min(gray.shape) < limits.small else limits.poor
    return max(limits.repeat, min(poor, limits.share * motion))


def _contrast_at(gray: Gray, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The range of levels within 5x5 px around some pixels."""
    height, width = gray.shape
    steps = np.arange(-2, 3)
    y = np.clip(rows[:, None] + steps, 0, height - 1)
    x = np.clip(columns[:, None] + steps, 0, width - 1)
    around = gray[y[:, :, None], x[:, None, :]]
    contrast: NDArray[np.uint8] = around.max((1, 2)) - around.min((1, 2))
    return contrast
