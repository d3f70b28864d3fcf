"""Synthesis of `studio`: a GridNet over splatted frames and features at 1/2, 1/4, 1/8, drawn at full size.

The grid is the paper's (see `animeinterp.net.gridnet`), wider (64, 128, 192 channels) and at half the size; a
pixel-shuffle head doubles it. Attribute names are those of GMFSS Fortuna's weights: `_RC` is row R, column C.
"""

from __future__ import annotations

from torch import Tensor, nn

from animeinterp.net.gridnet import PReLU

_ROWS = (64, 128, 192)


class _Head(nn.Module):
    """Twice the size, by pixel shuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), PReLU())
        self.upsample = nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        frame: Tensor = self.conv_last(self.upsample(self.conv_before_upsample(x)))
        return frame


class Synthesis(nn.Module):
    """Splatted frames and features → the new frame."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth = _ROWS
        self.residual_model_head0 = _block(9, half)
        self.residual_model_head1 = _block(2 * half, half)
        self.residual_model_head2 = _block(2 * quarter, quarter)
        self.residual_model_head3 = _block(2 * eighth, eighth)
        for row, channels in enumerate(_ROWS):
            for column in (1, 4, 5):
                self.add_module(f"residual_model_{row}{column}", _block(channels, channels))
        for column in (0, 1):
            self.add_module(f"downsample_model_1{column}", _block(half, quarter, 2))
            self.add_module(f"downsample_model_2{column}", _block(quarter, eighth, 2))
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
            (N, 3, H, W), about [0, 1], not clamped.
        """
        x00 = self.residual_model_head0(frames) + self.residual_model_head1(half)
        x10 = self._at("downsample", 10, x00) + self.residual_model_head2(quarter)
        x20 = self._at("downsample", 20, x10) + self.residual_model_head3(eighth)
        x01 = self._residual(1, x00)
        x11 = self._residual(11, x10) + self._at("downsample", 11, x01)
        x21 = self._residual(21, x20) + self._at("downsample", 21, x11)
        x24 = self._residual(24, x21)
        x25 = self._residual(25, x24)
        x14 = self._residual(14, x11) + self._at("upsample", 14, x24)
        x15 = self._residual(15, x14) + self._at("upsample", 15, x25)
        x04 = self._residual(4, x01) + self._at("upsample", 4, x14)
        x05 = self._residual(5, x04) + self._at("upsample", 5, x15)
        drawn: Tensor = self.residual_model_tail(x05)
        return drawn

    def _residual(self, place: int, x: Tensor) -> Tensor:
        return x + self._at("residual", place, x)

    def _at(self, kind: str, place: int, x: Tensor) -> Tensor:
        changed: Tensor = self.get_submodule(f"{kind}_model_{place:02}")(x)
        return changed


def _block(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        PReLU(inplace=False),
        nn.Conv2d(channels_in, channels, 3, stride, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


def _up(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        PReLU(inplace=False),
        nn.ConvTranspose2d(channels_in, channels, 4, 2, padding=1),
        PReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
