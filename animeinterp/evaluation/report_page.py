"""The parts of the evaluation report that show numbers: tables of means, bars by level, scatter of two models.

All are HTML with inline SVG, made without knowing of files or pixels; `animeinterp.evaluation.report` puts them
together and `report.html` gives them their looks. What comes from outside passes `escape`.
"""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from animeinterp.data.atd12k import LEVELS
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.scores import Scores, Summary, TripletScores

_BAR_WIDTH, _LABEL, _NUMBER, _ROW = 320, 112, 50, 20  # of an SVG of bars, in its own units
_PLOT, _LEFT, _TOP, _FOOT = 330, 46, 8, 44  # of a scatter: side of the square, and what is around it
_SHORT = 15  # characters of a model's name that fit beside a bar


@dataclass(frozen=True, slots=True)
class Measure:
    """How one of `Scores` is shown.

    unit: after a number. heading: what the column's heading says beside the name. digits: after the point. rises:
    whether more is better. factor: what the value is multiplied by to be shown. from_one: whether bars show how much is
    lacking to 1, as they must begin at zero and all similarities are close to 1.
    """

    name: str
    of: Callable[[Scores], float | None]
    digits: int
    rises: bool
    unit: str = ""
    heading: str = ""
    factor: float = 1
    from_one: bool = False

    def text(self, scores: Scores | None) -> str:
        """The value without its unit; ∞ for equal frames, a dash where there is none."""
        value = self.of(scores) if scores else None
        if value is None:
            return "–"
        return "∞" if math.isinf(value) else f"{value * self.factor:.{self.digits}f}"


