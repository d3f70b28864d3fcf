"""Score models on triplets in ATD-12K's layout: each draws the middle frame, which is compared with the true one.

>>> evaluation = evaluate(Path("test_2k_540p"), {"classical": load_interpolator("classical")})
>>> evaluation.summary("classical").whole.psnr

Worker processes of one thread each read, draw and score triplets, so scores do not depend on the number of workers, and
the CPU seconds are those of one frame. Frames are scored as they would be saved: 8 bits, at the data set's size.
"""

from __future__ import annotations

import importlib
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.atd12k import Annotation, TripletFiles, list_triplets, read_annotation, read_flows, read_triplet
from animeinterp.data.types import Triplet
from animeinterp.device import choose_device
from animeinterp.errors import AnimeInterpError, FileError, FrameError, MissingExtraError, UsageError
from animeinterp.evaluation.best_time import bind_frames, find_best_time
from animeinterp.evaluation.masks import Parts, read_masks, score_parts
from animeinterp.evaluation.predictions import check_predictions, read_prediction
from animeinterp.evaluation.scores import COLUMNS, BestTime, Summary, TripletScores, summarize, to_cells
from animeinterp.frame import Frame, RGBImage
from animeinterp.metrics.image import Lpips, measure
from animeinterp.pairs import RUN_LIMITS, ModelChoice, choose_workers, worker_memory
from animeinterp.runtime.pools import Workers, map_in_workers
from animeinterp.runtime.ray_cluster import RayWorkers

# An Interpolator, a `ModelChoice`, which each worker loads, or a callable of two frames and a time. If its
# `accepts_coarse_flow` is true, it is also called with precomputed flows; if it has `render`, motion is computed once
# when a triplet is drawn at several times.
Model = Callable[..., Any]
SaveFrame = Callable[[str, str, Frame], None]  # model, triplet, drawn frame
OnScored = Callable[[tuple[TripletScores, ...]], None]
_FRAME_PIXELS = 960 * 540  # of ATD-12K's frames; other sets are taken to be like it


@dataclass(frozen=True, slots=True)
class Fault:
    """A triplet that was skipped.

    Attributes:
        triplet: Name of the triplet.
        reason: Message of the error.
    """

    triplet: str
    reason: str


Result = tuple[TripletScores, ...] | Fault  # a row per model, or why the triplet was skipped


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of several models.

    Attributes:
        rows: Every model on every triplet that was scored, in order.
        faults: The triplets that were skipped.
    """

    rows: tuple[TripletScores, ...]
    faults: tuple[Fault, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in order."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    def summary(self, model: str) -> Summary:
        """Average the scores of one model."""
        return summarize(model, [row for row in self.rows if row.model == model])

    def to_pandas(self) -> Any:
        """Convert the rows to a pandas.DataFrame with the CSV's columns, `animeinterp.evaluation.scores.COLUMNS`.

        Returns:
            The DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise MissingExtraError("a table of scores needs pandas; pip install pandas") from error
        return pandas.DataFrame([to_cells(row) for row in self.rows], columns=list(COLUMNS))


@dataclass(frozen=True, slots=True)
class _Task:
    """A triplet that was read.

    Attributes:
        files: Its files.
        triplet: Its frames.
        annotation: None if there is none.
        predicted: Other programs' frames, by name.
        coarse: Precomputed flows; None if there are none or no model accepts them.
        parts: Masks of the true frame; None if there are none.
    """

    files: TripletFiles
    triplet: Triplet
    annotation: Annotation | None
    predicted: dict[str, RGBImage]
    coarse: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    parts: Parts | None


class _Drawn(NamedTuple):
    """The frame at t = 0.5, with `seconds` and `best` as in `TripletScores`."""

    frame: RGBImage
    seconds: float | None = None
    best: BestTime | None = None


def evaluate(
    dataset: Path,
    models: Mapping[str, Model],
    annotations: Path | None = None,
    workers: Workers | None = None,
    *,
    predictions: Mapping[str, Path] | None = None,
    lpips: Lpips | None = None,
    flows: Path | None = None,
    best_t: bool = False,
) -> Evaluation:
    """Score models side by side.

    Args:
        dataset: Folder of triplets.
        models: Models by name.
        annotations: Folder of annotations; None for the default of `animeinterp.data.atd12k.list_triplets`.
        workers: Number of processes; 1 works in this one. With more, models are pickled: functions are those of
            modules. None takes one per core, as memory and the number of triplets allow, and 1 for other functions.
            `RayWorkers()` works on a Ray cluster; only this process reads files.
        predictions: Folders of other programs' frames by name, see `animeinterp.evaluation.predictions`.
        lpips: Computes LPIPS, see `animeinterp.metrics.lpips.load_lpips`; None skips it.
        flows: Folder of precomputed flows for models that accept them; None uses the one beside `dataset`.
        best_t: Whether to search for each model's best time, see `animeinterp.evaluation.best_time`; not for
            predictions.

    Returns:
        The scores and the triplets that were skipped.

    Raises:
        FileError: A folder does not exist.
        UsageError: A folder has another layout.
    """
    files = list_triplets(dataset, annotations, flows)
    for folder in (predictions or {}).values():
        check_predictions(folder, (one.name for one in files))
    return gather(list(score(files, models, workers, predictions=predictions, lpips=lpips, best_t=best_t)))


