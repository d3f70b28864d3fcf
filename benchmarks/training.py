"""Measure the speed of making samples and of training on them, in samples per second.

    python benchmarks/training.py [--assets FOLDER] [--size 256] [--batch 8] [--device cpu] [--seconds 20]

The scenes must be made faster than the network trains on them.
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
from animeinterp.training.train import compute_losses, run_network


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table and return its rows (subject, figure, comparison), for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--assets", type=Path, help="default: generated shapes only")
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

    def train() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            output = run_network(network, samples)
        loss, _ = compute_losses(weights, output, samples)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    functions = {
        "scenes": lambda: source.samples(batch, 0, batch * next(numbers)),
        "network, bf16": train,
    }
    print(
        f"{device}, {torch.get_num_threads()} threads, {batch} samples of {arguments.size}x{arguments.size} at a time"
    )
    rates = {}
    for name, function in functions.items():
        rates[name] = batch * rate(function, arguments.seconds, device)
        print(f"{name:32} {rates[name]:8.1f} samples/s")
    return [
        (
            name,
            f"{speed:.1f} samples/s",
            "1" if name == "scenes" else f"scenes come {rates['scenes'] / speed:.1f} times as fast",
        )
        for name, speed in rates.items()
    ]


def rate(function: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Measure calls per second, after two calls to warm up."""
    for _ in range(2):
        function()
    synchronize(device)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        function()
        calls += 1
        synchronize(device)
    return calls / (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
