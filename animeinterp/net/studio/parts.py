"""The smaller parts of `studio`: PReLU, the feature pyramid, and the importance of each pixel (metric network).

All as in GMFSS Fortuna; attribute names are those of its weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.layers import PReLU, conv_block

Pyramid = tuple[Tensor, Tensor, Tensor]

_RANGE = 10.0  # of the log importance
_TOLERANCE, _SLACK = 0.01, 0.5  # of forward-backward consistency: of the motion, and px (UnFlow)


class FeaturePyramid(nn.Module):
    """(N, 3, H, W) in [0, 1] → 64, 128, 192 channels at 1/2, 1/4, 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.block1, self.block2, self.block3 = conv_block(3, 64, 2), conv_block(64, 128, 2), conv_block(128, 192, 2)

    def forward(self, frame: Tensor) -> Pyramid:
        """Frame → (half, quarter, eighth)."""
        half = self.block1(frame)
        quarter = self.block2(half)
        return half, quarter, self.block3(quarter)


class Metric(nn.Module):
    """Z of softmax splatting for both frames, in [-10, 10], from color error, flow and occlusion."""

    def __init__(self) -> None:
        super().__init__()
        self.metric_in = nn.Conv2d(14, 64, 3, padding=1)
        self.metric_net1, self.metric_net2, self.metric_net3 = (_step(64, 64) for _ in range(3))
        self.metric_out = _step(64, 2)

    def forward(self, frame0: Tensor, frame1: Tensor, flow01: Tensor, flow10: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (N, 3, H, W) in [0, 1] and flows (N, 2, H, W) px → Z of frame 0 and of frame 1, (N, 1, H, W)."""
        errors = [
            -(frame0 - backward_warp(frame1, flow01)).abs().mean(1, keepdim=True),
            -(frame1 - backward_warp(frame0, flow10)).abs().mean(1, keepdim=True),
        ]
        hidden = [_occluded(flow01, flow10), _occluded(flow10, flow01)]
        height, width = flow01.shape[-2:]
        half = flow01.new_tensor([(width - 1) / 2, (height - 1) / 2]).view(1, 2, 1, 1)
        x = self.metric_in(torch.cat([frame0, frame1, *errors, flow01 / half, flow10 / half, *hidden], 1))
        for layer in (self.metric_net1, self.metric_net2, self.metric_net3):
            x = x + layer(x)
        z0, z1 = (_RANGE * torch.tanh(self.metric_out(x).float())).chunk(2, 1)
        return z0, z1


def _occluded(flow: Tensor, back: Tensor) -> Tensor:
    """1 where the way there and back does not end where it began, (N, 1, H, W)."""
    reach = flow.norm(dim=1, keepdim=True) + back.norm(dim=1, keepdim=True)
    gap = (flow + backward_warp(back, flow)).norm(dim=1, keepdim=True)
    occluded: Tensor = (gap > _TOLERANCE * reach + _SLACK).to(flow.dtype)
    return occluded


def _step(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(PReLU(inplace=False), nn.Conv2d(channels_in, channels, 3, padding=1))


def pooled(planes: Tensor, factor: int) -> Tensor:
    """A plane at 1/2 or 1/4 as bilinear interpolation at pixel centers gives it.

    At 1/4 that is the mean of the middle 2x2 of 4x4 pixels, not of all 16.
    """
    return F.interpolate(planes, scale_factor=1 / factor, mode="bilinear", align_corners=False)
