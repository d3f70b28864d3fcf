"""Two line drawings joined by their strokes, and the drawing between them.

As in Siyao et al. 2023 the drawings are joined as graphs of points, not as images; here rules match them, not a
network. Each stroke is in one of three states. Matched strokes move from their place in drawing 0 to that in drawing
1. Strokes that only one drawing has move with their surroundings; where they continue a matched stroke they retract
along their length towards it, such as a line that something covers, and elsewhere they become thinner until they are
gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.drawing import Pieces, draw_pieces
from animeinterp.line_art.matching import choose_together, match_strokes
from animeinterp.line_art.recognize import LineDrawing
from animeinterp.line_art.registration import Registration, Web, find_cover, make_web, register
from animeinterp.line_art.strokes import REFERENCE_PIXELS, Floats, Indices, Strokes, make_strokes
from animeinterp.line_art.trajectories import place_points
from animeinterp.runtime.jit import cached_njit

_REPEATS = 3  # of matching and registration
_GAP, _RUN = 3, 2  # points; longer gaps in matched strokes, and longer matched parts of others, are meant
_FAR = 1 << 30  # steps
_MAX_STRETCH = 3.0  # times its length; longer edges are torn
_TORN = 0.02  # strength below which an edge is torn


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """How the strokes of one drawing move to the other one.

    Attributes:
        drawing: The drawing.
        working: Its strokes, px of the working size.
        web: What holds them together.
        registration: Where they go.
        kept: Points that are drawn from this drawing: all of drawing 0, those of drawing 1 that no stroke of drawing 0
            reaches; bool (N,).
        matched: Points that both drawings have, bool (N,).
        life: Until when the other points are there, as seen from this drawing, float32 (N,), 1 = to the end; below 0:
            they become thinner.
        still: Points whose surroundings are the same in both drawings, bool (N,).
    """

    drawing: LineDrawing
    working: Strokes
    web: Web
    registration: Registration
    kept: NDArray[np.bool_]
    matched: NDArray[np.bool_]
    life: Floats
    still: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LinePair:
    """Two line drawings joined by their strokes.

    Attributes:
        halves: Of drawing 0 and of drawing 1.
        scale: Size of the frame by the working size.
        matched: Fraction of the strokes of both drawings that are matched.
    """

    halves: tuple[Half, Half]
    scale: float
    matched: float


def join_drawings(
    drawing0: LineDrawing,
    drawing1: LineDrawing,
    static: NDArray[np.bool_],
    flows: Sequence[tuple[Floats, Floats]] = (),
) -> LinePair:
    """Match the strokes of two line drawings of one size.

    Args:
        drawing0: The drawing at t = 0.
        drawing1: The drawing at t = 1.
        static: Pixels whose surroundings are the same in both, bool (H, W).
        flows: Flow 0→1 and 1→0 of other methods, which may be right or not: float32 (2, H, W), px.

    Returns:
        The pair.
    """
    height, width = drawing0.ink.shape[1:]
    scale = max(1.0, (height * width / REFERENCE_PIXELS) ** 0.5)
    size = int(np.ceil(height / scale)), int(np.ceil(width / scale))
    drawings = drawing0, drawing1
    strokes = [_scaled(drawing.strokes, 1 / scale) for drawing in drawings]
    webs = [make_web(each, 1.0) for each in strokes]
    proposals = [_propose(drawing.strokes, [flow[i] for flow in flows], scale) for i, drawing in enumerate(drawings)]
    sides = match_strokes((strokes[0], strokes[1]), size, (proposals[0], proposals[1]))
    for repeat in range(_REPEATS):
        registrations = []
        for own, other, web, side in zip(strokes, strokes[::-1], webs, sides, strict=True):
            found = side.matches()
            registrations.append(register(own, other, web, found.displacement, found.confidence))
        if repeat < _REPEATS - 1:
            for side, registration in zip(sides, registrations, strict=True):
                side.adopt(registration.displacement, registration.turn)
            choose_together(*sides, 2, again=True)
    still = [_at_points(static, drawing.strokes) for drawing in drawings]
    for registration, rests in zip(registrations, still, strict=True):
        registration.displacement[rests] = 0
        registration.turn[rests] = 0
    matched0 = _close_gaps((registrations[0].partner >= 0) | still[0], strokes[0])
    moved = strokes[0].points + registrations[0].displacement
    covered = find_cover(strokes[1], moved[matched0], strokes[0].tangents[matched0], registrations[0].turn[matched0])
    covered = _close_gaps(covered | still[1], strokes[1])
    halves = []
    for i, drawing in enumerate(drawings):
        matched = matched0 if i == 0 else covered
        life = _lives(strokes[i], registrations[i], matched)
        kept = np.ones(len(strokes[i]), np.bool_) if i == 0 else ~covered
        halves.append(Half(drawing, strokes[i], webs[i], registrations[i], kept, matched, life, still[i]))
    share = (matched0.sum() + covered.sum()) / max(len(matched0) + len(covered), 1)
    return LinePair((halves[0], halves[1]), scale, float(share))


def draw_between(pair: LinePair, t: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw the strokes that move or change at a time.

    Args:
        pair: The drawings.
        t: In [0, 1].

    Returns:
        Their ink, float32 (C, H, W), and the pixels that they reach, bool (H, W).
    """
    parts = [_pieces(pair, side, t) for side in (0, 1)]
    fields = ((0, "places"), (0, "radius"), (1, "sources"), (1, "source_radius"), (1, "weights"))
    pieces = Pieces(*(np.concatenate([getattr(part, name) for part in parts], axis=axis) for axis, name in fields))
    return draw_pieces(pieces, pair.halves[0].drawing.ink, pair.halves[1].drawing.ink)


