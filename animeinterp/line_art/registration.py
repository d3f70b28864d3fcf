"""Bend the strokes of one drawing onto the other: point-to-line registration with locally rigid strokes.

Starting from the displacements of matched nodes, each round pairs every point with the nearest point of the target that
has a compatible direction, and moves all points so that distances across the target's lines shrink while every
neighborhood stays as rigid as possible (Sorkine & Alexa 2007). Along a line points slide freely, save at ends and
junctions: position along a stroke follows from its surroundings. Edges that would have to stretch lose their strength,
so that strokes that only touch, such as a figure's outline and what it hides, come apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.strokes import Floats, Indices, Strokes
from animeinterp.runtime.jit import cached_njit

_BUCKET = 8.0  # px


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """How strokes bend; by hand, on line drawings made of the linear set (benchmarks/line_art.py).

    Attributes:
        search: Distance within which a partner is searched in the first and the last round, px of the working size.
        stiffness: Weight of rigid neighborhoods against the distance to the target, likewise.
        rounds: Number of rounds.
        sliding: Weight of distances along the target's line, of those across it.
        turn: Distance that counts as much as a right angle between directions, px.
        tearing: Change of an edge, as a fraction of its length, that halves its strength.
        link_strength: Strength of links between strokes that lie side by side, of that of edges.
        links: Such links per point.
        link_reach: Longest link, px.
        matched: Largest distance to the target of a matched point, px.
        matched_turn: Smallest cosine between its direction and the target's.
    """

    search: tuple[float, float] = (20.0, 5.0)
    stiffness: tuple[float, float] = (30.0, 1.5)
    rounds: int = 12
    sliding: float = 0.02
    turn: float = 16.0
    tearing: float = 0.6
    link_strength: float = 0.05
    links: int = 3
    link_reach: float = 60.0
    matched: float = 2.0
    matched_turn: float = 0.8


LIMITS = RegistrationLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Web:
    """Edges and links that hold the points of a drawing together.

    Attributes:
        pairs: int32 (E, 2), edges first, then links.
        strength: float32 (E,).
        first: Where the pairs of each point begin in `ends`, int32 (N + 1,).
        ends: For each point, the other ends of its pairs, int32 (2 E,).
        which: The number of the pair, int32 (2 E,).
    """

    pairs: Indices
    strength: Floats
    first: Indices
    ends: Indices
    which: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where the points of a drawing end in the other one.

    Attributes:
        displacement: float32 (N, 2), px.
        turn: Angle by which the surroundings of each point turn, float32 (N,), radians.
        partner: The point of the target that each point lies on, int32 (N,), -1 = none: it is not matched.
        strength: What is left of the strength of each pair of the web, float32 (E,).
    """

    displacement: Floats
    turn: Floats
    partner: Indices
    strength: Floats


def make_web(strokes: Strokes, scale: float, limits: RegistrationLimits = LIMITS) -> Web:
    """Join the points of a drawing by its edges, and by links between strokes that lie side by side.

    Args:
        strokes: In px of the working size.
        scale: Distance of points at 960x540 by that of these.
        limits: Number and strength of the links.

    Returns:
        The web.
    """
    links = _find_links(strokes.points, strokes.first, strokes.neighbors, limits.links, limits.link_reach)
    pairs = np.concatenate([strokes.edges, links]).astype(np.int32)
    strength = np.ones(len(pairs), np.float32)
    strength[len(strokes.edges) :] = limits.link_strength
    both = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.argsort(both[:, 0], kind="stable")
    first = np.zeros(len(strokes) + 1, np.int32)
    np.cumsum(np.bincount(both[:, 0], minlength=len(strokes)), out=first[1:])
    which = np.tile(np.arange(len(pairs), dtype=np.int32), 2)[order]
    return Web(pairs, strength, first, np.ascontiguousarray(both[order, 1]), which)


