"""Measure the CPU time of a frame's label map, by stage and against a plain restatement, and compare line styles.

    python benchmarks/label_map.py [DATASET] [--every N] [--plain N] [--styles]

DATASET is a folder of triplets in the layout of ATD-12K: NAME/frame1.*, frame2.*, frame3.*. All runs use one thread.
--plain N also runs the plain restatement (up to a minute a frame) on N frames and checks that the labels are equal.
--styles compares the line styles with noise added to the frames: the number of segments, and their recurrence. Of the
area of segments below 12 % of the frame, recurrence is the fraction that match between frame 1 and frame 3.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from animeinterp.config import JAPANESE, WESTERN
from animeinterp.sgm.contours import choose_style, compute_line_map
from animeinterp.sgm.merging import merge_small_segments
from animeinterp.sgm.segments import segment
from animeinterp.sgm.thinning import relabel_by_area, thin_lines
from animeinterp.sgm.trapped_ball import fill_trapped_ball
from support import plain_segmentation as plain

STAGES = ("contours", "trapped ball", "merging", "thinning, labels")
REPEATS = 3


def load(path):
    """Read an image as uint8 (H, W, 3) RGB."""
    return np.asarray(Image.open(path).convert("RGB"))


def frame_path(triplet, number):
    """Find frame 1, 2 or 3 of a triplet."""
    return next(triplet.glob(f"frame{number}.*"))


def timed_label_map(frame, style):
    """Compute the label map and the CPU seconds of each stage."""
    clock = [time.process_time()]
    fillable = compute_line_map(frame, style)
    clock.append(time.process_time())
    fills = fill_trapped_ball(fillable)
    clock.append(time.process_time())
    merged = merge_small_segments(fills, frame)
    clock.append(time.process_time())
    labels = relabel_by_area(thin_lines(merged))
    clock.append(time.process_time())
    return labels, np.diff(clock)


def timed_plain_label_map(frame, style):
    """Do the same by the plain restatement."""
    clock = [time.process_time()]
    fillable = plain.line_map(frame, style.bilateral, style.low, style.high)
    clock.append(time.process_time())
    fills = plain.trapped_ball_fill(fillable)
    clock.append(time.process_time())
    merged = plain.merge_small_segments(fills, frame)
    clock.append(time.process_time())
    labels = plain.relabel_by_area(plain.thin_lines(merged))
    clock.append(time.process_time())
    return labels, np.diff(clock)


def best(frame, style):
    """Compute the label map and, in the fastest of several runs, the CPU milliseconds of each stage."""
    runs = [timed_label_map(frame, style) for _ in range(REPEATS)]
    return runs[0][0], 1e3 * min((seconds for _, seconds in runs), key=sum)


def print_times(frames):
    """Print and return the CPU milliseconds by style: (frames, stages)."""
    by_style = {}
    for name, style in (("japanese", JAPANESE), ("western", WESTERN)):
        results = [best(frame, style) for frame in frames]
        times = by_style[name] = np.array([milliseconds for _, milliseconds in results])
        segments = [labels.max() + 1 for labels, _ in results]
        low, middle, high = np.min(segments), np.median(segments), np.max(segments)
        print(f"\n{name}: {len(frames)} frames, {low} to {high} segments, median {middle:.0f}; CPU ms, one thread")
        print(f"{'':18}{'median':>8}{'min':>8}{'max':>8}")
        for stage, column in zip((*STAGES, "label map"), (*times.T, times.sum(axis=1)), strict=True):
            print(f"{stage:18}{np.median(column):8.1f}{column.min():8.1f}{column.max():8.1f}")
    return by_style


def print_ratios(frames):
    """Print and return the plain restatement's time ratio, and whether the labels are equal: (frames, 2)."""
    ratios = []
    print("\nagainst the plain restatement, japanese")
    print(f"{'segments':>8}{'ms':>8}{'plain ms':>11}{'ratio':>7}  equal  by stage")
    for frame in frames:
        labels, fast = best(frame, JAPANESE)
        expected, slow = timed_plain_label_map(frame, JAPANESE)
        slow = slow * 1e3
        by_stage = ", ".join(f"{name} {b / a:.0f}x" for name, a, b in zip(STAGES, fast, slow, strict=True))
        equal = np.array_equal(labels, expected)
        print(
            f"{labels.max() + 1:8}{fast.sum():8.1f}{slow.sum():11.0f}{slow.sum() / fast.sum():7.0f}"
            f"  {equal!s:5}  {by_stage}",
            flush=True,
        )
        ratios.append((slow.sum() / fast.sum(), equal))
    return np.array(ratios)


