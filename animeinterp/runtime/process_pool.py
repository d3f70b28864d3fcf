"""Worker processes that keep a state: tasks go out, results come back in order, a bounded number is in flight.

Processes are started by `spawn` on every system. A thread of this process attends to each: it sends a task, waits for
the result, and replaces a process that ended by itself. Tasks and results travel as pickles through a pipe; there is
no shared memory that a killed process could leave behind, and containers limit its size. A frame of 1920x1080 costs
about 20 ms both ways, a hundredth of what drawing it takes.

Workers end with their parent, also when that is killed: a thread of theirs waits for its end.
"""

from __future__ import annotations

import multiprocessing
import pickle
import queue
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

from animeinterp.errors import AnimeInterpError, UsageError
from animeinterp.runtime.allocator import returning_large_arrays
from animeinterp.runtime.pool_worker import TERMINATED, Outcome, serve, unpickle

State = TypeVar("State")
Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3  # processes that may end by themselves over one task
_AHEAD = 2  # tasks in flight per process, so that a slow one does not block the others
_PATIENCE = 2.0  # s that processes are given to end
_POLL = 0.5  # s; Windows notices Ctrl-C only between waits
_CONTEXT = multiprocessing.get_context("spawn")


class ProcessPool(Generic[State]):
    """Processes that call functions on a state of their own; a context manager.

    Attributes:
        size: The most processes. They are started when there are tasks for them; a raised size counts from then on.
    """

    def __init__(self, setup: Callable[[], State] | Sequence[Callable[[], State]], size: int) -> None:
        """Prepare; no process is started yet.

        Args:
            setup: Called in every process when it starts; it returns the state. Of several, processes take one each,
                in turn. It is pickled, as are functions, tasks and results: all functions are those of modules.
            size: The most processes.

        Raises:
            UsageError: `setup` cannot be pickled.
        """
        self.size = size
        try:
            self._setups = [pickle.dumps(one) for one in (setup if isinstance(setup, Sequence) else [setup])]
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(
                f"expected what can be sent to worker processes, got an object that cannot ({error}); give functions "
                "and objects of modules, or 1 worker"
            ) from error
        self._tasks: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._attendants: list[tuple[threading.Thread, _Worker]] = []
        self._closed = threading.Event()
        self._warned: set[tuple[str, type[Warning]]] = set()

    def __enter__(self) -> ProcessPool[State]:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call `function(state, *arguments)` in one of the processes.

        Args:
            function: Of a module.
            *arguments: Its arguments after the state.

        Returns:
            A future of the result. It raises the function's exception, an error of `setup`, or AnimeInterpError if
            processes ended by themselves `ATTEMPTS` times.
        """
        future: Future[Result] = Future()
        self._tasks.put(_Job(future, function, arguments))
        if len(self._attendants) < self.size:
            setup = self._setups[len(self._attendants) % len(self._setups)]
            worker = _Worker(setup, self._closed)
            thread = threading.Thread(target=self._attend, args=(worker,), daemon=True)
            self._attendants.append((thread, worker))
            thread.start()
        return future

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call `function(state, *arguments)` in one of the processes and wait for the result; see `submit`."""
        return _result(self.submit(function, *arguments))

    def map(self, function: Callable[[State, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call `function(state, task)` for every task.

        Args:
            function: Of a module.
            tasks: Taken when there is room for them, in this thread.

        Yields:
            The results in the order of the tasks. At most `2 * size` tasks were taken whose results were not. An error
            of a task, or of `tasks` itself, is raised in its place.
        """
        waiting: deque[Future[Result]] = deque()
        for task in _errors_last(tasks):
            if isinstance(task, _Raised):
                while waiting:
                    yield _result(waiting.popleft())
                raise task.error
            waiting.append(self.submit(function, task))
            while waiting and (len(waiting) >= _AHEAD * self.size or waiting[0].done()):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())

    def close(self) -> None:
        """End all processes within seconds, whatever they are doing."""
        self._closed.set()
        for _ in self._attendants:
            self._tasks.put(None)
        for _, worker in self._attendants:
            worker.terminate()
        end = time.monotonic() + _PATIENCE
        for thread, worker in self._attendants:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():  # it waits for a process that does not react
                worker.kill()
                thread.join(_PATIENCE)
            worker.join()

    def _attend(self, worker: _Worker) -> None:
        """Give tasks to a process, in a thread, until the pool is closed."""
        while (job := self._tasks.get()) is not None and not self._closed.is_set():
            job.future.set_running_or_notify_cancel()
            try:
                outcome = worker.run((job.function, job.arguments))
                for text, category in outcome.warnings:
                    if (text, category) not in self._warned:  # every process may give the same
                        self._warned.add((text, category))
                        warnings.warn(text, category, stacklevel=2)
                if outcome.error is not None:
                    raise outcome.error from _WorkerTraceback(outcome.trace)
            except BaseException as error:  # raised again where the result is asked for
                job.future.set_exception(error)
            else:
                job.future.set_result(outcome.result)


def map_in_processes(function: Callable[[Task], Result], items: Iterable[Task], workers: int) -> Iterator[Result]:
    """Call a function for every item, on one thread of torch and OpenCV.

    Args:
        function: Of a module, or a partial of one; it is pickled.
        items: What it is called with.
        workers: Number of processes; 1 calls it in this one.

    Yields:
        The results in order, the same for any number of workers.
    """
    from animeinterp.runtime.threads import single_threaded_workers

    if workers == 1:
        with single_threaded_workers():
            yield from map(function, items)
        return
    with ProcessPool(partial(_keep, function), workers) as pool:
        yield from pool.map(_call_kept, items)


def _keep(function: Callable[[Task], Result]) -> Callable[[Task], Result]:
    from animeinterp.runtime.threads import keep_to_one_thread

    keep_to_one_thread()
    return function


def _call_kept(function: Callable[[Task], Result], item: Task) -> Result:
    return function(item)


class _Job(NamedTuple):
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class _Raised(NamedTuple):
    error: Exception


class _WorkerTraceback(Exception):
    """The traceback of an error in a process, as its cause."""

    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


class _Worker:
    """One process, which is started when it is needed, and again when it ended by itself."""

    def __init__(self, setup: bytes, closed: threading.Event) -> None:
        self._setup, self._closed = setup, closed
        self._lock = threading.Lock()  # between starting and terminating
        self._process: Any = None
        self._connection: Connection[Any, Any] | None = None

    def run(self, task: tuple[Callable[..., Any], tuple[Any, ...]]) -> Outcome:
        """Run a task, again if its process ends by itself."""
        code: int | None = None
        given: list[tuple[str, type[Warning]]] = []
        message = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        for _ in range(ATTEMPTS):
            is_ready = self._connection is not None
            try:
                if self._connection is None:
                    started = self._start()
                    given += started.warnings
                    if started.error is not None:
                        return started
                    is_ready = True
                assert self._connection is not None
                self._connection.send_bytes(message)
                outcome = unpickle(self._connection.recv_bytes())
                return outcome._replace(warnings=(*given, *outcome.warnings))
            except (EOFError, OSError):
                code = self._discard()
                if self._closed.is_set():
                    raise
                # A process that was not killed would end again.
                if not is_ready and code is not None and code >= 0 and code != TERMINATED:
                    raise AnimeInterpError(
                        f"a worker process could not start ({_describe_exit(code)}); a script that uses several "
                        'workers must be a file and do its work under `if __name__ == "__main__":`; or use 1 worker'
                    ) from None
            except MemoryError:
                self._discard()  # a part of the result may still be in the pipe
                raise
        raise AnimeInterpError(
            f"a worker process ended by itself {ATTEMPTS} times over the same task ({_describe_exit(code)}); use fewer "
            "workers (--workers) if memory is short, else please report it"
        )

    def terminate(self) -> None:
        """End the process if it runs."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def kill(self) -> None:
        """End the process if it runs, also if it does not react."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        """Wait until the process has ended; kill it if that takes long."""
        if self._process is None:
            return
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
        self._discard()

    def _start(self) -> Outcome:
        """Start the process, wait until it is set up, and return the outcome of that."""
        ours, theirs = _CONTEXT.Pipe()
        with self._lock, _interrupts_blocked(), returning_large_arrays(), theirs:
            if self._closed.is_set():
                raise EOFError
            process = _CONTEXT.Process(target=serve, args=(theirs, self._setup), daemon=True)
            process.start()
            self._process = process
        self._connection = ours
        outcome = unpickle(ours.recv_bytes())
        if outcome.error is not None:
            self._discard()
        return outcome

    def _discard(self) -> int | None:
        """Forget a process that has ended or is about to; return its exit code."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        code: int | None = process.exitcode
        process.close()
        return code


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let processes that are started in the block not see Ctrl-C: they would print tracebacks while they start."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it within the block would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


def _result(future: Future[Result]) -> Result:
    """Wait for a result."""
    while not wait_for([future], _POLL).done:
        pass
    return future.result()


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "exit code unknown"
    if code >= 0:
        return f"exit code {code}"
    name = next((entry.name for entry in signal.Signals if entry == -code), str(-code))
    return f"by signal {name}"
