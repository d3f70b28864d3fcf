"""Flow of `cel` from the new frame to both source frames: RIFE 4.6 (Huang et al. 2022) at two sizes.

Three blocks find the motion in frames of half the width and height, a quarter of the cost at twice the reach; the last
one refines it at full size, where the precision of lines is decided. RIFE runs all four at one size. On the fifteen
development triplets that react most, LPIPS is 0.0256 either way, and 0.034 with all blocks at 0.71 of the size.

The weights are those of RIFE; attribute names are theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.intermediate_block import IntermediateBlock, scaled

MULTIPLE = 64  # px; the first block works at 1/64 of the size
_HALF_SCALES = (8, 4, 2)


class IntermediateMotion(NamedTuple):
    """Motion at time t.

    Attributes:
        flow: From the new frame to frame 0 and to frame 1, (N, 4, H, W) float32, px.
        mask: Logit of frame 0's weight, (N, 1, H, W) float32.
    """

    flow: Tensor
    mask: Tensor


class IntermediateFlow(nn.Module):
    """The four blocks."""

    def __init__(self) -> None:
        """Create the blocks."""
        super().__init__()
        self.block0, self.block1 = IntermediateBlock(7, 192), IntermediateBlock(12, 128)
        self.block2, self.block3 = IntermediateBlock(12, 96), IntermediateBlock(12, 64)

    def forward(self, frame0: Tensor, frame1: Tensor, time: Tensor) -> IntermediateMotion:
        """Estimate the motion at a time.

        Args:
            frame0: (N, 3, H, W) float32, RGB in [0, 1]; H and W are multiples of `MULTIPLE`.
            frame1: Of the same shape.
            time: (N, 1, 1, 1) in [0, 1].

        Returns:
            The motion.
        """
        half0, half1 = F.avg_pool2d(frame0, 2), F.avg_pool2d(frame1, 2)
        times = time.expand_as(half0[:, :1])
        flow, mask = self.block0(torch.cat([half0, half1, times], 1), None, _HALF_SCALES[0])
        for block, scale in zip((self.block1, self.block2), _HALF_SCALES[1:], strict=True):
            update = block(torch.cat([_warp_both(half0, half1, flow), times, mask], 1), flow, scale)
            flow, mask = flow + update.flow, mask + update.mask
        flow, mask = 2 * scaled(flow, 2), scaled(mask, 2)
        times = time.expand_as(mask)
        update = self.block3(torch.cat([_warp_both(frame0, frame1, flow), times, mask], 1), flow, 1)
        return IntermediateMotion(flow + update.flow, mask + update.mask)


def _warp_both(frame0: Tensor, frame1: Tensor, flow: Tensor) -> Tensor:
    """Sample both frames along their flow; the border is repeated: (N, 6, H, W)."""
    sampled = (
        backward_warp(frame0, flow[:, :2], outside="border"),
        backward_warp(frame1, flow[:, 2:], outside="border"),
    )
    return torch.cat(sampled, 1)
