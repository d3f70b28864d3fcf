"""Fills → segments: small fills join the neighbor of most similar colors (docs/paper-to-code.md, 3).

The published code scans the whole image for every label of every pass. Here a segment is a set of whole fills: a pass
moves fills between labels, and visits only the pixels of small segments, their rims and their neighbors.

Similar colors means similar histograms, whose bins span each segment's own range: they distinguish shades and textures,
but any two segments of one flat color each count as alike.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage
from animeinterp.runtime.jit import cached_njit


class MergeRules(NamedTuple):
    """When a small segment joins its most similar neighbor; the published values. A NamedTuple, for numba.

    Contact is the number of rim pixels shared with that neighbor. Similarity is the histogram intersection in [0, 1].

    Attributes:
        small_area: Segments from this area up never join another, px.
        passes: Passes over all small segments, at most; fewer where no segment disappears.
        bins: Histogram bins per channel.
        isolated_area: Segments without a neighbor become line below this area, px.
        tiny_area: Segments join below this area, px.
        enclosed_area: Segments with a single neighbor join below this area, px …
        enclosed_contact: … or, up to `small_area`, above this contact, px.
        similar: Area, px, below which, and similarity and contact, px, above which a segment joins.
        very_similar: The same for a higher similarity.
    """

    small_area: int = 500
    passes: int = 10
    bins: int = 25
    isolated_area: int = 5
    tiny_area: int = 50
    enclosed_area: int = 300
    enclosed_contact: int = 2
    similar: tuple[int, float, int] = (150, 0.2, 1)
    very_similar: tuple[int, float, int] = (250, 0.25, 8)


RULES = MergeRules()


class _Groups(NamedTuple):
    """Items sorted into groups: those of group k are items[start[k] : start[k + 1]]."""

    items: NDArray[np.int32]
    start: NDArray[np.int64]


class _Fills(NamedTuple):
    """What does not change while segments form; the colors of large fills are counted once.

    Attributes:
        canvas: int32 (H + 2, W + 2), the fills, with a margin of line.
        colors: uint8 ((H + 2) (W + 2), 3) RGB, their pixels.
        area: int64 (n,), px.
        pixels: Positions of each fill's pixels in the flattened canvas.
        slot: int32 (n,), a large fill's row in `counts`, -1 for small ones.
        counts: int32 (large fills, 3, 256), the number of pixels of each value.
    """

    canvas: NDArray[np.int32]
    colors: NDArray[np.uint8]
    area: NDArray[np.int64]
    pixels: _Groups
    slot: NDArray[np.int32]
    counts: NDArray[np.int32]


class _SegmentTable(NamedTuple):
    """What is known of each segment, one row per label; rows marked `changed` are out of date.

    Attributes:
        histograms: float64 (n, 3 bins).
        is_point: bool (n,), see `_contour_is_point`.
        changed: bool (n,).
    """

    histograms: NDArray[np.float64]
    is_point: NDArray[np.bool_]
    changed: NDArray[np.bool_]


class _Rim(NamedTuple):
    """Scratch space for the rim of one segment: its neighbors' labels, and pixels shared with each label."""

    neighbors: NDArray[np.int32]
    shared: NDArray[np.int64]
    stamps: NDArray[np.int32]


def merge_small_segments(fills: NDArray[np.int32], image: RGBImage, rules: MergeRules = RULES) -> NDArray[np.int32]:
    """Merge small segments into neighbors by the published rules.

    Args:
        fills: int32 (H, W), 0 = line, 1..n = fills.
        image: uint8 (H, W, 3) RGB.
        rules: When a segment joins its neighbor.

    Returns:
        int32 (H, W), labels out of 0..n.
    """
    # A margin of line: it is no neighbor, and every pixel of a segment has all its eight neighbors.
    canvas = np.pad(fills, 1)
    colors = np.pad(image, ((1, 1), (1, 1), (0, 0))).reshape(-1, 3)
    count = int(fills.max()) + 1
    known = _collect(canvas, colors, count, rules.small_area)
    label = np.arange(count, dtype=np.int32)
    segments = _SegmentTable(np.zeros((count, 3 * rules.bins)), np.zeros(count, np.bool_), np.ones(count, np.bool_))
    rim = _Rim(np.zeros(count, np.int32), np.zeros(count, np.int64), np.zeros(canvas.size, np.int32))
    for turn in range(rules.passes):
        members = _group(label, count)
        area = np.bincount(label, known.area, count).astype(np.int64)
        changed = segments.changed
        segments.is_point[changed] = area[changed] == 1
        for segment in np.flatnonzero(_has_lone_pixel(known, label, members, area, changed, rules.small_area)):
            fills_of = members.items[members.start[segment] : members.start[segment + 1]]
            own = [known.pixels.items[slice(*known.pixels.start[fill : fill + 2])] for fill in fills_of]
            segments.is_point[segment] = _contour_is_point(*np.divmod(np.concatenate(own), canvas.shape[1]))
        merged = _merge_pass(known, label, members, area, segments, rim, turn * count, rules)
        moved = merged != label
        changed[label[moved]] = True
        changed[merged[moved]] = True
        before, after = (np.count_nonzero(np.bincount(of_fill, known.area)) for of_fill in (label, merged))
        label = merged
        if before == after:
            break
    return label[fills]


