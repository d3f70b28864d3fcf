"""Describe an error in one line, and choose the exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from animeinterp.cli.signals import Stopped
from animeinterp.errors import AnimeInterpError

_ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EACCES: "check its permissions or choose another",
    errno.EPERM: "check its permissions or choose another",
    errno.EROFS: "choose another folder",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "check the name",
    errno.ENOENT: "check the name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "too many files are open; close other programs or raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open; close other programs",
    errno.ENOMEM: "make the frames smaller, or close other programs",
    errno.EFBIG: "choose a disk that takes larger files",
}
# How to continue after a stop, by command; other commands write nothing before the end.
_RESUME_ADVICE = {
    "tween": "finished images are kept; give the same command with --force to draw all of them",
    "inbetween": "finished drawings are kept; give the same command with --resume to draw the others",
    "demo": "finished images are kept; give the same command with --force to draw all of them",
    "evaluate": "with --out the same command continues where it stopped; without, it starts again",
    "train": "--resume with the last checkpoint of the run's folder continues from there",
    "dataset build": "the same command continues where it stopped",
    "dataset crops": "the same command continues where it stopped",
    "dataset flows": "the same command continues where it stopped",
}


def describe_failure(error: BaseException, arguments: Sequence[str]) -> tuple[str, int]:
    """Describe the exception that ended a command.

    Args:
        error: The exception.
        arguments: The command line, for the advice after a stop.

    Returns:
        The message, and the exit code.
    """
    if isinstance(error, AnimeInterpError):
        return str(error), error.exit_code
    if isinstance(error, Stopped):
        return describe_stop(arguments, error.hint), 128 + error.number
    if _is_out_of_memory(error):
        return "memory ran out; make the frames smaller, or close other programs", 1
    if isinstance(error, OSError) and error.errno is not None:
        return _describe_os_error(error), 1
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; check that it is the right file", 1
    if isinstance(error, UnicodeEncodeError):
        name = error.object.encode("ascii", "backslashreplace").decode()
        return f"the name {name} holds bytes that are not text; rename the file", 1
    if isinstance(error, ImportError):
        return f"a part of the installation cannot be loaded: {error}; install animeinterp again", 1
    return f"unexpected {type(error).__name__}: {error}; please report it with the output of --debug", 1


def describe_stop(arguments: Sequence[str], hint: str = "") -> str:
    """Return the message after Ctrl-C or another signal: how to continue. `hint` replaces the usual advice."""
    words = [word for word in arguments if not word.startswith("-")]
    command = " ".join(words[: 2 if words[:1] in (["dataset"], ["weights"]) else 1])
    return f"stopped; {hint or _RESUME_ADVICE.get(command, 'give the same command to start again')}"


def _describe_os_error(error: OSError) -> str:
    """Return the file, the operating system's reason and what to do."""
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    advice = _ADVICE.get(error.errno or 0, "check the file and the disk")
    if not names and error.errno == errno.ENOENT and not _has_current_folder():
        return "the current folder does not exist any more; change to another one"
    return f"{names or 'a file'}: {error.strerror or error}; {advice}"


def _has_current_folder() -> bool:
    """Return whether the current folder exists."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    return True


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, which torch and OpenCV report by errors of their own."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
        or "Insufficient memory" in text
    )
