"""Intermediate flow of RIFE 4.6 (Huang et al. 2022).

Four blocks at 1/8, 1/4, 1/2 and full size each update the flow from the new frame to both source frames, and the mask
that blends them. H and W are multiples of 32. Attribute names are those of the published weights.

Frames, flow, mask and sampling are float32; under the caller's `torch.autocast` the convolutions before the last of
each block run in bf16.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp

_SCALES = (8, 4, 2, 1)
_SLOPE = 0.2


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.beta = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        # conv(x) * beta, with beta multiplied into the kernel.
        beta = self.beta.flatten()
        weight, bias = self.conv.weight * beta.view(-1, 1, 1, 1), cast(Tensor, self.conv.bias) * beta
        return F.leaky_relu_(F.conv2d(x, weight, bias, padding=1) + x, _SLOPE)


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_strided(channels_in, channels // 2), _strided(channels // 2, channels))
        self.convblock = nn.Sequential(*(_Residual(channels) for _ in range(8)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(channels, 24, 4, 2, padding=1), nn.PixelShuffle(2))

    def forward(self, inputs: Tensor, flow: Tensor | None, scale: int) -> tuple[Tensor, Tensor]:
        """Predict updates of the flow (N, 4, H, W) px and of the mask (N, 1, H, W) at 1 / scale; float32."""
        inputs = _scaled(inputs, 1 / scale)
        if flow is not None:
            inputs = torch.cat([inputs, _scaled(flow, 1 / scale) / scale], 1)
        features = self.convblock(self.conv0(inputs))
        # bf16 has 8 bits: an update of 20 px would have an error of 0.06 px.
        with torch.autocast(inputs.device.type, enabled=False):
            updates = _scaled(self.lastconv(features.float()), scale)
        return updates[:, :4] * scale, updates[:, 4:5]


class IntermediateFlow(nn.Module):
    """RIFE's frame at time t."""

    def __init__(self) -> None:
        super().__init__()
        self.block0, self.block1 = _Block(7, 192), _Block(12, 128)
        self.block2, self.block3 = _Block(12, 96), _Block(12, 64)

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
            flow_update, mask_update = block(torch.cat([warped0, warped1, time, mask], 1), flow, scale)
            flow, mask = flow + flow_update, mask + mask_update
        weight = mask.sigmoid()
        warped0, warped1 = _warp_both(frame0, frame1, flow)
        drawn: Tensor = weight * warped0 + (1 - weight) * warped1
        return drawn


def _strided(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, 2, padding=1), nn.LeakyReLU(_SLOPE, inplace=True))


def _scaled(planes: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return planes
    return F.interpolate(planes, scale_factor=factor, mode="bilinear", align_corners=False)


def _warp_both(frame0: Tensor, frame1: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Warp both frames backward by their flow, of (N, 4, H, W); the border is repeated."""
    return backward_warp(frame0, flow[:, :2], outside="border"), backward_warp(frame1, flow[:, 2:], outside="border")