def register(
    strokes: Strokes, target: Strokes, web: Web, start: Floats, confidence: Floats, limits: RegistrationLimits = LIMITS
) -> Registration:
    """Bend the strokes of a drawing onto another.

    Args:
        strokes: N points, px of the working size.
        target: The other drawing.
        web: Of `strokes`.
        start: First estimate of the displacements, float32 (N, 2), px.
        confidence: How much it is worth, float32 (N,) in [0, 1].
        limits: How strokes bend.

    Returns:
        The registration.
    """
    moved = strokes.points + start
    buckets = _fill_buckets(target.points, _BUCKET)
    strength = web.strength.copy()
    ends = np.diff(strokes.first) != 2
    target_ends = np.diff(target.first) != 2
    turn = np.zeros(len(strokes), np.float32)
    displacement = start.copy()
    for number in range(limits.rounds):
        share = number / max(limits.rounds - 1, 1)
        search, stiffness = (low ** (1 - share) * high**share for low, high in (limits.search, limits.stiffness))
        _estimate_turns(strokes.points, displacement, web.first, web.ends, strength[web.which], turn)
        _tear(strokes.points, displacement, turn, web.pairs, web.strength, limits.tearing, strength)
        moved = strokes.points + displacement
        partner, weight = _find_partners(
            moved, _turned(strokes.tangents, turn), target.points, target.tangents, *buckets, search, limits.turn
        )
        weight *= 0.3 + 0.7 * confidence
        slide = np.where(ends & target_ends[partner], np.float32(1), np.float32(limits.sliding))
        anchor = 0.02 * confidence * (1 - share)
        displacement = _solve(
            strokes.points, displacement, start, anchor.astype(np.float32), turn, target.points[partner],
            target.tangents[partner], weight, slide, web.pairs, (strength * stiffness).astype(np.float32), 60,
        )  # fmt: skip
    _estimate_turns(strokes.points, displacement, web.first, web.ends, strength[web.which], turn)
    directions = _turned(strokes.tangents, turn)
    partner, _ = _find_partners(
        strokes.points + displacement,
        directions,
        target.points,
        target.tangents,
        *buckets,
        limits.search[1],
        limits.turn,
    )
    offset = strokes.points + displacement - target.points[partner]
    tangent = target.tangents[partner]
    across = np.abs(offset[:, 0] * tangent[:, 1] - offset[:, 1] * tangent[:, 0])
    near = np.hypot(offset[:, 0], offset[:, 1]) <= limits.matched + target.step
    aligned = np.abs((directions * tangent).sum(axis=1)) >= limits.matched_turn
    matched = near & (across <= limits.matched) & (aligned | ends | target_ends[partner])
    return Registration(displacement, turn, np.where(matched, partner, -1).astype(np.int32), strength)


def find_cover(
    strokes: Strokes, lines: Floats, tangents: Floats, turn: Floats, limits: RegistrationLimits = LIMITS
) -> NDArray[np.bool_]:
    """Mark the points of a drawing on which lines of the other one have come to lie.

    Args:
        strokes: N points, px of the working size.
        lines: Places of points of the other drawing, float32 (K, 2), px.
        tangents: Their directions there, before turning, float32 (K, 2).
        turn: By which angle they have turned, float32 (K,), radians.
        limits: `matched` is the largest distance.

    Returns:
        bool (N,).
    """
    if not len(lines):
        return np.zeros(len(strokes), np.bool_)
    reach = limits.matched + strokes.step
    buckets = _fill_buckets(lines, _BUCKET)
    _, weight = _find_partners(strokes.points, strokes.tangents, lines, _turned(tangents, turn), *buckets, reach, reach)
    return np.asarray(weight > 0)


