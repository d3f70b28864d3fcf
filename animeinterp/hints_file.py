"""Files of hints, see `animeinterp.hints`: JSON, validated by pydantic.

    {"hints": [{"name": "left arm", "from": [[210, 330], [120, 470]], "to": [[268, 320], [280, 510]]}]}

`from` lists points of frame 0, `to` the same points in frame 1, px of the frame, x first. `name` may be left out;
`"kind": "segments"` is the other kind.

Hints for several pairs of keys name them, with or without suffix:

    {"pairs": [{"from": "A0001", "to": "A0005", "hints": [{"from": [[210, 330]], "to": [[268, 320]]}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from animeinterp.errors import FileError
from animeinterp.hints import MAX_HINTS, MAX_POINTS, Hint, HintKind, Hints
from animeinterp.io.files import write_text
from animeinterp.io.reading import read_json

_EXPECTED = 'hints: a JSON file such as {"hints": [{"from": [[210, 330]], "to": [[268, 320]]}]}'
_EXPECTED_PAIRS = 'hints for pairs of keys: {"pairs": [{"from": "A0001", "to": "A0005", "hints": [...]}]}'
_MAX_PAIRS, _MAX_KEY = 10_000, 255  # pairs of a file, characters of a name
_MAX_COORDINATE = 1e5  # px, larger than any frame
_MAX_NAME = 80  # characters
_Coordinate = Annotated[float, Field(ge=-1, le=_MAX_COORDINATE, allow_inf_nan=False, strict=True)]
_Points = Annotated[tuple[tuple[_Coordinate, _Coordinate], ...], Field(min_length=1, max_length=MAX_POINTS)]


_File = TypeVar("_File", bound=BaseModel)


class HintEntry(BaseModel):
    """One hint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points0: _Points = Field(alias="from")
    points1: _Points = Field(alias="to")
    kind: HintKind = "points"
    name: Annotated[str, Field(max_length=_MAX_NAME)] = ""

    @model_validator(mode="after")
    def _same_number(self) -> HintEntry:
        if len(self.points0) != len(self.points1):
            raise ValueError(f"{len(self.points0)} points in `from`, {len(self.points1)} in `to`")
        return self


class HintsFile(BaseModel):
    """A file of hints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hints: Annotated[tuple[HintEntry, ...], Field(max_length=MAX_HINTS)]


class PairEntry(BaseModel):
    """The hints of one pair of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key0: Annotated[str, Field(alias="from", min_length=1, max_length=_MAX_KEY)]
    key1: Annotated[str, Field(alias="to", min_length=1, max_length=_MAX_KEY)]
    hints: Annotated[tuple[HintEntry, ...], Field(max_length=MAX_HINTS)]


class PairsFile(BaseModel):
    """A file of hints for several pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: Annotated[tuple[PairEntry, ...], Field(max_length=_MAX_PAIRS)]


@dataclass(frozen=True, slots=True)
class PairHints:
    """The hints of one pair of keys.

    Attributes:
        key0: Name of the first key, with or without suffix.
        key1: Name of the second key.
        hints: px of the keys.
    """

    key0: str
    key1: str
    hints: Hints


def read_hints(path: Path | str) -> Hints:
    """Read the hints of a pair of frames.

    Args:
        path: A JSON file, see the module.

    Returns:
        The hints; whether they fit the frames is not checked yet.

    Raises:
        FileError: The file cannot be read or is not a file of hints.
    """
    path = Path(path)
    return parse_hints(read_json(path, _EXPECTED), path)


def parse_hints(content: Any, origin: Path | str = "the hints") -> Hints:
    """Validate hints that were parsed from JSON, `{"hints": [...]}`.

    Args:
        content: The parsed value.
        origin: Where it comes from, for messages.

    Returns:
        The hints.

    Raises:
        FileError: It is not a list of hints.
    """
    return _to_hints(_validate(HintsFile, content, origin, _EXPECTED).hints)


def read_pair_hints(path: Path | str) -> tuple[PairHints, ...]:
    """Read hints for several pairs of keys.

    Args:
        path: A JSON file, see above.

    Returns:
        The hints of each pair; whether they fit the keys is not checked yet.

    Raises:
        FileError: The file cannot be read or is not a file of such hints.
    """
    path = Path(path)
    file = _validate(PairsFile, read_json(path, _EXPECTED_PAIRS), path, _EXPECTED_PAIRS)
    return tuple(PairHints(entry.key0, entry.key1, _to_hints(entry.hints)) for entry in file.pairs)


def write_hints(path: Path | str, hints: Hints, *, force: bool = False) -> None:
    """Write hints as `read_hints` reads them.

    Args:
        path: The file.
        hints: The hints.
        force: Whether an existing file is replaced.

    Raises:
        FileError: The file exists or cannot be written.
    """
    write_text(Path(path), hints_to_json(hints), force=force)


def hints_to_json(hints: Hints) -> str:
    """Return hints as the text that `read_hints` reads."""
    entries = []
    for hint in hints:
        entry: dict[str, object] = {"name": hint.name} if hint.name else {}
        entry |= {"from": [list(point) for point in hint.points0], "to": [list(point) for point in hint.points1]}
        entries.append(entry | ({} if hint.kind == "points" else {"kind": hint.kind}))
    lines = ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    return f'{{"hints": [\n  {lines}\n]}}\n' if entries else '{"hints": []}\n'


def _validate(model: type[_File], content: Any, origin: Path | str, expected: str) -> _File:
    """Validate parsed JSON. Raises FileError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        message = " ".join(first["msg"].split())
        raise FileError(f"{origin}: {place}: {message[:120]}; expected {expected}") from None


def _to_hints(entries: Iterable[HintEntry]) -> Hints:
    return Hints(tuple(Hint(entry.points0, entry.points1, entry.kind, entry.name) for entry in entries))
