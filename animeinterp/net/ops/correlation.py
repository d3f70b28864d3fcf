"""All-pairs correlation of two feature maps, looked up around the current flow (RAFT, Teed & Deng 2020, §3.2).

The correlation of pixel p in frame 0 with q in frame 1 is <f0(p), f1(q)> / sqrt(C). A lookup samples it, at several
scales, on a grid of (2r+1)² points around the current estimate.

Averaging correlations over 2^l x 2^l targets equals correlating with averaged features, so the volume over all pairs
is not needed: the CPU kernel computes only the inner products that a lookup samples, in memory linear in the number of
pixels. It caches them, since from one iteration to the next the flow rarely moves by a whole pixel. For small maps, as
in training, the volume is one matrix product and cheaper; the kernel then only samples it. Other devices, and positions
that need a gradient, use the volume, in chunks of queries where the whole would be large.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.parallel import channels_last_array, over_rows
from animeinterp.runtime.jit import cached_njit

# Elements of the volume held at once (512 MB): one direction of 960x540 fits. With gradients every chunk is kept for
# the backward pass anyway; larger chunks only avoid computing them again (4 GB).
_CHUNK, _CHUNK_IN_TRAINING = 2**27, 2**30
# Pixels of a map up to which the volume is faster on the CPU (32x32: crops of 256 px).
_SMALL = 1024
_NOWHERE = -(2**30)  # a corner that no window overlaps


class Correlation:
    """The correlation of two feature maps, ready to be looked up.

    A scale at which a small frame has no pixel left correlates as 0, like everything outside the frame.
    """

    def __init__(
        self, features0: Tensor, features1: Tensor, levels: int, radius: int, chunk: int | None = None
    ) -> None:
        """Prepare lookups.

        Args:
            features0: Features of frame 0, (N, C, H, W) float32.
            features1: Features of frame 1, of the same shape.
            levels: Number of scales, each half the size of the one before.
            radius: Points on each side of the estimate.
            chunk: Elements of the volume held at once; None chooses.
        """
        self._radius = radius
        self._queries = features0 / math.sqrt(features0.shape[1])
        self._levels = [features1]
        for _ in range(levels - 1):
            last = self._levels[-1]
            # RAFT fails on frames under 64 px, where pooling leaves nothing; here such a scale is empty.
            self._levels.append(F.avg_pool2d(last, 2) if min(last.shape[-2:]) >= 2 else last[..., :0, :0])
        self._chunk = chunk or (_CHUNK_IN_TRAINING if torch.is_grad_enabled() else _CHUNK)
        self._volume: list[Tensor] | None = None
        self._windows: list[_Window] = []

    def __call__(self, positions: Tensor) -> Tensor:
        """Look up the correlation around positions.

        Args:
            positions: Position in frame 1 of each pixel of frame 0, (N, 2, H, W) float32, x first, px of the features.

        Returns:
            (N, levels (2r+1)², H, W) float32; within a level x varies slowest, as the published weights expect.
        """
        if use_cpu_kernels(positions, differentiable=True) and not positions.requires_grad:
            if torch.is_grad_enabled() and positions.shape[-2] * positions.shape[-1] <= _SMALL:
                if self._volume is None:
                    self._volume = self._correlate(slice(None))
                read: Tensor = _CompiledReading.apply(positions, self._radius, *self._volume)  # type: ignore[no-untyped-call]
                return read
            if not self._windows:
                self._windows = [_no_window(self._queries, self._radius) for _ in self._levels]
            looked_up: Tensor = _CompiledLookup.apply(  # type: ignore[no-untyped-call]
                positions, self._radius, self._windows, self._queries, *self._levels
            )
            return looked_up
        n, _, height, width = positions.shape
        flat = positions.flatten(2).transpose(1, 2)
        targets = sum(level.shape[-2] * level.shape[-1] for level in self._levels)
        step = max(1, self._chunk // (n * targets))
        if step >= height * width:
            if self._volume is None:
                self._volume = self._correlate(slice(None))
            result = self._sample(self._volume, flat)
        else:
            parts = [slice(i, i + step) for i in range(0, height * width, step)]
            result = torch.cat([self._sample(self._correlate(part), flat[:, part]) for part in parts], 1)
        return result.transpose(1, 2).reshape(n, -1, height, width)

    def _correlate(self, part: slice) -> list[Tensor]:
        """Compute the volume for some queries Q: one (N Q, 1, h, w) per level."""
        queries = self._queries.flatten(2).transpose(1, 2)[:, part]
        count = queries.shape[0] * queries.shape[1]
        # bf16 keeps 8 bits of a product: neighbors would look alike.
        with torch.autocast(queries.device.type, enabled=False):
            return [(queries @ level.flatten(2)).reshape(count, 1, *level.shape[-2:]) for level in self._levels]

    def _sample(self, volume: list[Tensor], positions: Tensor) -> Tensor:
        """Sample the volume around positions (N, Q, 2): (N, Q, levels (2r+1)²)."""
        n, queries, _ = positions.shape
        steps = torch.arange(-self._radius, self._radius + 1.0, device=positions.device)
        window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        result = []
        for i, level in enumerate(volume):
            height, width = level.shape[-2:]
            if height == 0 or width == 0:
                result.append(positions.new_zeros(n, queries, window.shape[0] ** 2))
                continue
            points = positions.reshape(-1, 1, 1, 2) * 0.5**i + window
            # grid_sample without align_corners puts pixel centers at (2 p + 1) / size - 1, also where size is 1.
            grid = (2 * points + 1) / points.new_tensor([width, height]) - 1
            result.append(F.grid_sample(level, grid, align_corners=False).reshape(n, queries, -1))
        return torch.cat(result, 2)


class _Window(NamedTuple):
    """Cache of one level's last lookup.

    Attributes:
        products: Inner products, float32 (N, H, W, 2r+2, 2r+2), x first.
        corner: Top left target of each window, int32 (N, H, W, 2), x first.
    """

    products: Any
    corner: Any


def _no_window(queries: Tensor, radius: int) -> _Window:
    n, _, height, width = queries.shape
    products = np.empty((n, height, width, 2 * radius + 2, 2 * radius + 2), np.float32)
    return _Window(products, np.full((n, height, width, 2), _NOWHERE, np.int32))


class _CompiledLookup(torch.autograd.Function):
    """Lookup by CPU kernels; differentiable in the features, not in the positions."""

    @staticmethod
    def forward(
        ctx: Any, positions: Tensor, radius: int, windows: list[_Window], queries: Tensor, *levels: Tensor
    ) -> Tensor:
        ctx.save_for_backward(positions, queries, *levels)
        ctx.radius = radius
        n, _, height, width = positions.shape
        window = (2 * radius + 1) ** 2
        result = np.empty((n, height, width, len(levels) * window), np.float32)
        rows, centers = channels_last_array(queries), channels_last_array(positions)
        for i, level in enumerate(levels):
            targets = channels_last_array(level)
            over_rows(_look_up, n * height, rows, targets, centers, 0.5**i, radius, i * window, *windows[i], result)
        return torch.from_numpy(result).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        positions, queries, *levels = ctx.saved_tensors
        radius = ctx.radius
        window = (2 * radius + 1) ** 2
        rows, centers, slope = (
            channels_last_array(queries),
            channels_last_array(positions),
            channels_last_array(gradient),
        )
        to_queries, to_levels = np.zeros(rows.shape, np.float32), list[Tensor]()
        for i, level in enumerate(levels):
            targets = channels_last_array(level)
            to_targets = np.zeros(targets.shape, np.float32)
            # Queries of one sample share targets: each thread takes whole samples.
            over_rows(
                _look_up_slopes,
                *(len(rows), rows, targets, centers, 0.5**i, radius, i * window, slope, to_queries, to_targets),
            )
            to_levels.append(torch.from_numpy(to_targets).permute(0, 3, 1, 2))
        return None, None, None, torch.from_numpy(to_queries).permute(0, 3, 1, 2), *to_levels


class _CompiledReading(torch.autograd.Function):
    """The same lookup from the volume, (N Q, 1, h, w) per level."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, radius: int, *volume: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.radius, ctx.shapes = radius, [level.shape for level in volume]
        n, _, height, width = positions.shape
        window = (2 * radius + 1) ** 2
        result = np.empty((n, height, width, len(volume) * window), np.float32)
        centers = channels_last_array(positions)
        for i, level in enumerate(volume):
            whole = level.detach().view(n, height, width, *level.shape[-2:]).numpy()
            over_rows(_read, n * height, whole, centers, 0.5**i, radius, i * window, result)
        return torch.from_numpy(result).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (positions,) = ctx.saved_tensors
        n, _, height, width = positions.shape
        window = (2 * ctx.radius + 1) ** 2
        centers, slope, slopes = channels_last_array(positions), channels_last_array(gradient), []
        for i, shape in enumerate(ctx.shapes):
            to_volume = np.zeros((n, height, width, *shape[-2:]), np.float32)
            over_rows(_read_slopes, n * height, centers, 0.5**i, ctx.radius, i * window, slope, to_volume)
            slopes.append(torch.from_numpy(to_volume).view(shape))
        return None, None, *slopes


