"""How good models are at drawing the middle frame of triplets in ATD-12K's layout (system §5).

>>> evaluation = evaluate(Path("test_2k_540p"), {"classical": load_interpolator("classical")})
>>> evaluation.summary("classical").whole.psnr

A thread draws and scores a triplet from beginning to end, while another reads the next ones, and meanwhile OpenCV and
torch take no threads of their own: so the scores are the same whatever the number of workers, and the CPU seconds are
a frame's. Frames are scored as they would be saved: 8 bits, at the data set's size.
"""

from __future__ import annotations

import importlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.atd12k import Annotation, TripletFiles, read_annotation, read_flows, read_triplet, triplets
from animeinterp.data.types import Triplet
from animeinterp.errors import AnimeInterpError, FileError, FrameError, MissingExtraError
from animeinterp.evaluation.best_time import best_time, drawer
from animeinterp.evaluation.masks import Parts, read_masks, score_parts
from animeinterp.evaluation.predictions import check_predictions, read_prediction
from animeinterp.evaluation.scores import COLUMNS, BestTime, Summary, TripletScores, cells, summarize
from animeinterp.frame import Frame
from animeinterp.metrics.image import Lpips, measure
from animeinterp.runtime.prefetch import prefetch
from animeinterp.runtime.threads import single_threaded_workers

# An Interpolator, or anything that is called like one; where it has a true `accepts_coarse_flow`, with precomputed
# flows too;
# where it has `render`, by its steps when one triplet is drawn at several times.
Model = Callable[..., Any]
Keep = Callable[[str, str, Frame], None]
Done = Callable[[tuple[TripletScores, ...]], None]
MOST_WORKERS = 8  # by default; each holds a frame's features in memory


