"""The command that scores models: evaluate."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import importlib
import importlib.util
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from animeinterp.cli.evaluation_output import print_faults, print_scores, write_pages
from animeinterp.cli.evaluation_setup import Setup, check_setup, make_setup, with_files
from animeinterp.cli.progress import track_progress
from animeinterp.cli.terminal import Device, Force, Ray, Vgg, choose_workers, err, out
from animeinterp.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from animeinterp.data.atd12k import TripletFiles
    from animeinterp.evaluation.evaluate import Evaluation, Model, SaveFrame
    from animeinterp.evaluation.results import Results
    from animeinterp.metrics.lpips import LpipsMetric
    from animeinterp.runtime.pools import Workers

Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", readable=False, help="Folder of NAME/frame1.png, frame2.png, frame3.png.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME[=WEIGHTS]",
        help="A preset, with or without weights of its own; repeatable.",
        show_default="default, unless there are --predictions",
    ),
]
OneWeights = Annotated[
    Path | None, typer.Option("--weights", readable=False, help="The weights, if there is one --model.")
]
Annotations = Annotated[
    Path | None,
    typer.Option("--annotations", readable=False, help="Folder of NAME/NAME.json.", show_default="DATASET_annotations"),
]
Flows = Annotated[
    str | None,
    typer.Option(
        "--flows",
        metavar="FOLDER|none",
        help="SGM flows for the model paper, as dataset flows writes them; none: match again.",
        show_default="DATASET_pre_calc_sgm_flows, if there",
    ),
]
Predictions = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions",
        metavar="[NAME=]DIR",
        help="Frames of another program, as NAME.png, NAME/frame2.png or NAME/out.png; repeatable.",
    ),
]
Lpips = Annotated[
    Path | None,
    typer.Option(
        "--lpips",
        readable=False,
        help="Weights of LPIPS with AlexNet, to measure it too.",
        show_default="the package lpips, if installed",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", readable=False, help="Folder for scores, frames and report; continues an interrupted run."),
]
Peers = Annotated[
    Path | None,
    typer.Option("--peers", readable=False, help="CSV with scores of others, such as one by --csv, to compare with."),
]
Csv = Annotated[Path | None, typer.Option("--csv", readable=False, help="Write every triplet's scores here.")]
Save = Annotated[
    Path | None, typer.Option("--save", readable=False, help="Keep the drawn frames as FOLDER/MODEL/NAME.png.")
]
BestT = Annotated[
    bool,
    typer.Option(
        "--best-t",
        help="Also search the time at which each model is nearest the true frame; about 9 renders.",
    ),
]
Gallery = Annotated[
    int | None,
    typer.Option(
        "--gallery",
        metavar="N",
        min=0,
        help="Number of worst crops on gallery.html in --out; 0: no page.",
        show_default="24",
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes; the scores are the same.", show_default="one per core"),
]


def evaluate(
    dataset: Dataset,
    model: Models = None,
    weights: OneWeights = None,
    predictions: Predictions = None,
    annotations: Annotations = None,
    flows: Flows = None,
    lpips: Lpips = None,
    folder: Folder = None,
    peers: Peers = None,
    csv: Csv = None,
    save: Save = None,
    best_t: BestT = False,
    gallery: Gallery = None,
    workers: WorkerCount = None,
    ray: Ray = None,
    vgg: Vgg = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Score models on triplets in ATD-12K's layout: whole frames, motion RoI, by level, motion type and behavior.

    Frame 2 is the true frame, and is drawn from frames 1 and 3. Without annotations, only whole frames are scored.
    Triplets that cannot be read are listed and left out, for all models; the exit code is then 1. docs/evaluation.md
    describes the measures.
    """
    from animeinterp.evaluation.predictions import check_predictions
    from animeinterp.evaluation.results import check_results_folder
    from animeinterp.evaluation.scores import read_rows, write_rows
    from animeinterp.io.files import check_target, lock_folder, make_folder

    if folder and save:
        raise UsageError("--out keeps the frames already; leave out --save")
    if gallery and not folder:
        raise UsageError("--gallery shows frames that are kept, in the folder of --out; add --out FOLDER")
    if csv:
        check_target(csv, force)
    where = choose_workers(workers, ray)
    setup = make_setup(dataset, model or [], weights, predictions or [], vgg, _choose_device(device, ray), best_t)
    check_setup(setup, lpips)
    setup, files = with_files(setup, annotations, flows)
    for predicted in setup.predictions.values():
        check_predictions(predicted, (triplet.name for triplet in files))
    others = read_rows(peers) if peers else []
    save_frame = _frame_saver(save, list(setup.models), files, force) if save else None
    if folder:
        check_results_folder(folder, force)
        make_folder(folder)
    with lock_folder(folder) if folder else nullcontext():
        metric = _load_lpips(lpips)
        results = _open_results(folder, files, setup, metric, force) if folder else None
        evaluation = _evaluate(files, setup, metric, where, save_frame, results)
        if results:
            results.finish(evaluation)
            write_pages(results, evaluation, files, setup, metric, gallery, where)
    if evaluation.rows:
        print_scores(evaluation, others, peers)
    if csv and evaluation.rows:
        write_rows(csv, evaluation.rows, force=force)
    print_faults(evaluation, files)


