"""Synthesis of `studio`: a GridNet over splatted frames and features at 1/2, 1/4, 1/8, with a full-size output.

The grid is that of `animeinterp.net.paper.gridnet`, but wider (64, 128, 192 channels) and at half the size; a
pixel-shuffle head doubles the size. Attribute names are those of GMFSS Fortuna's weights: `_RC` is row R, column C.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.layers import PReLU, conv_block

_ROWS = (64, 128, 192)


class _Head(nn.Module):
    """Output at twice the size, by pixel shuffle.

    The published head convolves to 256 channels at half size, shuffles them to 64 at full size and convolves those to
    RGB. With only the shuffle in between, both equal one 5x5 convolution from 64 channels to 4 x RGB at half size, an
    eighth of the work. Only the outermost pixels differ, beyond which the second convolution reads zeros; those are
    computed as published. Always in float32, since the output is the frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), PReLU())
        self.upsample = nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Convert features (N, C, H, W) to a frame (N, 3, 2 H, 2 W) float32; H and W at least 2."""
        with torch.autocast(x.device.type, enabled=False):
            x = self.conv_before_upsample(x.float())
            frame = F.pixel_shuffle(F.conv2d(x, *self._composed(), padding=2), 2)
            frame[..., :1, :] = self._as_published(x[..., :2, :])[..., :1, :]
            frame[..., -1:, :] = self._as_published(x[..., -2:, :])[..., -1:, :]
            frame[..., :1] = self._as_published(x[..., :2])[..., :1]
            frame[..., -1:] = self._as_published(x[..., -2:])[..., -1:]
        return frame

    def _as_published(self, x: Tensor) -> Tensor:
        frame: Tensor = self.conv_last(self.upsample(x))
        return frame

    def _composed(self) -> tuple[Tensor, Tensor]:
        """Compose both convolutions: kernel (12, C, 5, 5) and bias (12,), output channel 4 c + 2 y + x."""
        first, last = cast(nn.Conv2d, self.upsample[0]), self.conv_last
        channels = last.weight.shape[1]
        # (middle channel, its row and column within 2x2, input channel, 3, 3)
        kernel = first.weight.view(channels, 2, 2, channels, 3, 3)
        bias = cast(Tensor, first.bias).view(channels, 2, 2)
        composed = kernel.new_zeros(3, 2, 2, channels, 5, 5)
        shift = cast(Tensor, last.bias).view(3, 1, 1).repeat(1, 2, 2)
        for y, x, down, across in itertools.product((0, 1), (0, 1), (-1, 0, 1), (-1, 0, 1)):
            # The pixel at (down, across) from (y, x) of a 2x2 cell is in this cell, at this row and column of it.
            (cell_y, row), (cell_x, column) = divmod(y + down, 2), divmod(x + across, 2)
            tap = last.weight[:, :, down + 1, across + 1]
            part = torch.einsum("om,mckl->ockl", tap, kernel[:, row, column])
            composed[:, y, x, :, cell_y + 1 : cell_y + 4, cell_x + 1 : cell_x + 4] += part
            shift[:, y, x] += tap @ bias[:, row, column]
        return composed.flatten(0, 2), shift.flatten()


class Synthesis(nn.Module):
    """Splatted frames and features → the new frame."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth = _ROWS
        self.residual_model_head0 = conv_block(9, half)
        self.residual_model_head1 = conv_block(2 * half, half)
        self.residual_model_head2 = conv_block(2 * quarter, quarter)
        self.residual_model_head3 = conv_block(2 * eighth, eighth)
        for row, channels in enumerate(_ROWS):
            for column in (1, 4, 5):
                self.add_module(f"residual_model_{row}{column}", conv_block(channels, channels))
        for column in (0, 1):
            self.add_module(f"downsample_model_1{column}", conv_block(half, quarter, 2))
            self.add_module(f"downsample_model_2{column}", conv_block(quarter, eighth, 2))
        for column in (4, 5):
            self.add_module(f"upsample_model_0{column}", _up(quarter, half))
            self.add_module(f"upsample_model_1{column}", _up(eighth, quarter))
        self.residual_model_tail = _Head(half)

    def forward(self, frames: Tensor, half: Tensor, quarter: Tensor, eighth: Tensor) -> Tensor:
        """Draw a frame.

        Args:
            frames: (N, 9, H/2, W/2): frame 0 splatted, RIFE's frame, frame 1 splatted, in [0, 1].
            half: Splatted features of both frames, (N, 128, H/2, W/2).
            quarter: (N, 256, H/4, W/4).
            eighth: (N, 384, H/8, W/8).

        Returns:
            (N, 3, H, W) float32, about [0, 1], not clamped.
        """
        # Under autocast row 0 stays in float32 from the frames to the head: in a flat area all pixels are rounded in
        # the same direction, which would change its color.
        with torch.autocast(frames.device.type, enabled=False):
            x00 = self.residual_model_head0(frames.float())
        x00 += self.residual_model_head1(half)
        x10 = self._at("downsample", 10, x00).add_(self.residual_model_head2(quarter))
        x20 = self._at("downsample", 20, x10).add_(self.residual_model_head3(eighth))
        x01 = self._residual(1, x00)
        x11 = self._residual(11, x10).add_(self._at("downsample", 11, x01))
        x21 = self._residual(21, x20).add_(self._at("downsample", 21, x11))
        x24 = self._residual(24, x21)
        x25 = self._residual(25, x24)
        x14 = self._residual(14, x11).add_(self._at("upsample", 14, x24))
        x15 = self._residual(15, x14).add_(self._at("upsample", 15, x25))
        x04 = self._residual(4, x01).add_(self._at("upsample", 4, x14))
        x05 = self._residual(5, x04).add_(self._at("upsample", 5, x15))
        drawn: Tensor = self.residual_model_tail(x05)
        return drawn

    def _residual(self, position: int, x: Tensor) -> Tensor:
        # The sum takes the precision of x, which is float32 in row 0.
        change = self._at("residual", position, x)
        return change.add_(x) if change.dtype == x.dtype else x + change

    def _at(self, kind: str, position: int, x: Tensor) -> Tensor:
        """Apply the module at a position of the grid, 10 row + column."""
        output: Tensor = self.get_submodule(f"{kind}_model_{position:02}")(x)
        return output


def _up(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        PReLU(inplace=False),
        nn.ConvTranspose2d(channels_in, channels, 4, 2, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
