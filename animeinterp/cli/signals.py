"""Signals that end the program become an exception, so that whatever is open is cleaned up on the way out.

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

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not every system has all of them
_CLEANING_UP = 5.0  # s


class Stopped(BaseException):
    """A signal asked the program to end. Not a KeyboardInterrupt, which Typer would swallow.

    number: the signal. hint: how to go on, set by whoever knows.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.hint = ""


class StopSignals:
    """What has come so far.

    number: the first signal, None before. code: the exit code that a shell expects after it.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._last = -_CLEANING_UP
        self._leaving: int | None = None

    @property
    def code(self) -> int:
        """128 and the number, as shells count: 130 after Ctrl-C (and Ctrl-Break), 143 after SIGTERM."""
        interrupted = self.number is None or self.number == getattr(signal, "SIGBREAK", None)
        return 130 if interrupted else 128 + int(self.number or 0)

    def leave(self, code: int) -> None:
        """From now on a signal ends the process at once: all is written, only threads are waited for.

        When they have ended, signals are ignored: Python puts the system's handlers back while it shuts down, and those
        would end a finished program as if it had failed.
        """
        self._leaving = code
        atexit.register(_ignore)

    def handle(self, number: int, _frame: Any) -> None:
        """Raise Stopped, unless the program is cleaning up already."""
        if self._leaving is not None:
            os._exit(self._leaving)
        now = monotonic()
        self.number = self.number or number
        if now - self._last < _CLEANING_UP:
            return
        self._last = now
        raise Stopped(number)

    def lost(self, number: int) -> None:
        """Raise the signal again a little later: the exception was raised where Python drops it."""
        self._last = -_CLEANING_UP
        timer = threading.Timer(0.05, _send, (number,))
        timer.daemon = True
        timer.start()


def _ignore() -> None:
    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        signal.signal(number, signal.SIG_IGN)


def _send(number: int) -> None:
    """Send this process a signal, so that the main thread wakes up if it waits."""
    ident = threading.main_thread().ident
    if sys.platform != "win32" and ident is not None:
        signal.pthread_kill(ident, number)
    else:
        signal.raise_signal(number)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Raise Stopped in the block when a signal asks the program to end.

    Signals that are ignored stay so (`nohup`, background jobs of a script). In another thread than the main one, which
    cannot handle signals, nothing changes.
    """
    stops = StopSignals()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    drops = sys.unraisablehook

    def dropped(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Stopped):  # raised within a __del__ or a callback
            stops.lost(unraisable.exc_value.number)
        else:
            drops(unraisable)

    before: dict[int, Any] = {}
    sys.unraisablehook = dropped
    try:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, stops.handle)
        yield stops
    finally:
        sys.unraisablehook = drops
        if stops._leaving is None:
            for number, handler in before.items():
                signal.signal(number, handler)
