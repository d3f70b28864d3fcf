"""Measure CPU seconds of a new frame in a film, as ratios to RIFE 4.6: one thread, all models in turn for each pair.

python benchmarks/cost.py DATASET [--pairs 8] [--models cel cel-fast classical] [--repeats 2]

A new frame in a film costs the analysis of one frame, the motion of one pair and one rendering; RIFE's network costs
one pass and one blend. Pairs are spread evenly over the data set and measured at their size and doubled. The table
gives medians over pairs of the least of the repeats. RIFE's network, that of `cel`, runs in float32 as it is
published; the models run as they do by default, with bf16 where the processor has it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # read once, when torch is imported

import cv2
import numpy as np
import torch

from animeinterp import load_interpolator
from animeinterp.data.atd12k import list_triplets, read_triplet
from animeinterp.frame import RGBImage, to_planes
from animeinterp.net.cel.model import Cel
from animeinterp.net.ops.geometry import pad_to_multiple
from animeinterp.net.ops.intermediate_flow import MULTIPLE, IntermediateFlow, draw_by_flow
from animeinterp.weights.loading import load_weights
from animeinterp.weights.locations import weight_files

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

RIFE = "RIFE 4.6"


class Steps(NamedTuple):
    """CPU seconds of a new frame."""

    analyze: float
    motion: float
    render: float

    @property
    def total(self) -> float:
        """The sum."""
        return sum(self)


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; return its rows (subject, figure, comparison) for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=["cel", "cel-fast", "classical"])
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    models = {name: load_interpolator(name, "cpu") for name in args.models}
    flow = _load_rife()
    files = list_triplets(args.dataset)
    triplets = [read_triplet(each) for each in files[:: max(1, len(files) // args.pairs)][: args.pairs]]
    rows = []
    for scale in (1, 2):
        costs: dict[str, list[Steps]] = {name: [] for name in (RIFE, *models)}
        for triplet in triplets:
            pair = _enlarged(triplet.frame0, scale), _enlarged(triplet.frame1, scale)
            for name, model in models.items():
                costs[name].append(_least(lambda m=model, p=pair: _cost(m, p), args.repeats))
            costs[RIFE].append(_least(lambda p=pair: _cost_of_rife(flow, p), args.repeats))
        height, width = pair[0].shape[:2]
        base = statistics.median(steps.total for steps in costs[RIFE])
        for name, all_steps in costs.items():
            rows.append(_row(f"`{name}`, {width}x{height}", all_steps, base))
            print("{:28} {:64} {}".format(*rows[-1]), flush=True)
    return rows


def _row(subject: str, costs: Sequence[Steps], base: float) -> tuple[str, str, str]:
    total = statistics.median(steps.total for steps in costs)
    parts = [
        f"{name} {statistics.median(values):.2f}"
        for name, values in zip(Steps._fields, zip(*costs, strict=True), strict=True)
    ]
    return subject, f"{total:.2f} CPU s ({', '.join(parts)})", f"{total / base:.2f} of RIFE's {base:.2f} CPU s"


def _least(measure: Callable[[], Steps], repeats: int) -> Steps:
    return min((measure() for _ in range(repeats)), key=lambda steps: steps.total)


def _cost(model: Interpolator, pair: tuple[RGBImage, RGBImage]) -> Steps:
    first = model.analyze(pair[0])
    begin = time.process_time()
    second = model.analyze(pair[1])
    analyzed = time.process_time()
    motion = model.motion(first, second)
    moved = time.process_time()
    model.render(motion, 0.5)
    return Steps(analyzed - begin, moved - analyzed, time.process_time() - moved)


def _cost_of_rife(network: IntermediateFlow, pair: tuple[RGBImage, RGBImage]) -> Steps:
    begin = time.process_time()
    with torch.inference_mode():
        frame0, frame1 = (pad_to_multiple(torch.from_numpy(to_planes(frame))[None], MULTIPLE) for frame in pair)
        drawn = draw_by_flow(frame0, frame1, network(frame0, frame1, torch.full((1, 1, 1, 1), 0.5)))
        (drawn * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return Steps(0.0, 0.0, time.process_time() - begin)


def _load_rife() -> IntermediateFlow:
    network = Cel().eval().requires_grad_(False)
    for path in weight_files("cel", None).values():
        load_weights(network, path, "cel")
    return network.intermediate


def _enlarged(image: RGBImage, scale: int) -> RGBImage:
    if scale == 1:
        return image
    enlarged = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.uint8)


if __name__ == "__main__":
    main()
