"""`cel`, the project's own network: the stages of the paper at a thirtieth of its cost (43 and 1,448 GFLOP at 960x540).

    encode(frame) ──► Levels                  once per frame
    flow(levels0, levels1, …) ──► FlowPair    once per pair, both directions as one batch
    synthesize(…, t) ──► frame                once per new frame

`forward` chains them. Frames are (N, C, H, W) float, the first three planes RGB in [0, 1], of any size from 16x16.
Flow is (N, 2, H, W) float32, x first, px. bf16 is the caller's `torch.autocast`; coordinates, flow, correlation,
splatting and the final blend stay in float32 under it.

The network sees frames at a reduced size. Coarse flow and colors keep the full size: the change of the flow is added to
the one, and the blend is predicted small and applied to the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import CelConfig
from animeinterp.net.cel.blend_cpu import blend_fused, build_inputs_fused
from animeinterp.net.cel.encoder import Encoder, Levels, init_weights
from animeinterp.net.cel.refinement import RefinedFlow, Refinement
from animeinterp.net.cel.synthesis import (
    BlendNet,
    blend_frames,
    build_inputs,
    confidence_of,
    predict_blend,
    splat_features,
)
from animeinterp.net.flow_pair import CoarseFlowPair, FlowPair
from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.consistency import consistency
from animeinterp.net.ops.frame_splatting import SplattedFrame, splat_frame
from animeinterp.net.ops.geometry import (
    MIN_SIZE,
    backward_warp,
    check_frames,
    downsample,
    pad_to_multiple,
    resize,
    scale_flow,
    swap_directions,
)


class CelOutput(NamedTuple):
    """What training needs.

    Attributes:
        frame: (N, 3, H, W), not clamped; None if only flow was requested.
        flows: The flow that drew it; Z is 0 if only flow was requested.
        steps01: Flow 0→1 after each step of the refinement, (N, 2, H/8, W/8), in px of the size that the network sees;
            empty outside training.
        steps10: Flow 1→0 likewise.
        mixing: How much candidates that differ are averaged, scalar, 0 if one is chosen everywhere; None if unknown.
    """

    frame: Tensor | None
    flows: FlowPair
    steps01: list[Tensor]
    steps10: list[Tensor]
    mixing: Tensor | None = None


class Importance(nn.Module):
    """Learned Z of softmax splatting: that of `ops.consistency`, corrected by the features."""

    def __init__(self, features: int) -> None:
        """Create the layers for features of `features` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(2 * features + 1, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 1, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, features0: Tensor, features1: Tensor, flow: Tensor, rule: Tensor) -> Tensor:
        """Compute Z.

        Args:
            features0: Of the frame that the flow starts from, at 1/4.
            features1: Of the frame that it leads to, at 1/4.
            flow: (N, 2, H, W), px.
            rule: Log importance by consistency, (N, 1, H, W).

        Returns:
            (N, 1, H, W).
        """
        size, small = tuple(rule.shape[-2:]), tuple(features0.shape[-2:])
        sampled = backward_warp(features1.float(), scale_flow(flow, small, "bilinear"))
        inputs = torch.cat([features0, sampled - features0, resize(rule, small) / 4], 1)
        change = self.conv2(F.leaky_relu(self.conv1(inputs), 0.1)).float()
        return rule + 4 * resize(change, size)