def score(
    files: Sequence[TripletFiles],
    models: Mapping[str, Model],
    workers: Workers | None = None,
    save_frame: SaveFrame | None = None,
    *,
    predictions: Mapping[str, Path] | None = None,
    lpips: Lpips | None = None,
    on_scored: OnScored | None = None,
    best_t: bool = False,
) -> Iterator[Result]:
    """Score models triplet by triplet; further arguments as in `evaluate`.

    Args:
        files: The triplets.
        models: Models by name.
        workers: As in `evaluate`.
        save_frame: Called with each model, triplet and drawn frame, in this process and in order.
        predictions: Folders of other programs' frames by name.
        lpips: Computes LPIPS.
        on_scored: Called with a triplet's rows after its frames were saved, likewise.
        best_t: Whether to search for each model's best time.

    Yields:
        The rows of each triplet, one per model, or why it was skipped; in the order of `files`.
    """
    scorer = _Scorer(models, predictions or {}, lpips, best_t, keeps_frames=save_frame is not None)
    if isinstance(workers, RayWorkers):
        scores = _score_on_cluster(scorer, files, workers)
    else:
        scores = map_in_workers(scorer, files, workers or default_workers(models, len(files), scorer))
    for scored in scores:
        result = scored.result
        if not isinstance(result, Fault):
            for label, frame in scored.frames.items():
                if save_frame:
                    save_frame(label, result[0].triplet, frame)
            if on_scored:
                on_scored(result)
        yield result


def gather(results: Sequence[Result]) -> Evaluation:
    """Combine the results of `score`.

    Args:
        results: Of each triplet.

    Returns:
        The evaluation.
    """
    rows = tuple(row for result in results if not isinstance(result, Fault) for row in result)
    return Evaluation(rows, tuple(result for result in results if isinstance(result, Fault)))


def compare_with_peers(evaluation: Evaluation, peers: Sequence[TripletScores]) -> tuple[list[Summary], dict[str, int]]:
    """Average the scores of other programs over the triplets of an evaluation, with its annotations.

    Args:
        evaluation: Scores of our models.
        peers: Scores of the others.

    Returns:
        The means of the programs that have all triplets, and the number of triplets of those that lack some: means
        over other triplets are not comparable.
    """
    own = {row.triplet: row for row in evaluation.rows}
    shared: dict[str, dict[str, TripletScores]] = {}
    for row in peers:
        if known := own.get(row.triplet):
            annotated = replace(row, level=known.level, motion_types=known.motion_types, behaviors=known.behaviors)
            shared.setdefault(row.model, {})[row.triplet] = annotated
    complete = [summarize(peer, list(rows.values())) for peer, rows in shared.items() if len(rows) == len(own)]
    return complete, {peer: len(rows) for peer, rows in shared.items() if len(rows) < len(own)}


def _accepts_flow(model: Model) -> bool:
    """Return whether a model is called with precomputed flows."""
    return bool(getattr(model, "accepts_coarse_flow", False))


class _Scored(NamedTuple):
    """The result of a triplet, and the frames of our models by label, if they are kept."""

    result: Result
    frames: dict[str, RGBImage]


@dataclass
class _Scorer:
    """Scores triplets; callable and picklable, so that worker processes can."""

    given: Mapping[str, Model]
    predictions: Mapping[str, Path]
    lpips: Lpips | None
    best_t: bool
    keeps_frames: bool

    @cached_property
    def models(self) -> dict[str, Model]:
        """The models, loaded; each has drawn once, so that compilation does not count as time of the first frame."""
        models = {label: model() if _is_loader(model) else model for label, model in self.given.items()}
        frame = np.zeros((64, 64, 3), np.uint8)
        frame[16:48, 16:48] = 255
        for model in models.values():
            model(frame, np.roll(frame, 4, axis=1), 0.5)
        return models

    def __call__(self, files: TripletFiles | _Task | Fault) -> _Scored:
        """Read a triplet, unless that is done; draw and score it with every model."""
        if isinstance(files, TripletFiles):
            needs_flows = any(_accepts_flow(model) for model in self.models.values())
            task = _read(files, self.predictions, needs_flows)
        else:
            task = files
        if isinstance(task, Fault):
            return _Scored(task, {})
        try:
            ours = {label: _draw(model, task, self.best_t, self.lpips) for label, model in self.models.items()}
            drawn = ours | {label: _Drawn(frame) for label, frame in task.predicted.items()}
            rows = tuple(_row(label, task, one, self.lpips) for label, one in drawn.items())
        except (FileError, FrameError) as error:
            return _Scored(Fault(task.files.name, str(error)), {})
        return _Scored(rows, {label: one.frame for label, one in ours.items()} if self.keeps_frames else {})


