"""The scatter plots of the evaluation report: each triplet under two models.

HTML with inline SVG; `report.html` holds the script that moves the points when other models are chosen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from animeinterp.data.difficulty import LEVELS
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.report_markup import escape
from animeinterp.evaluation.report_measures import LPIPS, PSNR, SSIM, Measure, Shown, finite, shortened

_PLOT, _LEFT, _TOP, _FOOT = 330, 46, 8, 44  # side of the square, and what is around it
_SCATTERED = (LPIPS, PSNR, SSIM)
_LEVEL_KEY = (
    '<p class="faint key">Each point is a triplet; on the dashed line both models are equal.'
    + "".join(
        f'<svg viewBox="0 0 10 10" aria-hidden="true"><circle class="{level}" cx="5" cy="5" r="4"></circle>'
        f"</svg>{level}"
        for level in LEVELS
    )
    + "</p>"
)


def scatter(evaluation: Evaluation) -> str:
    """Each triplet under two models, in panels of LPIPS, if measured, PSNR and SSIM; empty for fewer than two models.

    The first two models are drawn; where there are more, a script moves the points for those that are chosen.
    """
    models = evaluation.models
    if len(models) < 2:
        return ""
    rows = {(row.model, row.triplet): row for row in evaluation.rows}
    levels = {row.triplet: row.level for row in evaluation.rows}
    drawn, panels = [], []
    for number, measure in enumerate(_SCATTERED):
        values = [
            [measure.of(Shown(rows[model, triplet].whole)) if (model, triplet) in rows else None for triplet in levels]
            for model in models
        ]
        if not any(value is not None for column in values for value in column):
            continue
        low, high = _domain(finite(value for column in values for value in column))
        plot = _Plot(f"scatter-{number}", measure, low, high)
        drawn.append(plot.draw(models[:2], levels, values[:2]))
        coded = [["inf" if value == math.inf else value for value in column] for column in values]
        numbers = {
            "id": plot.id,
            "low": low,
            "high": high,
            "digits": measure.digits,
            "unit": measure.unit,
            "rises": measure.rises,
        }
        panels.append(numbers | {"values": coded})
    both = f'{_LEVEL_KEY}<div class="panels pair">{"".join(drawn)}</div>'
    if len(models) == 2:
        return both
    names = {"models": models, "short": [shortened(model, 36) for model in models], "triplets": list(levels)}
    data = names | {"left": _LEFT, "top": _TOP, "size": _PLOT, "panels": panels}
    return f'{_choice(models)}{both}<script type="application/json" id="scatter-data">{_json(data)}</script>'


def _choice(models: Sequence[str]) -> str:
    """Which two models; hidden until the script that heeds it runs."""
    selects = (
        f'<label>{label} <select id="scatter-{axis}">'
        + "".join(
            f'<option value="{n}"{" selected" if n == chosen else ""}>{escape(model)}</option>'
            for n, model in enumerate(models)
        )
        + "</select></label>"
        for axis, label, chosen in (("x", "across", 0), ("y", "up", 1))
    )
    return f'<div class="choose" id="scatter-choose" hidden>{"".join(selects)}</div>'


class _Plot(NamedTuple):
    """A square in which both axes go from `low` to `high`; see `report.html` for the script that moves its points."""

    id: str
    measure: Measure
    low: float
    high: float

    def draw(
        self,
        models: Sequence[str],
        levels: Mapping[str, int | None],
        values: Sequence[Sequence[float | None]],
    ) -> str:
        points, wins, both = [], [0, 0], 0
        for (triplet, level), x, y in zip(levels.items(), *values, strict=True):
            at = [0.0 if value is None else self._place(value) for value in (x, y)]
            hidden = ' style="display:none"' if x is None or y is None else ""
            said = "\n".join([triplet, *(f"{m} {self._number(v)}" for m, v in zip(models, (x, y), strict=True))])
            points.append(
                f'<circle{"" if level is None else f" class={LEVELS[level]}"} cx="{_LEFT + _PLOT * at[0]:.1f}" '
                f'cy="{_TOP + _PLOT * (1 - at[1]):.1f}" r="4"{hidden}><title>{escape(said)}</title></circle>'
            )
            if x is not None and y is not None:
                both += 1
                larger = [x > y, y > x] if self.measure.rises else [y > x, x > y]
                wins = [wins[0] + larger[0], wins[1] + larger[1]]
        first, second = map(escape, models)
        return (
            f'<figure id="{self.id}"><h3>{self.measure.name}{f", {self.measure.heading}" * bool(self.measure.heading)}'
            f'</h3><p class="faint wins" aria-live="polite">{first} is better on {wins[0]} of {both} triplets, '
            f'{second} on {wins[1]}.</p><svg viewBox="0 0 {_LEFT + _PLOT + 8} {_TOP + _PLOT + _FOOT}" role="img" '
            f'aria-label="{self.measure.name} of each triplet under two models">{self._axes(models)}{"".join(points)}'
            "</svg></figure>"
        )

    def _axes(self, models: Sequence[str]) -> str:
        right, bottom = _LEFT + _PLOT, _TOP + _PLOT
        step = _step(self.high - self.low)
        digits = max(0, -math.floor(math.log10(step)))
        parts = []
        for k in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            x, y = _LEFT + _PLOT * self._place(k * step), _TOP + _PLOT * (1 - self._place(k * step))
            parts.append(
                f'<path class="grid" fill="none" d="M{x:.1f} {_TOP}V{bottom}M{_LEFT} {y:.1f}H{right}"></path>'
                f'<text class="faint" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{k * step:.{digits}f}</text>'
                f'<text class="faint" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{k * step:.{digits}f}</text>'
            )
        names = [escape(shortened(model, 36)) for model in models]
        return (
            f'{"".join(parts)}<path class="even" d="M{_LEFT} {bottom}L{right} {_TOP}"></path>'
            f'<text class="x-name" x="{right}" y="{bottom + 36}" text-anchor="end">{names[0]} →</text>'
            f'<text class="y-name" transform="translate(11 {_TOP}) rotate(-90)" text-anchor="end">{names[1]} →</text>'
        )

    def _place(self, value: float) -> float:
        return 1.0 if math.isinf(value) else (value - self.low) / (self.high - self.low)

    def _number(self, value: float | None) -> str:
        if value is None:
            return "–"
        return ("∞" if math.isinf(value) else f"{value:.{self.measure.digits}f}") + self.measure.unit


def _domain(values: Sequence[float]) -> tuple[float, float]:
    """From where to where axes go that show all values: a little beyond them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _step(span: float) -> float:
    """A round distance of ticks: at most 7 of them."""
    power = 10.0 ** math.floor(math.log10(span / 7))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= span / 7)


def _json(data: object) -> str:
    """JSON that may stand in a script element, whatever the names in it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
