"""The search of `evaluate --best-t` against a plainer one and against all times: renders per triplet, and PSNR found.

python benchmarks/best_time.py DATASET [--model cel-fast] [--every 3] [--first 0]

The plainer search tries all tenths from 0.1 to 0.9, then both sides of the best so far at half the distance, three
times over. Every triplet is drawn at all 65 times, once for the three of them.
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

from animeinterp.data.atd12k import TripletFiles, read_triplet, triplets
from animeinterp.evaluation.best_time import best_time, bind_frames
from animeinterp.interpolator import Interpolator, load_interpolator
from animeinterp.metrics.image import psnr

PARTS = range(8, 73)  # times in parts of 80
SEARCHES = ("this search", "all tenths, then both sides of the best", "all times")


class Found(NamedTuple):
    """What one search did on one triplet. renders: the one at 0.5 included. psnr: dB, of the best of them."""

    renders: int
    psnr: float


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; its rows: what, figure and against what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="in ATD-12K's layout")
    parser.add_argument("--model", default="cel-fast")
    parser.add_argument("--every", type=int, default=3, help="take every n-th triplet")
    parser.add_argument("--first", type=int, default=0, help="begin with this one")
    arguments = parser.parse_args(given)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    model = load_interpolator(arguments.model, "cpu")
    files = triplets(arguments.dataset)[arguments.first :: arguments.every]
    runs = [compare(model, one) for one in files]
    rows = []
    for name, found in zip(SEARCHES, zip(*runs, strict=True), strict=True):
        renders, best = [one.renders for one in found], np.mean([one.psnr for one in found])
        figure = f"{np.mean(renders):.2f} renders (at most {max(renders)}), {best:.3f} dB, {len(found)} triplets"
        print(f"{name:40} {figure}", flush=True)
        rows.append((name, figure, ""))
    return rows


def compare(model: Interpolator, files: TripletFiles) -> tuple[Found, Found, Found]:
    """All searches on one triplet."""
    frame0, truth, frame1, *_ = read_triplet(files)
    once = cache(bind_frames(model, frame0, frame1))

    def value(part: int) -> float:
        return psnr(once(part / 80), truth)

    tried = []
    best = best_time(lambda t: tried.append(t) or once(t), once(0.5), truth)
    every = [value(part) for part in PARTS]
    return Found(len(tried) + 1, best.scores.psnr), plain_search(value), Found(len(every), max(every))


def plain_search(value: Callable[[int], float]) -> Found:
    """All tenths, then both sides of the best at half the distance, three times over."""
    found = {part: value(part) for part in PARTS[::8]}
    for step in (4, 2, 1):
        best = max(found, key=lambda part: (found[part], -abs(part - 40), -part))
        found |= {part: value(part) for part in (best - step, best + step) if part in PARTS and part not in found}
    return Found(len(found), max(found.values()))


if __name__ == "__main__":
    main()
