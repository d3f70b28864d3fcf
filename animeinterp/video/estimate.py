"""Estimate what a film will take before it is made: drawings, new frames, time with each preset, size.

Parts of the film are read (`animeinterp.video.sampling`), pairs of its drawings are drawn in one thread and some frames
are encoded; the rest is multiplication. Times are those of this machine at this moment: a busy one makes them longer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from animeinterp.config import PRESETS, PaperConfig, StudioConfig
from animeinterp.errors import AnimeInterpError, FileError
from animeinterp.frame import Frame
from animeinterp.mattes import surround
from animeinterp.pairs import ModelChoice, choose_workers
from animeinterp.runtime.machine import available_cores
from animeinterp.runtime.threads import single_threaded_workers
from animeinterp.video.cadence.cut_list import parse_cuts
from animeinterp.video.compare import comparison_frame
from animeinterp.video.film_list import FilmJob, list_jobs
from animeinterp.video.films import FilmPlan, plan_films
from animeinterp.video.options import VideoOptions
from animeinterp.video.sampling import DrawingPair, FilmSample, sample_film
from animeinterp.video.sink import segment_store
from animeinterp.video.sink.sizes import EncodedSize, measure_encoding, measure_other_streams
from animeinterp.video.sink.target import Output, plan_output
from animeinterp.video.timeline import HoldPolicy
from animeinterp.weights.locations import weight_files

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
        part: Duration of the parts in which sound is measured, s.
        parts: Number of these parts.
    """

    seconds: float = 6.0
    warm_up_pixels: int = 256 * 144
    large_network_pixels: int = 640 * 360
    encoded_pairs: int = 4
    part: Fraction = Fraction(2)
    parts: int = 5


TIMING_LIMITS = TimingLimits()


@dataclass(frozen=True, slots=True)
class PresetEstimate:
    """What a film takes with a preset.

    Attributes:
        seconds: Time to make the film, s.
        workers: Processes that draw.
        pairs: Pairs of its drawings that were drawn to find that out.
    """

    seconds: float
    workers: int
    pairs: int


@dataclass(frozen=True, slots=True)
class FilmEstimate:
    """What a film takes.

    Attributes:
        source: The film or folder of frames.
        target: The file or folder to make of it.
        state: `new`; `finished`, if an earlier run made it; or `failed`, if it cannot be made.
        error: Why it cannot be made.
        frames: Frames of the new film.
        kept: Those of them that an interrupted run finished, if it is resumed.
        new_frames: Those that are drawn.
        drawings_per_second: Distinct drawings of the source per second.
        sampled_seconds: Duration of the source that was read for these counts, s.
        whole: Whether that is all of it.
        presets: Time by preset.
        size: Size of the new film, bytes.
        encoded_frames: Frames that were encoded to estimate it.
    """

    source: Path
    target: Path
    state: Literal["new", "finished", "failed"]
    error: Exception | None = None
    frames: int = 0
    kept: int = 0
    new_frames: int = 0
    drawings_per_second: float = 0.0
    sampled_seconds: float = 0.0
    whole: bool = False
    presets: dict[str, PresetEstimate] = field(default_factory=dict)
    size: int = 0
    encoded_frames: int = 0


def estimate_films(
    sources: Sequence[Path | str],
    folder: Path | str,
    options: VideoOptions | None = None,
    choices: Sequence[ModelChoice] | None = None,
) -> Iterator[FilmEstimate]:
    """Estimate what `animeinterp.interpolate_films` will take; nothing is written.

    Args:
        sources: Video files, folders of frames and folders of films.
        folder: Where the new films would be put.
        options: What to make of each.
        choices: The models to compare; None takes all presets whose weights are on this machine.

    Returns:
        An estimate for each film, in order; each is made when it is taken.

    Raises:
        UsageError: The options are invalid or fit none of the films, or names clash.
        FileError: A source does not exist.
        WeightsError: A model cannot be loaded.
    """
    return estimate_jobs(list_jobs([Path(source) for source in sources], Path(folder)), options, choices)


def estimate_jobs(
    jobs: Sequence[FilmJob], options: VideoOptions | None = None, choices: Sequence[ModelChoice] | None = None
) -> Iterator[FilmEstimate]:
    """Estimate what films will take; nothing is written.

    Args:
        jobs: The films.
        options: What to make of each.
        choices: The models to compare; None takes all presets whose weights are on this machine.

    Yields:
        An estimate for each film, in order.

    Raises:
        UsageError: The options are invalid or fit none of the films, as when they are made.
        WeightsError: A model cannot be loaded.
    """
    choices = list_installed_models() if choices is None else choices
    loaded: dict[str, Interpolator] = {}
    for plan in plan_films(jobs, options or VideoOptions()):
        job = plan.job
        if plan.finished or plan.error is not None:
            yield FilmEstimate(job.source, job.target, "finished" if plan.finished else "failed", plan.error)
            continue
        try:
            sample, output = _sample(plan)
        except AnimeInterpError as error:
            yield FilmEstimate(job.source, job.target, "failed", error)
            continue
        for choice in choices:
            if choice.preset not in loaded:
                loaded[choice.preset] = choice()
        yield _estimate(plan, sample, output, [(choice, loaded[choice.preset]) for choice in choices])


def list_installed_models(first: ModelChoice | None = None) -> list[ModelChoice]:
    """List the presets whose weights are on this machine, after `first`, with its device and options."""
    first = ModelChoice() if first is None else first
    choices = [first]
    for name in PRESETS:
        with suppress(AnimeInterpError):
            if name != first.preset:
                weight_files(name)
                choices.append(replace(first, model=name, weights=None))
    return choices


