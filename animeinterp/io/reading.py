"""Read small files that strangers may have made: texts, JSON, TOML and numbers, with limits and one-line errors.

Size is checked before anything is read. What Python's parsers raise on odd input (deep nesting, numbers of thousands
of digits, NaN, lone surrogates) becomes a FileError. Pictures and films are read elsewhere.
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
_SHOWN = 120  # characters of a message out of a parser


def read_bytes(path: Path, expected: str, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes.

    Args:
        path: The file.
        expected: What messages ask for, such as `an annotation`.
        limit: Most bytes.

    Raises:
        FileError: It cannot be read, is not an ordinary file or is larger.
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
    """A UTF-8 text, with or without byte order mark. Raises as `read_bytes`, and FileError for other encodings."""
    try:
        return read_bytes(path, expected, limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8 text; expected {expected}") from None


def read_json(path: Path, expected: str, limit: int = MEGABYTE) -> Any:
    """What a JSON file holds. Raises as `read_text`, and FileError for what is not JSON, NaN and Infinity included."""
    return parse_json(read_text(path, expected, limit), path, expected)


def parse_json(text: str, origin: Path | str, expected: str) -> Any:
    """What a JSON text holds.

    Args:
        text: The text.
        origin: Where it is from, for messages.
        expected: What messages ask for.

    Raises:
        FileError: It is not JSON, is nested too deeply, or holds NaN, Infinity or broken Unicode.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise FileError(f"{origin} is damaged ({said(error)}); expected {expected}") from error
    return content


def read_toml(path: Path, expected: str, limit: int = MEGABYTE) -> dict[str, Any]:
    """What a TOML file holds. Raises as `read_text`, and FileError for what is not TOML."""
    text = read_text(path, expected, limit)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not TOML ({said(error)}); expected {expected}") from error


def finite_number(value: object, name: str, low: float, high: float) -> float:
    """A number within [low, high].

    Raises:
        ValueError: It is not a number, not finite or outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")
    # Compared before it is converted: an integer may be too large for a float.
    if not low <= value <= high or not math.isfinite(value):
        raise ValueError(f"{name} is not within {low:g} to {high:g}")
    return float(value)


def said(error: BaseException) -> str:
    """What a parser says of odd input, short, in one line and without its advice to programmers."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeError):
        return "broken Unicode"
    text = " ".join(str(error).split())
    if "int_max_str_digits" in text:
        return "a number with too many digits"
    text = f"{type(error).__name__}: {text}" if isinstance(error, KeyError | TypeError | AttributeError) else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
