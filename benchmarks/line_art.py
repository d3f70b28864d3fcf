"""Measure how models draw between line drawings, on keys made of triplets by the project's own line extraction.

    python benchmarks/line_art.py DATASET --out FOLDER [--model cel --model dis …] [--peers FOLDER --model rife46]
                                          [--first I --every N] [--best-t]

The line strength of `animeinterp.sgm.contours` is drawn as black on white for all three frames of each triplet: the
outer two are the keys, the middle one is the truth. A triplet whose drawings are nearly empty or equal is left out.
`PRESET:plain` is a preset that takes them for any other frame; `dis` is plain warping by DIS flow, as a floor; `NAME`
with --peers is a module of that folder with a function interpolate(frame0, frame1, t).

    chamfer   line Chamfer distance (animeinterp.metrics.chamfer) in 1e-5 of the diagonal; lower is better
    best t    the same at the best of t = 0.3, 0.4, 0.5, 0.6, 0.7
    lost      share of true line pixels with no solid line within 3 px, %
    false     share of solid line pixels with no true line within 3 px, %
    ink       ink of the drawing as a fraction of the true ink; 1 is right
    gray      share of the ink that is neither paper nor solid (20 to 80 %), less that of the truth, %
    width     mean depth of the pixels of solid lines as a fraction of the true one; 1 is right

FOLDER gets keys/TRIPLET/frame1..3.png, MODEL/TRIPLET.png at t = 0.5 and scores.json; the same command resumes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from animeinterp import load_interpolator
from animeinterp.config import JAPANESE, Options
from animeinterp.data.atd12k import list_triplets
from animeinterp.evaluation.best_time import bind_frames
from animeinterp.flow import backward_warp, dis_flow
from animeinterp.frame import RGBImage, rgb8
from animeinterp.io.images import read_image, write_image
from animeinterp.metrics.chamfer import line_distance, line_map
from animeinterp.sgm.contours import compute_line_strength

NEAR = 3.0  # px
SOLID = 0.5  # of black
MAX_PIXELS = 40_000_000
TIMES = (0.3, 0.4, 0.5, 0.6, 0.7)
MIN_INK, MIN_CHANGE = 0.002, 0.001  # fractions of the pixels
COLUMNS = ("chamfer", "best t", "lost", "false", "ink", "gray", "width")
Draw = Callable[[float], RGBImage]


def main(argv: Sequence[str] | None = None) -> list[tuple[str, ...]]:
    """Print the table; return its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="triplets in ATD-12K's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--model", action="append", help="PRESET, PRESET:plain, dis, or with --peers a module; default: cel"
    )
    parser.add_argument("--peers", type=Path, help="folder of other programs' modules")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--best-t", action="store_true")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    triplets = list_triplets(args.dataset)[args.first :: args.every]
    keys = {}
    for files in triplets:
        drawings = make_keys(args.out / "keys" / files.name, files.folder)
        if is_usable(*drawings):
            keys[files.name] = drawings
    store = args.out / "scores.json"
    scores: dict[str, dict[str, list[float]]] = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    rows = []
    for name in args.model or ["cel"]:
        bind = None
        for triplet, (frame0, truth, frame1) in keys.items():
            if triplet in scores.setdefault(name, {}):
                continue
            bind = bind or make_binder(name, args.peers)
            draw = bind(frame0, frame1)
            middle = draw(0.5)
            (args.out / name.replace(":", "_")).mkdir(exist_ok=True)
            write_image(args.out / name.replace(":", "_") / f"{triplet}.png", middle, force=True)
            best = [chamfer(draw(t), truth) for t in TIMES if t != 0.5] if args.best_t else []
            first, *others = measure(middle, truth)
            scores[name][triplet] = [first, min([first, *best]), *others]
            print(name, triplet, *(f"{value:.4g}" for value in scores[name][triplet]), flush=True)
            store.write_text(json.dumps(scores, indent=1), encoding="utf-8")
        means = np.mean([scores[name][triplet] for triplet in keys], axis=0)
        rows.append((name, *(f"{value:.3g}" for value in means)))
    print(f"{len(keys)} pairs\n" + "\n".join(" | ".join(row) for row in [("model", *COLUMNS), *rows]))
    return rows


