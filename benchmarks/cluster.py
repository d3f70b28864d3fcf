"""Measure how frames travel on a Ray cluster, and what that allows on paper: frames per second by number of machines.

    python benchmarks/cluster.py [--size 1920x1080] [--runs 5] [--drawing 3.6] [--cores 16] [--gigabits 1 10]

Two machines of one core are made on this one by Ray's own test cluster. Runs of five given and four new frames, as
films on ones are sent, go to a task that returns at once, by Ray and by a worker process. The model on paper takes the
slowest of: drawing (`--drawing` CPU s a new frame, by benchmarks/cost.py), the driver's stages that do not run in
parallel (`--reading`, by benchmarks/workers.py, and the transport measured here), and the driver's network.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from animeinterp.frame import Frame
from animeinterp.pairs import DrawnRun, Run
from animeinterp.runtime.process_pool import ProcessPool
from animeinterp.runtime.task_pool import TaskPool

GIVEN, NEW = 5, 4  # frames of a run of four pairs with one new frame each
MACHINES = (1, 2, 4, 8, 16, 32, 64, 100)


def no_state() -> None:
    return None


def return_frames(_: None, run: Run) -> DrawnRun:
    return DrawnRun([[frame] for frame in run.frames[:NEW]], 0)


def cpu_seconds(process: int) -> float:
    """CPU seconds of a process so far; NaN but on Linux."""
    if not hasattr(os, "sysconf") or not Path("/proc/self/stat").exists():
        return float("nan")
    user, system = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(pool: TaskPool[None], run: Run, count: int) -> tuple[float, float]:
    """Return wall and CPU seconds of this process for a new frame, one run at a time."""
    for _ in range(4):  # workers start
        list(pool.map(return_frames, [run] * 2))
    began, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        pool.call(return_frames, run)
    return (time.perf_counter() - began) / count / NEW, (time.process_time() - used) / count / NEW


def measure_ray(run: Run, count: int) -> tuple[float, float, float]:
    """Measure a cluster of two machines, both on this one; also the CPU seconds of Ray's own process on the first."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers
    from animeinterp.runtime.ray_pool import RayPool

    store = 500 << 20
    head = {"num_cpus": 0, "object_store_memory": store, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=store)
        raylet = cluster.head_node.all_processes["raylet"][0].process.pid
        with RayPool(RayCluster(RayWorkers(cluster.address)), no_state) as pool:
            measure(pool, run, 1)
            used = cpu_seconds(raylet)
            wall, cpu = measure(pool, run, count)
            return wall, cpu, (cpu_seconds(raylet) - used) / (count + 8) / NEW
    finally:
        cluster.shutdown()


def print_model(args: argparse.Namespace, transport: float, frame_bytes: int) -> None:
    """Print new frames per second by the number of machines."""
    sent = frame_bytes * (GIVEN + NEW) / NEW
    print(f"\na new frame moves {sent / 1e6:.1f} MB; the driver's own thread takes {transport:.3f} s of it")
    limits = {f"{rate:g} Gbit/s": rate * 1e9 / 8 / sent for rate in args.gigabits}
    print(f"the driver allows {1 / args.reading:.0f} frames/s (reading), {1 / transport:.0f} (transport), ", end="")
    print(", ".join(f"{limit:.0f} ({name})" for name, limit in limits.items()))
    print("\n| machines | cores | " + " | ".join(f"frames/s, {name}" for name in limits) + " |")
    print("| --- " * (2 + len(limits)) + "|")
    for machines in MACHINES:
        cores = machines * args.cores
        rates = [min(cores / args.drawing, 1 / args.reading, 1 / transport, limit) for limit in limits.values()]
        print(f"| {machines} | {cores} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--drawing", type=float, default=3.6)
    parser.add_argument("--reading", type=float, default=0.058)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--gigabits", type=float, nargs="+", default=[1, 10])
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    rng = np.random.default_rng(0)
    frames: list[Frame] = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(GIVEN)]
    run = Run(frames, [(k, k + 1, (0.5,)) for k in range(NEW)])
    with ProcessPool(no_state, 1) as pool:
        wall, cpu = measure(pool, run, args.runs)
    print(f"worker process: {1000 * wall:.0f} ms a new frame, of it {1000 * cpu:.0f} ms CPU of the driver")
    wall, cpu, raylet = measure_ray(run, args.runs)
    print(f"Ray:            {1000 * wall:.0f} ms a new frame, of it {1000 * cpu:.0f} ms CPU of the driver", end=" ")
    print(f"and {1000 * raylet:.0f} ms of Ray's process beside it")
    print_model(args, cpu, frames[0].nbytes)


if __name__ == "__main__":
    main()
