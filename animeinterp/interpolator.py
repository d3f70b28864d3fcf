"""The straight line from two frames to the frame between: analyze → motion → render.

    analyze(frame)   → Analysis   once per frame: color segments, their descriptors, network features
    motion(a0, a1)   → Motion     once per pair: matches, coarse flow, refined flow, importance
    render(motion, t) → frame     once per new frame

This is the only place that joins `sgm/` (numpy) and `net/` (torch). Segmentation and matching work on a copy of the
frame of at most `Options.working_pixels`; rendering works on the frame as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.builder import Networks, build_network, try_out, wrap
from animeinterp.coarse_flow import CoarseFlows, given_flow, match_segments
from animeinterp.config import DEFAULT_PRESET, PRESETS, LineStyle, ModelConfig, Options, scale_style
from animeinterp.device import choose_device, has_fast_bf16
from animeinterp.errors import DeviceWarning, UsageError
from animeinterp.flow import resize, resize_flow
from animeinterp.frame import (
    AnyFrame,
    Frame,
    at_working_size,
    check_frame,
    check_pair,
    check_time,
    copied,
    from_planes,
    rgb8,
    to_planes,
)
from animeinterp.mattes import Region, crop, find_window, mix, moving_hull, surround
from animeinterp.motion import Analysis, Motion, timed
from animeinterp.net.adapters import FrameFeatures, Moved
from animeinterp.net.classical import Warped, compose, warp
from animeinterp.net.ops.splat_cpu import mark_moving_targets
from animeinterp.net.paper.vgg import SegmentDescriptor, load_vgg
from animeinterp.sgm import descriptors as appearance
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.contours import compute_line_map
from animeinterp.sgm.flow_fusion import PairDirection, compute_importance, select_flow_per_segment
from animeinterp.sgm.periodic_pan import estimate_periodic_pan
from animeinterp.sgm.segments import Segments, measure_segments, resolve_style, segment_between_lines
from animeinterp.weights.loading import load_weights
from animeinterp.weights.locations import weight_files

STATIC_THRESHOLD_PX = 0.5  # px; slower pixels do not count as moving when untouched pixels are kept


class _Found(NamedTuple):
    """What is found of a pair, there and back, at the size of the frame; see `Motion`.

    flows: float32 (2, H, W). importances: float32 (H, W), none where they are to be found by rule.
    """

    flows: list[NDArray[np.float32]]
    importances: list[NDArray[np.float32]]
    second: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    state: Any = None


class Interpolator:
    """Draws frames between frames; made by `load_interpolator`.

    config: the architecture. options: how it is run. network: the learned half, None where `config` needs none.
    descriptor: VGG features for matching; None takes `animeinterp.sgm.descriptors`, which needs no weights.
    """

    def __init__(
        self,
        config: ModelConfig,
        options: Options | None = None,
        network: Networks | None = None,
        descriptor: SegmentDescriptor | None = None,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.options = options or Options()
        self.device = torch.device(device)
        self._network = None if network is None else wrap(network)
        self._descriptor = descriptor
        self.learned = network, None if descriptor is None else descriptor.network  # whose weights decide pixels

    @property
    def accepts_coarse_flow(self) -> bool:
        """Whether flow can be given in place of matching: where a network refines what matching alone says."""
        return self._network is not None and not self._network.fused

    def __call__(
        self, frame0: AnyFrame, frame1: AnyFrame, t: float = 0.5, coarse: CoarseFlows | None = None
    ) -> AnyFrame:
        """The frame at time t in [0, 1] between two frames of one size, mode and depth. coarse: see `motion`.

        Raises UsageError for a t outside [0, 1], FrameError for frames of an unsupported size or mode.
        """
        t = check_time(t)
        for name, frame in (("frame 0", frame0), ("frame 1", frame1)):
            check_frame(frame, self.options.max_pixels, name)
        check_pair(frame0, frame1)
        if t in (0, 1) or np.array_equal(frame0, frame1):
            return copied(frame1 if t == 1 else frame0)
        window = find_window(frame0, frame1) if coarse is None else None
        if window is not None:
            return surround(self(crop(frame0, window), crop(frame1, window), t), window, frame0, frame1, t)
        analysis0, analysis1 = (self.analyze(frame, segment=coarse is None) for frame in (frame0, frame1))
        return self.render(self.motion(analysis0, analysis1, coarse), t)

    def analyze(self, frame: AnyFrame, style: LineStyle | None = None, *, segment: bool = True) -> Analysis[AnyFrame]:
        """Find and describe the color segments of a frame. style: instead of that of the options.

        segment: False looks for none, which is enough where `motion` is given the coarse flow. Raises FrameError for
        frames of an unsupported size or mode.
        """
        check_frame(frame, self.options.max_pixels)
        seconds: dict[str, float] = {}
        picture = at_working_size(rgb8(frame), round(self.options.working_pixels * self.config.sgm_pixel_fraction))
        if segment:
            segments, descriptors = self._segment(picture, style, seconds)
        else:
            segments, descriptors = (
                measure_segments(np.zeros(picture.shape[:2], np.int32)),
                np.zeros((1, 0), np.float32),
            )
        features = None
        if self._network is not None:
            with timed(seconds, "features"), self._inference():
                features = self._network.see(self._planes(frame))
        return Analysis(frame, picture, segments, descriptors, features, seconds)

    def motion(
        self, analysis0: Analysis[AnyFrame], analysis1: Analysis[AnyFrame], coarse: CoarseFlows | None = None
    ) -> Motion[AnyFrame]:
        """Match the segments of two frames and find the flow between them.

        coarse: flow from frame 0 to 1 and back, known before, in place of matching, for models that
        `accepts_coarse_flow`:
        float32 (2, h, w), finite, x first, px of that size, 0 = nothing; resized to working size. Raises FrameError if
        the frames do not fit, UsageError if the flow does not.
        """
        check_pair(analysis0.frame, analysis1.frame)
        seconds: dict[str, float] = {}
        if coarse is None:
            if analysis0.segments.style != analysis1.segments.style:
                # Segments found in two ways would not match.
                analysis1 = self.analyze(analysis1.frame, analysis0.segments.style)
            (match01, match10), guidances = match_segments(self.config.deformation, analysis0, analysis1, seconds)
        else:
            if not self.accepts_coarse_flow:
                raise UsageError(f"model {self.config.name!r} takes no coarse flow; leave it out")
            (match01, match10), guidances = given_flow(analysis0, analysis1, coarse)
        frames = analysis0.frame, analysis1.frame
        window, inner, second, state = find_window(*frames), None, None, None
        if window is None:
            flows, importances, second, state = self._flows(analysis0, analysis1, guidances, seconds)
        else:
            inner = self._within(window, frames, coarse)
            flows = [_placed(flow, window, frames[0], 0) for flow in (inner.flow01, inner.flow10)]
            importances = [_placed(plane, window, frames[0], 1) for plane in (inner.importance0, inner.importance1)]
            seconds |= inner.seconds
        return Motion(
            analysis0, analysis1, match01, match10, guidances[0].flow, guidances[1].flow, flows[0], flows[1],
            importances[0], importances[1], moving_hull(*frames), seconds, inner, window, second, state,
        )  # fmt: skip

    def _within(
        self, window: Region, frames: tuple[AnyFrame, AnyFrame], coarse: CoarseFlows | None
    ) -> Motion[AnyFrame]:
        """The motion of the picture inside a matte, analyzed as if the image ended there."""
        if coarse is not None:
            there, back = (resize_flow(flow, frames[0].shape[:2])[:, *window] for flow in coarse)
            coarse = np.ascontiguousarray(there), np.ascontiguousarray(back)
        first, second = (self.analyze(crop(frame, window), segment=coarse is None) for frame in frames)
        return self.motion(first, second, coarse)

    def _flows(
        self, analysis0: Analysis, analysis1: Analysis, guidances: list[CoarseFlow], seconds: dict[str, float]
    ) -> _Found:
        """Dense flow in both directions at the size of the frame, and what else rendering needs."""
        pictures = analysis0.picture, analysis1.picture
        directions = (
            PairDirection(*pictures, analysis0.segments, guidances[0]),
            PairDirection(*pictures[::-1], analysis1.segments, guidances[1]),
        )
        with timed(seconds, "refined flow"):
            fused = self._network is None or self._network.fused
            slide = estimate_periodic_pan(*pictures, analysis0.segments, analysis1.segments) if fused else None
            slides = slide, None if slide is None else -slide
            second, state = self._propose(analysis0, analysis1)
            small = [guidance.flow for guidance in guidances]
            if fused:
                size = pictures[0].shape[:2]
                proposed = [None, None] if second is None else [resize_flow(flow, size) for flow in second]
                small = [
                    select_flow_per_segment(directions[i], slides[i], self.config.dis_preset, proposed[i])
                    for i in (0, 1)
                ]
        with timed(seconds, "importance"):
            trust = [compute_importance(directions[i], small[i], small[1 - i]) for i in (0, 1)]
        size = analysis0.frame.shape[:2]
        flows, importances = [resize_flow(flow, size) for flow in small], [resize(plane, size) for plane in trust]
        if self._network is None:
            return _Found(flows, importances)
        with timed(seconds, "refined flow"):
            found = self._refine(analysis0, analysis1, flows, importances)
        if found.importances:
            return found._replace(second=second, state=state)
        small = [resize_flow(flow, pictures[0].shape[:2]) for flow in found.flows]
        own = [resize(compute_importance(directions[i], small[i], small[1 - i]), size) for i in (0, 1)]
        return found._replace(importances=own)

    def render(self, motion: Motion[AnyFrame], t: float) -> AnyFrame:
        """Draw the frame at time t in [0, 1], in the size, mode and depth of the frames.

        t = 0 and t = 1 give the frames themselves. Where both frames are equal and nothing that moves passes, the
        result is equal too; beyond all that moves, frames that are nearly equal are cross-faded. Raises UsageError for
        a t outside [0, 1].
        """
        t = check_time(t)
        frame0, frame1 = motion.analysis0.frame, motion.analysis1.frame
        if t in (0, 1) or np.array_equal(frame0, frame1):
            return copied(frame1 if t == 1 else frame0)
        if motion.inner is not None and motion.window is not None:
            return surround(self.render(motion.inner, t), motion.window, frame0, frame1, t)
        new = self._something_moves(motion, t) & motion.moving
        differs = frame0 != frame1
        new |= differs if differs.ndim == 2 else np.logical_or.reduce(differs, 2)
        with self._inference():
            planes = self._draw(motion, t, new)[0].float().cpu().numpy()
        faded = new & ~motion.moving
        if faded.any():
            np.copyto(planes, mix(frame0, frame1, t), where=faded)
        drawn = from_planes(planes, frame0)
        np.copyto(drawn, frame0, where=~(new if frame0.ndim == 2 else new[..., None]))
        return drawn

    def warped(self, motion: Motion[AnyFrame], t: float) -> tuple[AnyFrame, AnyFrame]:
        """Each frame alone, moved to time t; black (transparent, if there is alpha) where nothing arrives."""
        frame = motion.analysis0.frame
        if motion.inner is not None and motion.window is not None:
            moved = copied(frame), copied(motion.analysis1.frame)
            for whole, part in zip(moved, self.warped(motion.inner, t), strict=True):
                whole[motion.window] = part
            return moved
        with self._inference():
            warped = self._warp(motion, check_time(t))
        first, second = (from_planes(w.planes[0].float().cpu().numpy(), frame) for w in warped)
        return first, second

    def _segment(
        self, picture: NDArray[np.uint8], style: LineStyle | None, seconds: dict[str, float]
    ) -> tuple[Segments, NDArray[np.float32]]:
        with timed(seconds, "contours"):
            style = style or resolve_style(picture, self.options.style)
            fillable = compute_line_map(picture, scale_style(style, self.config.sgm_pixel_fraction))
        with timed(seconds, "segments"):
            segments = segment_between_lines(picture, fillable, style)
        with timed(seconds, "descriptors"):
            if self._descriptor is None:
                return segments, appearance.describe(picture, segments)
            return segments, self._descriptor.describe(picture, segments.labels, len(segments))

    def _propose(
        self, analysis0: Analysis, analysis1: Analysis
    ) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]] | None, Any]:
        """Flow at the size of the frame that the network finds without coarse flow, if it does, and its state."""
        if self._network is None:
            return None, None
        with self._inference():
            proposal = self._network.propose(self._side(analysis0), self._side(analysis1))
        return (
            (None, None) if proposal is None else ((_array(proposal.flow01), _array(proposal.flow10)), proposal.state)
        )

    def _refine(
        self,
        analysis0: Analysis,
        analysis1: Analysis,
        coarse: list[NDArray[np.float32]],
        trust: list[NDArray[np.float32]],
    ) -> _Found:
        """The network's flows and importances at the size of the frame; no importances where it has none."""
        assert self._network is not None
        sides = self._side(analysis0), self._side(analysis1)
        starts = self._tensor(coarse[0]), self._tensor(coarse[1])
        trusts = self._tensor(trust[0][None]), self._tensor(trust[1][None])
        with self._inference():
            moved = self._network.flows(*sides, starts, trusts)
        known = moved.importance0 is not None and moved.importance1 is not None
        importances = [_array(plane)[0] for plane in (moved.importance0, moved.importance1) if plane is not None]
        return _Found([_array(moved.flow01), _array(moved.flow10)], importances if known else [])

    def _side(self, analysis: Analysis) -> FrameFeatures:
        if analysis.features is None:
            raise UsageError("this analysis holds no network features; make it with this interpolator's analyze")
        return FrameFeatures(self._planes(analysis.frame), analysis.features)

    def _draw(self, motion: Motion, t: float, where: NDArray[np.bool_]) -> Tensor:
        """The planes at t, (1, C, H, W); of what lies outside of `where`, (H, W), not all networks draw anything."""
        if self._network is None:
            warped0, warped1 = self._warp(motion, t)
            return compose(
                self._planes(motion.analysis0.frame), self._planes(motion.analysis1.frame), warped0, warped1, t
            )
        moved = Moved(
            self._tensor(motion.flow01),
            self._tensor(motion.flow10),
            self._tensor(motion.importance0[None]),
            self._tensor(motion.importance1[None]),
            state=motion.state,
        )
        sides = self._side(motion.analysis0), self._side(motion.analysis1)
        return self._network.draw(*sides, moved, t, torch.from_numpy(where)[None, None].to(self.device))

    def _warp(self, motion: Motion, t: float) -> tuple[Warped, Warped]:
        mode = self.config.splat
        planes0, planes1 = (self._planes(a.frame) for a in (motion.analysis0, motion.analysis1))
        trust0, trust1 = self._tensor(motion.importance0[None]), self._tensor(motion.importance1[None])
        return (
            warp(planes0, self._tensor(motion.flow01), trust0, t, mode),
            warp(planes1, self._tensor(motion.flow10), trust1, 1 - t, mode),
        )

    def _something_moves(self, motion: Motion, t: float) -> NDArray[np.bool_]:
        """Where a moving pixel of either frame arrives at time t: bool (H, W)."""
        arrives = np.zeros(motion.flow01.shape[1:], np.bool_)
        for flow01, flow10 in ((motion.flow01, motion.flow10), *([motion.second] if motion.second else [])):
            mark_moving_targets(flow01, t, STATIC_THRESHOLD_PX, arrives)
            mark_moving_targets(flow10, 1 - t, STATIC_THRESHOLD_PX, arrives)
        return arrives

    def _planes(self, frame: Frame) -> Tensor:
        return self._tensor(to_planes(frame))

    def _tensor(self, planes: NDArray[np.float32]) -> Tensor:
        """(C, H, W) → (1, C, H, W) on the device."""
        return torch.from_numpy(planes)[None].to(self.device)

    @contextmanager
    def _inference(self) -> Iterator[None]:
        precision = self.options.precision
        # On a CPU the smaller networks hardly gain by it.
        worth_it = self.device.type == "cuda" or self.config.synthesis == "restored"
        bf16 = precision == "bf16" or (precision == "auto" and worth_it and has_fast_bf16(self.device.type))
        # Not every device has autocast, even if it is not enabled.
        precise = nullcontext() if not bf16 else torch.autocast(self.device.type, torch.bfloat16)
        with torch.inference_mode(), precise:
            yield


