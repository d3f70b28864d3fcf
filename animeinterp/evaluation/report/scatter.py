"""Scatter plots for the report: the scores of each triplet under two models.

This module prepares data only; `templates/report/scatter.html` holds the markup and `templates/report/script.js` moves
the points when other models are chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from animeinterp.data.types import LEVELS
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.pages import shorten
from animeinterp.evaluation.report.measures import LPIPS, PSNR, SSIM, Measure, finite

_SIDE, _LEFT, _TOP, _BOTTOM = 330, 46, 8, 44  # the square and the margins around it, in units of the SVG
_AXIS_NAME = 36  # characters of a model's name along an axis
_MAX_TICKS = 7
Values = Sequence[Sequence[float | None]]  # by model and triplet


class Point(NamedTuple):
    """A triplet; `x` and `y` in units of the SVG. Hidden if one of the two models lacks it."""

    x: float
    y: float
    level: str
    title: str
    hidden: bool


class Tick(NamedTuple):
    """A grid line on both axes; `x` and `y` in units of the SVG."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One measure of two models, drawn in a square.

    Attributes:
        id: Id of the HTML element.
        measure: The measure on both axes.
        low: Value at the origin.
        high: Value at the end of both axes.
        points: One per triplet.
        ticks: Grid lines.
        wins: Number of triplets on which the first and the second model are better.
        count: Number of triplets that both models have.
    """

    id: str
    measure: Measure
    low: float
    high: float
    points: Sequence[Point]
    ticks: Sequence[Tick]
    wins: tuple[int, int]
    count: int


@dataclass(frozen=True, slots=True)
class Scatter:
    """All plots of the report.

    Attributes:
        models: Names of the models; the plots show the first two.
        plots: One per measure.
        levels: Names of the levels, for the key.
        geometry: Sizes in units of the SVG.
        data: Input of the script, JSON-serializable; None for two models, which leave no choice.
    """

    models: Sequence[str]
    plots: Sequence[Plot]
    levels: Sequence[str]
    geometry: Mapping[str, int]
    data: Mapping[str, object] | None


def plot_models(evaluation: Evaluation) -> Scatter | None:
    """Plot LPIPS, if measured, PSNR and SSIM of each triplet under two models.

    The plots show the first two models; for more, the page has a script that moves the points.

    Args:
        evaluation: The scores.

    Returns:
        The plots; None for fewer than two models.
    """
    models = evaluation.models
    if len(models) < 2:
        return None
    rows = {(row.model, row.triplet): row.whole for row in evaluation.rows}
    levels = {row.triplet: row.level for row in evaluation.rows}
    plots, panels = [], []
    for number, measure in enumerate((LPIPS, PSNR, SSIM)):
        values = [[measure.value(rows.get((model, triplet))) for triplet in levels] for model in models]
        if any(value is not None for column in values for value in column):
            plots.append(_plot(f"scatter-{number}", measure, models, levels, values))
            panels.append(_panel(plots[-1], values))
    data = {
        "models": models,
        "short": [shorten(model, _AXIS_NAME) for model in models],
        "triplets": list(levels),
        "left": _LEFT,
        "top": _TOP,
        "size": _SIDE,
        "panels": panels,
    }
    geometry = {"left": _LEFT, "top": _TOP, "right": _LEFT + _SIDE, "bottom": _TOP + _SIDE, "axis_name": _AXIS_NAME}
    size = {"width": _LEFT + _SIDE + 8, "height": _TOP + _SIDE + _BOTTOM}
    return Scatter(models, plots, LEVELS, geometry | size, data if len(models) > 2 else None)


def _panel(plot: Plot, values: Values) -> dict[str, object]:
    """Return a plot's values and format for the script; JSON has no infinity."""
    return {
        "id": plot.id,
        "low": plot.low,
        "high": plot.high,
        "digits": plot.measure.digits,
        "unit": plot.measure.unit,
        "rises": plot.measure.higher_is_better,
        "values": [["inf" if value == math.inf else value for value in column] for column in values],
    }


def _plot(id: str, measure: Measure, models: Sequence[str], levels: Mapping[str, int | None], values: Values) -> Plot:
    """Place the points of the first two models; both axes show the values of all models."""
    low, high = _axis_range(finite(value for column in values for value in column))

    def place(value: float | None) -> tuple[float, float]:
        """Return the x and y of a value; infinity is at the end of the axis, unknown values at its start."""
        fraction = 0.0 if value is None else min((value - low) / (high - low), 1.0)
        return _LEFT + _SIDE * fraction, _TOP + _SIDE * (1 - fraction)

    points, wins, count = [], [0, 0], 0
    for (triplet, level), *pair in zip(levels.items(), values[0], values[1], strict=True):
        x, y = pair
        lines = (f"{model} {_with_unit(measure, value)}" for model, value in zip(models, pair, strict=False))
        title, name = "\n".join([triplet, *lines]), "" if level is None else LEVELS[level]
        points.append(Point(place(x)[0], place(y)[1], name, title, x is None or y is None))
        if x is not None and y is not None:
            count += 1
            if x != y:
                wins[(x > y) != measure.higher_is_better] += 1
    step = _tick_step(high - low)
    digits = max(0, -math.floor(math.log10(step)))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ticks = [Tick(*place(k * step), f"{k * step:.{digits}f}") for k in numbers]
    return Plot(id, measure, low, high, points, ticks, (wins[0], wins[1]), count)


def _with_unit(measure: Measure, value: float | None) -> str:
    """Format a value with its unit."""
    return measure.format(value) + (measure.unit if value is not None else "")


def _axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis: that of the values with a margin."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _tick_step(span: float) -> float:
    """Return the smallest round step that gives at most `_MAX_TICKS` ticks."""
    power = 10.0 ** math.floor(math.log10(span / _MAX_TICKS))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= span / _MAX_TICKS)
