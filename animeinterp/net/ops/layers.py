"""Layers that several networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PReLU(nn.PReLU):
    """A PReLU with one slope that is fast in inference.

    torch's kernel for learned slopes is several times slower than the one for a known slope.
    """

    def __init__(self, inplace: bool = True) -> None:
        """Create the layer.

        Args:
            inplace: Whether inference may overwrite the input, for inputs that nothing else reads.
        """
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Multiply negative values by the slope."""
        if torch.is_grad_enabled():
            return super().forward(x)
        return F.leaky_relu(x, float(self.weight), self.inplace)


def conv_block(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    """Build two 3x3 convolutions, each after an activation; the first convolution has the stride."""
    return nn.Sequential(
        PReLU(inplace=False),
        nn.Conv2d(channels_in, channels, 3, stride, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
