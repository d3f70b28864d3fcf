"""`cel`, the project's own network: the paper's parts, its quirks mended, at a fiftieth of its cost.

    encode(frame) ──► Levels                  once per frame
    flow(levels0, levels1, …) ──► Flows       once per pair, both directions as one batch
    synthesize(…, t) ──► frame                once per new frame

`forward` chains them. Frames are (N, C, H, W) float, the first three planes RGB in [0, 1], of any size from 16x16 up.
Flow is (N, 2, H, W) float32, x first, px. bf16 is the caller's `torch.autocast`; coordinates, flow, correlation,
splatting and the final choice stay in float32 under it.

The network looks at frames at half their size. The coarse flow and the colors keep their own size: what
was found is added to the one, and what was decided is drawn from the others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import CEL, ModelConfig
from animeinterp.errors import FrameError
from animeinterp.net.cel.blend_cpu import blend_fused
from animeinterp.net.cel.encoder import Block, Encoder, Levels
from animeinterp.net.cel.refinement import RefinedFlow, Refinement
from animeinterp.net.cel.synthesis import BlendNet, blend_frames, predict_blend, splat_frame
from animeinterp.net.ops.consistency import consistency
from animeinterp.net.ops.geometry import (
    MIN_SIZE,
    backward_warp,
    downsample,
    pad_to_multiple,
    resize,
    scale_flow,
    swap_directions,
)
from animeinterp.net.ops.splat_cpu import has_cpu_kernels


class Flows(NamedTuple):
    """How two frames move into each other.

    flow01, flow10: (N, 2, H, W) px. z0, z1: (N, 1, H, W), log importance (Z of softmax splatting), at most 0 untrained.
    steps01, steps10: the flow after each step of the refinement, (N, 2, H/8, W/8) in px of the size at which the
    network looks, for training; empty otherwise.
    """

    flow01: Tensor
    flow10: Tensor
    z0: Tensor
    z1: Tensor
    steps01: list[Tensor]
    steps10: list[Tensor]


class Output(NamedTuple):
    """frame: (N, 3, H, W), not clamped; None where only flow was asked for. flows: how it came about."""

    frame: Tensor | None
    flows: Flows


class Importance(nn.Module):
    """Learned Z: what the rule of `compose.consistency` says, changed by what the features say."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * features + 1, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 1, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, features0: Tensor, features1: Tensor, flow: Tensor, rule: Tensor) -> Tensor:
        """Features at 1/4, flow and log importance (N, 1, H, W) at full size → Z, (N, 1, H, W)."""
        size, small = tuple(rule.shape[-2:]), tuple(features0.shape[-2:])
        found = backward_warp(features1.float(), scale_flow(flow, small, "bilinear"))
        evidence = torch.cat([features0, found - features0, resize(rule, small) / 4], 1)
        change = self.conv2(F.leaky_relu(self.conv1(evidence), 0.1)).float()
        return rule + 4 * resize(change, size)