def _at_points(mask: NDArray[np.bool_], strokes: Strokes) -> NDArray[np.bool_]:
    """Look up a mask at the points of a drawing: bool (N,)."""
    x, y = np.rint(strokes.points).astype(np.int64).T
    return np.asarray(mask[y.clip(0, mask.shape[0] - 1), x.clip(0, mask.shape[1] - 1)])


def _propose(strokes: Strokes, flows: Sequence[Floats], scale: float) -> Floats:
    """Sample flows at the points of a drawing: float32 (N, P, 2), px of the working size."""
    x, y = np.rint(strokes.points).astype(np.int64).T
    sampled = [flow[:, y.clip(0, flow.shape[1] - 1), x.clip(0, flow.shape[2] - 1)].T / scale for flow in flows]
    return np.stack([np.zeros((len(strokes), 2)), *sampled], axis=1).astype(np.float32)


def _scaled(strokes: Strokes, factor: float) -> Strokes:
    """Scale strokes to another size."""
    return replace(
        strokes,
        points=((strokes.points + 0.5) * factor - 0.5).astype(np.float32),
        radius=(strokes.radius * factor).astype(np.float32),
        step=strokes.step * factor,
    )


def _pieces(pair: LinePair, side: int, t: float) -> Pieces:
    """Place the edges and dots of one drawing at a time."""
    half, other = pair.halves[side], pair.halves[1 - side]
    own_time = t if side == 0 else 1 - t
    strokes, registration = half.drawing.strokes, half.registration
    places = (place_points(half.working.points, registration, half.web, own_time) + 0.5) * pair.scale - 0.5
    targets = (half.working.points + registration.displacement + 0.5) * pair.scale - 0.5
    edges = half.working.edges
    dots = np.flatnonzero(np.diff(half.working.first) == 0)
    edges = np.concatenate([edges, np.stack([dots, dots], axis=1)]).astype(np.int32)
    kept, still, matched = half.kept[edges], half.still[edges], half.matched[edges]
    seen = np.asarray(_is_whole(half, edges) & kept.any(axis=1) & ~still.all(axis=1))
    both = np.asarray((matched & kept).all(axis=1))[seen]
    edges = edges[seen]
    partner = np.maximum(registration.partner, 0)
    partner_radius = np.where(registration.partner >= 0, other.drawing.strokes.radius[partner], strokes.radius)
    radius = np.where(
        both[:, None], (1 - own_time) * strokes.radius[edges] + own_time * partner_radius[edges], strokes.radius[edges]
    )
    radius = radius * _thickness(half, own_time)[edges]
    sources = np.stack([strokes.points[edges], targets[edges]]).astype(np.float32)
    source_radius = np.stack([strokes.radius[edges], partner_radius[edges]]).astype(np.float32)
    weights = np.stack([np.where(both, 1 - own_time, 1), np.where(both, own_time, 0)]).astype(np.float32)
    if side == 1:
        sources, source_radius, weights = sources[::-1], source_radius[::-1], weights[::-1]
    return Pieces(
        places[edges].astype(np.float32), radius.astype(np.float32), np.ascontiguousarray(sources),
        np.ascontiguousarray(source_radius), np.ascontiguousarray(weights),
    )  # fmt: skip


