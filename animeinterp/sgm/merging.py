"""Fills → pieces: small fills join the neighbour of most similar colour, lines are thinned away (system §1a, 4 to 6).

The published method scans the whole frame for every label of every pass. Here a piece is a set of whole fills: a pass
moves fills between labels and touches only the pixels of small pieces, their rims, and the neighbours' histograms.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.sgm.jit import compiled

SMALL = 500  # px; pieces from this area up are never merged away
PASSES = 10
LAYERS = 100  # lines thicker than twice this keep a core, which becomes a piece
_BINS = 25


def merge_small_pieces(fills: NDArray[np.int32], frame: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Merge small pieces into neighbours by the published rules, in up to 10 passes.

    fills: (H, W) int32, 0 = line, 1..n. frame: (H, W, 3) uint8, RGB. Returns (H, W) int32, labels out of 0..n.
    """
    count = int(fills.max()) + 1
    flat = np.ascontiguousarray(fills).reshape(-1)
    pixels, start = _pixels_by_label(flat, count)
    label = np.arange(count, dtype=np.int32)
    histograms = np.zeros((count, 3 * _BINS))
    known = np.zeros(count, np.bool_)
    seen = np.zeros(flat.size, np.int32)
    colors = np.ascontiguousarray(frame).reshape(-1, 3)
    for turn in range(PASSES):
        members, member_start = _pixels_by_label(label, count)
        area, lonely = _survey(fills, label, pixels, start, members, member_start)
        points = area == 1
        for piece in np.flatnonzero(lonely):
            points[piece] = _contour_is_point(label[fills] == piece)
        merged = _merge_pass(
            fills,
            colors,
            label,
            pixels,
            start,
            members,
            member_start,
            area,
            points,
            histograms,
            known,
            seen,
            turn,
        )
        changed = merged != label
        known[label[changed]] = False
        known[merged[changed]] = False
        present = np.diff(start) > 0
        before, after = (len(np.unique(of_fill[present])) for of_fill in (label, merged))
        label = merged
        if before == after:
            break
    return label[fills]


def _contour_is_point(mask: NDArray[np.bool_]) -> bool:
    """Whether the outer contour that OpenCV finds first is a point.

    A piece that fell apart has several contours and the published rule looks at one only: whichever OpenCV lists
    first. So OpenCV is asked.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len(cv2.approxPolyDP(contours[0], 0.02 * cv2.arcLength(contours[0], True), True)) == 1


@compiled
def _pixels_by_label(labels, count):  # type: ignore[no-untyped-def]
    """Positions sorted by label: those of label k are positions[start[k] : start[k + 1]]."""
    start = np.zeros(count + 1, np.int64)
    for i in range(labels.size):
        start[labels[i] + 1] += 1
    for k in range(count):
        start[k + 1] += start[k]
    positions = np.empty(labels.size, np.int32)
    at = start[:-1].copy()
    for i in range(labels.size):
        k = labels[i]
        positions[at[k]] = i
        at[k] += 1
    return positions, start


@compiled
def _survey(fills, label, pixels, start, members, member_start):  # type: ignore[no-untyped-def]
    """Area of each piece, and which small ones of several pixels have a pixel that touches none of its own."""
    height, width = fills.shape
    count = label.size
    area = np.zeros(count, np.int64)
    lonely = np.zeros(count, np.bool_)
    for piece in range(count):
        for m in range(member_start[piece], member_start[piece + 1]):
            area[piece] += start[members[m] + 1] - start[members[m]]
        if piece == 0 or area[piece] < 2 or area[piece] >= SMALL:
            continue
        for m in range(member_start[piece], member_start[piece + 1]):
            for i in range(start[members[m]], start[members[m] + 1]):
                y, x = divmod(pixels[i], width)
                own = 0
                for v in range(max(y - 1, 0), min(y + 2, height)):
                    for u in range(max(x - 1, 0), min(x + 2, width)):
                        own += label[fills[v, u]] == piece
                if own == 1:
                    lonely[piece] = True
    return area, lonely


@compiled
def _histogram(piece, colors, pixels, start, members, member_start, out):  # type: ignore[no-untyped-def]
    """25 bins per channel between the piece's own extremes, as numpy.histogram places them; sums to 1 in all."""
    counts = np.zeros((3, 256), np.int64)
    total = 0
    for m in range(member_start[piece], member_start[piece + 1]):
        for i in range(start[members[m]], start[members[m] + 1]):
            total += 3
            for channel in range(3):
                counts[channel, colors[pixels[i], channel]] += 1
    for channel in range(3):
        low, high = 0, 255
        while counts[channel, low] == 0:
            low += 1
        while counts[channel, high] == 0:
            high -= 1
        first, last = float(low), float(high)
        if low == high:
            first, last = first - 0.5, last + 0.5
        step = (last - first) / _BINS
        # Channels in the published order (blue first): the order in which similarities are summed.
        bins = out[(2 - channel) * _BINS : (3 - channel) * _BINS]
        bins[:] = 0
        place = 0
        for value in range(low, high + 1):
            while place < _BINS - 1 and value >= (place + 1) * step + first:
                place += 1
            bins[place] += counts[channel, value]
        bins /= total


@compiled
def _similarity(a, b):  # type: ignore[no-untyped-def]
    """Histogram intersection, summed in numpy's pairwise order: ties between neighbours must fall as published."""
    sums = np.zeros(8)
    whole = a.size - a.size % 8
    for i in range(0, whole, 8):
        for k in range(8):
            sums[k] += min(a[i + k], b[i + k])
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for i in range(whole, a.size):
        total += min(a[i], b[i])
    return total


