"""Keep the texture of paper still in in-betweens of scanned keys.

A network that draws between two scans moves their grain with whatever it believes to move, and averages the grain of
two sheets to half of its variance. Here the pixels are found at which both keys and the in-between show the same tone
up to the noise of the pair: paper, or a background that does not move. They are cross-faded in place instead. Where the
grain of the keys differs, the cross-fade is sharpened back to the strength that the grain has in the keys.

Pairs without noise, as digital drawings are, have no paper in this sense: their equal pixels are copied anyway.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame, Frame, copied, from_planes, to_planes

Planes = NDArray[np.float32]  # (C, H, W)


@dataclass(frozen=True, slots=True)
class PaperLimits:
    """Parameters of the search for paper.

    Chosen on simulated scans, see `animeinterp.keys.align`. Levels are 255ths of the range.

    Attributes:
        quiet_fractions: Quantiles of the noise over the frame: it is measured at the first, …
        max_unevenness: … and at the second it is stronger by this factor at most. On the simulated scans it is by 1.1,
            on textures that move, of the development set, by 1.6 at least.
        min_noise: Weaker noise is none, levels; the steps of an 8-bit gradient reach 0.5.
        max_noise: Stronger noise is a texture that moves, levels.
        tone_sigma: Standard deviation of the window of local means, px.
        tone: Largest difference of tone, levels …
        tone_per_noise: … and that per level of noise.
        detail: Largest root mean square of what differs within the window, levels …
        detail_per_noise: … and that per level of noise.
        border_px: Paper ends so far from what is no paper.
        feather_sigma: Standard deviation of the transition, px.
        max_strengthening: Largest factor by which the grain of a cross-fade is sharpened.
    """

    quiet_fractions: tuple[float, float] = (0.2, 0.4)
    max_unevenness: float = 1.3
    min_noise: float = 0.8
    max_noise: float = 4.0
    tone_sigma: float = 2.5
    tone: float = 1.0
    tone_per_noise: float = 1.6
    detail: float = 1.0
    detail_per_noise: float = 4.0
    border_px: int = 3
    feather_sigma: float = 1.5
    max_strengthening: float = 1.5


PAPER_LIMITS = PaperLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """The paper that two keys share.

    Attributes:
        frame0: The key before.
        frame1: The key, in the place and brightness of the key before.
        noise: Standard deviation of the fine detail that they do not share, levels; 0 for none, as in drawings.
        grain: Strength of the grain of either key, levels.
        limits: What counts as paper.
    """

    frame0: Frame
    frame1: Frame
    noise: float
    grain: tuple[float, float] = (0.0, 0.0)
    limits: PaperLimits = field(default=PAPER_LIMITS)

    def keep(self, drawn: AnyFrame, t: float) -> AnyFrame:
        """Cross-fade the paper of both keys into an in-between.

        Args:
            drawn: The in-between, of the size, mode and depth of the keys.
            t: Its time, in [0, 1].

        Returns:
            The in-between with still paper; pixels that are equal in both keys are copied there.
        """
        if not self.noise:
            return copied(drawn)
        limits = self.limits
        planes0, planes1, planes = to_planes(self.frame0), to_planes(self.frame1), to_planes(drawn)
        mixed = planes0 + np.float32(t) * (planes1 - planes0)
        paper = _alike(planes0, planes1, self.noise, limits) & _alike(planes, mixed, self.noise, limits)
        kernel = np.ones((2 * limits.border_px + 1,) * 2, np.uint8)
        inside = cv2.erode(paper.astype(np.uint8), kernel).astype(bool)
        if not inside.any():
            return copied(drawn)
        weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), limits.feather_sigma)
        grain = _grain_of(mixed, self.noise)
        strength, wanted = _strength(grain, inside), (1 - t) * self.grain[0] + t * self.grain[1]
        if strength > 0:
            mixed += np.float32(np.clip(wanted / strength, 1, limits.max_strengthening) - 1) * grain
        planes += np.minimum(weight, paper.astype(np.float32)) * (mixed - planes)
        kept = from_planes(planes, drawn)
        equal = np.asarray(self.frame0 == self.frame1)
        equal = (equal if equal.ndim == 2 else equal.all(axis=2)) & inside
        kept[equal] = self.frame0[equal]
        return kept


def find_paper(
    frame0: Frame, frame1: Frame, keys: tuple[Frame, Frame] | None = None, limits: PaperLimits = PAPER_LIMITS
) -> Paper:
    """Find the paper that two keys share.

    Args:
        frame0: The key before, see `animeinterp.frame`.
        frame1: The key, in its place and brightness.
        keys: Both keys as they were read, whose grain was not softened by moving them; None takes the frames.
        limits: What counts as paper.

    Returns:
        The paper; `noise` is 0 where the pair shows none.
    """
    planes0, planes1 = to_planes(frame0), to_planes(frame1)
    noise = _measure_noise((planes0 - planes1).mean(axis=0), limits)
    if not noise:
        return Paper(frame0, frame1, 0.0, limits=limits)
    shared = _alike(planes0, planes1, noise, limits)
    sides = []
    for planes in (planes0, planes1) if keys is None else map(to_planes, keys):
        margin = (shared.shape[0] - planes.shape[1]) // 2  # of a canvas, see `animeinterp.keys.registration`
        inner = shared[margin : margin + planes.shape[1], margin : margin + planes.shape[2]]
        sides.append(_strength(_grain_of(planes, noise), inner))
    return Paper(frame0, frame1, noise, (sides[0], sides[1]), limits)


def _measure_noise(difference: NDArray[np.float32], limits: PaperLimits) -> float:
    """Return how much fine detail two keys do not share in the quiet part of the frame, levels; 0 if it is no grain.

    Grain is everywhere and equally strong. A drawing that moves has flat parts, a texture that moves has weaker and
    stronger ones, and of gradients that move only what is smooth differs.
    """
    fine = difference - cv2.GaussianBlur(difference, (0, 0), limits.tone_sigma)
    square = np.asarray(cv2.GaussianBlur(fine * fine, (0, 0), limits.tone_sigma))[::4, ::4]
    quiet, further = (255 * math.sqrt(max(0.0, float(q))) for q in np.quantile(square, limits.quiet_fractions))
    is_grain = limits.min_noise <= quiet <= limits.max_noise and further <= limits.max_unevenness * quiet
    return quiet if is_grain else 0.0


def _alike(planes0: Planes, planes1: Planes, noise: float, limits: PaperLimits) -> NDArray[np.bool_]:
    """Mark the pixels at which two images show one tone and no more detail than noise that differs."""
    tone = (limits.tone + limits.tone_per_noise * noise) / 255
    detail = (limits.detail + limits.detail_per_noise * noise) / 255
    alike = np.ones(planes0.shape[1:], bool)
    for first, second in zip(planes0, planes1, strict=True):
        difference = first - second
        mean = cv2.GaussianBlur(difference, (0, 0), limits.tone_sigma)
        square = cv2.GaussianBlur(difference * difference, (0, 0), limits.tone_sigma)
        alike &= (np.abs(mean) < tone) & (square < detail * detail)
    return alike


def _grain_of(planes: Planes, noise: float) -> Planes:
    """Return the fine detail of planes that is no stronger than the noise, so that lines are no part of it."""
    smooth = [cv2.bilateralFilter(plane, 7, 5 * noise / 255, 2.5) for plane in planes]
    return np.asarray(planes - np.stack(smooth))


def _strength(grain: Planes, where: NDArray[np.bool_]) -> float:
    """Return the root mean square of grain within a mask, levels; 0 for an empty one."""
    return 255 * math.sqrt(float(np.square(grain[:, where]).mean())) if where.any() else 0.0
