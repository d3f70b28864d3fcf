"""Print the tables of `animeinterp evaluate`, at most 100 columns wide for names of up to 20 letters.

LPIPS comes first if it was measured, because it agrees best with viewers; then PSNR and SSIM at the best time, if it
was searched, because true frames are seldom drawn at the temporal middle; then all measures at t = 0.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from animeinterp.cli.terminal import out, show_table

if TYPE_CHECKING:
    from animeinterp.evaluation.scores import PartScores, Summary, TripletScores
    from animeinterp.metrics.scores import Scores

_UNKNOWN = "–"
_MEASURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "lpips": ("LPIPS", "{:.4f}".format),
    "psnr": ("PSNR", "{:.2f}".format),
    "ssim": ("SSIM", "{:.4f}".format),
    "ssim_atd": ("SSIM\nATD", "{:.4f}".format),
    "ie": ("IE", "{:.2f}".format),
    "chamfer": ("Cham-\nfer", lambda value: f"{value * 1e5:.2f}"),
}
_AT_BEST_TIME = ("lpips", "psnr", "ssim", "chamfer")  # measures compared with those at t = 0.5
_LEVELS = ("easy", "med.", "hard")
_PARTS = {"seen2": "seen 2x", "seen1": "seen 1x", "seen0": "unseen", "borders": "borders"}
Columns = dict[str, list[str]]


def show_tables(summaries: Sequence[Summary], rows: Sequence[TripletScores]) -> None:
    """Print the means of models.

    Args:
        summaries: Means of each model.
        rows: The scores of one model's triplets, for the number of triplets of each motion type and behavior.
    """
    _show(_whole(summaries), summaries)
    _show(_roi(summaries), summaries)
    _show(_parts(summaries), summaries)
    _show_timings(summaries)
    _show(_levels(summaries, ("lpips", "psnr", "ssim")), summaries)
    _show(_levels(summaries, ("ssim_atd",)), summaries)
    for heading, part in (("motion", "motion_types"), ("behavior", "behaviors")):
        counts = Counter(word for row in rows for word in getattr(row, part))
        means = [(s.model, getattr(s, part)) for s in summaries]
        for measure in ("lpips", "psnr"):
            if counts and any(getattr(s, measure) is not None for _, by_word in means for s in by_word.values()):
                show_table(_words(heading, measure, counts, means))


def _whole(summaries: Sequence[Summary]) -> Columns:
    """Return the columns of whole frames."""
    columns = _measures([summary.whole for summary in summaries], ("lpips",))
    best = _measures([s.best.scores if s.best else None for s in summaries], ("psnr", "ssim"))
    columns |= {f"{name}\nbest t": texts for name, texts in best.items()}
    columns |= _measures([summary.whole for summary in summaries], [name for name in _MEASURES if name != "lpips"])
    columns["CPU s\n/frame"] = [_UNKNOWN if s.seconds is None else f"{s.seconds:.2f}" for s in summaries]
    return columns


def _roi(summaries: Sequence[Summary]) -> Columns:
    """Return the columns of the motion RoI."""
    return {f"RoI\n{name}": texts for name, texts in _measures([s.roi for s in summaries], _MEASURES).items()}


def _parts(summaries: Sequence[Summary]) -> Columns:
    """Return the columns of the data set's masks: points visible in two, one or no frames, and motion borders."""
    return _grouped({name: [s.parts.get(part) for s in summaries] for part, name in _PARTS.items()}, ("lpips", "psnr"))


def _levels(summaries: Sequence[Summary], measures: Iterable[str]) -> Columns:
    """Return the columns of the levels of difficulty."""
    return _grouped({name: [s.levels[level] for s in summaries] for level, name in enumerate(_LEVELS)}, measures)


def _grouped(groups: Mapping[str, Sequence[Scores | PartScores | None]], measures: Iterable[str]) -> Columns:
    """Return one column for each measure and group, such as a level."""
    columns: Columns = {}
    for measure in measures:
        for name, scores in groups.items():
            for heading, texts in _measures(scores, (measure,)).items():
                columns[f"{heading.replace(chr(10), ' ')}\n{name}"] = texts
    return columns


def _show_timings(summaries: Sequence[Summary]) -> None:
    """Print the scores at the time of the true frame beside those at t = 0.5, if best times were searched."""
    timed = [(s.model, s.timings()) for s in summaries if s.best]
    if not timed:
        return
    every = [scores for _, timings in timed for _, plain, best in timings for scores in (plain, best.scores)]
    measures = [measure for measure in _AT_BEST_TIME if any(getattr(scores, measure) is not None for scores in every)]
    names = [_MEASURES[measure][0].replace("-\n", "") for measure in measures]
    headings = [f"{name}\n{at}" for name in names for at in ("at 0.5", "best t")]
    table = _table("", ["", *headings, "mean\n|t - 0.5|"])
    for model, timings in timed:
        for name, plain, best in timings:
            texts = [_measures([plain, best.scores], (measure,)) for measure in measures]
            cells = [text for columns in texts for column in columns.values() for text in column]
            table.add_row(model if name == "all" else "", name, *cells, f"{best.offset:.3f}")
    show_table(table)
    out.print("Best t: when a model's frame is nearest the true one, which selects it: not a score of the model.")
    for summary in summaries:
        if not summary.best:
            out.print(f"{summary.model} has no best t: its frames were not drawn here", markup=False)


def _measures(scores: Sequence[Scores | PartScores | None], measures: Iterable[str]) -> Columns:
    """Return one column for each measure."""
    columns: Columns = {}
    for measure in measures:
        heading, text = _MEASURES[measure]
        values = [getattr(score, measure, None) for score in scores]
        columns[heading] = [_UNKNOWN if value is None else text(value) for value in values]
    return columns


def _words(
    heading: str, measure: str, counts: Mapping[str, int], means: Sequence[tuple[str, Mapping[str, Scores]]]
) -> Table:
    """Return a measure's table by motion type or behavior."""
    name = _MEASURES[measure][0]
    table = _table(f"{name} by\n{heading}", ["triplets", *(model for model, _ in means)])
    for word in sorted(counts):
        scores = [by_word.get(word) for _, by_word in means]
        table.add_row(word, str(counts[word]), *_measures(scores, (measure,))[name])
    return table


def _show(columns: Columns, summaries: Sequence[Summary]) -> None:
    """Print a row for each model and the columns with known values, if there are any."""
    known = {heading: texts for heading, texts in columns.items() if set(texts) != {_UNKNOWN}}
    if not known:
        return
    table = _table("", known)
    for summary, *cells in zip(summaries, *known.values(), strict=True):
        if set(cells) != {_UNKNOWN}:
            table.add_row(summary.model, *cells)
    show_table(table)


def _table(first: str, headings: Iterable[str]) -> Table:
    """Make an empty table."""
    table = Table(box=None, padding=(0, 1), collapse_padding=True)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    return table
