"""Write when each drawing is shown: an exposure sheet as CSV, and the time sheet that other programs read (XDTS)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from animeinterp.io.files import write_text
from animeinterp.keys.exposures import duration, shown_at
from animeinterp.keys.numbering import common_numbers
from animeinterp.keys.plan import PlannedLayer
from animeinterp.keys.xdts import EMPTY, SheetColumn, TimeSheet

_FORMULA = ("=", "+", "-", "@")  # with which spreadsheets begin formulas


def write_exposure_sheet(target: Path, layers: Sequence[PlannedLayer], *, force: bool = False) -> None:
    """Write a CSV file with one row for each frame, from 1, and one column for each layer.

    A cell holds the name of the drawing that begins there, without suffix; `x` where nothing begins to be shown; it is
    empty where the drawing above is held.

    Args:
        target: The file.
        layers: The layers.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`.
        FileError: It cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", *(_plain(layer.name) for layer in layers)])
    for frame in range(duration([layer.exposures for layer in layers])):
        writer.writerow([frame + 1, *(_cell(layer, frame) for layer in layers)])
    write_text(target, text.getvalue(), force=force)


def to_time_sheet(layers: Sequence[PlannedLayer]) -> TimeSheet:
    """Build the time sheet of layers.

    Drawings are called by their numbers, as other programs call the images of a numbered sequence; by their names
    without suffix where those do not differ in one number only.
    """
    columns = []
    for layer in layers:
        numbers = common_numbers(layer.drawings)
        called = {name: Path(name).stem if numbers is None else str(numbers[name]) for name in layer.drawings}
        cells = [(exposure.start, called[exposure.name] if exposure.name else EMPTY) for exposure in layer.exposures]
        if layer.exposures and layer.exposures[0].start > 0:
            cells.insert(0, (0, EMPTY))
        last = layer.exposures[-1] if layer.exposures else None
        if last is not None and last.name is not None:
            cells.append((last.start + last.length, EMPTY))
        columns.append(SheetColumn(layer.name, tuple(cells)))
    return TimeSheet(tuple(columns), duration([layer.exposures for layer in layers]))


def _cell(layer: PlannedLayer, frame: int) -> str:
    """Return what begins at a frame."""
    name = shown_at(layer.exposures, frame)
    if frame and name == shown_at(layer.exposures, frame - 1):
        return ""
    return "x" if name is None else _plain(Path(name).stem)


def _plain(text: str) -> str:
    """Return a text that spreadsheets do not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
