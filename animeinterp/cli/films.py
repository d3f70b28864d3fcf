"""Make many films from the command line: one progress, a summary of each, and the failures at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import TextColumn

from animeinterp.cli.failures import describe_failure
from animeinterp.cli.progress import report_progress
from animeinterp.cli.resume_advice import advise_resume
from animeinterp.cli.terminal import err, out
from animeinterp.cli.video_progress import FirstEstimate, print_summary
from animeinterp.errors import AnimeInterpError

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator
    from animeinterp.video.films import FilmResult, FilmsProgress
    from animeinterp.video.options import VideoOptions

_Report = Callable[["FilmsProgress"], object]
_SPEED_PERIOD = 300.0  # s; films alternate between moving and static scenes


def make_films(
    sources: Sequence[Path],
    folder: Path,
    options: VideoOptions,
    load: Callable[[], Interpolator],
    as_json: bool,
    container: str | None = None,
) -> None:
    """Make many films and print their progress and results.

    Args:
        sources: Video files, folders of frames and folders of films.
        folder: The folder of the new films.
        options: What to make of each.
        load: Loads the interpolator.
        as_json: Whether to print lines of JSON.
        container: Of all new films; None keeps that of each source.

    Raises:
        AnimeInterpError: Some films failed; the others are made.
    """
    from animeinterp.video.films import interpolate_films

    advice = f"{folder} keeps what is finished; give the same command with --resume to continue"
    with _report_json() if as_json else _report_text() as report, advise_resume(report, lambda: advice) as advised:
        results = interpolate_films(sources, folder, options, container=container, interpolator=load, report=advised)
    failed = sum(result.state == "failed" for result in results)
    if failed:
        raise AnimeInterpError(
            f"{failed} of {len(results)} films failed; when the causes are removed, the same command with --resume "
            "makes those that are missing"
        )


@contextmanager
def _report_json() -> Iterator[_Report]:
    """Yield the function that prints progress and results as JSON."""
    printed = 0  # results

    def report(progress: FilmsProgress) -> None:
        nonlocal printed
        new = progress.results[printed:]
        printed = len(progress.results)
        if progress.job is not None and not new:
            job = progress.job
            numbers = {"film": progress.number, "films": progress.count, "all_seconds_left": progress.seconds_left}
            paths = {"state": "drawing", "source": str(job.source), "target": str(job.target)}
            _print_json(paths | numbers | asdict(progress.film))
        for result in new:
            reason = None if result.error is None else describe_reason(result.error)
            paths = {"state": result.state, "source": str(result.source), "target": str(result.target)}
            _print_json({**paths, "error": reason, **({} if result.progress is None else asdict(result.progress))})

    yield report


@contextmanager
def _report_text() -> Iterator[_Report]:
    """Yield the function that shows progress; list the films that failed at the end, however it comes."""
    failures: list[str] = []
    column = TextColumn("{task.fields[details]}", markup=False)
    try:
        with report_progress("films", 1.0, column, percent=True, speed_period=_SPEED_PERIOD, details="") as update:
            yield _TextReport(update, failures).report
    finally:
        for line in failures:
            err.print(line, markup=False)


class _TextReport:
    """Shows the progress of many films as text."""

    def __init__(self, update: Callable[..., None], failures: list[str]) -> None:
        """Show progress by `update`, and collect a line for each failure."""
        self._update, self._failures = update, failures
        self._results = self._notes = self._number = self._drawn = 0
        self._estimate = FirstEstimate()

    def report(self, progress: FilmsProgress) -> None:
        """Show the progress, and print new notes and results."""
        job, film = progress.job, progress.film
        if job is None:
            return
        begins, self._number = progress.number != self._number, progress.number
        self._notes = 0 if begins else self._notes
        for note in film.notes[self._notes :]:
            err.print(f"note: {job.source.name}: {note}", markup=False)
        self._notes = len(film.notes)
        label = f"{progress.number}/{progress.count} {job.source.name}"
        self._update(progress.fraction, label, restart=begins, details=f"{film.frames_per_second:.1f}/s")
        films = f"the films left, {progress.count - progress.number + 1} of {progress.count}"
        self._estimate.report(progress.fraction, 1.0, self._drawn + film.drawn, films)
        for result in progress.results[self._results :]:
            self._print(result)
            self._drawn += 0 if result.progress is None else result.progress.drawn
        self._results = len(progress.results)

    def _print(self, result: FilmResult) -> None:
        """Print the result of a film."""
        if result.error is not None:
            self._failures.append(describe_film_failure(result.source, result.error))
        elif result.progress is not None:
            print_summary(result.progress, result.target)
        else:
            out.print(f"{result.target}: exists already, skipped; --force makes it again", markup=False)


def describe_film_failure(source: Path, error: Exception) -> str:
    """Return the line for a film that failed: its name and the reason."""
    reason = describe_reason(error)
    return f"failed: {reason}" if str(source) in reason else f"failed: {source}: {reason}"


def describe_reason(error: Exception) -> str:
    """Return the reason of a failure in one line."""
    return " ".join(describe_failure(error, ["video"])[0].split())


def _print_json(values: dict[str, Any]) -> None:
    """Print a line of JSON."""
    out.print(json.dumps(values), markup=False)
