"""Recurrent refinement of `cel` (paper §4.2, lighter): change the coarse flow in a few steps, then gate it.

As in `paper.rfr.RFR` at 1/8 of the size that the network sees, with four changes:

- The coarse flow keeps its full size, and only the change is upsampled: SGM knows segment borders to the pixel.
- The gate comes last instead of first: only after the steps is it known whether the coarse flow was right.
- The coarse flow is kept where it fits the other frame at least as well as the refined one. Most of it is right, and a
  step that is off by a pixel blurs a line.
- The encoder is shared with synthesis.

Before training the gate is nearly 1 and the change 0, so the result is nearly the coarse flow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import CelConfig
from animeinterp.net.ops.conv_gru import CachedGruPass, cache_context
from animeinterp.net.ops.correlation import Correlation
from animeinterp.net.ops.geometry import (
    backward_warp,
    pixel_grid,
    resize,
    resize_area,
    swap_directions,
    upsample_convex,
)

HIDDEN = 48
_PER_COLOR = 4.0  # log odds per tenth of the range of color by which one flow fits better than the other


class RefinedFlow(NamedTuple):
    """Refined flow of a batch of directions.

    Attributes:
        flow: (N, 2, H, W), px.
        change: What was added to the coarse flow, of the same shape.
        steps: The flow after each iteration, (N, 2, H/8, W/8), px of the size that the network sees; in training only.
    """

    flow: Tensor
    change: Tensor
    steps: list[Tensor]


class Step(nn.Module):
    """One iteration of the refinement."""

    def __init__(self, correlation_channels: int) -> None:
        """Create the layers; the last starts at 0, so that an untrained step changes nothing."""
        super().__init__()
        # Names of the layers are keys of the weights.
        self.seen = nn.Conv2d(correlation_channels, 64, 1)
        self.moved = nn.Conv2d(3, 16, 3, padding=1)
        self.motion = nn.Conv2d(80, HIDDEN, 3, padding=1)
        self.gates = nn.Conv2d(3 * HIDDEN, 2 * HIDDEN, 3, padding=1)
        self.candidate = nn.Conv2d(3 * HIDDEN, HIDDEN, 3, padding=1)
        self.head1 = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
        self.head2 = nn.Conv2d(HIDDEN, 2, 3, padding=1)
        nn.init.zeros_(self.head2.weight)
        nn.init.zeros_(self.head2.bias)  # type: ignore[arg-type]

    def cache_context(self, context: Tensor) -> CachedGruPass:
        """Compute what depends on the context, (N, HIDDEN, h, w), only."""
        return cache_context((self.gates, self.candidate), context)

    def forward(
        self, hidden: Tensor, gru: CachedGruPass, correlation: Tensor, flow: Tensor, confidence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the next hidden state and the change of the flow.

        Args:
            hidden: (N, HIDDEN, h, w).
            gru: Of `cache_context`.
            correlation: (N, C, h, w).
            flow: (N, 2, h, w), px.
            confidence: Of the coarse flow, (N, 1, h, w).

        Returns:
            Hidden state, and change of the flow (N, 2, h, w) float32.
        """
        from_correlation = F.leaky_relu(self.seen(correlation), 0.1, inplace=True)
        from_flow = F.leaky_relu(self.moved(torch.cat([flow / 8, confidence], 1)), 0.1, inplace=True)
        motion = F.leaky_relu(self.motion(torch.cat([from_correlation, from_flow], 1)), 0.1, inplace=True)
        hidden = gru.next(hidden, motion)
        change: Tensor = self.head2(F.leaky_relu(self.head1(hidden), 0.1, inplace=True))
        return hidden, change.float()


