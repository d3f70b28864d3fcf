"""How fast samples are made and how fast the network learns from them: samples per second, one beside the other.

    python benchmarks/training.py [--assets FOLDER] [--size 256] [--batch 8] [--device cpu] [--seconds 20]

The scenes must not be what training waits for.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from animeinterp.data.synthetic.dataset import SceneSource
from animeinterp.net.cel.model import Cel
from animeinterp.training.config import LossConfig
from animeinterp.training.train import compute_losses


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; its rows, what, figure and against what, are for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--assets", type=Path, help="default: shapes alone")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args(given)
    device, batch = torch.device(arguments.device), arguments.batch

    source = SceneSource(arguments.assets, arguments.size, device)
    samples = source.samples(batch, 0)
    network = Cel().to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    weights = LossConfig()
    numbers = itertools.count(1)

    def learn(flow_only: bool) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            output = network(samples.frame0, samples.frame1, *samples[4:8], None if flow_only else samples.t)
        step = -1 if flow_only else 0
        loss, _ = compute_losses(weights, output, samples, step)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    works = {
        "scenes": lambda: source.samples(batch, 0, batch * next(numbers)),
        "network, flow alone, bf16": lambda: learn(True),
        "network, flow and frames, bf16": lambda: learn(False),
    }
    print(
        f"{device}, {torch.get_num_threads()} threads, {batch} samples of {arguments.size}x{arguments.size} at a time"
    )
    rates = {}
    for name, work in works.items():
        rates[name] = batch * rate(work, arguments.seconds, device)
        print(f"{name:32} {rates[name]:8.1f} samples/s")
    return [
        (
            name,
            f"{found:.1f} samples/s",
            "1" if name == "scenes" else f"scenes come {rates['scenes'] / found:.1f} times as fast",
        )
        for name, found in rates.items()
    ]


def rate(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Calls per second, after two to warm up."""
    for _ in range(2):
        work()
    wait(device)
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        calls += 1
        wait(device)
    return calls / (time.perf_counter() - begin)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
