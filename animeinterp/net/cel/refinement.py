"""Recurrent refinement of `cel` (paper §4.2, lighter): the coarse flow is changed in a few steps, then gated.

Like `rfr.RFR`, at 1/8 of the frame, with four changes. The coarse flow keeps its full size, and only what the steps
found is upsampled: SGM knows where a segment ends to the pixel, and 1/8 does not. The gate comes last instead of first:
after the steps it is known whether the coarse flow was right. The coarse flow is kept where it fits the other frame no
worse than what the steps made of it: most of it is right, and a step that is off by a pixel blurs a line. The encoder
is shared, so that the context and the correlation cost nothing of their own.

At the start of training gate is nearly 1 and change 0: nearly the coarse flow itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import ModelConfig
from animeinterp.net.ops.conv_gru import CachedGruPass, cache_context
from animeinterp.net.ops.correlation import Correlation
from animeinterp.net.ops.geometry import pixel_grid, resize, resize_area, sample, swap_directions, upsample_convex

HIDDEN = 48
_PER_COLOR = 4.0  # log odds per tenth of the range of color by which one flow fits better than the other


class RefinedFlow(NamedTuple):
    """flow, change: (N, 2, H, W) px, the flow and what was added to the coarse one.

    steps: the flow after each iteration, (N, 2, H/8, W/8) in the same px (training only).
    """

    flow: Tensor
    change: Tensor
    steps: list[Tensor]


class Step(nn.Module):
    """One iteration: (hidden, what `prepare` made of the context, correlation, flow, trust) → (hidden, change)."""

    def __init__(self, correlation_channels: int) -> None:
        super().__init__()
        self.seen = nn.Conv2d(correlation_channels, 64, 1)
        self.moved = nn.Conv2d(3, 16, 3, padding=1)
        self.motion = nn.Conv2d(80, HIDDEN, 3, padding=1)
        self.gates = nn.Conv2d(3 * HIDDEN, 2 * HIDDEN, 3, padding=1)
        self.candidate = nn.Conv2d(3 * HIDDEN, HIDDEN, 3, padding=1)
        self.head1 = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
        self.head2 = nn.Conv2d(HIDDEN, 2, 3, padding=1)
        nn.init.zeros_(self.head2.weight)
        nn.init.zeros_(self.head2.bias)  # type: ignore[arg-type]

    def prepare(self, context: Tensor) -> CachedGruPass:
        """What depends on the context, (N, HIDDEN, h, w), only."""
        return cache_context((self.gates, self.candidate), context)

    def forward(
        self, hidden: Tensor, prepared: CachedGruPass, correlation: Tensor, flow: Tensor, trust: Tensor
    ) -> tuple[Tensor, Tensor]:
        """hidden: (N, HIDDEN, h, w). correlation: (N, C, h, w). flow: (N, 2, h, w). trust: (N, 1, h, w)."""
        seen = F.leaky_relu(self.seen(correlation), 0.1, inplace=True)
        moved = F.leaky_relu(self.moved(torch.cat([flow / 8, trust], 1)), 0.1, inplace=True)
        motion = F.leaky_relu(self.motion(torch.cat([seen, moved], 1)), 0.1, inplace=True)
        hidden = prepared.next(hidden, motion)
        change: Tensor = self.head2(F.leaky_relu(self.head1(hidden), 0.1, inplace=True))
        return hidden, change.float()


class Refinement(nn.Module):
    """Coarse flow → fine flow, in `config.iterations` steps."""

    def __init__(self, config: ModelConfig) -> None:
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
        # Not 0: there exp(-g²) has no slope, and the gate could not begin to learn.
        nn.init.constant_(self.gate.bias, 0.3)  # type: ignore[arg-type]

    def forward(self, features: Tensor, frames: Tensor, coarse: Tensor, trust: Tensor) -> RefinedFlow:
        """Refine the coarse flow, both directions at once: the second half of the batch is the way back of the first.

        features: (2N, C, H/8, W/8). frames: (2N, 3, H, W) in [0, 1]. coarse: (2N, 2, H, W) px. trust: (2N, 1, H, W) in
        [0, 1], 0 where coarse says nothing.
        """
        size, small = tuple(coarse.shape[-2:]), tuple(features.shape[-2:])
        features0, features1 = features.float(), swap_directions(features.float())
        share = resize_area(trust, small)
        # Averaged over what can be trusted: the mean of a motion and of nothing is no motion of either.
        start = resize_area(coarse * trust, small) / (share + 1e-3) / 8
        correlation = Correlation(features0, features1, self.config.correlation_levels, self.config.correlation_radius)
        hidden, context = self.start(features0).chunk(2, 1)
        hidden, prepared = torch.tanh(hidden), self.step.prepare(torch.relu(context))
        here, flow, steps = pixel_grid(start), start, list[Tensor]()
        for _ in range(self.config.iterations):
            # As in RAFT, an iteration learns from its own change only.
            at = flow.detach()
            hidden, change = self.step(hidden, prepared, correlation(here + at), at, share)
            flow = at + change
            if self.training:
                steps.append(8 * flow)
        if not self.config.apply_gate:
            change = self._upsampled(flow - start, hidden)
            return RefinedFlow(coarse + change, change, steps)
        gate = torch.exp(-self.gate(hidden).float().square())
        refined = resize(gate, size) * coarse + self._upsampled(flow - gate * start, hidden)
        halved = _halved(frames.float())
        before, after = (_misfit(halved, _halved(way) / 2, small) for way in (coarse, refined.detach()))
        # What fits better is kept: the rule, changed by what the steps know.
        rule = _PER_COLOR * (after - before)[:, :1]
        keep = (rule + self.keep(torch.cat([hidden, before, after], 1)).float()).sigmoid()
        change = (1 - resize(keep, size)) * (refined - coarse)
        return RefinedFlow(coarse + change, change, steps)

    def _upsampled(self, flow: Tensor, hidden: Tensor) -> Tensor:
        return upsample_convex(flow, 0.25 * self.mask(hidden).float())


def _misfit(frames: Tensor, flow: Tensor, size: tuple[int, ...]) -> Tensor:
    """How badly flow fits at `size` = (h, w): mean error of the color and of going there and back, (2N, 2, h, w).

    Both are cut off and in [0, 2.5] and [0, 1]. frames: (2N, 3, H, W). flow: (2N, 2, H, W), px of that size.
    """
    found = sample(torch.cat([swap_directions(frames), swap_directions(flow)], 1), flow, "bilinear")
    color = (found[:, :3] - frames).abs().mean(1, keepdim=True).clamp(max=0.25)
    apart = (found[:, 3:] + flow).square().sum(1, keepdim=True).sqrt().clamp(max=5)
    return resize_area(torch.cat([10 * color, apart / 5], 1), size)


def _halved(planes: Tensor) -> Tensor:
    """The mean of 2x2 pixels each; `resize_area` takes five times as long."""
    upper, lower = planes[..., ::2, :], planes[..., 1::2, :]
    return (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) / 4
