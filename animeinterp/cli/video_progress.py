"""How far a film is, while it is made: lines of JSON, a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from animeinterp.cli.terminal import err, out

if TYPE_CHECKING:
    from animeinterp.video.progress import Tally

Report = Callable[["Tally"], object]
_LOG_EVERY = 10.0  # s


@contextmanager
def shown(as_json: bool) -> Iterator[Report]:
    """Where progress goes. What the user should know of the call is said at once, on stderr."""
    if as_json:
        yield lambda tally: out.print(json.dumps(asdict(tally)), markup=False)
        return
    if not err.is_terminal:
        yield _with_notes(_log_lines())
        return
    text = "{task.completed}/{task.total} frames  {task.fields[speed]:.1f}/s  {task.fields[what]}"
    columns = BarColumn(), TextColumn(text), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, speed=0.0, what="")

        def report(tally: Tally) -> None:
            new = max(tally.drawn + tally.shown, 1)
            what = f"{tally.drawn / new:.0%} drawn, {tally.cuts} cuts"
            speed = tally.frames_per_second
            bar.update(task, completed=tally.frames, total=tally.total, speed=speed, what=what)

        yield _with_notes(report)


def _with_notes(report: Report) -> Report:
    said: list[str] = []

    def both(tally: Tally) -> None:
        for note in tally.notes[len(said) :]:
            err.print(f"note: {note}", markup=False)
            said.append(note)
        report(tally)

    return both


def _log_lines() -> Report:
    """A line every 10 s, so that who reads a log knows that it goes on, and how long."""
    last = time.monotonic()

    def report(tally: Tally) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOG_EVERY or not tally.frames:
            return
        last = now
        left = "" if tally.seconds_left is None else f", {_clock(tally.seconds_left)} left"
        speed = f"{tally.frames_per_second:.2f} frames per second"
        err.print(f"{tally.frames} of {tally.total} frames, {speed}{left}", markup=False)

    return report


def _clock(seconds: float) -> str:
    """A duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
