"""Show the progress of a film: JSON lines for programs, else as `animeinterp.cli.progress`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.progress import TextColumn

from animeinterp.cli.progress import describe_duration, report_progress
from animeinterp.cli.terminal import err, out

if TYPE_CHECKING:
    from animeinterp.video.progress import Progress

Report = Callable[["Progress"], object]
_FIRST_SECONDS = 10.0  # s, after which the duration of a run is estimated
_FIRST_DRAWN = 3  # frames that must be drawn by then: the first pair compiles and loads


@contextmanager
def report_video(as_json: bool) -> Iterator[Report]:
    """Yield the function that shows a job's progress, and prints its notes on stderr at once."""
    if as_json:
        yield lambda progress: out.print(json.dumps(asdict(progress)), markup=False)
        return
    with report_progress("frames", None, TextColumn("{task.fields[details]}"), details="") as update:
        printed = 0  # notes
        first = True
        estimate = FirstEstimate()

        def report(progress: Progress) -> None:
            nonlocal printed, first
            for note in progress.notes[printed:]:
                err.print(f"note: {note}", markup=False)
            new = max(progress.drawn + progress.shown, 1)
            details = f"{progress.frames_per_second:.1f}/s  {progress.drawn / new:.0%} drawn, {progress.cuts} cuts"
            update(progress.frames, total=progress.total, restart=first, details=details)
            printed, first = len(progress.notes), False
            left = f"the {progress.total - progress.frames} frames left"
            estimate.report(progress.seconds_left, progress.drawn, left)

        yield report


class FirstEstimate:
    """Prints, once and on stderr, how long a run will take, after its first seconds of drawing."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._printed = False

    def report(self, seconds_left: float | None, drawn: int, what: str) -> None:
        """Report the progress of a run.

        Args:
            seconds_left: Estimate of the time left, s; None if there is none yet.
            drawn: Number of frames drawn so far.
            what: What is left, in words.
        """
        now = monotonic()
        self._began = now if self._began is None else self._began
        if self._printed or seconds_left is None or drawn < _FIRST_DRAWN or now - self._began < _FIRST_SECONDS:
            return
        self._printed = True
        err.print(f"estimate: about {describe_duration(seconds_left)} for {what}, at the speed so far", markup=False)


def print_summary(result: Progress, target: Path) -> None:
    """Print the result in a few lines."""
    new = max(result.drawn + result.shown, 1)
    kept = f", {result.kept} kept from an earlier run" if result.kept else ""
    lines = [
        f"{target}: {result.frames} frames in {result.seconds:.1f} s, {result.drawn / new:.0%} drawn, "
        f"{result.shown / new:.0%} as they are ({result.held} held before a cut){kept}"
    ]
    cadence = {"ones": result.ones, "twos": result.twos, "threes": result.threes, "longer": result.longer}
    drawings = sum(cadence.values())
    if drawings:
        fractions = ", ".join(f"{count / drawings:.0%} on {name}" for name, count in cadence.items())
        lines.append(f"drawings: {fractions}; {result.cuts} cuts")
    if result.damaged:
        lines.append(f"{result.damaged} frames could not be decoded; those before them were held")
    if result.doubled:
        lines.append(f"{result.doubled} frames were left out, because the file gives them the time of another")
    if result.lost:
        lines.append(f"{result.lost} damaged packets of sound or subtitles were left out")
    if result.shrunk:
        lines.append(f"memory ran out {result.shrunk} times; motion was then estimated at a smaller size")
    lines += [f"not in the new file: {item}" for item in result.dropped]
    for line in lines:
        out.print(line, markup=False)