def _turned(vectors: Floats, angle: Floats) -> Floats:
    """Rotate vectors (N, 2) by angles (N,)."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=1).astype(np.float32)


def _fill_buckets(points: Floats, side: float) -> tuple[Indices, Indices, int, int]:
    """Sort points into square buckets: CSR and the number of buckets across and down."""
    cells = np.maximum(np.floor(points / side), 0).astype(np.int64)
    width, height = (int(n) + 1 for n in cells.max(axis=0)) if len(cells) else (1, 1)
    key = cells[:, 1] * width + cells[:, 0]
    first = np.zeros(width * height + 1, np.int32)
    np.cumsum(np.bincount(key, minlength=width * height), out=first[1:])
    return first, np.argsort(key, kind="stable").astype(np.int32), width, height


@cached_njit()
def _find_partners(moved, directions, target, tangents, first, members, width, height, search, turn):  # type: ignore[no-untyped-def]
    """Pair points with the nearest compatible point of the target: its number (0 if none) and a weight in [0, 1]."""
    count = len(moved)
    partner = np.zeros(count, np.int32)
    weight = np.zeros(count, np.float32)
    for i in range(count):
        best = search * search
        x0, x1 = int((moved[i, 0] - search) // _BUCKET), int((moved[i, 0] + search) // _BUCKET)
        y0, y1 = int((moved[i, 1] - search) // _BUCKET), int((moved[i, 1] + search) // _BUCKET)
        for y in range(max(y0, 0), min(y1 + 1, height)):
            for x in range(max(x0, 0), min(x1 + 1, width)):
                for k in range(first[y * width + x], first[y * width + x + 1]):
                    j = members[k]
                    dx, dy = target[j, 0] - moved[i, 0], target[j, 1] - moved[i, 1]
                    sine = directions[i, 0] * tangents[j, 1] - directions[i, 1] * tangents[j, 0]
                    distance = dx * dx + dy * dy + turn * turn * sine * sine
                    if distance < best:
                        best = distance
                        partner[i] = j
        if best < search * search:
            weight[i] = (1 - best / (search * search)) ** 2
    return partner, weight


@cached_njit()
def _estimate_turns(points, displacement, first, ends, strength, turn):  # type: ignore[no-untyped-def]
    """Estimate by which angle the neighbors of each point, two pairs away, turn around it."""
    for i in range(len(points)):
        cross, dot = 0.0, 0.0
        for k in range(first[i], first[i + 1]):
            j = ends[k]
            for m in range(first[j], first[j + 1] + 1):
                # The neighbors of the neighbor, and last the neighbor itself.
                n = j if m == first[j + 1] else ends[m]
                if n == i:
                    continue
                w = strength[k] if n == j else strength[k] * strength[m]
                ax, ay = points[n, 0] - points[i, 0], points[n, 1] - points[i, 1]
                bx = ax + displacement[n, 0] - displacement[i, 0]
                by = ay + displacement[n, 1] - displacement[i, 1]
                w /= np.sqrt(ax * ax + ay * ay) + 1e-3
                dot += w * (ax * bx + ay * by)
                cross += w * (ax * by - ay * bx)
        turn[i] = np.arctan2(cross, dot) if dot != 0 or cross != 0 else 0.0


@cached_njit()
def _edge_error(points, displacement, turn, i, j):  # type: ignore[no-untyped-def]
    """Compute how far a pair is from being turned rigidly: x and y, px, and its length."""
    ax, ay = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    angle = 0.5 * (turn[i] + turn[j])
    cos, sin = np.cos(angle), np.sin(angle)
    rx = ax + displacement[j, 0] - displacement[i, 0] - (cos * ax - sin * ay)
    ry = ay + displacement[j, 1] - displacement[i, 1] - (sin * ax + cos * ay)
    return rx, ry, np.sqrt(ax * ax + ay * ay)


@cached_njit()
def _tear(points, displacement, turn, pairs, full, tearing, strength):  # type: ignore[no-untyped-def]
    """Weaken the pairs that are far from rigid."""
    for e in range(len(pairs)):
        rx, ry, length = _edge_error(points, displacement, turn, pairs[e, 0], pairs[e, 1])
        stretch = np.sqrt(rx * rx + ry * ry) / (length + 1.0) / tearing
        strength[e] = full[e] / (1 + stretch * stretch) ** 2


@cached_njit()
def _apply(vector, data, pairs, strength):  # type: ignore[no-untyped-def]
    """Multiply by the normal matrix: data terms (xx, xy, yy) of each point and the pairs."""
    out = np.empty_like(vector)
    for i in range(len(vector)):
        out[i, 0] = data[i, 0] * vector[i, 0] + data[i, 1] * vector[i, 1]
        out[i, 1] = data[i, 1] * vector[i, 0] + data[i, 2] * vector[i, 1]
    for e in range(len(pairs)):
        i, j = pairs[e, 0], pairs[e, 1]
        for axis in range(2):
            change = strength[e] * (vector[i, axis] - vector[j, axis])
            out[i, axis] += change
            out[j, axis] -= change
    return out


@cached_njit()
def conjugate_gradients(start, data, right, pairs, strength, steps):  # type: ignore[no-untyped-def]
    """Solve for displacements (N, 2): data terms (N, 3) plus pairs of given strength, by preconditioned CG."""
    diagonal = np.empty((len(start), 2))
    diagonal[:, 0], diagonal[:, 1] = data[:, 0] + 1e-9, data[:, 2] + 1e-9
    for e in range(len(pairs)):
        diagonal[pairs[e, 0]] += strength[e]
        diagonal[pairs[e, 1]] += strength[e]
    solution = start.copy()
    residual = right - _apply(solution, data, pairs, strength)
    ready = residual / diagonal
    direction = ready.copy()
    energy = (residual * ready).sum()
    for _ in range(steps):
        if energy < 1e-12:
            break
        image = _apply(direction, data, pairs, strength)
        step = energy / max((direction * image).sum(), 1e-30)
        solution += step * direction
        residual -= step * image
        ready = residual / diagonal
        following = (residual * ready).sum()
        direction = ready + following / energy * direction
        energy = following
    return solution


@cached_njit()
def _solve(points, displacement, start, anchor, turn, partner, tangent, weight, slide, pairs, strength, steps):  # type: ignore[no-untyped-def]
    """Find the displacements with the smallest distances to the partners' lines and the most rigid pairs."""
    count = len(points)
    data = np.zeros((count, 3))
    right = np.zeros((count, 2))
    for i in range(count):
        tx, ty = tangent[i, 0], tangent[i, 1]
        xx = weight[i] * (ty * ty + slide[i] * tx * tx)
        yy = weight[i] * (tx * tx + slide[i] * ty * ty)
        xy = weight[i] * (slide[i] - 1) * tx * ty
        gx, gy = partner[i, 0] - points[i, 0], partner[i, 1] - points[i, 1]
        data[i, 0], data[i, 1], data[i, 2] = xx + anchor[i] + 1e-6, xy, yy + anchor[i] + 1e-6
        right[i, 0] = xx * gx + xy * gy + anchor[i] * start[i, 0] + 1e-6 * displacement[i, 0]
        right[i, 1] = xy * gx + yy * gy + anchor[i] * start[i, 1] + 1e-6 * displacement[i, 1]
    for e in range(len(pairs)):
        i, j = pairs[e, 0], pairs[e, 1]
        ax, ay = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        angle = 0.5 * (turn[i] + turn[j])
        cos, sin = np.cos(angle), np.sin(angle)
        tx, ty = strength[e] * (cos * ax - sin * ay - ax), strength[e] * (sin * ax + cos * ay - ay)
        right[j, 0] += tx
        right[j, 1] += ty
        right[i, 0] -= tx
        right[i, 1] -= ty
    begin = displacement.astype(np.float64)
    return conjugate_gradients(begin, data, right, pairs, strength, steps).astype(np.float32)