class Cel(nn.Module):
    """A frame between two frames. Names of its parts are keys of the weights."""

    def __init__(self, config: CelConfig | None = None) -> None:
        """Create the untrained network."""
        super().__init__()
        self.config = config = config or CelConfig()
        self.encoder = Encoder(config.widths)
        self.refinement = Refinement(config) if config.iterations else None
        self.importance = Importance(config.widths[1])
        self.chooser = BlendNet(config.widths, config.synthesis_widths)
        self.apply(init_weights)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor) -> Levels:
        """Compute everything that depends on one frame only.

        Args:
            frame: (N, 3, H, W) RGB in [0, 1].

        Returns:
            Its features.

        Raises:
            FrameError: The frame is too small.
        """
        check_frames(frame)
        seen = downsample(frame, self.seen_size(tuple(frame.shape[-2:])))
        levels: Levels = self.encoder(pad_to_multiple(seen))
        return levels

    def flow(
        self, frame0: Tensor, frame1: Tensor, levels0: Levels, levels1: Levels, coarse: CoarseFlowPair
    ) -> FlowPair:
        """Refine both coarse flows and compute Z.

        Args:
            frame0: (N, 3, H, W).
            frame1: Of the same shape.
            levels0: Features of frame 0.
            levels1: Features of frame 1.
            coarse: Flow at full size.

        Returns:
            Flow and Z at full size.
        """
        frames = self._downsample_pair(frame0, frame1)
        refined = self._refine(frames, levels0, levels1, coarse)
        return self._with_importance(refined, frames, levels0, levels1, coarse)

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        levels0: Levels,
        levels1: Levels,
        flows: FlowPair,
        t: Tensor,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            frame0: (N, C, H, W); planes after RGB are drawn alike.
            frame1: Of the same shape.
            levels0: Features of frame 0.
            levels1: Features of frame 1.
            flows: Of `flow`.
            t: (N,) in [0, 1].
            wanted: Pixels that must be drawn, bool (N, 1, H, W); the others may hold anything. None draws all.

        Returns:
            (N, C, H, W), not clamped.
        """
        assert flows.z0 is not None
        assert flows.z1 is not None
        size = tuple(frame0.shape[-2:])
        seen = self.seen_size(size)
        time = t.view(-1, 1, 1, 1)
        small0, small1 = (downsample(frame, seen) for frame in (frame0, frame1))
        flow01, flow10 = (scale_flow(flow, seen, "bilinear") for flow in (flows.flow01, flows.flow10))
        z0, z1 = resize(flows.z0, seen), resize(flows.z1, seen)
        splatted = (
            splat_frame(small0, flow01, z0, confidence_of(z0), time),
            splat_frame(small1, flow10, z1, confidence_of(z1), 1 - time),
        )
        features = splat_features(levels0, flow01, z0, time), splat_features(levels1, flow10, z1, 1 - time)
        on_cpu = use_cpu_kernels(frame0, differentiable=False)
        if on_cpu:
            inputs = build_inputs_fused((small0, small1), splatted, time)
        else:
            inputs = build_inputs(small0, small1, *splatted, time)
        prediction = predict_blend(self.chooser, inputs, features, seen, wanted)
        if on_cpu:
            return blend_fused((frame0, frame1), flows, time, prediction, wanted)
        if seen != size:
            prediction = prediction.resized(size)
            splatted = self._splat_both(frame0, frame1, flows, time)
        return blend_frames(frame0, frame1, *splatted, time, prediction)

    def forward(self, frame0: Tensor, frame1: Tensor, coarse: CoarseFlowPair, t: Tensor | None) -> CelOutput:
        """Draw frames for training.

        Args:
            frame0: (N, 3, H, W).
            frame1: Of the same shape.
            coarse: Flow at full size.
            t: (N,) in [0, 1]; None computes flow only: Z decides how frames are drawn, and without it flow is learned
                in half the time.

        Returns:
            The frames, and the flow that drew them.
        """
        both = self.encode(torch.cat([frame0, frame1]))
        levels0, levels1 = (Levels(*(level.chunk(2)[i] for level in both)) for i in (0, 1))
        frames = self._downsample_pair(frame0, frame1)
        refined = self._refine(frames, levels0, levels1, coarse)
        steps = [step.chunk(2) for step in refined.steps]
        steps01, steps10 = [step[0] for step in steps], [step[1] for step in steps]
        if t is None:
            flow01, flow10 = self._at_full_size(refined, coarse).chunk(2)
            z = torch.zeros_like(flow01[:, :1])
            return CelOutput(None, FlowPair(flow01, flow10, z, z), steps01, steps10)
        flows = self._with_importance(refined, frames, levels0, levels1, coarse)
        frame = self.synthesize(frame0, frame1, levels0, levels1, flows, t)
        return CelOutput(frame, flows, steps01, steps10)

    def _refine(self, frames: Tensor, levels0: Levels, levels1: Levels, coarse: CoarseFlowPair) -> RefinedFlow:
        """Refine both directions as one batch, at the size that the network sees; frames: of `_downsample_pair`."""
        seen = self.seen_size(tuple(coarse.flow01.shape[-2:]))
        both = torch.cat([coarse.flow01, coarse.flow10]).float()
        flow = pad_to_multiple(scale_flow(both, seen, "bilinear"))
        if self.refinement is None:
            return RefinedFlow(flow, torch.zeros_like(flow), [])
        confidence = torch.cat([coarse.confidence0, coarse.confidence1]).float()
        refined: RefinedFlow = self.refinement(
            torch.cat([levels0.eighth, levels1.eighth]), frames, flow, pad_to_multiple(resize(confidence, seen))
        )
        return refined

    def _at_full_size(self, refined: RefinedFlow, coarse: CoarseFlowPair) -> Tensor:
        """Add the change to the coarse flow, which keeps its own size: (2N, 2, H, W)."""
        both = torch.cat([coarse.flow01, coarse.flow10])
        size = tuple(both.shape[-2:])
        height, width = self.seen_size(size)
        return both.float() + scale_flow(refined.change[..., :height, :width], size, "bilinear")

    def _with_importance(
        self, refined: RefinedFlow, frames: Tensor, levels0: Levels, levels1: Levels, coarse: CoarseFlowPair
    ) -> FlowPair:
        """Bring refined flow to full size and compute Z; frames: of `_downsample_pair`."""
        flow = self._at_full_size(refined, coarse)
        size = tuple(flow.shape[-2:])
        height, width = self.seen_size(size)
        rule = consistency(frames, swap_directions(frames), refined.flow, swap_directions(refined.flow)).log()
        features = torch.cat([levels0.quarter, levels1.quarter])
        z = self.importance(features, swap_directions(features), refined.flow, rule)[..., :height, :width]
        return FlowPair(*flow.chunk(2), *resize(z, size).chunk(2))

    def _splat_both(
        self, frame0: Tensor, frame1: Tensor, flows: FlowPair, time: Tensor
    ) -> tuple[SplattedFrame, SplattedFrame]:
        assert flows.z0 is not None
        assert flows.z1 is not None
        return (
            splat_frame(frame0, flows.flow01, flows.z0, confidence_of(flows.z0), time),
            splat_frame(frame1, flows.flow10, flows.z1, confidence_of(flows.z1), 1 - time),
        )

    def _downsample_pair(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """Bring both frames to the size that the network sees, padded to multiples of 16: (2N, 3, h, w)."""
        seen = self.seen_size(tuple(frame0.shape[-2:]))
        return pad_to_multiple(torch.cat([downsample(frame0, seen), downsample(frame1, seen)]))

    def seen_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the (height, width) at which the network sees frames of `size` = (height, width)."""
        height, width = size
        minimum, maximum = self.config.network_pixel_range
        pixels = min(max(self.config.network_pixel_fraction * height * width, minimum), maximum)
        scale = min(1.0, (pixels / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))
