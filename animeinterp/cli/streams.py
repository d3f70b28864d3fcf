"""Make the standard streams safe to write to: closed, full, without a reader, or in a limited encoding.

The results of most commands are files, so a failing stdout does not end the work; the error is stored and reported at
the end.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

# Control characters except tab and line feed, and characters that reverse the direction of text: file names and
# metadata of films may hold terminal commands.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ERRORS = "animeinterp.plain"
_PLAIN = {
    **dict.fromkeys("─━═╌╍┄┅┈┉╴╶╸╺–—−", "-"),
    **dict.fromkeys("│┃║╎╏┆┇┊┋", "|"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’‚", "'"),
    "…": "...",
    "×": "x",
    "→": "->",
    "²": "2",
    "±": "+-",
    "≥": ">=",
    "≤": "<=",
}


def printable(text: str) -> str:
    """Write the characters of a text that would command a terminal as escapes."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Stream:
    """A text stream whose writes never raise.

    Attributes:
        error: The first suppressed error, None before it.
    """

    def __init__(self, stream: TextIO) -> None:
        """Wrap a stream."""
        self._stream = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write, unless an earlier write failed."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: closed
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, unless an earlier write failed."""
        if self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped stream."""
        return getattr(self._stream, name)

    def _give_up(self, error: OSError | ValueError) -> None:
        """Store the error and discard further output."""
        self.error = error
        with suppress(OSError, ValueError, io.UnsupportedOperation):
            # The interpreter flushes the buffer when it ends, which must not fail again.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


@contextmanager
def standard_streams() -> Iterator[Stream]:
    """Make stdout and stderr safe to write to while the block runs; yields stdout."""
    codecs.register_error(_ERRORS, _replace_unencodable)
    _open_closed_descriptors()
    original, error_handlers = (sys.stdout, sys.stderr), []
    try:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            if isinstance(stream, io.TextIOWrapper):
                error_handlers.append((stream, stream.errors))
                stream.reconfigure(errors=_ERRORS)
            setattr(sys, name, Stream(stream))
        yield cast(Stream, sys.stdout)
    finally:
        sys.stdout, sys.stderr = original
        for stream, handler in error_handlers:
            with suppress(ValueError, OSError):
                stream.reconfigure(errors=handler)


def _open_closed_descriptors() -> None:
    """Open closed standard descriptors, else the next opened file would receive what libraries print."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by similar ones, or by escapes; an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain_character, text)), error.end


def _plain_character(character: str) -> str:
    """Return similar ASCII characters, or an escape."""
    if "\u2500" <= character <= "\u257f":
        return _PLAIN.get(character, "+")
    if "\u2800" <= character <= "\u28ff":  # a spinner
        return "*"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
