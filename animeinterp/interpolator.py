"""From two frames to the frame between them: analyze → motion → render.

    analyze(frame)    → Analysis  once per frame: color segments, their descriptors, network features
    motion(a0, a1)    → Motion    once per pair: matches, coarse flow, refined flow, importance
    render(motion, t) → frame     once per new frame

This is the only place that joins `sgm/` (numpy) and `net/` (torch). Segmentation and matching work on an image of at
most `Options.working_pixels`; flow is refined and frames are drawn at the size of the frame.
"""

from __future__ import annotations

from typing import Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.builder import Networks
from animeinterp.confidence import confidence_at
from animeinterp.config import LineArtMode, LineStyle, Options, Preset, scale_style
from animeinterp.errors import UsageError
from animeinterp.flow import resize_flow
from animeinterp.frame import (
    AnyFrame,
    RGBImage,
    at_working_size,
    check_frame,
    check_pair,
    check_time,
    copied,
    from_planes,
    has_alpha,
    rgb8,
    to_planes,
)
from animeinterp.hinting import follow_arcs, follow_hints, matches_of_hints, reached_by_arcs, trust_hints
from animeinterp.hints import Hints
from animeinterp.line_art import shade_lines
from animeinterp.mattes import (
    Region,
    crop,
    cross_fade,
    differing,
    embed,
    find_window,
    level_of,
    moving_hull,
    surround,
    visible_difference,
)
from animeinterp.motion import Analysis, Array, Motion, timed
from animeinterp.net.ops.moving_targets import find_moving_targets
from animeinterp.net.paper.vgg import SegmentDescriptor
from animeinterp.network_runner import Flows, NetworkRunner, RefinedFlows
from animeinterp.segment_matching import CoarseFlows, SegmentMatches, match_segments, matches_of_known_flow
from animeinterp.sgm import descriptors
from animeinterp.sgm.contours import compute_line_map
from animeinterp.sgm.flow_fusion import PairDirection, compute_importances, select_flow_per_segment
from animeinterp.sgm.periodic_pan import estimate_periodic_pan
from animeinterp.sgm.segments import Segments, measure_segments, resolve_style, segment_between_lines

# Levels (1/255). Below, a network repaints static pixels with rounding and its own errors. On the development set LPIPS
# and PSNR are the same with 0, 8 and 24 levels: it is for the static pixels.
_MIN_CHANGE = 8


