"""RFR, recurrent flow refinement (paper §4.2): RAFT (Teed & Deng 2020) that starts from a gated coarse flow.

Everything runs at 1/8 of the frame. One encoder gives 256 channels per frame for three uses: correlation with the other
frame, the first hidden state (tanh of one half) and the context (ReLU of the other half). Each iteration looks up the
correlation at the current flow, updates a ConvGRU (Ballas et al. 2016) and predicts a change of the flow. After the
last iteration the flow is upsampled by a learned convex combination of 3x3 neighbors.

Flow 0→1 is (N, 2, H, W), x first, px: pixel p of frame 0 corresponds to p + flow(p) in frame 1. Attribute names are
those of the published checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animeinterp.config import PaperConfig
from animeinterp.net.ops.conv_gru import CachedGruPass, cache_context, channels_last
from animeinterp.net.ops.correlation import Correlation
from animeinterp.net.ops.geometry import backward_warp, pixel_grid, resize, scale_flow, upsample_convex

HIDDEN = 128
CONTEXT = 128


class ErrorAttention(nn.Module):
    """Network of the gate: estimates where the coarse flow explains frame 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32 + 6, 1, 3, padding=1)
        self.prelu1 = nn.PReLU()
        self.prelu2 = nn.PReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map frame 0, error and flow, (N, 3 + 1 + 2, H, W), to g, (N, 1, H, W)."""
        hidden = self.conv2(self.prelu1(self.conv1(inputs)))
        g: Tensor = self.conv3(self.prelu2(torch.cat([hidden, inputs], 1)))
        return g


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them, no normalization."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.downsample = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.conv2(self.conv1(x).relu_()).relu_()
        out: Tensor = (shortcut + y).relu_()
        return out


class BasicEncoder(nn.Module):
    """The encoder of RAFT without normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 96, stride=2), ResidualBlock(96, 96))
        self.layer3 = nn.Sequential(ResidualBlock(96, 128, stride=2), ResidualBlock(128, 128))
        self.conv2 = nn.Conv2d(128, HIDDEN + CONTEXT, 1)

    def forward(self, frame: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [-1, 1], H and W multiples of 8, to features (N, 256, H/8, W/8)."""
        x = self.conv1(frame).relu_()
        features: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return features


class MotionEncoder(nn.Module):
    """Encodes correlation and flow; the last two of its 128 channels are the flow itself."""

    def __init__(self, correlation_channels: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(correlation_channels, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, 128 - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """Map flow (N, 2, H, W) and correlation (N, C, H, W) to (N, 128, H, W)."""
        from_correlation = self.convc2(self.convc1(correlation).relu_()).relu_()
        from_flow = self.convf2(self.convf1(flow).relu_()).relu_()
        motion = self.conv(torch.cat([from_correlation, from_flow], 1)).relu_()
        return torch.cat([motion, flow.to(motion.dtype)], 1)


class SepConvGRU(nn.Module):
    """A convolutional GRU as a 1x5 and a 5x1 pass; input channels are hidden, context, motion, in this order."""

    def __init__(self) -> None:
        super().__init__()
        channels = HIDDEN + CONTEXT + 128
        self.convz1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convr1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convq1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convz2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))
        self.convr2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))
        self.convq2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))

    def cache_context(self, context: Tensor) -> list[CachedGruPass]:
        """Compute what depends on the context only, for both passes."""
        layers = (self.convz1, self.convr1, self.convq1), (self.convz2, self.convr2, self.convq2)
        return [cache_context(pass_layers, context) for pass_layers in layers]

    def forward(self, hidden: Tensor, motion: Tensor, passes: list[CachedGruPass]) -> Tensor:
        """Compute the next hidden state, (N, 128, H, W)."""
        for gru in passes:
            hidden = gru.next(hidden, motion)
        return hidden


class FlowHead(nn.Module):
    """Predicts the change of the flow from the hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, 128, H, W) to (N, 2, H, W), px of that size."""
        change: Tensor = self.conv2(self.conv1(hidden).relu_())
        return change


class UpdateBlock(nn.Module):
    """One iteration, and the mask of the upsampling."""

    def __init__(self, correlation_channels: int) -> None:
        super().__init__()
        self.encoder = MotionEncoder(correlation_channels)
        self.gru = SepConvGRU()
        self.flow_head = FlowHead()
        self.mask = nn.Sequential(
            nn.Conv2d(HIDDEN, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 64 * 9, 1)
        )

    def forward(
        self, hidden: Tensor, passes: list[CachedGruPass], correlation: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the next hidden state and the change of the flow.

        Args:
            hidden: (N, 128, H, W).
            passes: Of `SepConvGRU.cache_context`.
            correlation: (N, C, H, W).
            flow: (N, 2, H, W), px.

        Returns:
            Hidden state, change of the flow (N, 2, H, W).
        """
        hidden = self.gru(hidden, self.encoder(flow, correlation), passes)
        return hidden, self.flow_head(hidden)


