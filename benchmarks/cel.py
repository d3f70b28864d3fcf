"""Measure the cost of each step of `cel` and `cel-fast` in CPU seconds and GFLOP, compared with `classical`.

python benchmarks/cel.py A.png B.png [--repeats 3] [--bf16]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode

from animeinterp import Options, load_interpolator
from animeinterp.frame import Frame
from animeinterp.io.images import read_image

MODELS = ("classical", "cel", "cel-fast")


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table and return its rows (subject, figure, comparison), for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("frames", type=Path, nargs=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args(given)
    options = Options(precision="bf16" if arguments.bf16 else "fp32")
    frames = [read_image(path, options.max_pixels).pixels for path in arguments.frames]

    costs = {model: _costs(model, options, frames, arguments.repeats) for model in MODELS}
    height, width = frames[0].shape[:2]
    print(f"{width}x{height}, {options.precision}")
    rows = []
    for model, steps in costs.items():
        for step, (seconds, gflop) in steps.items():
            alternative = costs["classical"][step][0]
            subject, figure = f"`{model}`, {step}", f"{seconds:.2f} CPU s, {gflop:.1f} GFLOP"
            comparison = f"{seconds / alternative:.2f} of `classical`'s {alternative:.2f} CPU s"
            rows.append((subject, figure, comparison))
            print(f"{subject:40} {figure:26} {comparison}")
    return rows


def _costs(model: str, options: Options, frames: list[Frame], repeats: int) -> dict[str, tuple[float, float]]:
    """Measure CPU seconds and GFLOP of each step, and their sum: the cost of a new frame in a film."""
    interpolator = load_interpolator(model, "cpu", options=options)
    analyses = [interpolator.analyze(frame) for frame in frames]
    motion = interpolator.motion(*analyses)
    steps: dict[str, Callable[[], object]] = {
        "analyze, per frame": lambda: interpolator.analyze(frames[0]),
        "motion, per pair": lambda: interpolator.motion(*analyses),
        "render, per new frame": lambda: interpolator.render(motion, 0.5),
    }
    costs = {}
    for name, function in steps.items():
        with FlopCounterMode(display=False) as counter:
            function()
        costs[name] = min(cpu_seconds(function) for _ in range(repeats)), counter.get_total_flops() / 1e9
    costs["all"] = sum(seconds for seconds, _ in costs.values()), sum(gflop for _, gflop in costs.values())
    return costs


def cpu_seconds(function: Callable[[], object]) -> float:
    """Measure the CPU time of one call, all threads together."""
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    main()
