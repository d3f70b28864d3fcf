"""Scores of models on triplets, their means, and the CSV that holds them.

The CSV has one row per model and triplet, with the columns `COLUMNS`. `level` is 0 easy, 1 medium, 2 hard; motion
types and behaviors are joined by `;`; what is not known is empty, as `best_t` and what is measured at it if nobody
asked. Other programs' scores are read from the same columns, of which only model, triplet, psnr and ssim must be there;
`model` may be called `peer`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

import numpy as np

from animeinterp.data.difficulty import LEVELS
from animeinterp.errors import FileError
from animeinterp.evaluation.masks import PART_COLUMNS, PartScores, mean_parts, part_cells, parts_of
from animeinterp.io.files import write_text
from animeinterp.io.reading import MEGABYTE, describe_error, finite_number, read_bytes
from animeinterp.metrics.scores import Scores

_LARGEST = 256 * MEGABYTE  # of a CSV
_FAR = 1e9  # beyond every measure
Cell = str | float | None


MEASURES = tuple(one.name for one in fields(Scores))
_LATER = MEASURES[2:]
COLUMNS = (
    *("model", "triplet", "level", "psnr", "ssim", "roi_psnr", "roi_ssim", "cpu_seconds"),
    *_LATER,
    *(f"roi_{measure}" for measure in _LATER),
    *("motion_types", "behaviors"),
    *("best_t", "best_t_psnr", "best_t_ssim", "best_t_chamfer", "best_t_lpips"),
    *PART_COLUMNS,
)
AT_BEST = ("psnr", "ssim", "chamfer", "lpips")  # what is measured at the best time


@dataclass(frozen=True, slots=True)
class BestTime:
    """When a model's drawing is nearest the truth, or means of such; see `animeinterp.evaluation.best_time`.

    t: 0.1 to 0.9. offset: |t - 0.5|. scores: `AT_BEST` of the whole frame at t.
    """

    t: float
    offset: float
    scores: Scores

    @classmethod
    def at(cls, t: float, scores: Scores) -> BestTime:
        """Of one triplet."""
        return cls(t, abs(t - 0.5), scores)


@dataclass(frozen=True, slots=True)
class TripletScores:
    """One model on one triplet.

    level: 0 easy, 1 medium, 2 hard, None without an annotation. whole: of the whole frame. roi: of the motion
    RoI, None where there is none. seconds: CPU time of drawing the frame, None where it is not known. motion_types,
    behaviors: the annotation's words, see `animeinterp.data.atd12k.Annotation`. best: None if it was not looked for.
    parts: of the parts that masks of the data set tell, by name, see `animeinterp.evaluation.masks`.
    """

    model: str
    triplet: str
    level: int | None
    whole: Scores
    roi: Scores | None = None
    seconds: float | None = None
    motion_types: tuple[str, ...] = ()
    behaviors: tuple[str, ...] = ()
    best: BestTime | None = None
    parts: Mapping[str, PartScores] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """Means of one model over `count` triplets; a mean of a measure is over the triplets where it is known.

    whole: of whole frames. levels: of whole frames, easy, medium, hard. roi: over the motion RoIs. seconds: CPU seconds
    per frame. motion_types, behaviors: of whole frames, by word in alphabetical order; a triplet counts for each of its
    words. None, or no entry, where there is nothing to average. best: known only if it is for all triplets, so that it
    can be set beside `whole`; best_levels: likewise, easy, medium, hard. parts: by name, as in `TripletScores`.
    """

    model: str
    count: int
    whole: Scores
    levels: tuple[Scores | None, ...]
    roi: Scores | None
    seconds: float | None
    motion_types: Mapping[str, Scores]
    behaviors: Mapping[str, Scores]
    best: BestTime | None = None
    best_levels: tuple[BestTime | None, ...] = (None,) * len(LEVELS)
    parts: Mapping[str, PartScores] = field(default_factory=dict)

    def timings(self) -> list[tuple[str, Scores, BestTime]]:
        """Of all triplets and of each level: its name, means at t = 0.5 and at the best t; empty if not looked for."""
        names, plain, best = ("all", *LEVELS), (self.whole, *self.levels), (self.best, *self.best_levels)
        return [(name, p, b) for name, p, b in zip(names, plain, best, strict=True) if p and b]


def summarize(model: str, rows: Sequence[TripletScores]) -> Summary:
    """The means of the rows of one model; at least one row."""
    whole = _mean([row.whole for row in rows])
    assert whole is not None
    by_level = [[row for row in rows if row.level == level] for level in range(len(LEVELS))]
    levels = tuple(_mean([row.whole for row in some]) for some in by_level)
    roi = _mean([row.roi for row in rows if row.roi is not None])
    seconds = _average([row.seconds for row in rows])
    motion_types, behaviors = _by_word(rows, lambda row: row.motion_types), _by_word(rows, lambda row: row.behaviors)
    best, *best_levels = map(_mean_best, (rows, *by_level))
    words, parts = (motion_types, behaviors), mean_parts([row.parts for row in rows])
    return Summary(model, len(rows), whole, levels, roi, seconds, *words, best, tuple(best_levels), parts)


def cells(row: TripletScores) -> tuple[Cell, ...]:
    """A row of the CSV: the values of `COLUMNS`, None for what is not known."""
    whole, roi = astuple(row.whole), astuple(row.roi) if row.roi else (None,) * len(MEASURES)
    words = [";".join(some) or None for some in (row.motion_types, row.behaviors)]
    best: Sequence[Cell] = (None,) * (1 + len(AT_BEST))
    if row.best:
        best = row.best.t, *(getattr(row.best.scores, measure) for measure in AT_BEST)
    first = row.model, row.triplet, row.level, *whole[:2], *roi[:2], row.seconds, *whole[2:], *roi[2:]
    return *first, *words, *best, *part_cells(row.parts)


def csv_text(rows: Iterable[TripletScores], heading: bool = True) -> str:
    """The CSV's text, or that of some of its rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if heading:
        writer.writerow(COLUMNS)
    writer.writerows(map(cells, rows))
    return text.getvalue()


