"""Compare the search of `evaluate --best-t` with a plain search and with all times: renders per triplet, and PSNR.

python benchmarks/best_time.py DATASET [--model cel-fast] [--every 3] [--first 0]

The plain search tries all tenths from 0.1 to 0.9, then three times both neighbors of the best time at half the
distance. Every triplet is drawn once at all 65 times.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from animeinterp.data.atd12k import TripletFiles, list_triplets, read_triplet
from animeinterp.evaluation.best_time import bind_frames, find_best_time
from animeinterp.interpolator import Interpolator
from animeinterp.loading import load_interpolator
from animeinterp.metrics.image import psnr

TIMES = range(8, 73)  # numerators of n / 80
SEARCHES = ("this search", "all tenths, then both sides of the best", "all times")


class Found(NamedTuple):
    """Result of one search on one triplet.

    Attributes:
        renders: Number of frames drawn, including the one at 0.5.
        psnr: Of the best of them, dB.
    """

    renders: int
    psnr: float


def main(argv: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; return its rows: what, figure and against what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="in ATD-12K's layout")
    parser.add_argument("--model", default="cel-fast")
    parser.add_argument("--every", type=int, default=3, help="take every n-th triplet")
    parser.add_argument("--first", type=int, default=0, help="start with this one")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    model = load_interpolator(args.model, "cpu")
    files = list_triplets(args.dataset)[args.first :: args.every]
    results = [compare(model, one) for one in files]
    rows = []
    for name, found in zip(SEARCHES, zip(*results, strict=True), strict=True):
        renders, best = [one.renders for one in found], np.mean([one.psnr for one in found])
        figure = f"{np.mean(renders):.2f} renders (at most {max(renders)}), {best:.3f} dB, {len(found)} triplets"
        print(f"{name:40} {figure}", flush=True)
        rows.append((name, figure, ""))
    return rows


def compare(model: Interpolator, files: TripletFiles) -> tuple[Found, Found, Found]:
    """Run all searches on one triplet."""
    frame0, truth, frame1, *_ = read_triplet(files)
    draw = cache(bind_frames(model, frame0, frame1))

    def score(time: int) -> float:
        return psnr(draw(time / 80), truth)

    tried = []
    best = find_best_time(lambda t: tried.append(t) or draw(t), draw(0.5), truth)
    every = [score(time) for time in TIMES]
    return Found(len(tried) + 1, best.scores.psnr), plain_search(score), Found(len(every), max(every))


def plain_search(score: Callable[[int], float]) -> Found:
    """Try all tenths, then three times both neighbors of the best time at half the distance."""
    scores = {time: score(time) for time in TIMES[::8]}
    for step in (4, 2, 1):
        best = max(scores, key=lambda time: (scores[time], -abs(time - 40), -time))
        neighbors = (best - step, best + step)
        scores |= {time: score(time) for time in neighbors if time in TIMES and time not in scores}
    return Found(len(scores), max(scores.values()))


if __name__ == "__main__":
    main()
