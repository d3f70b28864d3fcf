"""The verb that scores models: evaluate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from animeinterp.cli.terminal import Device, Force, Vgg, check_new, err, out, progress, show_table
from animeinterp.errors import FileError, UsageError

if TYPE_CHECKING:
    from animeinterp.data.atd12k import TripletFiles
    from animeinterp.evaluation.evaluate import Evaluation, Keep, Model
    from animeinterp.evaluation.scores import Scores, Summary

LEVELS = ("whole", "easy", "medium", "hard")
Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", readable=False, help="Folder of NAME/frame1.png, frame2.png, frame3.png.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME[=WEIGHTS]",
        help="A preset, with or without weights of its own; repeatable.",
        show_default="default",
    ),
]
Annotations = Annotated[
    Path | None,
    typer.Option("--annotations", readable=False, help="Folder of NAME/NAME.json.", show_default="DATASET_annotations"),
]
Peers = Annotated[
    Path | None,
    typer.Option("--peers", readable=False, help="CSV with scores of others, such as one by --csv, to set beside."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Triplets at once, one core each.", show_default="one per core, at most 8"),
]


def evaluate(
    dataset: Dataset,
    model: Models = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", readable=False, help="The weights, where there is one --model.")
    ] = None,
    annotations: Annotations = None,
    peers: Peers = None,
    csv: Annotated[Path | None, typer.Option(readable=False, help="Write every triplet's scores here.")] = None,
    save: Annotated[
        Path | None, typer.Option(readable=False, help="Keep the drawn frames as FOLDER/MODEL/NAME.png.")
    ] = None,
    workers: Workers = None,
    vgg: Vgg = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Score models on triplets in ATD-12K's layout: PSNR and SSIM by level and on the motion RoI, CPU time per frame.

    Frame 2 is the truth, drawn anew from frames 1 and 3. Without annotations there are no levels and no RoI.
    Triplets that cannot be read are listed and left out; the exit code is then 1.
    """
    from animeinterp.data.atd12k import triplets
    from animeinterp.evaluation.evaluate import beside, gather, score
    from animeinterp.evaluation.scores import read_rows, write_rows

    wanted = _wanted(model or ["default"], weights)
    files = triplets(dataset, annotations)
    others = read_rows(peers) if peers else []
    if csv:
        check_new(csv, force)
    keep = _keeper(save, list(wanted), files, force) if save else None
    models = _load(wanted, vgg, device)
    results = list(progress(score(files, models, workers, keep), "evaluating", len(files)))
    evaluation = gather(results)
    if evaluation.rows:
        summaries, incomplete = beside(evaluation, others)
        ours = [evaluation.summary(name) for name in evaluation.models]
        # scores of an older run have the same names
        theirs = [replace(s, model=f"{s.model} ({peers})") if s.model in evaluation.models else s for s in summaries]
        _show(ours, theirs)
        for peer, count in incomplete.items():
            out.print(f"{peer} is left out: it has {count} of these {len(files) - len(evaluation.faults)} triplets")
        if csv:
            write_rows(csv, evaluation.rows)
    _say_faults(evaluation, files)


def _wanted(names: Sequence[str], weights: Path | None) -> dict[str, tuple[str, Path | None]]:
    """Preset and weights by the name that a model has in table, CSV and folder."""
    from animeinterp.options import DEFAULT_PRESET

    specs = []
    for text in names:
        name, _, path = text.partition("=")
        specs.append((DEFAULT_PRESET if name == "default" else name, Path(path) if path else None))
    if weights:
        if len(specs) > 1 or specs[0][1]:
            raise UsageError("--weights goes with one --model; with several, give each its own: --model NAME=WEIGHTS")
        specs = [(specs[0][0], weights)]
    often = Counter(name for name, _ in specs)
    wanted = {f"{n}-{w.stem}" if w and often[n] > 1 else n: (n, w) for n, w in specs}
    if len(wanted) < len(specs):
        raise UsageError(f"expected different models, got {', '.join(names)}; give weights of different file names")
    return wanted


def _load(wanted: dict[str, tuple[str, Path | None]], vgg: Path | None, device: str) -> dict[str, Model]:
    from animeinterp.interpolator import load_interpolator

    models: dict[str, Model] = {}
    for label, (name, weights) in wanted.items():
        with out.status(f"loading {label}"):
            models[label] = load_interpolator(name, device, weights=weights, vgg=vgg)
    return models


def _keeper(folder: Path, models: Sequence[str], files: Sequence[TripletFiles], force: bool) -> Keep:
    import numpy as np

    from animeinterp.frame import Frame
    from animeinterp.picture import check_target, make_folder, write_picture

    def target(model: str, triplet: str) -> Path:
        return folder / model / f"{triplet}.png"

    for model in models:
        make_folder(folder / model)
        for one in files:
            check_target(target(model, one.name), np.zeros((1, 1, 3), np.uint8), force)

    def keep(model: str, triplet: str, frame: Frame) -> None:
        write_picture(target(model, triplet), frame, force=force)

    return keep


def _show(ours: Sequence[Summary], peers: Sequence[Summary]) -> None:
    table = Table(box=None, padding=(0, 1), collapse_padding=True)
    table.add_column("", overflow="fold")
    for measure in ("PSNR", "SSIM"):
        for level in LEVELS:
            table.add_column(f"{measure}\n{level}", justify="right")
    for heading in ("RoI\nPSNR", "RoI\nSSIM", "CPU s\n/frame"):
        table.add_column(heading, justify="right")
    for summary in [*ours, *peers]:
        parts = (summary.whole, *summary.levels)
        table.add_row(
            summary.model,
            *(_psnr(part) for part in parts),
            *(_ssim(part) for part in parts),
            _psnr(summary.roi),
            _ssim(summary.roi),
            "–" if summary.seconds is None else f"{summary.seconds:.2f}",
        )
    show_table(table)
    out.print(f"Means over {ours[0].count} triplets; PSNR in dB.")


def _psnr(scores: Scores | None) -> str:
    return "–" if scores is None else f"{scores.psnr:.2f}"


def _ssim(scores: Scores | None) -> str:
    return "–" if scores is None else f"{scores.ssim:.4f}"


def _say_faults(evaluation: Evaluation, files: Sequence[TripletFiles]) -> None:
    bare = sum(one.annotation is None for one in files)
    if bare:
        out.print(
            f"{bare} of {len(files)} triplets have no annotation: they count for the whole, not for level and RoI."
        )
    for fault in evaluation.faults:
        err.print(f"skipped {fault.triplet}: {fault.reason}", markup=False)
    if evaluation.faults:
        raise FileError(
            f"{len(evaluation.faults)} of {len(files)} triplets were skipped for the reasons above; mend or remove them"
        )
