"""Flow between two frames, as the true frame between them witnesses it.

Real animation has no true flow. But where its true middle frame is at hand, motion can be found in two halves, which
are far easier than the whole, and checked twice: a pixel's colour must be found again in the middle and at the end.
What passes is known well enough to learn from, on the very material where matching errs (privileged information, as
RIFE's teacher has it; Huang et al. 2022, §3.3).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.interpolator import Interpolator

Floats = NDArray[np.float32]

AGREES = 10.0  # of 255: mean of the largest differences around a pixel that is found again
_BETTER = 0.5  # a way must be so much better to be taken instead of the first
_NEVER = 999.0


def witnessed_flow(
    interpolator: Interpolator, frames: tuple[Any, Any, Any], t: float, coarse: tuple[Floats, Floats]
) -> tuple[Floats, NDArray[np.uint8]]:
    """What is known of the flow between the first and the last of three frames.

    frames: uint8 (H, W, 3) RGB, the second stands at t. coarse: float32 (2, H, W), the flow 0→1 and 1→0 that was found
    without it, x first, px. Returns float32 (2, 2, H, W), both flows, and uint8 (2, H, W), 1 where they are known.
    """
    analyses = [interpolator.analyze(frame) for frame in frames]
    first, second = (interpolator.motion(analyses[i], analyses[i + 1]) for i in (0, 1))
    forth = _checked(frames, first.flow01, second.flow01, coarse[0], t)
    back = _checked(frames[::-1], second.flow10, first.flow10, coarse[1], 1 - t)
    return np.stack([forth[0], back[0]]), np.stack([forth[1], back[1]])


def _checked(
    frames: tuple[Any, ...], to_middle: Floats, to_end: Floats, coarse: Floats, t: float
) -> tuple[Floats, NDArray[np.uint8]]:
    """The better of two ways, by the middle or straight on, and where it holds."""
    start, middle, end = frames
    both = to_middle + _read(to_end.transpose(1, 2, 0), to_middle).transpose(2, 0, 1)
    flow, error = both, _error(start, middle, end, to_middle, both)
    straight = _error(start, middle, end, np.float32(t) * coarse, coarse)
    better = straight < error - _BETTER
    return np.where(better, coarse, flow), (np.where(better, straight, error) < AGREES).astype(np.uint8)


def _error(start: Any, middle: Any, end: Any, to_middle: Floats, to_end: Floats) -> Floats:
    """How far what is found on the way differs from what set out, 0 to 255, over some surroundings: (H, W)."""
    ways = (middle, to_middle), (end, to_end)
    found = [np.abs(_read(frame.astype(np.float32), flow) - start) for frame, flow in ways]
    worst = np.maximum(*found).max(axis=2)
    around: Any = cv2.blur(cv2.dilate(worst, np.ones((3, 3))), (5, 5))
    x, y = _ends(to_end)
    height, width = around.shape
    around[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = _NEVER
    return np.asarray(around, np.float32)


def _read(planes: Any, flow: Floats) -> Any:
    x, y = _ends(flow)
    return cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _ends(flow: Floats) -> tuple[Floats, Floats]:
    height, width = flow.shape[1:]
    x = flow[0] + np.arange(width, dtype=np.float32)
    y = flow[1] + np.arange(height, dtype=np.float32)[:, None]
    return x.astype(np.float32), y.astype(np.float32)
