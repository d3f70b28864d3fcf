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
from typing import TYPE_CHECKING, Literal

from animeinterp.config import PRESETS
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.frame import Frame
from animeinterp.pairs import ModelChoice, choose_workers
from animeinterp.runtime.machine import available_cores
from animeinterp.runtime.ray_cluster import RayWorkers
from animeinterp.video.cadence.cut_list import parse_cuts
from animeinterp.video.compare import comparison_frame
from animeinterp.video.drawing_costs import time_drawing
from animeinterp.video.film_list import FilmJob, list_jobs
from animeinterp.video.films import FilmPlan, plan_films
from animeinterp.video.options import VideoOptions
from animeinterp.video.sampling import FilmSample, sample_film
from animeinterp.video.sink import segment_store
from animeinterp.video.sink.sizes import EncodedSize, measure_encoding, measure_other_streams
from animeinterp.video.sink.target import Output, plan_output
from animeinterp.video.timeline import HoldPolicy
from animeinterp.weights.locations import weight_files

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator


_SOUND_PARTS, _SOUND_PART = 5, Fraction(2)  # number and duration, s, of the parts in which sound is measured


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
    *,
    container: str | None = None,
) -> Iterator[FilmEstimate]:
    """Estimate what `animeinterp.interpolate_films` will take; nothing is written.

    Args:
        sources: Video files, folders of frames and folders of films.
        folder: Where the new films would be put.
        options: What to make of each.
        choices: The models to compare; None takes all presets whose weights are on this machine.
        container: As in `interpolate_films`.

    Returns:
        An estimate for each film, in order; each is made when it is taken.

    Raises:
        UsageError: The options are invalid or fit none of the films, or names clash.
        FileError: A source does not exist.
        WeightsError: A model cannot be loaded.
    """
    return estimate_jobs(list_jobs([Path(source) for source in sources], Path(folder), container), options, choices)


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
    options = options or VideoOptions()
    if isinstance(options.workers, RayWorkers):
        raise UsageError("an estimate is of this machine, not of a cluster; leave out --ray")
    choices = list_installed_models() if choices is None else choices
    loaded: dict[str, Interpolator] = {}
    start = 0.0  # s, to load libraries and a model, as every worker does
    for plan in plan_films(jobs, options):
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
                began = time.monotonic()
                loaded[choice.preset] = choice()
                start = start or time.monotonic() - began
        models = [(choice, loaded[choice.preset]) for choice in choices]
        yield _estimate(plan, sample, output, models, start)


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
    plan: FilmPlan,
    sample: FilmSample,
    output: Output,
    models: Sequence[tuple[ModelChoice, Interpolator]],
    start: float,
) -> FilmEstimate:
    """Estimate what one film will take, from a sample of it; workers start in `start`, s."""
    options, film = plan.options, plan.film
    assert film is not None
    assert sample.still is not None
    kept = segment_store.count_finished_frames(plan.job.target) if options.resume else 0
    to_make = max(0, plan.frames - kept)
    costs = [time_drawing(interpolator, sample, options.flow_scale) for _, interpolator in models]
    sequences = max((cost.sequences for cost in costs), key=len) or [[sample.still] * 5]
    encoded = _measure_size(output, options, sequences)
    source_frames = float(_duration(plan) * film.rate) * to_make / max(plan.frames, 1)
    reading, encoding = sample.read_seconds * source_frames, encoded.seconds * to_make
    presets = {}
    for (choice, _), cost in zip(models, costs, strict=True):
        drawing = cost.draw(sample, to_make)
        workers = options.workers or choose_workers(choice, plan.pixels, min(film.frames or to_make, to_make))
        assert isinstance(workers, int)  # checked in estimate_jobs
        # Whichever is slowest: the workers, all cores together, or the thread that reads.
        seconds = max(drawing / workers, (drawing + reading + encoding) / available_cores(), reading)
        presets[choice.preset] = PresetEstimate(start + seconds, workers, cost.pairs)
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
    film, grid = plan.film, plan.grid
    assert film is not None
    assert grid is not None
    duration = _duration(plan)
    firsts = plan.frames / segment_store.SEGMENT_FRAMES + sample.cuts_per_second * float(duration)
    distinct = min(plan.frames, sample.drawn * plan.frames + sample.drawings_per_second * float(duration))
    size = firsts * encoded.first + max(0.0, distinct - firsts) * encoded.changed
    size += max(0.0, plan.frames - max(distinct, firsts)) * encoded.repeated
    if output.sound != "drop" and film.has_streams:
        length = min(_SOUND_PART, duration / _SOUND_PARTS)
        begins = [grid.begin + duration * k / _SOUND_PARTS for k in range(_SOUND_PARTS)]
        rate = measure_other_streams(film.path, [(begin, begin + length) for begin in begins])
        size += rate * float(duration * grid.slow)
    return round(size)
