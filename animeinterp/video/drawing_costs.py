"""Measure what drawing a film costs with a model: some pairs are drawn in one thread, and scaled by what moves.

Analysis works on at most `Options.working_pixels`, and without a network so does motion; everything else takes time in
proportion to the pixels that are interpolated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING

from animeinterp.config import PaperConfig, StudioConfig
from animeinterp.frame import MIN_SIDE, Frame
from animeinterp.mattes import surround
from animeinterp.runtime.threads import single_threaded_workers
from animeinterp.video.sampling import DrawingPair, FilmSample

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

_TIMES = 1 / 3, 2 / 3


@dataclass(frozen=True, slots=True)
class TimingLimits:
    """How much is drawn to estimate times.

    By hand, so that all presets take about a minute on one slow core at 1920x1080.

    Attributes:
        seconds: Time after which no further pair is drawn with a preset, s.
        warm_up_pixels: Pixels of the part of a pair that is drawn first, because the first pair compiles and loads.
        large_network_pixels: Networks that take minutes for a large frame are timed on a part of this many pixels.
        encoded_pairs: Pairs whose frames are encoded, at most.
    """

    seconds: float = 6.0
    warm_up_pixels: int = 256 * 144
    large_network_pixels: int = 640 * 360
    encoded_pairs: int = 4


TIMING_LIMITS = TimingLimits()


@dataclass(slots=True)
class DrawingCosts:
    """What drawing takes in one thread. Stages are analysis of a drawing, motion of a pair, rendering of a frame.

    Attributes:
        working_pixels: Pixels at which a limited stage works, at most.
        pairs: Pairs that were drawn.
        sequences: For some of them: the first drawing, the frames between, and twice the second drawing.
        seconds: Time of each stage, sum of all pairs, s.
        pixels: Pixels of each stage, likewise.
        limited: Whether each stage works on `working_pixels` at most.
    """

    working_pixels: float
    pairs: int = 0
    sequences: list[list[Frame]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0] * 3)
    pixels: list[float] = field(default_factory=lambda: [0.0] * 3)
    limited: tuple[bool, bool, bool] = (True, False, False)

    def count(self, pixels: int) -> list[float]:
        """Return the pixels that each stage works on: some work at a smaller size at most."""
        return [min(pixels, self.working_pixels) if limited else pixels for limited in self.limited]

    def add(self, pixels: int, seconds: Sequence[float]) -> None:
        """Add a pair; `seconds` of one analysis, the motion and rendering one frame."""
        self.pairs += 1
        self.seconds = [total + more for total, more in zip(self.seconds, seconds, strict=True)]
        self.pixels = [total + more for total, more in zip(self.pixels, self.count(pixels), strict=True)]

    def draw(self, sample: FilmSample, frames: int) -> float:
        """Estimate the time to draw what is new in `frames` frames, s."""
        if not self.pairs or not sample.searched:
            return 0.0
        analysis, motion, render = (s / p for s, p in zip(self.seconds, self.pixels, strict=True))
        counts = [(self.count(pixels), analyses) for pixels, analyses in sample.searched]
        per_pair = fmean(analyses * analysis * count[0] + motion * count[1] for count, analyses in counts)
        per_frame = fmean(render * count[2] for count, _ in counts)
        return frames * (sample.pairs * per_pair + sample.drawn * per_frame)


def time_drawing(
    interpolator: Interpolator,
    sample: FilmSample,
    flow_scale: float,
    limits: TimingLimits = TIMING_LIMITS,
) -> DrawingCosts:
    """Draw pairs of a film, first those of which as much moves as on average.

    Args:
        interpolator: The model.
        sample: The film's sample; its kept pairs are drawn.
        flow_scale: See `VideoOptions`.
        limits: How much is drawn.
    """
    working = max(1, round(interpolator.options.working_pixels * flow_scale**2))
    interpolator = interpolator.with_options(replace(interpolator.options, working_pixels=working))
    network = interpolator.preset.network
    costs = DrawingCosts(working, limited=(True, network is None, False))
    if not sample.kept:
        return costs
    is_large = isinstance(network, PaperConfig | StudioConfig)
    mean = fmean(pixels for pixels, _ in sample.searched)
    pairs = sorted(sample.kept, key=lambda pair: abs(pair.pixels - mean))
    with single_threaded_workers():
        _draw_pair(interpolator, _central_part(pairs[0], limits.warm_up_pixels))
        began = time.monotonic()
        for pair in pairs:
            part = _central_part(pair, limits.large_network_pixels) if is_large else pair
            seconds, drawn = _draw_pair(interpolator, part)
            costs.add(part.pixels, seconds)
            if not is_large and len(costs.sequences) < limits.encoded_pairs:
                costs.sequences.append([pair.frame0, *drawn, pair.frame1, pair.frame1])
            if time.monotonic() - began > limits.seconds:
                break
    return costs


def _draw_pair(interpolator: Interpolator, pair: DrawingPair) -> tuple[list[float], list[Frame]]:
    """Draw two frames of a pair; return the time of an analysis, of the motion and of a frame, s, and the frames."""
    clock = [time.perf_counter()]
    first, second = (interpolator.analyze(frame) for frame in pair.cropped())
    clock.append(time.perf_counter())
    motion = interpolator.motion(first, second)
    clock.append(time.perf_counter())
    drawn = [interpolator.render(motion, t) for t in _TIMES]
    clock.append(time.perf_counter())
    if pair.region is not None:
        drawn = [
            surround(frame, pair.region, pair.frame0, pair.frame1, t) for frame, t in zip(drawn, _TIMES, strict=True)
        ]
    seconds = [(clock[1] - clock[0]) / 2, clock[2] - clock[1], (clock[3] - clock[2]) / len(_TIMES)]
    return seconds, drawn


def _central_part(pair: DrawingPair, pixels: int) -> DrawingPair:
    """Return the center of what is interpolated of a pair, of about this many pixels."""
    frames = pair.cropped()
    height, width = frames[0].shape[:2]
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    rows, columns = (min(side, max(MIN_SIDE, round(side * scale))) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    parts = [frame[top : top + rows, left : left + columns].copy() for frame in frames]
    return DrawingPair(parts[0], parts[1], None, partial=False)
