"""Tell how to continue when a film, or a list of films, ends early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from animeinterp.cli.terminal import err
from animeinterp.errors import AnimeInterpError, UsageError

Progress = TypeVar("Progress")


@contextmanager
def advise_resume(
    report: Callable[[Progress], object], describe: Callable[[], str | None]
) -> Iterator[Callable[[Progress], object]]:
    """Add advice to what ends a run early.

    Args:
        report: Called with the progress of the run.
        describe: Returns what is kept and how to continue; None if nothing is finished. Asked only after the first
            report.

    Yields:
        The function to report by, in place of `report`.
    """
    begun = False

    def report_and_note(progress: Progress) -> object:
        nonlocal begun
        begun = True
        return report(progress)

    try:
        yield report_and_note
    except UsageError:
        raise  # a mistaken call, whose message has its own advice
    except BaseException as error:
        advice = describe() if begun else None
        if isinstance(error, AnimeInterpError):
            if advice is None:
                raise
            raise type(error)(f"{error}; {advice}") from error
        advice = advice or "nothing is finished; give the same command to start again"
        if hasattr(error, "hint"):
            error.hint = advice
        else:
            err.print(advice, markup=False)
        raise
