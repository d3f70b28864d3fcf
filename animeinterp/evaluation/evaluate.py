"""How good models are at drawing the middle frame of triplets in ATD-12K's layout (system §5).

>>> evaluation = evaluate(Path("test_2k_540p"), {"classical": load_interpolator("classical")})
>>> evaluation.summary("classical").whole.psnr

A thread draws and scores a triplet from beginning to end, and meanwhile OpenCV and torch take no threads of their
own: so the scores are the same whatever the number of workers, and the CPU seconds are a frame's. Frames are scored
as they would be saved: 8 bits, at the data set's size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.atd12k import TripletFiles, read_annotation, read_triplet, triplets
from animeinterp.errors import FileError, FrameError
from animeinterp.evaluation.metrics import psnr, ssim
from animeinterp.evaluation.scores import Scores, Summary, TripletScores, summarize
from animeinterp.frame import Frame

Model = Callable[[Frame, Frame, float], Any]  # an Interpolator, or anything that is called like one
Keep = Callable[[str, str, Frame], None]
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


def evaluate(
    dataset: Path,
    models: Mapping[str, Model],
    annotations: Path | None = None,
    workers: int | None = None,
    keep: Keep | None = None,
) -> Evaluation:
    """Score models side by side. Raises FileError and UsageError for a folder of another layout.

    models: by name. annotations: by default looked for beside `dataset`, see `animeinterp.data.atd12k.triplets`.
    workers: triplets worked on at once; by default one per core, at most 8. keep: called with model, triplet and drawn
    frame, by any thread.
    """
    results = list(score(triplets(dataset, annotations), models, workers, keep))
    return gather(results)


def score(
    files: Sequence[TripletFiles],
    models: Mapping[str, Model],
    workers: int | None = None,
    keep: Keep | None = None,
) -> Iterator[tuple[TripletScores, ...] | Fault]:
    """The same, triplet by triplet and in their order: one row per model, or why the triplet was skipped."""
    with _one_thread_each() as initializer:
        pool = ThreadPoolExecutor(workers or min(_cores(), MOST_WORKERS), initializer=initializer)
        try:
            _warm_up(pool, models)
            yield from pool.map(partial(_score, models=models, keep=keep), files)
        finally:
            pool.shutdown(cancel_futures=True)


def gather(results: Sequence[tuple[TripletScores, ...] | Fault]) -> Evaluation:
    """What `score` gave, as one."""
    rows = tuple(row for result in results if not isinstance(result, Fault) for row in result)
    return Evaluation(rows, tuple(result for result in results if isinstance(result, Fault)))


def beside(evaluation: Evaluation, peers: Sequence[TripletScores]) -> tuple[list[Summary], dict[str, int]]:
    """The means of other programs over the triplets and levels of an evaluation.

    Means over other triplets could not be compared: of a program that lacks some, only how many it has is told.
    """
    levels = {row.triplet: row.level for row in evaluation.rows}
    shared: dict[str, dict[str, TripletScores]] = {}
    for row in peers:
        if row.triplet in levels:
            shared.setdefault(row.model, {})[row.triplet] = replace(row, level=levels[row.triplet])
    whole = [summarize(peer, list(rows.values())) for peer, rows in shared.items() if len(rows) == len(levels)]
    return whole, {peer: len(rows) for peer, rows in shared.items() if len(rows) < len(levels)}


def _score(files: TripletFiles, models: Mapping[str, Model], keep: Keep | None) -> tuple[TripletScores, ...] | Fault:
    rows: list[TripletScores] = []
    frames: dict[str, Frame] = {}
    try:
        triplet = read_triplet(files)
        annotation = read_annotation(files.annotation) if files.annotation else None
        height, width = triplet.truth.shape[:2]
        level, roi = (annotation.level, annotation.roi(width, height)) if annotation else (None, None)
        for name, model in models.items():
            begin = time.thread_time()
            drawn: NDArray[np.uint8] = model(triplet.frame0, triplet.frame1, 0.5)
            seconds = time.thread_time() - begin
            frames[name] = drawn
            whole = _compare(drawn, triplet.truth)
            inside = _compare(roi.of(drawn), roi.of(triplet.truth)) if roi else None
            rows.append(TripletScores(name, files.name, level, whole, inside, seconds))
    except (FileError, FrameError) as error:
        return Fault(files.name, str(error))
    if keep:
        for name, frame in frames.items():
            keep(name, files.name, frame)
    return tuple(rows)


def _compare(drawn: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Scores:
    return Scores(psnr(drawn, truth), ssim(drawn, truth))


def _warm_up(pool: ThreadPoolExecutor, models: Mapping[str, Model]) -> None:
    """Let each model draw once: what is compiled on first use would count as time of the first frame."""
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:48, 16:48] = 255
    for model in models.values():
        pool.submit(model, frame, np.roll(frame, 4, axis=1), 0.5).result()


@contextmanager
def _one_thread_each() -> Iterator[Callable[[], None]]:
    """OpenCV and torch without threads of their own; gives what each worker has to call first."""
    import torch

    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)  # DIS flow depends on the number of threads
    torch.set_num_threads(1)
    try:
        yield partial(torch.set_num_threads, 1)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
