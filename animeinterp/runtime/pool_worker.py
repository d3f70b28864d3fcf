"""The other side of `animeinterp.runtime.process_pool`: what runs in a worker process; parts of it on a cluster too."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

TERMINATED = 143  # exit code of a process that SIGTERM ended, 128 + 15 as in shells
# Libraries read these when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Outcome(NamedTuple):
    """What a process sends back for a task, or after its start.

    Attributes:
        result: The result; None after the start.
        error: The error, None without one.
        trace: Its traceback.
        warnings: Text and category of the warnings that were given meanwhile.
    """

    result: Any = None
    error: Exception | None = None
    trace: str = ""
    warnings: tuple[tuple[str, type[Warning]], ...] = ()


def serve(connection: Connection[Any, Any], setup: bytes) -> None:
    """Run tasks until the connection is closed; the main function of a worker process.

    Args:
        connection: Brings tasks, takes outcomes.
        setup: A pickled function that returns the state.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    try:
        signal.signal(signal.SIGTERM, _leave)
        sys.unraisablehook = _leave_unraisable
        threading.Thread(target=_end_with_parent, daemon=True).start()
        for variable in THREAD_VARIABLES:
            os.environ[variable] = "1"
        _serve(connection, setup)
    except (EOFError, OSError):
        return  # the parent has closed the connection
    except _Terminated:
        os._exit(TERMINATED)  # Python's shutdown waits for threads of libraries


def _serve(connection: Connection[Any, Any], setup: bytes) -> None:
    given: list[tuple[str, type[Warning]]] = []
    record_warnings(given)
    outcome = attempt(_set_up, (setup,))
    state, outcome = outcome.result, outcome._replace(result=None, warnings=tuple(given))
    connection.send_bytes(pickle_outcome(outcome))
    while outcome.error is None:
        given.clear()
        function, arguments = pickle.loads(connection.recv_bytes())
        done = attempt(function, (state, *arguments))
        connection.send_bytes(pickle_outcome(done._replace(warnings=tuple(given))))
        del arguments, done  # they may be large, and the next task would find them in memory


class _Terminated(BaseException):
    """SIGTERM: unwinds the stack, so that files that are half written are removed."""


def record_warnings(given: list[tuple[str, type[Warning]]]) -> None:
    """Append text and category of further warnings to a list, instead of printing them."""
    warnings.showwarning = lambda message, category, *_, **__: given.append((str(message), category))


def _leave(*_: object) -> None:
    raise _Terminated


def _leave_unraisable(unraisable: Any) -> None:
    """End this process if SIGTERM came within a `__del__` or a callback, from which nothing can be raised."""
    if isinstance(unraisable.exc_value, _Terminated):
        os._exit(TERMINATED)
    sys.__unraisablehook__(unraisable)


def _set_up(setup: bytes) -> Any:
    return pickle.loads(setup)()


def attempt(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """Call a function; its error becomes a part of the outcome."""
    try:
        return Outcome(function(*arguments))
    except Exception as error:
        return _failure(error)


def pickle_outcome(outcome: Outcome) -> bytes:
    """Pickle an outcome; a result that cannot be pickled becomes an error."""
    try:
        return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps(_failure(error))


def unpickle(message: bytes) -> Outcome:
    """Return the outcome that a process sent."""
    outcome = pickle.loads(message)
    assert isinstance(outcome, Outcome)
    return outcome


def _failure(error: Exception) -> Outcome:
    """Describe an error for the parent; one that cannot be pickled becomes a RuntimeError with its text."""
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Outcome(error=error, trace=trace)


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, whatever it is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
