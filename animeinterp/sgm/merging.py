"""Fills → segments: small fills join the neighbor of most similar colors, lines are thinned (system §1a).

The published method scans the whole frame for every label of every pass. Here a segment is a set of whole
fills: a pass moves fills between labels, and looks only at the pixels of small segments, their rims and their
neighbors.

Similar colors means similar histograms, whose bins span each segment's own range: they tell shades and
textures apart, but two segments of one flat color each look alike whatever the colors.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.runtime.jit import cached_njit

SMALL = 500  # px; segments from this area up are never merged away
PASSES = 10
LAYERS = 100  # lines more than twice as thick keep a core, which becomes a segment
_BINS = 25
_AROUND = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1))  # (dx, dy), clockwise


class _Groups(NamedTuple):
    """Items sorted into groups: those of group k are items[start[k] : start[k + 1]]."""

    items: NDArray[np.int32]
    start: NDArray[np.int64]


class _Fills(NamedTuple):
    """What stays true of the fills while segments form: the pixels of small ones, the colors of large ones.

    area: (n,) px. pixels: positions of each small fill in the margined map. slot: a large fill's row in
    `counts`, -1 for small ones. counts: (large fills, 3, 256), the pixels of each value.
    """

    area: NDArray[np.int64]
    pixels: _Groups
    slot: NDArray[np.int32]
    counts: NDArray[np.int32]


class _Rim(NamedTuple):
    """Scratch space for the rim of one segment: its neighbors' labels, and pixels shared with each label."""

    neighbors: NDArray[np.int32]
    shared: NDArray[np.int64]
    seen: NDArray[np.int32]


