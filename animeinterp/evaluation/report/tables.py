"""Means for the report: groups of triplets, tables of them, and bars.

This module prepares data only; `templates/report/tables.html` holds the markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from animeinterp.data.types import LEVELS
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.report.measures import TIMED_MEASURES, Measure, ScorePair, finite, known_measures
from animeinterp.evaluation.scores import Summary, TripletScores
from animeinterp.metrics.scores import Scores

_BAR_SPACE = 158  # longest bar, in units of the SVG: 320 less the label and the number
_ROW, _GROUP_GAP = 20, 8  # heights, in the same units


@dataclass(frozen=True, slots=True)
class Group:
    """Means over a group of triplets.

    Attributes:
        name: Of the group, such as a level.
        count: Number of triplets.
        means: One entry per model.
    """

    name: str
    count: int
    means: tuple[ScorePair, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of means: a block of rows per group, a row per model.

    Attributes:
        label: Name of the table for screen readers.
        models: Names of the models.
        groups: The blocks.
        measures: The columns.
    """

    label: str
    models: Sequence[str]
    groups: Sequence[Group]
    measures: Sequence[Measure]


@dataclass(frozen=True, slots=True)
class TimingTable:
    """Means at t = 0.5 beside those at the best time, of all triplets and by level.

    Attributes:
        measures: Pairs of columns.
        summaries: A block of rows each.
    """

    measures: Sequence[Measure]
    summaries: Sequence[Summary]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar; `y` and `length` in units of the SVG."""

    name: str
    text: str
    y: int
    length: float
    best: bool


@dataclass(frozen=True, slots=True)
class BarGroup:
    """The bars of a group; `name` is its heading at `y`, empty if there is none."""

    name: str
    y: int
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class BarPanel:
    """Bars of one measure, from top to bottom; `height` in units of the SVG."""

    measure: Measure
    height: int
    groups: Sequence[BarGroup]


def group_all(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """Group the means over whole frames, and over the motion RoIs if there are any.

    Args:
        evaluation: The scores.
        summaries: The means, one per model.

    Returns:
        One or two groups.
    """
    annotated = [row for row in evaluation.rows if row.roi is not None]
    counts = (len({row.triplet for row in rows}) for rows in (evaluation.rows, annotated))
    means = tuple(ScorePair(s.whole, s.best) for s in summaries), tuple(ScorePair(s.roi) for s in summaries)
    return [group for group in map(Group, ("whole frame", "motion RoI"), counts, means) if group.count]


def group_by_level(evaluation: Evaluation, summaries: Sequence[Summary]) -> list[Group]:
    """Group the means by level.

    Args:
        evaluation: The scores.
        summaries: The means, one per model.

    Returns:
        A group per level that has triplets.
    """
    counts = [len({row.triplet for row in evaluation.rows if row.level == level}) for level in range(len(LEVELS))]
    means = (tuple(ScorePair(s.levels[k], s.best_levels[k]) for s in summaries) for k in range(len(LEVELS)))
    return [group for group in map(Group, LEVELS, counts, means) if group.count]


def group_by_word(
    evaluation: Evaluation, words: Callable[[TripletScores], tuple[str, ...]], means: Sequence[Mapping[str, Scores]]
) -> list[Group]:
    """Group the means by words of the annotations, in alphabetical order.

    Args:
        evaluation: The evaluation.
        words: Returns the words of a row.
        means: Of each model, by word.

    Returns:
        A group per word.
    """
    counts = Counter(word for _, word in {(row.triplet, word) for row in evaluation.rows for word in words(row)})
    return [Group(word, counts[word], tuple(ScorePair(one.get(word)) for one in means)) for word in sorted(counts)]


def tabulate_means(label: str, models: Sequence[str], groups: Sequence[Group]) -> Table:
    """Make a table with the columns that at least one mean has.

    Args:
        label: Name of the table for screen readers.
        models: Names of the models.
        groups: The blocks of rows.

    Returns:
        The table.
    """
    return Table(label, models, groups, known_measures(scores for group in groups for scores in group.means))


def tabulate_timings(summaries: Sequence[Summary]) -> TimingTable | None:
    """Make the table of the best times.

    Args:
        summaries: The means, one per model.

    Returns:
        The table; None if best times were not searched for.
    """
    timings = [timing for summary in summaries for timing in summary.timings()]
    scores = [one for _, middle, best in timings for one in (middle, best.scores)]
    return TimingTable(known_measures(scores, TIMED_MEASURES), summaries) if timings else None


def lay_out_bars(models: Sequence[str], groups: Sequence[Group]) -> list[BarPanel]:
    """Lay out the bars of every measure: groups from top to bottom, the models within each.

    Args:
        models: Names of the models.
        groups: Groups of means.

    Returns:
        A panel per measure that at least one mean has.
    """
    measures = known_measures(scores for group in groups for scores in group.means)
    return [_bar_panel(measure, models, groups) for measure in measures]


def _bar_panel(measure: Measure, models: Sequence[str], groups: Sequence[Group]) -> BarPanel:
    """Lay out one measure; a single model's bars are labeled by group, without headings."""
    alone = len(models) == 1
    height = _ROW if alone else _ROW * (1 + len(models)) + _GROUP_GAP
    longest = max(finite(measure.bar(scores) for group in groups for scores in group.means), default=0.0) or 1.0
    blocks = []
    for k, group in enumerate(groups):
        best = {0} if alone else measure.best(group.means)
        names = [group.name] if alone else models
        first = k * height + (0 if alone else _ROW)
        bars = [
            Bar(
                name,
                measure.text(scores),
                first + n * _ROW,
                min(measure.bar(scores) / longest, 1) * _BAR_SPACE,
                n in best,
            )
            for n, (name, scores) in enumerate(zip(names, group.means, strict=True))
        ]
        blocks.append(BarGroup("" if alone else group.name, k * height, bars))
    return BarPanel(measure, height * len(groups), blocks)
