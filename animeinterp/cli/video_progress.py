"""Show the progress of a film: JSON lines for programs, else as `animeinterp.cli.progress`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.progress import TextColumn

from animeinterp.cli.progress import report_progress
from animeinterp.cli.terminal import err, out

if TYPE_CHECKING:
    from animeinterp.video.progress import Progress

Report = Callable[["Progress"], object]


@contextmanager
def report_video(as_json: bool) -> Iterator[Report]:
    """Yield the function that shows a job's progress, and prints its notes on stderr at once."""
    if as_json:
        yield lambda progress: out.print(json.dumps(asdict(progress)), markup=False)
        return
    with report_progress("frames", None, TextColumn("{task.fields[details]}"), details="") as update:
        printed = 0  # notes
        first = True

        def report(progress: Progress) -> None:
            nonlocal printed, first
            for note in progress.notes[printed:]:
                err.print(f"note: {note}", markup=False)
            new = max(progress.drawn + progress.shown, 1)
            details = f"{progress.frames_per_second:.1f}/s  {progress.drawn / new:.0%} drawn, {progress.cuts} cuts"
            update(progress.frames, total=progress.total, restart=first, details=details)
            printed, first = len(progress.notes), False

        yield report