@cached_njit()
def _mark_near(i, first, neighbors, near, queue, depth):  # type: ignore[no-untyped-def]
    """Write i into `near` for all points up to 8 edges away from it."""
    near[i], queue[0], depth[0] = i, i, 0
    head, tail = 0, 1
    while head < tail and depth[head] < 8:
        j = queue[head]
        for k in range(first[j], first[j + 1]):
            if near[neighbors[k]] != i:
                near[neighbors[k]] = i
                queue[tail], depth[tail] = neighbors[k], depth[head] + 1
                tail += 1
        head += 1


@cached_njit()
def _find_links(points, first, neighbors, count, reach):  # type: ignore[no-untyped-def]
    """Link every fourth point to its nearest points that are more than 8 edges away: int32 (L, 2)."""
    links = np.empty((count * (len(points) // 4 + 1), 2), np.int32)
    size = 0
    near = np.full(len(points), -1, np.int32)
    queue, depth = np.empty(len(points), np.int32), np.empty(len(points), np.int32)
    for i in range(0, len(points), 4):
        _mark_near(i, first, neighbors, near, queue, depth)
        distance = (points[:, 0] - points[i, 0]) ** 2 + (points[:, 1] - points[i, 1]) ** 2
        distance[near == i] = np.inf
        for _ in range(count):
            j = np.argmin(distance)
            if distance[j] > reach * reach:
                break
            distance[j] = np.inf
            links[size, 0], links[size, 1] = i, j
            size += 1
    return links[:size]
