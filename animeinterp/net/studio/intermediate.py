"""Intermediate flow of RIFE 4.6 (Huang et al. 2022).

Four blocks at 1/8, 1/4, 1/2 and full size each update the flow from the new frame to both source frames, and the mask
that blends them. H and W are multiples of 32. Attribute names are those of the published weights.

Frames, flow, mask and sampling are float32; under the caller's `torch.autocast` the convolutions before the last of
each block run in bf16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.intermediate_block import IntermediateBlock

_SCALES = (8, 4, 2, 1)


class IntermediateFlow(nn.Module):
    """RIFE's frame at time t."""

    def __init__(self) -> None:
        super().__init__()
        self.block0, self.block1 = IntermediateBlock(7, 192), IntermediateBlock(12, 128)
        self.block2, self.block3 = IntermediateBlock(12, 96), IntermediateBlock(12, 64)

    def forward(self, frame0: Tensor, frame1: Tensor, t: float) -> Tensor:
        """Draw the frame at t.

        Args:
            frame0: (N, 3, H, W) float, RGB in [0, 1].
            frame1: Same shape.
            t: In [0, 1].

        Returns:
            (N, 3, H, W) float.
        """
        time = torch.full_like(frame0[:, :1], t)
        flow, mask = self.block0(torch.cat([frame0, frame1, time], 1), None, _SCALES[0])
        for block, scale in zip((self.block1, self.block2, self.block3), _SCALES[1:], strict=True):
            warped0, warped1 = _warp_both(frame0, frame1, flow)
            update = block(torch.cat([warped0, warped1, time, mask], 1), flow, scale)
            flow, mask = flow + update.flow, mask + update.mask
        weight = mask.sigmoid()
        warped0, warped1 = _warp_both(frame0, frame1, flow)
        drawn: Tensor = weight * warped0 + (1 - weight) * warped1
        return drawn


def _warp_both(frame0: Tensor, frame1: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Warp both frames backward by their flow, of (N, 4, H, W); the border is repeated."""
    return backward_warp(frame0, flow[:, :2], outside="border"), backward_warp(frame1, flow[:, 2:], outside="border")
