"""All-pairs correlation of two feature maps, looked up around the current flow (RAFT [4], §3.2).

The correlation of pixel p in frame 0 with q in frame 1 is <f0(p), f1(q)> / sqrt(C). A lookup reads it, at
four scales, on a grid of (2r+1)² points around the current estimate. Averaging correlations over 2^l x 2^l
targets is the same as correlating with averaged features, so no volume over all pairs need exist: the compiled
kernel takes just the inner products that a lookup reads, in memory linear in the number of pixels, forward and
backward. It keeps them for the next lookup: from one iteration to the next the flow rarely moves by a whole pixel,
so most are taken once. Of small maps, as in training, the volume is one matrix product and cheaper: there the kernel
only reads it. On other devices, and where the positions themselves have a gradient, lookups go through the volume, in
chunks of queries where the whole of it would be large.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from animeinterp.net.ops.parallel import over_rows
from animeinterp.runtime.jit import cached_njit

# Largest part of the volume held at once, in elements (512 MB): a direction of 960x540 fits whole. With gradients
# every part is kept for the way back anyway, and only working them out again can be saved (4 GB).
_CHUNK, _CHUNK_IN_TRAINING = 2**27, 2**30
# Pixels of a map up to which the volume pays on the CPU (32x32: crops of 256 px).
_SMALL = 1024
_NOWHERE = -(2**30)  # further from every window than any is wide


class Correlation:
    """The correlation of two feature maps, ready to be looked up.

    features0, features1: (N, C, H, W) float32. levels: number of scales, each half the size of the one before.
    radius: points on each side of the estimate. chunk: elements of the volume held at once. A scale at which
    nothing is left of a small frame correlates as 0, like everything outside the frame.
    """

    def __init__(
        self, features0: Tensor, features1: Tensor, levels: int, radius: int, chunk: int | None = None
    ) -> None:
        self._radius = radius
        self._queries = features0 / math.sqrt(features0.shape[1])
        self._levels = [features1]
        for _ in range(levels - 1):
            last = self._levels[-1]
            # RAFT fails on frames under 64 px, where pooling leaves nothing; here such a scale is empty.
            self._levels.append(F.avg_pool2d(last, 2) if min(last.shape[-2:]) >= 2 else last[..., :0, :0])
        self._on_cpu = features0.device.type == "cpu"
        self._chunk = chunk or (_CHUNK_IN_TRAINING if torch.is_grad_enabled() else _CHUNK)
        self._volume: list[Tensor] | None = None
        self._windows: list[_Window] = []

    def __call__(self, positions: Tensor) -> Tensor:
        """Look up around `positions`.

        positions: (N, 2, H, W) float32, x first: where in frame 1 each pixel of frame 0 is, in px of the
        features. Returns (N, levels (2r+1)², H, W) float32; within a level x varies slowest, as the published
        weights expect.
        """
        if self._on_cpu and not positions.requires_grad:
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
            found = self._sample(self._volume, flat)
        else:
            parts = [slice(i, i + step) for i in range(0, height * width, step)]
            found = torch.cat([self._sample(self._correlate(part), flat[:, part]) for part in parts], 1)
        return found.transpose(1, 2).reshape(n, -1, height, width)

    def _correlate(self, part: slice) -> list[Tensor]:
        """The volume of some queries Q: one (N Q, 1, h, w) per level."""
        queries = self._queries.flatten(2).transpose(1, 2)[:, part]
        count = queries.shape[0] * queries.shape[1]
        # bf16 keeps 8 bits of a product: neighbors would look alike.
        with torch.autocast(queries.device.type, enabled=False):
            return [(queries @ level.flatten(2)).reshape(count, 1, *level.shape[-2:]) for level in self._levels]

    def _sample(self, volume: list[Tensor], positions: Tensor) -> Tensor:
        """Read the volume around positions (N, Q, 2): (N, Q, levels (2r+1)²)."""
        n, queries, _ = positions.shape
        steps = torch.arange(-self._radius, self._radius + 1.0, device=positions.device)
        window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        found = []
        for i, level in enumerate(volume):
            height, width = level.shape[-2:]
            if height == 0 or width == 0:
                found.append(positions.new_zeros(n, queries, window.shape[0] ** 2))
                continue
            at = positions.reshape(-1, 1, 1, 2) * 0.5**i + window
            # grid_sample without align_corners puts pixel centers at (2 p + 1) / size - 1, also where size is 1.
            grid = (2 * at + 1) / at.new_tensor([width, height]) - 1
            found.append(F.grid_sample(level, grid, align_corners=False).reshape(n, queries, -1))
        return torch.cat(found, 2)


class _Window(NamedTuple):
    """What a level's last lookup took. products: float32 (N, H, W, 2r+2, 2r+2), x first. corner: int32 (N, H, W, 2)."""

    products: Any
    corner: Any


def _no_window(queries: Tensor, radius: int) -> _Window:
    n, _, height, width = queries.shape
    products = np.empty((n, height, width, 2 * radius + 2, 2 * radius + 2), np.float32)
    return _Window(products, np.full((n, height, width, 2), _NOWHERE, np.int32))


