"""Turn errors into the sentences that the page shows, and text from outside into safe markup."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from pathlib import Path

from animeinterp.errors import AnimeInterpError

# What a call of the package may raise because of what the visitor gave or of the machine; other exceptions are faults.
EXPECTED_ERRORS = (AnimeInterpError, OSError, MemoryError)


def describe_error(error: BaseException, uploads: Iterable[Path] = ()) -> str:
    """Describe an error of `EXPECTED_ERRORS` in one line.

    Args:
        error: The error.
        uploads: Files of the visitor, which the sentence calls by their names and not by where they are stored.

    Returns:
        The sentence, as text.
    """
    if isinstance(error, MemoryError):
        return "Memory ran out; make the drawings smaller, or close other programs."
    if isinstance(error, OSError) and not isinstance(error, AnimeInterpError):
        sentence = f"{error.strerror or error}; check the disk and try again"
    else:
        sentence = str(error)
    for path in uploads:
        sentence = sentence.replace(f"{path.parent}{os.sep}", "")
    sentence = " ".join(sentence.split())
    return f"{sentence[:1].upper()}{sentence[1:]}{'' if sentence.endswith('.') else '.'}"


def note(text: str) -> str:
    """Return the markup of a line of status that screen readers announce."""
    return f'<p class="note" role="status">{escape(text)}</p>'


def warning(text: str) -> str:
    """Return the markup of a line about something that failed."""
    return f'<p class="note failed" role="alert">{escape(text)}</p>'
