"""Forward warping (paper §4.3): every source pixel is added to the four pixels around the place it moves to.

A source pixel at p with flow f lands at p + f and is shared among the four neighbors by bilinear weights b.
With an importance Z per source pixel, three modes of Niklaus & Liu, "Softmax splatting", CVPR 2020 [6]:

    sum       warped = Σ b S
    average   warped = Σ b S / Σ b               (what the published AnimeInterp code does)
    softmax   warped = Σ b exp(Z) S / Σ b exp(Z)

Pixels that nothing lands on are holes: 0, and their density Σ b is 0. What lands outside the frame, or has a
flow that is not finite, contributes nothing. Memory is linear in the size of the source. On the CPU a
compiled kernel does the work, in an order that does not depend on the number of threads; elsewhere
`splat_sum_plain` does, and on CUDA `index_add` adds in no fixed order: two runs may differ in the last bits
(about 1e-6 of the value).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from animeinterp.errors import UsageError
from animeinterp.net.ops.parallel import over_rows
from animeinterp.runtime.jit import cached_njit

Mode = Literal["sum", "average", "softmax"]

# exp(-60) = 9e-27: far below any visible share, far above fp32's smallest number even times a bilinear
# weight.
IMPORTANCE_RANGE = 60.0


class Splat(NamedTuple):
    """What forward warping gives.

    warped: (N, C, H, W), in the source's dtype.
    weight: (N, 1, H, W) float; what the sum was divided by in modes `average` (= density) and `softmax`
        (Σ b exp(Z - max Z), the maximum taken per sample); the density in mode `sum`.
    density: (N, 1, H, W) float; Σ b, how many source pixels landed here: 0 is a hole, 1 the density of a
        still frame.
    """

    warped: Tensor
    weight: Tensor
    density: Tensor


def splat(source: Tensor, flow: Tensor, importance: Tensor | None = None, mode: Mode = "average") -> Splat:
    """Warp `source` forward by `flow`.

    source: (N, C, H, W) floating point. flow: (N, 2, H, W), x first, px.
    importance: (N, 1, H, W), Z of mode `softmax`, larger wins; the other modes take none. Differences of more
        than 60 below the largest of a sample count as 60, so that nothing underflows to a false hole.
        Differentiable in source, flow and importance. Raises UsageError where the arguments do not fit
        together.
    """
    _check(source, flow, importance, mode)
    compute = torch.promote_types(source.dtype, torch.float32)
    values, flow = source.to(compute), flow.to(compute)
    ones = torch.ones_like(values[:, :1])
    if importance is None:
        summed = _splat_sum(values, flow)
        weight = density = _splat_sum(ones, flow)
    else:
        z = importance.to(compute)
        # The softmax does not change when Z is shifted: subtracting the maximum keeps exp from overflowing.
        share = torch.exp((z - z.amax((1, 2, 3), keepdim=True)).clamp(min=-IMPORTANCE_RANGE))
        summed = _splat_sum(values * share, flow)
        weight, density = _splat_sum(torch.cat([share, ones], 1), flow).split_with_sizes([1, 1], 1)
    if mode != "sum":
        divisor = torch.where(weight > 0, weight, 1)
        # In place where autograd does not need the sum: at full size a fresh tensor costs more than the
        # division.
        summed = summed / divisor if summed.requires_grad else summed.div_(divisor)
    return Splat(summed.to(source.dtype), weight, density)


def splat_sum_plain(source: Tensor, flow: Tensor) -> Tensor:
    """Σ b S by torch's own operations: the definition that the compiled kernel is judged by. Any device.

    source: (N, C, H, W), flow: (N, 2, H, W) of the same dtype. Returns (N, C, H, W). Differentiable.
    """
    n, channels, height, width = source.shape
    rows = source.permute(0, 2, 3, 1).reshape(-1, channels)
    dx, dy = flow.unbind(1)
    x = torch.arange(width, device=flow.device)
    y = torch.arange(height, device=flow.device)[:, None]
    first = height * width * torch.arange(n, device=flow.device)[:, None, None]
    # What does not land near the frame stays in place and counts nothing, so that no integer overflows and no NaN
    # spreads. Picking out what lands would make the GPU wait for its count.
    lands = (x + dx > -1) & (x + dx < width) & (y + dy > -1) & (y + dy < height)
    dx, dy = torch.where(lands, dx, 0), torch.where(lands, dy, 0)
    left, top = dx.detach().floor(), dy.detach().floor()
    warped = source.new_zeros(n * height * width, channels)
    for across in (0, 1):
        for down in (0, 1):
            tx, ty = x + left.long() + across, y + top.long() + down
            inside = lands & (tx >= 0) & (tx < width) & (ty >= 0) & (ty < height)
            weight = (1 - (dx - left - across).abs()) * (1 - (dy - top - down).abs())
            share = torch.where(inside, weight, 0).reshape(-1, 1)
            target = first + ty.clamp(0, height - 1) * width + tx.clamp(0, width - 1)
            warped = warped.index_add(0, target.flatten(), rows * share)
    return warped.view(n, height, width, channels).permute(0, 3, 1, 2)


def _splat_sum(source: Tensor, flow: Tensor) -> Tensor:
    if source.device.type == "cpu":
        warped: Tensor = _CompiledSplat.apply(source, flow)  # type: ignore[no-untyped-call]
        return warped
    return splat_sum_plain(source, flow)


def _check(source: Tensor, flow: Tensor, importance: Tensor | None, mode: Mode) -> None:
    if source.ndim != 4 or not source.is_floating_point():
        raise UsageError(f"splat: source is floating point (N, C, H, W), got {source.dtype} {tuple(source.shape)}")
    n, _, height, width = source.shape
    if flow.shape != (n, 2, height, width):
        raise UsageError(f"splat: flow must be {(n, 2, height, width)} like the source, got {tuple(flow.shape)}")
    if mode not in ("sum", "average", "softmax"):
        raise UsageError(f"splat: mode is 'sum', 'average' or 'softmax', got {mode!r}")
    if (importance is not None) != (mode == "softmax"):
        raise UsageError(f"splat: mode 'softmax' needs an importance and no other mode takes one, got {mode!r}")
    if importance is not None and importance.shape != (n, 1, height, width):
        raise UsageError(f"splat: importance must be {(n, 1, height, width)}, got {tuple(importance.shape)}")


class _CompiledSplat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: Tensor, flow: Tensor) -> Tensor:
        ctx.save_for_backward(source, flow)
        rows = _channels_last(source)
        warped = np.zeros(rows.shape, rows.dtype)
        over_rows(_scatter, rows.shape[1], rows, flow.detach().contiguous().numpy(), warped)
        return torch.from_numpy(warped).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        source, flow = ctx.saved_tensors
        rows = _channels_last(source)
        to_source, to_flow = np.zeros(rows.shape, rows.dtype), np.zeros(flow.shape, rows.dtype)
        moved = flow.contiguous().numpy()
        over_rows(_gather, rows.shape[1], rows, moved, _channels_last(gradient), to_source, to_flow)
        return torch.from_numpy(to_source).permute(0, 3, 1, 2), torch.from_numpy(to_flow)


def _channels_last(tensor: Tensor) -> Any:
    """(N, C, H, W) tensor → contiguous (N, H, W, C) array, without a copy where it already lies so."""
    return tensor.detach().permute(0, 2, 3, 1).contiguous().numpy()


@cached_njit()
def _scatter(first: int, last: int, source: Any, flow: Any, warped: Any) -> None:
    """Add each source pixel to its targets in rows [first, last), in raster order whatever the bands are."""
    samples, height, width, channels = source.shape
    for n in range(samples):
        for y in range(height):
            for x in range(width):
                dx, dy = flow[n, 0, y, x], flow[n, 1, y, x]
                # A NaN fails these comparisons too.
                if not (y + dy > first - 1 and y + dy < last and x + dx > -1 and x + dx < width):
                    continue
                left, top = np.floor(dx), np.floor(dy)
                right_share, bottom_share = dx - left, dy - top
                for down in range(2):
                    ty = y + int(top) + down
                    if ty < first or ty >= last:
                        continue
                    row_share = bottom_share if down else 1 - bottom_share
                    for across in range(2):
                        tx = x + int(left) + across
                        if tx < 0 or tx >= width:
                            continue
                        share = row_share * (right_share if across else 1 - right_share)
                        for c in range(channels):
                            warped[n, ty, tx, c] += share * source[n, y, x, c]


@cached_njit()
def _gather(first: int, last: int, source: Any, flow: Any, gradient: Any, to_source: Any, to_flow: Any) -> None:
    """The derivative of `_scatter` for the source pixels in rows [first, last)."""
    samples, height, width, channels = source.shape
    for n in range(samples):
        for y in range(first, last):
            for x in range(width):
                dx, dy = flow[n, 0, y, x], flow[n, 1, y, x]
                if not (y + dy > -1 and y + dy < height and x + dx > -1 and x + dx < width):
                    continue
                left, top = np.floor(dx), np.floor(dy)
                right_share, bottom_share = dx - left, dy - top
                for down in range(2):
                    for across in range(2):
                        ty, tx = y + int(top) + down, x + int(left) + across
                        if ty < 0 or ty >= height or tx < 0 or tx >= width:
                            continue
                        row_share = bottom_share if down else 1 - bottom_share
                        column_share = right_share if across else 1 - right_share
                        product = row_share * 0
                        for c in range(channels):
                            to_source[n, y, x, c] += row_share * column_share * gradient[n, ty, tx, c]
                            product += source[n, y, x, c] * gradient[n, ty, tx, c]
                        to_flow[n, 0, y, x] += row_share * product * (1 if across else -1)
                        to_flow[n, 1, y, x] += column_share * product * (1 if down else -1)