def _contour_is_point(y: NDArray[np.int32], x: NDArray[np.int32]) -> bool:
    """Whether the first outer contour that OpenCV finds of these pixels is a point.

    A segment in several parts has several contours. The published rule considers only the first in OpenCV's order.
    """
    mask = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.uint8)
    mask[y - y.min(), x - x.min()] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len(cv2.approxPolyDP(contours[0], 0.02 * cv2.arcLength(contours[0], True), True)) == 1


@cached_njit()
def _group(group_of, count):  # type: ignore[no-untyped-def]
    """Group the positions of an array by its values."""
    start = np.zeros(count + 1, np.int64)
    for group in group_of:
        start[group + 1] += 1
    start = np.cumsum(start)
    items = np.empty(group_of.size, np.int32)
    end = start[:-1].copy()
    for i in range(group_of.size):
        group = group_of[i]
        items[end[group]] = i
        end[group] += 1
    return _Groups(items, start)


def _collect(canvas: NDArray[np.int32], colors: NDArray[np.uint8], count: int, small_area: int) -> _Fills:
    """Collect the `_Fills` of a map."""
    pixels = _group(canvas.reshape(-1), count)
    area = pixels.start[1:] - pixels.start[:-1]
    slot = np.full(count, -1, np.int32)
    large = np.flatnonzero(area[1:] >= small_area) + 1
    slot[large] = np.arange(large.size)
    counts = np.zeros((large.size, 3, 256), np.int32)
    for row, fill in enumerate(large):
        _count_colors(pixels.items[pixels.start[fill] : pixels.start[fill + 1]], colors, counts[row])
    return _Fills(canvas, colors, area, pixels, slot, counts)


@cached_njit()
def _count_colors(pixels, colors, counts):  # type: ignore[no-untyped-def]
    """Add the pixels of each value to counts (3, 256)."""
    for index in pixels:
        for channel in range(3):
            counts[channel, colors[index, channel]] += 1


@cached_njit()
def _has_lone_pixel(known, label, members, area, changed, small_area):  # type: ignore[no-untyped-def]
    """Mark changed small segments of several pixels with a pixel that touches no other of the segment.

    Only these can be a point by `_contour_is_point`: a contour is simplified to a point if it is one, or if it were
    over 40 times longer than the segment is wide.
    """
    flat, pixels = known.canvas.reshape(-1), known.pixels
    row = known.canvas.shape[1]
    steps = np.array([1, -1, row, -row, row + 1, row - 1, -row + 1, -row - 1])
    has_lone = np.zeros(area.size, np.bool_)
    for segment in range(1, area.size):
        if not changed[segment] or area[segment] < 2 or area[segment] >= small_area:
            continue
        for fill in members.items[members.start[segment] : members.start[segment + 1]]:
            for index in pixels.items[pixels.start[fill] : pixels.start[fill + 1]]:
                is_lone = True
                for step in steps:
                    if label[flat[index + step]] == segment:
                        is_lone = False
                        break
                has_lone[segment] |= is_lone
    return has_lone


