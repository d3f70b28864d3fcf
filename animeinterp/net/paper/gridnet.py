"""Synthesis (paper §4.3): the feature pyramid that is splatted with the frames, and GridNet, which draws the frame.

GridNet (Fourure et al. 2017) has three rows (full, half, quarter size: 32, 64, 96 channels). Left to right: a
first column for the splatted frames and features, two columns going down, two going up:

    row 0   frames + features ─►●─►●─────────►●─►●─► frame
                                ▼  ▼          ▲  ▲
    row 1            features ─►●─►●─────────►●─►●
                                ▼  ▼          ▲  ▲
    row 2            features ─►●─►●─►●───────┘  │
                                      └─►●───────┘

Attribute names are those of the published checkpoint: `_RC` is row R, column C.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.layers import PReLU, conv_block

Pyramid = tuple[Tensor, Tensor, Tensor]

ROWS = (32, 64, 96)


class FeaturePyramid(nn.Module):
    """Features of a frame at full, half and quarter size (odd sizes round up): 32, 64, 96 channels."""

    def __init__(self) -> None:
        super().__init__()
        full, half, quarter = ROWS
        self.conv1 = nn.Conv2d(3, full, 3, padding=1)
        self.prelu1 = PReLU()
        self.conv2 = nn.Conv2d(full, full, 3, padding=1)
        self.prelu2 = PReLU()
        self.conv3 = nn.Conv2d(full, half, 3, stride=2, padding=1)
        self.prelu3 = PReLU()
        self.conv4 = nn.Conv2d(half, half, 3, padding=1)
        self.prelu4 = PReLU()
        self.conv5 = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.prelu5 = PReLU()
        self.conv6 = nn.Conv2d(quarter, quarter, 3, padding=1)
        self.prelu6 = PReLU()

    def forward(self, frame: Tensor) -> Pyramid:
        """Map (N, 3, H, W) in [-1, 1] to features at full, half and quarter size."""
        full = self.prelu2(self.conv2(self.prelu1(self.conv1(frame))))
        half = self.prelu4(self.conv4(self.prelu3(self.conv3(full))))
        quarter = self.prelu6(self.conv6(self.prelu5(self.conv5(half))))
        return full, half, quarter


class GridNet(nn.Module):
    """Splatted frames and features → the frame in between."""

    def __init__(self) -> None:
        super().__init__()
        full, half, quarter = ROWS
        self.residual_model_head = conv_block(6, full)
        self.residual_model_head1 = conv_block(2 * full, full)
        self.residual_model_head2 = conv_block(2 * half, half)
        self.residual_model_head3 = conv_block(2 * quarter, quarter)

        self.residual_model_01 = conv_block(full, full)
        self.residual_model_04 = conv_block(full, full)
        self.residual_model_05 = conv_block(full, full)
        self.residual_model_tail = conv_block(full, 3)
        self.residual_model_11 = conv_block(half, half)
        self.residual_model_14 = conv_block(half, half)
        self.residual_model_15 = conv_block(half, half)
        self.residual_model_21 = conv_block(quarter, quarter)
        self.residual_model_24 = conv_block(quarter, quarter)
        self.residual_model_25 = conv_block(quarter, quarter)

        self.downsample_model_10 = conv_block(full, half, stride=2)
        self.downsample_model_20 = conv_block(half, quarter, stride=2)
        self.downsample_model_11 = conv_block(full, half, stride=2)
        self.downsample_model_21 = conv_block(half, quarter, stride=2)
        self.upsample_model_04 = _upsample(half, full)
        self.upsample_model_14 = _upsample(quarter, half)
        self.upsample_model_05 = _upsample(half, full)
        self.upsample_model_15 = _upsample(quarter, half)

    def forward(self, frames: Tensor, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """Draw a frame.

        Args:
            frames: Both splatted frames, (N, 6, H, W) in [0, 1].
            full: Their splatted features, (N, 64, H, W).
            half: (N, 128, ⌈H/2⌉, ⌈W/2⌉).
            quarter: (N, 192, ⌈H/4⌉, ⌈W/4⌉).

        Returns:
            (N, 3, H, W), about [0, 1], not clamped.
        """
        height, width = frames.shape[-2:]
        # Upsampling doubles sizes, so they must be multiples of 4, 2 and 1; the reference fails on other frames.
        rows, columns = quarter.shape[-2:]
        frames, full = _pad(frames, 4 * rows, 4 * columns), _pad(full, 4 * rows, 4 * columns)
        half = _pad(half, 2 * rows, 2 * columns)

        x00 = self.residual_model_head(frames).add_(self.residual_model_head1(full))
        x10 = self.downsample_model_10(x00).add_(self.residual_model_head2(half))
        x20 = self.downsample_model_20(x10).add_(self.residual_model_head3(quarter))
        x01 = self.residual_model_01(x00).add_(x00)
        del x00, frames, full, half, quarter
        x11 = self.residual_model_11(x10).add_(x10).add_(self.downsample_model_11(x01))
        x21 = self.residual_model_21(x20).add_(x20).add_(self.downsample_model_21(x11))

        x24 = self.residual_model_24(x21).add_(x21)
        x25 = self.residual_model_25(x24).add_(x24)
        x14 = self.residual_model_14(x11).add_(x11).add_(self.upsample_model_14(x24))
        x15 = self.residual_model_15(x14).add_(x14).add_(self.upsample_model_15(x25))
        x04 = self.residual_model_04(x01).add_(x01).add_(self.upsample_model_04(x14))
        x05 = self.residual_model_05(x04).add_(x04).add_(self.upsample_model_05(x15))
        drawn: Tensor = self.residual_model_tail(x05)
        return drawn[..., :height, :width]


def _upsample(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        PReLU(),
        nn.Conv2d(channels_in, channels, 3, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


def _pad(image: Tensor, height: int, width: int) -> Tensor:
    down, right = height - image.shape[-2], width - image.shape[-1]
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
