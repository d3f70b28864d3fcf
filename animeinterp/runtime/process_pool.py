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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from animeinterp.errors import AnimeInterpError, UsageError
from animeinterp.runtime.allocator import returning_large_arrays
from animeinterp.runtime.pool_worker import TERMINATED, Outcome, serve, unpickle
from animeinterp.runtime.task_pool import AHEAD, TaskPool

State = TypeVar("State")
Result = TypeVar("Result")

ATTEMPTS = 3  # processes that may end by themselves over one task
_PATIENCE = 2.0  # s that processes are given to end
_CONTEXT = multiprocessing.get_context("spawn")


class ProcessPool(TaskPool[State]):
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
        super().__init__()
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

    @property
    def room(self) -> int:
        """The most tasks that are in flight at a time."""
        return AHEAD * self.size

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call `function(state, *arguments)` in one of the processes; see `TaskPool.submit`."""
        future: Future[Result] = Future()
        self._tasks.put(_Job(future, function, arguments))
        if len(self._attendants) < self.size:
            setup = self._setups[len(self._attendants) % len(self._setups)]
            worker = _Worker(setup, self._closed)
            thread = threading.Thread(target=self._attend, args=(worker,), daemon=True)
            self._attendants.append((thread, worker))
            thread.start()
        return future

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
                result = self._open(worker.run((job.function, job.arguments)))
            except BaseException as error:  # raised again where the result is asked for
                job.future.set_exception(error)
            else:
                job.future.set_result(result)


class _Job(NamedTuple):
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


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


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "exit code unknown"
    if code >= 0:
        return f"exit code {code}"
    name = next((entry.name for entry in signal.Signals if entry == -code), str(-code))
    return f"by signal {name}"
