"""Scores of models on triplets, their means, and the CSV that holds them.

The CSV has one row per model and triplet:

    model,triplet,level,psnr,ssim,roi_psnr,roi_ssim,cpu_seconds

`level` is 0 easy, 1 medium, 2 hard; what is not known is empty. Other programs' scores are read from the same
columns, of which level, the RoI's and the seconds may be missing; `model` may be called `peer`.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from animeinterp.data.atd12k import LEVELS
from animeinterp.errors import FileError

COLUMNS = ("model", "triplet", "level", "psnr", "ssim", "roi_psnr", "roi_ssim", "cpu_seconds")


@dataclass(frozen=True, slots=True)
class Scores:
    """Of a drawn frame or a part of it, or means of such; see `animeinterp.evaluation.metrics`. psnr: dB."""

    psnr: float
    ssim: float


@dataclass(frozen=True, slots=True)
class TripletScores:
    """One model on one triplet.

    level: 0 easy, 1 medium, 2 hard, None where there is no annotation. whole: of the whole frame. roi: of the motion
    RoI, None where there is none. seconds: CPU time of drawing the frame, None where it is not known.
    """

    model: str
    triplet: str
    level: int | None
    whole: Scores
    roi: Scores | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Means of one model: over `count` triplets, by level (easy, medium, hard), over the motion RoIs, and of the CPU
    seconds per frame. None where there is nothing to average."""

    model: str
    count: int
    whole: Scores
    levels: tuple[Scores | None, ...]
    roi: Scores | None
    seconds: float | None


def summarize(model: str, rows: Sequence[TripletScores]) -> Summary:
    """The means of the rows of one model; at least one row."""
    whole = _mean([row.whole for row in rows])
    assert whole is not None
    levels = tuple(_mean([row.whole for row in rows if row.level == level]) for level in range(len(LEVELS)))
    seconds = [row.seconds for row in rows if row.seconds is not None]
    roi = _mean([row.roi for row in rows if row.roi is not None])
    return Summary(model, len(rows), whole, levels, roi, float(np.mean(seconds)) if seconds else None)


def write_rows(path: Path, rows: Iterable[TripletScores]) -> None:
    """Write the CSV. It appears whole or not at all. Raises FileError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        roi = (row.roi.psnr, row.roi.ssim) if row.roi else (None, None)
        writer.writerow((row.model, row.triplet, row.level, row.whole.psnr, row.whole.ssim, *roi, row.seconds))
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            part.write_text(text.getvalue(), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; choose another place") from error


def read_rows(path: Path) -> list[TripletScores]:
    """Read such a CSV. Raises FileError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_row(cells) for cells in csv.DictReader(file)]
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}; expected a CSV of scores") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise FileError(
            f"{path} holds no scores ({type(error).__name__}: {error}); expected the columns model (or peer), triplet, "
            f"psnr, ssim and, if known, {', '.join((COLUMNS[2], *COLUMNS[5:]))}"
        ) from error


def _row(cells: Mapping[str, str]) -> TripletScores:
    known = {key: value for key, value in cells.items() if value}
    level, seconds = known.get("level"), known.get("cpu_seconds")
    roi = Scores(float(known["roi_psnr"]), float(known["roi_ssim"])) if "roi_psnr" in known else None
    return TripletScores(
        known["peer"] if "peer" in known else known["model"],
        known["triplet"],
        None if level is None else int(level),
        Scores(float(known["psnr"]), float(known["ssim"])),
        roi,
        None if seconds is None else float(seconds),
    )


def _mean(scores: Sequence[Scores]) -> Scores | None:
    if not scores:
        return None
    return Scores(float(np.mean([s.psnr for s in scores])), float(np.mean([s.ssim for s in scores])))
