"""Forward warping, splatting (paper §4.3): add every source pixel to the four pixels around its target position.

A source pixel at p with flow f moves to p + f and is shared among the four neighbors by bilinear weights b.
With a log importance Z per source pixel, three modes of Niklaus & Liu 2020:

    sum       warped = Σ b S
    average   warped = Σ b S / Σ b               (what the published AnimeInterp code does)
    softmax   warped = Σ b exp(Z) S / Σ b exp(Z)

Pixels that no source pixel reaches are holes: their value and their density Σ b are 0. Source pixels that leave the
frame, or whose flow is not finite, contribute nothing. Memory is linear in the size of the source. The CPU kernel sums
in an order that does not depend on the number of threads; `splat_sum_plain` defines the result and serves other
devices. On CUDA its `index_add` has no fixed order: two runs may differ by about 1e-6 of the value.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from animeinterp.errors import UsageError
from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.parallel import channels_last_array, over_rows
from animeinterp.runtime.jit import cached_njit

Mode = Literal["sum", "average", "softmax"]

# exp(-60) = 9e-27: too small to be visible, yet far above the smallest float32, even times a bilinear weight.
IMPORTANCE_RANGE = 60.0


class Splat(NamedTuple):
    """The result of forward warping.

    Attributes:
        warped: (N, C, H, W), in the source's dtype.
        weight: Divisor of the sum, (N, 1, H, W) float: the density in modes `sum` and `average`, Σ b exp(Z - max Z)
            with the maximum per sample in mode `softmax`.
        density: Σ b, number of source pixels that meet here, (N, 1, H, W) float: 0 in a hole, 1 in a static frame.
    """

    warped: Tensor
    weight: Tensor
    density: Tensor


def splat(source: Tensor, flow: Tensor, importance: Tensor | None = None, mode: Mode = "average") -> Splat:
    """Warp an image forward; differentiable in all tensors.

    Args:
        source: (N, C, H, W) floating point.
        flow: (N, 2, H, W), x first, px.
        importance: Log importance Z for mode `softmax`, (N, 1, H, W); None for the other modes. Differences of more
            than 60 from the maximum of a sample are clamped, so that nothing underflows to a false hole.
        mode: How source pixels that meet are combined.

    Returns:
        The warped image with its weights.

    Raises:
        UsageError: The arguments do not fit together.
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
        weights = torch.exp((z - z.amax((1, 2, 3), keepdim=True)).clamp(min=-IMPORTANCE_RANGE))
        summed = _splat_sum(values * weights, flow)
        weight, density = _splat_sum(torch.cat([weights, ones], 1), flow).split_with_sizes([1, 1], 1)
    if mode != "sum":
        divisor = torch.where(weight > 0, weight, 1)
        # In place where autograd does not need the sum: at full size a fresh tensor costs more than the
        # division.
        summed = summed / divisor if summed.requires_grad else summed.div_(divisor)
    return Splat(summed.to(source.dtype), weight, density)


