"""The tables that `animeinterp evaluate` prints: no wider than 100 columns for names of up to 20 letters.

LPIPS comes first where it was measured, as it is nearest to what viewers see; then PSNR and SSIM at the best time, if
anybody looked for it, as truths are seldom drawn at the temporal middle; then everything at t = 0.5.
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
_AT_BEST = ("lpips", "psnr", "ssim", "chamfer")  # are compared with those at t = 0.5
_LEVELS = ("easy", "med.", "hard")
_PARTS = {"seen2": "seen 2x", "seen1": "seen 1x", "seen0": "unseen", "borders": "borders"}
Columns = dict[str, list[str]]


def show_tables(summaries: Sequence[Summary], rows: Sequence[TripletScores]) -> None:
    """Print the means of models. rows: those of one model, which say how many triplets have a word."""
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
    columns = _measures([summary.whole for summary in summaries], ("lpips",))
    best = _measures([s.best.scores if s.best else None for s in summaries], ("psnr", "ssim"))
    columns |= {f"{name}\nbest t": texts for name, texts in best.items()}
    columns |= _measures([summary.whole for summary in summaries], [name for name in _MEASURES if name != "lpips"])
    columns["CPU s\n/frame"] = [_UNKNOWN if s.seconds is None else f"{s.seconds:.2f}" for s in summaries]
    return columns


def _roi(summaries: Sequence[Summary]) -> Columns:
    return {f"RoI\n{name}": texts for name, texts in _measures([s.roi for s in summaries], _MEASURES).items()}


def _parts(summaries: Sequence[Summary]) -> Columns:
    """Within the masks of the data set: seen by two, one or none of the frames, and near motion borders."""
    columns: Columns = {}
    for measure in ("lpips", "psnr"):
        for part, name in _PARTS.items():
            found = _measures([summary.parts.get(part) for summary in summaries], (measure,))
            columns |= {f"{heading}\n{name}": texts for heading, texts in found.items()}
    return columns


def _levels(summaries: Sequence[Summary], measures: Iterable[str]) -> Columns:
    columns: Columns = {}
    for measure in measures:
        for level, name in enumerate(_LEVELS):
            found = _measures([summary.levels[level] for summary in summaries], (measure,))
            columns |= {f"{heading.replace(chr(10), ' ')}\n{name}": texts for heading, texts in found.items()}
    return columns


def _show_timings(summaries: Sequence[Summary]) -> None:
    """What each model would have scored had it known when the truth was drawn; nothing if nobody looked."""
    found = [(s.model, s.timings()) for s in summaries if s.best]
    if not found:
        return
    every = [scores for _, timings in found for _, plain, best in timings for scores in (plain, best.scores)]
    shown = [measure for measure in _AT_BEST if any(getattr(scores, measure) is not None for scores in every)]
    names = [_MEASURES[measure][0].replace("-\n", "") for measure in shown]
    heads = [f"{name}\n{at}" for name in names for at in ("at 0.5", "best t")]
    table = _table("", ["", *heads, "mean\n|t - 0.5|"])
    for model, timings in found:
        for name, plain, best in timings:
            texts = [_measures([plain, best.scores], (measure,)) for measure in shown]
            cells = [text for columns in texts for column in columns.values() for text in column]
            table.add_row(model if name == "all" else "", name, *cells, f"{best.offset:.3f}")
    show_table(table)
    out.print("Best t: when a model's drawing is nearest the truth. The truth chooses it: no score of a model.")
    for summary in summaries:
        if not summary.best:
            out.print(f"{summary.model} has no best t: its frames were not drawn here", markup=False)


def _measures(scores: Sequence[Scores | PartScores | None], wanted: Iterable[str]) -> Columns:
    columns: Columns = {}
    for measure in wanted:
        heading, text = _MEASURES[measure]
        values = [getattr(some, measure, None) for some in scores]
        columns[heading] = [_UNKNOWN if value is None else text(value) for value in values]
    return columns


def _words(
    heading: str, measure: str, counts: Mapping[str, int], means: Sequence[tuple[str, Mapping[str, Scores]]]
) -> Table:
    name = _MEASURES[measure][0]
    table = _table(f"{name} by\n{heading}", ["triplets", *(model for model, _ in means)])
    for word in sorted(counts):
        found = [by_word.get(word) for _, by_word in means]
        table.add_row(word, str(counts[word]), *_measures(found, (measure,))[name])
    return table


def _show(columns: Columns, summaries: Sequence[Summary]) -> None:
    """A row per model, and the columns in which anybody has anything; nothing if nobody has."""
    known = {heading: texts for heading, texts in columns.items() if set(texts) != {_UNKNOWN}}
    if not known:
        return
    table = _table("", known)
    for summary, *cells in zip(summaries, *known.values(), strict=True):
        if set(cells) != {_UNKNOWN}:
            table.add_row(summary.model, *cells)
    show_table(table)


def _table(first: str, headings: Iterable[str]) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    return table
