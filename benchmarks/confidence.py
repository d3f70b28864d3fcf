"""Compare the doubt of drawings with their LPIPS: do drawings called good look good?

    python benchmarks/confidence.py DATASET --lpips FILE --out TABLE.csv [--model NAME …] [--limit LPIPS]
    python benchmarks/confidence.py ANIMATIONS --vector COUNT [--backgrounds FOLDER] --lpips FILE --out TABLE.csv …

Prints for each model: how many drawings are called good, how many of those are in the worst quarter by LPIPS (or above
`--limit`), the area under the ROC curve, and the same at other thresholds. The second form draws random scenes of
vector animation, t = 0.5, on which `ConfidenceRule.max_doubt` was chosen. TABLE.csv has a row per drawing; the same
command resumes an interrupted run. One thread.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from animeinterp import load_interpolator
from animeinterp.confidence import CONFIDENCE, compute_doubt
from animeinterp.data.atd12k import list_triplets, read_triplet
from animeinterp.data.types import Triplet
from animeinterp.data.vector import generate_triplets
from animeinterp.interpolator import Interpolator
from animeinterp.metrics.lpips import LpipsMetric, load_lpips

MODELS = ("cel", "cel-fast", "classical")
SEEDS = 60  # scenes of a seed


class Row(NamedTuple):
    """A drawing.

    Attributes:
        model: Preset.
        triplet: Name.
        lpips: To the true frame.
        doubt: Of `compute_doubt`.
        drawing: CPU time of analysis, motion and rendering, s.
        judging: CPU time of the confidence map, s.
    """

    model: str
    triplet: str
    lpips: float
    doubt: float
    drawing: float
    judging: float


class Verdict(NamedTuple):
    """What a threshold does.

    Attributes:
        good: Fraction of the drawings that are called good.
        wrong: Fraction of those that are bad by LPIPS.
    """

    good: float
    wrong: float


def main(argv: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the tables; return rows for benchmarks/tables.py: what, figure and against what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a data set in ATD-12K's layout, or a folder of vector animations")
    parser.add_argument("--vector", type=int, metavar="COUNT", help="scenes to make of vector animations")
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--lpips", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--limit", type=float, help="LPIPS above which a drawing is bad, in place of the worst quarter")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = _read(args.out)
    lpips, done = load_lpips(args.lpips), {(row.model, row.triplet) for row in rows}
    models = {name: load_interpolator(name, "cpu") for name in args.model}
    for name, triplet in _triplets(args.source, args.vector, args.backgrounds):
        missing = [model for model in models if (model, name) not in done]
        rows += [measure(model, models[model], name, triplet(), lpips) for model in missing]
        if missing:
            _write(args.out, rows)
    return [report(model, [row for row in rows if row.model == model], args.limit) for model in models]


def measure(model: str, interpolator: Interpolator, name: str, triplet: Triplet, lpips: LpipsMetric) -> Row:
    """Draw and judge one frame."""
    began = time.process_time()
    motion = interpolator.motion(*(interpolator.analyze(frame) for frame in (triplet.frame0, triplet.frame1)))
    drawn = interpolator.render(motion, triplet.t)
    middle = time.process_time()
    doubt = compute_doubt(interpolator.confidence(motion, triplet.t))
    judging = time.process_time() - middle
    distance = lpips(drawn, triplet.truth)
    assert distance is not None
    return Row(model, name, distance, doubt, middle - began, judging)


def report(model: str, rows: Sequence[Row], limit: float | None) -> tuple[str, str, str]:
    """Print the table of a model."""
    distance, doubt = np.array([row.lpips for row in rows]), np.array([row.doubt for row in rows])
    limit = float(np.percentile(distance, 75)) if limit is None else limit
    bad = distance > limit
    print(f"{model}: {len(rows)} drawings, {bad.mean():.0%} of them bad (LPIPS above {limit:.4f})")
    print(f"  area under the ROC curve {roc_area(doubt, bad):.3f}")
    for threshold in sorted({CONFIDENCE.max_doubt, *(CONFIDENCE.max_doubt * k for k in (0.25, 0.5, 0.75, 1.5, 2))}):
        good, wrong = judge_threshold(doubt, bad, threshold)
        chosen = "  <- the rule" if threshold == CONFIDENCE.max_doubt else ""
        print(f"  up to {threshold:.4f}: {good:.1%} good, {wrong:.1%} of those bad{chosen}")
    for allowed in (0.03, 0.04, 0.05):
        print(f"  at most {allowed:.0%} bad among the good: up to {largest_threshold(doubt, bad, allowed):.4f}")
    drawing, judging = (float(np.median([getattr(row, name) for row in rows])) for name in ("drawing", "judging"))
    print(f"  median CPU time: {drawing:.3f} s to draw, {judging:.3f} s to judge ({judging / drawing:.1%})", flush=True)
    good, wrong = judge_threshold(doubt, bad, CONFIDENCE.max_doubt)
    return f"`{model}`, drawings called good", f"{good:.0%}", f"{wrong:.1%} of them are bad"


def judge_threshold(doubt: NDArray[np.float64], bad: NDArray[np.bool_], threshold: float) -> Verdict:
    """Count what a threshold calls good."""
    good = doubt <= threshold
    return Verdict(float(good.mean()), float(bad[good].mean()) if good.any() else 0.0)


def largest_threshold(doubt: NDArray[np.float64], bad: NDArray[np.bool_], allowed: float) -> float:
    """Find the largest threshold with at most a fraction `allowed` of bad drawings among the good ones; 0 if none."""
    fits = [float(value) for value in np.sort(doubt) if judge_threshold(doubt, bad, value).wrong <= allowed]
    return fits[-1] if fits else 0.0


def roc_area(doubt: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    """Compute the chance that a bad drawing has the larger doubt than another one."""
    first, second = doubt[bad][:, None], doubt[~bad][None]
    return float((first > second).mean() + (first == second).mean() / 2)


def _triplets(source: Path, count: int | None, backgrounds: Path | None) -> Iterator[tuple[str, Callable[[], Triplet]]]:
    """Yield names, and what reads or returns the triplet of each."""
    if count is None:
        for files in list_triplets(source):
            yield files.name, lambda files=files: read_triplet(files)
        return
    for first in range(0, count, SEEDS):
        scenes = generate_triplets(source, [first // SEEDS, 77], backgrounds=backgrounds)
        middle = (scene for scene in scenes if scene.t == 0.5)
        for number, scene in zip(range(first, min(first + SEEDS, count)), middle, strict=False):
            yield f"scene_{number:03d}", lambda scene=scene: scene


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(r["model"], r["triplet"], *(float(r[f]) for f in Row._fields[2:])) for r in csv.DictReader(file)]


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([Row._fields, *rows])


if __name__ == "__main__":
    main()
