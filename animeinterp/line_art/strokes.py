"""Ink → strokes: a graph of points on the center lines, with the radius of the line at each point.

The ink is thinned to center lines, which are smoothed, freed of spurs, and sampled every `StrokeLimits.spacing`. Ends
and junctions are points of their own. A dot is a point without edges. x before y, px of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.thinning import thin
from animeinterp.runtime.jit import cached_njit

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class StrokeLimits:
    """How ink becomes strokes; by hand, on line drawings made of the linear set (benchmarks/line_art.py).

    Attributes:
        ink: Coverage from which a pixel is ink, as a fraction of that of full ink.
        rim: The same as a fraction of the strongest ink within 2 px: less is the rim of a line.
        spacing: Distance of points, px at 960x540; larger frames have proportionally longer steps.
        smoothing: Rounds of averaging each pixel of a center line with its two neighbors.
        spur: Side branches shorter than this are no strokes, in radii of the line at the junction.
        hole: Gaps in the ink of at most this area are filled, px at 960x540: they would be rings.
    """

    ink: float = 0.1
    rim: float = 0.4
    spacing: float = 3.0
    smoothing: int = 3
    spur: float = 1.5
    hole: float = 4.0


LIMITS = StrokeLimits()
REFERENCE_PIXELS = 960 * 540


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """The N points and M edges of a drawing.

    Attributes:
        points: float32 (N, 2), px.
        radius: Half the thickness of the line, float32 (N,), px.
        tangents: Unit direction of the line, up to its sign, float32 (N, 2).
        edges: Pairs of neighboring points, int32 (M, 2).
        first: Where the neighbors of each point begin in `neighbors`, int32 (N + 1,).
        neighbors: int32 (2 M,).
        step: Distance of points along a stroke, px.
    """

    points: Floats
    radius: Floats
    tangents: Floats
    edges: Indices
    first: Indices
    neighbors: Indices
    step: float

    def __len__(self) -> int:
        return len(self.points)


def trace_strokes(coverage: Floats, limits: StrokeLimits = LIMITS) -> Strokes:
    """Trace the strokes of a drawing.

    Args:
        coverage: Ink at each pixel, float32 (H, W), 0 = paper, 1 = full ink.
        limits: How ink becomes strokes.

    Returns:
        The strokes.
    """
    near = np.ones((5, 5), np.uint8)
    ink = coverage > np.maximum(limits.ink, limits.rim * np.asarray(cv2.dilate(coverage, near)))
    ink = _fill_holes(ink, limits.hole * max(1.0, coverage.size / REFERENCE_PIXELS))
    step = limits.spacing * max(1.0, (coverage.size / REFERENCE_PIXELS) ** 0.5)
    framed = cv2.copyMakeBorder(ink.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    center = thin(ink)
    y, x = np.nonzero(center)
    index = np.full(ink.shape, -1, np.int32)
    index[y, x] = np.arange(len(y))
    # The distance to the nearest pixel that is not ink is measured to its center, half a pixel beyond the rim.
    radius = np.maximum(distance[y, x] - 0.5, 0.5).astype(np.float32)
    links = _link_pixels(index, x.astype(np.int32), y.astype(np.int32))
    _prune_spurs(links, radius, limits.spur)
    alive = links[:, 0] != -2
    positions = _smooth(np.stack([x, y], axis=1).astype(np.float32), links, limits.smoothing)
    kept, edges = _sample(links, alive, max(1, round(step / 1.15)))
    number = np.full(len(y), -1, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    edges = np.unique(np.sort(number[edges], axis=1), axis=0) if len(edges) else np.zeros((0, 2), np.int32)
    edges = edges[edges[:, 0] != edges[:, 1]]
    strokes = make_strokes(positions[kept], radius[kept], edges.astype(np.int32), step)
    _center(coverage, strokes.points, strokes.radius, strokes.tangents, strokes.first)
    return strokes


def make_strokes(points: Floats, radius: Floats, edges: Indices, step: float) -> Strokes:
    """Complete strokes by the neighbors and the direction of each point."""
    both = np.concatenate([edges, edges[:, ::-1]])
    order = np.argsort(both[:, 0], kind="stable")
    neighbors = np.ascontiguousarray(both[order, 1], np.int32)
    first = np.zeros(len(points) + 1, np.int32)
    np.cumsum(np.bincount(both[:, 0], minlength=len(points)), out=first[1:])
    return Strokes(points, radius, compute_tangents(points, first, neighbors), edges, first, neighbors, step)


def compute_tangents(points: Floats, first: Indices, neighbors: Indices) -> Floats:
    """Compute the direction of the line at each point: the main axis of its edges, float32 (N, 2)."""
    return np.asarray(_main_axis(points, first, neighbors))


def _fill_holes(ink: NDArray[np.bool_], max_area: float) -> NDArray[np.bool_]:
    """Fill small gaps in the ink."""
    labels: NDArray[np.int32]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~ink).astype(np.uint8), connectivity=4)  # type: ignore[assignment]
    small = stats[:, cv2.CC_STAT_AREA] <= max_area
    return np.asarray(ink | small[labels])


@cached_njit()
def _main_axis(points, first, neighbors):  # type: ignore[no-untyped-def]
    """See `compute_tangents`."""
    out = np.zeros((len(points), 2), np.float32)
    for i in range(len(points)):
        double_x, double_y = 0.0, 0.0  # of doubled angles, in which opposite directions are equal
        for k in range(first[i], first[i + 1]):
            dx = points[neighbors[k], 0] - points[i, 0]
            dy = points[neighbors[k], 1] - points[i, 1]
            length = max(np.sqrt(dx * dx + dy * dy), 1e-6)
            double_x += (dx * dx - dy * dy) / length
            double_y += 2 * dx * dy / length
        angle = 0.5 * np.arctan2(double_y, double_x)
        out[i, 0], out[i, 1] = np.cos(angle), np.sin(angle)
    return out


@cached_njit()
def _link_pixels(index, xs, ys):  # type: ignore[no-untyped-def]
    """List the neighbors of each pixel of the center lines: int32 (n, 8), -1 = none.

    A diagonal neighbor counts only where no side neighbor leads there.
    """
    height, width = index.shape
    links = np.full((len(xs), 8), -1, np.int32)
    for i in range(len(xs)):
        count = 0
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                x, y = xs[i] + dx, ys[i] + dy
                if (dx == 0 and dy == 0) or x < 0 or y < 0 or x >= width or y >= height or index[y, x] < 0:
                    continue
                if dx != 0 and dy != 0 and (index[ys[i], x] >= 0 or index[y, xs[i]] >= 0):
                    continue
                links[i, count] = index[y, x]
                count += 1
    return links


@cached_njit()
def _degree(links, i):  # type: ignore[no-untyped-def]
    """Count the neighbors of a pixel."""
    count = 0
    while count < 8 and links[i, count] >= 0:
        count += 1
    return count


@cached_njit()
def _unlink(links, i, other):  # type: ignore[no-untyped-def]
    """Remove one neighbor of a pixel."""
    last = _degree(links, i) - 1
    for k in range(last + 1):
        if links[i, k] == other:
            links[i, k] = links[i, last]
            links[i, last] = -1
            return


@cached_njit()
def _prune_spurs(links, radius, spur):  # type: ignore[no-untyped-def]
    """Remove side branches that end within the thickness of the line; their pixels get -2 as first neighbor."""
    path = np.empty(len(links), np.int32)
    for leaf in range(len(links)):
        if links[leaf, 0] < 0 or _degree(links, leaf) != 1:
            continue
        size, previous, current = 0, -1, leaf
        while True:
            path[size] = current
            size += 1
            following = links[current, 0] if links[current, 0] != previous else links[current, 1]
            previous, current = current, following
            if current < 0 or _degree(links, current) != 2 or size >= len(links):
                break
        if current < 0 or _degree(links, current) < 3 or size > max(2.0, spur * radius[current]):
            continue
        _unlink(links, current, path[size - 1])
        for k in range(size):
            links[path[k]] = -1
            links[path[k], 0] = -2


@cached_njit()
def _smooth(positions, links, rounds):  # type: ignore[no-untyped-def]
    """Average each pixel inside a line with its two neighbors."""
    current = positions.copy()
    for _ in range(rounds):
        previous = current.copy()
        for i in range(len(links)):
            if links[i, 1] >= 0 and links[i, 2] < 0:
                a, b = links[i, 0], links[i, 1]
                for axis in range(2):
                    current[i, axis] = 0.5 * previous[i, axis] + 0.25 * (previous[a, axis] + previous[b, axis])
    return current


@cached_njit()
def _sample(links, alive, stride):  # type: ignore[no-untyped-def]
    """Keep ends, junctions, dots and every `stride`-th pixel between them: kept pixels (n,) and edges (m, 2)."""
    count = len(links)
    kept = np.zeros(count, np.bool_)
    visited = np.zeros(count, np.bool_)
    edges = np.empty((4 * count + 4, 2), np.int32)
    size = 0
    for closed in (False, True):  # rings have neither ends nor junctions: they start anywhere
        for start in range(count):
            if not alive[start] or visited[start] or (_degree(links, start) == 2) != closed:
                continue
            kept[start] = visited[start] = True
            for k in range(1 if closed else _degree(links, start)):
                previous, current, anchor, steps = start, links[start, k], start, 0
                while True:
                    steps += 1
                    end = kept[current] or _degree(links, current) != 2
                    if not end and visited[current]:
                        break
                    if end or steps == stride:
                        kept[current] = True
                        edges[size, 0], edges[size, 1] = anchor, current
                        size += 1
                        anchor, steps = current, 0
                    if end:
                        break
                    visited[current] = True
                    following = links[current, 0] if links[current, 0] != previous else links[current, 1]
                    previous, current = current, following
    return np.flatnonzero(kept), edges[:size]


@cached_njit()
def _center(coverage, points, radius, tangents, first):  # type: ignore[no-untyped-def]
    """Move points, save ends and junctions, across their line to the middle of its ink, by less than a pixel."""
    height, width = coverage.shape
    for i in range(len(points)):
        if first[i + 1] - first[i] != 2:
            continue
        total, moment = 0.0, 0.0
        steps = int(2 * (radius[i] + 1.0))
        for k in range(-steps, steps + 1):
            x, y = points[i, 0] - 0.5 * k * tangents[i, 1], points[i, 1] + 0.5 * k * tangents[i, 0]
            left, top = int(np.floor(x)), int(np.floor(y))
            if left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
                continue
            fx, fy = x - left, y - top
            upper = coverage[top, left] * (1 - fx) + coverage[top, left + 1] * fx
            lower = coverage[top + 1, left] * (1 - fx) + coverage[top + 1, left + 1] * fx
            value = upper * (1 - fy) + lower * fy
            total += value
            moment += 0.5 * k * value
        if total > 0:
            shift = min(max(moment / total, -0.75), 0.75)
            points[i, 0] -= shift * tangents[i, 1]
            points[i, 1] += shift * tangents[i, 0]
