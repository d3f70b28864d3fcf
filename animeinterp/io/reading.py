"""Read small files from untrusted sources: text, JSON, TOML and numbers, with limits and one-line errors.

The size is checked before the content is read. Exceptions of Python's parsers on unusual input (deep nesting, numbers
of thousands of digits, NaN, lone surrogates) become a FileError. This module does not read images and films.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from animeinterp.errors import FileError
from animeinterp.io.files import check_source

MEGABYTE = 1 << 20
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_MESSAGE = 120  # characters of a parser's message


def read_bytes(path: Path, expected: str, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Args:
        path: The file.
        expected: What was expected, for messages, such as `an annotation`.
        limit: Maximum size, bytes.

    Returns:
        The content.

    Raises:
        FileError: It cannot be read, is not a regular file or is larger.
    """
    check_source(path, expected)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; expected {expected}") from error
    if len(data) > limit:
        raise FileError(f"{path} is larger than {limit / MEGABYTE:g} MB; expected {expected}")
    return data


def read_text(path: Path, expected: str, limit: int = MEGABYTE) -> str:
    """Read UTF-8 text, with or without a byte order mark.

    Args:
        path: The file.
        expected: What was expected, for messages.
        limit: Maximum size, bytes.

    Returns:
        The text, without the byte order mark.

    Raises:
        FileError: As `read_bytes`, and for other encodings.
    """
    try:
        return read_bytes(path, expected, limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8 text; expected {expected}") from None


def read_json(path: Path, expected: str, limit: int = MEGABYTE) -> Any:
    """Read and parse a JSON file; arguments as `read_text`, errors as `read_text` and `parse_json`."""
    return parse_json(read_text(path, expected, limit), path, expected)


def parse_json(text: str, origin: Path | str, expected: str) -> Any:
    """Parse a JSON text.

    Args:
        text: The text.
        origin: Its file, for messages.
        expected: What was expected, for messages.

    Returns:
        The parsed value.

    Raises:
        FileError: The text is not JSON, is nested too deeply, or holds NaN, Infinity or broken Unicode.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise FileError(f"{origin} is damaged ({describe_error(error)}); expected {expected}") from error
    return content


def read_toml(path: Path, expected: str, limit: int = MEGABYTE) -> dict[str, Any]:
    """Read and parse a TOML file; arguments and errors as `read_text`, and FileError if it is not TOML."""
    text = read_text(path, expected, limit)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not TOML ({describe_error(error)}); expected {expected}") from error


def finite_number(value: object, name: str, low: float, high: float) -> float:
    """Check that a parsed value is a number within a range.

    Args:
        value: The parsed value.
        name: Its name, for messages.
        low: Minimum, inclusive.
        high: Maximum, inclusive.

    Returns:
        The number.

    Raises:
        ValueError: It is not a number, not finite or outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")
    # Compared before the conversion, because an integer may be too large for a float.
    if not low <= value <= high or not math.isfinite(value):
        raise ValueError(f"{name} is not within {low:g} to {high:g}")
    return float(value)


def describe_error(error: BaseException) -> str:
    """Return the message of a parser's exception: short, in one line, without advice to programmers."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeError):
        return "broken Unicode"
    text = " ".join(str(error).split())
    if "int_max_str_digits" in text:
        return "a number with too many digits"
    text = f"{type(error).__name__}: {text}" if isinstance(error, KeyError | TypeError | AttributeError) else text
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's parser accepts."""
    raise ValueError(f"{name} is not JSON")