def _score_on_cluster(scorer: _Scorer, files: Sequence[TripletFiles], workers: RayWorkers) -> Iterator[_Scored]:
    """Score triplets on a cluster, whose machines read no files: triplets and models are sent."""
    from animeinterp.cluster import send_models
    from animeinterp.runtime.ray_cluster import RayCluster

    choices = {label: model for label, model in scorer.given.items() if isinstance(model, ModelChoice)}
    devices = {choice.device for choice in choices.values()}
    if len(devices) > 1:
        raise UsageError(f"expected one device for all models on a cluster, got {', '.join(sorted(devices))}")
    with RayCluster(workers) as cluster:
        memory = max((worker_memory(choice.preset, _FRAME_PIXELS) for choice in choices.values()), default=0)
        loads = [replace(choice, device="cpu") for choice in choices.values()]
        sent, needs = send_models(cluster, loads, next(iter(devices), "cpu"), memory)
        given: dict[str, Model] = {**scorer.given, **dict(zip(choices, sent, strict=True))}
        needs_flows = any(_accepts_flow(model) for model in given.values())
        tasks = (_read(one, scorer.predictions, needs_flows) for one in files)
        yield from map_in_workers(replace(scorer, given=given), tasks, workers, needs)


def _is_loader(model: Model) -> bool:
    """Return whether a model is to be loaded in the worker."""
    from animeinterp.cluster import SentModel

    return isinstance(model, ModelChoice | SentModel)


def _read(files: TripletFiles, predictions: Mapping[str, Path], needs_flows: bool) -> _Task | Fault:
    """Read a triplet and everything that belongs to it."""
    try:
        triplet = read_triplet(files)
        annotation = read_annotation(files.annotation) if files.annotation else None
        size = triplet.truth.shape
        predicted = {name: read_prediction(folder, files.name, size) for name, folder in predictions.items()}
        coarse = read_flows(files.flows) if needs_flows and files.flows else None
        parts = read_masks(files.masks, size) if files.masks else None
        if annotation:
            annotation.roi(size[1], size[0])
    except AnimeInterpError as error:
        return Fault(files.name, str(error))
    except Exception as error:  # one bad file must not end the work on the others
        return Fault(files.name, f"unexpected {type(error).__name__}: {error}; please report it with these files")
    return _Task(files, triplet, annotation, predicted, coarse, parts)


def _draw(model: Model, task: _Task, best_t: bool, lpips: Lpips | None) -> _Drawn:
    """Draw the middle frame, and search for the best time if requested."""
    frame0, frame1, truth = task.triplet.frame0, task.triplet.frame1, task.triplet.truth
    coarse = task.coarse if _accepts_flow(model) else None
    begin = time.thread_time()
    draw = bind_frames(model, frame0, frame1, coarse, share_motion=best_t)
    frame = draw(0.5)
    seconds = time.thread_time() - begin
    return _Drawn(frame, seconds, find_best_time(draw, frame, truth, lpips) if best_t else None)


def _row(label: str, task: _Task, drawn: _Drawn, lpips: Lpips | None) -> TripletScores:
    """Score a drawn frame."""
    frame, truth, annotation = drawn.frame, task.triplet.truth, task.annotation
    row = TripletScores(
        model=label,
        triplet=task.files.name,
        level=None,
        whole=measure(frame, truth, lpips),
        seconds=drawn.seconds,
        best=drawn.best,
        parts=score_parts(frame, truth, task.parts, lpips) if task.parts else {},
    )
    if annotation is None:
        return row
    roi = annotation.roi(truth.shape[1], truth.shape[0])
    return replace(
        row,
        level=annotation.level,
        roi=measure(roi.crop(frame), roi.crop(truth), lpips),
        motion_types=annotation.motion_types,
        behaviors=annotation.behaviors,
    )


def default_workers(models: Mapping[str, Model], triplets: int, scorer: object) -> int:
    """Return the usual number of workers: 1 if `scorer` cannot be pickled, else see `choose_workers`."""
    try:
        pickle.dumps(scorer)
    except (pickle.PicklingError, AttributeError, TypeError):
        return 1
    choices = [model if isinstance(model, ModelChoice) else _choice_like(model) for model in models.values()]
    counts = [choose_workers(choice, _FRAME_PIXELS, triplets) for choice in choices or [ModelChoice("classical")]]
    if min(counts) > 1 and any(choose_device(choice.device) != "cpu" for choice in choices):
        counts.append(RUN_LIMITS.gpu_workers)
    return min(counts)


def _choice_like(model: Model) -> ModelChoice:
    """Return a choice of the preset and device of an interpolator; of the default on the CPU for other callables."""
    name = getattr(getattr(model, "preset", None), "name", "default")
    return ModelChoice(name, str(getattr(model, "device", "cpu")))
