"""Flow between two frames, as the true frame between them witnesses it.

Real animation has no true flow. But where its true middle frame is at hand, motion can be found in two halves, which
are far easier than the whole, and checked twice: a pixel's color must be found again in the middle and at the end.
What passes is known well enough to learn from, on the very material where matching errs (privileged information, as
RIFE's teacher has it; Huang et al. 2022, §3.3).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.flow import backward_warp, chain_flows, flow_targets
from animeinterp.interpolator import Interpolator
from animeinterp.net.classical import compose, warp
from animeinterp.net.ops.consistency import consistency

Floats = NDArray[np.float32]

AGREES = 10.0  # of 255: mean of the largest differences around a pixel that is found again
_BETTER = 0.5  # a way must be so much better to be taken instead of the first
_NEVER = 999.0


def pseudo_label_flow(
    interpolator: Interpolator, frames: tuple[Any, Any, Any], t: float, coarse: tuple[Floats, Floats]
) -> tuple[Floats, NDArray[np.uint8]]:
    """What is known of the flow between the first and the last of three frames.

    frames: uint8 (H, W, 3) RGB, the second stands at t. coarse: float32 (2, H, W), the flow 0→1 and 1→0 that was found
    without it, x first, px. Returns float32 (2, 2, H, W), both flows, and uint8 (2, H, W), 1 where they are known.
    """
    analyzes = [interpolator.analyze(frame) for frame in frames]
    first, second = (interpolator.motion(analyzes[i], analyzes[i + 1]) for i in (0, 1))
    forth = _checked(frames, first.flow01, second.flow01, coarse[0], t)
    back = _checked(frames[::-1], second.flow10, first.flow10, coarse[1], 1 - t)
    return np.stack([forth[0], back[0]]), np.stack([forth[1], back[1]])


def _checked(
    frames: tuple[Any, ...], to_middle: Floats, to_end: Floats, coarse: Floats, t: float
) -> tuple[Floats, NDArray[np.uint8]]:
    """The better of two ways, by the middle or straight on, and where it holds."""
    start, middle, end = frames
    both = chain_flows(to_middle, to_end)
    flow, error = both, _error(start, middle, end, to_middle, both)
    straight = _error(start, middle, end, np.float32(t) * coarse, coarse)
    better = straight < error - _BETTER
    return np.where(better, coarse, flow), (np.where(better, straight, error) < AGREES).astype(np.uint8)


def _error(start: Any, middle: Any, end: Any, to_middle: Floats, to_end: Floats) -> Floats:
    """How far what is found on the way differs from what set out, 0 to 255, over some surroundings: (H, W)."""
    ways = (middle, to_middle), (end, to_end)
    found = [np.abs(backward_warp(frame.astype(np.float32), flow) - start) for frame, flow in ways]
    worst = np.maximum(*found).max(axis=2)
    around: Any = cv2.blur(cv2.dilate(worst, np.ones((3, 3))), (5, 5))
    x, y = flow_targets(to_end)
    height, width = around.shape
    around[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = _NEVER
    return np.asarray(around, np.float32)


_FIRST, _LAST, _STEP = 0.1, 0.9, 0.1


_LEAST_GAIN = 1.02  # of the error; less than that is no evidence for another time


def fit_time(frames: NDArray[np.uint8], flows: NDArray[Any], t: float) -> float:
    """The time in [0.1, 0.9] at which the drawing of `compose` has the least squared error.

    frames: uint8 (3, 3, H, W) RGB, frame 0, the truth, frame 1. flows: (2, 2, H, W), 0→1 and 1→0, x first, px. t: where
    the truth was said to stand, which holds where no other time is better.
    """
    frame0, truth, frame1 = (torch.from_numpy(np.ascontiguousarray(frame))[None].float() / 255 for frame in frames)
    flow01, flow10 = (torch.from_numpy(np.ascontiguousarray(flow, np.float32))[None] for flow in flows)
    with torch.inference_mode():
        trusts = consistency(frame0, frame1, flow01, flow10), consistency(frame1, frame0, flow10, flow01)

        def error(time: float) -> float:
            return _squared_error((frame0, frame1), (flow01, flow10), trusts, truth, time)

        times = np.arange(_FIRST, _LAST + _STEP / 2, _STEP)
        errors = [error(float(time)) for time in times]
        best = int(np.argmin(errors))
        fitted = float(times[best])
        if 0 < best < len(times) - 1:
            # Between its neighbors the error is nearly a parabola.
            before, here, after = errors[best - 1 : best + 2]
            fitted += _STEP / 2 * (before - after) / max(before - 2 * here + after, 1e-12)
        return fitted if error(fitted) * _LEAST_GAIN < error(t) else t


def _squared_error(
    frames: tuple[Tensor, Tensor], flows: tuple[Tensor, Tensor], trusts: tuple[Tensor, Tensor], truth: Tensor, t: float
) -> float:
    warped = warp(frames[0], flows[0], trusts[0], t), warp(frames[1], flows[1], trusts[1], 1 - t)
    return float((compose(*frames, *warped, t).clamp(0, 1) - truth).square().mean())