def mean_colors(segments, frame):
    """Compute the mean color of each segment: (K, 3)."""
    labels = segments.labels.ravel()
    sums = [np.bincount(labels, frame[..., channel].ravel(), len(segments.area)) for channel in range(3)]
    return np.stack(sums, axis=1) / segments.area[:, None]


def recurrence(frame0, frame1, style):
    """Count the segments of frame 0, and compute the fraction of their area, without large ones, that recurs."""
    a, b = segment(frame0, style), segment(frame1, style)
    colors_a, colors_b = mean_colors(a, frame0), mean_colors(b, frame1)
    size = np.abs(np.log(a.area[:, None] / b.area[None]))
    color = cdist(colors_a, colors_b)
    cost = color / 10 + size + cdist(a.centroid.T, b.centroid.T) / 50
    partner = cost.argmin(axis=1)
    rows = np.arange(len(a.area))
    mutual = cost.argmin(axis=0)[partner] == rows
    recurs = mutual & (color[rows, partner] < 12) & (size[rows, partner] < np.log(1.5))
    counted = a.area < 0.12 * a.labels.size
    return len(a.area), a.area[recurs & counted].sum() / max(a.area[counted].sum(), 1)


def print_styles(triplets):
    """Print segments and recurrence of both styles under noise."""
    print(f"\nstyles under noise: segments, recurrence; {len(triplets)} triplets")
    print(f"{'noise':>6}{'japanese':>17}{'western':>17}{'western better/worse':>22}{'chosen western':>16}")
    for deviation in (0, 1.5, 3, 5, 8):
        rows, chosen = [], 0
        for seed, triplet in enumerate(triplets):
            random = np.random.default_rng(seed)
            pair = []
            for number in (1, 3):
                frame = load(frame_path(triplet, number))
                noisy = frame + random.normal(0, deviation, frame.shape)
                pair.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
            chosen += choose_style(pair[0]) is WESTERN
            rows.append([*recurrence(*pair, "japanese"), *recurrence(*pair, "western")])
        table = np.array(rows)
        gain = table[:, 3] - table[:, 1]
        mean = table.mean(axis=0)
        print(
            f"{deviation:6.1f}{mean[0]:9.0f}{mean[1]:8.3f}{mean[2]:9.0f}{mean[3]:8.3f}"
            f"{(gain > 0.02).sum():16}/{(gain < -0.02).sum():<5}{chosen:16}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the tables; return rows (subject, result, comparison) for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[2] / "shared" / "bench" / "dev"
    parser.add_argument("dataset", nargs="?", type=Path, default=default)
    parser.add_argument("--every", type=int, default=1, help="take every N-th triplet")
    parser.add_argument("--plain", type=int, default=0, help="frames to compare with the plain restatement")
    parser.add_argument("--styles", action="store_true", help="compare the line styles")
    args = parser.parse_args(arguments)
    triplets = sorted(path for path in args.dataset.iterdir() if path.is_dir())[:: args.every]
    cv2.setNumThreads(1)
    frames = [load(frame_path(triplet, 1)) for triplet in triplets]
    segment(frames[0])  # compiles
    times = print_times(frames)
    ratios = print_ratios(frames[:: max(1, len(frames) // args.plain)][: args.plain]) if args.plain else None
    if args.styles:
        print_styles(triplets)
    return rows(times, ratios)


def rows(times, ratios):
    """Format the results as rows (subject, result, comparison)."""
    whole = {style: stages.sum(axis=1) for style, stages in times.items()}
    ratio = f"{np.median(whole['western']) / np.median(whole['japanese']):.1f}"
    comparison = {"japanese": f"Western style takes {ratio} times that", "western": f"{ratio} times Japanese style"}
    if ratios is not None:
        equal = "equal" if ratios[:, 1].all() else "other"
        spread = f"{ratios[:, 0].min():.0f}-{ratios[:, 0].max():.0f} times that"
        comparison["japanese"] = f"plain restatement takes {spread} on {len(ratios)} frames; {equal} labels"
    table = []
    for style, all_stages in whole.items():
        medians = np.median(times[style], axis=0)
        parts, percentages = (" / ".join(f"{n:.0f}" for n in some) for some in (medians, 100 * medians / medians.sum()))
        low, middle, high = all_stages.min(), np.median(all_stages), all_stages.max()
        result = f"median {middle:.0f} CPU ms ({low:.0f}-{high:.0f}), {len(all_stages)} frames"
        table.append((f"label map, {style.capitalize()} style", result, comparison[style]))
        table.append((f"– {' / '.join(STAGES)}", f"{parts} CPU ms", f"{percentages} % of it"))
    return table


if __name__ == "__main__":
    main()