@dataclass(frozen=True, slots=True)
class Fault:
    """A triplet that was skipped, and why."""

    triplet: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """rows: every model on every triplet that could be read, in order. faults: the triplets that could not."""

    rows: tuple[TripletScores, ...]
    faults: tuple[Fault, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names, in order."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    def summary(self, model: str) -> Summary:
        """The means of one model."""
        return summarize(model, [row for row in self.rows if row.model == model])

    def to_pandas(self) -> Any:
        """The rows as a pandas.DataFrame with the CSV's columns, `animeinterp.evaluation.scores.COLUMNS`.

        Raises MissingExtraError if pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise MissingExtraError("a table of scores needs pandas, which is not here; pip install pandas") from error
        return pandas.DataFrame([cells(row) for row in self.rows], columns=list(COLUMNS))


@dataclass(frozen=True, slots=True)
class _Task:
    """A triplet that was read. predicted: other programs' frames, by name. coarse: precomputed flows, if wanted.

    parts: of the true frame, for scores of their own; None without masks.
    """

    files: TripletFiles
    triplet: Triplet
    annotation: Annotation | None
    predicted: dict[str, NDArray[np.uint8]]
    coarse: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    parts: Parts | None


class _Drawn(NamedTuple):
    """The frame at t = 0.5. seconds, best: as in `TripletScores`."""

    frame: NDArray[np.uint8]
    seconds: float | None = None
    best: BestTime | None = None


def evaluate(
    dataset: Path,
    models: Mapping[str, Model],
    annotations: Path | None = None,
    workers: int | None = None,
    keep: Keep | None = None,
    *,
    predictions: Mapping[str, Path] | None = None,
    lpips: Lpips | None = None,
    flows: Path | None = None,
    best_t: bool = False,
) -> Evaluation:
    """Score models side by side. Raises FileError and UsageError for a folder of another layout.

    models: by name. annotations: by default looked for beside `dataset`, see `animeinterp.data.atd12k.triplets`.
    flows: precomputed, looked for likewise; models that take them start from them where there are some.
    workers: triplets worked on at once; by default one per core, at most 8. keep: called with model, triplet and drawn
    frame, by any thread. predictions: folders of frames that other programs drew, by name, see
    `animeinterp.evaluation.predictions`. lpips: see `animeinterp.metrics.lpips.load_lpips`. best_t: look also
    for the time at which each model is nearest the truth, see `animeinterp.evaluation.best_time`; not for predictions.
    """
    files = triplets(dataset, annotations, flows)
    for folder in (predictions or {}).values():
        check_predictions(folder, (one.name for one in files))
    return gather(list(score(files, models, workers, keep, predictions=predictions, lpips=lpips, best_t=best_t)))


def score(
    files: Sequence[TripletFiles],
    models: Mapping[str, Model],
    workers: int | None = None,
    keep: Keep | None = None,
    *,
    predictions: Mapping[str, Path] | None = None,
    lpips: Lpips | None = None,
    done: Done | None = None,
    best_t: bool = False,
) -> Iterator[tuple[TripletScores, ...] | Fault]:
    """The same, triplet by triplet and in their order: one row per model, or why the triplet was skipped.

    done: called with a triplet's rows when its frames were kept, by any thread and in any order.
    """
    workers = workers or default_workers()
    guided = any(_takes_coarse(model) for model in models.values())
    read = partial(_read, predictions=predictions or {}, guided=guided)
    work = partial(_score, models=models, lpips=lpips, keep=keep, done=done, best_t=best_t)
    waiting: deque[Future[tuple[TripletScores, ...] | Fault]] = deque()
    with single_threaded_workers() as initializer, closing(prefetch(map(read, files), workers)) as tasks:
        pool = ThreadPoolExecutor(workers, initializer=initializer)
        try:
            _warm_up(pool, models)
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > 2 * workers:  # one that takes long does not stop the others
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def gather(results: Sequence[tuple[TripletScores, ...] | Fault]) -> Evaluation:
    """What `score` gave, as one."""
    rows = tuple(row for result in results if not isinstance(result, Fault) for row in result)
    return Evaluation(rows, tuple(result for result in results if isinstance(result, Fault)))


def compare_with_peers(evaluation: Evaluation, peers: Sequence[TripletScores]) -> tuple[list[Summary], dict[str, int]]:
    """The means of other programs over the triplets of an evaluation, by its annotations.

    Means over other triplets could not be compared: of a program that lacks some, only how many it has is told.
    """
    known = {row.triplet: row for row in evaluation.rows}
    shared: dict[str, dict[str, TripletScores]] = {}
    for row in peers:
        if own := known.get(row.triplet):
            noted = replace(row, level=own.level, motion_types=own.motion_types, behaviors=own.behaviors)
            shared.setdefault(row.model, {})[row.triplet] = noted
    whole = [summarize(peer, list(rows.values())) for peer, rows in shared.items() if len(rows) == len(known)]
    return whole, {peer: len(rows) for peer, rows in shared.items() if len(rows) < len(known)}


def _takes_coarse(model: Model) -> bool:
    return bool(getattr(model, "accepts_coarse_flow", False))


def _read(files: TripletFiles, predictions: Mapping[str, Path], guided: bool) -> _Task | Fault:
    try:
        triplet = read_triplet(files)
        annotation = read_annotation(files.annotation) if files.annotation else None
        size = triplet.truth.shape
        predicted = {name: read_prediction(folder, files.name, size) for name, folder in predictions.items()}
        coarse = read_flows(files.flows) if guided and files.flows else None
        parts = read_masks(files.masks, size) if files.masks else None
        if annotation:
            annotation.roi(size[1], size[0])
    except AnimeInterpError as error:
        return Fault(files.name, str(error))
    except Exception as error:  # one odd file must not end the work on the others
        return Fault(files.name, f"unexpected {type(error).__name__}: {error}; please report it with these files")
    return _Task(files, triplet, annotation, predicted, coarse, parts)


def _score(
    task: _Task | Fault,
    models: Mapping[str, Model],
    lpips: Lpips | None,
    keep: Keep | None,
    done: Done | None,
    best_t: bool,
) -> tuple[TripletScores, ...] | Fault:
    if isinstance(task, Fault):
        return task
    name = task.files.name
    try:
        drawn = {label: _draw(model, task, best_t, lpips) for label, model in models.items()}
        drawn |= {label: _Drawn(frame) for label, frame in task.predicted.items()}
        rows = tuple(_row(label, task, one, lpips) for label, one in drawn.items())
    except (FileError, FrameError) as error:
        return Fault(name, str(error))
    if keep:
        for label in models:
            keep(label, name, drawn[label].frame)
    if done:
        done(rows)
    return rows


def _draw(model: Model, task: _Task, best_t: bool, lpips: Lpips | None) -> _Drawn:
    frames = task.triplet.frame0, task.triplet.frame1
    known = {"coarse": task.coarse} if task.coarse and _takes_coarse(model) else {}
    begin = time.thread_time()
    draw = drawer(model, *frames, known) if best_t else partial(model, *frames, **known)
    frame = draw(0.5)
    seconds = time.thread_time() - begin
    return _Drawn(frame, seconds, best_time(draw, frame, task.triplet.truth, lpips) if best_t else None)


def _row(label: str, task: _Task, drawn: _Drawn, lpips: Lpips | None) -> TripletScores:
    frame, seconds, best = drawn
    name, truth, annotation = task.files.name, task.triplet.truth, task.annotation
    whole = measure(frame, truth, lpips)
    parts = score_parts(frame, truth, task.parts, lpips) if task.parts else {}
    if annotation is None:
        return TripletScores(label, name, None, whole, None, seconds, best=best, parts=parts)
    roi = annotation.roi(truth.shape[1], truth.shape[0])
    inside = measure(roi.of(frame), roi.of(truth), lpips)
    words = annotation.motion_types, annotation.behaviors
    return TripletScores(label, name, annotation.level, whole, inside, seconds, *words, best, parts)


def _warm_up(pool: ThreadPoolExecutor, models: Mapping[str, Model]) -> None:
    """Let each model draw once: what is compiled on first use would count as time of the first frame."""
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:48, 16:48] = 255
    for model in models.values():
        pool.submit(model, frame, np.roll(frame, 4, axis=1), 0.5).result()


def default_workers() -> int:
    """How many triplets are worked on at once: one per core, at most `MOST_WORKERS`."""
    return min(_cores(), MOST_WORKERS)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
