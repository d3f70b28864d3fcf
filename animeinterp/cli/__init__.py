"""The command line: parse, call, show. Nothing is computed here.

Whatever goes wrong ends in one line on stderr and an exit code: 2 where the call asks for something that cannot be,
130 after Ctrl-C, 143 after SIGTERM, 1 for the rest. With --debug before the command, or ANIMEINTERP_DEBUG set, the
traceback comes first. This module loads next to nothing, so that signals are handled from the beginning; the verbs
are in `animeinterp.cli.app`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from animeinterp.cli.signals import StopSignals, stop_signals
from animeinterp.cli.streams import Stream, printable, standard_streams


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: The words after the program's name; None takes those of this process.
    """
    with standard_streams() as stdout, stop_signals() as stops:
        code = _run(sys.argv[1:] if arguments is None else list(arguments), stdout, stops)
        if arguments is None:
            stops.leave(code)
            if stops.number is not None:
                _leave(code)
    sys.exit(code)


def _run(arguments: list[str], stdout: Stream, stops: StopSignals) -> int:
    try:
        os.getcwd()  # noqa: PTH109 (torch's libraries end the process if it is gone)
        from animeinterp.cli.app import run

        code = run(arguments)
        stdout.flush()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1
    except BaseException as error:
        return _fail(error, arguments, stops)
    if stdout.error is None or isinstance(stdout.error, BrokenPipeError):
        return code  # a reader that has seen enough is no failure
    said = getattr(stdout.error, "strerror", None) or stdout.error
    _say(f"cannot write to standard output: {said}; files that the command names are written")
    return code or 1


def _leave(code: int) -> None:
    """End at once: while Python shuts down, a second signal would end it with another code or a traceback."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for process in active_children():
            process.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fail(error: BaseException, arguments: list[str], stops: StopSignals) -> int:
    """Say what went wrong in one line; returns the exit code."""
    from animeinterp.cli.failures import described, stopped

    if os.environ.get("ANIMEINTERP_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        message, code = stopped(arguments), 130
    else:
        message, code = described(error, arguments)
        if stops.number is not None:  # libraries may turn the exception into one of their own
            message, code = stopped(arguments, getattr(error, "hint", "")), stops.code
    _say(message)
    return code


def _say(message: str) -> None:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.stderr.flush()
