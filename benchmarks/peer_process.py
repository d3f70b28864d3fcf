"""Run another program with a time limit, keep its output, and end it with its children.

Used by benchmarks/peers.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from animeinterp.errors import FileError


def run(arguments: Sequence[str], work: Path, log: Path, timeout: float) -> float:
    """Run a program.

    Args:
        arguments: The command.
        work: Working folder.
        log: Folder of the file for its output.
        timeout: Seconds.

    Returns:
        Wall seconds.

    Raises:
        FileError: The program cannot be started, fails or exceeds the timeout.
    """
    program = shutil.which(arguments[0]) or arguments[0]
    begin = time.perf_counter()
    with (log / "output.txt").open("wb") as output:
        try:
            process = subprocess.Popen(
                [str(Path(program).absolute()), *arguments[1:]],
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=output,  # not a pipe, which the program's own children could hold open
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            raise FileError(f"cannot start {arguments[0]}: {error.strerror}; correct its command") from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise FileError(f"it took longer than {timeout:g} s; raise its timeout if it is slow") from error
        finally:
            stop(process)
    if code:
        raise FileError(f"it ended with exit code {code}; its last line: {last_line(log)}")
    return time.perf_counter() - begin


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that is still running, and its children."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def last_line(log: Path) -> str:
    """Return the last line of a program's output that is not empty, at most 300 characters."""
    lines = (log / "output.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "(none)")
