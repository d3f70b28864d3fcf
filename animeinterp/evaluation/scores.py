"""Scores of models on triplets, their means, and the CSV that holds them.

The CSV has one row per model and triplet, with the columns `COLUMNS`. `level` is 0 easy, 1 medium, 2 hard; motion types
and behaviors are joined by `;`; unknown values are empty. Scores of other programs are read from the same columns, of
which only model, triplet, psnr and ssim are required; `model` may be called `peer`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError
from animeinterp.io.files import write_text
from animeinterp.io.reading import MEGABYTE, describe_error, finite_number, read_bytes
from animeinterp.metrics.scores import Scores

Cell = str | float | None

MEASURES = tuple(one.name for one in fields(Scores))
TIMED_MEASURES = ("psnr", "ssim", "chamfer", "lpips")  # also measured at the best time
PARTS = ("seen2", "seen1", "seen0", "borders")  # prefixes of columns
PART_COLUMNS = tuple(f"{part}_{measure}" for part in PARTS for measure in ("psnr", "lpips"))
_OPTIONAL = MEASURES[2:]
COLUMNS = (
    *("model", "triplet", "level", "psnr", "ssim", "roi_psnr", "roi_ssim", "cpu_seconds"),
    *_OPTIONAL,
    *(f"roi_{measure}" for measure in _OPTIONAL),
    *("motion_types", "behaviors"),
    *("best_t", *(f"best_t_{measure}" for measure in TIMED_MEASURES)),
    *PART_COLUMNS,
)
_MAX_BYTES = 256 * MEGABYTE
_MAX_VALUE = 1e9  # larger than any score


@dataclass(frozen=True, slots=True)
class BestTime:
    """The time at which a model is nearest the true frame, or means of such; see `animeinterp.evaluation.best_time`.

    Attributes:
        t: 0.1 to 0.9.
        offset: |t - 0.5|.
        scores: `TIMED_MEASURES` of the whole frame at t.
    """

    t: float
    offset: float
    scores: Scores

    @classmethod
    def at(cls, t: float, scores: Scores) -> BestTime:
        """Create the best time of one triplet."""
        return cls(t, abs(t - 0.5), scores)


@dataclass(frozen=True, slots=True)
class PartScores:
    """Scores of the pixels of a part, or means of such.

    Attributes:
        psnr: dB.
        lpips: None if not measured.
    """

    psnr: float
    lpips: float | None = None


@dataclass(frozen=True, slots=True)
class TripletScores:
    """One model on one triplet.

    Attributes:
        model: Name of the model.
        triplet: Name of the triplet.
        level: 0 easy, 1 medium, 2 hard; None without an annotation.
        whole: Scores of the whole frame.
        roi: Scores of the motion RoI; None if there is none.
        seconds: CPU time of drawing the frame; None if unknown.
        motion_types: The annotation's words, see `animeinterp.data.atd12k.Annotation`.
        behaviors: Likewise.
        best: None if the best time was not searched for.
        parts: By name, see `animeinterp.evaluation.masks`; empty without masks.
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
    """Means of one model; the mean of a measure is over the triplets where it is known.

    Attributes:
        model: Name of the model.
        count: Number of triplets.
        whole: Of whole frames.
        levels: Of whole frames, easy, medium, hard; None for a level without triplets.
        roi: Of the motion RoIs; None if there are none.
        seconds: CPU seconds per frame; None if unknown.
        motion_types: Of whole frames, by word in alphabetical order; a triplet counts for each of its words.
        behaviors: Likewise.
        best: Only if all triplets have one, so that it is comparable with `whole`.
        best_levels: Likewise, easy, medium, hard.
        parts: By name, as in `TripletScores`.
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
        """Compare t = 0.5 with the best time, over all triplets and by level.

        Returns:
            `all` or the level's name, the means at t = 0.5 and at the best time; empty if it was not searched for.
        """
        names, middle, best = ("all", *LEVELS), (self.whole, *self.levels), (self.best, *self.best_levels)
        return [(name, m, b) for name, m, b in zip(names, middle, best, strict=True) if m and b]


def summarize(model: str, rows: Sequence[TripletScores]) -> Summary:
    """Average the scores of one model.

    Args:
        model: Name of the model.
        rows: Its rows, at least one.

    Returns:
        The means.
    """
    whole = _mean([row.whole for row in rows])
    assert whole is not None
    by_level = [[row for row in rows if row.level == level] for level in range(len(LEVELS))]
    return Summary(
        model=model,
        count=len(rows),
        whole=whole,
        levels=tuple(_mean([row.whole for row in level]) for level in by_level),
        roi=_mean([row.roi for row in rows if row.roi is not None]),
        seconds=_average([row.seconds for row in rows]),
        motion_types=_by_word(rows, lambda row: row.motion_types),
        behaviors=_by_word(rows, lambda row: row.behaviors),
        best=_mean_best(rows),
        best_levels=tuple(map(_mean_best, by_level)),
        parts=mean_parts([row.parts for row in rows]),
    )


def mean_parts(scores: Sequence[Mapping[str, PartScores]]) -> dict[str, PartScores]:
    """Average the scores of parts, each part over the triplets that have it.

    Args:
        scores: Scores of each triplet, by part.

    Returns:
        The means by part; PSNR is a mean of dB.
    """
    means = {}
    for part in PARTS:
        known = [by_name[part] for by_name in scores if part in by_name]
        psnr = _average([one.psnr for one in known])
        if psnr is not None:
            means[part] = PartScores(psnr, _average([one.lpips for one in known]))
    return means


def to_cells(row: TripletScores) -> tuple[Cell, ...]:
    """Convert a row to cells of the CSV.

    Args:
        row: The scores.

    Returns:
        The values of `COLUMNS`; None for unknown ones.
    """
    values: dict[str, Cell] = {
        "model": row.model,
        "triplet": row.triplet,
        "level": row.level,
        "cpu_seconds": row.seconds,
        "motion_types": ";".join(row.motion_types) or None,
        "behaviors": ";".join(row.behaviors) or None,
        "best_t": row.best.t if row.best else None,
    }
    parts = {f"{part}_": scores for part, scores in row.parts.items()}
    groups = {"": row.whole, "roi_": row.roi, "best_t_": row.best and row.best.scores, **parts}
    for prefix, scores in groups.items():
        values |= {prefix + measure: value for measure, value in asdict(scores).items()} if scores else {}
    return tuple(map(values.get, COLUMNS))


def format_csv(rows: Iterable[TripletScores], heading: bool = True) -> str:
    """Format rows as CSV.

    Args:
        rows: The scores.
        heading: Whether to write the names of the columns.

    Returns:
        The text.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if heading:
        writer.writerow(COLUMNS)
    writer.writerows(map(to_cells, rows))
    return text.getvalue()


