"""Measure what drawings and static regions save against interpolating every pair of frames.

    python benchmarks/video.py [FILM] [--seconds 2] [--at 0]

Without a film one is made: a figure on twos before a static painted background, 960x540, once for each of three
sizes of the figure.

The baseline is a loop over neighboring frames that calls the interpolator for each pair and encodes in the same way.
Both double the frame rate. Wall and CPU seconds and peak memory are those of a process of its own for each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from memory import peak_bytes

from animeinterp import VideoOptions, interpolate_video, load_interpolator
from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader


def make_film(target: Path, height: float, count: int = 48) -> Path:
    """Make a film of a figure on twos, whose height is a fraction of the frame's."""
    random = np.random.default_rng(1)
    background = cv2.resize(random.integers(60, 220, (9, 16, 3), np.uint8), (960, 540), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        center, size = random.integers(0, (960, 540)).tolist(), random.integers(8, 70, 2).tolist()
        cv2.ellipse(background, center, size, 0, 0, 360, random.integers(30, 230, 3).tolist(), -1, cv2.LINE_AA)
    size = height * 540 / 2
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for number in range(count):
            frame, pose = background.copy(), 0.2 * (number // 2)
            body = np.array([480, 270]) + 0.15 * size * np.array([np.cos(pose), np.sin(2 * pose)])
            for angle, length in ((pose, 0.8), (-pose, 0.8), (pose + 2.4, 0.7), (2.4 - pose, 0.7)):
                limb = [body.astype(int).tolist(), (body + length * size * np.array([np.cos(angle), np.sin(angle)]))]
                ends = limb[0], limb[1].astype(int).tolist()
                cv2.line(frame, *ends, (20, 20, 30), max(2, int(0.2 * size)), cv2.LINE_AA)
                cv2.line(frame, *ends, (220, 60, 50), max(1, int(0.15 * size)), cv2.LINE_AA)
            cv2.circle(frame, body.astype(int).tolist(), int(0.35 * size), (20, 20, 30), -1, cv2.LINE_AA)
            cv2.circle(frame, body.astype(int).tolist(), int(0.3 * size), (240, 200, 170), -1, cv2.LINE_AA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return target


def naive(source: Path, target: Path, begin: Fraction, end: Fraction) -> int:
    film = probe(source)
    interpolator = load_interpolator("classical", "cpu")
    frames = [timed.frame for timed in Reader(film) if begin <= timed.time < end]
    encoder = choose_encoder(target, film, Encoding())
    with SegmentWriter(target, film, 2 * film.rate, encoder) as writer:
        for first, second in pairwise(frames):
            writer.write(first)
            writer.write(interpolator(first, second, 0.5))
        writer.write(frames[-1])
    return 2 * len(frames) - 1


def ours(source: Path, target: Path, begin: Fraction, end: Fraction) -> int:
    options = VideoOptions(preview=f"{float(end - begin)}s@{float(begin)}")
    interpolator = load_interpolator("classical", "cpu")
    return interpolate_video(source, target, options, interpolator=interpolator).frames


def _measure(method: Callable[..., int], *arguments: Any) -> tuple[float, float, float, int]:
    wall, cpu = time.perf_counter(), time.process_time()
    frames = method(*arguments)
    memory = peak_bytes() / 2**30
    return time.perf_counter() - wall, time.process_time() - cpu, memory, frames


def measure(method: Callable[..., int], *arguments: Any) -> tuple[float, float, float, int]:
    """Return wall seconds, CPU seconds, peak GiB and frames of one call in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measure, method, *arguments).result()


def compare(film: Path, begin: Fraction, end: Fraction, folder: Path) -> tuple[str, str]:
    """Measure both methods on one film and print a table; return our figures and their ratio to the baseline."""
    rows = {}
    for method in (naive, ours):
        rows[method.__name__] = measure(method, film, folder / f"{film.stem}-{method.__name__}.mkv", begin, end)
    print(f"{'':8}{'wall s':>9}{'CPU s':>9}{'GiB':>7}{'frames':>8}")
    for name, (wall, cpu, memory, frames) in rows.items():
        print(f"{name:8}{wall:9.1f}{cpu:9.1f}{memory:7.2f}{frames:8}")
    (wall, cpu, memory, frames), loop = rows["ours"], rows["naive"]
    print(f"ours / naive: wall {wall / loop[0]:.2f}, CPU {cpu / loop[1]:.2f}")
    ratios = f"wall {wall / loop[0]:.2f}, CPU {cpu / loop[1]:.2f}, memory {memory / loop[2]:.2f}"
    return (
        f"{wall:.1f} s wall, {cpu:.1f} CPU s, {memory:.2f} GB peak, {frames} frames",
        f"{ratios} of a loop over pairs of frames",
    )


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table and return its rows for benchmarks/tables.py: subject, figures, baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--seconds", type=Fraction, default=Fraction(2))
    parser.add_argument("--at", type=Fraction, default=Fraction(0))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films, rows = [(0.0, options.film)], []
        if options.film is None:
            films = [(height, make_film(folder / f"{height}.mp4", height)) for height in (0.3, 0.6, 0.9)]
        begin, end = options.at, options.at + options.seconds
        for height, film in films:
            subject = f"figure of {height:.0%} of the height" if height else film.name
            print(subject)
            rows.append((f"24 to 48 per second: {subject}", *compare(film, begin, end, folder)))
    return rows


if __name__ == "__main__":
    main()
