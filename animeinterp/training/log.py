"""Log of a training run: a row of log.csv every `log_every` steps, a sheet of images every `sheet_every` steps."""

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

_COLUMNS = ("step", "loss", "learning_rate", "samples_per_second", "seconds", "gradient")
_HEADER = ",".join((*_COLUMNS, *LOSSES)) + "\n"
_EXPECTED = "the log of a training run"
_MAX_DIGITS = 11  # of a step


class TrainingProgress(NamedTuple):
    """Progress of a run; losses and gradient are means since the last report.

    Attributes:
        step: Steps done.
        steps: Steps in total.
        loss: Weighted sum of the losses.
        losses: Unweighted losses by name.
        learning_rate: Current learning rate.
        gradient: Norm before clipping.
        samples_per_second: Of all processes together.
        seconds: Training time since the run began, pauses excluded.
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
    """Append a row to the log, which is created if absent; losses that were not computed are empty.

    Raises:
        FileError: The log cannot be written.
    """
    row = [getattr(progress, name) for name in _COLUMNS] + [progress.losses.get(name, "") for name in LOSSES]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in row)
    if not path.exists():
        write_text(path, _HEADER)
    with report_write_errors(path), path.open("a", newline="", encoding="utf-8") as file:
        file.write(text.getvalue())


def truncate_log(path: Path, step: int) -> None:
    """Remove the rows after `step`, which a resumed run writes again.

    Raises:
        FileError: The file is not a log, or cannot be read or written.
    """
    if not path.exists():
        return
    header, *rows = read_text(path, _EXPECTED, 256 * MEGABYTE).splitlines() or [""]
    if header != _HEADER.strip():
        raise FileError(f"{path} is not {_EXPECTED}; move it away, or choose another folder with --out")
    # A run that was killed may have left an incomplete row.
    steps = [row.partition(",")[0] for row in rows]
    kept = [
        row for row, n in zip(rows, steps, strict=True) if n.isdecimal() and len(n) <= _MAX_DIGITS and int(n) <= step
    ]
    write_text(path, "\n".join([header, *kept]) + "\n", force=True)


def write_sheet(path: Path, batch: Batch, prediction: Tensor) -> None:
    """Write an image of a batch, one row per sample: frame 0, prediction, truth, frame 1, error (times 4, on black).

    Args:
        path: The image's file, replaced if it exists.
        batch: Samples.
        prediction: Frames at time t, (N, 3, H, W) RGB in [0, 1].

    Raises:
        FileError: The image cannot be written.
    """
    error = 4 * (prediction - batch.truth).abs()
    columns = [batch.frame0, prediction, batch.truth, batch.frame1, error]
    rows = torch.cat([torch.cat([*(column[row] for column in columns)], 2) for row in range(len(prediction))], 1)
    pixels = (rows.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    write_image(path, np.ascontiguousarray(pixels), force=True)
