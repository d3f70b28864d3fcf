"""Find the best time of a model: the time at which its drawing is nearest the true frame, by PSNR.

The score at that time separates errors of timing from errors of drawing. Times are multiples of 1/80 from 0.1 to 0.9.
The search starts at 0.5 and moves outward by tenths, in both directions in turn. A direction ends at 0.1 or 0.9, after
two decreases in a row, or more than 1 dB below the best time so far. Then the step is halved three times, to 1/80: of
the two neighbors of the best time, the one on the better side is tried first, and the other only if the first is no
better. That is 8.7 renders on average and at most 15, including the one at 0.5.

PSNR has a cusp where outlines coincide, so the search compares points and fits no parabola. It may miss a peak that is
narrower than a tenth or behind a dip; 0.1 and 0.9 mean that time or beyond. Of equal PSNR, the time nearest 0.5 wins,
then the earlier one. The gain is an upper bound of what timing costs: a frame moved less far also has fewer errors of
drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from animeinterp.evaluation.scores import BestTime
from animeinterp.frame import RGBImage
from animeinterp.metrics.image import Lpips, chamfer, psnr, ssim
from animeinterp.metrics.scores import Scores

Draw = Callable[[float], RGBImage]  # time in [0, 1] → frame

_DENOMINATOR, _FIRST, _MIDDLE, _LAST = 80, 8, 40, 72  # times are n / 80 for n from 8 to 72
_COARSE_STEP, _FINE_STEPS = 8, (4, 2, 1)


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Where the coarse search ends a direction; `benchmarks/best_time.py` compares them with a search of all times.

    Attributes:
        max_falls: Decreases of PSNR in a row.
        max_drop: Distance below the best time so far, dB.
    """

    max_falls: int = 2
    max_drop: float = 1.0


def bind_frames(
    model: Any, frame0: RGBImage, frame1: RGBImage, coarse: object = None, *, share_motion: bool = True
) -> Draw:
    """Bind a model to a pair of frames.

    Args:
        model: An `Interpolator`, or a callable of both frames and a time.
        frame0: uint8 (H, W, 3) RGB.
        frame1: Of the same shape.
        coarse: Precomputed flows; None if there are none or the model does not accept them.
        share_motion: Whether an `Interpolator` computes motion once for all times.

    Returns:
        A function of the time.
    """
    options = {} if coarse is None else {"coarse": coarse}
    if not share_motion or not hasattr(model, "render") or np.array_equal(frame0, frame1):
        return partial(model, frame0, frame1, **options)
    analyses = [model.analyze(frame, segment=coarse is None) for frame in (frame0, frame1)]
    return partial(model.render, model.motion(*analyses, **options))


def find_best_time(
    draw: Draw, middle: RGBImage, truth: RGBImage, lpips: Lpips | None = None, limits: SearchLimits = SearchLimits()
) -> BestTime:
    """Find the time with the highest PSNR; never below that of t = 0.5.

    Args:
        draw: Draws the model's frame at a time in [0, 1].
        middle: The model's frame at t = 0.5, uint8 (H, W, 3) RGB, at least 11x11.
        truth: The true frame, of the same shape.
        lpips: Computes LPIPS at the best time, see `animeinterp.metrics.lpips`; None skips it.
        limits: Ends of the coarse search.

    Returns:
        The time, with PSNR, SSIM, Chamfer distance and LPIPS of the whole frame at that time.

    Raises:
        FrameError: The frames differ in shape or are too small.
    """
    search = _Search(draw, middle, truth)
    search.move_outward(limits)
    for step in _FINE_STEPS:
        search.refine(step)
    scores = Scores(
        search.psnr[search.best],
        ssim(search.frame, truth),
        chamfer=chamfer(search.frame, truth),
        lpips=lpips(search.frame, truth) if lpips else None,
    )
    return BestTime.at(search.best / _DENOMINATOR, scores)


class _Search:
    """State of a search; times are numerators of n / 80.

    Attributes:
        psnr: PSNR of each time that was tried, dB.
        best: The best time so far.
        frame: The frame at that time.
    """

    def __init__(self, draw: Draw, middle: RGBImage, truth: RGBImage) -> None:
        self.psnr = {_MIDDLE: psnr(middle, truth)}
        self.best, self.frame = _MIDDLE, middle
        self._draw, self._truth = draw, truth

    def move_outward(self, limits: SearchLimits) -> None:
        """Try tenths in both directions until each direction ends."""
        falls, last = {-1: 0, 1: 0}, dict.fromkeys((-1, 1), self.psnr[_MIDDLE])
        for distance in range(_COARSE_STEP, _MIDDLE - _FIRST + 1, _COARSE_STEP):
            for side in (-1, 1):
                if falls[side] == limits.max_falls:
                    continue
                value = self._try(_MIDDLE + side * distance)
                falls[side] = falls[side] + 1 if value < last[side] else 0
                if value < self.psnr[self.best] - limits.max_drop:
                    falls[side] = limits.max_falls
                last[side] = value

    def refine(self, step: int) -> None:
        """Try the neighbors of the best time at a distance for which twice the distance was tried."""
        center = self.best
        sides = [side for side in (-1, 1) if _FIRST <= center + side * step <= _LAST]
        for side in sorted(sides, key=lambda side: self._rank(center + 2 * side * step), reverse=True):
            self._try(center + side * step)
            if self.best != center:
                break

    def _try(self, time: int) -> float:
        """Draw the frame at a time, and return its PSNR."""
        frame = self._draw(time / _DENOMINATOR)
        self.psnr[time] = psnr(frame, self._truth)
        if self._rank(time) > self._rank(self.best):
            self.best, self.frame = time, frame
        return self.psnr[time]

    def _rank(self, time: int) -> tuple[float, int, int]:
        """Return a sort key of a time that was tried."""
        return self.psnr[time], -abs(time - _MIDDLE), -time