def _choose_device(device: str, ray: str | None) -> str:
    """Return the device: on a cluster scores name one, whatever its machines have."""
    return "cpu" if ray is not None and device == "auto" else device


def _load_lpips(weights: Path | None) -> LpipsMetric | None:
    """Load LPIPS from given weights, else from the package lpips; None without either."""
    if weights is None and importlib.util.find_spec("lpips") is None:
        return None
    from animeinterp.metrics.lpips import load_installed_lpips, load_lpips

    if weights:
        return load_lpips(weights)
    try:
        return load_installed_lpips()
    except WeightsError as error:  # no reason to stop, because LPIPS was not requested
        err.print(f"LPIPS is left out: {error}", markup=False)
        return None


def _open_results(
    folder: Path, files: Sequence[TripletFiles], setup: Setup, lpips: LpipsMetric | None, force: bool
) -> Results:
    """Open the folder of the results, and print how much of them an earlier run has written."""
    from animeinterp.evaluation.results import fingerprint, open_results

    stamps = {triplet.name: fingerprint(triplet, list(setup.predictions.values())) for triplet in files}
    results = open_results(folder, _settings(setup, lpips), _about(setup), stamps, list(setup.models), force)
    if results.rows:
        out.print(f"{len(results.rows)} of {len(files)} triplets are in {folder} already", markup=False)
    return results


def _settings(setup: Setup, lpips: LpipsMetric | None) -> dict[str, Any]:
    """Return what the scores depend on."""
    from animeinterp import __version__
    from animeinterp.device import choose_device
    from animeinterp.io.files import file_sha256
    from animeinterp.weights.locations import weight_files

    models = {
        label: {"preset": preset, "sha256": _digest(weight_files(preset, weights))}
        for label, (preset, weights) in setup.models.items()
    }
    return {
        "version": __version__,
        "models": models,
        "predictions": list(setup.predictions),
        "device": setup.device if setup.device in ("cpu", "cuda") else choose_device(setup.device),
        "flows": list(setup.guided),
        "vgg": setup.vgg and file_sha256(setup.vgg),
        "lpips": lpips and lpips.identity,
        "best_t": setup.best_t,
    }


def _digest(files: dict[str, Path]) -> str | dict[str, str] | None:
    """Compute the SHA-256 of a model's weights: of each file if there are several, None without weights."""
    from animeinterp.io.files import file_sha256

    digests = {part: file_sha256(path) for part, path in files.items()}
    return digests.get("", digests or None)


def _about(setup: Setup) -> dict[str, Any]:
    """Return further information for readers of scores.json; paths as they were typed."""
    packages = {name: importlib.import_module(name).__version__ for name in ("numpy", "cv2", "torch")}
    return {
        "command": shlex.join(["animeinterp", *sys.argv[1:]]),
        "dataset": str(setup.dataset),
        "weights": {label: str(path) for label, (_, path) in setup.models.items() if path},
        "predictions": {label: str(path) for label, path in setup.predictions.items()},
        "flows": setup.flows and str(setup.flows),
        "versions": {"python": platform.python_version()} | packages,
    }


def _evaluate(
    files: Sequence[TripletFiles],
    setup: Setup,
    lpips: LpipsMetric | None,
    workers: Workers | None,
    save_frame: SaveFrame | None,
    results: Results | None,
) -> Evaluation:
    """Score the triplets that are not among the results yet, and return the scores of all."""
    from animeinterp.evaluation.evaluate import gather, score

    scored = results.rows if results else {}
    rest = [triplet for triplet in files if triplet.name not in scored]
    models = _choose_models(setup) if rest else {}
    if results:
        save_frame = results.save_frame
    scores = score(
        rest,
        models,
        workers,
        save_frame,
        predictions=setup.predictions,
        lpips=lpips,
        on_scored=results.append if results else None,
        best_t=setup.best_t,
    )
    try:
        new = list(track_progress(scores, "evaluating", len(rest)))
    except KeyboardInterrupt:
        if results:
            err.print(f"the same command continues from what is in {results.folder}", markup=False)
        raise
    rows = dict(scored) | dict(zip((triplet.name for triplet in rest), new, strict=True))
    return gather([rows[triplet.name] for triplet in files])


def _choose_models(setup: Setup) -> dict[str, Model]:
    """Return the models of the setup, which workers load."""
    from animeinterp.pairs import ModelChoice

    return {
        label: ModelChoice(name, setup.device, weights, setup.vgg) for label, (name, weights) in setup.models.items()
    }


def _frame_saver(folder: Path, models: Sequence[str], files: Sequence[TripletFiles], force: bool) -> SaveFrame:
    """Make the folders of --save, check that its frames can be written, and return the function that writes one."""
    from animeinterp.frame import Frame
    from animeinterp.io.files import make_folder
    from animeinterp.io.images import check_rgb_target, write_image

    def target(model: str, triplet: str) -> Path:
        return folder / model / f"{triplet}.png"

    for model in models:
        make_folder(folder / model)
        for triplet in files:
            check_rgb_target(target(model, triplet.name), force)

    def save_frame(model: str, triplet: str, frame: Frame) -> None:
        write_image(target(model, triplet), frame, force=force)

    return save_frame