# Kernels take their arrays one by one: a tuple would only be unpacked again.


# Reassociation lets inner products be vectorized; the order stays the same from run to run.
@cached_njit(fastmath={"reassoc", "contract"})
def _look_up(
    first: int,
    last: int,
    queries: Any,
    targets: Any,
    centers: Any,
    scale: float,
    radius: int,
    offset: int,
    products: Any,
    corner: Any,
    result: Any,
) -> None:
    """Look up one level for rows [first, last), counted through the batch, from channel `offset` of `result`.

    The points of a window share their fractional part: (2r+2)² inner products, then (2r+1)² blends of four. For
    `products` and `corner` see `_Window`.
    """
    _, height, width, _ = queries.shape
    _, rows, columns, _ = targets.shape
    side = 2 * radius + 1
    spare = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = centers[n, y, x, 0] * scale, centers[n, y, x, 1] * scale
            # Everything far outside is 0; a NaN fails these comparisons too.
            if not (abs(px) < columns + side and abs(py) < rows + side):
                result[n, y, x, offset : offset + side * side] = 0
                continue
            left, top = int(np.floor(px)) - radius, int(np.floor(py)) - radius
            window, last_corner = products[n, y, x], corner[n, y, x]
            if left != last_corner[0] or top != last_corner[1]:
                _move_window(queries[n, y, x], targets[n], left, top, window, last_corner, spare)
            fx, fy = np.float32(px - np.floor(px)), np.float32(py - np.floor(py))
            for i in range(side):
                for j in range(side):
                    upper = window[i, j] + fx * (window[i + 1, j] - window[i, j])
                    lower = window[i, j + 1] + fx * (window[i + 1, j + 1] - window[i, j + 1])
                    result[n, y, x, offset + i * side + j] = upper + fy * (lower - upper)


