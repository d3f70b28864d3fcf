"""PSNR and SSIM of a preset over a folder in ATD-12K's layout, whole and by level.

python benchmarks/quality.py DATASET [--model classical] [--peers peers.csv] [--save DIR]
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from animeinterp import load_interpolator
from animeinterp.evaluation.metrics import psnr, ssim
from animeinterp.picture import read_picture, write_picture

LEVELS = ("easy", "medium", "hard")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of NAME/frame1.*, frame2.*, frame3.*")
    parser.add_argument("--annotations", type=Path, help="default: DATASET_annotations")
    parser.add_argument("--model", default="default")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--peers", type=Path, help="CSV of peer,triplet,level,psnr,ssim to set beside")
    parser.add_argument("--save", type=Path, help="folder for the drawn frames")
    parser.add_argument("--csv", type=Path, help="per-triplet results")
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    interpolator = load_interpolator(arguments.model, weights=arguments.weights)
    annotations = arguments.annotations or arguments.dataset.with_name(arguments.dataset.name + "_annotations")
    names = sorted(path.name for path in arguments.dataset.iterdir() if path.is_dir())
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)

    def score(name: str) -> tuple[str, int, float, float]:
        first, true, last = (read(arguments.dataset / name, i) for i in (1, 2, 3))
        drawn = interpolator(first.pixels, last.pixels, 0.5)
        if arguments.save:
            write_picture(arguments.save / f"{name}.png", drawn, like=first, force=True)
        level = json.loads((annotations / name / f"{name}.json").read_text())["level"]
        return name, int(level), psnr(drawn, true.pixels), ssim(drawn, true.pixels)

    def read(folder: Path, index: int):
        return read_picture(next(folder.glob(f"frame{index}.*")), interpolator.options.max_pixels)

    begin, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(score, names))
    begin, cpu = time.perf_counter() - begin, time.process_time() - cpu
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            csv.writer(file).writerows([("triplet", "level", "psnr", "ssim"), *rows])

    print(f"{'':20} {'PSNR':>6} {'SSIM':>7} " + " ".join(f"{level:>14}" for level in LEVELS))
    show(interpolator.config.name, rows)
    if arguments.peers:
        for peer, entries in read_peers(arguments.peers, set(names)).items():
            if len(entries) == len(names):
                show(peer, entries)
    print(f"{len(names)} triplets, {cpu / len(names):.2f} CPU s and {begin / len(names):.2f} s each")


def read_peers(path: Path, names: set[str]) -> dict[str, list[tuple[str, int, float, float]]]:
    peers: dict[str, list[tuple[str, int, float, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["triplet"] in names:
                entry = row["triplet"], int(row["level"]), float(row["psnr"]), float(row["ssim"])
                peers.setdefault(row["peer"], []).append(entry)
    return peers


def show(name: str, rows: list[tuple[str, int, float, float]]) -> None:
    by_level = ([row for row in rows if row[1] == level] for level in range(3))
    cells = (f"{np.mean([r[2] for r in part]):.2f} {np.mean([r[3] for r in part]):.4f}" for part in by_level)
    whole = f"{np.mean([r[2] for r in rows]):6.2f} {np.mean([r[3] for r in rows]):7.4f}"
    print(f"{name:20} {whole} " + " ".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    main()
