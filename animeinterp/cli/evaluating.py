"""The verb that scores models: evaluate."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from animeinterp.cli.evaluation_setup import Setup, check_setup, make_setup, with_files
from animeinterp.cli.score_tables import show_tables
from animeinterp.cli.terminal import Device, Force, Vgg, err, out, progress
from animeinterp.errors import FileError, UsageError, WeightsError

if TYPE_CHECKING:
    from animeinterp.data.atd12k import TripletFiles
    from animeinterp.evaluation.evaluate import Evaluation, Model, SaveFrame
    from animeinterp.evaluation.results import Results
    from animeinterp.evaluation.scores import TripletScores
    from animeinterp.metrics.lpips import LpipsMetric

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
    Path | None, typer.Option("--weights", readable=False, help="The weights, where there is one --model.")
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
        help="SGM flows for the model paper, as dataset flows writes them; none: match anew.",
        show_default="DATASET_pre_calc_sgm_flows, if there",
    ),
]
Predictions = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions",
        metavar="[NAME=]DIR",
        help="Frames another program drew: NAME.png, NAME/frame2.png or NAME/out.png in it; repeatable.",
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
    typer.Option(
        "--out", readable=False, help="Folder for scores, frames and report; goes on where a run was broken off."
    ),
]
Peers = Annotated[
    Path | None,
    typer.Option("--peers", readable=False, help="CSV with scores of others, such as one by --csv, to set beside."),
]
Csv = Annotated[Path | None, typer.Option("--csv", readable=False, help="Write every triplet's scores here.")]
Save = Annotated[
    Path | None, typer.Option("--save", readable=False, help="Keep the drawn frames as FOLDER/MODEL/NAME.png.")
]
BestT = Annotated[
    bool,
    typer.Option(
        "--best-t",
        help="Look also, by the truth, for the time at which each model is nearest it; about 9 renders.",
    ),
]
Gallery = Annotated[
    int | None,
    typer.Option(
        "--gallery",
        metavar="N",
        min=0,
        help="Crops on the page of those that look worst, gallery.html in --out; 0: no page.",
        show_default="24",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Triplets at once, one core each.", show_default="one per core, at most 8"),
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
    workers: Workers = None,
    vgg: Vgg = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Score models on triplets in ATD-12K's layout: whole frames, the motion RoI, by level, motion type and behavior.

    Frame 2 is the truth, drawn anew from frames 1 and 3. Without annotations there are means of whole frames only.
    Triplets that cannot be read are listed and left out, for all models; the exit code is then 1.
    docs/evaluation.md says what is measured.
    """
    from animeinterp.evaluation.predictions import check_predictions
    from animeinterp.evaluation.results import check_results_folder
    from animeinterp.evaluation.scores import read_rows, write_rows
    from animeinterp.io.files import check_target

    if folder and save:
        raise UsageError("--out keeps the frames already; leave out --save")
    if gallery and not folder:
        raise UsageError("--gallery shows frames that are kept, in the folder of --out; add --out FOLDER")
    if csv:
        check_target(csv, force)
    setup = make_setup(dataset, model or [], weights, predictions or [], vgg, device, best_t)
    check_setup(setup, lpips)
    setup, files = with_files(setup, annotations, flows)
    for place in setup.predictions.values():
        check_predictions(place, (one.name for one in files))
    others = read_rows(peers) if peers else []
    if folder:
        check_results_folder(folder, force)
    save_frame = _frame_saver(save, list(setup.models), files, force) if save else None
    with _locked(folder):
        perceived = _perceived(lpips)
        results = _open(folder, files, setup, perceived, force) if folder else None
        evaluation = _evaluate(files, setup, perceived, workers, save_frame, results)
        if results:
            results.finish(evaluation)
            _write_pages(results, evaluation, files, setup, perceived, gallery, workers)
    if evaluation.rows:
        _show(evaluation, others, peers)
    if csv and evaluation.rows:
        write_rows(csv, evaluation.rows, force=force)
    _say_faults(evaluation, files)


@contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """The folder of the results, made and held for this run alone."""
    from animeinterp.io.files import lock_folder, make_folder

    if folder is None:
        yield
        return
    make_folder(folder)
    with lock_folder(folder):
        yield


def _perceived(weights: Path | None) -> LpipsMetric | None:
    if weights is None and importlib.util.find_spec("lpips") is None:
        return None
    from animeinterp.metrics.lpips import load_installed_lpips, load_lpips

    if weights:
        return load_lpips(weights)
    try:
        return load_installed_lpips()
    except WeightsError as error:  # nobody asked for it
        err.print(f"LPIPS is left out: {error}", markup=False)
        return None


def _open(folder: Path, files: Sequence[TripletFiles], setup: Setup, lpips: LpipsMetric | None, force: bool) -> Results:
    from animeinterp.evaluation.results import fingerprint, open_results

    stamps = {one.name: fingerprint(one, list(setup.predictions.values())) for one in files}
    results = open_results(folder, _settings(setup, lpips), _about(setup), stamps, list(setup.models), force)
    if results.rows:
        out.print(f"{len(results.rows)} of {len(files)} triplets are in {folder} already", markup=False)
    return results


