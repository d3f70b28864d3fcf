"""Keep the colors of flat drawings: in-betweens get the palette of their keys, and mixtures of it along edges only.

The palette is read from the keys: colors that fill areas. A pixel of an in-between that is close to a color of the
palette gets that color. Any other is taken for an edge: it becomes the nearest mixture of two colors, of which one, and
if possible both, fill pixels within a small window around it. Pixels that no such color is near to, as the inside of a
half-transparent ghost, get the stronger color of their mixture. Keys without anti-aliasing allow no mixtures.

A palette that does not give the keys themselves back is none: drawings with gradients, soft shadows or paper are left
as they are. Colors are compared as `animeinterp.frame.to_planes` has them, premultiplied, in 255ths of the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame, Frame, copied, from_planes, has_alpha, to_planes
from animeinterp.runtime.jit import cached_njit

Colors = NDArray[np.float32]  # (N, C), levels


@dataclass(frozen=True, slots=True)
class PaletteLimits:
    """Parameters of the palette.

    Chosen on 28 training crops of vector animation (`animeinterp dataset crops`) drawn by `cel`, not on the development
    set. Levels are 255ths of the range.

    Attributes:
        min_pixels: Pixels of a color, in all keys, at least.
        min_inside: Fraction of them that do not lie alone, at least.
        min_neighbors: Neighbors, of eight, that have the color of a pixel that does not lie alone. Three hold within
            lines of two pixels, but not along the row of mixtures beside a straight edge.
        max_colors: Colors of a palette, at most.
        step: Largest difference of two neighboring colors of a gradient, levels.
        max_gradient: Fraction of the pixels of all colors that may belong to gradients.
        close: Largest distance in one channel of a pixel that gets a color of the palette, levels.
        window: Radius of the window in which the colors of an edge are looked for, px.
        far_cost: How much closer a mixture with a color that is not in the window must be, levels.
        max_error: Largest error of a pixel of a key after snapping, levels.
        max_wrong: Fraction of the pixels of a key that may exceed it. Of the crops, 0.04 % do in flat drawings at most,
            0.17 % with gradients or shadows at least.
        aliased: Keys have no anti-aliasing if a smaller fraction of their pixels has other colors.
    """

    min_pixels: int = 16
    min_inside: float = 0.5
    min_neighbors: int = 3
    max_colors: int = 128
    step: float = 4.0
    max_gradient: float = 0.15
    close: float = 6.0
    window: int = 2
    far_cost: float = 8.0
    max_error: float = 8.0
    max_wrong: float = 0.0005
    aliased: float = 2e-4


PALETTE_LIMITS = PaletteLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The colors of flat drawings.

    Attributes:
        colors: float32 (K, C), levels, premultiplied; the most frequent first. None of a declined palette are kept.
        aliased: Whether the keys have no anti-aliasing.
        declined: Why the keys have no palette, a sentence; empty where they have one.
    """

    colors: Colors
    aliased: bool = False
    declined: str = ""


def find_palette(keys: Sequence[Frame], limits: PaletteLimits = PALETTE_LIMITS) -> Palette:
    """Find the palette of keys.

    Args:
        keys: Of one mode and depth, see `animeinterp.frame`; at least one.
        limits: What counts as a color.

    Returns:
        The palette; `declined` says why, where there is none.
    """
    totals: dict[int, int] = {}
    insides: dict[int, int] = {}
    for key in keys:
        packed = _packed(key)
        _count(totals, packed)
        _count(insides, packed[1:-1, 1:-1][_neighbors(packed) >= limits.min_neighbors])
    frequent = (color for color, number in totals.items() if number >= limits.min_pixels)
    filled = [color for color in frequent if insides.get(color, 0) >= limits.min_inside * totals[color]]
    filled.sort(key=lambda color: (-totals[color], color))
    nothing = np.zeros((0, _pixels(keys[0][:1, :1]).shape[1]), np.float32)
    if not filled:
        return Palette(nothing, declined="no color fills an area")
    if len(filled) > limits.max_colors:
        return Palette(nothing, declined=f"{len(filled)} colors fill areas; a palette has at most {limits.max_colors}")
    colors = _unpacked(filled, keys[0])
    gradient = _gradient_share(colors, np.array([totals[color] for color in filled]), limits)
    if gradient > limits.max_gradient:
        return Palette(nothing, declined=f"gradients fill {gradient:.0%} of the areas")
    other = 1 - sum(totals[color] for color in filled) / sum(totals.values())
    palette = Palette(colors, aliased=other < limits.aliased)
    for key in keys:
        error = np.abs(_pixels(snap_colors(key, palette, limits)) - _pixels(key)).max(axis=1)
        wrong = float((error > limits.max_error).mean())
        if wrong > limits.max_wrong:
            sentence = f"{wrong:.1%} of a key are neither of the {len(filled)} colors that fill areas nor edges between"
            return Palette(nothing, declined=sentence)
    return palette


