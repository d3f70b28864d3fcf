"""Measure the CPU time of segment-guided matching of a pair of frames, by stage.

python benchmarks/sgm.py DATASET [--every 4]

Ratios compare DIS with the published settings to each stage, in the same run, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from animeinterp.io.images import read_image
from animeinterp.sgm import descriptors as appearance
from animeinterp.sgm.coarse_flow import PUBLISHED, QUICK, estimate_coarse_flow
from animeinterp.sgm.matching import match
from animeinterp.sgm.segments import segment

DEFORMATIONS = {"DIS, published settings": PUBLISHED, "DIS, quick": QUICK, "translation only": None}


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; return its rows (stage, result, comparison) for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of NAME/frame1.*, frame3.*")
    parser.add_argument("--every", type=int, default=4, help="take every N-th triplet")
    args = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    folders = sorted(path for path in args.dataset.iterdir() if path.is_dir())[:: args.every]
    runs = [measure(folder) for folder in (folders[0], *folders)][1:]  # the first run compiles

    print(f"{len(runs)} pairs; CPU seconds per pair, both directions")
    print(f"{'':28} {'median':>8} {'min':>8} {'max':>8} {'ratio':>8}")
    published = np.median([run["DIS, published settings"] for run in runs])
    rows = []
    for stage in runs[0]:
        seconds = [run[stage] for run in runs]
        ratio = published / np.median(seconds)
        print(f"{stage:28} {np.median(seconds):8.3f} {min(seconds):8.3f} {max(seconds):8.3f} {ratio:8.1f}")
        result = f"median {np.median(seconds):.3f} CPU s ({min(seconds):.3f}-{max(seconds):.3f}), {len(runs)} pairs"
        is_published = DEFORMATIONS.get(stage) is PUBLISHED
        comparison = "1" if is_published else f"DIS, published settings, takes {ratio:.1f} times that"
        rows.append((stage, result, comparison))
    return rows


def measure(folder: Path) -> dict[str, float]:
    """Measure the CPU seconds of each stage on one pair."""
    frames = [read_image(next(folder.glob(f"frame{i}.*")), 10**8).pixels for i in (1, 3)]
    seconds = {}

    def timed(stage, work):
        begin = time.process_time()
        result = work()
        seconds[stage] = time.process_time() - begin
        return result

    segments = timed("two label maps", lambda: [segment(frame) for frame in frames])
    described = timed(
        "two sets of descriptors",
        lambda: [appearance.describe(*both) for both in zip(frames, segments, strict=True)],
    )
    matching = timed("matching", lambda: match(*segments, *described))
    for name, deformation in DEFORMATIONS.items():

        def both_directions(deformation=deformation):
            estimate_coarse_flow(*frames, *segments, matching.match01, deformation)
            estimate_coarse_flow(*frames[::-1], *segments[::-1], matching.match10, deformation)

        timed(name, both_directions)
    return seconds


if __name__ == "__main__":
    main()
