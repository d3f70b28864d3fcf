"""What a run leaves to look at: a row of log.csv and a sheet of pictures every so often."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from animeinterp.data.types import Batch
from animeinterp.errors import FileError
from animeinterp.io.files import report_write_errors, write_text
from animeinterp.io.images import write_image
from animeinterp.io.reading import MEGABYTE, read_text
from animeinterp.training.config import LOSSES

_ROWS = 4
_FIRST = ("step", "loss", "learning_rate", "samples_per_second", "seconds", "gradient")
_HEAD = ",".join((*_FIRST, *LOSSES)) + "\n"
_EXPECTED = "the log of a training run"


class TrainingProgress(NamedTuple):
    """Where a run stands; losses and gradient are means since the last report.

    losses: unweighted, by name. loss: their weighted sum. gradient: length before clipping. seconds: since the run
    began, pauses not counted. samples_per_second: of all processes together.
    """

    step: int
    steps: int
    loss: float
    losses: Mapping[str, float]
    learning_rate: float
    gradient: float
    samples_per_second: float
    seconds: float


def write_row(path: Path, progress: TrainingProgress) -> None:
    """Add a row to the log, which is made if absent; losses that were not measured are empty. Raises FileError."""
    row = {key: getattr(progress, key) for key in _FIRST} | {name: progress.losses.get(name, "") for name in LOSSES}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in row.values())
    if not path.exists():
        write_text(path, _HEAD)
    with report_write_errors(path), path.open("a", newline="", encoding="utf-8") as file:
        file.write(text.getvalue())


def cut_log(path: Path, step: int) -> None:
    """Drop the rows after `step`: a run that goes on writes them again. Raises FileError for what is no such log."""
    if not path.exists():
        return
    head, *rows = read_text(path, _EXPECTED, 256 * MEGABYTE).splitlines() or [""]
    if head != _HEAD.strip():
        raise FileError(f"{path} is not {_EXPECTED}; move it away, or name another folder with --out")
    # A run that was killed may have left half a row.
    numbers = [row.partition(",")[0] for row in rows]
    kept = [row for row, n in zip(rows, numbers, strict=True) if n.isdecimal() and len(n) < 12 and int(n) <= step]
    write_text(path, "\n".join([head, *kept]) + "\n", force=True)


def write_sheet(path: Path, samples: Batch, drawn: Tensor) -> None:
    """A picture of some samples, one per row: frame 0, drawn, truth, frame 1, error (4 times, on black)."""
    error = 4 * (drawn - samples.truth).abs()
    columns = [samples.frame0, drawn, samples.truth, samples.frame1, error]
    rows = torch.cat([torch.cat([*(column[row] for column in columns)], 2) for row in range(min(_ROWS, len(drawn)))], 1)
    pixels = (rows.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    write_image(path, np.ascontiguousarray(pixels), force=True)
