"""Whole films: what knowing drawings, still parts and overlap save beside interpolating every pair of frames.

    python benchmarks/video.py FILM [--seconds 2] [--at 0]

The naive way is a loop over neighbouring frames that calls the interpolator for each and encodes as the other one does.
Both ways double the frame rate. Seconds of wall clock and of processor time, and the peak memory of each in a process
of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from animeinterp import VideoOptions, interpolate_video, load_interpolator
from animeinterp.video.encoding import Encoding, SegmentWriter, choose_encoder
from animeinterp.video.reader import Reader, probe


def naive(source: Path, target: Path, begin: Fraction, end: Fraction) -> int:
    film = probe(source)
    interpolator = load_interpolator("classical", "cpu")
    frames = [shown.frame for shown in Reader(film) if begin <= shown.time < end]
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


def _measured(way: Callable[..., int], arguments: tuple[Any, ...], answers: Any) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    frames = way(*arguments)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    answers.put((time.perf_counter() - wall, time.process_time() - cpu, memory, frames))


def measured(way: Callable[..., int], *arguments: Any) -> tuple[float, float, float, int]:
    """Wall seconds, processor seconds, peak GiB and frames of one call in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_measured, args=(way, arguments, answers))
    process.start()
    got: tuple[float, float, float, int] = answers.get()
    process.join()
    return got


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--seconds", type=Fraction, default=Fraction(2))
    parser.add_argument("--at", type=Fraction, default=Fraction(0))
    asked = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in (naive, ours):
            target = Path(folder) / f"{way.__name__}.mkv"
            rows[way.__name__] = measured(way, asked.film, target, asked.at, asked.at + asked.seconds)
    print(f"{'':8}{'wall s':>9}{'CPU s':>9}{'GiB':>7}{'frames':>8}")
    for name, (wall, cpu, memory, frames) in rows.items():
        print(f"{name:8}{wall:9.1f}{cpu:9.1f}{memory:7.2f}{frames:8}")
    print(f"ours / naive: wall {rows['ours'][0] / rows['naive'][0]:.2f}, CPU {rows['ours'][1] / rows['naive'][1]:.2f}")


if __name__ == "__main__":
    main()