def write_rows(path: Path, rows: Iterable[TripletScores], *, force: bool = True) -> None:
    """Write the CSV, whole or not at all.

    Args:
        path: The file.
        rows: The scores.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`.
        FileError: It cannot be written.
    """
    write_text(path, format_csv(rows), force=force)


def read_rows(path: Path, drop_torn_line: bool = False) -> list[TripletScores]:
    """Read the CSV.

    Args:
        path: The file.
        drop_torn_line: Whether to ignore a last line without its end, as an interrupted run leaves it.

    Returns:
        The rows.

    Raises:
        FileError: The file cannot be read, lacks columns or has invalid values.
    """
    data = read_bytes(path, "a CSV of scores", _MAX_BYTES)
    if drop_torn_line:
        data = data[: data.rfind(b"\n") + 1]
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        missing = {"triplet", "psnr", "ssim"} - set(table.fieldnames or ())
        if data and missing:
            raise ValueError(f"no column {', '.join(sorted(missing))}")
        return [_parse_row({key: text for key, text in row.items() if text}) for row in table]
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise FileError(
            f"{path} holds no scores ({describe_error(error)}); expected the columns model (or peer), triplet, psnr, "
            f"ssim and, if known, {', '.join((COLUMNS[2], *COLUMNS[5:]))}"
        ) from error


