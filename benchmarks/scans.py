"""Measure the registration of scans, and the grain of in-betweens, on simulated scans with known truth.

    python benchmarks/scans.py ART [--scenes 20] [--model classical] [--paper 4]

ART is the folder of `benchmarks/linear_art.py`. A figure, as drawn or as its outlines, moves, turns and is squashed
between two keys of 960x540, at a third of the height up to beyond the frame. The second key is shifted by up to 14 px,
turned by up to 0.8°, and darker or yellower by up to 10 %; both get noise of 1.2 levels. The sheets are

    painting    one background under both figures
    pegs        two sheets of paper, each with its own grain, with three peg holes
    edges       two sheets whose edges are seen
    texture     one sheet of paper
    plain       two sheets of paper without anything to tell the position by
    flat        paper without grain, likewise

The error is that of the farthest corner of the frame. On plain and flat paper the right answer is to leave the
position. `--paper` draws in-betweens of keys on plain paper that lie alike: how much the paper changes from one frame
to the next, and how rough it is, with and without `animeinterp.keys.paper`.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp import load_interpolator
from animeinterp.io.images import read_image
from animeinterp.keys.align import Placement, find_placement
from animeinterp.keys.paper import find_paper
from animeinterp.keys.rigid_motion import largest_displacement, rigid_matrix

WIDTH, HEIGHT, PAD = 960, 540, 60
TONE = np.array([244, 241, 234], np.float32)
SHEETS = ("painting", "pegs", "edges", "texture", "plain", "flat")
MAX_PIXELS = 40_000_000
TIMES = (0.2, 0.4, 0.6, 0.8)
Image = NDArray[np.float32]


def grain(random: np.random.Generator, strength: float = 2.0) -> Image:
    """The texture of a sheet, levels."""
    shape = HEIGHT + 2 * PAD, WIDTH + 2 * PAD
    layers = [
        sigma * weight * cv2.GaussianBlur(random.normal(0, 1, shape), (0, 0), sigma)
        for sigma, weight in ((0.8, 1.0), (2.5, 0.8), (8.0, 0.6))
    ]
    texture = np.sum(layers, axis=0)
    return (texture / texture.std() * strength)[..., None].astype(np.float32)


def make_sheets(kind: str, backgrounds: list[Path], random: np.random.Generator) -> tuple[Image, Image]:
    """The sheets of both keys, with a margin of PAD px."""
    if kind == "painting":
        image = read_image(backgrounds[random.integers(len(backgrounds))], MAX_PIXELS).pixels[..., :3]
        scale = max((WIDTH + 2 * PAD) / image.shape[1], (HEIGHT + 2 * PAD) / image.shape[0])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        painting = np.float32(image[: HEIGHT + 2 * PAD, : WIDTH + 2 * PAD])
        return painting, painting
    first, second = TONE + grain(random), TONE + grain(random)
    if kind in ("texture", "flat"):
        second = first = first if kind == "texture" else np.zeros_like(first) + TONE
    return first, second


def as_outlines(figure: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a figure into a line drawing."""
    gray = cv2.cvtColor(np.where(figure[..., 3:] > 0, figure[..., :3], 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(gray, 40, 120) | cv2.Canny(np.ascontiguousarray(figure[..., 3]), 50, 150)
    alpha = cv2.GaussianBlur(cv2.dilate(edges, np.ones((2, 2), np.uint8)), (0, 0), 0.6)
    return np.dstack([np.full((*alpha.shape, 3), 40, np.uint8), alpha])


def paste(sheet: Image, figure: NDArray[np.uint8], center: Any, scale: float, degrees: float, squash: float) -> Image:
    """Draw a figure on a sheet."""
    height, width = figure.shape[:2]
    matrix = rigid_matrix((0, 0), degrees, width, height) * scale
    matrix[:, 1] *= squash
    matrix[:, 2] = center - matrix[:, :2] @ np.array([width / 2, height / 2])
    colors = np.float32(figure) / 255
    colors[..., :3] *= colors[..., 3:]
    moved = cv2.warpAffine(colors, matrix, sheet.shape[1::-1], flags=cv2.INTER_AREA)
    return np.float32(sheet * (1 - moved[..., 3:]) + 255 * moved[..., :3])


def finish_sheet(sheet: Image, kind: str) -> Image:
    """Punch peg holes, or show the edges of the sheet."""
    if kind == "pegs":
        x, y = sheet.shape[1] // 2, PAD + 22
        cv2.circle(sheet, (x, y), 9, (30, 30, 30), -1, cv2.LINE_AA)
        for side in (-330, 330):
            cv2.rectangle(sheet, (x + side - 16, y - 5), (x + side + 16, y + 5), (30, 30, 30), -1)
    if kind == "edges":
        inside = np.zeros((*sheet.shape[:2], 1), np.float32)
        inside[PAD + 18 : -PAD - 15, PAD + 20 : -PAD - 25] = 1
        sheet = sheet * inside + 70 * (1 - inside)
    return sheet


def make_scans(kind: str, art: Path, seed: int, displaced: bool = True) -> tuple[NDArray[np.uint8], ...]:
    """Make two scans; returns them and, as a third entry of `Placement`, how the second lay."""
    random = np.random.default_rng([SHEETS.index(kind), seed])
    figures, backgrounds = (sorted((art / name).iterdir()) for name in ("figures", "backgrounds"))
    figure = read_image(figures[random.integers(len(figures))], MAX_PIXELS).pixels
    if kind != "painting" and random.random() < 0.7:
        figure = as_outlines(figure)
    scale = random.choice([0.35, 0.6, 0.9, 1.3]) * HEIGHT / figure.shape[0]
    center = np.array([WIDTH / 2, HEIGHT / 2]) + PAD + random.uniform(-0.15, 0.15, 2) * (WIDTH, HEIGHT)
    step, turn, squash = random.uniform(-40, 40, 2), random.uniform(-8, 8), random.uniform(0.95, 1.05)
    sheets = make_sheets(kind, backgrounds, random)
    first = finish_sheet(paste(sheets[0], figure, center, scale, 0, 1), kind)
    second = finish_sheet(paste(sheets[1], figure, center + step, scale, turn, squash), kind)
    lay = Placement()
    if displaced:
        gains = random.uniform(0.9, 1.03) * (1 - random.uniform(0, 1, 3) * (0, 0.02, 0.08))
        lay = Placement(tuple(random.uniform(-14, 14, 2)), random.uniform(-0.8, 0.8), tuple(gains))
    matrix = lay.matrix(WIDTH, HEIGHT)
    matrix[:, 2] -= matrix[:, :2] @ np.full(2, float(PAD))
    laid = cv2.warpAffine(second, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC) * np.array(lay.gain)
    scans = []
    for key in (first[PAD:-PAD, PAD:-PAD], laid):
        noise = 0 if kind == "flat" else random.normal(0, 1.2, key.shape)
        scans.append(np.clip(np.rint(cv2.GaussianBlur(key, (0, 0), 0.5) + noise), 0, 255).astype(np.uint8))
    return scans[0], scans[1], lay  # type: ignore[return-value]


def measure_registration(art: Path, scenes: int) -> None:
    """Print a row for each kind of sheet; every fifth pair is not displaced."""
    print("sheets     found  median px  largest px  followed the figure  largest error of brightness")
    for kind in SHEETS:
        errors, wrong, gains = [], 0, []
        for seed in range(scenes):
            frame0, frame1, lay = make_scans(kind, art, seed, displaced=seed % 5 != 4)
            found = find_placement(frame0, frame1)
            apart = found.matrix(WIDTH, HEIGHT) - lay.matrix(WIDTH, HEIGHT) + np.eye(2, 3)
            error = largest_displacement(apart, WIDTH, HEIGHT)
            if found.found_by != "nothing":
                wrong += error > 2
                errors += [error] if error <= 2 else []
            gains.append(float(np.abs(np.array(found.gain) / lay.gain - 1).max()))
        middle, largest = (np.median(errors), max(errors)) if errors else (np.nan, np.nan)
        share = f"{len(errors)}/{scenes}"
        print(f"{kind:9} {share:>6} {middle:10.2f} {largest:11.2f} {wrong:20} {max(gains):28.1%}", flush=True)


def roughness(frame: NDArray[np.uint8], paper: NDArray[np.bool_]) -> float:
    """Standard deviation of the fine detail of paper, levels."""
    gray = frame.astype(np.float32).mean(axis=2)
    return float((gray - cv2.GaussianBlur(gray, (0, 0), 2.0))[paper].std())


def measure_paper(art: Path, pairs: int, model: str) -> None:
    """Print how much paper changes between frames and how rough it is, as drawn and as kept."""
    interpolator = load_interpolator(model, "cpu")
    rows: dict[str, list[tuple[float, float, float]]] = {"as drawn": [], "kept": []}
    for seed in range(pairs):
        frame0, frame1, _ = make_scans("plain", art, seed, displaced=False)
        both = np.maximum(
            *(np.abs(cv2.GaussianBlur(frame, (0, 0), 3) - TONE).max(axis=2) for frame in (frame0, frame1))
        )
        paper = cv2.erode((both < 6).astype(np.uint8), np.ones((41, 41), np.uint8)).astype(bool)
        motion = interpolator.motion(interpolator.analyze(frame0), interpolator.analyze(frame1))
        drawn = [interpolator.render(motion, t) for t in TIMES]
        found = find_paper(frame0, frame1)
        kept = [found.keep(frame, t) for frame, t in zip(drawn, TIMES, strict=True)]
        for name, frames in (("as drawn", drawn), ("kept", kept)):
            film = [frame0, *frames, frame1]
            changes = [float(np.abs(a.astype(float) - b)[paper].mean()) for a, b in pairwise(film)]
            rough = [roughness(frame, paper) for frame in frames]
            rows[name].append((float(np.mean(changes)), float(np.mean(rough)), roughness(frame0, paper)))
    print("paper      change from frame to frame  roughness  that of a key")
    for name, values in rows.items():
        change, rough, key = np.mean(values, axis=0)
        print(f"{name:9} {change:26.2f} {rough:11.2f} {key:14.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("art", type=Path)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--paper", type=int, default=4)
    parser.add_argument("--model", default="classical")
    given = parser.parse_args()
    if given.scenes:
        measure_registration(given.art, given.scenes)
    if given.paper:
        measure_paper(given.art, given.paper, given.model)


if __name__ == "__main__":
    main()
