"""How far a film is, while it is made: lines of JSON, a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import rich.progress
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from animeinterp.cli.terminal import err, out

if TYPE_CHECKING:
    from animeinterp.video.progress import Progress

Report = Callable[["Progress"], object]
_LOG_EVERY = 10.0  # s


@contextmanager
def shown(as_json: bool) -> Iterator[Report]:
    """Where progress goes. What the user should know of the call is said at once, on stderr."""
    if as_json:
        yield lambda progress: out.print(json.dumps(asdict(progress)), markup=False)
        return
    if not err.is_terminal:
        yield _with_notes(_log_lines())
        return
    text = "{task.completed}/{task.total} frames  {task.fields[speed]:.1f}/s  {task.fields[what]}"
    columns = BarColumn(), TextColumn(text), TimeRemainingColumn()
    with rich.progress.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, speed=0.0, what="")

        def report(progress: Progress) -> None:
            new = max(progress.drawn + progress.shown, 1)
            what = f"{progress.drawn / new:.0%} drawn, {progress.cuts} cuts"
            speed = progress.frames_per_second
            bar.update(task, completed=progress.frames, total=progress.total, speed=speed, what=what)

        yield _with_notes(report)


def _with_notes(report: Report) -> Report:
    said: list[str] = []

    def both(progress: Progress) -> None:
        for note in progress.notes[len(said) :]:
            err.print(f"note: {note}", markup=False)
            said.append(note)
        report(progress)

    return both


def _log_lines() -> Report:
    """A line every 10 s, so that who reads a log knows that it goes on, and how long."""
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOG_EVERY or not progress.frames:
            return
        last = now
        left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
        speed = f"{progress.frames_per_second:.2f} frames per second"
        err.print(f"{progress.frames} of {progress.total} frames, {speed}{left}", markup=False)

    return report


def _clock(seconds: float) -> str:
    """A duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