class RFR(nn.Module):
    """Coarse flow → refined flow."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.attention2 = ErrorAttention()
        self.fnet = BasicEncoder()
        self.update_block = UpdateBlock(config.correlation_levels * (2 * config.correlation_radius + 1) ** 2)

    def encode(self, frame: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [-1, 1] to (N, 256, H // 8, W // 8) float32, for correlation and context."""
        height, width = (size // 8 * 8 for size in frame.shape[-2:])
        features: Tensor = self.fnet(resize(frame, (height, width)))
        return features.float()

    def gate(self, small0: Tensor, small1: Tensor, flow: Tensor) -> Tensor:
        """Compute the confidence of the coarse flow, exp(-g²).

        Args:
            small0: Frame 0 in [-1, 1] at the size of the flow, (N, 3, H, W).
            small1: Frame 1.
            flow: (N, 2, H, W), px.

        Returns:
            (N, 1, H, W) in (0, 1].
        """
        error = (backward_warp(small1, flow) - small0).abs().sum(1, keepdim=True)
        g: Tensor = self.attention2(torch.cat([small0, error, flow], 1))
        return torch.exp(-g.float().square())

    def forward(self, features0: Tensor, features1: Tensor, small0: Tensor, small1: Tensor, coarse: Tensor) -> Tensor:
        """Refine the coarse flow 0→1.

        Args:
            features0: Of `encode`, frame 0.
            features1: Of `encode`, frame 1.
            small0: Frame 0 in [-1, 1] at the size of the features.
            small1: Frame 1 likewise.
            coarse: (N, 2, H, W), px of the frame.

        Returns:
            (N, 2, H, W) float32, px of the frame.
        """
        height, width = features0.shape[-2:]
        flow = scale_flow(coarse, (height, width))
        if self.config.apply_gate:
            flow = self.gate(small0, small1, flow) * flow
        flow = channels_last(flow * self.config.coarse_flow_added)

        correlation = Correlation(features0, features1, self.config.correlation_levels, self.config.correlation_radius)
        hidden, context = features0.split_with_sizes([HIDDEN, CONTEXT], 1)
        hidden, passes = torch.tanh(hidden), self.update_block.gru.cache_context(torch.relu(context))
        hidden = hidden.to(passes[0].gates_from_context.dtype)
        positions = pixel_grid(flow)
        for iteration in range(self.config.iterations):
            # As in RAFT, an iteration learns from its own change only; the first one also teaches the gate.
            start = flow.detach() if iteration else flow
            hidden, change = self.update_block(hidden, passes, correlation(positions + start), start)
            flow = start + change.float()
        # Only the last iteration needs a mask. 0.25 is RAFT's, to balance gradients.
        mask = 0.25 * self.update_block.mask(hidden).float()
        return scale_flow(upsample_convex(flow, mask), tuple(coarse.shape[-2:]), "bilinear")
