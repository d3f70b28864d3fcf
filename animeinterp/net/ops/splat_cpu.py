"""Where the pixels of a frame land, compiled for the CPU in inference: `selection.arrive` without what it builds.

The torch operations there are the definition and serve training and other devices. Here planes, motion, trust and
importance are read where they lie and added up in one buffer, in the order of `splatting`, so that both ways agree
to the last bit: `coherent` is a difference of large numbers. Pixels that are not asked for cost nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.consistency import AGREEMENT, MIN_DENSITY
from animeinterp.net.ops.parallel import over_rows
from animeinterp.net.ops.splatting import IMPORTANCE_RANGE
from animeinterp.runtime.jit import cached_njit

# What `splat_fused` gives by place: planes (the last is 0 in RGB), motion (2), coherent, weight, what the sums were
# divided
# by, density; see `selection.Arrived`. A fixed number, so that the compiler unrolls the innermost loop: twice as fast.
PLANES = 4
PLACES = PLANES + 6


def has_cpu_kernels(planes: Tensor) -> bool:
    """Whether planes (N, C, H, W) can go this way: it has no derivative."""
    fits = planes.dtype == torch.float32 and planes.shape[1] <= PLANES
    return fits and planes.device.type == "cpu" and not torch.is_grad_enabled()


def splat_fused(planes: Tensor, flow: Tensor, z: Tensor, share: Tensor, mode: SplatMode, where: Any = None) -> Any:
    """What arrives at each pixel: float32 (N, H, W, PLACES), 0 in holes; anything where not asked for.

    planes: (N, C, H, W), C up to PLANES. flow: (N, 2, H, W) px. z: (N, 1, H, W), log importance. share: (N, 1, 1, 1)
    in [0, 1] of the way. where: bool (N, H, W); None asks for all.
    """
    n, _, height, width = planes.shape
    where = np.ones((n, height, width), np.bool_) if where is None else where
    trust = z.clamp(max=0).exp_()
    if mode == "softmax":
        importance = (z - z.amax((1, 2, 3), keepdim=True)).clamp_(min=-IMPORTANCE_RANGE).exp_()
    else:
        importance = torch.ones_like(z)
    landed = np.zeros((n, height, width, PLACES), np.float32)
    arrays = (x.contiguous().numpy() for x in (planes, flow, trust, importance, share.float()))
    over_rows(_land, height, *arrays, where, landed)
    over_rows(_settle, height, np.float32(AGREEMENT), np.float32(MIN_DENSITY), where, landed)
    return landed


def mark_moving_targets(flow: Any, share: float, faster: float, where: Any) -> None:
    """Mark in `where`, bool (H, W), the pixels on which one that moves by more than `faster` px lands.

    flow: float32 (2, H, W) px. share: of the way, in [0, 1].
    """
    over_rows(_mark, where.shape[0], flow, np.float32(share), np.float32(faster), where)


@cached_njit()
def _land(
    first: int,
    last: int,
    planes: Any,
    flow: Any,
    trust: Any,
    importance: Any,
    shares: Any,
    where: Any,
    landed: Any,
) -> None:
    """Sums in rows [first, last) of `landed`: source pixels in raster order, as in `splatting._scatter`."""
    samples, channels, height, width = planes.shape
    pixel = np.zeros(PLACES, np.float32)
    for n in range(samples):
        share = shares[n, 0, 0, 0]
        for y in range(height):
            for x in range(width):
                dx, dy = share * flow[n, 0, y, x], share * flow[n, 1, y, x]
                # A NaN fails these comparisons too.
                if not (y + dy > first - 1 and y + dy < last and x + dx > -1 and x + dx < width):
                    continue
                left, top = np.floor(dx), np.floor(dy)
                tx, ty = x + int(left), y + int(top)
                if not _asked(where[n], max(ty, first), min(ty + 2, last), max(tx, 0), min(tx + 2, width)):
                    continue
                weight = importance[n, 0, y, x]
                for c in range(channels):
                    pixel[c] = planes[n, c, y, x] * weight
                pixel[PLANES], pixel[PLANES + 1] = dx * weight, dy * weight
                pixel[PLANES + 2] = (dx * dx + dy * dy) * weight
                pixel[PLANES + 3] = trust[n, 0, y, x] * weight
                pixel[PLANES + 4], pixel[PLANES + 5] = weight, 1
                right_share, bottom_share = dx - left, dy - top
                for row in range(max(ty, first), min(ty + 2, last)):
                    row_share = bottom_share if row > ty else 1 - bottom_share
                    for column in range(max(tx, 0), min(tx + 2, width)):
                        column_share = right_share if column > tx else 1 - right_share
                        _add(landed[n, row, column], pixel, row_share * column_share)


@cached_njit()
def _asked(where: Any, top: int, bottom: int, left: int, right: int) -> bool:
    for row in range(top, bottom):
        for column in range(left, right):
            if where[row, column]:
                return True
    return False


@cached_njit()
def _add(sums: Any, pixel: Any, share: Any) -> None:
    for place in range(PLACES):
        sums[place] += share * pixel[place]


@cached_njit()
def _settle(first: int, last: int, agreement: Any, least: Any, where: Any, landed: Any) -> None:
    """Rows [first, last) of `landed`: sums → means, and what they say of each other; see `selection.arrive`."""
    zero, one, most = np.float32(0), np.float32(1), np.float32(1.5)
    samples, _, width, _ = landed.shape
    for n in range(samples):
        for y in range(first, last):
            for x in range(width):
                pixel = landed[n, y, x]
                density = pixel[PLANES + 5]
                if not (where[n, y, x] and density > 0):
                    continue
                for place in range(PLANES + 4):
                    pixel[place] /= pixel[PLANES + 4]
                u, v, square, trust = pixel[PLANES], pixel[PLANES + 1], pixel[PLANES + 2], pixel[PLANES + 3]
                there = one if density > least else zero
                spread = max(square - (u * u + v * v), zero)
                pixel[PLANES + 2] = there * min(max(most - spread / agreement, zero), one)
                pixel[PLANES + 3] = there * trust * np.sqrt(min(max(density, least), one))


@cached_njit()
def _mark(first: int, last: int, flow: Any, share: Any, faster: Any, where: Any) -> None:
    """Mark rows [first, last): of the four pixels around a place those with a bilinear weight above 0."""
    _, height, width = flow.shape
    for y in range(height):
        for x in range(width):
            u, v = flow[0, y, x], flow[1, y, x]
            if not u * u + v * v > faster * faster:
                continue
            dx, dy = share * u, share * v
            if not (y + dy > first - 1 and y + dy < last and x + dx > -1 and x + dx < width):
                continue
            left, top = np.floor(dx), np.floor(dy)
            tx, ty = x + int(left), y + int(top)
            for row in range(max(ty, first), min(ty + (2 if dy > top else 1), last)):
                for column in range(max(tx, 0), min(tx + (2 if dx > left else 1), width)):
                    where[row, column] = True