MEASURES = (
    Measure("PSNR", lambda s: s.psnr, 2, True, " dB", "dB"),
    Measure("SSIM", lambda s: s.ssim, 4, True, from_one=True),
    Measure("SSIM ATD", lambda s: s.ssim_atd, 4, True, heading="as in papers", from_one=True),
    Measure("IE", lambda s: s.ie, 2, False, heading="of 441"),
    Measure("Chamfer", lambda s: s.chamfer, 2, False, "·10⁻⁵", "10⁻⁵ diagonals", 1e5),
    Measure("LPIPS", lambda s: s.lpips, 4, False),
)
SCATTERED = MEASURES[:2]
_LEVEL_KEY = (
    '<p class="faint key">Each point is a triplet; on the dashed line both models are equal.'
    + "".join(
        f'<svg viewBox="0 0 10 10" aria-hidden="true"><circle class="{level}" cx="5" cy="5" r="4"></circle>'
        f"</svg>{level}"
        for level in LEVELS
    )
    + "</p>"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Means over `count` triplets, one for each model, None where there is nothing to average."""

    name: str
    count: int
    means: tuple[Scores | None, ...]


def escape(text: str) -> str:
    """Text as it may stand in HTML, between tags and in quotes; names that are no Unicode get question marks."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def overall(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """The means over whole frames, and over the motion RoIs where there are any."""
    counts = (len({row.triplet for row in rows}) for rows in (evaluation.rows, _with_roi(evaluation)))
    means = tuple(s.whole for s in summaries), tuple(s.roi for s in summaries)
    groups = (Group(*parts) for parts in zip(("whole frame", "motion RoI"), counts, means, strict=True))
    return [group for group in groups if group.count]


def by_level(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """The means by level, without levels that no triplet has."""
    counts = [len({row.triplet for row in evaluation.rows if row.level == level}) for level in range(len(LEVELS))]
    groups = (Group(LEVELS[k], count, tuple(s.levels[k] for s in summaries)) for k, count in enumerate(counts))
    return [group for group in groups if group.count]


def by_word(
    evaluation: Evaluation, words: Callable[[TripletScores], tuple[str, ...]], means: Sequence[Mapping[str, Scores]]
) -> list[Group]:
    """The means by some of the annotations' words, in alphabetical order. means: of each model, by word."""
    counts = Counter(word for _, word in {(row.triplet, word) for row in evaluation.rows for word in words(row)})
    return [Group(word, counts[word], tuple(each.get(word) for each in means)) for word in sorted(counts)]


def _with_roi(evaluation: Evaluation) -> list[TripletScores]:
    return [row for row in evaluation.rows if row.roi is not None]


def shown_measures(scores: Iterable[Scores | None]) -> list[Measure]:
    """The measures that some of the scores have."""
    known = [one for one in scores if one]
    return [measure for measure in MEASURES if any(measure.of(one) is not None for one in known)]


def table(caption: str, models: Sequence[str], groups: Sequence[Group]) -> str:
    """A table of means: a block of rows for each group, a row for each model, the best of several models in bold."""
    shown = shown_measures(scores for group in groups for scores in group.means)
    heads = "".join(
        f'<th scope="col">{m.name} <span title="{"higher" if m.rises else "lower"} is better">{"↑" if m.rises else "↓"}'
        f"</span>{f'<br>{m.heading}' if m.heading else ''}</th>"
        for m in shown
    )
    blocks = []
    for group in groups:
        best = [_best(m, group.means) for m in shown]
        rows = []
        for n, (model, scores) in enumerate(zip(models, group.means, strict=True)):
            first = (
                f'<th scope="rowgroup" rowspan="{len(models)}">{escape(group.name)}</th>'
                f'<td rowspan="{len(models)}">{group.count}</td>'
            )
            cells = (
                f"<td><b>{m.text(scores)}</b></td>" if n in winners else f"<td>{m.text(scores)}</td>"
                for m, winners in zip(shown, best, strict=True)
            )
            rows.append(f'<tr>{"" if n else first}<th scope="row">{escape(model)}</th>{"".join(cells)}</tr>')
        blocks.append(f"<tbody>{''.join(rows)}</tbody>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table><thead><tr>'
        f'<th scope="col"></th><th scope="col">triplets</th><th scope="col"></th>{heads}</tr></thead>'
        f"{''.join(blocks)}</table></div>"
    )


def timing_table(summaries: Sequence[Summary]) -> str:
    """Means at t = 0.5 and at each model's best t, of all triplets and by level; empty if nobody looked for it."""
    shown = MEASURES[:2]
    blocks = []
    for summary in summaries:
        timings = summary.timings()
        rows = []
        for n, (name, plain, best) in enumerate(timings):
            first = f'<th scope="rowgroup" rowspan="{len(timings)}">{escape(summary.model)}</th>'
            cells = "".join(f"<td>{m.text(scores)}</td>" for m in shown for scores in (plain, best.scores))
            row = f'<th scope="row">{escape(name)}</th>{cells}<td>{best.offset:.3f}</td>'
            rows.append(f"<tr>{'' if n else first}{row}</tr>")
        blocks.append(f"<tbody>{''.join(rows)}</tbody>" if rows else "")
    if not any(blocks):
        return ""
    heads = "".join(f'<th scope="col">{m.name}<br>{at}</th>' for m in shown for at in ("t = 0.5", "best t"))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Means at the best time"><table><thead><tr>'
        f'<th scope="col"></th><th scope="col"></th>{heads}<th scope="col">mean<br>|t − 0.5|</th></tr></thead>'
        f"{''.join(blocks)}</table></div>"
    )


def _best(measure: Measure, means: Sequence[Scores | None]) -> set[int]:
    """Which models are best, as far as can be seen in the digits shown; none where there is no difference."""
    values = {n: float(text.replace("∞", "inf")) for n, s in enumerate(means) if (text := measure.text(s)) != "–"}
    if len(set(values.values())) < 2:
        return set()
    best = max(values.values()) if measure.rises else min(values.values())
    return {n for n, value in values.items() if value == best}


def bars(models: Sequence[str], groups: Sequence[Group]) -> str:
    """Bars of every measure, in one panel each: groups (the levels) downwards, and in them the models."""
    shown = shown_measures(scores for group in groups for scores in group.means)
    return f'<div class="panels">{"".join(_bar_panel(m, models, groups) for m in shown)}</div>'