class Interpolator:
    """Draws frames between frames; made by `load_interpolator`.

    Attributes:
        preset: What it consists of.
        options: How it is run; see `with_options`.
        device: Where the networks run.
        precision: Of the networks, `fp32` or `bf16`: what `Options.precision` means here.
        learned: The modules whose weights decide pixels; None where there is none.
    """

    def __init__(
        self,
        preset: Preset,
        options: Options | None = None,
        network: Networks | None = None,
        descriptor: SegmentDescriptor | None = None,
        device: str = "cpu",
    ) -> None:
        """Join the parts.

        Args:
            preset: What it consists of.
            options: How it is run.
            network: The learned half; None where the preset has none.
            descriptor: VGG features for matching; None takes `animeinterp.sgm.descriptors`, which needs no weights.
            device: Where the networks are.
        """
        self.preset = preset
        self.options = options or Options()
        self._network = network
        self._runner = NetworkRunner(preset, network, device, self.options.precision)
        self.device, self.precision = self._runner.device, self._runner.precision
        self._descriptor = descriptor
        self.learned = network, None if descriptor is None else descriptor.network

    def with_options(self, options: Options) -> Interpolator:
        """Return an interpolator with the same parts and weights but other options."""
        return Interpolator(self.preset, options, self._network, self._descriptor, str(self.device))

    @property
    def accepts_coarse_flow(self) -> bool:
        """Whether known flow may replace matching: true if a network refines the flow of matching alone."""
        return not self._runner.expects_fused_flow

    def __call__(
        self,
        frame0: AnyFrame,
        frame1: AnyFrame,
        t: float = 0.5,
        coarse: CoarseFlows | None = None,
        hints: Hints | None = None,
    ) -> AnyFrame:
        """Draw the frame at time t between two frames of one size, mode and depth.

        Args:
            frame0: See `animeinterp.frame`.
            frame1: Of the same size, mode and depth.
            t: In [0, 1].
            coarse: See `motion`.
            hints: See `motion`.

        Returns:
            A frame like the two.

        Raises:
            UsageError: t is outside [0, 1].
            FrameError: The frames have an unsupported size or mode, or differ in them.
        """
        t = check_time(t)
        for name, frame in (("frame 0", frame0), ("frame 1", frame1)):
            check_frame(frame, self.options.max_pixels, name)
        check_pair(frame0, frame1)
        if t in (0, 1) or np.array_equal(frame0, frame1):
            return copied(frame1 if t == 1 else frame0)
        window = find_window(frame0, frame1) if coarse is None and not hints else None
        if window is not None:
            return surround(self(crop(frame0, window), crop(frame1, window), t), window, frame0, frame1, t)
        analysis0, analysis1 = (self.analyze(frame, segment=coarse is None) for frame in (frame0, frame1))
        return self.render(self.motion(analysis0, analysis1, coarse, hints), t)

    def analyze(
        self,
        frame: AnyFrame,
        style: LineStyle | None = None,
        *,
        segment: bool = True,
        line_art: LineArtMode | None = None,
    ) -> Analysis[AnyFrame]:
        """Find and describe the color segments of a frame, and compute its features.

        Args:
            frame: See `animeinterp.frame`.
            style: Overrides the style of the options.
            segment: False skips segmentation, for frames whose coarse flow is known.
            line_art: Overrides that of the options.

        Returns:
            The analysis.

        Raises:
            FrameError: The frame has an unsupported size or mode.
        """
        check_frame(frame, self.options.max_pixels)
        seconds: dict[str, float] = {}
        planes = to_planes(frame)
        shades = self.preset.sgm.shades_lines and (line_art or self.options.line_art) == "auto"
        shaded = shade_lines(planes, has_alpha(frame)) if shades else None
        working_pixels = round(self.options.working_pixels * self.preset.sgm.pixel_fraction)
        image = at_working_size(rgb8(frame) if shaded is None else shaded, working_pixels)
        if segment:
            segments, described = self._segment(image, style, seconds)
        else:
            segments, described = measure_segments(np.zeros(image.shape[:2], np.int32)), np.zeros((1, 0), np.float32)
        tensor, features = self._runner.tensor(planes), None
        if self._runner.has_network:
            with timed(seconds, "features"):
                seen = None if shaded is None else self._runner.tensor(to_planes(shaded))
                features = self._runner.encode(tensor, seen)
        return Analysis(frame, image, segments, described, tensor, features, seconds, shaded is not None)

    def match(
        self, analysis0: Analysis[AnyFrame], analysis1: Analysis[AnyFrame], hints: Hints | None = None
    ) -> SegmentMatches:
        """Match the segments of two frames: the SGM step on its own, see `animeinterp.segment_matching`."""
        analysis0, analysis1 = self._seen_alike(analysis0, analysis1)
        known = matches_of_hints(hints, analysis0, analysis1) if hints else ()
        return match_segments(analysis0, analysis1, self.preset.sgm.deformation, known)

    def motion(
        self,
        analysis0: Analysis[AnyFrame],
        analysis1: Analysis[AnyFrame],
        coarse: CoarseFlows | None = None,
        hints: Hints | None = None,
    ) -> Motion[AnyFrame]:
        """Match the segments of two frames and refine the flow between them.

        Args:
            analysis0: Frame 0.
            analysis1: Frame 1.
            coarse: Known flow 0→1 and 1→0 in place of matching, for models that `accepts_coarse_flow`: float32
                (2, h, w), finite, x first, px of that size, 0 = unknown; resized to working size.
            hints: Pairs of points that belong together, px of the frame.

        Returns:
            How the frames move into each other.

        Raises:
            FrameError: The frames do not fit together.
            UsageError: The coarse flow does not fit, or the hints lie outside the frames or contradict each other.
        """
        check_pair(analysis0.frame, analysis1.frame)
        if hints and coarse is not None:
            raise UsageError("hints steer matching, which known coarse flow replaces; leave one of them out")
        analysis0, analysis1 = self._seen_alike(analysis0, analysis1)
        if coarse is None:
            matches = self.match(analysis0, analysis1, hints)
        elif self.accepts_coarse_flow:
            matches = matches_of_known_flow(analysis0, analysis1, coarse)
        else:
            raise UsageError(f"model {self.preset.name!r} takes no coarse flow; leave it out")
        window = find_window(analysis0.frame, analysis1.frame)
        if window is not None:
            return self._motion_inside(window, matches, (coarse, hints), analysis0, analysis1)
        seconds = dict(matches.seconds)
        with timed(seconds, "refined flow"):
            proposal = self._runner.propose(analysis0, analysis1)
            fused = self._fuse(analysis0, analysis1, matches, proposal)
        hinted = None
        if hints:
            with timed(seconds, "hints"):
                matches, fused, hinted = follow_hints(hints, analysis0, analysis1, matches, fused)
        flows, importances, state = self._refine(analysis0, analysis1, fused, seconds)
        importances = trust_hints(importances, hinted, fused[0].shape[2])
        return reached_by_arcs(Motion(
            analysis0, analysis1, matches.match01, matches.match10, matches.coarse01.flow, matches.coarse10.flow,
            *flows, *importances, moving_hull(analysis0.frame, analysis1.frame), seconds,
            proposed=None if proposal is None else proposal.flows,
            state=state if proposal is None else proposal.state, hinted=hinted,
        ))  # fmt: skip

    @overload
    def render(self, motion: Motion[AnyFrame], t: float, *, with_confidence: Literal[False] = False) -> AnyFrame: ...

    @overload
    def render(
        self, motion: Motion[AnyFrame], t: float, *, with_confidence: Literal[True]
    ) -> tuple[AnyFrame, Array]: ...

    def render(
        self, motion: Motion[AnyFrame], t: float, *, with_confidence: bool = False
    ) -> AnyFrame | tuple[AnyFrame, Array]:
        """Draw the frame at time t.

        t = 0 and t = 1 give the frames themselves. Pixels that are equal in both frames and that nothing moving reaches
        are copied; outside all motion, nearly equal pixels are cross-faded.

        Args:
            motion: Of this interpolator.
            t: In [0, 1].
            with_confidence: Also tell how far each pixel can be relied on, see `animeinterp.confidence`.

        Returns:
            A frame in the size, mode and depth of the frames; with its confidence, float32 (H, W) in [0, 1], if wanted.

        Raises:
            UsageError: t is outside [0, 1].
        """
        t = check_time(t)
        drawn = self._render(motion, t)
        return (drawn, self.confidence(motion, t)) if with_confidence else drawn

    def confidence(self, motion: Motion, t: float) -> Array:
        """Tell how far each pixel of the frame at t can be relied on, without drawing it: float32 (H, W) in [0, 1]."""
        return confidence_at(follow_arcs(motion, t), t)

    def _render(self, motion: Motion[AnyFrame], t: float) -> AnyFrame:
        frame0, frame1 = motion.analysis0.frame, motion.analysis1.frame
        if t in (0, 1) or np.array_equal(frame0, frame1):
            return copied(frame1 if t == 1 else frame0)
        if motion.inner is not None and motion.window is not None:
            return surround(self._render(motion.inner, t), motion.window, frame0, frame1, t)
        motion = follow_arcs(motion, t)
        new = find_moving_targets(((motion.flow01, motion.flow10), motion.proposed), t) & motion.moving
        new |= differing(frame0, frame1)
        drawn = from_planes(self._runner.draw(motion, t, new), frame0)
        new |= motion.moving & (visible_difference(drawn, frame0) >= _MIN_CHANGE * level_of(frame0))
        faded = new & ~motion.moving
        if faded.any():
            cross_fade(drawn, faded, frame0, frame1, t)
        cv2.copyTo(frame0, (~new).view(np.uint8), drawn)  # numpy's copyto takes ten times as long
        return drawn

    def warped(self, motion: Motion[AnyFrame], t: float) -> tuple[AnyFrame, AnyFrame]:
        """Warp each frame alone to time t in [0, 1]; holes are black (transparent, if there is alpha)."""
        frame = motion.analysis0.frame
        if motion.inner is not None and motion.window is not None:
            whole = copied(frame), copied(motion.analysis1.frame)
            whole[0][motion.window], whole[1][motion.window] = self.warped(motion.inner, t)
            return whole
        t = check_time(t)
        planes0, planes1 = self._runner.warp(follow_arcs(motion, t) if 0 < t < 1 else motion, t)
        return from_planes(planes0, frame), from_planes(planes1, frame)

    def _segment(
        self, image: RGBImage, style: LineStyle | None, seconds: dict[str, float]
    ) -> tuple[Segments, NDArray[np.float32]]:
        with timed(seconds, "contours"):
            style = style or resolve_style(image, self.options.style)
            fillable = compute_line_map(image, scale_style(style, self.preset.sgm.pixel_fraction))
        with timed(seconds, "segments"):
            segments = segment_between_lines(image, fillable, style)
        with timed(seconds, "descriptors"):
            if self._descriptor is None:
                return segments, descriptors.describe(image, segments)
            return segments, self._descriptor.describe(image, segments.labels, len(segments))

    def _seen_alike(
        self, analysis0: Analysis[AnyFrame], analysis1: Analysis[AnyFrame]
    ) -> tuple[Analysis[AnyFrame], Analysis[AnyFrame]]:
        """Analyze a frame again that was shaded or segmented in another way than the other: they would not match."""
        if analysis0.is_line_drawing and not analysis1.is_line_drawing:
            analysis0 = self.analyze(analysis0.frame, line_art="off")
        elif analysis1.is_line_drawing and not analysis0.is_line_drawing:
            analysis1 = self.analyze(analysis1.frame, line_art="off")
        if analysis1.segments.style != analysis0.segments.style:
            line_art: LineArtMode = "auto" if analysis1.is_line_drawing else "off"
            analysis1 = self.analyze(analysis1.frame, analysis0.segments.style, line_art=line_art)
        return analysis0, analysis1

    def _motion_inside(
        self,
        window: Region,
        matches: SegmentMatches,
        known: tuple[CoarseFlows | None, Hints | None],
        analysis0: Analysis[AnyFrame],
        analysis1: Analysis[AnyFrame],
    ) -> Motion[AnyFrame]:
        """Find the motion inside a fixed matte, analyzed as if the frame ended there; outside flow is 0."""
        frames, size = (analysis0.frame, analysis1.frame), analysis0.frame.shape[:2]
        coarse, hints = known
        if coarse is not None:
            flow01, flow10 = (resize_flow(flow, size)[:, *window] for flow in coarse)
            coarse = np.ascontiguousarray(flow01), np.ascontiguousarray(flow10)
        inner0, inner1 = (self.analyze(crop(frame, window), segment=coarse is None) for frame in frames)
        inner = self.motion(inner0, inner1, coarse, hints and hints.inside(window))
        flow01, flow10 = (embed(flow, window, size, 0) for flow in (inner.flow01, inner.flow10))
        importance0, importance1 = (embed(plane, window, size, 1) for plane in (inner.importance0, inner.importance1))
        return Motion(
            analysis0, analysis1, matches.match01, matches.match10, matches.coarse01.flow, matches.coarse10.flow,
            flow01, flow10, importance0, importance1, moving_hull(*frames), matches.seconds | inner.seconds,
            inner, window,
        )  # fmt: skip

    def _fuse(
        self, analysis0: Analysis, analysis1: Analysis, matches: SegmentMatches, proposal: RefinedFlows | None
    ) -> Flows:
        """Select flow per segment, where a network or the preset without one expects dense flow; at working size."""
        if self.accepts_coarse_flow:
            return matches.coarse01.flow, matches.coarse10.flow
        images = analysis0.working_image, analysis1.working_image
        pan = estimate_periodic_pan(*images, analysis0.segments, analysis1.segments)
        size = images[0].shape[:2]
        proposed = [None, None] if proposal is None else [resize_flow(flow, size) for flow in proposal.flows]
        direction01 = PairDirection(*images, analysis0.segments, matches.coarse01)
        direction10 = PairDirection(*images[::-1], analysis1.segments, matches.coarse10)
        preset = self.preset.sgm.dis_preset
        return (
            select_flow_per_segment(direction01, pan, preset, proposed[0]),
            select_flow_per_segment(direction10, None if pan is None else -pan, preset, proposed[1]),
        )

    def _refine(
        self, analysis0: Analysis, analysis1: Analysis, fused: Flows, seconds: dict[str, float]
    ) -> tuple[Flows, Flows, Any]:
        """Bring flow to the size of the frame, refine it, and find its importance: flows, importances, state."""
        size, images = analysis0.frame.shape[:2], (analysis0.working_image, analysis1.working_image)
        coarse = resize_flow(fused[0], size), resize_flow(fused[1], size)
        if self.accepts_coarse_flow:
            with timed(seconds, "refined flow"):
                flows = self._runner.refine(analysis0, analysis1, coarse, None).flows
            with timed(seconds, "importance"):
                working_size = images[0].shape[:2]
                small = resize_flow(flows[0], working_size), resize_flow(flows[1], working_size)
                return flows, compute_importances(images, small, size), None
        with timed(seconds, "importance"):
            importances = compute_importances(images, fused, size)
        if not self._runner.has_network:
            return coarse, importances, None
        with timed(seconds, "refined flow"):
            refined = self._runner.refine(analysis0, analysis1, coarse, importances)
        return refined.flows, refined.importances or importances, refined.state
