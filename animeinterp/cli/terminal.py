"""What the verbs share: the console, the progress bar, and the options that several of them take."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from animeinterp.cli.streams import printable
from animeinterp.config import Options

LOG_EVERY = 10.0  # s


class SafeConsole(Console):
    """A console that prints what is in names and metadata, but lets none of it command the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, without control characters in their text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


out = SafeConsole(highlight=False, soft_wrap=True)
err = SafeConsole(highlight=False, soft_wrap=True, stderr=True)
Item = TypeVar("Item")

Model = Annotated[str, typer.Option("--model", help="A preset out of `animeinterp models`.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        readable=False,
        help="The model's weights; `paper` reads the published checkpoint, `studio` what `weights get` wrote.",
    ),
]
Vgg = Annotated[
    Path | None,
    typer.Option("--vgg", readable=False, help="VGG-19 weights in torchvision's layout, to match segments by."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …")]
Style = Annotated[
    str, typer.Option("--style", help="How outlines are found: auto looks at the frame; western; japanese.")
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", min=1, help="Refuse larger pictures; memory grows with their area.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
DEFAULTS = Options()


def show_table(table: Table) -> None:
    """Print a table; into a file or pipe as wide as it needs to be read."""
    SafeConsole(highlight=False, width=None if out.is_terminal else 140).print(table)


def progress(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """The items, with a progress bar on stderr; where that is no terminal, with a line now and then."""
    if not err.is_terminal:
        with LogLines(label, total) as log:
            for item in items:
                yield item
                log.advance()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as bar:
        yield from bar.track(items, total, description=label)


class LogLines:
    """A line on stderr every `LOG_EVERY` seconds while the block lasts: how much is done, how fast, what is left."""

    def __init__(self, label: str, total: float, *, share: bool = False) -> None:
        """label: what is done. total: how many items there are. share: shown in percent of one whole."""
        self._label, self._total, self._share = label, total, share
        self._done: float = 0
        self._since = 0.0, monotonic()  # how much was done when, to take the rate from
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> LogLines:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()

    def advance(self) -> None:
        """Count one more item as done."""
        self._done += 1

    def update(self, done: float, label: str | None = None, *, anew: bool = False) -> None:
        """Say how much is done. anew: the rate is taken from here on."""
        self._done, self._label = done, label or self._label
        if anew:
            self._since = done, monotonic()

    def _work(self) -> None:
        while not self._ended.wait(LOG_EVERY):
            err.print(self._line(), markup=False)

    def _line(self) -> str:
        done, (first, begin) = self._done, self._since
        seconds = max(monotonic() - begin, 1e-9)
        if done <= first:
            return f"{self._label}: {self._amount(done)}, {clock(seconds)} so far"
        rate = (done - first) / seconds
        if self._share:
            return f"{self._label}: {self._amount(done)}, {clock((self._total - done) / rate)} left"
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{self._label}: {self._amount(done)}, {speed}, {clock((self._total - done) / rate)} left"

    def _amount(self, done: float) -> str:
        return f"{done / self._total:.0%}" if self._share else f"{done:g}/{self._total:g}"


def clock(seconds: float) -> str:
    """A duration as people read it: 1:02:03 or 2:03."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
