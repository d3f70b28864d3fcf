"""When the true frame between two others stands: the time at which even motion meets it best.

Drawn motion is eased, so the frame that lies in the middle of the exposure sheet seldom lies in the middle of the way.
A network that is told t = 0.5 for it can only learn to blur: over 2,624 crops of vector animation the drawing by rule
is 2.8 dB nearer to the truth at the right time than at 0.5. So real animation is learned at the time fitted here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.net.classical import compose, consistency, warp

_FIRST, _LAST, _STEP = 0.1, 0.9, 0.1
_LEAST_GAIN = 1.02  # of the error; less than that is no evidence for another time


def fitted_time(frames: NDArray[np.uint8], flows: NDArray[Any], t: float) -> float:
    """The time in [0.1, 0.9] at which the drawing of `compose` has the least squared error.

    frames: uint8 (3, 3, H, W) RGB, frame 0, the truth, frame 1. flows: (2, 2, H, W), 0→1 and 1→0, x first, px. t: where
    the truth was said to stand, which holds where no other time is better.
    """
    frame0, truth, frame1 = (torch.from_numpy(np.ascontiguousarray(frame))[None].float() / 255 for frame in frames)
    flow01, flow10 = (torch.from_numpy(np.ascontiguousarray(flow, np.float32))[None] for flow in flows)
    with torch.inference_mode():
        trusts = consistency(frame0, frame1, flow01, flow10), consistency(frame1, frame0, flow10, flow01)

        def error(time: float) -> float:
            return _error((frame0, frame1), (flow01, flow10), trusts, truth, time)

        times = np.arange(_FIRST, _LAST + _STEP / 2, _STEP)
        errors = [error(float(time)) for time in times]
        best = int(np.argmin(errors))
        fitted = float(times[best])
        if 0 < best < len(times) - 1:
            # Between its neighbours the error is nearly a parabola.
            before, here, after = errors[best - 1 : best + 2]
            fitted += _STEP / 2 * (before - after) / max(before - 2 * here + after, 1e-12)
        return fitted if error(fitted) * _LEAST_GAIN < error(t) else t


def _error(
    frames: tuple[Tensor, Tensor], flows: tuple[Tensor, Tensor], trusts: tuple[Tensor, Tensor], truth: Tensor, t: float
) -> float:
    warped = warp(frames[0], flows[0], trusts[0], t), warp(frames[1], flows[1], trusts[1], 1 - t)
    return float((compose(*frames, *warped, t).clamp(0, 1) - truth).square().mean())