def _thickness(half: Half, time: float) -> Floats:
    """Compute the thickness of each point as a fraction of its full one: float32 (N,)."""
    # A stroke that continues none is gone in the middle: half of the time it would be there, it would be wrong.
    alone = np.where(half.life < 0, max(1 - 2 * time, 0), half.life <= 1 - time)
    return np.where(half.matched, 1, alone).astype(np.float32)


def _is_whole(half: Half, edges: Indices) -> NDArray[np.bool_]:
    """Mark the edges that are not torn."""
    moved = half.working.points + half.registration.displacement
    before = np.linalg.norm(np.subtract(*half.working.points[edges].transpose(1, 0, 2)), axis=1)
    after = np.linalg.norm(np.subtract(*moved[edges].transpose(1, 0, 2)), axis=1)
    return np.asarray(after <= _MAX_STRETCH * (before + 1))


def _lives(strokes: Strokes, registration: Registration, matched: NDArray[np.bool_]) -> Floats:
    """Compute until when the points that only one drawing has are there, see `Half.life`."""
    whole = strokes.edges[registration.strength[: len(strokes.edges)] > _TORN]
    cut = make_strokes(strokes.points, strokes.radius, whole, strokes.step)
    way, root = _walk(cut.first, cut.neighbors, matched)
    reached = (way > 0) & (way < _FAR)
    longest = np.ones(len(strokes), np.int32)
    np.maximum.at(longest, root[reached], way[reached])
    return np.where(way == _FAR, -1, np.where(reached, way / longest[root], 0)).astype(np.float32)


@cached_njit()
def _walk(first, neighbors, matched):  # type: ignore[no-untyped-def]
    """Walk from matched points into the others: the number of steps to each, and the number of its connected part."""
    way, root = np.full(len(matched), _FAR, np.int32), np.arange(len(matched)).astype(np.int32)
    way[matched] = 0
    queue = np.empty(len(matched), np.int32)
    tail = matched.sum()
    queue[:tail] = np.flatnonzero(matched)
    head = 0
    while head < tail:
        i = queue[head]
        head += 1
        for k in range(first[i], first[i + 1]):
            j = neighbors[k]
            if way[j] == _FAR:
                way[j] = way[i] + 1
                queue[tail] = j
                tail += 1
    # Parts take the smallest number of their points; passes until nothing changes.
    changed = True
    while changed:
        changed = False
        for i in range(len(matched)):
            for k in range(first[i], first[i + 1]):
                j = neighbors[k]
                if not matched[i] and not matched[j] and root[j] < root[i]:
                    root[i] = root[j]
                    changed = True
    return way, root


def _close_gaps(marked: NDArray[np.bool_], strokes: Strokes) -> NDArray[np.bool_]:
    """Mark short unmarked runs between marked points, then unmark short marked runs between unmarked ones."""
    closed = ~_spread(~_spread(marked, strokes, _GAP), strokes, _GAP) | marked
    return ~(~_spread(~_spread(~closed, strokes, _RUN), strokes, _RUN) | ~closed)


def _spread(marked: NDArray[np.bool_], strokes: Strokes, rounds: int) -> NDArray[np.bool_]:
    """Mark the neighbors of marked points, too."""
    spread = marked.copy()
    for _ in range(rounds):
        before = spread.copy()
        np.logical_or.at(spread, strokes.edges[:, 0], before[strokes.edges[:, 1]])
        np.logical_or.at(spread, strokes.edges[:, 1], before[strokes.edges[:, 0]])
    return spread
