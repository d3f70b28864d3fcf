"""The feature pyramid of GMFSS Fortuna; attribute names are those of its weights."""

from __future__ import annotations

from torch import Tensor, nn

from animeinterp.net.ops.layers import conv_block

Pyramid = tuple[Tensor, Tensor, Tensor]


class FeaturePyramid(nn.Module):
    """(N, 3, H, W) in [0, 1] → 64, 128, 192 channels at 1/2, 1/4, 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.block1, self.block2, self.block3 = conv_block(3, 64, 2), conv_block(64, 128, 2), conv_block(128, 192, 2)

    def forward(self, frame: Tensor) -> Pyramid:
        """Compute the features of a frame: (half, quarter, eighth)."""
        half = self.block1(frame)
        quarter = self.block2(half)
        return half, quarter, self.block3(quarter)
