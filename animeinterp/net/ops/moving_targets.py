"""Which pixels of a new frame something moving reaches: the others are copied, not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.net.ops.parallel import over_rows
from animeinterp.runtime.jit import cached_njit

STATIC_THRESHOLD_PX = 0.5  # px; slower pixels are static, and pixels that nothing else reaches are copied


def find_moving_targets(
    flows: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]] | None], t: float
) -> NDArray[np.bool_]:
    """Mark the pixels of a new frame that a moving pixel of either frame is splatted to.

    Args:
        flows: Flow 0→1 and 1→0 of each method, float32 (2, H, W), px; None for a method that found none.
        t: In [0, 1].

    Returns:
        bool (H, W).
    """
    found = [pair for pair in flows if pair is not None]
    targets = np.zeros(found[0][0].shape[1:], np.bool_)
    for flow01, flow10 in found:
        mark_moving_targets(flow01, t, targets)
        mark_moving_targets(flow10, 1 - t, targets)
    return targets


def mark_moving_targets(
    flow: NDArray[np.float32], fraction: float, targets: NDArray[np.bool_], threshold: float = STATIC_THRESHOLD_PX
) -> None:
    """Mark the pixels that a moving source pixel is splatted to.

    Args:
        flow: float32 (2, H, W), px.
        fraction: Of the way, in [0, 1].
        targets: bool (H, W), marked in place.
        threshold: px; source pixels that move no farther are static.
    """
    over_rows(_mark, targets.shape[0], flow, np.float32(fraction), np.float32(threshold), targets)


def moving_along(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Mark the pixels of a new frame that its intermediate flow moves.

    Args:
        flow: To frame 0 and frame 1, (N, 4, h, w), px of any size.
        size: (height, width) of the frame.

    Returns:
        bool (N, 1, H, W): both flows are longer than the threshold there, or within a pixel of the flow's size.
    """
    first, second = (part.square().sum(1, keepdim=True) for part in flow.chunk(2, 1))
    moving = (first > STATIC_THRESHOLD_PX**2) & (second > STATIC_THRESHOLD_PX**2)
    return F.interpolate(moving.float(), size, mode="bilinear", align_corners=False) > 0


@cached_njit()
def _mark(first: int, last: int, flow: Any, fraction: Any, threshold: Any, targets: Any) -> None:
    """Mark, in rows [first, last), those of the four pixels around a target position with a weight above 0."""
    _, height, width = flow.shape
    for y in range(height):
        for x in range(width):
            u, v = flow[0, y, x], flow[1, y, x]
            if not u * u + v * v > threshold * threshold:
                continue
            dx, dy = fraction * u, fraction * v
            if not (y + dy > first - 1 and y + dy < last and x + dx > -1 and x + dx < width):
                continue
            left, top = np.floor(dx), np.floor(dy)
            tx, ty = x + int(left), y + int(top)
            for row in range(max(ty, first), min(ty + (2 if dy > top else 1), last)):
                for column in range(max(tx, 0), min(tx + (2 if dx > left else 1), width)):
                    targets[row, column] = True
