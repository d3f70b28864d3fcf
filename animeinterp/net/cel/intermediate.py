"""Flow of `cel` from the new frame to both source frames: RIFE 4.6's four blocks, guided by segment matching.

RIFE's weights, which have seen millions of frames, are where the training starts. Every block also sees the guide: the
motion of matched segments splatted to time t, both frames sampled along it, and where it is known. The weights of
those inputs start at 0, so that the untrained network is RIFE.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.intermediate_block import IntermediateBlock

MULTIPLE = 32  # px; the first block works at 1/32
CHANNELS = (192, 128, 96, 64)  # of the blocks' features
_SCALES = (8, 4, 2, 1)
_GUIDE_FLOWS, _GUIDE_HINTS = 4, 8


class Guide(NamedTuple):
    """Motion of segment matching at time t.

    Attributes:
        flow: From the new frame to frame 0 and to frame 1, (N, 4, H, W) float32, px.
        colors: Both frames sampled along it, (N, 6, H, W).
        density: Number of source pixels of frame 0 and of frame 1 that arrive, at most 1, (N, 2, H, W).
    """

    flow: Tensor
    colors: Tensor
    density: Tensor


class IntermediateMotion(NamedTuple):
    """Motion at time t.

    Attributes:
        flow: From the new frame to frame 0 and to frame 1, (N, 4, H, W) float32, px.
        mask: Logit of frame 0's weight, (N, 1, H, W) float32.
        colors: Both frames sampled along the flow, (N, 6, H, W) float32.
        features: Of the last three blocks, at 1/16, 1/8 and 1/4.
    """

    flow: Tensor
    mask: Tensor
    colors: Tensor
    features: tuple[Tensor, Tensor, Tensor]


class IntermediateFlow(nn.Module):
    """The four blocks; names are those of the published weights."""

    def __init__(self) -> None:
        """Create the blocks."""
        super().__init__()
        guide = _GUIDE_FLOWS + _GUIDE_HINTS
        self.block0 = IntermediateBlock(7 + guide, CHANNELS[0])
        self.block1 = IntermediateBlock(12 + guide, CHANNELS[1])
        self.block2 = IntermediateBlock(12 + guide, CHANNELS[2])
        self.block3 = IntermediateBlock(12 + guide, CHANNELS[3])

    def forward(self, frame0: Tensor, frame1: Tensor, time: Tensor, guide: Guide) -> IntermediateMotion:
        """Estimate the motion at a time.

        Args:
            frame0: (N, 3, H, W) float32, RGB in [0, 1]; H and W are multiples of `MULTIPLE`.
            frame1: Of the same shape.
            time: (N, 1, 1, 1) in [0, 1].
            guide: At the same size.

        Returns:
            The motion.
        """
        times = time.expand_as(frame0[:, :1])
        hints = torch.cat([guide.colors, guide.density], 1)
        update = self.block0(torch.cat([frame0, frame1, times], 1), guide.flow, _SCALES[0], hints)
        flow, mask = update.flow, update.mask
        features = []
        for block, scale in zip((self.block1, self.block2, self.block3), _SCALES[1:], strict=True):
            inputs = torch.cat([_warp_both(frame0, frame1, flow), times, mask], 1)
            update = block(inputs, torch.cat([flow, guide.flow], 1), scale, hints)
            flow, mask = flow + update.flow, mask + update.mask
            features.append(update.features)
        return IntermediateMotion(flow, mask, _warp_both(frame0, frame1, flow), (features[0], features[1], features[2]))


def _warp_both(frame0: Tensor, frame1: Tensor, flow: Tensor) -> Tensor:
    """Sample both frames along their flow; the border is repeated: (N, 6, H, W)."""
    sampled = (
        backward_warp(frame0, flow[:, :2], outside="border"),
        backward_warp(frame1, flow[:, 2:], outside="border"),
    )
    return torch.cat(sampled, 1)
