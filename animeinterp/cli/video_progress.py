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

from animeinterp.cli.progress import report_progress
from animeinterp.cli.terminal import err, out
from animeinterp.video.time_text import describe_duration

if TYPE_CHECKING:
    from animeinterp.video.progress import Progress

Report = Callable[["Progress"], object]
_FIRST_SECONDS = 10.0  # s, after which the duration of a run is estimated


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
            estimate.report(progress.frames, progress.total, progress.drawn, left)

        yield report


class FirstEstimate:
    """Prints, once and on stderr, how long a run will take, after its first seconds of drawing.

    Workers start slowly and hand in several pairs at once. So the speed is measured from the first drawn frame on, from
    one arrival after a pause to another.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None  # time of the report before, s, and what was done
        self._first: tuple[float, float] | None = None  # time of the first arrival, s, and what was done before it
        self._longest = 0.0  # pause between reports, s
        self._printed = False

    def report(self, done: float, total: float, drawn: int, what: str) -> None:
        """Report the progress of a run.

        Args:
            done: What is done.
            total: What is to be done, in the same unit.
            drawn: Number of frames drawn so far.
            what: What is left, in words.
        """
        now = monotonic()
        last, self._last = self._last, (now, done)
        if self._printed or last is None or not drawn:
            return
        if self._first is None:
            self._first = now, last[1]
            return
        pause, (began, before) = now - last[0], self._first
        self._longest = max(self._longest, pause)
        new = last[1] - before
        if pause < self._longest / 2 or now - began < _FIRST_SECONDS or new <= 0:
            return
        self._printed = True
        left = describe_duration((total - done) * (now - began) / new)
        err.print(f"estimate: about {left} for {what}, at the speed so far", markup=False)


def print_summary(result: Progress, target: Path) -> None:
    """Print the result in a few lines."""
    new = max(result.drawn + result.shown, 1)
    kept = f", {result.kept} kept from an earlier run" if result.kept else ""
    lines = [
        f"{target}: {result.frames} frames in {result.seconds:.1f} s, {result.drawn / new:.0%} drawn, "
        f"{result.shown / new:.0%} as they are ({result.held} held before a cut){kept}"
    ]
    if result.doubtful:
        fraction = result.doubtful / max(result.drawn + result.avoided, 1)
        fate = (
            "the nearer drawing is shown there" if result.avoided else "--doubtful hold shows the nearer drawing there"
        )
        lines.append(f"{fraction:.0%} of the new frames are doubtful; {fate}")
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
