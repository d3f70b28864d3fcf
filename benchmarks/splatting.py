"""Forward warping against the published code's scatter (`put_` with an index per channel), same values.

python benchmarks/splatting.py [--size 960x540] [--channels 64] [--repeats 5] [--threads N]

CPU seconds of all threads, the least over the repeats; the reference runs once. Average mode, as the paper's
network uses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from paper_network import reference_splat
from torch import Tensor

from animeinterp.net.ops.splatting import splat, splat_sum_plain


def reference_average(source: Tensor, flow: Tensor) -> Tensor:
    warped, ones = reference_splat(source, flow)
    covered = ones > 0
    warped[covered] = warped.clone()[covered] / ones[covered]
    return warped


def plain_average(source: Tensor, flow: Tensor) -> Tensor:
    warped = splat_sum_plain(torch.cat([source, torch.ones_like(source[:, :1])], 1), flow)
    return warped[:, :-1] / torch.where(warped[:, -1:] > 0, warped[:, -1:], 1)


def forward_and_backward(source: Tensor, flow: Tensor) -> Tensor:
    source, flow = source.clone().requires_grad_(), flow.clone().requires_grad_()
    with torch.enable_grad():
        splat(source, flow).warped.sum().backward()
    return splat(source, flow).warped


def least_cpu(work: Callable[[], Tensor], repeats: int) -> tuple[float, Tensor]:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; its rows, what, figure and against what, are for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args(given)
    width, height = (int(side) for side in args.size.split("x"))
    if args.threads:
        torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(1, args.channels, height, width, generator=generator)
    flow = 20 * F.interpolate(torch.randn(1, 2, 9, 16, generator=generator), (height, width), mode="bilinear")
    channels_last = source.contiguous(memory_format=torch.channels_last)
    variants: dict[str, tuple[Callable[[], Tensor], int]] = {
        "put_ (published order)": (lambda: reference_average(source, flow), 1),
        "index_add (plain)": (lambda: plain_average(source, flow), args.repeats),
        "compiled, planar": (lambda: splat(source, flow).warped, args.repeats),
        "compiled, channels last": (lambda: splat(channels_last, flow).warped, args.repeats),
        "softmax, channels last": (
            lambda: splat(channels_last, flow, flow[:, :1], "softmax").warped,
            args.repeats,
        ),
        "forward and backward": (lambda: forward_and_backward(channels_last, flow), args.repeats),
    }
    splat(source[..., :8, :8], flow[..., :8, :8])
    print(f"{args.channels} channels, {args.size}, {torch.get_num_threads()} threads")
    rows = []
    print(f"{'variant':<26} {'CPU s':>8} {'ratio':>7} {'max diff':>9}")
    first: tuple[float, Tensor] | None = None
    with torch.no_grad():
        for name, (work, repeats) in variants.items():
            cpu, result = least_cpu(work, repeats)
            first = first or (cpu, result)
            difference = f"{(result - first[1]).abs().max():.1e}" if not name.startswith("softmax") else "-"
            print(f"{name:<26} {cpu:8.3f} {first[0] / cpu:7.1f} {difference:>9}")
            values = "" if difference == "-" else f"; values differ by {difference} at most"
            against = f"put_ takes {first[0] / cpu:.1f} times that{values}" if rows else "1"
            rows.append((name, f"{cpu:.3f} CPU s", against))
    return rows


if __name__ == "__main__":
    main()