def load_interpolator(
    model: str = "default",
    device: str = "auto",
    *,
    weights: Path | str | None = None,
    vgg: Path | str | None = None,
    options: Options | None = None,
) -> Interpolator:
    """Build an interpolator: presets, weights and device are joined here and nowhere else.

    model: a preset, see `available_models`, or `default`. device: `auto` (a GPU if there is one), `cpu`, `cuda`, …
    weights: the network's, for presets that have one, instead of those that come with the package or, for `studio`,
    that `animeinterp weights get studio` put on this machine. vgg: VGG-19 weights in torchvision's layout, to match
    segments by; without them segments are matched by descriptors that need none.
    Raises UsageError for an unknown preset or device, FileError and WeightsError for weights that do not load.
    """
    name = DEFAULT_PRESET if model == "default" else model
    if name not in PRESETS:
        raise UsageError(f"expected a model out of {', '.join(PRESETS)}, got {model!r}")
    files = weight_files(name, weights)
    config, place = PRESETS[name], choose_device(device)
    network = build_network(config)
    if network is not None:
        network = network.eval().requires_grad_(False)
        for part, path in files.items():
            load_weights(network.get_submodule(part), path, name)
        network = network.to(place)
    descriptor = None if vgg is None else SegmentDescriptor(load_vgg(vgg).to(place))
    refusal = try_out(network, config.splat, place)
    if refusal and device == "auto":
        warnings.warn(f"the GPU ({place}) cannot draw: {refusal}; the CPU does", DeviceWarning, stacklevel=2)
        return load_interpolator(model, "cpu", weights=weights, vgg=vgg, options=options)
    if refusal:
        raise UsageError(f"device {device!r} cannot draw: {refusal}; use --device cpu")
    return Interpolator(config, options, network, descriptor, place)


def _placed(plane: NDArray[np.float32], window: Region, frame: Frame, rest: float) -> NDArray[np.float32]:
    """(…, h, w) of a window → (…, H, W) of the frame."""
    whole = np.full((*plane.shape[:-2], *frame.shape[:2]), rest, np.float32)
    whole[..., *window] = plane
    return whole


def _array(planes: Tensor) -> NDArray[np.float32]:
    """(1, C, H, W) → (C, H, W) on the CPU."""
    return np.asarray(planes[0].float().cpu().numpy())
