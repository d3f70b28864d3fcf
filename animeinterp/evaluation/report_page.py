"""The parts of the evaluation report that show means: tables, and bars by level.

All are HTML with inline SVG, made without knowing of files or pixels; `animeinterp.evaluation.report` puts them
together and `report.html` gives them their looks. What comes from outside passes `escape`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from animeinterp.data.difficulty import LEVELS
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.report_markup import escape
from animeinterp.evaluation.report_measures import AT_BEST, Measure, Shown, finite, shortened, shown_measures
from animeinterp.evaluation.scores import Summary, TripletScores
from animeinterp.metrics.scores import Scores

_BAR_WIDTH, _LABEL, _NUMBER, _ROW = 320, 112, 50, 20  # of an SVG of bars, in its own units


@dataclass(frozen=True, slots=True)
class Group:
    """Means over `count` triplets, one for each model, None where there is nothing to average."""

    name: str
    count: int
    means: tuple[Shown | None, ...]


def overall(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """The means over whole frames, and over the motion RoIs where there are any."""
    counts = (len({row.triplet for row in rows}) for rows in (evaluation.rows, _with_roi(evaluation)))
    means = tuple(Shown.of(s.whole, s.best) for s in summaries), tuple(Shown.of(s.roi) for s in summaries)
    groups = (Group(*parts) for parts in zip(("whole frame", "motion RoI"), counts, means, strict=True))
    return [group for group in groups if group.count]


def by_level(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """The means by level, without levels that no triplet has."""
    counts = [len({row.triplet for row in evaluation.rows if row.level == level}) for level in range(len(LEVELS))]
    means = (tuple(Shown.of(s.levels[k], s.best_levels[k]) for s in summaries) for k in range(len(LEVELS)))
    groups = map(Group, LEVELS, counts, means)
    return [group for group in groups if group.count]


def by_word(
    evaluation: Evaluation, words: Callable[[TripletScores], tuple[str, ...]], means: Sequence[Mapping[str, Scores]]
) -> list[Group]:
    """The means by some of the annotations' words, in alphabetical order. means: of each model, by word."""
    counts = Counter(word for _, word in {(row.triplet, word) for row in evaluation.rows for word in words(row)})
    return [Group(word, counts[word], tuple(Shown.of(each.get(word)) for each in means)) for word in sorted(counts)]


def _with_roi(evaluation: Evaluation) -> list[TripletScores]:
    return [row for row in evaluation.rows if row.roi is not None]


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
    every = [scores for s in summaries for _, plain, best in s.timings() for scores in (plain, best.scores)]
    shown = [measure for measure in AT_BEST if any(measure.of(Shown(scores)) is not None for scores in every)]
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


def _best(measure: Measure, means: Sequence[Shown | None]) -> set[int]:
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
    longest = max(finite(_length(measure, s) for group in groups for s in group.means), default=0.0) or 1.0
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
    lacking = f"{measure.name} {measure.heading}".strip()
    says = f"bars: 1 − {lacking}, shorter is better" if measure.from_one else says.removeprefix(", ")
    return (
        f'<figure><h3>{measure.name} <small>{says}</small></h3><svg viewBox="0 0 {_BAR_WIDTH} {y}" '
        f'role="img" aria-label="{measure.name} as bars; the tables have the same numbers">{"".join(parts)}'
        "</svg></figure>"
    )


def _bar(measure: Measure, name: str, scores: Shown | None, y: int, longest: float, best: bool) -> str:
    room = _BAR_WIDTH - _LABEL - _NUMBER
    length = min(_length(measure, scores) / longest, 1) * room
    kind = "best" if best else "bar"
    return (
        f'<text x="0" y="{y + 14}">{escape(shortened(name))}<title>{escape(name)}</title></text>'
        f'<rect class="{kind}" x="{_LABEL}" y="{y + 4}" width="{length:.1f}" height="12" rx="1"></rect>'
        f'<text{" class=best" if best else ""} x="{_BAR_WIDTH}" y="{y + 14}" text-anchor="end">'
        f"{measure.text(scores)}</text>"
    )


def _length(measure: Measure, scores: Shown | None) -> float:
    value = measure.of(scores) if scores else None
    if value is None:
        return 0.0
    return 1 - value if measure.from_one else value