@cached_njit(fastmath={"reassoc", "contract"})
def _move_window(query: Any, targets: Any, left: int, top: int, window: Any, corner: Any, spare: Any) -> None:
    """Move `window` from `corner` to (left, top); inner products of the overlap are reused."""
    rows, columns, channels = targets.shape
    size = len(window)
    dx, dy = left - corner[0], top - corner[1]
    for j in range(size):
        for i in range(size):
            if 0 <= i + dx < size and 0 <= j + dy < size:
                spare[i, j] = window[i + dx, j + dy]
                continue
            product = np.float32(0)
            if 0 <= left + i < columns and 0 <= top + j < rows:
                for c in range(channels):
                    product += query[c] * targets[top + j, left + i, c]
            spare[i, j] = product
    window[:] = spare
    corner[0], corner[1] = left, top


@cached_njit(fastmath={"reassoc", "contract"})
def _look_up_slopes(
    first: int,
    last: int,
    queries: Any,
    targets: Any,
    centers: Any,
    scale: float,
    radius: int,
    offset: int,
    gradient: Any,
    to_queries: Any,
    to_targets: Any,
) -> None:
    """Add the derivative of `_look_up` for samples [first, last) to both results."""
    _, height, width, channels = queries.shape
    _, rows, columns, _ = targets.shape
    side = 2 * radius + 1
    slopes = np.empty((side + 1, side + 1), np.float32)
    for n in range(first, last):
        for y in range(height):
            for x in range(width):
                px, py = centers[n, y, x, 0] * scale, centers[n, y, x, 1] * scale
                if not (abs(px) < columns + side and abs(py) < rows + side):
                    continue
                left, top = int(np.floor(px)) - radius, int(np.floor(py)) - radius
                fx, fy = np.float32(px - np.floor(px)), np.float32(py - np.floor(py))
                slopes[:] = 0
                for i in range(side):
                    for j in range(side):
                        slope = gradient[n, y, x, offset + i * side + j]
                        slopes[j, i] += (1 - fx) * (1 - fy) * slope
                        slopes[j, i + 1] += fx * (1 - fy) * slope
                        slopes[j + 1, i] += (1 - fx) * fy * slope
                        slopes[j + 1, i + 1] += fx * fy * slope
                for j in range(max(0, -top), min(side + 1, rows - top)):
                    for i in range(max(0, -left), min(side + 1, columns - left)):
                        slope = slopes[j, i]
                        for c in range(channels):
                            to_queries[n, y, x, c] += slope * targets[n, top + j, left + i, c]
                            to_targets[n, top + j, left + i, c] += slope * queries[n, y, x, c]