def write_rows(path: Path, rows: Iterable[TripletScores], *, force: bool = True) -> None:
    """Write the CSV. It appears whole or not at all. Raises FileError, and UsageError if it exists and not `force`."""
    write_text(path, csv_text(rows), force=force)


def read_rows(path: Path, torn: bool = False) -> list[TripletScores]:
    """Read such a CSV. torn: leave out a last line that has no end, where a run was broken off. Raises FileError."""
    expected = "a CSV of scores"
    data = read_bytes(path, expected, _LARGEST)
    if torn:
        data = data[: data.rfind(b"\n") + 1]
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        lacking = {"triplet", "psnr", "ssim"} - set(table.fieldnames or ())
        if data and lacking:
            raise ValueError(f"no column {', '.join(sorted(lacking))}")
        return [_row(known) for known in table]
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise FileError(
            f"{path} holds no scores ({describe_error(error)}); expected the columns model (or peer), triplet, psnr, "
            f"ssim and, if known, {', '.join((COLUMNS[2], *COLUMNS[5:]))}"
        ) from error


def _row(content: Mapping[str, str]) -> TripletScores:
    known = {key: value for key, value in content.items() if value}
    level, seconds = known.get("level"), known.get("cpu_seconds")
    return TripletScores(
        known["peer"] if "peer" in known else known["model"],
        known["triplet"],
        None if level is None else int(_number(level, "level", 0, len(LEVELS) - 1)),
        _scores(known, ""),
        _scores(known, "roi_") if "roi_psnr" in known else None,
        None if seconds is None else _number(seconds, "cpu_seconds", 0, 1e9),
        *_words(known),
        BestTime.at(_number(known["best_t"], "best_t", 0, 1), _scores(known, "best_t_")) if "best_t" in known else None,
        parts_of(known),
    )


def _words(known: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    motion_types, behaviors = (
        tuple(known[key].split(";")) if key in known else () for key in ("motion_types", "behaviors")
    )
    return motion_types, behaviors


def _scores(known: Mapping[str, str], prefix: str) -> Scores:
    later = ((measure, known.get(prefix + measure)) for measure in _LATER)
    values = (None if value is None else _number(value, measure, -_FAR, _FAR) for measure, value in later)
    psnr = float(known[f"{prefix}psnr"])
    if psnr != math.inf:  # of equal frames
        psnr = finite_number(psnr, "psnr", -_FAR, _FAR)
    return Scores(psnr, _number(known[f"{prefix}ssim"], "ssim", -1, 1), *values)


def _number(text: str, name: str, low: float, high: float) -> float:
    return finite_number(float(text), name, low, high)


def _by_word(rows: Sequence[TripletScores], words: Callable[[TripletScores], tuple[str, ...]]) -> dict[str, Scores]:
    found = sorted({word for row in rows for word in words(row)})
    means = {word: _mean([row.whole for row in rows if word in words(row)]) for word in found}
    return {word: mean for word, mean in means.items() if mean is not None}


def _mean_best(rows: Sequence[TripletScores]) -> BestTime | None:
    known = [row.best for row in rows if row.best]
    if not known or len(known) < len(rows):
        return None
    t, offset = (float(np.mean([getattr(best, key) for best in known])) for key in ("t", "offset"))
    scores = _mean([best.scores for best in known])
    assert scores is not None
    return BestTime(t, offset, scores)


def _mean(scores: Sequence[Scores]) -> Scores | None:
    if not scores:
        return None
    psnr, ssim, *later = (_average([getattr(s, measure) for s in scores]) for measure in MEASURES)
    assert psnr is not None
    assert ssim is not None
    return Scores(psnr, ssim, *later)


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
