"""The time at which a model's drawing is nearest the truth: how much of an error is timing rather than drawing.

Times are tried by tenths from 0.1 to 0.9, then around the best so far at half the distance, three times over: to 1/80,
with at most 15 renders. PSNR falls off in a cusp where outlines part, so points are compared, no parabola is laid. A
peak narrower than a tenth may be missed; 0.1 and 0.9 mean there or beyond. Equal PSNR goes to the time nearest 0.5,
then to the earlier one. The gain is only about what timing cost: a frame moved less far also has fewer faults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animeinterp.evaluation.metrics import psnr, ssim
from animeinterp.evaluation.scores import BestTime, Scores

Picture = NDArray[np.uint8]
Draw = Callable[[float], Picture]

_PARTS, _FIRST, _MIDDLE, _LAST = 80, 8, 40, 72  # times are whole numbers of 1/80: from 0.1 over 0.5 to 0.9
_STEPS = (8, 4, 2, 1)


def drawer(model: Any, frame0: Picture, frame1: Picture, known: dict[str, Any]) -> Draw:
    """What draws the frame at any time: motion is found once, where a model has the steps of an `Interpolator`.

    known: `coarse`, precomputed flows, if any. Other models are called anew for every time.
    """
    if not hasattr(model, "render") or np.array_equal(frame0, frame1):
        return partial(model, frame0, frame1, **known)
    analyses = [model.analyze(frame, segment="coarse" not in known) for frame in (frame0, frame1)]
    return partial(model.render, model.motion(*analyses, **known))


def best_time(draw: Draw, middle: Picture, truth: Picture) -> BestTime:
    """Of the times that are tried the one with the highest PSNR, never below that of `middle`, the frame at 0.5.

    Frames are uint8 (H, W, 3) RGB, at least 11x11. Raises FrameError for frames that do not fit.
    """
    found = {_MIDDLE: psnr(middle, truth)}
    best, frame = _MIDDLE, middle
    for step in _STEPS:
        near = range(_FIRST, _LAST + 1, step) if step == _STEPS[0] else (best - step, best + step)
        for part in near:
            if part in found or not _FIRST <= part <= _LAST:
                continue
            drawn = draw(part / _PARTS)
            found[part] = psnr(drawn, truth)
            if _rank(part, found) > _rank(best, found):
                best, frame = part, drawn
    return BestTime.at(best / _PARTS, Scores(found[best], ssim(frame, truth)))


def _rank(part: int, found: dict[int, float]) -> tuple[float, int, int]:
    return found[part], -abs(part - _MIDDLE), -part
