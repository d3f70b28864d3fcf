"""Encoder of `cel`: one feature pyramid per frame, shared by flow and synthesis, both neighbors and every t.

The frame enters as 12 channels at half size (pixel unshuffle), so that no convolution runs at full size; the published
network runs RAFT's encoder three times per frame of a pair and a feature pyramid at full size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Levels(NamedTuple):
    """Features of one frame, (N, C, h, w) each.

    Attributes:
        half: At 1/2 of the padded size.
        quarter: At 1/4.
        eighth: At 1/8.
    """

    half: Tensor
    quarter: Tensor
    eighth: Tensor


class Block(nn.Module):
    """Two 3x3 convolutions, the second with a shortcut around it."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        """Create the convolutions; the first has the stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        # In place: at full size fresh memory costs more than the operation, and no gradient needs what is overwritten.
        y = F.leaky_relu_(self.conv1(x), 0.1)
        return F.leaky_relu_(self.conv2(y).add_(y), 0.1)


class Encoder(nn.Module):
    """Feature pyramid of three levels."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        """Create the blocks for channels at 1/2, 1/4 and 1/8."""
        super().__init__()
        half, quarter, eighth = widths
        self.to2 = Block(12, half)
        self.to4 = Block(half, quarter, stride=2)
        self.to8 = Block(quarter, eighth, stride=2)

    def forward(self, frame: Tensor) -> Levels:
        """Encode (N, 3, H, W) RGB in [0, 1], H and W multiples of 16."""
        signed = (2 * frame - 1).contiguous(memory_format=torch.channels_last)
        half = self.to2(F.pixel_unshuffle(signed, 2))
        quarter = self.to4(half)
        return Levels(half, quarter, self.to8(quarter))


def init_weights(module: nn.Module) -> None:
    """Initialize convolutions; torch's default lets a signal fade to a hundredth on its way through the U-net.

    Layers that are 0 stay 0. The second convolution of a `Block` adds to a shortcut and gets half the gain, so that
    consecutive blocks do not amplify.
    """
    for name, layer in module.named_children():
        if isinstance(layer, nn.Conv2d) and bool(layer.weight.any()):
            nn.init.kaiming_normal_(layer.weight, 0.1)
            with torch.no_grad():
                layer.weight.mul_(0.5 if isinstance(module, Block) and name == "conv2" else 1.0)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