def splat_sum_plain(source: Tensor, flow: Tensor) -> Tensor:
    """Compute Σ b S by torch operations: the definition that judges the CPU kernel; differentiable, any device.

    Args:
        source: (N, C, H, W).
        flow: (N, 2, H, W) of the same dtype, px.

    Returns:
        (N, C, H, W).
    """
    n, channels, height, width = source.shape
    rows = source.permute(0, 2, 3, 1).reshape(-1, channels)
    dx, dy = flow.unbind(1)
    x = torch.arange(width, device=flow.device)
    y = torch.arange(height, device=flow.device)[:, None]
    first = height * width * torch.arange(n, device=flow.device)[:, None, None]
    # Pixels that leave the frame stay in place with weight 0, so that no integer overflows and no NaN spreads.
    # Selecting the others would make the GPU wait for their count.
    inside_frame = (x + dx > -1) & (x + dx < width) & (y + dy > -1) & (y + dy < height)
    dx, dy = torch.where(inside_frame, dx, 0), torch.where(inside_frame, dy, 0)
    rows = torch.where(
        inside_frame.reshape(-1, 1), rows, 0
    )  # a source made from such flow may be NaN, and 0 NaN is NaN
    left, top = dx.detach().floor(), dy.detach().floor()
    warped = source.new_zeros(n * height * width, channels)
    for across in (0, 1):
        for down in (0, 1):
            tx, ty = x + left.long() + across, y + top.long() + down
            inside = inside_frame & (tx >= 0) & (tx < width) & (ty >= 0) & (ty < height)
            weight = (1 - (dx - left - across).abs()) * (1 - (dy - top - down).abs())
            weight = torch.where(inside, weight, 0).reshape(-1, 1)
            target = first + ty.clamp(0, height - 1) * width + tx.clamp(0, width - 1)
            warped = warped.index_add(0, target.flatten(), rows * weight)
    return warped.view(n, height, width, channels).permute(0, 3, 1, 2)


def _splat_sum(source: Tensor, flow: Tensor) -> Tensor:
    if use_cpu_kernels(source, differentiable=True):
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
    """`splat_sum_plain` by compiled kernels."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, flow: Tensor) -> Tensor:
        ctx.save_for_backward(source, flow)
        rows = channels_last_array(source)
        warped = np.zeros(rows.shape, rows.dtype)
        over_rows(_scatter, rows.shape[1], rows, flow.detach().contiguous().numpy(), warped)
        return torch.from_numpy(warped).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        source, flow = ctx.saved_tensors
        rows = channels_last_array(source)
        to_source, to_flow = np.zeros(rows.shape, rows.dtype), np.zeros(flow.shape, rows.dtype)
        moved = flow.contiguous().numpy()
        over_rows(_gather, rows.shape[1], rows, moved, channels_last_array(gradient), to_source, to_flow)
        return torch.from_numpy(to_source).permute(0, 3, 1, 2), torch.from_numpy(to_flow)


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
                right_weight, bottom_weight = dx - left, dy - top
                for down in range(2):
                    ty = y + int(top) + down
                    if ty < first or ty >= last:
                        continue
                    row_weight = bottom_weight if down else 1 - bottom_weight
                    for across in range(2):
                        tx = x + int(left) + across
                        if tx < 0 or tx >= width:
                            continue
                        weight = row_weight * (right_weight if across else 1 - right_weight)
                        for c in range(channels):
                            warped[n, ty, tx, c] += weight * source[n, y, x, c]


@cached_njit()
def _gather(first: int, last: int, source: Any, flow: Any, gradient: Any, to_source: Any, to_flow: Any) -> None:
    """Compute the derivative of `_scatter` for the source pixels in rows [first, last)."""
    samples, height, width, channels = source.shape
    for n in range(samples):
        for y in range(first, last):
            for x in range(width):
                dx, dy = flow[n, 0, y, x], flow[n, 1, y, x]
                if not (y + dy > -1 and y + dy < height and x + dx > -1 and x + dx < width):
                    continue
                left, top = np.floor(dx), np.floor(dy)
                right_weight, bottom_weight = dx - left, dy - top
                for down in range(2):
                    for across in range(2):
                        ty, tx = y + int(top) + down, x + int(left) + across
                        if ty < 0 or ty >= height or tx < 0 or tx >= width:
                            continue
                        row_weight = bottom_weight if down else 1 - bottom_weight
                        column_weight = right_weight if across else 1 - right_weight
                        product = row_weight * 0
                        for c in range(channels):
                            to_source[n, y, x, c] += row_weight * column_weight * gradient[n, ty, tx, c]
                            product += source[n, y, x, c] * gradient[n, ty, tx, c]
                        to_flow[n, 0, y, x] += row_weight * product * (1 if across else -1)
                        to_flow[n, 1, y, x] += column_weight * product * (1 if down else -1)
