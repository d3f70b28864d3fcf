"""Turn signals that end the program into an exception, so that open files are cleaned up.

Ctrl-C, SIGTERM, SIGHUP (a closed terminal) and Windows' Ctrl-Break raise `Stopped` in the main thread. While the
program cleans up, further signals are ignored for some seconds; then they raise again. Only the command line does
this: the library installs no handlers.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not every operating system has all of them
_CLEANUP_TIME = 5.0  # s


class Stopped(BaseException):
    """A signal that ends the program. Not a KeyboardInterrupt, which Typer would swallow.

    Attributes:
        number: The signal.
        hint: How to continue; set by the code that knows, else empty.
    """

    def __init__(self, number: int) -> None:
        """Describe a signal."""
        super().__init__(number)
        self.number = number
        self.hint = ""


class StopSignals:
    """The signals received so far.

    Attributes:
        number: The first signal, None before it.
    """

    def __init__(self) -> None:
        """Start without signals."""
        self.number: int | None = None
        self._last = -_CLEANUP_TIME  # s, time of the last signal that raised
        self._exit_code: int | None = None  # of the finished program

    @property
    def code(self) -> int:
        """The exit code that shells expect, 128 + number: 130 after Ctrl-C (and Ctrl-Break), 143 after SIGTERM."""
        interrupted = self.number is None or self.number == getattr(signal, "SIGBREAK", None)
        return 130 if interrupted else 128 + int(self.number or 0)

    def leave(self, code: int) -> None:
        """Let further signals end the process at once with this code: everything is written, only threads still run.

        When the threads have ended, signals are ignored. Python restores the default handlers while it shuts down, and
        those would end a finished program as if it had failed.
        """
        self._exit_code = code
        atexit.register(_ignore)

    def handle(self, number: int, _frame: Any) -> None:
        """Raise Stopped unless the program is cleaning up already; a signal handler."""
        if self._exit_code is not None:
            os._exit(self._exit_code)
        now = monotonic()
        self.number = self.number or number
        if now - self._last < _CLEANUP_TIME:
            return
        self._last = now
        raise Stopped(number)

    def resend(self, number: int) -> None:
        """Send the signal again a little later, because its exception was raised where Python drops it."""
        self._last = -_CLEANUP_TIME
        timer = threading.Timer(0.05, _send, (number,))
        timer.daemon = True
        timer.start()


def _ignore() -> None:
    """Ignore all signals that end the program."""
    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        signal.signal(number, signal.SIG_IGN)


def _send(number: int) -> None:
    """Send this process a signal that wakes the main thread if it waits."""
    ident = threading.main_thread().ident
    if sys.platform != "win32" and ident is not None:
        signal.pthread_kill(ident, number)
    else:
        signal.raise_signal(number)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Raise Stopped in the block when a signal ends the program.

    Ignored signals stay ignored (`nohup`, background jobs of a script). In other threads than the main one, which
    cannot handle signals, nothing changes.

    Yields:
        The signals received so far.
    """
    stops = StopSignals()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    original_hook = sys.unraisablehook

    def resend_dropped(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Stopped):  # raised within a __del__ or a callback
            stops.resend(unraisable.exc_value.number)
        else:
            original_hook(unraisable)

    handlers: dict[int, Any] = {}
    sys.unraisablehook = resend_dropped
    try:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                handlers[number] = signal.signal(number, stops.handle)
        yield stops
    finally:
        sys.unraisablehook = original_hook
        if stops._exit_code is None:
            for number, handler in handlers.items():
                signal.signal(number, handler)