def _parse_row(known: Mapping[str, str]) -> TripletScores:
    """Parse the cells of a row that are not empty."""
    level, seconds, t = (known.get(name) for name in ("level", "cpu_seconds", "best_t"))
    motion_types, behaviors = (
        tuple(known[name].split(";")) if name in known else () for name in ("motion_types", "behaviors")
    )
    return TripletScores(
        model=known["peer"] if "peer" in known else known["model"],
        triplet=known["triplet"],
        level=None if level is None else int(_parse_number(level, "level", 0, len(LEVELS) - 1)),
        whole=_parse_scores(known, ""),
        roi=_parse_scores(known, "roi_") if "roi_psnr" in known else None,
        seconds=None if seconds is None else _parse_number(seconds, "cpu_seconds", 0),
        motion_types=motion_types,
        behaviors=behaviors,
        best=None if t is None else BestTime.at(_parse_number(t, "best_t", 0, 1), _parse_scores(known, "best_t_")),
        parts={part: _parse_part(known, part) for part in PARTS if f"{part}_psnr" in known},
    )


def _parse_scores(known: Mapping[str, str], prefix: str) -> Scores:
    """Parse the columns of a prefix."""
    texts = ((measure, known.get(prefix + measure)) for measure in _OPTIONAL)
    values = (None if text is None else _parse_number(text, measure) for measure, text in texts)
    psnr, ssim = known[f"{prefix}psnr"], known[f"{prefix}ssim"]
    return Scores(_parse_psnr(psnr), _parse_number(ssim, "ssim", -1, 1), *values)


def _parse_part(known: Mapping[str, str], part: str) -> PartScores:
    """Parse the columns of a part."""
    lpips = known.get(f"{part}_lpips")
    return PartScores(_parse_psnr(known[f"{part}_psnr"]), None if lpips is None else _parse_number(lpips, "lpips", 0))


def _parse_psnr(text: str) -> float:
    """Parse a PSNR, which is infinite for equal pixels."""
    return math.inf if float(text) == math.inf else _parse_number(text, "psnr")


def _parse_number(text: str, name: str, low: float = -_MAX_VALUE, high: float = _MAX_VALUE) -> float:
    """Parse a finite number within a range. Raises ValueError."""
    return finite_number(float(text), name, low, high)


def _by_word(rows: Sequence[TripletScores], words: Callable[[TripletScores], tuple[str, ...]]) -> dict[str, Scores]:
    """Average whole frames by word, in alphabetical order."""
    every = sorted({word for row in rows for word in words(row)})
    means = {word: _mean([row.whole for row in rows if word in words(row)]) for word in every}
    return {word: mean for word, mean in means.items() if mean is not None}


def _mean_best(rows: Sequence[TripletScores]) -> BestTime | None:
    """Average the best times; None unless every row has one."""
    best = [row.best for row in rows if row.best]
    scores = _mean([one.scores for one in best])
    if scores is None or len(best) < len(rows):
        return None
    t, offset = (float(np.mean(values)) for values in zip(*((one.t, one.offset) for one in best), strict=True))
    return BestTime(t, offset, scores)


def _mean(scores: Sequence[Scores]) -> Scores | None:
    """Average each measure over the scores that have it; None without scores."""
    psnr, ssim, *optional = (_average([getattr(one, measure) for one in scores]) for measure in MEASURES)
    return None if psnr is None or ssim is None else Scores(psnr, ssim, *optional)


def _average(values: Sequence[float | None]) -> float | None:
    """Average the known values; None if there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