@cached_njit()
def _merge_pass(known, label, members, area, segments, rim, stamp, rules):  # type: ignore[no-untyped-def]
    """Run one pass in ascending order of label; returns the new label of each fill.

    Rims are read from the labels as changed so far; areas, points and histograms are those before the pass.
    stamp: not less than any used before.
    """
    current = label.copy()
    histograms, changed = segments.histograms, segments.changed
    for segment in range(1, area.size):
        if area[segment] == 0 or area[segment] >= rules.small_area:
            continue
        neighbors = _find_rim(known, label, current, members, segment, rim, stamp + segment)
        target = segment
        similarity, best, contact = -1.0, -1.0, -1
        if neighbors == 0 and area[segment] < rules.isolated_area:
            target = 0
        if neighbors > 0 and changed[segment]:
            _histogram(segment, known, members, histograms[segment], rules.bins)
            changed[segment] = False
        for other in rim.neighbors[:neighbors]:
            if changed[other]:
                _histogram(other, known, members, histograms[other], rules.bins)
                changed[other] = False
            # As in the published code, `similarity` is afterward that of the last neighbor, although the best one's
            # is meant: `_joins` gets it.
            similarity = _similarity(histograms[segment], histograms[other])
            if similarity > best:
                best, contact, target = similarity, rim.shared[other], other
            rim.shared[other] = 0
        if segments.is_point[segment] or _joins(area[segment], neighbors, contact, similarity, rules):
            for fill in members.items[members.start[segment] : members.start[segment + 1]]:
                current[fill] = target
    return current


@cached_njit()
def _joins(area, neighbors, contact, similarity, rules):  # type: ignore[no-untyped-def]
    """Whether a small segment joins its most similar neighbor, see `MergeRules`."""
    if area < rules.tiny_area:
        return True
    if neighbors == 1 and (area < rules.enclosed_area or contact > rules.enclosed_contact):
        return True
    for max_area, min_similarity, min_contact in (rules.similar, rules.very_similar):
        if area < max_area and similarity > min_similarity and contact > min_contact:
            return True
    return False


@cached_njit()
def _find_rim(known, label, current, members, segment, rim, stamp):  # type: ignore[no-untyped-def]
    """List the owners of a segment's 4-connected rim in ascending order, without lines; returns their number."""
    flat, pixels = known.canvas.reshape(-1), known.pixels
    sides = np.array([1, -1, known.canvas.shape[1], -known.canvas.shape[1]])
    neighbors = 0
    for fill in members.items[members.start[segment] : members.start[segment + 1]]:
        for index in pixels.items[pixels.start[fill] : pixels.start[fill + 1]]:
            for step in sides:
                neighbor = index + step
                other_fill = flat[neighbor]
                if other_fill == fill or rim.stamps[neighbor] == stamp or label[other_fill] == segment:
                    continue
                rim.stamps[neighbor] = stamp
                # May be `segment` itself, where another has joined it in this pass.
                other = current[other_fill]
                if other == 0:
                    continue
                if rim.shared[other] == 0:
                    place = neighbors
                    while place > 0 and rim.neighbors[place - 1] > other:
                        rim.neighbors[place] = rim.neighbors[place - 1]
                        place -= 1
                    rim.neighbors[place] = other
                    neighbors += 1
                rim.shared[other] += 1
    return neighbors


@cached_njit()
def _histogram(segment, known, members, out, bins):  # type: ignore[no-untyped-def]
    """Compute the color histogram of a segment, blue first as published (similarities are summed in that order)."""
    counts = np.zeros((3, 256), np.int32)
    pixels = known.pixels
    for fill in members.items[members.start[segment] : members.start[segment + 1]]:
        if known.slot[fill] >= 0:
            counts += known.counts[known.slot[fill]]
        else:
            _count_colors(pixels.items[pixels.start[fill] : pixels.start[fill + 1]], known.colors, counts)
    for channel in range(3):
        _fill_bins(counts[channel], out[(2 - channel) * bins : (3 - channel) * bins])
    out /= 3 * counts[0].sum()


@cached_njit()
def _fill_bins(counts, bins):  # type: ignore[no-untyped-def]
    """Fill bins of equal width from the lowest to the highest value that occurs, placed as by numpy.histogram."""
    low, high = 0, 255
    while counts[low] == 0:
        low += 1
    while counts[high] == 0:
        high -= 1
    first, last = float(low), float(high)
    if low == high:
        first, last = first - 0.5, last + 0.5
    step = (last - first) / bins.size
    bins[:] = 0
    place = 0
    for value in range(low, high + 1):
        while place < bins.size - 1 and value >= (place + 1) * step + first:
            place += 1
        bins[place] += counts[value]


@cached_njit()
def _similarity(a, b):  # type: ignore[no-untyped-def]
    """Compute the histogram intersection, summed in numpy's pairwise order so that ties break as published."""
    sums = np.zeros(8)
    whole = a.size - a.size % 8
    for i in range(0, whole, 8):
        for k in range(8):
            sums[k] += min(a[i + k], b[i + k])
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for i in range(whole, a.size):
        total += min(a[i], b[i])
    return total
