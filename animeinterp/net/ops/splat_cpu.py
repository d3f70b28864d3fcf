"""CPU kernel of `frame_splatting.splat_frame` for inference.

Image, motion, confidence and importance are read where they are and summed in one buffer, in the order of `splatting`,
so that image, motion and density agree with the torch operations to the last bit, confidence and coherence to 1e-6: the
variance of motion is a difference of large numbers.
Pixels that are not wanted cost nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.parallel import channels_last_array, over_rows
from animeinterp.net.ops.splatting import IMPORTANCE_RANGE
from animeinterp.runtime.jit import cached_njit

# Layout of the result's last axis; the last color channel is 0 in RGB.
CHANNELS = 4
MOTION_X, MOTION_Y, COHERENCE, CONFIDENCE, WEIGHT, DENSITY = range(CHANNELS, CHANNELS + 6)
LAYOUT = CHANNELS + 6
_0, _1 = np.float32(0), np.float32(1)


class SplatSource(NamedTuple):
    """A frame that is splatted, and what is splatted with it, as arrays.

    Attributes:
        image: (N, H, W, C) float32, C = 3 or 4.
        flow: (N, 2, H, W) float32, px.
        confidence: (N, 1, H, W) in [0, 1].
        importance: (N, 1, H, W) > 0.
        fractions: Of the way, (N, 1, 1, 1) in [0, 1].
        reach: First row that each row is splatted to, and the one after the last, int32 (N, H, 2).
    """

    image: NDArray[np.float32]
    flow: NDArray[np.float32]
    confidence: NDArray[np.float32]
    importance: NDArray[np.float32]
    fractions: NDArray[np.float32]
    reach: NDArray[np.int32]


def prepare_splat(
    image: Tensor, flow: Tensor, z: Tensor, confidence: Tensor, fraction: Tensor, mode: SplatMode
) -> SplatSource:
    """Prepare to splat a frame.

    Args:
        image: (N, C, H, W) float32, C up to 4.
        flow: (N, 2, H, W) float32, px.
        z: Log importance, (N, 1, H, W).
        confidence: In [0, 1], (N, 1, H, W); splatted along.
        fraction: Of the way, (N, 1, 1, 1) in [0, 1].
        mode: How pixels that meet are averaged.

    Returns:
        What `splat_rows` takes.
    """
    n, channels, height, _ = image.shape
    if channels < 3:  # the kernel adds three colors at least
        image = F.pad(image, (0, 0, 0, 0, 0, 3 - channels))
    if mode == "softmax":
        importance = (z - z.amax((1, 2, 3), keepdim=True)).clamp_(min=-IMPORTANCE_RANGE).exp_()
    else:
        importance = torch.ones_like(z)
    flows, confidences, importances, fractions = (
        x.contiguous().numpy() for x in (flow, confidence, importance, fraction.float())
    )
    reach = np.empty((n, height, 2), np.int32)
    over_rows(_find_reach, height, flows, fractions, reach)
    return SplatSource(channels_last_array(image), flows, confidences, importances, fractions, reach)


def splat_fused(
    image: Tensor, flow: Tensor, z: Tensor, confidence: Tensor, fraction: Tensor, mode: SplatMode
) -> NDArray[np.float32]:
    """Splat a frame and what is splatted with it; arguments as `prepare_splat`.

    Returns:
        float32 (N, H, W, LAYOUT), see the names above; 0 in holes.
    """
    n, _, height, width = image.shape
    wanted, sums = np.ones((n, height, width), np.bool_), np.zeros((n, height, width, LAYOUT), np.float32)
    source = prepare_splat(image, flow, z, confidence, fraction, mode)
    over_rows(splat_rows, height, source, wanted, sums, 0)
    return sums


def splat_rows(
    first: int, last: int, source: SplatSource, wanted: NDArray[np.bool_], sums: NDArray[np.float32], top: int
) -> None:
    """Splat to the rows [first, last) of a frame.

    Args:
        first: First row.
        last: Row after the last.
        source: Of `prepare_splat`.
        wanted: Pixels that are needed, (N, H, W). The others may hold anything.
        sums: Result, float32 (N, rows, W, LAYOUT), 0 before; 0 in holes.
        top: Row of the frame that is the first of `sums`, at most `first`.
    """
    _accumulate(first, last, *source, wanted, sums, top)
    limits = np.float32(BLEND_RULE.max_variance), np.float32(BLEND_RULE.min_density)
    _normalize(first, last, limits, wanted, sums, top)


@cached_njit()
def _find_reach(first: int, last: int, flow: Any, fractions: Any, reach: Any) -> None:
    """Find the rows that the rows [first, last) are splatted to."""
    samples, _, height, width = flow.shape
    for n in range(samples):
        fraction = fractions[n, 0, 0, 0]
        for y in range(first, last):
            least, most = np.float32(height), np.float32(-height)
            for x in range(width):
                dy = fraction * flow[n, 1, y, x]
                # A NaN fails these comparisons, and is splatted nowhere.
                if dy < least:
                    least = dy
                if dy > most:
                    most = dy
            reach[n, y, 0] = int(max(y + np.floor(least), _0))
            reach[n, y, 1] = int(min(y + np.floor(most) + 2, np.float32(height)))


# The arrays of one kernel: bundling them would be a tuple that every call unpacks again.
@cached_njit()
def _accumulate(
    first: int,
    last: int,
    image: Any,
    flow: Any,
    confidence: Any,
    importance: Any,
    fractions: Any,
    reach: Any,
    wanted: Any,
    sums: Any,
    top: int,
) -> None:
    """Sum up rows [first, last): source pixels in raster order, as in `splatting._scatter`."""
    samples, height, width, channels = image.shape
    for n in range(samples):
        fraction = fractions[n, 0, 0, 0]
        for y in range(height):
            if reach[n, y, 0] >= last or reach[n, y, 1] <= first:
                continue
            for x in range(width):
                dx, dy = fraction * flow[n, 0, y, x], fraction * flow[n, 1, y, x]
                # A NaN fails these comparisons too.
                if not (y + dy > first - 1 and y + dy < last and x + dx > -1 and x + dx < width):
                    continue
                left, upper = np.floor(dx), np.floor(dy)
                tx, ty = x + int(left), y + int(upper)
                rows, columns = (max(ty, first), min(ty + 2, last)), (max(tx, 0), min(tx + 2, width))
                if not _any_wanted(wanted[n], rows, columns):
                    continue
                color = image[n, y, x]
                alpha = color[3] if channels == 4 else _0
                source = color[0], color[1], color[2], alpha, dx, dy, confidence[n, 0, y, x]
                weight, right, bottom = importance[n, 0, y, x], dx - left, dy - upper
                for row in range(*rows):
                    # In float64, as in `splatting`: so the bits are the same.
                    row_weight = bottom if row > ty else 1 - bottom
                    for column in range(*columns):
                        column_weight = right if column > tx else 1 - right
                        _add(
                            sums[n, np.uint64(row - top), np.uint64(column)], source, weight, row_weight * column_weight
                        )


@cached_njit()
def _any_wanted(wanted: Any, rows: Any, columns: Any) -> bool:
    for row in range(*rows):
        for column in range(*columns):
            if wanted[np.uint64(row), np.uint64(column)]:
                return True
    return False


@cached_njit()
def _add(sums: Any, source: Any, weight: Any, part: Any) -> None:
    """Add a part of a source pixel to a target pixel; written out, which is twice as fast as a loop."""
    red, green, blue, alpha, dx, dy, confidence = source
    sums[0] += part * (red * weight)
    sums[1] += part * (green * weight)
    sums[2] += part * (blue * weight)
    sums[3] += part * (alpha * weight)
    sums[MOTION_X] += part * (dx * weight)
    sums[MOTION_Y] += part * (dy * weight)
    sums[COHERENCE] += part * ((dx * dx + dy * dy) * weight)  # turned into a variance by `_normalize`
    sums[CONFIDENCE] += part * (confidence * weight)
    sums[WEIGHT] += part * weight
    sums[DENSITY] += part


@cached_njit()
def _normalize(first: int, last: int, limits: Any, wanted: Any, sums: Any, top: int) -> None:
    """Turn sums into means, coherence and confidence in rows [first, last); limits as in `BlendRule`."""
    max_variance, min_density = limits
    most = np.float32(1.5)
    samples, _, width, _ = sums.shape
    for n in range(samples):
        for y in range(first, last):
            for x in range(width):
                pixel = sums[n, y - top, x]
                density = pixel[DENSITY]
                if not (wanted[n, y, x] and density > 0):
                    continue
                for channel in range(WEIGHT):
                    pixel[channel] /= pixel[WEIGHT]
                u, v, square = pixel[MOTION_X], pixel[MOTION_Y], pixel[COHERENCE]
                filled = _1 if density > min_density else _0
                variance = max(square - (u * u + v * v), _0)
                pixel[COHERENCE] = filled * min(max(most - variance / max_variance, _0), _1)
                pixel[CONFIDENCE] = filled * pixel[CONFIDENCE] * np.sqrt(min(max(density, min_density), _1))