def snap_colors(drawn: AnyFrame, palette: Palette, limits: PaletteLimits = PALETTE_LIMITS) -> AnyFrame:
    """Give a frame the colors of a palette, and mixtures of two of them along edges.

    Args:
        drawn: Of the mode and depth of the keys.
        palette: Of the keys.
        limits: What counts as close and as an edge.

    Returns:
        The frame; a copy where there is no palette.
    """
    if not len(palette.colors):
        return copied(drawn)
    shape, pixels = drawn.shape[:2], _pixels(drawn)
    labels, distance = _nearest(pixels, drawn, palette.colors)
    filled = distance <= limits.close
    if filled.any():  # else there is nothing whose edges the others could be
        labels = np.where(filled, labels, -1)
    labels = labels.reshape(shape)
    edge = np.flatnonzero(labels < 0)
    lonely = edge[~_labels_near(labels, edge, limits.window, len(palette.colors)).any(axis=1)]
    labels.ravel()[lonely] = _settle(pixels[lonely], labels, lonely, palette.colors, limits)
    edge = np.flatnonzero(labels < 0)
    snapped = palette.colors[labels.ravel()]
    if edge.size:
        soft = np.zeros(shape, np.uint8)
        soft.ravel()[lonely] = 1
        near = _labels_near(labels, edge, limits.window, len(palette.colors))
        thin = cv2.dilate(soft, np.ones((2 * limits.window + 1,) * 2, np.uint8)).ravel()[edge] == 0
        first, second, share = _mix(pixels[edge], near, thin, palette.colors, np.float32(limits.far_cost))
        share = np.rint(share) if palette.aliased else share
        snapped[edge] = palette.colors[first] + share[:, None] * (palette.colors[second] - palette.colors[first])
    planes = np.ascontiguousarray(snapped.T.reshape(-1, *shape)) / np.float32(255)
    return from_planes(planes, drawn)


def _pixels(frame: Frame) -> Colors:
    """Return the pixels of a frame, float32 (H·W, C), levels, premultiplied."""
    planes = to_planes(frame)
    return np.ascontiguousarray(planes.reshape(len(planes), -1).T) * np.float32(255)


def _packed(frame: Frame) -> NDArray[np.uint64]:
    """Pack each pixel of a frame into one number, (H, W); invisible colors are 0."""
    channels = frame.reshape(*frame.shape[:2], -1)
    if has_alpha(frame):
        channels = np.where(channels[..., -1:] > 0, channels, np.zeros((), frame.dtype))
    packed = np.zeros(frame.shape[:2], np.uint64)
    for channel in range(channels.shape[2]):
        packed = (packed << np.uint64(16)) | channels[..., channel]
    return packed


def _unpacked(colors: Sequence[int], like: Frame) -> Colors:
    """Convert packed colors to levels, float32 (K, C), premultiplied."""
    count = 1 if like.ndim == 2 else like.shape[2]
    values = [[color >> 16 * (count - 1 - channel) & 0xFFFF for channel in range(count)] for color in colors]
    row: Frame = np.zeros((1, len(colors), *like.shape[2:]), like.dtype)
    row[:] = np.array(values).reshape(row.shape)
    return _pixels(row)


def _count(counts: dict[int, int], packed: NDArray[np.uint64]) -> None:
    """Add how often each number occurs."""
    for color, number in zip(*(side.tolist() for side in np.unique(packed, return_counts=True)), strict=True):
        counts[color] = counts.get(color, 0) + number