def make_keys(target: Path, folder: Path) -> list[RGBImage]:
    """Draw the lines of all three frames of a triplet, or read those that were drawn before."""
    drawings = []
    for number in (1, 2, 3):
        path = target / f"frame{number}.png"
        if not path.exists():
            source = next(file for file in sorted(folder.iterdir()) if file.stem == f"frame{number}")
            target.mkdir(parents=True, exist_ok=True)
            write_image(path, draw_lines(rgb8(read_image(source, MAX_PIXELS).pixels)))
        drawings.append(rgb8(read_image(path, MAX_PIXELS).pixels))
    return drawings


def draw_lines(image: RGBImage) -> NDArray[np.uint8]:
    """Draw the lines of an image as black on white, uint8 (H, W)."""
    return np.asarray(255 - compute_line_strength(image, JAPANESE), np.uint8)


def is_usable(frame0: RGBImage, truth: RGBImage, frame1: RGBImage) -> bool:
    """Tell whether three drawings have lines, and keys that differ."""
    inked = min((frame < 128).mean() for frame in (frame0, truth, frame1)) >= MIN_INK
    return inked and bool((cv2.absdiff(frame0, frame1) > 128).mean() >= MIN_CHANGE)


def make_binder(name: str, peers: Path | None) -> Callable[[RGBImage, RGBImage], Draw]:
    """Return a function that binds a model to two keys."""
    if name == "dis":
        return bind_dis
    if peers is not None and (peers / f"{name}.py").exists():
        sys.path.insert(0, str(peers))
        os.environ.setdefault("PEER_THREADS", "1")
        peer: Any = importlib.import_module(name)
        return lambda frame0, frame1: lambda t: np.asarray(peer.interpolate(frame0, frame1, t), np.uint8)
    preset, _, plain = name.partition(":")
    options = Options(line_art="off" if plain else "auto")
    interpolator = load_interpolator(preset, "cpu", options=options)
    return lambda frame0, frame1: bind_frames(interpolator, frame0, frame1)


def bind_dis(frame0: RGBImage, frame1: RGBImage) -> Draw:
    """Warp both keys by DIS flow and mix them."""
    flow01, flow10 = dis_flow(frame0, frame1), dis_flow(frame1, frame0)

    def draw(t: float) -> RGBImage:
        first = backward_warp(frame0, t * flow10).astype(np.float32)
        second = backward_warp(frame1, (1 - t) * flow01).astype(np.float32)
        return np.rint((1 - t) * first + t * second).astype(np.uint8)

    return draw


def chamfer(drawn: RGBImage, truth: RGBImage) -> float:
    return 1e5 * line_distance(line_map(drawn), line_map(truth))


def measure(drawn: RGBImage, truth: RGBImage) -> list[float]:
    """Compute all columns but the best time."""
    inks = [1 - frame.mean(axis=2, dtype=np.float32) / 255 for frame in (drawn, truth)]
    solid = [ink > SOLID for ink in inks]
    away = [_distance(lines) > NEAR for lines in solid]
    grays = [float(ink[(ink > 0.2) & (ink < 0.8)].sum() / ink.sum()) for ink in inks]
    depths = [_distance(~lines)[lines].mean() if lines.any() else 0.0 for lines in solid]
    return [
        chamfer(drawn, truth),
        100 * float(away[0][solid[1]].mean()),
        100 * float(away[1][solid[0]].mean()) if solid[0].any() else 0.0,
        float(inks[0].sum() / inks[1].sum()),
        100 * (grays[0] - grays[1]),
        float(depths[0] / depths[1]),
    ]


def _distance(lines: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not lines.any():
        return np.full(lines.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


if __name__ == "__main__":
    main()
