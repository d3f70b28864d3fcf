"""Read a timing chart: a CSV file with one row for each pair of keys.

    from,to,count,timing,hold,on
    A0001,A0005,3,ease-in,4,2
    A0005,A0009,,1/8 1/2 7/8,,

The first row names the columns, in any order; all are optional, and so is each cell. `from` and `to` are names of keys
or their numbers; without these columns the rows are taken in the order of the pairs. `layer` tells layers apart.
`count` is the number of in-betweens, `timing` a chart or times (see `animeinterp.keys.timing`), `hold` the number of
frames for which the first key is shown, `on` that for each in-between. Cells may be separated by `;` or tabs, as
spreadsheets write them where the comma is the decimal point.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.io.reading import describe_error, read_text
from animeinterp.keys.numbering import KeyName

EXPECTED = "a CSV file whose first row names columns out of layer, from, to, count, timing, hold and on"
COLUMNS = ("layer", "from", "to", "count", "timing", "hold", "on")
_MAX_ROWS = 10_000
_MAX_FRAMES = 10_000  # of one drawing


@dataclass(frozen=True, slots=True)
class ChartRow:
    """What a chart says of a pair; None or an empty text is what it leaves open.

    Attributes:
        layer: Name of the layer.
        first: Name or number of the first key.
        last: Name or number of the second key.
        count: Number of in-betweens.
        timing: A timing chart, or times.
        hold: Frames for which the first key is shown.
        on: Frames for which each in-between is shown.
        line: Line of the file, for messages.
    """

    layer: str = ""
    first: str = ""
    last: str = ""
    count: int | None = None
    timing: str = ""
    hold: int | None = None
    on: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """A timing chart.

    Attributes:
        path: Its file.
        rows: In the order of the file.
        named: Whether rows name their keys.
    """

    path: Path
    rows: tuple[ChartRow, ...]
    named: bool

    def rows_of(self, layer: str, pairs: Sequence[tuple[KeyName, KeyName]]) -> list[ChartRow]:
        """Return the row of each pair of a layer, an empty one where the chart says nothing.

        Raises:
            FileError: Rows that name no keys are not as many as the pairs.
        """
        rows = [row for row in self.rows if not row.layer or row.layer.casefold() == layer.casefold()]
        if not rows:
            return [ChartRow() for _ in pairs]
        if not self.named:
            if len(rows) != len(pairs):
                raise FileError(
                    f"{self.path} has {len(rows)} rows for the {len(pairs)} pairs of layer {layer}; expected one each, "
                    "or the columns from and to"
                )
            return rows
        return [next((row for row in rows if _is_of(row, pair)), ChartRow()) for pair in pairs]

    def unused_rows(self, pairs: Sequence[tuple[str, KeyName, KeyName]]) -> list[ChartRow]:
        """Return the rows that fit no pair (layer, first key, second key)."""
        return [
            row
            for row in self.rows
            if not any(
                (not row.layer or row.layer.casefold() == layer.casefold())
                and (not self.named or _is_of(row, (key, following)))
                for layer, key, following in pairs
            )
        ]


def read_chart(path: Path) -> Chart:
    """Read a timing chart.

    Args:
        path: The CSV file, at most 1 MB.

    Raises:
        FileError: It cannot be read, has unknown columns, or a cell is invalid.
    """
    text = read_text(path, EXPECTED)
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        lines = list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise FileError(f"{path} is not CSV ({describe_error(error)}); expected {EXPECTED}") from error
    columns = [name.strip().casefold() for name in lines[0]] if lines else []
    unknown = [name for name in columns if name not in COLUMNS]
    if not columns or unknown or len(set(columns)) < len(columns):
        raise FileError(f"{path} begins with {head[:80]!r}; expected {EXPECTED}")
    if len(lines) > _MAX_ROWS:
        raise FileError(f"{path} has more than {_MAX_ROWS} rows; expected {EXPECTED}")
    rows = tuple(
        _parse_row(dict(zip(columns, map(str.strip, cells), strict=False)), path, number)
        for number, cells in enumerate(lines[1:], 2)
        if any(cell.strip() for cell in cells)
    )
    return Chart(path, rows, "from" in columns or "to" in columns)


def _parse_row(cells: dict[str, str], path: Path, line: int) -> ChartRow:
    """Parse a row. FileError for invalid numbers."""
    times = ",".join(cells.get("timing", "").replace(";", " ").replace(",", " ").split())
    return ChartRow(
        layer=cells.get("layer", ""),
        first=cells.get("from", ""),
        last=cells.get("to", ""),
        count=_parse_number(cells.get("count", ""), "count", 0, path, line),
        timing=times,
        hold=_parse_number(cells.get("hold", ""), "hold", 1, path, line),
        on=_parse_number(cells.get("on", ""), "on", 1, path, line),
        line=line,
    )


def _parse_number(cell: str, name: str, low: int, path: Path, line: int) -> int | None:
    """Parse a cell that is a whole number or empty."""
    if not cell:
        return None
    if not (cell.isascii() and cell.isdecimal() and len(cell) < 9 and low <= int(cell) <= _MAX_FRAMES):
        raise FileError(
            f"{path}, line {line}: {name} is {cell[:40]!r}; expected a whole number from {low} to {_MAX_FRAMES}, or "
            "nothing"
        )
    return int(cell)


def _is_of(row: ChartRow, pair: tuple[KeyName, KeyName]) -> bool:
    """Whether a row names these keys."""
    words = (row.first, row.last)
    return all(not word or is_named(key, word) for word, key in zip(words, pair, strict=True))


def is_named(key: KeyName, word: str) -> bool:
    """Whether a word is the name of a key, with or without suffix, or its number."""
    if word.casefold() in (key.path.name.casefold(), key.path.stem.casefold()):
        return True
    return key.number is not None and number_of(key, word) == key.number


def number_of(key: KeyName, word: str) -> int | None:
    """Return the number that a word gives a drawing of a key's layer: `2`, or `A2` beside `A0001`; None for others."""
    digits = word.casefold().removeprefix(key.head.casefold()).removesuffix(key.tail.casefold())
    return int(digits) if key.number is not None and re.fullmatch("[0-9]{1,9}", digits) else None
