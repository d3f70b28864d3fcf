"""The paper's network against the published code's order of computation, with the same weights.

    python benchmarks/paper_network.py [--size 960x540] [--repeats 1] [--threads N] [--skip-reference]

Each variant runs in a process of its own: CPU seconds (all threads), wall seconds, peak resident memory, and
the largest difference of the drawn frame. The alternative is restated here plainly: every frame encoded three
times, directions one after the other, the whole correlation volume, upsampling in every iteration, `put_`
splatting with an index per channel, torch's default memory layout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from memory import peak_bytes
from torch import Tensor, nn

from animeinterp.config import PAPER
from animeinterp.net.ops.geometry import pixel_grid, resize, scale_flow, upsample_convex
from animeinterp.net.paper.gridnet import GridNet
from animeinterp.net.paper.model import AnimeInterp
from animeinterp.net.paper.rfr import RFR

NAMES = {"reference": "published order of computation", "fp32": "fp32", "bf16": "bf16"}
VARIANTS = tuple(NAMES)


def seeded_model() -> AnimeInterp:
    """Random weights scaled so that activations and flows stay of natural size."""
    torch.manual_seed(0)
    model = AnimeInterp(PAPER.network).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            gain = 0.8 if name.startswith("flownet") else 1.2
            parameter.normal_(0, gain / parameter[0].numel() ** 0.5)
    return model


def scene(width: int, height: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two smooth frames, the second a shift of the first, and coarse flows near that shift."""
    generator = torch.Generator().manual_seed(1)
    big = torch.rand(1, 3, height // 8 + 9, width // 8 + 9, generator=generator)
    big = F.interpolate(big, scale_factor=8, mode="bilinear", align_corners=False)
    frame0, frame1 = big[..., 16 : 16 + height, 16 : 16 + width], big[..., 13 : 13 + height, 8 : 8 + width]
    flow = torch.tensor([8.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, height, width)
    noise = F.interpolate(torch.randn(1, 2, 9, 16, generator=generator), (height, width), mode="bilinear")
    return frame0.contiguous(), frame1.contiguous(), flow + noise, -flow + noise


# --- the published code's order of computation --------------------------------------------------------------


def reference_forward(
    model: AnimeInterp, frame0: Tensor, frame1: Tensor, coarse01: Tensor, coarse10: Tensor, t: float
) -> Tensor:
    signed0, signed1 = (frame0 - 0.5) / 0.5, (frame1 - 0.5) / 0.5
    pyramid0, pyramid1 = (reference_pyramid(model.feat_ext, frame) for frame in (signed0, signed1))
    flow01 = reference_flow(model.flownet, signed0, signed1, coarse01)
    flow10 = reference_flow(model.flownet, signed1, signed0, coarse10)
    levels = []
    for level0, level1 in zip((frame0, *pyramid0), (frame1, *pyramid1), strict=True):
        warped = []
        for level, flow in ((level0, t * flow01), (level1, (1 - t) * flow10)):
            summed, ones = reference_splat(level, scale_flow(flow, tuple(level.shape[-2:])))
            covered = ones > 0
            summed[covered] = summed.clone()[covered] / ones[covered]
            warped.append(summed)
        levels.append(torch.cat(warped, 1))
    return reference_gridnet(model.synnet, *levels)


def reference_pyramid(module: nn.Module, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    found = []
    for i in range(1, 7):
        conv, prelu = getattr(module, f"conv{i}"), getattr(module, f"prelu{i}")
        frame = F.prelu(conv(frame), prelu.weight)
        found.append(frame)
    return found[1], found[3], found[5]


def reference_flow(rfr: RFR, frame0: Tensor, frame1: Tensor, coarse: Tensor) -> Tensor:
    height, width = (size // 8 * 8 for size in frame0.shape[-2:])
    start = scale_flow(coarse, (height // 8, width // 8))
    small0, small1 = (resize(frame, (height // 8, width // 8)) for frame in (frame0, frame1))
    rfr.gate(small0, small1, start)
    frame0, frame1 = resize(frame0, (height, width)), resize(frame1, (height, width))
    features0, features1 = rfr.fnet(torch.cat([frame0, frame1])).chunk(2)
    volume = reference_volume(features0, features1, rfr.config.correlation_levels)
    hidden, context = rfr.fnet(frame0).chunk(2, 1)
    hidden, context = hidden.tanh(), context.relu()
    grid = pixel_grid(start)
    position = grid + start + start
    block = rfr.update_block
    for _ in range(rfr.config.iterations):
        found = reference_lookup(volume, position, rfr.config.correlation_radius)
        given = torch.cat([context, block.encoder(position - grid, found)], 1)
        for i in ("1", "2"):
            both = torch.cat([hidden, given], 1)
            update = torch.sigmoid(getattr(block.gru, "convz" + i)(both))
            reset = torch.sigmoid(getattr(block.gru, "convr" + i)(both))
            candidate = torch.tanh(getattr(block.gru, "convq" + i)(torch.cat([reset * hidden, given], 1)))
            hidden = (1 - update) * hidden + update * candidate
        position = position + block.flow_head(hidden)
        fine = upsample_convex(position - grid, 0.25 * block.mask(hidden))
    return scale_flow(fine, tuple(coarse.shape[-2:]), "bilinear")


def reference_volume(features0: Tensor, features1: Tensor, levels: int) -> list[Tensor]:
    n, channels, height, width = features0.shape
    products = features0.flatten(2).transpose(1, 2) @ features1.flatten(2) / channels**0.5
    volume = [products.view(n * height * width, 1, height, width)]
    for _ in range(levels - 1):
        volume.append(F.avg_pool2d(volume[-1], 2))
    return volume


def reference_lookup(volume: list[Tensor], position: Tensor, radius: int) -> Tensor:
    n, _, height, width = position.shape
    steps = torch.arange(-radius, radius + 1.0)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
    found = []
    for i, level in enumerate(volume):
        at = position.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2) / 2**i + window
        extent = torch.tensor([level.shape[-1] - 1.0, level.shape[-2] - 1.0])
        found.append(F.grid_sample(level, 2 * at / extent - 1, align_corners=True).view(n, height, width, -1))
    return torch.cat(found, -1).permute(0, 3, 1, 2).contiguous()


def reference_splat(source: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Scatter by `put_`, with offsets, weights and indices repeated for every channel."""
    n, channels, height, width = source.shape
    dx, dy = (flow[:, i : i + 1].repeat(1, channels, 1, 1) for i in (0, 1))
    left, top = dx.floor(), dy.floor()
    base_x = torch.arange(width).view(1, 1, 1, -1).repeat(n, channels, height, 1).view(-1)
    base_y = torch.arange(height).view(1, 1, -1, 1).repeat(n, channels, 1, width).view(-1)
    plane = torch.arange(n * channels).view(n, channels, 1, 1).repeat(1, 1, height, width).view(-1)
    warped, ones = torch.zeros_like(source), torch.zeros_like(source)
    for across in (0, 1):
        for down in (0, 1):
            weight = ((1 - (dx - left - across).abs()) * (1 - (dy - top - down).abs())).view(-1)
            x, y = (left + across).view(-1).long() + base_x, (top + down).view(-1).long() + base_y
            inside = x.ge(0) & x.lt(width) & y.ge(0) & y.lt(height)
            index = torch.masked_select((plane * height + y) * width + x, inside)
            part, share = torch.zeros(source.numel()), torch.zeros(source.numel())
            part.put_(index, torch.masked_select(source.reshape(-1) * weight, inside), accumulate=True)
            share.put_(index, torch.masked_select(weight, inside), accumulate=True)
            warped, ones = warped + part.view_as(source), ones + share.view_as(source)
    return warped, ones


def reference_gridnet(net: GridNet, frames: Tensor, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
    def block(name: str, x: Tensor) -> Tensor:
        for module in getattr(net, name):
            x = F.prelu(x, module.weight) if isinstance(module, nn.PReLU) else module(x)
        return x

    def residual(name: str, x: Tensor) -> Tensor:
        return block("residual_model_" + name, x) + x

    x00 = block("residual_model_head", frames) + block("residual_model_head1", full)
    x01 = residual("01", x00)
    x10 = block("downsample_model_10", x00) + block("residual_model_head2", half)
    x20 = block("downsample_model_20", x10) + block("residual_model_head3", quarter)
    x11 = residual("11", x10) + block("downsample_model_11", x01)
    x21 = residual("21", x20) + block("downsample_model_21", x11)
    x24 = residual("24", x21)
    x25 = residual("25", x24)
    x14 = block("upsample_model_14", x24) + residual("14", x11)
    x04 = block("upsample_model_04", x14) + residual("04", x01)
    x15 = block("upsample_model_15", x25) + residual("15", x14)
    x05 = block("upsample_model_05", x15) + residual("05", x04)
    return block("residual_model_tail", x05)


# --- measuring ----------------------------------------------------------------------------------------------


def run(variant: str, width: int, height: int, repeats: int, output: Path) -> dict[str, float]:
    model, inputs = seeded_model(), scene(width, height)
    if variant == "reference":
        cpu, wall, drawn = timed(lambda: reference_forward(model, *inputs, 0.5), repeats)
    else:
        model.to(memory_format=torch.channels_last)
        timed(lambda: model(*(x[..., :64, :64] for x in inputs), 0.5), 1)  # compile the kernels
        with torch.autocast("cpu", torch.bfloat16, enabled=variant == "bf16"):
            cpu, wall, drawn = timed(lambda: model(*inputs, 0.5), repeats)
    np.save(output, drawn.float().numpy())
    peak = peak_bytes() / 2**20
    return {"cpu": cpu, "wall": wall, "peak_mb": peak}


def timed(work, repeats: int) -> tuple[float, float, Tensor]:  # type: ignore[no-untyped-def]
    cpu = wall = float("inf")
    for _ in range(repeats):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        with torch.inference_mode():
            drawn = work()
        cpu = min(cpu, time.process_time() - cpu_start)
        wall = min(wall, time.perf_counter() - wall_start)
    return cpu, wall, drawn


def main(given: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Print the table; its rows, what, figure and against what, are for benchmarks/tables.py."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--skip-reference", action="store_true")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(given)
    given = sys.argv[1:] if given is None else given
    width, height = (int(side) for side in args.size.split("x"))
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.variant:
        print(json.dumps(run(args.variant, width, height, args.repeats, args.output)))
        return []

    results, frames = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS[args.skip_reference :]:
            output = Path(folder, variant + ".npy")
            command = [sys.executable, __file__, *given, "--variant", variant, "--output", str(output)]
            done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
            results[variant] = json.loads(done.stdout.splitlines()[-1])
            frames[variant] = np.load(output)
    first = next(iter(results))
    scale = np.abs(frames[first]).max()
    print(f"one frame, {args.size}, {torch.get_num_threads()} threads; differences / {scale:.2f}, its scale")
    print(f"{'variant':<10} {'CPU s':>7} {'ratio':>6} {'wall s':>7} {'peak MB':>8} {'max':>9} {'mean':>9}")
    rows = []
    for variant, r in results.items():
        difference = np.abs(frames[variant] - frames[first]) / scale
        print(
            f"{variant:<10} {r['cpu']:7.2f} {results[first]['cpu'] / r['cpu']:6.2f} {r['wall']:7.2f} "
            f"{r['peak_mb']:8.0f} {difference.max():9.1e} {difference.mean():9.1e}"
        )
        figure = f"{r['cpu']:.1f} CPU s, {r['peak_mb'] / 1024:.1f} GB peak"
        cpu, memory = (results[first][key] / r[key] for key in ("cpu", "peak_mb"))
        against = f"{NAMES[first]} takes {cpu:.2f} times the time, {memory:.2f} times the memory"
        rows.append((f"`paper`, {NAMES[variant]}", figure, against if rows else "1"))
    return rows


if __name__ == "__main__":
    main()
