"""Show what films will take, before they are made: video --dry-run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from animeinterp.cli.films import describe_film_failure, describe_reason
from animeinterp.cli.progress import track_progress
from animeinterp.cli.terminal import err, out, show_table
from animeinterp.errors import AnimeInterpError
from animeinterp.video.time_text import describe_duration

if TYPE_CHECKING:
    from animeinterp.pairs import ModelChoice
    from animeinterp.video.estimate import FilmEstimate
    from animeinterp.video.film_list import FilmJob
    from animeinterp.video.options import VideoOptions

_UNITS = {"days": "d", "day": "d", "hours": "h", "hour": "h", "minutes": "min", "minute": "min", "seconds": "s"}


def show_estimates(jobs: Sequence[FilmJob], options: VideoOptions, choice: ModelChoice, as_json: bool) -> None:
    """Estimate what films will take, and print a table, or a line of JSON for each.

    Args:
        jobs: The films.
        options: What to make of each.
        choice: The model that the run would take; the other presets on this machine are compared with it.
        as_json: Whether to print JSON.

    Raises:
        AnimeInterpError: A film cannot be made. The others are estimated.
    """
    from animeinterp.video.estimate import estimate_jobs, list_installed_models

    choices = list_installed_models(choice)
    estimates: list[FilmEstimate] = []
    for estimate in track_progress(estimate_jobs(jobs, options, choices), "estimating", len(jobs)):
        estimates.append(estimate)
        if as_json:
            out.print(json.dumps(_to_json(estimate)), markup=False)
    failed = [(estimate.source, estimate.error) for estimate in estimates if estimate.error is not None]
    if len(jobs) == 1 and failed:
        raise failed[0][1]
    if not as_json:
        _print_table(estimates, [choice.preset for choice in choices])
        for source, error in failed:
            err.print(describe_film_failure(source, error), markup=False)
    if failed:
        raise AnimeInterpError(f"{len(failed)} of {len(jobs)} films cannot be made; remove the causes")


def _print_table(estimates: Sequence[FilmEstimate], names: Sequence[str]) -> None:
    """Print a row for each film, the sum, and what was measured."""
    table = Table(box=None, pad_edge=False)
    table.add_column("film", overflow="fold")
    for heading in ("drawings/s", "new frames", *names, "size"):
        table.add_column(heading, justify="right")
    new = [estimate for estimate in estimates if estimate.state == "new"]
    for estimate in estimates:
        if estimate.state == "new":
            times = [_time(estimate.presets[name].seconds) for name in names]
            counts = f"{estimate.drawings_per_second:.1f}", f"{estimate.new_frames:,}"
            table.add_row(escape(estimate.source.name), *counts, *times, _size(estimate.size))
        else:
            table.add_row(escape(estimate.source.name), "exists" if estimate.state == "finished" else "failed")
    if len(new) > 1:
        times = [_time(sum(estimate.presets[name].seconds for estimate in new)) for name in names]
        frames, size = sum(estimate.new_frames for estimate in new), sum(estimate.size for estimate in new)
        table.add_row(f"all {len(new)}", "", f"{frames:,}", *times, _size(size))
    show_table(table)
    if new:
        _print_method(new, names)


def _print_method(new: Sequence[FilmEstimate], names: Sequence[str]) -> None:
    """Print what the figures come from."""
    parts = [estimate for estimate in new if not estimate.whole]
    sampled = f"{parts[0].sampled_seconds:.0f} s in parts of each film" if parts else "the whole film"
    pairs = ", ".join(f"{name} {min(estimate.presets[name].pairs for estimate in new)}" for name in names)
    workers = new[0].presets[names[0]].workers
    count = "1 worker" if workers == 1 else f"{workers} workers"
    out.print(
        f"Drawings and new frames: counted in {sampled}. Time: on this machine as busy as it is now, with "
        f"{count}, from drawing pairs of the film ({pairs}), reading and encoding. Size: from encoding "
        f"{new[0].encoded_frames} frames, and the sound. Nothing was written.",
        markup=False,
    )


def _time(seconds: float) -> str:
    """Return an estimated time in a few characters."""
    return " ".join(_UNITS.get(word, word) for word in describe_duration(seconds).split())


def _size(size: int) -> str:
    """Return a size in MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _to_json(estimate: FilmEstimate) -> dict[str, Any]:
    """Return an estimate as values of JSON."""
    reason = None if estimate.error is None else describe_reason(estimate.error)
    paths = {"source": str(estimate.source), "target": str(estimate.target)}
    return asdict(replace(estimate, error=None)) | paths | {"error": reason}
