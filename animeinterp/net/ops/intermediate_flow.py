"""Intermediate flow of RIFE 4.6 (Huang et al. 2022): from the new frame to both source frames.

Four blocks at 1/8, 1/4, 1/2 and full size each update the flow and the mask that weighs both frames. Attribute names
are those of the published weights.

Frames, flow, mask and sampling are float32; under the caller's `torch.autocast` the convolutions before the last of
each block run in bf16.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp

MULTIPLE = 32  # px; the first block works at 1/32 of the size
_SCALES = (8, 4, 2, 1)
_SLOPE = 0.2


class IntermediateMotion(NamedTuple):
    """Motion at time t.

    Attributes:
        flow: From the new frame to frame 0 and to frame 1, (N, 4, H, W) float32, px.
        mask: Logit of frame 0's weight, (N, 1, H, W) float32.
    """

    flow: Tensor
    mask: Tensor


class KnownFlow(NamedTuple):
    """Intermediate flow that is known in part.

    Attributes:
        flow: As `IntermediateMotion.flow`.
        weight: 1 where it is known, (N, 1, H, W) in [0, 1].
    """

    flow: Tensor
    weight: Tensor


class IntermediateFlow(nn.Module):
    """The four blocks."""

    def __init__(self) -> None:
        """Create the blocks."""
        super().__init__()
        self.block0, self.block1 = IntermediateBlock(7, 192), IntermediateBlock(12, 128)
        self.block2, self.block3 = IntermediateBlock(12, 96), IntermediateBlock(12, 64)

    def forward(
        self, frame0: Tensor, frame1: Tensor, time: Tensor, known: KnownFlow | None = None
    ) -> IntermediateMotion:
        """Estimate the motion at a time.

        Args:
            frame0: (N, 3, H, W) float32, RGB in [0, 1]; H and W are multiples of `MULTIPLE`.
            frame1: Of the same shape.
            time: (N, 1, 1, 1) in [0, 1].
            known: Flow that replaces what each block but the last found.

        Returns:
            The motion.
        """
        times = time.expand_as(frame0[:, :1])
        flow, mask = self.block0(torch.cat([frame0, frame1, times], 1), None, _SCALES[0])
        for block, scale in zip((self.block1, self.block2, self.block3), _SCALES[1:], strict=True):
            if known is not None:
                flow = torch.lerp(flow, known.flow, known.weight)
            flow0, flow1 = flow.chunk(2, 1)
            warped0 = backward_warp(frame0, flow0, outside="border")
            warped1 = backward_warp(frame1, flow1, outside="border")
            update = block(torch.cat([warped0, warped1, times, mask], 1), flow, scale)
            flow, mask = flow + update.flow, mask + update.mask
        return IntermediateMotion(flow, mask)


def draw_by_flow(frame0: Tensor, frame1: Tensor, motion: IntermediateMotion) -> Tensor:
    """Draw the frame from both frames (N, 3, H, W), sampled along the flow and weighed by the mask; same shape."""
    flow0, flow1 = motion.flow.chunk(2, 1)
    weight = motion.mask.sigmoid()
    warped0 = backward_warp(frame0, flow0, outside="border")
    drawn: Tensor = weight * warped0 + (1 - weight) * backward_warp(frame1, flow1, outside="border")
    return drawn


class FlowUpdate(NamedTuple):
    """What a block adds.

    Attributes:
        flow: To the intermediate flow, (N, 4, H, W) float32, px.
        mask: To the logit of frame 0's weight, (N, 1, H, W) float32.
    """

    flow: Tensor
    mask: Tensor


class IntermediateBlock(nn.Module):
    """A block."""

    def __init__(self, channels_in: int, channels: int) -> None:
        """Create the layers."""
        super().__init__()
        self.conv0 = nn.Sequential(_strided(channels_in, channels // 2), _strided(channels // 2, channels))
        self.convblock = nn.Sequential(*(_Residual(channels) for _ in range(8)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(channels, 24, 4, 2, padding=1), nn.PixelShuffle(2))

    def forward(self, inputs: Tensor, flow: Tensor | None, scale: int) -> FlowUpdate:
        """Predict the update.

        Args:
            inputs: Colors, time and mask, (N, c, H, W) float32; H and W are multiples of 4 scale.
            flow: To be updated, (N, 4, H, W) float32, px; None for the first block.
            scale: The inputs are seen at 1 / scale of their size.

        Returns:
            The update; flow and mask in float32, also under autocast.
        """
        inputs = scaled(inputs, 1 / scale)
        if flow is not None:
            inputs = torch.cat([inputs, scaled(flow, 1 / scale) / scale], 1)
        features = self.convblock(self.conv0(inputs))
        # bf16 has 8 bits: an update of 20 px would have an error of 0.06 px.
        with torch.autocast(inputs.device.type, enabled=False):
            updates = scaled(self.lastconv(features.float()), scale)
        return FlowUpdate(updates[:, :4] * scale, updates[:, 4:5])


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


def scaled(planes: Tensor, factor: float) -> Tensor:
    """Resize planes (N, C, H, W) by a factor, bilinear without antialiasing, as RIFE's weights expect."""
    if factor == 1:
        return planes
    return F.interpolate(planes, scale_factor=factor, mode="bilinear", align_corners=False)


def _strided(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, 2, padding=1), nn.LeakyReLU(_SLOPE, inplace=True))