def _settings(setup: Setup, lpips: LpipsMetric | None) -> dict[str, Any]:
    """What the scores depend on."""
    from animeinterp import __version__
    from animeinterp.device import choose_device
    from animeinterp.io.files import file_sha256
    from animeinterp.weights.locations import weight_files

    found = {label: (preset, weight_files(preset, weights)) for label, (preset, weights) in setup.models.items()}
    device = choose_device(setup.device)
    return {
        "version": __version__,
        "models": {label: {"preset": name, "sha256": _digest(files)} for label, (name, files) in found.items()},
        "predictions": list(setup.predictions),
        "device": device,
        "flows": list(setup.guided),
        "vgg": setup.vgg and file_sha256(setup.vgg),
        "lpips": lpips and lpips.identity,
        "best_t": setup.best_t,
    }


def _digest(files: dict[str, Path]) -> str | dict[str, str] | None:
    """SHA-256 of a model's weights; of each file where there are several, None where there is none."""
    from animeinterp.io.files import file_sha256

    found = {part: file_sha256(path) for part, path in files.items()}
    return found.get("", found or None)


def _about(setup: Setup) -> dict[str, Any]:
    """What else a reader of scores.json wants to know; paths as they were typed."""
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
    workers: int | None,
    save_frame: SaveFrame | None,
    results: Results | None,
) -> Evaluation:
    """The scores of all triplets: those that are in the folder already, and the rest."""
    from animeinterp.evaluation.evaluate import gather, score

    before = results.rows if results else {}
    rest = [one for one in files if one.name not in before]
    models = _load(setup) if rest else {}
    if results:
        results.begin()
        save_frame = results.save_frame
    on_scored = results.append if results else None
    scored = score(
        rest,
        models,
        workers,
        save_frame,
        predictions=setup.predictions,
        lpips=lpips,
        on_scored=on_scored,
        best_t=setup.best_t,
    )
    try:
        found = list(progress(scored, "evaluating", len(rest)))
    except KeyboardInterrupt:
        if results:
            err.print(f"the same command goes on from what is in {results.folder}", markup=False)
        raise
    new = dict(zip((one.name for one in rest), found, strict=True))
    return gather([before.get(one.name) or new[one.name] for one in files])


def _load(setup: Setup) -> dict[str, Model]:
    from animeinterp.interpolator import load_interpolator

    models: dict[str, Model] = {}
    for label, (name, weights) in setup.models.items():
        with out.status(f"loading {label}"):
            models[label] = load_interpolator(name, setup.device, weights=weights, vgg=setup.vgg)
    return models


def _frame_saver(folder: Path, models: Sequence[str], files: Sequence[TripletFiles], force: bool) -> SaveFrame:
    import numpy as np

    from animeinterp.frame import Frame
    from animeinterp.io.files import make_folder
    from animeinterp.io.images import check_image_target, write_image

    def target(model: str, triplet: str) -> Path:
        return folder / model / f"{triplet}.png"

    for model in models:
        make_folder(folder / model)
        for one in files:
            check_image_target(target(model, one.name), np.zeros((1, 1, 3), np.uint8), force)

    def save_frame(model: str, triplet: str, frame: Frame) -> None:
        write_image(target(model, triplet), frame, force=force)

    return save_frame


def _write_pages(
    results: Results,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    setup: Setup,
    lpips: LpipsMetric | None,
    crops: int | None,
    workers: int | None,
) -> None:
    """The report, and the gallery unless it was refused."""
    from animeinterp.evaluation.evaluate import default_workers
    from animeinterp.evaluation.gallery import DEFAULT_CROPS, write_gallery
    from animeinterp.evaluation.predictions import find_prediction
    from animeinterp.evaluation.report.page import write_report

    def drawn(model: str, triplet: str) -> Path | None:
        try:
            path = results.frame_path(model, triplet)
            return find_prediction(setup.predictions[model], triplet) if model in setup.predictions else path
        except FileError:
            return None

    report, gallery = results.folder / "report.html", results.folder / "gallery.html"
    count = DEFAULT_CROPS if crops is None else crops
    if not evaluation.rows or not count:
        gallery.unlink(missing_ok=True)  # of a run before: it would show other frames
    if not evaluation.rows:
        return
    if count:
        with out.status("looking for the worst crops"):
            at_once = workers or default_workers()
            write_gallery(gallery, evaluation, files, drawn, lpips, count=count, workers=at_once, force=True)
    with out.status("writing the report"):
        write_report(report, evaluation, files, drawn, gallery=gallery.name if count else None, force=True)
    out.print(f"report     {report}", markup=False)
    if count:
        out.print(f"gallery    {gallery}", markup=False)


def _show(evaluation: Evaluation, others: Sequence[TripletScores], peers: Path | None) -> None:
    from animeinterp.evaluation.evaluate import compare_with_peers

    summaries, incomplete = compare_with_peers(evaluation, others)
    ours = [evaluation.summary(name) for name in evaluation.models]
    # scores of an older run have the same names
    theirs = [replace(s, model=f"{s.model} ({peers})") if s.model in evaluation.models else s for s in summaries]
    rows = [row for row in evaluation.rows if row.model == ours[0].model]
    show_tables([*ours, *theirs], rows)
    out.print(f"Means over {len(rows)} triplets; PSNR in dB, Chamfer distance in 1e-5 of the diagonal.")
    for peer, count in incomplete.items():
        out.print(f"{peer} is left out: it has {count} of these {len(rows)} triplets", markup=False)


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
