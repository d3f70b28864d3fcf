"""Find how far a scanned key lies from the key before: shift, angle and brightness of the sheet, not of the figure.

The position is found by peg holes (`animeinterp.keys.peg_holes`), or else by the background
(`animeinterp.keys.background`), and left alone where there is neither, as on plain paper. The brightness is the ratio
of levels, per channel, that the most pixels share.

Parameters were chosen on simulated scans with known truth, made as those of `benchmarks/scans.py` but of other art:
figures from a third of the height to beyond the frame, on painted backgrounds and on paper with and without peg holes,
printed frame and edges.

Not corrected: scale, shear, uneven lighting, and gamma. Coordinates are x first, px, angles clockwise as seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, at_working_size, rgb8
from animeinterp.keys.background import register_background
from animeinterp.keys.peg_holes import register_holes
from animeinterp.keys.rigid_motion import Matrix, largest_displacement, rigid_matrix, shift_and_angle

FoundBy = Literal["peg holes", "background", "nothing"]


@dataclass(frozen=True, slots=True)
class AlignLimits:
    """Parameters of the registration of scans. Levels are 255ths of the range.

    Attributes:
        pixels: Pixels of the images that are compared, at most.
        still_px: Smaller displacements, anywhere in the frame, are left alone, px of the frame.
        still_gain: Likewise for the brightness, relative.
        gain: Largest change of brightness, relative.
        gain_share: Fraction of the bright pixels that must share the change of brightness.
        dark: Levels; darker pixels tell no ratio.
        bright_share: Fraction of the pixels that must be brighter.
        gain_tolerance: Largest difference of such pixels, relative.
    """

    pixels: int = 1_000_000
    still_px: float = 0.3
    still_gain: float = 0.006
    gain: float = 0.35
    gain_share: float = 0.25
    dark: float = 16.0
    bright_share: float = 0.05
    gain_tolerance: float = 0.015


ALIGN_LIMITS = AlignLimits()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a key lies, seen from the key before.

    Attributes:
        shift: Of the center of the frame, x and y, px.
        degrees: Angle around it, clockwise.
        gain: Level of the later key per level of the key before: red, green, blue.
        found_by: What the position was found by; `nothing` where there was nothing to find it by.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    degrees: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    found_by: FoundBy = "nothing"

    @property
    def moves(self) -> bool:
        """Whether the key is moved or turned."""
        return self.shift != (0.0, 0.0) or self.degrees != 0.0

    @property
    def brightens(self) -> bool:
        """Whether the key has another brightness."""
        return self.gain != (1.0, 1.0, 1.0)

    def matrix(self, width: int, height: int, t: float = 1.0) -> Matrix:
        """Return the rigid motion from the place of the key before to the place at time t, float64 (2, 3), px."""
        x, y = self.shift
        return rigid_matrix((t * x, t * y), t * self.degrees, width, height)

    def describe(self) -> str:
        """Say how far, what angle and what brightness, such as `moved 4.2 px right and 1.0 px up, turned 0.31°`."""
        parts = []
        if self.moves:
            x, y = self.shift
            across, down = "right" if x > 0 else "left", "down" if y > 0 else "up"
            parts.append(f"moved {abs(x):.1f} px {across} and {abs(y):.1f} px {down}")
            parts.append(f"turned {abs(self.degrees):.2f}° {'clockwise' if self.degrees > 0 else 'counterclockwise'}")
            parts.append(f"found by {self.found_by}")
        elif self.found_by == "nothing":
            parts.append("position left alone: neither peg holes nor enough background to find it by")
        else:
            parts.append(f"in place by {self.found_by}")
        red, green, blue = self.gain
        parts.append(f"levels times {red:.3f}, {green:.3f}, {blue:.3f}" if self.brightens else "brightness alike")
        return ", ".join(parts)


def find_placement(frame0: Frame, frame1: Frame, limits: AlignLimits = ALIGN_LIMITS) -> Placement:
    """Find where a key lies, seen from the key before.

    Args:
        frame0: The key before, see `animeinterp.frame`.
        frame1: The key, of its size, mode and depth.
        limits: Parameters.

    Returns:
        The placement; no motion where nothing tells the position.
    """
    images = [at_working_size(rgb8(frame), limits.pixels) for frame in (frame0, frame1)]
    grays = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in images]
    found_by: FoundBy = "peg holes"
    matrix = register_holes(grays[0], grays[1])
    if matrix is None:
        found_by, matrix = "background", register_background(grays[0], grays[1])
    if matrix is None:
        return Placement(gain=_find_gain(images[0], images[1], limits))
    small_height, small_width = grays[0].shape
    backward = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(images[1], matrix, (small_width, small_height), flags=backward), np.uint8)
    gain = _find_gain(images[0], moved, limits)
    (x, y), degrees = shift_and_angle(matrix, small_width, small_height)
    height, width = frame0.shape[:2]
    placement = Placement((x * width / small_width, y * height / small_height), degrees, gain, found_by)
    if largest_displacement(placement.matrix(width, height), width, height) < limits.still_px:
        return Placement(gain=gain, found_by=found_by)
    return placement


def _find_gain(image0: NDArray[np.uint8], image1: NDArray[np.uint8], limits: AlignLimits) -> tuple[float, float, float]:
    """Find the ratio of levels that the most pixels of two registered images share; ones if too few share one."""
    levels = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0) for image in (image0, image1)]
    bright = np.minimum(levels[0].mean(axis=2), levels[1].mean(axis=2)) > limits.dark
    if bright.mean() < limits.bright_share:
        return (1.0, 1.0, 1.0)
    level0, level1 = levels[0][bright], levels[1][bright]
    ratio = np.log(level1.mean(axis=1) / level0.mean(axis=1))
    step = limits.gain_tolerance / 3
    edges = np.arange(-limits.gain, limits.gain + step, step)
    counts, _ = np.histogram(ratio, edges)
    peak = float(edges[int(np.convolve(counts, np.ones(5), mode="same").argmax())] + step / 2)
    near = np.abs(ratio - peak) < limits.gain_tolerance
    if near.mean() < limits.gain_share:
        return (1.0, 1.0, 1.0)
    gains = []
    for channel in range(3):
        lit = near & (np.minimum(level0[:, channel], level1[:, channel]) > limits.dark)
        shared = float(np.median(level1[lit, channel] / level0[lit, channel])) if lit.any() else math.exp(peak)
        gains.append(shared)
    if max(abs(gain - 1) for gain in gains) < limits.still_gain:
        return (1.0, 1.0, 1.0)
    return gains[0], gains[1], gains[2]
