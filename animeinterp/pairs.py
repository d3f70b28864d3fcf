"""Draw the frames between many pairs of frames, on all cores.

>>> for frames in draw_pairs([(frame0, frame1, [0.5]), (frame1, frame2, [1 / 3, 2 / 3])]):
...     save(frames)

Worker processes of one thread each draw runs of pairs, so that a frame that two pairs share is mostly analyzed once.
The frames are the same for any number of workers, also with one, which draws in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat, TypeAlias, TypeVar, cast

from animeinterp.config import DEFAULT_PRESET, Options
from animeinterp.doubt import DrawnPair, Judging
from animeinterp.errors import UsageError
from animeinterp.frame import AnyFrame, Frame, check_frame, check_pair, check_time
from animeinterp.hints import Hints
from animeinterp.memory_needs import MEMORY_NEEDS
from animeinterp.runtime.machine import available_cores, available_memory
from animeinterp.runtime.pools import Workers, check_workers
from animeinterp.runtime.process_pool import ProcessPool
from animeinterp.runtime.ray_cluster import RayWorkers
from animeinterp.runtime.task_pool import AHEAD, TaskPool

if TYPE_CHECKING:
    from animeinterp.inbetween import Inbetweener
    from animeinterp.interpolator import Interpolator

Source: TypeAlias = "Interpolator | Callable[[], Interpolator]"
FramePair = tuple[Frame, Frame, Sequence[SupportsFloat]]
HintedPair = tuple[Frame, Frame, Sequence[SupportsFloat], Hints | None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Limits of a run, the pairs that are sent to a worker together, and of the number of workers.

    By hand. The first frame of a run is analyzed once more than needed: with four pairs that is 2 to 5 % of the work
    (`classical`: analysis 0.21 s, all of a pair 1.02 s). Longer runs keep more frames in memory.

    Attributes:
        pairs: Pairs between which frames are drawn, at most.
        frames: New frames, at most; a run of one pair may have more.
        idle_pairs: Pairs between which nothing is drawn, at most.
        min_work: Pairs times pixels for each worker, unless their number is given: each takes some seconds to start.
        gpu_workers: Workers that share a GPU, unless their number is given.
    """

    pairs: int = 4
    frames: int = 16
    idle_pairs: int = 8
    min_work: int = 4 * 960 * 540
    gpu_workers: int = 2