def _bar_panel(measure: Measure, models: Sequence[str], groups: Sequence[Group]) -> str:
    alone = len(models) == 1
    longest = max(_finite(_length(measure, s) for group in groups for s in group.means), default=0.0) or 1.0
    parts: list[str] = []
    y = 0
    for group in groups:
        best = {0} if alone else _best(measure, group.means)
        if not alone:
            parts.append(f'<text class="faint" x="0" y="{y + 14}">{escape(group.name)}</text>')
            y += _ROW
        for n, (model, scores) in enumerate(zip(models, group.means, strict=True)):
            name = group.name if alone else model
            parts.append(_bar(measure, name, scores, y, longest, n in best))
            y += _ROW
        y += 0 if alone else 8
    says = f"{measure.heading}, longer is better" if measure.rises else f"{measure.heading}, shorter is better"
    says = f"bars: 1 − {measure.name}, shorter is better" if measure.from_one else says.removeprefix(", ")
    return (
        f'<figure><h3>{measure.name} <small>{says}</small></h3><svg viewBox="0 0 {_BAR_WIDTH} {y}" '
        f'role="img" aria-label="{measure.name} as bars; the tables have the same numbers">{"".join(parts)}'
        "</svg></figure>"
    )


def _bar(measure: Measure, name: str, scores: Scores | None, y: int, longest: float, best: bool) -> str:
    room = _BAR_WIDTH - _LABEL - _NUMBER
    length = min(_length(measure, scores) / longest, 1) * room
    kind = "best" if best else "bar"
    return (
        f'<text x="0" y="{y + 14}">{escape(_shortened(name))}<title>{escape(name)}</title></text>'
        f'<rect class="{kind}" x="{_LABEL}" y="{y + 4}" width="{length:.1f}" height="12" rx="1"></rect>'
        f'<text{" class=best" if best else ""} x="{_BAR_WIDTH}" y="{y + 14}" text-anchor="end">'
        f"{measure.text(scores)}</text>"
    )


def _length(measure: Measure, scores: Scores | None) -> float:
    value = measure.of(scores) if scores else None
    if value is None:
        return 0.0
    return 1 - value if measure.from_one else value


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _shortened(name: str, most: int = _SHORT) -> str:
    """A name without its middle: what tells models apart is at the ends."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"


def scatter(evaluation: Evaluation) -> str:
    """Each triplet under two models, in one panel for each of `SCATTERED`; empty for fewer than two models.

    The first two models are drawn; where there are more, a script moves the points for those that are chosen.
    """
    models = evaluation.models
    if len(models) < 2:
        return ""
    rows = {(row.model, row.triplet): row for row in evaluation.rows}
    levels = {row.triplet: row.level for row in evaluation.rows}
    drawn, panels = [], []
    for number, measure in enumerate(SCATTERED):
        values = [
            [measure.of(rows[model, triplet].whole) if (model, triplet) in rows else None for triplet in levels]
            for model in models
        ]
        low, high = _domain(_finite(value for column in values for value in column))
        plot = _Plot(f"scatter-{number}", measure, low, high)
        drawn.append(plot.draw(models[:2], levels, values[:2]))
        coded = [["inf" if value == math.inf else value for value in column] for column in values]
        numbers = {"id": plot.id, "low": low, "high": high, "digits": measure.digits, "unit": measure.unit}
        panels.append(numbers | {"values": coded})
    both = f'{_LEVEL_KEY}<div class="panels pair">{"".join(drawn)}</div>'
    if len(models) == 2:
        return both
    names = {"models": models, "short": [_shortened(model, 36) for model in models], "triplets": list(levels)}
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
                both, wins = both + 1, [wins[0] + (x > y), wins[1] + (y > x)]
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
        names = [escape(_shortened(model, 36)) for model in models]
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