def _neighbors(packed: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the neighbors, of eight, that have the color of a pixel, for all but the outermost pixels."""
    height, width = packed.shape
    center = packed[1:-1, 1:-1]
    equal = np.zeros(center.shape, np.uint8)
    for y in range(3):
        for x in range(3):
            equal += packed[y : height - 2 + y, x : width - 2 + x] == center
    return equal - np.uint8(1)  # itself


def _gradient_share(colors: Colors, numbers: NDArray[np.int64], limits: PaletteLimits) -> float:
    """Return the fraction of pixels of colors that hardly differ from a more frequent one; colors by frequency."""
    apart = np.abs(colors[:, None] - colors).max(axis=2)
    follows = (np.tril(apart <= limits.step, -1)).any(axis=1)
    return float(numbers[follows].sum() / numbers.sum())


def _nearest(pixels: Colors, frame: Frame, colors: Colors) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest color of each pixel, and its distance in the channel that differs most."""
    _, first, inverse = np.unique(_packed(frame), return_index=True, return_inverse=True)
    different = pixels[first]
    labels, distance = np.empty(len(different), np.int64), np.empty(len(different), np.float32)
    for begin in range(0, len(different), 1 << 14):
        part = slice(begin, begin + (1 << 14))
        apart = np.abs(different[part, None] - colors).max(axis=2)
        labels[part] = apart.argmin(axis=1)
        distance[part] = apart.min(axis=1)
    return labels[inverse.ravel()], distance[inverse.ravel()]


@cached_njit()
def _labels_near(labels, places, window, count):  # type: ignore[no-untyped-def]
    """Tell which of `count` labels occur within a window around each place, a flat index: bool (N, count)."""
    height, width = labels.shape
    near = np.zeros((len(places), count), np.bool_)
    for i in range(len(places)):
        y, x = places[i] // width, places[i] % width
        for row in range(max(0, y - window), min(height, y + window + 1)):
            for column in range(max(0, x - window), min(width, x + window + 1)):
                if labels[row, column] >= 0:
                    near[i, labels[row, column]] = True
    return near


@cached_njit()
def _mix(pixels, near, thin, colors, far_cost):  # type: ignore[no-untyped-def]
    """Find the closest mixture of a color that is near and another one.

    Args:
        pixels: float32 (N, C).
        near: Which colors are near to each pixel, bool (N, K).
        thin: Where the other color need not be near: it costs more then, bool (N,).
        colors: float32 (K, C).
        far_cost: That cost, levels.

    Returns:
        The two colors, int64 (N,) each, and the share of the second, float32 (N,).
    """
    first, second = np.zeros(len(pixels), np.int64), np.zeros(len(pixels), np.int64)
    shares = np.zeros(len(pixels), np.float32)
    for i in range(len(pixels)):
        best = np.float32(np.inf)
        for start in np.flatnonzero(near[i]):
            for end in range(len(colors)):
                cost = np.float32(0) if near[i, end] else far_cost
                if cost >= best or not (near[i, end] or thin[i]):
                    continue
                share, missed = _project(pixels[i], colors[start], colors[end])
                if cost + missed < best:
                    best = cost + missed
                    first[i], second[i], shares[i] = start, end, share
    return first, second, shares


@cached_njit()
def _project(pixel, start, end):  # type: ignore[no-untyped-def]
    """Return the share of `end` in the mixture of two colors that is closest to a pixel, and its distance."""
    length, along, square = np.float32(1e-6), np.float32(0), np.float32(0)
    for channel in range(len(pixel)):
        way, offset = end[channel] - start[channel], pixel[channel] - start[channel]
        length += way * way
        along += way * offset
        square += offset * offset
    share = min(max(along / length, np.float32(0)), np.float32(1))
    return share, np.sqrt(max(square - 2 * share * along + share * share * length, np.float32(0)))


def _settle(
    pixels: Colors, labels: NDArray[np.int64], places: NDArray[np.int64], colors: Colors, limits: PaletteLimits
) -> NDArray[np.int64]:
    """Choose labels for pixels that no filled pixel is near to: the stronger color of a mixture with one around."""
    if not len(pixels):
        return places
    distances = np.full((len(pixels), len(colors)), np.inf, np.float32)
    for label in np.unique(labels[labels >= 0]):
        away = cv2.distanceTransform((labels != label).astype(np.uint8), cv2.DIST_L2, 3)
        distances[:, label] = np.asarray(away).ravel()[places]
    around = distances <= 2 * distances.min(axis=1, keepdims=True)
    first, second, share = _mix(pixels, around, np.ones(len(pixels), bool), colors, np.float32(limits.far_cost))
    return np.asarray(np.where(share >= 0.5, second, first))