def merge_small_segments(fills: NDArray[np.int32], frame: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Merge small segments into neighbors by the published rules, in up to 10 passes.

    fills: (H, W) int32, 0 = line, 1..n. frame: (H, W, 3) uint8, RGB.
    Returns (H, W) int32, labels out of 0..n.
    """
    # A margin of line: it is nobody's neighbor, and every pixel of a segment has all its eight neighbors.
    canvas = np.pad(fills, 1)
    colors = np.pad(frame, ((1, 1), (1, 1), (0, 0))).reshape(-1, 3)
    count = int(fills.max()) + 1
    known = _collect(canvas.reshape(-1), colors, count)
    label = np.arange(count, dtype=np.int32)
    histograms = np.zeros((count, 3 * _BINS))
    point = np.zeros(count, np.bool_)
    changed = np.ones(count, np.bool_)
    rim = _Rim(np.zeros(count, np.int32), np.zeros(count, np.int64), np.zeros(canvas.size, np.int32))
    for turn in range(PASSES):
        members = _group(label, count)
        area = np.bincount(label, known.area, count).astype(np.int64)
        point[changed] = area[changed] == 1
        for segment in np.flatnonzero(_lonely(canvas, label, known.pixels, members, area, changed)):
            fills_of = members.items[members.start[segment] : members.start[segment + 1]]
            own = [known.pixels.items[slice(*known.pixels.start[fill : fill + 2])] for fill in fills_of]
            point[segment] = _contour_is_point(*np.divmod(np.concatenate(own), canvas.shape[1]))
        merged = _merge_pass(canvas, colors, label, known, members, area, point, histograms, changed, rim, turn * count)
        moved = merged != label
        changed[label[moved]] = True
        changed[merged[moved]] = True
        before, after = (np.count_nonzero(np.bincount(of_fill, known.area)) for of_fill in (label, merged))
        label = merged
        if before == after:
            break
    return label[fills]


def _contour_is_point(y: NDArray[np.int32], x: NDArray[np.int32]) -> bool:
    """Whether, of the outer contours of these pixels, the one that OpenCV finds first is a point.

    A segment that fell apart has several contours, and the published rule looks at one only: whichever OpenCV
    lists first. So OpenCV is asked.
    """
    mask = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.uint8)
    mask[y - y.min(), x - x.min()] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len(cv2.approxPolyDP(contours[0], 0.02 * cv2.arcLength(contours[0], True), True)) == 1


@cached_njit()
def _group(group_of, count):  # type: ignore[no-untyped-def]
    """The positions of an array grouped by its values."""
    start = np.zeros(count + 1, np.int64)
    for group in group_of:
        start[group + 1] += 1
    start = np.cumsum(start)
    items = np.empty(group_of.size, np.int32)
    at = start[:-1].copy()
    for i in range(group_of.size):
        group = group_of[i]
        items[at[group]] = i
        at[group] += 1
    return _Groups(items, start)


@cached_njit()
def _collect(canvas, colors, count):  # type: ignore[no-untyped-def]
    """The `_Fills` of a flattened map; line pixels are in none of them."""
    area = np.zeros(count, np.int64)
    for fill in canvas:
        area[fill] += 1
    slot = np.full(count, -1, np.int32)
    start = np.zeros(count + 1, np.int64)
    large = 0
    for fill in range(1, count):
        start[fill + 1] = start[fill]
        if area[fill] >= SMALL:
            slot[fill] = large
            large += 1
        else:
            start[fill + 1] += area[fill]
    items = np.empty(start[-1], np.int32)
    at = start[:-1].copy()
    counts = np.zeros((large, 3, 256), np.int32)
    for here in range(canvas.size):
        fill = canvas[here]
        if slot[fill] >= 0:
            for channel in range(3):
                counts[slot[fill], channel, colors[here, channel]] += 1
        elif fill > 0:
            items[at[fill]] = here
            at[fill] += 1
    return _Fills(area, _Groups(items, start), slot, counts)


@cached_njit()
def _lonely(canvas, label, pixels, members, area, changed):  # type: ignore[no-untyped-def]
    """Which changed small segments of several pixels have one that touches none of its own: a possible `point`.

    (A contour is simplified to a point if it is one, or were over 40 times longer than the segment is wide.)
    """
    flat = canvas.reshape(-1)
    row = canvas.shape[1]
    around = np.array([1, -1, row, -row, row + 1, row - 1, -row + 1, -row - 1])
    lonely = np.zeros(area.size, np.bool_)
    for segment in range(1, area.size):
        if not changed[segment] or area[segment] < 2 or area[segment] >= SMALL:
            continue
        for fill in members.items[members.start[segment] : members.start[segment + 1]]:
            for here in pixels.items[pixels.start[fill] : pixels.start[fill + 1]]:
                alone = True
                for step in around:
                    if label[flat[here + step]] == segment:
                        alone = False
                        break
                lonely[segment] |= alone
    return lonely


@cached_njit()
def _merge_pass(  # type: ignore[no-untyped-def]
    canvas, colors, label, known, members, area, point, histograms, changed, rim, stamp
):
    """One pass in ascending order of label; returns the new label of each fill.

    Rims are read off the labels as changed so far; areas, points and histograms are those before the pass.
    changed: whose row of `histograms` is out of date. stamp: not less than any used before.
    """
    current = label.copy()
    for segment in range(1, area.size):
        if area[segment] == 0 or area[segment] >= SMALL:
            continue
        neighbors = _find_rim(canvas, label, current, known.pixels, members, segment, rim, stamp + segment)
        target = segment
        similarity, best, contact = -1.0, -1.0, -1
        if neighbors == 0 and area[segment] < 5:
            target = 0
        if neighbors > 0 and changed[segment]:
            _histogram(segment, colors, known, members, histograms[segment])
            changed[segment] = False
        for other in rim.neighbors[:neighbors]:
            if changed[other]:
                _histogram(other, colors, known, members, histograms[other])
                changed[other] = False
            # The last two rules judge by what this leaves behind, the similarity to the last neighbor: so
            # does the published code, where the best one was meant.
            similarity = _similarity(histograms[segment], histograms[other])
            if similarity > best:
                best, contact, target = similarity, rim.shared[other], other
            rim.shared[other] = 0
        size = area[segment]
        if (
            point[segment]
            or (size < 300 and neighbors == 1)
            or (size < 500 and neighbors == 1 and contact > 2)
            or size < 50
            or (similarity > 0.2 and size < 150 and contact > 1)
            or (similarity > 0.25 and size < 250 and contact > 8)
        ):
            for fill in members.items[members.start[segment] : members.start[segment + 1]]:
                current[fill] = target
    return current


@cached_njit()
def _find_rim(canvas, label, current, pixels, members, segment, rim, stamp):  # type: ignore[no-untyped-def]
    """Collect who owns the 4-connected rim of a segment, in order, without lines; returns how many they are."""
    flat = canvas.reshape(-1)
    sides = np.array([1, -1, canvas.shape[1], -canvas.shape[1]])
    neighbors = 0
    for fill in members.items[members.start[segment] : members.start[segment + 1]]:
        for here in pixels.items[pixels.start[fill] : pixels.start[fill + 1]]:
            for step in sides:
                there = here + step
                fill_there = flat[there]
                if fill_there == fill or rim.seen[there] == stamp or label[fill_there] == segment:
                    continue
                rim.seen[there] = stamp
                # May be `segment` itself, where another has joined it in this pass.
                other = current[fill_there]
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
def _histogram(segment, colors, known, members, out):  # type: ignore[no-untyped-def]
    """25 bins per channel, blue first as published (similarities are summed in that order); sums to 1."""
    counts = np.zeros((3, 256), np.int32)
    pixels = known.pixels
    for fill in members.items[members.start[segment] : members.start[segment + 1]]:
        if known.slot[fill] >= 0:
            counts += known.counts[known.slot[fill]]
        for here in pixels.items[pixels.start[fill] : pixels.start[fill + 1]]:
            for channel in range(3):
                counts[channel, colors[here, channel]] += 1
    for channel in range(3):
        _fill_bins(counts[channel], out[(2 - channel) * _BINS : (3 - channel) * _BINS])
    out /= 3 * counts[0].sum()


@cached_njit()
def _fill_bins(counts, bins):  # type: ignore[no-untyped-def]
    """Bins of equal width from the lowest to the highest value that occurs, placed as by numpy.histogram."""
    low, high = 0, 255
    while counts[low] == 0:
        low += 1
    while counts[high] == 0:
        high -= 1
    first, last = float(low), float(high)
    if low == high:
        first, last = first - 0.5, last + 0.5
    step = (last - first) / _BINS
    bins[:] = 0
    place = 0
    for value in range(low, high + 1):
        while place < _BINS - 1 and value >= (place + 1) * step + first:
            place += 1
        bins[place] += counts[value]


@cached_njit()
def _similarity(a, b):  # type: ignore[no-untyped-def]
    """Histogram intersection, summed in numpy's pairwise order so that ties fall as published."""
    sums = np.zeros(8)
    whole = a.size - a.size % 8
    for i in range(0, whole, 8):
        for k in range(8):
            sums[k] += min(a[i + k], b[i + k])
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for i in range(whole, a.size):
        total += min(a[i], b[i])
    return total


def thin_lines(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give line pixels the label of a labeled neighbor, layer by layer, up to 100 layers.

    fills: (H, W) int32, 0 = line.
    Returns (H, W) int32; 0 is left only in lines that no layer reached.
    """
    labeled = (fills != 0).astype(np.uint8)
    cross = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
    front = np.flatnonzero(np.asarray(cv2.dilate(labeled, cross)) > labeled)
    return np.asarray(_thin(np.ascontiguousarray(fills), front))


@cached_njit()
def _label_beside(labels, y, x):  # type: ignore[no-untyped-def]
    """The label of the first labeled neighbor in the order W, NW, N, NE, E, SE, S, SW; 0 if none."""
    height, width = labels.shape
    for dx, dy in _AROUND:
        v, u = y + dy, x + dx
        # As published, row 0 gives no label to what lies below it, column 0 none to its right.
        inside = u < width and v < height and (dx >= 0 or u > 0) and (dy >= 0 or v > 0)
        if inside and labels[v, u] != 0:
            return labels[v, u]
    return np.int32(0)


@cached_njit()
def _thin(fills, first_front):  # type: ignore[no-untyped-def]
    """See `thin_lines`; a layer looks only at the front: line pixels with a labeled one on a side."""
    height, width = fills.shape
    out = fills.copy()
    # The margin counts as queued, so that no pixel is looked up outside the frame.
    queued = np.ones((height + 2, width + 2), np.bool_)
    queued[1:-1, 1:-1] = fills != 0
    front = np.empty(fills.size, np.int64)
    label = np.empty(fills.size, np.int32)
    size = first_front.size
    for i in range(size):
        front[i] = first_front[i]
        queued[front[i] // width + 1, front[i] % width + 1] = True
    for _ in range(LAYERS):
        for i in range(size):
            label[i] = _label_beside(out, front[i] // width, front[i] % width)
        layer = front[:size].copy()
        size = 0
        for i in range(layer.size):
            y, x = divmod(layer[i], width)
            out[y, x] = label[i]
            if label[i] == 0:
                # On the front but out of reach, by the rule on row and column 0: it waits.
                front[size] = layer[i]
                size += 1
                continue
            for v, u in ((y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x)):
                if not queued[v + 1, u + 1]:
                    queued[v + 1, u + 1] = True
                    front[size] = v * width + u
                    size += 1
        if size == 0:
            break
    return out


def relabel_by_area(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the labels by area, ascending.

    fills: (H, W) int32, >= 0. Returns (H, W) int32, 0 = the smallest segment .. K-1 = the largest.
    """
    area = np.bincount(fills.reshape(-1))
    present = np.flatnonzero(area)
    # numpy's default sort, not a stable one: segments of equal area come in the published order.
    order = present[np.argsort(area[present])]
    rank = np.zeros(len(area), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[fills]
