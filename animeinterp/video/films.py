"""Make many films, one after another: finished ones are skipped, and one that fails does not stop the others."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from animeinterp.errors import AnimeInterpError, MissingExtraError, UsageError, WeightsError
from animeinterp.io.files import make_folder
from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers
from animeinterp.video.cadence.cut_list import parse_cuts
from animeinterp.video.checks import check_options, check_preview, plan_grid
from animeinterp.video.film_list import FilmJob, list_jobs
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.progress import Progress
from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.segment_store import SegmentStore, find_finished_parts
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.time_text import parse_rate
from animeinterp.video.timeline import Grid

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

Loader: TypeAlias = "Interpolator | Callable[[], Interpolator] | None"
_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota error


@dataclass(frozen=True, slots=True)
class FilmResult:
    """What became of a film.

    Attributes:
        source: The film or folder of frames.
        target: The file or folder to make of it.
        state: `made`; `skipped`, because an earlier run has finished it; or `failed`.
        progress: What was done; None if nothing was.
        error: Why it failed.
    """

    source: Path
    target: Path
    state: Literal["made", "skipped", "failed"]
    progress: Progress | None = None
    error: Exception | None = None


@dataclass(slots=True)
class FilmsProgress:
    """How far a run of many films is.

    Films are weighted by new frames times pixels, because large frames take longer.

    Attributes:
        count: Number of films.
        number: Number of the current film, from 1; 0 before the first.
        job: The current film; None before the first.
        film: Its progress.
        results: Films that were made, skipped or failed so far, in order.
        fraction: Finished part of what this run has to draw, in [0, 1].
        seconds_left: Estimate of the time left for all films; None before the first new frame.
    """

    count: int
    number: int = 0
    job: FilmJob | None = None
    film: Progress = field(default_factory=Progress)
    results: list[FilmResult] = field(default_factory=list)
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass(slots=True)
class FilmPlan:
    """A film before it is made.

    Attributes:
        job: The film.
        options: What to make of it.
        finished: Whether it is skipped, because an earlier run has finished it.
        error: Why it cannot be made, if so.
        film: What its file says; None if it is not read.
        grid: The times of the new frames, likewise.
        frames: Their number.
    """

    job: FilmJob
    options: VideoOptions
    finished: bool = False
    error: Exception | None = None
    film: VideoInfo | None = None
    grid: Grid | None = None
    frames: int = 0

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return 0 if self.film is None else self.film.width * self.film.height

    @property
    def work(self) -> float:
        """The weight of the film, 0 if nothing is drawn."""
        return 0.0 if self.finished or self.error else float(self.frames * self.pixels)


def interpolate_films(
    sources: Sequence[Path | str],
    folder: Path | str,
    options: VideoOptions | None = None,
    *,
    container: str | None = None,
    interpolator: Loader = None,
    report: Callable[[FilmsProgress], object] | None = None,
) -> list[FilmResult]:
    """Make smoother films of many films.

    Each film keeps its name. A film counts as finished if its target exists and no parts of an interrupted run lie
    beside it: targets appear when they are complete. Finished films are skipped unless `options.force`.

    Args:
        sources: Video files, folders of frames and folders of films, see `animeinterp.video.film_list`.
        folder: Where the new films are put; made if it does not exist.
        options: What to make of each film. `resume` continues interrupted films and begins the others.
        container: Of all new films: `mkv`, `mp4`, …. None keeps that of each source, or takes Matroska if it cannot be
            written; folders of frames stay folders.
        interpolator: Draws the frames, or a function that returns it, called for each film; None loads the default one.
        report: Called after every frame and after every film, always with the same object.

    Returns:
        What became of each film, in order. A damaged film, or one that the options do not fit, is `failed`.

    Raises:
        UsageError: Before any work: options or container are invalid or fit none of the films, names clash, or parts of
            an interrupted run exist and neither `resume` nor `force` is set.
        FileError: A source does not exist, or the disk is full. What is finished by then stays.
        WeightsError: The model cannot be loaded.
        AnimeInterpError: The cluster of `options.workers` cannot be reached.
    """
    options = options or VideoOptions()
    plans = plan_films(list_jobs([Path(source) for source in sources], Path(folder), container), options)
    run = _Run(plans, interpolator, report)
    if not all(plan.error for plan in plans):
        make_folder(Path(folder))
    with RayCluster(options.workers) if isinstance(options.workers, RayWorkers) else nullcontext():
        for plan in plans:
            run.make(plan)
    return run.progress.results


def plan_films(jobs: Sequence[FilmJob], options: VideoOptions) -> list[FilmPlan]:
    """Check films and options before any work, and count the frames to make.

    Args:
        jobs: The films.
        options: The options for all of them.

    Returns:
        A plan for each film, with the error of a film that cannot be made.

    Raises:
        UsageError: As `interpolate_films`.
    """
    if options.cuts is not None:
        cuts = parse_cuts(options.cuts)
        if len(jobs) > 1 and (cuts.frames or cuts.times):
            raise UsageError("a list of cuts belongs to one film; give the films one by one, or --cuts none for all")
    if options.rate is not None and not any(job.source.is_dir() for job in jobs):
        raise UsageError("films have frame rates of their own; leave out the one for folders of frames")
    plans = [FilmPlan(job, options if job.source.is_dir() else replace(options, rate=None)) for job in jobs]
    for plan in plans:
        check_options(plan.options, plan.job.source, plan.job.target)
        unfinished = find_finished_parts(plan.job.target) is not None
        plan.finished = plan.job.target.exists() and not unfinished and not options.force
        if not plan.finished:
            store = SegmentStore(plan.job.target, images=not plan.job.target.suffix)
            store.check(resume=options.resume, force=options.force)
    for plan in plans:
        if not plan.finished:
            try:
                _measure(plan)
            except AnimeInterpError as error:
                plan.error = error
    errors = [plan.error for plan in plans]
    if isinstance(errors[0], UsageError) and all(isinstance(error, UsageError) for error in errors):
        raise errors[0]  # the options fit no film
    return plans


def _measure(plan: FilmPlan) -> None:
    """Count the frames of a new film. Raises AnimeInterpError if it cannot be made."""
    options, target = plan.options, plan.job.target
    rate = None if options.rate is None else parse_rate(options.rate)
    film = probe(plan.job.source, rate=rate, deinterlace=options.deinterlace, max_pixels=options.max_pixels)
    grid = plan_grid(options, film.rate)
    check_preview(grid, film)
    if target.suffix:
        choose_encoder(target, replace(film, alpha=False), options.encoding, grid.rate)
    plan.film, plan.grid, plan.frames = film, grid, grid.count(film.duration)


class _Run:
    """The state of a run of many films."""

    def __init__(
        self, plans: Sequence[FilmPlan], interpolator: Loader, report: Callable[[FilmsProgress], object] | None
    ) -> None:
        self.progress = FilmsProgress(len(plans))
        self._interpolator, self._report = interpolator, report
        self._total = sum(plan.work for plan in plans)
        self._done = 0.0  # of the total, films before the current one
        self._drawn = self._seconds = 0.0  # what this run drew of it, and the time it took
        self._failed_report: Exception | None = None

    def make(self, plan: FilmPlan) -> None:
        """Make a film, or skip it, and add its result."""
        job, progress = plan.job, self.progress
        progress.number, progress.job, progress.film = progress.number + 1, job, Progress()
        if plan.finished:
            self._finish(FilmResult(job.source, job.target, "skipped"))
            return
        error = plan.error or self._draw(plan)
        film, progress.film = progress.film, Progress()
        drawn, seconds = _measure_speed(plan, film)
        self._done, self._drawn, self._seconds = self._done + plan.work, self._drawn + drawn, self._seconds + seconds
        self._estimate(self._done, self._drawn, self._seconds)
        done = film if film.seconds else None
        self._finish(FilmResult(job.source, job.target, "failed" if error else "made", done, error))

    def _draw(self, plan: FilmPlan) -> Exception | None:
        """Make a film and return the error that it fails with; raise one that stops all films."""
        job, interpolator = plan.job, self._interpolator
        update = partial(self._update, plan)
        try:
            interpolate_video(job.source, job.target, plan.options, interpolator=interpolator, report=update)
        except Exception as error:  # whatever is wrong with one film, the others are made
            if error is self._failed_report or _stops_all(error):
                raise
            return error
        return None

    def _finish(self, result: FilmResult) -> None:
        """Add a result and report it."""
        self.progress.results.append(result)
        self._call_report()

    def _update(self, plan: FilmPlan, film: Progress) -> None:
        """Update the progress of all films by that of the current one, and report it."""
        self.progress.film = film
        drawn, seconds = _measure_speed(plan, film)
        finished = self._done + plan.work * film.frames / max(film.total, 1)
        self._estimate(finished, self._drawn + drawn, self._seconds + seconds)
        self._call_report()

    def _call_report(self) -> None:
        """Report the progress; an error of the caller's function is not one of the film."""
        try:
            if self._report is not None:
                self._report(self.progress)
        except Exception as error:
            self._failed_report = error
            raise

    def _estimate(self, finished: float, drawn: float, seconds: float) -> None:
        """Estimate the finished part and the time left from the work that this run drew in `seconds`."""
        self.progress.fraction = min(1.0, finished / self._total) if self._total else 1.0
        if drawn and seconds:
            self.progress.seconds_left = max(0.0, self._total - finished) * seconds / drawn


def _measure_speed(plan: FilmPlan, film: Progress) -> tuple[float, float]:
    """Return how much of a film this run drew, in units of its work, and the time it took, s."""
    new = film.frames - film.kept
    return (new * plan.pixels, new / film.frames_per_second) if film.frames_per_second else (0.0, 0.0)


def _stops_all(error: Exception) -> bool:
    """Return whether an error will meet every other film too: the model cannot be loaded, or the disk is full."""
    if isinstance(error, WeightsError | MissingExtraError):
        return True
    causes: list[BaseException | None] = [error, error.__cause__]
    return any(isinstance(cause, OSError) and cause.errno in _DISK_FULL for cause in causes)
