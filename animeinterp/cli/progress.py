"""Show progress on stderr: a bar on a terminal, and a line every ten seconds in a log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from animeinterp.cli.terminal import err

LOG_INTERVAL = 10.0  # s
Item = TypeVar("Item")
# update(done, label=None, *, total=None, restart=False, **fields): done is in the unit of the total; None leaves label
# and total as they are; restart measures the speed from here on; fields are values of the bar's further columns.
Update = Callable[..., None]


def track_progress(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield the items, and show how many of `total` are done."""
    with report_progress(label, total) as update:
        for done, item in enumerate(items, 1):
            yield item
            update(done)


@contextmanager
def report_progress(
    label: str,
    total: float | None,
    *columns: ProgressColumn,
    percent: bool = False,
    transient: bool = True,
    speed_period: float = 30.0,
    **fields: Any,
) -> Iterator[Update]:
    """Show progress while the block runs.

    Args:
        label: What is done.
        total: Number of items; None if it is not known yet.
        columns: Columns of the bar after the number of items.
        percent: Whether a percentage is shown instead of the number of items.
        transient: Whether the bar disappears at the end.
        speed_period: Period over which the bar averages the speed, s.
        fields: First values of the fields of `columns`.

    Yields:
        The function that reports progress.
    """
    if not err.is_terminal:
        with LogLines(label, total, percent=percent) as log:
            yield log.update
        return
    amount = TextColumn("{task.percentage:>3.0f}%") if percent else MofNCompleteColumn()
    with Progress(
        *(TextColumn("{task.description}", markup=False), BarColumn(), amount, *columns, TimeRemainingColumn()),
        console=err,
        transient=transient,
        speed_estimate_period=speed_period,
    ) as bar:
        task = bar.add_task(label, total=total, **fields)

        def update(done: float, label: str | None = None, *, restart: bool = False, **fields: Any) -> None:
            if restart:
                bar.reset(task)
            bar.update(task, completed=done, description=label, **fields)

        yield update


class LogLines:
    """Print a line every `LOG_INTERVAL` seconds while a block runs: the amount done, the speed, the time left."""

    def __init__(self, label: str, total: float | None, *, percent: bool = False) -> None:
        """Prepare the lines; arguments as `report_progress`."""
        self._label, self._total, self._percent = label, total or 0, percent
        self._done: float = 0
        self._start = 0.0, monotonic()  # amount and time from which the speed is measured
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> LogLines:
        """Start printing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop printing."""
        self._ended.set()
        self._thread.join()

    def update(
        self, done: float, label: str | None = None, *, total: float | None = None, restart: bool = False, **_: Any
    ) -> None:
        """Report progress, see `Update`."""
        self._done, self._label, self._total = done, label or self._label, total or self._total
        if restart:
            self._start = done, monotonic()

    def _work(self) -> None:
        """Print until the block ends."""
        while not self._ended.wait(LOG_INTERVAL):
            err.print(self._line(), markup=False)

    def _line(self) -> str:
        """Return the current line."""
        done, (first, start) = self._done, self._start
        seconds = max(monotonic() - start, 1e-9)
        amount = f"{self._label}: {self._amount(done)}"
        if done <= first:
            return f"{amount}, {format_duration(seconds)} so far"
        rate = (done - first) / seconds
        left = f"{format_duration((self._total - done) / rate)} left"
        if self._percent:
            return f"{amount}, {left}"
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{amount}, {speed}, {left}"

    def _amount(self, done: float) -> str:
        """Return the amount done, as a percentage or a count."""
        if self._percent:
            return f"{done / self._total:.0%}"
        return f"{done:g}/{self._total:g}" if self._total else f"{done:g}"


def format_duration(seconds: float) -> str:
    """Format a duration as 1:02:03 or 2:03."""
    minutes, seconds = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
