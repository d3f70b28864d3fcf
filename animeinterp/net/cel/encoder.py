"""`cel`'s encoder: one pyramid per frame, shared by flow and synthesis, by both neighbors and by every t.

The frame enters as 12 channels at half size (pixel unshuffle), so that no convolution runs at full size: the
published network encodes each frame three times, twice of it at full size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Levels(NamedTuple):
    """Features of one frame at 1/2, 1/4 and 1/8 of its (padded) size, (N, C, h, w)."""

    half: Tensor
    quarter: Tensor
    eighth: Tensor


class Block(nn.Module):
    """Two 3x3 convolutions, the second around a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) → (N, channels, H / stride, W / stride)."""
        # In place: at full size fresh memory costs more than the operation, and no gradient needs what is overwritten.
        y = F.leaky_relu_(self.conv1(x), 0.1)
        return F.leaky_relu_(self.conv2(y).add_(y), 0.1)


class Encoder(nn.Module):
    """(N, 3, H, W) RGB in [0, 1], H and W multiples of 16 → `Levels`."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.to2 = Block(12, half)
        self.to4 = Block(half, quarter, stride=2)
        self.to8 = Block(quarter, eighth, stride=2)

    def forward(self, frame: Tensor) -> Levels:
        """Frame → features of either sign."""
        signed = (2 * frame - 1).contiguous(memory_format=torch.channels_last)
        half = self.to2(F.pixel_unshuffle(signed, 2))
        quarter = self.to4(half)
        return Levels(half, quarter, self.to8(quarter))
