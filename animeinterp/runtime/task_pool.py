"""What pools of workers have in common: results in order, a bounded number of tasks in flight, errors in their place.

The pools are `animeinterp.runtime.process_pool`, on this machine, and `animeinterp.runtime.ray_pool`, on a cluster;
`animeinterp.runtime.pools` opens one of them.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from animeinterp.runtime.pool_worker import Outcome

State = TypeVar("State")
Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2  # tasks in flight per worker, so that a slow one does not block the others
_POLL = 0.5  # s; Windows notices Ctrl-C only between waits


class TaskPool(ABC, Generic[State]):
    """Workers that call functions on a state of their own; a context manager."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, type[Warning]]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    @property
    @abstractmethod
    def room(self) -> int:
        """The most tasks that are in flight at a time."""

    @abstractmethod
    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call `function(state, *arguments)` in one of the workers.

        Args:
            function: Of a module.
            *arguments: Its arguments after the state.

        Returns:
            A future of the result. It raises the function's exception, an error of the setup, or AnimeInterpError if
            workers ended by themselves too often.
        """

    @abstractmethod
    def close(self) -> None:
        """End all tasks at once, whatever they are doing."""

    def check(self) -> None:
        """Raise AnimeInterpError if nothing can be waited for any more; called while a result is awaited."""

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call `function(state, *arguments)` in one of the workers and wait for the result; see `submit`."""
        return self._wait(self.submit(function, *arguments))

    def map(self, function: Callable[[State, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call `function(state, task)` for every task.

        Args:
            function: Of a module.
            tasks: Taken when there is room for them, in this thread.

        Yields:
            The results in the order of the tasks. At most `room` tasks were taken whose results were not. An error of
            a task, or of `tasks` itself, is raised in its place.
        """
        waiting: deque[Future[Result]] = deque()
        for task in _errors_last(tasks):
            if isinstance(task, _Raised):
                while waiting:
                    yield self._wait(waiting.popleft())
                raise task.error
            waiting.append(self.submit(function, task))
            while waiting and (len(waiting) >= self.room or waiting[0].done()):
                yield self._wait(waiting.popleft())
        while waiting:
            yield self._wait(waiting.popleft())

    def _wait(self, future: Future[Result]) -> Result:
        """Wait for a result."""
        while not wait_for([future], _POLL).done:
            self.check()
        return future.result()

    def _open(self, outcome: Outcome) -> Any:
        """Return the result of an outcome, or raise its error; give its warnings, each once."""
        for text, category in outcome.warnings:
            if (text, category) not in self._warned:  # every worker may give the same
                self._warned.add((text, category))
                warnings.warn(text, category, stacklevel=3)
        if outcome.error is not None:
            raise outcome.error from _WorkerTraceback(outcome.trace)
        return outcome.result


class _Raised(NamedTuple):
    error: Exception


class _WorkerTraceback(Exception):
    """The traceback of an error in a worker, as its cause."""

    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


def _errors_last(items: Iterable[Task]) -> Iterator[Task | _Raised]:
    """Yield items, and at the end the error that iterating raised."""
    iterator = iter(items)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            yield _Raised(error)
            return
        yield item
