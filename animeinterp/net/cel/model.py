"""`cel`, the project's own network: segment matching beside a light flow network, and the best of both.

    seen(frame) ──► Tensor            once per frame: the frame at the size that the network sees
    synthesize(…, t) ──► frame        once per new frame

`forward` is for training. Frames are (N, C, H, W) float, the first three planes RGB in [0, 1], of any size from 16x16.
Flow is (N, 2, H, W) float32, x first, px. bf16 is the caller's `torch.autocast`; coordinates, flow, splatting and the
final blend stay in float32 under it.

The network sees large frames at a reduced size (`CelConfig`). Coarse flow and colors keep the full size: the blend is
predicted at the size that is seen and applied to them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import CONSISTENCY, CelConfig
from animeinterp.net.cel.blend_cpu import blend_fused
from animeinterp.net.cel.hinted import LandedHints, land_hints, weight_of_hints
from animeinterp.net.cel.synthesis import (
    BlendPrediction,
    Window,
    agreement_of,
    blend_frames,
    confidence_of,
    draw_by_matching,
    predict_blend,
    window_around,
)
from animeinterp.net.flow_pair import CoarseFlowPair, FlowPair, Hinted
from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.frame_splatting import SplattedFrame, splat_frame
from animeinterp.net.ops.geometry import (
    MIN_SIZE,
    check_frames,
    downsample,
    pad_to_multiple,
    resize,
    scale_flow,
)
from animeinterp.net.ops.intermediate_flow import MULTIPLE, IntermediateFlow, IntermediateMotion, draw_by_flow
from animeinterp.net.ops.moving_targets import moving_along

SplattedPair = tuple[SplattedFrame, SplattedFrame]

# Of a frame in time. float32 rounds t = 1 - 1e-9 to 1, where frame 0 would have log weights of -inf.
_MIN_NEARNESS = 1e-6


class CelOutput(NamedTuple):
    """What training needs.

    Attributes:
        frame: (N, 3, H, W), not clamped.
        mixing: How much candidates that differ are averaged, scalar, see `synthesis.blend_frames`.
    """

    frame: Tensor
    mixing: Tensor


class Cel(nn.Module):
    """A frame between two frames. Names of its parts are keys of the weights."""

    def __init__(self, config: CelConfig | None = None) -> None:
        """Create the untrained network."""
        super().__init__()
        self.config = config = config or CelConfig()
        self.intermediate = IntermediateFlow()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def seen(self, frame: Tensor) -> Tensor:
        """Bring a frame to the size that the network sees.

        Args:
            frame: (N, 3, H, W) RGB in [0, 1].

        Returns:
            (N, 3, h, w).

        Raises:
            FrameError: The frame is too small.
        """
        check_frames(frame)
        return downsample(frame, self.seen_size(tuple(frame.shape[-2:])))

    def synthesize(
        self,
        frames: tuple[Tensor, Tensor],
        seen: tuple[Tensor, Tensor],
        flows: FlowPair,
        t: Tensor,
        wanted: Tensor | None = None,
        reachable: Tensor | None = None,
        *,
        grainy: bool = False,
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            frames: Both frames, (N, C, H, W); planes after RGB are drawn alike.
            seen: Both at the size that the network sees, of `seen`.
            flows: Of segment matching, with log importance, at the size of the frames.
            t: (N,) in [0, 1].
            wanted: Pixels that must be drawn, bool (N, 1, H, W); the others are those of frame 0. None draws all.
            reachable: Pixels that are drawn too where the intermediate flow moves them: it finds shapes that segment
                matching, which tells the wanted pixels, does not.
            grainy: Whether the frames show film grain. Then the intermediate flow alone draws: a mixture of both ways
                has less grain than either, and viewers notice.

        Returns:
            (N, C, H, W), not clamped.
        """
        time = _inside(t)
        bounds = wanted if wanted is None or reachable is None else wanted | reachable
        prediction = self._predict(seen, flows, time, bounds, grainy=grainy)
        if wanted is not None and reachable is not None:
            wanted = wanted | (reachable & moving_along(prediction.flow, (wanted.shape[-2], wanted.shape[-1])))
        if use_cpu_kernels(frames[0], differentiable=False):
            return blend_fused(frames, flows, time, prediction, wanted)
        prediction = prediction.resized(tuple(frames[0].shape[-2:]))
        drawn = blend_frames(frames, _splat_both(frames, flows, time), time, prediction)[0]
        return drawn if wanted is None else torch.where(wanted, drawn, frames[0])

    def forward(self, frame0: Tensor, frame1: Tensor, coarse: CoarseFlowPair, t: Tensor) -> CelOutput:
        """Draw frames for training.

        Args:
            frame0: (N, 3, H, W).
            frame1: Of the same shape.
            coarse: Flow at full size.
            t: (N,) in [0, 1].

        Returns:
            The frames.
        """
        frames, flows, time = (frame0, frame1), importance_of(coarse), _inside(t)
        size = tuple(frame0.shape[-2:])
        prediction = self._predict((self.seen(frame0), self.seen(frame1)), flows, time).resized(size)
        with torch.no_grad():
            splatted = _splat_both(frames, flows, time)
        return CelOutput(*blend_frames(frames, splatted, time, prediction))

    def _predict(
        self,
        seen: tuple[Tensor, Tensor],
        flows: FlowPair,
        time: Tensor,
        wanted: Tensor | None = None,
        *,
        grainy: bool = False,
    ) -> BlendPrediction:
        """Predict the blend at the size that the network sees; 0 away from the pixels that are wanted."""
        padded = tuple(pad_to_multiple(frame, MULTIPLE) for frame in seen)
        window = window_around(wanted, (padded[0].shape[-2], padded[0].shape[-1]))
        parts = window.cut(padded[0]), window.cut(padded[1])
        motion = self.intermediate(*parts, time)
        if grainy:
            agreement = torch.zeros_like(motion.mask)
        else:
            half = IntermediateMotion(F.avg_pool2d(motion.flow, 2) / 2, F.avg_pool2d(motion.mask, 2))
            by_flow = draw_by_flow(F.avg_pool2d(parts[0], 2), F.avg_pool2d(parts[1], 2), half)
            with torch.no_grad():
                by_matching = window.cut(_draw_by_matching_at_half(seen, flows, time), 2)
            agreement = agreement_of(by_matching, by_flow)
        if flows.hinted is not None:
            weight = _weight_of_hints(flows, seen, time, (window, motion))
            agreement = torch.maximum(agreement, resize(weight, tuple(agreement.shape[-2:])))
        prediction = predict_blend(agreement, motion)
        size = (seen[0].shape[-2], seen[0].shape[-1])
        return BlendPrediction(*(window.restore(planes, size) for planes in prediction))

    def seen_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the (height, width) at which the network sees frames of `size` = (height, width)."""
        height, width = size
        minimum, maximum = self.config.network_pixel_range
        pixels = min(max(self.config.network_pixel_fraction * height * width, minimum), maximum)
        scale = min(1.0, (pixels / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))


def importance_of(coarse: CoarseFlowPair) -> FlowPair:
    """Take the confidence of coarse flow as the importance of splatting."""
    z0, z1 = (c.clamp(min=CONSISTENCY.min_importance).log() for c in (coarse.confidence0, coarse.confidence1))
    return FlowPair(coarse.flow01, coarse.flow10, z0, z1)


def _inside(t: Tensor) -> Tensor:
    """Return times (N,) in (0, 1), as (N, 1, 1, 1)."""
    return t.view(-1, 1, 1, 1).clamp(_MIN_NEARNESS, 1 - _MIN_NEARNESS)


def _draw_by_matching_at_half(seen: tuple[Tensor, Tensor], flows: FlowPair, time: Tensor) -> Tensor:
    """Draw the frame by segment matching at half of the network's size, padded to half of its padded size."""
    # Padded as little as possible: the repeated border must not be splatted into the frame.
    half0, half1 = (F.avg_pool2d(pad_to_multiple(frame, 2), 2) for frame in seen)
    splatted = _splat_both((half0, half1), _flows_at(flows, tuple(half0.shape[-2:])), time)
    return pad_to_multiple(draw_by_matching((half0, half1), splatted, time), MULTIPLE // 2)


def _flows_at(flows: FlowPair, size: tuple[int, ...]) -> FlowPair:
    assert flows.z0 is not None
    assert flows.z1 is not None
    flow01, flow10 = (scale_flow(flow, size, "bilinear") for flow in (flows.flow01, flows.flow10))
    return FlowPair(flow01, flow10, resize(flows.z0, size), resize(flows.z1, size))


def _weight_of_hints(
    flows: FlowPair, seen: tuple[Tensor, Tensor], time: Tensor, found: tuple[Window, IntermediateMotion]
) -> Tensor:
    """Compute where hints decide, within the window of the padded frame in which the network found motion."""
    assert flows.hinted is not None
    window, motion = found
    size = (seen[0].shape[-2], seen[0].shape[-1])
    hinted = Hinted(*(resize(marks, size) for marks in flows.hinted))
    landed = land_hints(hinted, _flows_at(flows, size), time)
    hinted = Hinted(*(window.cut(pad_to_multiple(marks, MULTIPLE)) for marks in hinted))
    landed = LandedHints(*(window.cut(pad_to_multiple(planes, MULTIPLE)) for planes in landed))
    return weight_of_hints(hinted, landed, motion)


def _splat_both(frames: tuple[Tensor, Tensor], flows: FlowPair, time: Tensor) -> SplattedPair:
    assert flows.z0 is not None
    assert flows.z1 is not None
    return (
        splat_frame(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), time),
        splat_frame(frames[1], flows.flow10, flows.z1, confidence_of(flows.z1), 1 - time),
    )