class _CompiledLookup(torch.autograd.Function):
    """Lookup by the compiled kernels; differentiable in the features, not in the positions."""

    @staticmethod
    def forward(
        ctx: Any, positions: Tensor, radius: int, windows: list[_Window], queries: Tensor, *levels: Tensor
    ) -> Tensor:
        ctx.save_for_backward(positions, queries, *levels)
        ctx.radius = radius
        n, _, height, width = positions.shape
        window = (2 * radius + 1) ** 2
        found = np.empty((n, height, width, len(levels) * window), np.float32)
        rows, at = _channels_last(queries), _channels_last(positions)
        for i, level in enumerate(levels):
            targets = _channels_last(level)
            over_rows(_look_up, n * height, rows, targets, at, 0.5**i, radius, i * window, *windows[i], found)
        return torch.from_numpy(found).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        positions, queries, *levels = ctx.saved_tensors
        radius = ctx.radius
        window = (2 * radius + 1) ** 2
        rows, at, slope = _channels_last(queries), _channels_last(positions), _channels_last(gradient)
        to_queries, to_levels = np.zeros(rows.shape, np.float32), list[Tensor]()
        for i, level in enumerate(levels):
            targets = _channels_last(level)
            to_targets = np.zeros(targets.shape, np.float32)
            # Queries of one sample meet at the same targets: whole samples go to a thread.
            over_rows(
                _look_up_slopes,
                *(len(rows), rows, targets, at, 0.5**i, radius, i * window, slope, to_queries, to_targets),
            )
            to_levels.append(torch.from_numpy(to_targets).permute(0, 3, 1, 2))
        return None, None, None, torch.from_numpy(to_queries).permute(0, 3, 1, 2), *to_levels


class _CompiledReading(torch.autograd.Function):
    """The same lookup out of the volume, (N Q, 1, h, w) per level."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, radius: int, *volume: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.radius, ctx.shapes = radius, [level.shape for level in volume]
        n, _, height, width = positions.shape
        window = (2 * radius + 1) ** 2
        found = np.empty((n, height, width, len(volume) * window), np.float32)
        at = _channels_last(positions)
        for i, level in enumerate(volume):
            whole = level.detach().view(n, height, width, *level.shape[-2:]).numpy()
            over_rows(_read, n * height, whole, at, 0.5**i, radius, i * window, found)
        return torch.from_numpy(found).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (positions,) = ctx.saved_tensors
        n, _, height, width = positions.shape
        window = (2 * ctx.radius + 1) ** 2
        at, slope, slopes = _channels_last(positions), _channels_last(gradient), []
        for i, shape in enumerate(ctx.shapes):
            to_volume = np.zeros((n, height, width, *shape[-2:]), np.float32)
            over_rows(_read_slopes, n * height, at, 0.5**i, ctx.radius, i * window, slope, to_volume)
            slopes.append(torch.from_numpy(to_volume).view(shape))
        return None, None, *slopes


def _channels_last(features: Tensor) -> Any:
    return features.detach().permute(0, 2, 3, 1).contiguous().numpy()


# Reassociation lets the inner products be vectorised; the order stays the same from run to run.
@cached_njit(fastmath={"reassoc", "contract"})
def _look_up(
    first: int,
    last: int,
    queries: Any,
    targets: Any,
    at: Any,
    scale: float,
    radius: int,
    offset: int,
    products: Any,
    corner: Any,
    found: Any,
) -> None:
    """One level for rows [first, last), counted through the batch; fills `found` from channel `offset`.

    The points of a window share their fractional part: (2r+2)² inner products, then (2r+1)² blends of four. products,
    corner: see `_Window`.
    """
    _, height, width, _ = queries.shape
    _, rows, columns, _ = targets.shape
    side = 2 * radius + 1
    spare = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = at[n, y, x, 0] * scale, at[n, y, x, 1] * scale
            # Far outside there is nothing to find; a NaN fails these comparisons too.
            if not (abs(px) < columns + side and abs(py) < rows + side):
                found[n, y, x, offset : offset + side * side] = 0
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
                    found[n, y, x, offset + i * side + j] = upper + fy * (lower - upper)


@cached_njit(fastmath={"reassoc", "contract"})
def _move_window(query: Any, targets: Any, left: int, top: int, window: Any, corner: Any, spare: Any) -> None:
    """Bring `window` from `corner` to (left, top): what both share is kept, the rest are inner products anew."""
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
    at: Any,
    scale: float,
    radius: int,
    offset: int,
    gradient: Any,
    to_queries: Any,
    to_targets: Any,
) -> None:
    """The derivative of `_look_up` for samples [first, last), added to both results."""
    _, height, width, channels = queries.shape
    _, rows, columns, _ = targets.shape
    side = 2 * radius + 1
    slopes = np.empty((side + 1, side + 1), np.float32)
    for n in range(first, last):
        for y in range(height):
            for x in range(width):
                px, py = at[n, y, x, 0] * scale, at[n, y, x, 1] * scale
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
def _read(first: int, last: int, volume: Any, at: Any, scale: float, radius: int, offset: int, found: Any) -> None:
    """`_look_up` with the inner products at hand: volume (N, H, W, h, w)."""
    _, height, width, rows, columns = volume.shape
    side = 2 * radius + 1
    products = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = at[n, y, x, 0] * scale, at[n, y, x, 1] * scale
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
                    found[n, y, x, offset + i * side + j] = upper + fy * (lower - upper)


@cached_njit()
def _read_slopes(
    first: int, last: int, at: Any, scale: float, radius: int, offset: int, gradient: Any, to_volume: Any
) -> None:
    """The derivative of `_read`, added to to_volume (N, H, W, h, w); every pixel has a part of its own."""
    _, height, width, rows, columns = to_volume.shape
    side = 2 * radius + 1
    slopes = np.empty((side + 1, side + 1), np.float32)
    for row in range(first, last):
        n, y = row // height, row % height
        for x in range(width):
            px, py = at[n, y, x, 0] * scale, at[n, y, x, 1] * scale
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
