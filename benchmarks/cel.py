"""What a new frame of `cel` costs, stage by stage: GFLOP and CPU seconds, beside a frame by
`classical`; random weights.

python benchmarks/cel.py A.png B.png [--repeats 3] [--bf16]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from animeinterp import load_interpolator
from animeinterp.frame import to_planes
from animeinterp.net.cel import Cel
from animeinterp.picture import read_picture


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; its rows, what, figure and against what, are for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("frames", type=Path, nargs=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args(given)

    classical = load_interpolator("classical", "cpu")
    frames = [read_picture(path, classical.options.max_pixels).pixels for path in arguments.frames]
    analyses = [classical.analyze(frame) for frame in frames]
    motion = classical.motion(*analyses)
    planes = [torch.from_numpy(to_planes(frame))[None] for frame in frames]
    flows = [torch.from_numpy(flow)[None] for flow in (motion.flow01, motion.flow10)]
    trust = [torch.from_numpy(share)[None, None] for share in (motion.importance0, motion.importance1)]
    network, t = Cel().eval(), torch.tensor([0.5])

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
        levels = [network.encode(frame) for frame in planes]
        found = network.flow(*planes, *levels, *flows, *trust)
        rows: dict[str, Callable[[], object]] = {
            "analyze, per frame": lambda: classical.analyze(frames[0]),
            "match and fuse, per pair": lambda: classical.motion(*analyses),
            "encode, per frame": lambda: network.encode(planes[0]),
            "flow, per pair": lambda: network.flow(*planes, *levels, *flows, *trust),
            "synthesize, per new frame": lambda: network.synthesize(*planes, *levels, found, t),
            "classical, everything": lambda: classical(*frames, 0.5),
        }
        height, width = frames[0].shape[:2]
        setting = f"{width}x{height}, {torch.get_num_threads()} threads, {'bf16' if arguments.bf16 else 'fp32'}"
        print(setting)
        print("(the compiled correlation lookup is not in GFLOP)")
        costs: dict[str, tuple[float, float]] = {}
        for name, work in rows.items():
            with FlopCounterMode(display=False) as counted:
                work()
            seconds = min(cpu_seconds(work) for _ in range(arguments.repeats))
            costs[name] = counted.get_total_flops() / 1e9, seconds
            print(f"{name:28} {costs[name][0]:7.1f} GFLOP {seconds:7.2f} CPU s")
    alternative = costs.pop("classical, everything")[1]
    costs["all"] = sum(gflop for gflop, _ in costs.values()), sum(seconds for _, seconds in costs.values())
    return [
        (
            f"`cel`, {name}" if name != "all" else f"`cel`, all: {setting}",
            f"{seconds:.2f} CPU s, {gflop:.1f} GFLOP",
            f"{seconds / alternative:.2f} of a frame by `classical`, {alternative:.2f} CPU s",
        )
        for name, (gflop, seconds) in costs.items()
    ]


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, all threads together."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
