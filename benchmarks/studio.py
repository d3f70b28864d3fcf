"""Measure the cost of `studio`'s heavy network by part: GFLOP (2 per multiplication and addition) and CPU seconds.

python benchmarks/studio.py A.png B.png [--weights FILE] [--repeats 1] [--threads N]

The first new frame of a pair in a film costs one encoding (the other one is cached), the flow and one synthesis; each
further t costs one synthesis. The table compares bf16 with fp32, and the difference of their frames in levels of 255.
Without weights (`animeinterp weights get studio`) the times are the same, but the difference is meaningless.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from animeinterp import Options
from animeinterp.io.images import read_image
from animeinterp.net.studio.model import Studio
from animeinterp.weights.studio import studio_weights

# PyTorch's counter does not know the attention kernel of the CPU.
_UNCOUNTED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def main(arguments: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; return its rows (part, cost, comparison) for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("frames", type=Path, nargs=2)
    parser.add_argument("--weights", type=Path, default=studio_weights())
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    network = _network(args.weights)
    frame0, frame1 = (_read(path) for path in args.frames)
    with torch.inference_mode():
        fp32, fp32_frames = _costs(network, frame0, frame1, args.repeats)
        with torch.autocast("cpu", torch.bfloat16):
            bf16, bf16_frames = _costs(network, frame0, frame1, args.repeats)
    height, width = frame0.shape[-2:]
    print(f"{width}x{height}, {args.threads} thread(s)")
    rows = []
    for part, (seconds, gflop) in fp32.items():
        rows.append((part, f"{gflop:.1f} GFLOP, {seconds:.2f} CPU s", f"{bf16[part][0]:.2f} CPU s in bf16"))
        print(f"{rows[-1][0]:34} {rows[-1][1]:30} {rows[-1][2]}")
    for name, one, other in zip(("frame", "RIFE's frame"), fp32_frames, bf16_frames, strict=True):
        print(f"{name}: bf16 differs from fp32 by {255 * float((one - other).abs().mean()):.3f} levels in the mean")
    return rows


def _network(weights: Path) -> Studio:
    network = Studio().eval().requires_grad_(False)
    if weights.is_file():
        from safetensors.torch import load_file

        network.load_state_dict(load_file(weights))
    else:
        print(f"{weights} is not found: random weights")
    return network


def _read(path: Path) -> Tensor:
    pixels = torch.from_numpy(read_image(path, Options().max_pixels).pixels)[..., :3]
    frame = pixels.permute(2, 0, 1)[None].float()
    return frame / torch.iinfo(pixels.dtype).max


def _costs(
    network: Studio, frame0: Tensor, frame1: Tensor, repeats: int
) -> tuple[dict[str, tuple[float, float]], list[Tensor]]:
    """Measure CPU seconds and GFLOP of each part; draw the frames at t = 0.5 of the network and of RIFE alone."""
    encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
    flows = network.flow(encoding0, encoding1)
    parts: dict[str, Callable[[], Any]] = {
        "encode, per frame": lambda: network.encode(frame0),
        "flow, per pair": lambda: network.flow(encoding0, encoding1),
        "synthesize, per t": lambda: network.synthesize(encoding0, encoding1, flows, 0.5),
        "of it RIFE at half size": lambda: network.ifnet(encoding0.half, encoding1.half, torch.full((1, 1, 1, 1), 0.5)),
        "RIFE at full size, per t": lambda: network.intermediate(encoding0, encoding1, 0.5),
    }
    costs = {name: _cost(work, repeats) for name, work in parts.items()}
    first = [costs[name] for name in ("encode, per frame", "flow, per pair", "synthesize, per t")]
    costs["first frame of a pair in a film"] = sum(cost[0] for cost in first), sum(cost[1] for cost in first)
    costs["each further t"] = costs["synthesize, per t"]
    return costs, [network.synthesize(encoding0, encoding1, flows, 0.5), parts["RIFE at full size, per t"]()]


def _cost(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    with FlopCounterMode(display=False, custom_mapping={_UNCOUNTED: _attention_flop}) as counter:
        work()
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return min(seconds), counter.get_total_flops() / 1e9


def _attention_flop(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Count the operations of attention; shapes are (N, windows, tokens, channels)."""
    samples, windows, tokens, channels = query
    return 2 * samples * windows * tokens * key[2] * (channels + value[3])


if __name__ == "__main__":
    main()
