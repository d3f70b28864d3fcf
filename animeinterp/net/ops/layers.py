"""Layers that several networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PReLU(nn.PReLU):
    """A PReLU with one slope, quick where no gradient is wanted.

    torch's kernel for learned slopes is several times slower than the one for a known slope. inplace: the
    input may be overwritten, for what nothing else reads.
    """

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Negative values times the slope."""
        if torch.is_grad_enabled():
            return super().forward(x)
        return F.leaky_relu(x, float(self.weight), self.inplace)


def conv_block(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    """Two activations, each before a 3x3 convolution; the first convolution has the stride."""
    return nn.Sequential(
        PReLU(inplace=False),
        nn.Conv2d(channels_in, channels, 3, stride, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
