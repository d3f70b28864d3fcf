"""Plan all layers of a call, by settings, a timing chart or a time sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.keys.chart import ChartRow, read_chart
from animeinterp.keys.exposures import duration, held_until
from animeinterp.keys.numbering import Layer
from animeinterp.keys.plan import PlannedLayer, check_distinct, key_pairs, plan_layer, renumber
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.sheet_plan import plan_by_sheet
from animeinterp.keys.xdts import read_xdts


def plan_layers(layers: Sequence[Layer], settings: KeySettings) -> tuple[tuple[PlannedLayer, ...], tuple[str, ...]]:
    """Plan the drawings of several layers.

    Args:
        layers: The keys.
        settings: What to make of them.

    Returns:
        The plans, and what was assumed, as sentences for the user.

    Raises:
        UsageError: The settings are invalid, or two drawings would have one name.
        FileError: The chart cannot be read, or fits no layer.
    """
    first = min((layer.numbers[0] for layer in layers if layer.numbers), default=0)
    if settings.chart is not None and settings.chart.suffix.lower() == ".xdts":
        planned, notes = _plan_by_sheet(layers, settings, settings.chart, first)
    else:
        planned, notes = _plan_by_chart(layers, settings, first)
    if settings.name is not None:
        _check_layers(planned)
        planned = [
            renumber(plan, settings.name, layer.numbers[0] if layer.numbers else 1)
            for plan, layer in zip(planned, layers, strict=True)
        ]
    check_distinct(planned)
    return tuple(planned), tuple(notes)


def _check_layers(layers: Sequence[PlannedLayer]) -> None:
    """Raise UsageError if two drawings of one layer would have the same name."""
    for layer in layers:
        check_distinct([layer])


def _plan_by_chart(layers: Sequence[Layer], settings: KeySettings, first: int) -> tuple[list[PlannedLayer], list[str]]:
    """Plan layers by the rows of a chart, if there is one; the last drawing of each is held until the end of all."""
    chart = None if settings.chart is None else read_chart(settings.chart)
    planned, notes = list[PlannedLayer](), list[str]()
    for layer in layers:
        pairs = key_pairs(layer)
        rows = [ChartRow() for _ in pairs] if chart is None else chart.rows_of(layer.name, pairs)
        planned.append(plan_layer(layer, rows, settings, first))
    end = duration([plan.exposures for plan in planned])
    planned = [replace(plan, exposures=held_until(plan.exposures, end)) for plan in planned]
    if chart is not None:
        unused = chart.unused_rows([(layer.name, *pair) for layer in layers for pair in key_pairs(layer)])
        if len(unused) == len(chart.rows):
            raise FileError(
                f"no row of {chart.path} fits two keys that follow each other; expected names of keys, such as "
                f"{layers[0].keys[0].path.stem},{layers[0].keys[1].path.stem}"
            )
        if unused:
            lines = ", ".join(str(row.line) for row in unused[:5]) + (", …" if len(unused) > 5 else "")
            notes.append(f"{chart.path.name}: no keys for line {lines}")
    return planned, notes


def _plan_by_sheet(
    layers: Sequence[Layer], settings: KeySettings, path: Path, first: int
) -> tuple[list[PlannedLayer], list[str]]:
    """Plan layers by the columns of a time sheet, which are found by name."""
    sheet = read_xdts(path)
    columns = {column.name.casefold(): column for column in reversed(sheet.columns)}  # of one name, the first
    if len(layers) == len(sheet.columns) == 1:
        columns = {layers[0].name.casefold(): sheet.columns[0]}
    planned, notes = list[PlannedLayer](), list[str]()
    for layer in layers:
        column = columns.pop(layer.name.casefold(), None)
        if column is None:
            notes.append(f"{path.name} has no layer {layer.name}: it is drawn as without a sheet")
            planned.append(plan_layer(layer, [ChartRow() for _ in key_pairs(layer)], settings, first))
            continue
        plan, assumed = plan_by_sheet(layer, column, sheet.duration, settings)
        planned.append(plan)
        notes += [f"{layer.name}: {note}" for note in assumed]
    if len(columns) == len(sheet.columns):
        names = ", ".join(column.name for column in sheet.columns[:5]) or "none"
        raise FileError(
            f"{path} has the layers {names}, but the keys are of {', '.join(layer.name for layer in layers[:5])}; "
            "expected one name in common, so rename the keys or the layers"
        )
    notes += [f"{path.name}: no keys for layer {column.name}" for column in columns.values()]
    return planned, notes