class Refinement(nn.Module):
    """Coarse flow → refined flow, in `config.iterations` steps."""

    def __init__(self, config: CelConfig) -> None:
        """Create the layers."""
        super().__init__()
        self.config = config
        features = config.widths[2]
        self.start = nn.Conv2d(features, 2 * HIDDEN, 1)
        self.step = Step(config.correlation_levels * (2 * config.correlation_radius + 1) ** 2)
        self.mask = nn.Conv2d(HIDDEN, 64 * 9, 1)
        self.gate = nn.Conv2d(HIDDEN, 1, 3, padding=1)
        self.keep = nn.Conv2d(HIDDEN + 4, 1, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.keep.weight)
        nn.init.zeros_(self.keep.bias)  # type: ignore[arg-type]
        # Not 0: there exp(-g²) has no slope, and the gate could not start to learn.
        nn.init.constant_(self.gate.bias, 0.3)  # type: ignore[arg-type]

    def forward(self, features: Tensor, frames: Tensor, coarse: Tensor, confidence: Tensor) -> RefinedFlow:
        """Refine both directions at once: the second half of the batch is the reverse of the first.

        Args:
            features: (2N, C, H/8, W/8).
            frames: (2N, 3, H, W) in [0, 1].
            coarse: (2N, 2, H, W), px.
            confidence: Of the coarse flow, (2N, 1, H, W) in [0, 1], 0 where it is unknown.

        Returns:
            The refined flow of both directions.
        """
        size, small = tuple(coarse.shape[-2:]), tuple(features.shape[-2:])
        features0, features1 = features.float(), swap_directions(features.float())
        small_confidence = resize_area(confidence, small)
        # The mean over confident pixels: averaging a motion with 0 would give a motion of neither.
        start = resize_area(coarse * confidence, small) / (small_confidence + 1e-3) / 8
        correlation = Correlation(features0, features1, self.config.correlation_levels, self.config.correlation_radius)
        hidden, context = self.start(features0).chunk(2, 1)
        hidden, gru = torch.tanh(hidden), self.step.cache_context(torch.relu(context))
        positions, flow, steps = pixel_grid(start), start, list[Tensor]()
        for _ in range(self.config.iterations):
            # As in RAFT, an iteration learns from its own change only.
            current = flow.detach()
            hidden, change = self.step(hidden, gru, correlation(positions + current), current, small_confidence)
            flow = current + change
            if self.training:
                steps.append(8 * flow)
        if not self.config.apply_gate:
            change = self._upsample(flow - start, hidden)
            return RefinedFlow(coarse + change, change, steps)
        gate = torch.exp(-self.gate(hidden).float().square())
        refined = resize(gate, size) * coarse + self._upsample(flow - gate * start, hidden)
        halved = _halve(frames.float())
        before, after = (_misfit(halved, _halve(candidate) / 2, small) for candidate in (coarse, refined.detach()))
        # Keep what fits better; the network may correct that rule by what the steps know.
        rule = _PER_COLOR * (after - before)[:, :1]
        keep = (rule + self.keep(torch.cat([hidden, before, after], 1)).float()).sigmoid()
        change = (1 - resize(keep, size)) * (refined - coarse)
        return RefinedFlow(coarse + change, change, steps)

    def _upsample(self, flow: Tensor, hidden: Tensor) -> Tensor:
        return upsample_convex(flow, 0.25 * self.mask(hidden).float())


def _misfit(frames: Tensor, flow: Tensor, size: tuple[int, ...]) -> Tensor:
    """Measure how badly flow fits at `size`: mean color error and mean forward-backward error, (2N, 2, h, w).

    The color error is in tenths of the range, clamped to 2.5; the other in units of 5 px, clamped to 1.
    """
    sampled = backward_warp(torch.cat([swap_directions(frames), swap_directions(flow)], 1), flow, outside="border")
    color = (sampled[:, :3] - frames).abs().mean(1, keepdim=True).clamp(max=0.25)
    inconsistency = (sampled[:, 3:] + flow).square().sum(1, keepdim=True).sqrt().clamp(max=5)
    return resize_area(torch.cat([10 * color, inconsistency / 5], 1), size)


def _halve(image: Tensor) -> Tensor:
    """Average 2x2 pixels; `resize_area` takes five times as long."""
    upper, lower = image[..., ::2, :], image[..., 1::2, :]
    return (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) / 4
