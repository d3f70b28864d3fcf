"""The time at which a model's drawing is nearest the truth: how much of an error is timing rather than drawing.

Times are whole numbers of 1/80 from 0.1 to 0.9. The search goes outward from 0.5 by tenths, in both directions in turn.
A direction ends at 0.1 or 0.9, after two falls in a row, or where it lies more than 1 dB below the best so far. Then
the distance is halved three times, to 1/80: around the best so far, the side of the better neighbor comes first, and
the other one only if the first is no better. That is 8.7 renders in the mean and at most 15, the one at 0.5 included.

PSNR falls off in a cusp where outlines part, so points are compared, no parabola is laid. A peak narrower than a tenth
or behind a dip may be missed; 0.1 and 0.9 mean there or beyond. Equal PSNR goes to the time nearest 0.5, then to the
earlier one. The gain is only about what timing cost: a frame moved less far also has fewer faults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from animeinterp.evaluation.scores import BestTime
from animeinterp.frame import RGBImage
from animeinterp.metrics.image import Lpips, chamfer, psnr, ssim
from animeinterp.metrics.scores import Scores

Draw = Callable[[float], RGBImage]

_PARTS, _FIRST, _MIDDLE, _LAST = 80, 8, 40, 72  # times are whole numbers of 1/80: from 0.1 over 0.5 to 0.9
_TENTH, _HALVES = 8, (4, 2, 1)
_FALLS, _DROP = 2, 1.0  # in a row; dB below the best: a direction ends there


def drawer(model: Any, frame0: RGBImage, frame1: RGBImage, known: dict[str, Any]) -> Draw:
    """What draws the frame at any time: motion is found once, where a model has the steps of an `Interpolator`.

    known: `coarse`, precomputed flows, if any. Other models are called anew for every time.
    """
    if not hasattr(model, "render") or np.array_equal(frame0, frame1):
        return partial(model, frame0, frame1, **known)
    analyzes = [model.analyze(frame, segment="coarse" not in known) for frame in (frame0, frame1)]
    return partial(model.render, model.motion(*analyzes, **known))


def best_time(draw: Draw, middle: RGBImage, truth: RGBImage, lpips: Lpips | None = None) -> BestTime:
    """Of the times that are tried the one with the highest PSNR, never below that of `middle`, the frame at 0.5.

    Args:
        draw: the model's frame at a time in [0, 1].
        middle: its frame at 0.5, uint8 (H, W, 3) RGB, at least 11x11.
        truth: the true frame, of the same shape.
        lpips: also measure LPIPS at the best time, see `animeinterp.metrics.lpips`.

    Returns:
        The time, with PSNR, SSIM, Chamfer distance and LPIPS of the whole frame at that time.

    Raises:
        FrameError: for frames that do not fit.
    """
    search = _Search(draw, middle, truth)
    search.go_outward()
    for step in _HALVES:
        search.look_beside(step)
    perceived = lpips(search.frame, truth) if lpips else None
    similar, far = ssim(search.frame, truth), chamfer(search.frame, truth)
    scores = Scores(search.found[search.best], similar, chamfer=far, lpips=perceived)
    return BestTime.at(search.best / _PARTS, scores)


class _Search:
    """The times that were tried. found: PSNR by time in parts. best, frame: the best of these and its drawing."""

    def __init__(self, draw: Draw, middle: RGBImage, truth: RGBImage) -> None:
        self.found = {_MIDDLE: psnr(middle, truth)}
        self.best, self.frame = _MIDDLE, middle
        self._draw, self._truth = draw, truth

    def go_outward(self) -> None:
        """Try tenths in both directions until it does not seem worth going on."""
        falls, last = {-1: 0, 1: 0}, dict.fromkeys((-1, 1), self.found[_MIDDLE])
        for distance in range(_TENTH, _MIDDLE - _FIRST + 1, _TENTH):
            for side in (-1, 1):
                if falls[side] == _FALLS:
                    continue
                value = self._try(_MIDDLE + side * distance)
                falls[side] = falls[side] + 1 if value < last[side] else 0
                if value < self.found[self.best] - _DROP:
                    falls[side] = _FALLS
                last[side] = value

    def look_beside(self, step: int) -> None:
        """Try the times `step` beside the best one, of which those at twice the distance are known."""
        center = self.best
        sides = [side for side in (-1, 1) if _FIRST <= center + side * step <= _LAST]
        for side in sorted(sides, key=lambda side: self._rank(center + 2 * side * step), reverse=True):
            self._try(center + side * step)
            if self.best != center:
                break

    def _try(self, part: int) -> float:
        drawn = self._draw(part / _PARTS)
        self.found[part] = psnr(drawn, self._truth)
        if self._rank(part) > self._rank(self.best):
            self.best, self.frame = part, drawn
        return self.found[part]

    def _rank(self, part: int) -> tuple[float, int, int]:
        return self.found[part], -abs(part - _MIDDLE), -part
