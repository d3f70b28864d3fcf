"""Compare the strokes around a point with another drawing at many shifts, by oriented line maps.

A line counts where both position and direction agree: the lines of a drawing are blurred into one map per direction,
and the score of a shift is the mean of these maps at the shifted points of the template. It is lowered where the other
drawing has more lines than the template, so that hatching does not fit everything.
"""

from __future__ import annotations

import cv2
import numpy as np

from animeinterp.line_art.strokes import Floats, Indices, Strokes
from animeinterp.runtime.jit import cached_njit

ORIENTATIONS = 4
_MAX_POINTS = 64  # of a template


class Templates:
    """The strokes within given radii of some points, compared with a target."""

    def __init__(
        self,
        strokes: Strokes,
        target: Strokes,
        position: Floats,
        size: tuple[int, int],
        cell: int,
        radii: tuple[float, ...],
    ) -> None:
        """Collect the templates.

        Args:
            strokes: The drawing that they are part of, px.
            target: The other drawing.
            position: The points around which templates are, float32 (K, 2), px.
            size: Height and width of the drawings, px.
            cell: Side of the cells of the maps, px.
            radii: Of the templates of each point, px.
        """
        self._cell, self._position = cell, position / np.float32(cell)
        self._points, self._bins = strokes.points / np.float32(cell), _orientation_bins(strokes.tangents)
        self._templates = [_collect_template(strokes.points, position, radius) for radius in radii]
        self._maps = _oriented_maps(target, size, cell)
        self._mass = [[_mass(each, size, radius, cell) for radius in radii] for each in (strokes, target)]

    def search(self, reach: float, count: int) -> Floats:
        """Find the shifts at which the templates of each node fit best.

        Args:
            reach: Largest shift along an axis, px.
            count: Shifts per template.

        Returns:
            float32 (K, count · templates, 2), px; those of a template in descending order.
        """
        steps = round(reach / self._cell)
        found = []
        for (first, members), own, target in zip(self._templates, *self._mass, strict=True):
            found.append(
                _search(
                    self._points, *self._bins, first, members, self._position, self._maps, own, target, steps,
                    count,
                )
            )  # fmt: skip
        return np.concatenate(found, axis=1) * np.float32(self._cell)

    def score(self, candidates: Floats) -> Floats:
        """Score displacements, px, and turns, radians: float32 (K, L, 3) → (K, L) in [0, 1]."""
        total = np.zeros(candidates.shape[:2], np.float32)
        scaled = (candidates / np.array([self._cell, self._cell, 1], np.float32)).astype(np.float32)
        for (first, members), own, target in zip(self._templates, *self._mass, strict=True):
            total += _score(self._points, *self._bins, first, members, self._position, self._maps, own, target, scaled)
        return np.asarray(total / len(self._templates), np.float32)


def _orientation_bins(tangents: Floats) -> tuple[Indices, Floats]:
    """Distribute directions over two neighboring bins each: the lower bin int32 (N,), share of the upper (N,)."""
    turn = np.arctan2(tangents[:, 1], tangents[:, 0]) / np.pi % 1 * ORIENTATIONS
    low = np.floor(turn)
    return low.astype(np.int32) % ORIENTATIONS, (turn - low).astype(np.float32)