def _sample(plan: FilmPlan) -> tuple[FilmSample, Output]:
    """Read parts of a film, and decide how its target is made."""
    options, film, grid = plan.options, plan.film, plan.grid
    assert film is not None
    assert grid is not None
    sound = options.sound
    if sound == "auto":
        sound = "copy" if grid.slow == 1 else "stretch"
    opaque = replace(film, alpha=False)  # whether alpha is used would take long to find out
    compare, max_pixels = options.compare, options.max_pixels
    output = plan_output(plan.job.target, opaque, grid, options.encoding, sound, compare=compare, max_pixels=max_pixels)
    policy = HoldPolicy(options.cadence, Fraction(options.max_hold))
    cuts = None if options.cuts is None else parse_cuts(options.cuts)
    sample = sample_film(opaque, grid, policy, deinterlace=options.deinterlace, cuts=cuts)
    if sample.still is None:
        raise FileError(f"{film.path}: no frame could be decoded; give another file")
    return sample, output


def _estimate(
    plan: FilmPlan, sample: FilmSample, output: Output, models: Sequence[tuple[ModelChoice, Interpolator]]
) -> FilmEstimate:
    """Estimate what one film will take, from a sample of it."""
    options, film = plan.options, plan.film
    assert film is not None
    assert sample.still is not None
    kept = segment_store.count_finished_frames(plan.job.target) if options.resume else 0
    to_make = max(0, plan.frames - kept)
    costs = [_time_preset(interpolator, sample, options.flow_scale) for _, interpolator in models]
    sequences = max((cost.sequences for cost in costs), key=len) or [[sample.still] * 5]
    encoded = _measure_size(output, options, sequences)
    source_frames = float(_duration(plan) * film.rate) * to_make / max(plan.frames, 1)
    beside = encoded.seconds * to_make + sample.read_seconds * source_frames
    presets = {}
    for (choice, _), cost in zip(models, costs, strict=True):
        drawing = cost.draw(sample, to_make)
        workers = options.workers or choose_workers(choice, plan.pixels, min(film.frames or to_make, to_make))
        seconds = max(drawing / workers, (drawing + beside) / available_cores())
        presets[choice.preset] = PresetEstimate(seconds, workers, cost.pairs)
    return FilmEstimate(
        plan.job.source,
        plan.job.target,
        "new",
        frames=plan.frames,
        kept=kept,
        new_frames=round(sample.drawn * to_make),
        drawings_per_second=sample.drawings_per_second,
        sampled_seconds=float(sample.seconds),
        whole=sample.whole,
        presets=presets,
        size=_estimate_size(plan, output, sample, encoded),
        encoded_frames=sum(map(len, sequences)),
    )


def _duration(plan: FilmPlan) -> Fraction:
    """Return how much of the source the new film shows, s."""
    assert plan.film is not None
    assert plan.grid is not None
    end = plan.film.duration if plan.grid.end is None else min(plan.film.duration, plan.grid.end)
    return end - plan.grid.begin


@dataclass(slots=True)
class _PairCosts:
    """What drawing takes in one thread: s of each stage and their pixels, summed over `pairs` pairs; what was drawn."""

    working_pixels: float
    pairs: int = 0
    sequences: list[list[Frame]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0] * 3)  # analysis, motion, rendering
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


def _time_preset(
    interpolator: Interpolator,
    sample: FilmSample,
    flow_scale: float,
    limits: TimingLimits = TIMING_LIMITS,
) -> _PairCosts:
    """Draw pairs of a film, first those of which as much moves as on average."""
    working = max(1, round(interpolator.options.working_pixels * flow_scale**2))
    interpolator = interpolator.with_options(replace(interpolator.options, working_pixels=working))
    network = interpolator.preset.network
    costs = _PairCosts(working, limited=(True, network is None, False))
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
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    parts = [frame[top : top + rows, left : left + columns].copy() for frame in frames]
    return DrawingPair(parts[0], parts[1], None, partial=False)


def _measure_size(output: Output, options: VideoOptions, sequences: list[list[Frame]]) -> EncodedSize:
    """Encode sequences of the new film."""

    def arrange(source: Frame, frame: Frame) -> Frame:
        frame = output.shape(frame)
        if options.compare is None:
            return frame
        return comparison_frame(output.shape(source), frame, Fraction(0), options.compare, ("source", "new"))

    arranged = [list(map(partial(arrange, frames[0]), frames)) for frames in sequences]
    return measure_encoding(output, arranged)


def _estimate_size(plan: FilmPlan, output: Output, sample: FilmSample, encoded: EncodedSize) -> int:
    """Estimate the size of a new film, bytes."""
    film, grid, limits = plan.film, plan.grid, TIMING_LIMITS
    assert film is not None
    assert grid is not None
    duration = _duration(plan)
    firsts = plan.frames / segment_store.SEGMENT_FRAMES + sample.cuts_per_second * float(duration)
    distinct = min(plan.frames, sample.drawn * plan.frames + sample.drawings_per_second * float(duration))
    size = firsts * encoded.first + max(0.0, distinct - firsts) * encoded.changed
    size += max(0.0, plan.frames - max(distinct, firsts)) * encoded.repeated
    if output.sound != "drop" and film.has_streams:
        length = min(limits.part, duration / limits.parts)
        begins = [grid.begin + duration * k / limits.parts for k in range(limits.parts)]
        rate = measure_other_streams(film.path, [(begin, begin + length) for begin in begins])
        size += rate * float(duration * grid.slow)
    return round(size)