@compiled
def _merge_pass(  # type: ignore[no-untyped-def]
    fills, colors, label, pixels, start, members, member_start, area, points, histograms, known, seen, turn
):
    """One pass: the new label of each fill. Rims are read off the labels as changed so far, all else as they were."""
    height, width = fills.shape
    count = label.size
    current = label.copy()
    touch = np.zeros(count, np.int64)
    others = np.empty(count, np.int32)
    for piece in range(1, count):
        if area[piece] == 0 or area[piece] >= SMALL:
            continue
        stamp = turn * count + piece
        neighbours = 0
        for m in range(member_start[piece], member_start[piece + 1]):
            for i in range(start[members[m]], start[members[m] + 1]):
                y, x = divmod(pixels[i], width)
                for side in range(4):
                    v = y + (side == 2) - (side == 3)
                    u = x + (side == 0) - (side == 1)
                    if not (0 <= v < height and 0 <= u < width):
                        continue
                    there = v * width + u
                    if label[fills[v, u]] == piece or seen[there] == stamp:
                        continue
                    seen[there] = stamp
                    other = current[fills[v, u]]
                    if other == 0:
                        continue
                    if touch[other] == 0:
                        place = neighbours
                        while place > 0 and others[place - 1] > other:
                            others[place] = others[place - 1]
                            place -= 1
                        others[place] = other
                        neighbours += 1
                    touch[other] += 1
        target = piece
        similarity, best, contact = -1.0, -1.0, -1
        if neighbours == 0:
            if area[piece] < 5:
                target = 0
        else:
            if not known[piece]:
                _histogram(piece, colors, pixels, start, members, member_start, histograms[piece])
                known[piece] = True
            for other in others[:neighbours]:
                if not known[other]:
                    _histogram(other, colors, pixels, start, members, member_start, histograms[other])
                    known[other] = True
                # The published code keeps the last neighbour's similarity for the last two rules, not the best one.
                similarity = _similarity(histograms[piece], histograms[other])
                if similarity > best:
                    best, contact, target = similarity, touch[other], other
                touch[other] = 0
        size = area[piece]
        if (
            points[piece]
            or (size < 300 and neighbours == 1)
            or (size < 500 and neighbours == 1 and contact > 2)
            or size < 50
            or (similarity > 0.2 and size < 150 and contact > 1)
            or (similarity > 0.25 and size < 250 and contact > 8)
        ):
            for m in range(member_start[piece], member_start[piece + 1]):
                current[members[m]] = target
    return current


def thin_lines(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give line pixels the label of a labelled neighbour, layer by layer, up to 100 layers.

    fills: (H, W) int32, 0 = line. Returns (H, W) int32; 0 is left only in lines that no layer reached.
    """
    return np.asarray(_thin(np.ascontiguousarray(fills)))


@compiled
def _thin(fills):  # type: ignore[no-untyped-def]
    height, width = fills.shape
    out = fills.copy()
    queued = np.zeros((height, width), np.bool_)
    front = np.empty(fills.size, np.int32)
    found = np.empty(fills.size, np.int32)
    size = 0
    for y in range(height):
        for x in range(width):
            if out[y, x] == 0 and (
                (x > 0 and out[y, x - 1] != 0)
                or (x < width - 1 and out[y, x + 1] != 0)
                or (y > 0 and out[y - 1, x] != 0)
                or (y < height - 1 and out[y + 1, x] != 0)
            ):
                front[size] = y * width + x
                queued[y, x] = True
                size += 1
    for _ in range(LAYERS):
        for i in range(size):
            y, x = divmod(front[i], width)
            # Published order W, NW, N, NE, E, SE, S, SW; and its tests: column 0 and row 0 give no label away.
            west, north, east, south = x > 1, y > 1, x + 1 < width, y + 1 < height
            label = 0
            if west:
                label = out[y, x - 1]
            if label == 0 and west and north:
                label = out[y - 1, x - 1]
            if label == 0 and north:
                label = out[y - 1, x]
            if label == 0 and north and east:
                label = out[y - 1, x + 1]
            if label == 0 and east:
                label = out[y, x + 1]
            if label == 0 and south and east:
                label = out[y + 1, x + 1]
            if label == 0 and south:
                label = out[y + 1, x]
            if label == 0 and south and west:
                label = out[y + 1, x - 1]
            found[i] = label
        kept = 0
        grown = 0
        for i in range(size):
            if found[i] == 0:
                front[kept] = front[i]
                kept += 1
            else:
                y, x = divmod(front[i], width)
                out[y, x] = found[i]
                found[grown] = front[i]
                grown += 1
        if grown == 0:
            break
        size = kept
        for i in range(grown):
            y, x = divmod(found[i], width)
            for side in range(4):
                v = y + (side == 2) - (side == 3)
                u = x + (side == 0) - (side == 1)
                if 0 <= v < height and 0 <= u < width and out[v, u] == 0 and not queued[v, u]:
                    queued[v, u] = True
                    front[size] = v * width + u
                    size += 1
    return out


def relabel_by_area(fills: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the labels by area, ascending.

    fills: (H, W) int32, >= 0. Returns (H, W) int32, 0 = the smallest piece .. K-1 = the largest.
    """
    area = np.bincount(fills.reshape(-1))
    present = np.flatnonzero(area)
    # numpy's default sort, not a stable one: pieces of equal area come in the published order.
    order = present[np.argsort(area[present])]
    rank = np.zeros(len(area), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[fills]