@cached_njit()
def _read(
    first: int, last: int, volume: Any, centers: Any, scale: float, radius: int, offset: int, result: Any
) -> None:
    """Do the work of `_look_up` with given inner products, volume (N, H, W, h, w)."""
    _, height, width, rows, columns = volume.shape
    side = 2 * radius + 1
    products = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = centers[n, y, x, 0] * scale, centers[n, y, x, 1] * scale
            products[:] = 0
            fx, fy = np.float32(0), np.float32(0)
            if abs(px) < columns + side and abs(py) < rows + side:
                left, top = int(np.floor(px)) - radius, int(np.floor(py)) - radius
                for j in range(max(0, -top), min(side + 1, rows - top)):
                    for i in range(max(0, -left), min(side + 1, columns - left)):
                        products[j, i] = volume[n, y, x, top + j, left + i]
                fx, fy = np.float32(px - np.floor(px)), np.float32(py - np.floor(py))
            for i in range(side):
                for j in range(side):
                    upper = products[j, i] + fx * (products[j, i + 1] - products[j, i])
                    lower = products[j + 1, i] + fx * (products[j + 1, i + 1] - products[j + 1, i])
                    result[n, y, x, offset + i * side + j] = upper + fy * (lower - upper)


@cached_njit()
def _read_slopes(
    first: int, last: int, centers: Any, scale: float, radius: int, offset: int, gradient: Any, to_volume: Any
) -> None:
    """Add the derivative of `_read` to to_volume (N, H, W, h, w); no two pixels share an element."""
    _, height, width, rows, columns = to_volume.shape
    side = 2 * radius + 1
    slopes = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = centers[n, y, x, 0] * scale, centers[n, y, x, 1] * scale
            if not (abs(px) < columns + side and abs(py) < rows + side):
                continue
            left, top = int(np.floor(px)) - radius, int(np.floor(py)) - radius
            fx, fy = np.float32(px - np.floor(px)), np.float32(py - np.floor(py))
            slopes[:] = 0
            for i in range(side):
                for j in range(side):
                    slope = gradient[n, y, x, offset + i * side + j]
                    slopes[j, i] += (1 - fx) * (1 - fy) * slope
                    slopes[j, i + 1] += fx * (1 - fy) * slope
                    slopes[j + 1, i] += (1 - fx) * fy * slope
                    slopes[j + 1, i + 1] += fx * fy * slope
            for j in range(max(0, -top), min(side + 1, rows - top)):
                for i in range(max(0, -left), min(side + 1, columns - left)):
                    to_volume[n, y, x, top + j, left + i] += slopes[j, i]