RUN_LIMITS = RunLimits()
_IN_FLIGHT = AHEAD * (RUN_LIMITS.pairs + 1 + RUN_LIMITS.frames // 2) * 3  # bytes per pixel of the frames of a worker


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The arguments of `load_interpolator`, by which each worker loads the model; callable.

    Attributes:
        model: A preset, or `default`.
        device: `auto`, `cpu`, `cuda`, …; of several, `cuda:0,cuda:1`, workers take one each, in turn.
        weights: Weights of the network; None takes the usual ones.
        vgg: VGG-19 weights to match segments by.
        options: How it is run.
    """

    model: str = "default"
    device: str = "auto"
    weights: Path | str | None = None
    vgg: Path | str | None = None
    options: Options | None = None

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return DEFAULT_PRESET if self.model == "default" else self.model

    @property
    def devices(self) -> list[str]:
        """The devices. UsageError if they are of several types, which draw different bits."""
        devices = self.device.split(",")
        if len({device.partition(":")[0] for device in devices}) > 1:
            raise UsageError(f"expected devices of one type, such as cuda:0,cuda:1, got {self.device}")
        return devices

    def __call__(self) -> Interpolator:
        """Load the interpolator, on the first device."""
        from animeinterp.loading import load_interpolator

        return load_interpolator(self.model, self.devices[0], weights=self.weights, vgg=self.vgg, options=self.options)


def draw_pairs(
    pairs: Iterable[tuple[AnyFrame, AnyFrame, Sequence[SupportsFloat]]],
    *,
    model: str | Interpolator = "default",
    device: str = "auto",
    weights: Path | str | None = None,
    vgg: Path | str | None = None,
    options: Options | None = None,
    workers: Workers | None = None,
) -> Iterator[list[AnyFrame]]:
    """Draw the frames between many pairs of frames, in order, on all cores or on a cluster.

    A pair whose first frame is the second of the pair before (the same array) takes the least time. As in films, only
    the region that changes is drawn where a figure moves before a static background. A script that calls this must do
    so under `if __name__ == "__main__":`, because worker processes import it.

    Args:
        pairs: Tuples (frame 0, frame 1, times): frames of one size, mode and depth, see `animeinterp.frame`, and times
            in [0, 1]. Pairs are taken when there is room for them.
        model: A preset, see `available_models`, or an interpolator.
        device: As in `load_interpolator`; or several, see `ModelChoice`.
        weights: As in `load_interpolator`.
        vgg: As in `load_interpolator`.
        options: As in `load_interpolator`.
        workers: Worker processes; 1 draws in this process. None takes one per core that this process may use, fewer
            where there is little memory or little to draw, and 1 for an interpolator; `RayWorkers()`: a Ray cluster.

    Yields:
        For each pair, the frames at its times.

    Raises:
        UsageError: A time is outside [0, 1], the preset or device is unknown, or `workers` is not valid.
        FrameError: A frame has an unsupported size or mode, or the frames of a pair differ in them.
        AnimeInterpError: A worker ended by itself three times over the same pairs, or the cluster failed.
    """
    if workers is not None:
        check_workers(workers)
    source = ModelChoice(model, device, weights, vgg, options) if isinstance(model, str) else model
    max_pixels = ((options or Options()) if isinstance(model, str) else model.options).max_pixels
    drawn = _draw_checked(
        _checked(pairs, max_pixels), source, workers, len(pairs) if isinstance(pairs, Sized) else None
    )
    return cast("Iterator[list[AnyFrame]]", drawn)


def _draw_checked(
    pairs: Iterator[FramePair], source: Interpolator | ModelChoice, workers: Workers | None, count: int | None
) -> Iterator[list[Frame]]:
    first = next(pairs, None)
    if first is None:
        return
    pixels, automatic = first[0].shape[0] * first[0].shape[1], workers is None
    if workers is None:
        workers = choose_workers(source, pixels, count)
    with PairDrawer(source, workers, automatic=automatic, pixels=pixels) as drawer:
        yield from (drawn.frames for drawn in drawer.draw(chain([first], pairs)))


def choose_workers(source: Source, pixels: int, pairs: int | None = None) -> int:
    """Choose the number of workers: as many as there are cores, memory and work for.

    Args:
        source: The interpolator, or what loads it.
        pixels: Of a frame.
        pairs: Number of pairs, if known.

    Returns:
        At least 1.
    """
    if not isinstance(source, ModelChoice):
        return 1  # loaded already, or known to this process only
    count = available_cores()
    if pairs is not None:
        count = min(count, pairs * pixels // RUN_LIMITS.min_work)
    memory = available_memory()
    if memory is not None:
        count = min(count, int(0.9 * memory) // worker_memory(source.preset, pixels))
    return max(1, count)


def worker_memory(preset: str, pixels: int) -> int:
    """Return the most bytes that a worker and the frames in flight for it take.

    Args:
        preset: Name of the preset.
        pixels: Of a frame.
    """
    needs = MEMORY_NEEDS.get(preset, MEMORY_NEEDS["paper"])
    return needs.base + (needs.per_pixel + _IN_FLIGHT) * pixels


class PairDrawer:
    """Draws pairs with one interpolator, in this process, in several, or on a cluster; a context manager.

    Attributes:
        shrunk: How often memory ran out.
    """

    def __init__(
        self,
        source: Source,
        workers: Workers,
        scale: float = 1.0,
        *,
        automatic: bool,
        pixels: int = 1920 * 1080,
        judging: Judging = "none",
    ) -> None:
        """Prepare; nothing is loaded yet, except for a cluster.

        Args:
            source: The interpolator, or what loads it; with several workers it must be picklable.
            workers: Number of processes; 1 draws in this one. Or a cluster.
            scale: Scale of the width and height at which motion is estimated, > 0.
            automatic: Whether the number was chosen by `choose_workers`, for a CPU; a GPU is shared by fewer.
            pixels: Of a frame, to count how many workers of a cluster have room.
            judging: What is done about doubtful drawings.
        """
        self.shrunk = 0
        self._local: Inbetweener | None = None
        self._pool: TaskPool[Inbetweener] | None = None
        if isinstance(workers, RayWorkers):
            self._pool = self._open_cluster(source, workers, partial(WorkerSetup, scale=scale, judging=judging), pixels)
            return
        sources = [source]
        if isinstance(source, ModelChoice):
            sources = [replace(source, device=device) for device in source.devices]
        self._setups = [WorkerSetup(one, scale, judging) for one in sources]
        self._workers, self._automatic = workers, automatic
        if workers > 1:
            self._pool = ProcessPool(self._setups, 1)

    def __enter__(self) -> PairDrawer:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.close()

    def call(self, function: Callable[[Interpolator], Result]) -> Result:
        """Call a function of a module with the interpolator, wherever that is."""
        if self._pool is not None:
            result: Result = self._pool.call(_call, function)
            return result
        return _call(self._load(), function)

    def draw(self, pairs: Iterable[FramePair | HintedPair], run_pairs: int = RUN_LIMITS.pairs) -> Iterator[DrawnPair]:
        """Draw pairs, which were checked, see `draw_pairs`; at most so many are sent to a worker together."""
        if self._pool is None:
            for run in group_runs(pairs, 1, 1):
                yield from self._finish(draw_run(self._load(), run))
            return
        if isinstance(self._pool, ProcessPool):
            on_gpu = self._automatic and self.call(_device_type) != "cpu"
            most = RUN_LIMITS.gpu_workers * len(self._setups) if on_gpu else self._workers
            self._pool.size = min(self._workers, most)
        for drawn in self._pool.map(draw_run, group_runs(pairs, run_pairs, RUN_LIMITS.idle_pairs)):
            yield from self._finish(drawn)

    def _open_cluster(self, source: Source, workers: RayWorkers, setup: Any, pixels: int) -> TaskPool[Inbetweener]:
        from animeinterp.cluster import open_pool

        memory, device, needed = available_memory(), None, 0
        limit = None if memory is None else max(1, memory // 2 // (_IN_FLIGHT * pixels))
        if isinstance(source, ModelChoice):
            source, device, needed = replace(source, device="cpu"), source.device, worker_memory(source.preset, pixels)
        return open_pool(workers, setup, source, device, needed, limit)

    def _load(self) -> Inbetweener:
        if self._local is None:
            self._local = self._setups[0].build()
        return self._local

    def _finish(self, drawn: DrawnRun) -> list[DrawnPair]:
        self.shrunk += drawn.shrunk
        return drawn.pairs


class Run(NamedTuple):
    """Pairs that are drawn together.

    Attributes:
        frames: Their frames, each once.
        pairs: The indices of the frames of each pair, its times and hints.
    """

    frames: list[Frame]
    pairs: list[tuple[int, int, tuple[float, ...], Hints | None]]


class DrawnRun(NamedTuple):
    """What was drawn of a run.

    Attributes:
        pairs: What was drawn of each pair.
        shrunk: How often memory ran out meanwhile.
    """

    pairs: list[DrawnPair]
    shrunk: int


def draw_run(inbetweener: Inbetweener, run: Run) -> DrawnRun:
    """Draw the frames of a run, in one thread: their bits depend on the number."""
    from animeinterp.runtime.threads import single_threaded_workers

    before = inbetweener.shrunk
    with single_threaded_workers():
        pairs = [
            inbetweener.draw_judged(run.frames[i], run.frames[j], times, hints) if times else DrawnPair([], [])
            for i, j, times, hints in run.pairs
        ]
    return DrawnRun(pairs, inbetweener.shrunk - before)


def group_runs(pairs: Iterable[FramePair | HintedPair], drawn_pairs: int, idle_pairs: int) -> Iterator[Run]:
    """Group pairs into runs of at most so many pairs with and without times."""
    run, drawn, count = Run([], []), 0, 0
    for pair in pairs:
        frame0, frame1, times = pair[:3]
        if count and count + len(times) > RUN_LIMITS.frames:
            yield run
            run, drawn, count = Run([], []), 0, 0
        index0, index1 = (_index(run.frames, frame) for frame in (frame0, frame1)) if times else (0, 0)
        hints = pair[3] if len(pair) == 4 else None
        run.pairs.append((index0, index1, tuple(float(t) for t in times), hints))
        drawn, count = drawn + bool(times), count + len(times)
        if drawn == drawn_pairs or len(run.pairs) - drawn == idle_pairs:
            yield run
            run, drawn, count = Run([], []), 0, 0
    if run.pairs:
        yield run


def _index(frames: list[Frame], frame: Frame) -> int:
    """Return the index of a frame, which is added if it is not there."""
    for index, other in enumerate(frames):
        if other is frame:
            return index
    frames.append(frame)
    return len(frames) - 1


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Loads what a worker draws with; callable."""

    source: Source
    scale: float
    judging: Judging = "none"

    def __call__(self) -> Inbetweener:
        """Load it in a worker, which keeps to one thread."""
        from animeinterp.runtime.threads import keep_to_one_thread

        keep_to_one_thread()
        return self.build()

    def build(self) -> Inbetweener:
        """Load it in this process."""
        from animeinterp.inbetween import Inbetweener

        source: Any = self.source
        return Inbetweener(source if hasattr(source, "analyze") else source(), self.scale, self.judging)


def _call(inbetweener: Inbetweener, function: Callable[[Interpolator], Result]) -> Result:
    return function(inbetweener.interpolator)


def _device_type(interpolator: Interpolator) -> str:
    return interpolator.device.type


def _checked(pairs: Iterable[FramePair], max_pixels: int) -> Iterator[FramePair]:
    """Check pairs; errors name the pair."""
    for number, (frame0, frame1, times) in enumerate(pairs):
        names = f"frame 0 of pair {number}", f"frame 1 of pair {number}"
        for name, frame in zip(names, (frame0, frame1), strict=True):
            check_frame(frame, max_pixels, name)
        check_pair(frame0, frame1, names)
        yield frame0, frame1, [check_time(t) for t in times]