def _cells(size: tuple[int, int], cell: int) -> tuple[int, int]:
    return -(-size[0] // cell) + 1, -(-size[1] // cell) + 1


def _oriented_maps(strokes: Strokes, size: tuple[int, int], cell: int) -> Floats:
    """Blur the lines of each direction over the cells around them, float32 (ORIENTATIONS, h, w) in [0, 1]."""
    bins, share = _orientation_bins(strokes.tangents)
    maps = np.zeros((ORIENTATIONS, *_cells(size, cell)), np.float32)
    _splat_lines(strokes.points / np.float32(cell), bins, share, strokes.step / cell, maps)
    # A straight line through cells of this blur has 0.4 at its center.
    return np.stack([np.minimum(cv2.GaussianBlur(plane, (0, 0), 1.0) * 2.5, 1) for plane in maps])


@cached_njit()
def _splat_lines(points, bins, share, weight, maps):  # type: ignore[no-untyped-def]
    """Add the length of line at each point to the maps of its directions, bilinear."""
    count, height, width = maps.shape
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        left, top = int(np.floor(x)), int(np.floor(y))
        for v in range(max(top, 0), min(top + 2, height)):
            for u in range(max(left, 0), min(left + 2, width)):
                bilinear = weight * (1 - abs(x - u)) * (1 - abs(y - v))
                maps[bins[i], v, u] += bilinear * (1 - share[i])
                maps[(bins[i] + 1) % count, v, u] += bilinear * share[i]


def _mass(strokes: Strokes, size: tuple[int, int], radius: float, cell: int) -> Floats:
    """Compute the length of line around each cell, in cells: float32 (h, w)."""
    plane = np.zeros((1, *_cells(size, cell)), np.float32)
    none = np.zeros(len(strokes), np.int32)
    _splat_lines(strokes.points / np.float32(cell), none, none.astype(np.float32), strokes.step / cell, plane)
    return np.asarray(cv2.GaussianBlur(plane[0], (0, 0), radius / 2 / cell, borderType=cv2.BORDER_CONSTANT))


@cached_njit()
def _collect_template(points, position, radius):  # type: ignore[no-untyped-def]
    """List the points within a radius of each node, at most `_MAX_POINTS` of them: CSR int32 (K + 1,) and members."""
    first = np.zeros(len(position) + 1, np.int32)
    members = np.empty(_MAX_POINTS * len(position), np.int32)
    near = np.empty(len(points), np.int32)
    size = 0
    for i in range(len(position)):
        count = 0
        for j in range(len(points)):
            dx, dy = points[j, 0] - position[i, 0], points[j, 1] - position[i, 1]
            if dx * dx + dy * dy <= radius * radius:
                near[count] = j
                count += 1
        stride = max(1.0, count / _MAX_POINTS)
        k = 0.0
        while int(k) < count and size < first[i] + _MAX_POINTS:
            members[size] = near[int(k)]
            size += 1
            k += stride
        first[i + 1] = size
    return first, members[:size].copy()


@cached_njit()
def _sample(plane, x, y):  # type: ignore[no-untyped-def]
    """Sample a plane at cells, bilinear, 0 outside."""
    height, width = plane.shape
    left, top = int(np.floor(x)), int(np.floor(y))
    if left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
        return 0.0
    fx, fy = x - left, y - top
    upper = plane[top, left] * (1 - fx) + plane[top, left + 1] * fx
    lower = plane[top + 1, left] * (1 - fx) + plane[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


@cached_njit()
def _density(own, target, x, y, shift_x, shift_y):  # type: ignore[no-untyped-def]
    """Lower the score where the target has more lines than the template: in [0, 1]."""
    return min(1.0, np.sqrt((_sample(own, x, y) + 0.05) / (_sample(target, x + shift_x, y + shift_y) + 0.05)))


@cached_njit()
def _score(points, bins, share, first, members, position, maps, own, target, candidates):  # type: ignore[no-untyped-def]
    """Score displacements and turns of one template per node: float32 (K, L)."""
    out = np.zeros(candidates.shape[:2], np.float32)
    count = len(maps)
    for i in range(len(position)):
        x, y = position[i, 0], position[i, 1]
        for label in range(candidates.shape[1]):
            dx, dy = candidates[i, label, 0], candidates[i, label, 1]
            cos, sin = np.cos(candidates[i, label, 2]), np.sin(candidates[i, label, 2])
            turn = candidates[i, label, 2] / np.pi * count
            total = 0.0
            for k in range(first[i], first[i + 1]):
                p = members[k]
                ax, ay = points[p, 0] - x, points[p, 1] - y
                u, v = x + dx + cos * ax - sin * ay, y + dy + sin * ax + cos * ay
                direction = bins[p] + share[p] + turn
                low = np.floor(direction)
                upper = direction - low
                total += (1 - upper) * _sample(maps[int(low) % count], u, v)
                total += upper * _sample(maps[(int(low) + 1) % count], u, v)
            out[i, label] = total / max(first[i + 1] - first[i], 1) * _density(own, target, x, y, dx, dy)
    return out


@cached_njit()
def _search(points, bins, share, first, members, position, maps, own, target, steps, keep):  # type: ignore[no-untyped-def]
    """Find the best local maxima of the score among whole cells: float32 (K, keep, 2), px."""
    out = np.zeros((len(position), keep, 2), np.float32)
    _, height, width = maps.shape
    side = 2 * steps + 1
    score = np.empty((side, side), np.float32)
    for i in range(len(position)):
        score[:] = 0
        for k in range(first[i], first[i + 1]):
            p = members[k]
            x, y = round(points[p, 0]), round(points[p, 1])
            low, high = maps[bins[p]], maps[(bins[p] + 1) % len(maps)]
            for v in range(max(0, steps - y), min(side, height + steps - y)):
                for u in range(max(0, steps - x), min(side, width + steps - x)):
                    here = y + v - steps
                    there = x + u - steps
                    score[v, u] += (1 - share[p]) * low[here, there] + share[p] * high[here, there]
        x, y = position[i, 0], position[i, 1]
        for v in range(side):
            for u in range(side):
                if score[v, u] > 0:
                    score[v, u] *= _density(own, target, x, y, u - steps, v - steps)
        for k in range(keep):
            best = np.argmax(score)
            v, u = divmod(best, side)
            if score[v, u] <= 0:
                break
            out[i, k, 0], out[i, k, 1] = u - steps, v - steps
            score[max(v - 2, 0) : v + 3, max(u - 2, 0) : u + 3] = 0
    return out
