"""Compares the frames of a triplet: difficulty level, motion RoI, and whether the middle frame is an in-between.

Images are uint8 (H, W, 3) RGB. Motion is DIS optical flow (Kroeger et al. 2016). The results are proposals: ATD-12K's
own levels and regions were annotated by people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.types import Level
from animeinterp.flow import backward_warp, chain_flows, dis_flow
from animeinterp.frame import RGBImage

CHANGED_LEVELS = 8  # of 255; a pixel has changed if one of its channels differs by more


@dataclass(frozen=True, slots=True)
class LevelLimits:
    """Thresholds of the difficulty level.

    Displacements are in px of the full size. The rule from `easy_px` on is that by which the development triplets were
    classified; the others belong to its measurement.

    Attributes:
        moving_px: A pixel moves if its displacement is larger.
        consistency_px: Forward-backward error beyond which a pixel is occluded, px of the images compared.
        consistency_per_px: Further error that is allowed per px of displacement.
        easy_px: Easy: mean displacement below this ...
        easy_occluded: ... and occluded fraction of the changed pixels below this.
        hard_px: Hard: mean displacement of at least this, ...
        hard_occluded: ... or occluded fraction of at least this ...
        hard_occluded_px: ... with a mean displacement of at least this.
    """

    moving_px: float = 0.5
    consistency_px: float = 1.0
    consistency_per_px: float = 0.05
    easy_px: float = 12.0
    easy_occluded: float = 0.35
    hard_px: float = 28.0
    hard_occluded: float = 0.62
    hard_occluded_px: float = 8.0


@dataclass(frozen=True, slots=True)
class MiddleLimits:
    """What counts as an in-between of two frames. Chosen by looking through triplets of vector animation and of films.

    Attributes:
        min_end_change: Changed pixels between the end frames, at least, as a fraction of those between the middle frame
            and the end frame that differs from it more.
        max_error: Color error of motion compensation beyond which a pixel is not explained, of 255.
        max_unexplained: Maximum fraction of the middle frame's changed pixels that neither end frame explains.
    """

    min_end_change: float = 0.6
    max_error: int = 40
    max_unexplained: float = 0.3


@dataclass(frozen=True, slots=True)
class RegionLimits:
    """Parameters of the motion RoI. Chosen by looking at contact sheets of built data sets.

    Attributes:
        camera_px: A camera shift of at most this is ignored, px.
        window: Side of the window over which differences are averaged, px.
        min_difference: Averaged difference that counts as motion, of 255; a mouth that opens is above it.
        grain_factor: The same as a multiple of the median difference; codec noise and grain are below it.
        outlier_fraction: Fraction of the total difference that may be outside the region, at each side.
        margin: Width added around the region, px of 960x540.
        min_side: Minimum side of a region, px; smaller ones cannot be scored.
    """

    camera_px: float = 0.5
    window: int = 5
    min_difference: float = 12.0
    grain_factor: float = 4.0
    outlier_fraction: float = 0.01
    margin: int = 16
    min_side: int = 64


LEVEL_LIMITS = LevelLimits()
MIDDLE_LIMITS = MiddleLimits()
REGION_LIMITS = RegionLimits()


def find_changed_pixels(first: RGBImage, second: RGBImage) -> NDArray[np.bool_]:
    """Mark the pixels that differ between two images, bool (H, W)."""
    return np.asarray(cv2.absdiff(first, second).max(axis=2) > CHANGED_LEVELS)


def measure_displacement(
    frame0: RGBImage, frame1: RGBImage, scale: float = 1.0, limits: LevelLimits = LEVEL_LIMITS
) -> tuple[float, float]:
    """Measure how far two frames are apart.

    Args:
        frame0: uint8 (H, W, 3) RGB.
        frame1: Another of the same size.
        scale: Size of the images as a fraction of the full size.
        limits: What counts as moving and as occluded.

    Returns:
        The mean displacement of moving pixels, px of the full size, and the occluded fraction of the changed pixels.
    """
    flow01, flow10 = dis_flow(frame0, frame1), dis_flow(frame1, frame0)
    length = np.hypot(*flow01) / scale
    moving = length > limits.moving_px
    error = np.hypot(*chain_flows(flow01, flow10, outside="zeros"))
    occluded = error > limits.consistency_px + limits.consistency_per_px * length * scale
    changed = find_changed_pixels(frame0, frame1)
    mean = float(length[moving].mean()) if moving.any() else 0.0
    return mean, float(occluded[changed].mean()) if changed.any() else 0.0


def classify_motion(displacement: float, occluded: float, limits: LevelLimits = LEVEL_LIMITS) -> Level:
    """Return the difficulty level of a pair, from the results of `measure_displacement`."""
    if displacement >= limits.hard_px or (occluded >= limits.hard_occluded and displacement >= limits.hard_occluded_px):
        return "hard"
    return "easy" if displacement < limits.easy_px and occluded < limits.easy_occluded else "medium"


def is_between(frame0: RGBImage, truth: RGBImage, frame1: RGBImage, limits: MiddleLimits = MIDDLE_LIMITS) -> bool:
    """Decide whether `truth` is an in-between of two frames.

    It is not if the end frames resemble each other more than either resembles it, or if it shows other things.

    Args:
        frame0: uint8 (H, W, 3) RGB.
        truth: The middle frame, of the same size.
        frame1: The other end frame.
        limits: What counts as an in-between.

    Returns:
        Whether it is.
    """
    changed = find_changed_pixels(frame0, truth), find_changed_pixels(truth, frame1)
    fractions = [pixels.mean() for pixels in changed]
    if min(fractions) == 0 or find_changed_pixels(frame0, frame1).mean() < limits.min_end_change * max(fractions):
        return False
    warped = (backward_warp(end, dis_flow(truth, end), outside="zeros") for end in (frame0, frame1))
    errors = [cv2.absdiff(image, truth).max(axis=2) for image in warped]
    unexplained = np.minimum(*errors) > limits.max_error
    return bool(unexplained[changed[0] | changed[1]].mean() <= limits.max_unexplained)


def find_moving_region(frames: Sequence[RGBImage], limits: RegionLimits = REGION_LIMITS) -> tuple[int, int, int, int]:
    """Find the bounding box of what moves in consecutive frames, camera shift removed; `margin` is not added.

    Args:
        frames: uint8 (H, W, 3) RGB, of one size.
        limits: What counts as motion.

    Returns:
        x, y, width and height, px: the whole frame where nothing moves, or everything.
    """
    height, width = frames[0].shape[:2]
    motion = np.zeros((height, width))
    for first, second in pairwise(frames):
        shift = np.median(dis_flow(first, second), axis=(1, 2))
        shift = np.where(np.abs(shift) > limits.camera_px, shift, 0).astype(np.float32)
        x, y = np.arange(width) + shift[0], np.arange(height)[:, None] + shift[1]
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        shifted = backward_warp(second, np.broadcast_to(shift[:, None, None], (2, height, width)), outside="zeros")
        difference = cv2.absdiff(first, shifted).max(axis=2) * inside
        mean = cv2.blur(difference.astype(np.float32), (limits.window, limits.window))
        threshold = max(limits.min_difference, limits.grain_factor * float(np.median(mean)))
        motion += np.where(mean > threshold, mean, 0)
    if not motion.any():
        return 0, 0, width, height
    left, right = _find_extent(motion.sum(axis=0), limits.outlier_fraction)
    top, bottom = _find_extent(motion.sum(axis=1), limits.outlier_fraction)
    return left, top, right - left, bottom - top


def _find_extent(profile: NDArray[np.float64], outlier_fraction: float) -> tuple[int, int]:
    """Return the range [first, end) of a profile without the outliers at both ends."""
    cumulative = np.cumsum(profile) / profile.sum()
    first = int(np.searchsorted(cumulative, outlier_fraction, side="right"))
    return first, int(np.searchsorted(cumulative, 1 - outlier_fraction)) + 1