class Cel(nn.Module):
    """A frame between two frames."""

    def __init__(self, config: ModelConfig = CEL) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.widths)
        self.refinement = Refinement(config) if config.iterations else None
        self.importance = Importance(config.widths[1])
        self.chooser = BlendNet(config.widths, config.synthesis_widths)
        self.apply(_start)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor) -> Levels:
        """Everything that depends on one frame only. Raises FrameError for frames that are too small."""
        if frame.ndim != 4 or frame.shape[1] != 3 or min(frame.shape[-2:]) < MIN_SIZE:
            raise FrameError(
                f"frames must be (N, 3, H, W), at least {MIN_SIZE}x{MIN_SIZE} px; got {tuple(frame.shape)}"
            )
        levels: Levels = self.encoder(pad_to_multiple(downsample(frame, self._seen_size(tuple(frame.shape[-2:])))))
        return levels

    def flow(
        self,
        frame0: Tensor,
        frame1: Tensor,
        levels0: Levels,
        levels1: Levels,
        coarse01: Tensor,
        coarse10: Tensor,
        trust0: Tensor,
        trust1: Tensor,
    ) -> Flows:
        """Refine the coarse flows, (N, 2, H, W) px with trust (N, 1, H, W) in [0, 1], both at once.

        frame0, frame1: (N, 3, H, W).
        """
        size = tuple(frame0.shape[-2:])
        frames = self._seen(frame0, frame1)
        refined = self._refine(frames, size, levels0, levels1, coarse01, coarse10, trust0, trust1)
        flows = self._flows(refined, torch.cat([coarse01, coarse10]))
        height, width = self._seen_size(size)
        rule = consistency(frames, swap_directions(frames), refined.flow, swap_directions(refined.flow)).log()
        own = torch.cat([levels0.quarter, levels1.quarter])
        z = self.importance(own, swap_directions(own), refined.flow, rule)[..., :height, :width]
        z0, z1 = resize(z, size).chunk(2)
        return flows._replace(z0=z0, z1=z1)

    def _refine(
        self,
        frames: Tensor,
        size: tuple[int, ...],
        levels0: Levels,
        levels1: Levels,
        coarse01: Tensor,
        coarse10: Tensor,
        trust0: Tensor,
        trust1: Tensor,
    ) -> RefinedFlow:
        """Both directions as one batch. frames: of `_seen`. size: that of the frames as they are."""
        seen = self._seen_size(size)
        coarse = pad_to_multiple(scale_flow(torch.cat([coarse01, coarse10]).float(), seen, "bilinear"))
        if self.refinement is None:
            return RefinedFlow(coarse, torch.zeros_like(coarse), [])
        trust = pad_to_multiple(resize(torch.cat([trust0, trust1]).float(), seen))
        refined: RefinedFlow = self.refinement(torch.cat([levels0.eighth, levels1.eighth]), frames, coarse, trust)
        return refined

    def _flows(self, refined: RefinedFlow, coarse: Tensor) -> Flows:
        """What the refinement changed, added to the coarse flow (2N, 2, H, W), which keeps its own size. Z is 0."""
        size = tuple(coarse.shape[-2:])
        height, width = self._seen_size(size)
        flow = coarse.float() + scale_flow(refined.change[..., :height, :width], size, "bilinear")
        flow01, flow10 = flow.chunk(2)
        z = torch.zeros_like(flow01[:, :1])
        steps = [step.chunk(2) for step in refined.steps]
        return Flows(flow01, flow10, z, z, [step[0] for step in steps], [step[1] for step in steps])

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        levels0: Levels,
        levels1: Levels,
        flows: Flows,
        t: Tensor,
        where: Tensor | None = None,
    ) -> Tensor:
        """The frame at t, (N,) in [0, 1]: (N, C, H, W), not clamped.

        frame0, frame1: (N, C, H, W); planes after RGB are drawn alike. where: bool (N, 1, H, W), the pixels that must
        be drawn, to save work; the others may hold anything.
        """
        size = tuple(frame0.shape[-2:])
        seen = self._seen_size(size)
        share = t.view(-1, 1, 1, 1)
        first, second = (downsample(frame, seen) for frame in (frame0, frame1))
        flow01, flow10 = (scale_flow(flow, seen, "bilinear") for flow in (flows.flow01, flows.flow10))
        arrived0 = splat_frame(first, levels0, flow01, resize(flows.z0, seen), share, self.config)
        arrived1 = splat_frame(second, levels1, flow10, resize(flows.z1, seen), 1 - share, self.config)
        decision = predict_blend(self.chooser, first, second, arrived0, arrived1, share, where)
        if has_cpu_kernels(frame0):
            ways = (flows.flow01, flows.flow10), (flows.z0, flows.z1)
            return blend_fused((frame0, frame1), *ways, share, decision, self.config.splat, where)
        if seen != size:
            # Too large to look at whole: decided at a smaller size, drawn from the frames as they are.
            decision = decision.at(size)
            arrived0 = splat_frame(frame0, None, flows.flow01, flows.z0, share, self.config)
            arrived1 = splat_frame(frame1, None, flows.flow10, flows.z1, 1 - share, self.config)
        return blend_frames(frame0, frame1, arrived0, arrived1, share, decision)

    def forward(
        self,
        frame0: Tensor,
        frame1: Tensor,
        coarse01: Tensor,
        coarse10: Tensor,
        trust0: Tensor,
        trust1: Tensor,
        t: Tensor | None,
    ) -> Output:
        """Two frames (N, 3, H, W), their coarse flows and trust, times t (N,) → the frames at t. No t: flow only."""
        size = tuple(frame0.shape[-2:])
        both = self.encode(torch.cat([frame0, frame1]))
        levels0, levels1 = (Levels(*(level.chunk(2)[i] for level in both)) for i in (0, 1))
        if t is None:
            # Importance decides how frames are drawn; without it flow is learned in half the time.
            frames = self._seen(frame0, frame1)
            refined = self._refine(frames, size, levels0, levels1, coarse01, coarse10, trust0, trust1)
            return Output(None, self._flows(refined, torch.cat([coarse01, coarse10])))
        flows = self.flow(frame0, frame1, levels0, levels1, coarse01, coarse10, trust0, trust1)
        return Output(self.synthesize(frame0, frame1, levels0, levels1, flows, t), flows)

    def _seen(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """Both frames as the network looks at them, (2N, 3, h, w): not too large, and whole multiples of 16."""
        seen = self._seen_size(tuple(frame0.shape[-2:]))
        return pad_to_multiple(torch.cat([downsample(frame0, seen), downsample(frame1, seen)]))

    def _seen_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """The size at which the network looks at frames of `size` = (height, width)."""
        height, width = size
        least, most = self.config.network_pixel_range
        pixels = min(max(self.config.network_pixel_fraction * height * width, least), most)
        scale = min(1.0, (pixels / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))


def _start(module: nn.Module) -> None:
    """Weights to begin with: torch's own let a signal fade to a hundredth on its way through the U-net.

    Layers that begin at 0 stay so. The second convolution of a block adds to a shortcut: half as strong, so that
    blocks in a row do not amplify.
    """
    for name, layer in module.named_children():
        if isinstance(layer, nn.Conv2d) and bool(layer.weight.any()):
            nn.init.kaiming_normal_(layer.weight, 0.1)
            with torch.no_grad():
                layer.weight.mul_(0.5 if isinstance(module, Block) and name == "conv2" else 1.0)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
