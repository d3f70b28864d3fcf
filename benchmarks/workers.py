"""Measure what worker processes cost and how far they carry: CPU seconds and memory of parent and workers in a film.

    python benchmarks/workers.py FILM [--models cel-fast cel classical] [--size 1920x1080] [--seconds 0.5] [--at 0]

FILM is scaled to the size and its frame rate doubled by `animeinterp video` with two workers. The CPU seconds of the
parent and of the workers (without their start) per drawn frame give the frame rate that N cores can reach: N divided by
their sum, and no more than the parent's stages that do not run in parallel can deliver: reading and finding drawings,
and sending and receiving. Encoding is parallel. Memory is the peak of one worker.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import av
import cv2
from memory import peak_bytes

from animeinterp import ModelChoice, VideoOptions, interpolate_video
from animeinterp.frame import Frame
from animeinterp.pairs import RUN_LIMITS, PairDrawer, Run, group_runs
from animeinterp.runtime.process_pool import ProcessPool
from animeinterp.video.cadence.drawings import find_drawings
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader

try:
    import resource
except ImportError:  # Windows does not tell the time of children
    resource = None

CORES = (1, 2, 4, 8, 16, 32)


class Costs(NamedTuple):
    """Of a drawn frame in CPU seconds, `alone` with one worker; of the start of a worker; and its peak, bytes."""

    parent: float
    reading: float
    sending: float
    workers: float
    alone: float
    start: float
    peak: float

    def frame_rate(self, cores: int) -> float:
        """Frames per second with so many cores, each with a worker."""
        return min(cores / (self.parent + self.workers), 1 / max(self.reading, self.sending))


def children_seconds() -> float:
    """CPU seconds of the children that have ended."""
    if resource is None:
        return float("nan")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(usage.ru_utime + usage.ru_stime)


def peak_of_worker(_: object) -> float:
    """Return the peak memory of the process that this is called in, bytes."""
    return peak_bytes()


def scale_film(source: Path, target: Path, size: tuple[int, int], begin: Fraction, end: Fraction) -> int:
    """Write a part of a film in another size; return the number of its frames."""
    film, count = probe(source), 0
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=film.rate, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for timed in Reader(film):
            if begin <= timed.time < end:
                frame = cv2.resize(timed.frame, size, interpolation=cv2.INTER_CUBIC)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                count += 1
        container.mux(stream.encode(None))
    return count


def measure_peak(film: Path, choice: ModelChoice) -> float:
    """Return the peak memory of one worker that draws three pairs, bytes."""
    frames = [timed.frame for timed in islice(Reader(probe(film)), 4)]
    with PairDrawer(choice, 2, automatic=False) as drawer:
        list(drawer.draw((*pair, [0.5]) for pair in pairwise(frames)))
        return max(drawer.call(peak_of_worker) for _ in range(4))


def measure_start(choice: ModelChoice) -> float:
    """Return the CPU seconds of starting a worker."""
    before = children_seconds()
    with PairDrawer(choice, 2, automatic=False) as drawer:
        drawer.call(peak_of_worker)
    return children_seconds() - before


def measure_reading(film: Path) -> float:
    """Return the CPU seconds of reading the film and finding its drawings, per frame."""
    began, reader = time.process_time(), Reader(probe(film))
    drawings = list(find_drawings(reader, lambda: reader.end))
    return (time.process_time() - began) / len(drawings)


def send_back(_: object, run: Run) -> list[list[Frame]]:
    """Return frames of the number and size of those that a worker draws."""
    return [[run.frames[index]] for index, *_ in run.pairs]


def no_state() -> None:
    """Return nothing: the state of workers that draw nothing."""


def measure_sending(film: Path) -> float:
    """Return the parent's CPU seconds of sending runs of pairs and receiving frames, per drawn frame."""
    frames = [timed.frame for timed in islice(Reader(probe(film)), 9)]
    pairs = [(*pair, [0.5]) for pair in pairwise(frames)]
    with ProcessPool(no_state, 1) as pool:
        list(pool.map(send_back, group_runs(pairs, RUN_LIMITS.pairs, 1)))
        began = time.process_time()
        list(pool.map(send_back, group_runs(pairs, RUN_LIMITS.pairs, 1)))
        return (time.process_time() - began) / len(pairs)


def measure(film: Path, folder: Path, choice: ModelChoice) -> Costs:
    """Measure a film job with two workers and with one."""

    def make(workers: int, preview: str | None = None) -> tuple[float, float]:
        """Make the film; return the CPU seconds of this process and of children per drawn frame."""
        parent, children = time.process_time(), children_seconds()
        options = VideoOptions(workers=workers, preview=preview, force=True)
        drawn = interpolate_video(film, folder / "new.mkv", options, interpolator=choice).drawn
        start = workers * start_seconds if workers > 1 else 0.0
        return (time.process_time() - parent) / drawn, (children_seconds() - children - start) / drawn

    start_seconds, peak = measure_start(choice), measure_peak(film, choice)
    parent, workers = make(2)
    reading, sending = measure_reading(film), measure_sending(film)
    make(1, preview="0.1s@0")  # loads the libraries
    return Costs(parent, reading, sending, workers, make(1)[0], start_seconds, peak)


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; return its rows (subject, figure, comparison) for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--models", nargs="+", default=["cel-fast", "cel", "classical"])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=Fraction, default=Fraction(1, 2))
    parser.add_argument("--at", type=Fraction, default=Fraction(0))
    options = parser.parse_args(arguments)
    width, height = map(int, options.size.split("x"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "scaled.mkv"
        scale_film(options.film, film, (width, height), options.at, options.at + options.seconds)
        for model in options.models:
            costs = measure(film, Path(name), ModelChoice(model, "cpu"))
            figure = (
                f"parent {costs.parent:.3f} (reading {costs.reading:.3f}, sending {costs.sending:.3f}), workers "
                f"{costs.workers:.2f} CPU s per drawn frame; a worker takes {costs.start:.1f} CPU s to start and "
                f"{costs.peak / 1e6:.0f} MB at most"
            )
            rates = ", ".join(f"{n}: {costs.frame_rate(n) / costs.frame_rate(1):.1f}" for n in CORES)
            ratio = (costs.parent + costs.workers) / costs.alone
            against = f"{ratio:.2f} of the CPU s of one worker; on paper, times one core, by cores: {rates}"
            rows.append((f"`{model}`, {options.size}", figure, against))
            print(" | ".join(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    main()
