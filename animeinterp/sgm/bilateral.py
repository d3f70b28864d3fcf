"""OpenCV's bilateral filter, value for value, in about half of its time where windows are small.

The filter weights a window by nearness in space and in colour. OpenCV looks the weights up; here a polynomial
computes them in wide registers, with an error that the rounding to whole grey levels almost always hides. Values
that come near a half are summed again as OpenCV sums them, and the hundred or so per frame where its last bit
decides are left to OpenCV itself, which is shown their windows side by side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.jit import compiled

# px. For smaller windows Intel's part of OpenCV has other code, which sums in another order; for larger ones,
# showing windows to OpenCV takes longer than showing it the frame.
RADII = range(4, 8)
# Nearness to a half, in grey levels, that leaves a value in doubt. In 320 frames the polynomial's sums were off by
# up to 6.5e-6 per pixel of the window, and the sums repeated in OpenCV's way by 6e-5.
_DOUBT_PER_PIXEL = 1.2e-5
_DOUBT = 1e-4
# Where the window crosses the left or right border OpenCV sums in another order: there it is shown ends of rows.
_END = 64  # px


def bilateral_filter(
    frame: NDArray[np.uint8], diameter: int, sigma_color: float, sigma_space: float
) -> NDArray[np.uint8]:
    """What `cv2.bilateralFilter` returns.

    frame: (H, W, 3) uint8. diameter, sigma_space: px. sigma_color: grey levels, summed over the channels.
    """
    radius = diameter // 2
    if radius not in RADII or min(sigma_color, sigma_space) <= 0:
        return np.asarray(cv2.bilateralFilter(frame, diameter, sigma_color, sigma_space), np.uint8)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    window = np.stack([y, x], axis=1)[y * y + x * x <= radius * radius]
    in_space = np.exp((window**2).sum(axis=1) * (-0.5 / sigma_space**2)).astype(np.float32)
    in_color = np.exp(np.arange(3 * 255 + 1) ** 2 * (-0.5 / sigma_color**2)).astype(np.float32)
    padded = np.asarray(cv2.copyMakeBorder(frame, *(radius,) * 4, cv2.BORDER_REFLECT_101), np.uint8)
    planes = np.stack(cv2.split(padded)).astype(np.float32)
    levels, doubtful = _filter(planes, radius, window + radius, in_space, -0.5 / sigma_color**2)
    doubtful = _sum_again(padded, radius, window + radius, in_space, in_color, levels, doubtful)
    smooth = np.asarray(cv2.merge(levels), np.uint8)
    y, x = np.divmod(np.unique(doubtful % levels[0].size), frame.shape[1])

    def ask(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.bilateralFilter(pixels, diameter, sigma_color, sigma_space), np.uint8)

    side = np.arange(2 * radius + 1)
    if len(y) * len(side) ** 2 > levels[0].size:
        return ask(frame)
    if len(y) > 0:
        windows = padded[y[:, None] + side[:, None, None], x[:, None] + side].reshape(len(side), -1, 3)
        # Twice: alone, a window would be all border to OpenCV.
        smooth[y, x] = ask(np.hstack([windows, windows[:, : len(side)]]))[radius, radius :: len(side)][: len(y)]
    inner = (y >= radius) & (y < frame.shape[0] - radius)
    for at_border, shown, kept in (
        (inner & (x < radius), slice(_END), slice(radius)),
        (inner & (x >= frame.shape[1] - radius), slice(-_END, None), slice(-radius, None)),
    ):
        if at_border.any():
            ends = frame[y[at_border, None] + side - radius, shown]
            smooth[y[at_border], kept] = ask(ends.reshape(-1, *ends.shape[2:]))[radius :: len(side), kept]
    return smooth


@compiled()
def _filter(planes, radius, window, in_space, scale):  # type: ignore[no-untyped-def]
    """The filtered planes, and the positions of values in doubt in the flattened planes.

    planes: (3, H + 2 radius, W + 2 radius) float32. window: (n, 2) y, x from the window's corner.
    """
    height, width = planes.shape[1] - 2 * radius, planes.shape[2] - 2 * radius
    levels = np.empty((3, height, width), np.uint8)
    doubtful = np.empty(levels.size, np.int64)
    count = 0
    certain = np.float32(0.5 - len(window) * _DOUBT_PER_PIXEL)
    weight = np.empty(width, np.float32)
    sums = (np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32))
    for y in range(height):
        center = _rows(planes, y + radius, radius, width)
        weight[:] = 0
        for channel in range(3):
            sums[channel][:] = 0
        for k in range(len(window)):
            values = _rows(planes, y + window[k, 0], window[k, 1], width)
            _add(values, center, in_space[k], np.float32(scale / 16), weight, sums)
        for channel in range(3):
            offset = _round(sums[channel], weight, levels[channel, y])
            for x in range(width):
                if offset[x] > certain:
                    doubtful[count] = (channel * height + y) * width + x
                    count += 1
    return levels, doubtful[:count]


@compiled()
def _rows(planes, y, x, width):  # type: ignore[no-untyped-def]
    """One stretch of a row in each channel."""
    return planes[0, y, x : x + width], planes[1, y, x : x + width], planes[2, y, x : x + width]


@compiled(fastmath={"contract"})
def _add(values, center, nearness, scale, weight, sums):  # type: ignore[no-untyped-def]
    """Add the neighbours `values` of a row of pixels, as near in space as `nearness`, to their sums."""
    value0, value1, value2 = values
    center0, center1, center2 = center
    sum0, sum1, sum2 = sums
    one, c2, c3 = np.float32(1), np.float32(1 / 2), np.float32(1 / 6)
    c4, c5 = np.float32(1 / 24), np.float32(1 / 120)
    for x in range(weight.size):
        distance = abs(value0[x] - center0[x]) + abs(value1[x] - center1[x]) + abs(value2[x] - center2[x])
        # exp(16 t) as the 16th power of a Taylor polynomial; beyond t = -1.5 it is nothing anyway.
        t = max(distance * distance * scale, np.float32(-1.5))
        root = one + t * (one + t * (c2 + t * (c3 + t * (c4 + t * c5))))
        root *= root
        root *= root
        root *= root
        w = nearness * (root * root)
        weight[x] += w
        sum0[x] += w * value0[x]
        sum1[x] += w * value1[x]
        sum2[x] += w * value2[x]


@compiled(error_model="numpy")
def _round(total, weight, levels):  # type: ignore[no-untyped-def]
    """Write the rounded means of a row to `levels`; returns how far rounding moved them."""
    offset = total
    for x in range(total.size):
        value = total[x] / weight[x]
        level = np.floor(value + np.float32(0.5))
        levels[x] = np.uint8(np.int32(level))
        offset[x] = abs(value - level)
    return offset


@compiled()
def _sum_again(padded, radius, window, in_space, in_color, levels, doubtful):  # type: ignore[no-untyped-def]
    """Mend the levels in doubt by sums with tabled weights, as OpenCV's; returns those left in doubt."""
    _, height, width = levels.shape
    count = 0
    for position in doubtful:
        row, x = position // width, position % width
        channel, y = row // height, row % height
        center = padded[y + radius, x + radius]
        red, green, blue = np.int64(center[0]), np.int64(center[1]), np.int64(center[2])
        total, weight = np.float32(0), np.float32(0)
        for k in range(len(window)):
            pixel = padded[y + window[k, 0], x + window[k, 1]]
            distance = abs(red - pixel[0]) + abs(green - pixel[1]) + abs(blue - pixel[2])
            w = in_space[k] * in_color[distance]
            weight += w
            total += w * np.float32(pixel[channel])
        value = total / weight
        level = np.floor(value + np.float32(0.5))
        levels[channel, y, x] = np.uint8(level)
        if abs(value - level) > np.float32(0.5 - _DOUBT):
            doubtful[count] = position
            count += 1
    return doubtful[:count]
