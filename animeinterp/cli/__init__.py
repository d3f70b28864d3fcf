"""The command line: parse arguments, call the package, print results.

Every error ends in one line on stderr and an exit code: 2 for a mistaken call, 130 after Ctrl-C, 143 after SIGTERM, 1
for other errors. With --debug before the command, or ANIMEINTERP_DEBUG set, the traceback is printed first. This module
imports almost nothing, so that signals are handled from the beginning; the commands are in `animeinterp.cli.app`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from animeinterp.cli.signals import StopSignals, stop_signals
from animeinterp.cli.streams import Stream, printable, standard_streams


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Args:
        arguments: The words after the program's name; None takes those of this process.

    Raises:
        SystemExit: Always, with the exit code.
    """
    with standard_streams() as stdout, stop_signals() as stops:
        code = _run(sys.argv[1:] if arguments is None else list(arguments), stdout, stops)
        if arguments is None:
            stops.leave(code)
            if stops.number is not None:
                _exit_now(code)
    sys.exit(code)


def _run(arguments: list[str], stdout: Stream, stops: StopSignals) -> int:
    """Run the command line, print errors, and return the exit code."""
    try:
        os.getcwd()  # noqa: PTH109 (torch's libraries abort the process if it was removed)
        from animeinterp.cli.app import run

        code = run(arguments)
        stdout.flush()
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
    except BaseException as error:
        return _report_failure(error, arguments, stops)
    if stdout.error is None or isinstance(stdout.error, BrokenPipeError):
        return code  # a reader that stopped reading is not a failure
    reason = getattr(stdout.error, "strerror", None) or stdout.error
    _print_error(f"cannot write to standard output: {reason}; files that the command names are written")
    return code or 1


def _exit_now(code: int) -> None:
    """Exit without Python's shutdown, during which a second signal would change the code or print a traceback."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for process in active_children():
            process.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _report_failure(error: BaseException, arguments: list[str], stops: StopSignals) -> int:
    """Print an error in one line and return the exit code."""
    from animeinterp.cli.failures import describe_failure, describe_stop

    if os.environ.get("ANIMEINTERP_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        message, code = describe_stop(arguments), 130
    else:
        message, code = describe_failure(error, arguments)
        if stops.number is not None:  # libraries may turn the exception into one of their own
            message, code = describe_stop(arguments, getattr(error, "hint", "")), stops.code
    _print_error(message)
    return code


def _print_error(message: str) -> None:
    """Print an error message as one line."""
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.stderr.flush()
