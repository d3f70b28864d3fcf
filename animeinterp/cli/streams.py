"""Standard streams that take everything: closed, full, without a reader, or in an encoding of few characters.

The results of most verbs are files, so a failing stdout does not end the work; it is remembered and reported at the
end.
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

# Control characters except tab and line feed, and those that reverse the direction of text: names of files and
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
    """The text with characters that would command a terminal written as escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Stream:
    """A text stream whose writes never raise. error: the first that was swallowed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write, or do as if."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: closed
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or do as if."""
        if self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError | ValueError) -> None:
        self.error = error
        with suppress(OSError, ValueError, io.UnsupportedOperation):
            # What is buffered still must go somewhere when the interpreter ends.
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, self._stream.fileno())
            os.close(void)


@contextmanager
def standard_streams() -> Iterator[Stream]:
    """Make stdout and stderr safe to write to; yields stdout."""
    codecs.register_error(_ERRORS, _plain)
    _fill_descriptors()
    before, errors = (sys.stdout, sys.stderr), []
    try:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            if isinstance(stream, io.TextIOWrapper):
                errors.append((stream, stream.errors))
                stream.reconfigure(errors=_ERRORS)
            setattr(sys, name, Stream(stream))
        yield cast(Stream, sys.stdout)
    finally:
        sys.stdout, sys.stderr = before
        for stream, old in errors:
            with suppress(ValueError, OSError):
                stream.reconfigure(errors=old)


def _fill_descriptors() -> None:
    """Open what the caller closed: else the next file to be opened would get what libraries print."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in characters that look alike, or as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain_character, text)), error.end


def _plain_character(character: str) -> str:
    if "\u2500" <= character <= "\u257f":
        return _PLAIN.get(character, "+")
    if "\u2800" <= character <= "\u28ff":  # a spinner
        return "*"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
