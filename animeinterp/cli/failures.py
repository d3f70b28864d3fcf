"""What went wrong, in one line and an exit code."""

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
# How to go on after a stop, by verb; the rest writes nothing before the end.
_GO_ON = {
    "tween": "finished pictures stay; give the same command with --force to draw all of them",
    "demo": "finished pictures stay; give the same command with --force to draw all of them",
    "evaluate": "with --out the same command goes on where it stopped; without, it begins anew",
    "train": "--resume with the last checkpoint of the run's folder goes on from there",
    "dataset build": "the same command goes on where it stopped",
    "dataset crops": "the same command goes on where it stopped",
    "dataset flows": "the same command goes on where it stopped",
}


def described(error: BaseException, arguments: Sequence[str]) -> tuple[str, int]:
    """One line for an exception that ended a verb, and the exit code.

    Args:
        error: What was raised.
        arguments: The command line, which decides how to go on after a stop.
    """
    if isinstance(error, AnimeInterpError):
        return str(error), error.exit_code
    if isinstance(error, Stopped):
        return stopped(arguments, error.hint), 128 + error.number
    if _is_out_of_memory(error):
        return "memory ran out; make the frames smaller, or close other programs", 1
    if isinstance(error, OSError) and error.errno is not None:
        return _refused(error), 1
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; check that it is what you meant to give", 1
    if isinstance(error, UnicodeEncodeError):
        name = error.object.encode("ascii", "backslashreplace").decode()
        return f"the name {name} holds bytes that are no text; rename the file", 1
    if isinstance(error, ImportError):
        return f"a part of the installation cannot be loaded: {error}; install animeinterp again", 1
    said = f"unexpected {type(error).__name__}: {error}; please report it with the output of --debug"
    return said, 1


def stopped(arguments: Sequence[str], hint: str = "") -> str:
    """The line after Ctrl-C and the like: how to go on."""
    words = [word for word in arguments if not word.startswith("-")]
    verb = " ".join(words[: 2 if words[:1] in (["dataset"], ["weights"]) else 1])
    return f"stopped; {hint or _GO_ON.get(verb, 'give the same command to begin anew')}"


def _refused(error: OSError) -> str:
    """What the system refused, the file and what to do."""
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    advice = _ADVICE.get(error.errno or 0, "check the file and the disk")
    if not names and error.errno == errno.ENOENT and not _has_current_folder():
        return "the current folder does not exist any more; change to another one"
    return f"{names or 'a file'}: {error.strerror or error}; {advice}"


def _has_current_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    return True


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch and OpenCV say it by errors of their own."""
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in said
        or "Insufficient memory" in said
    )
