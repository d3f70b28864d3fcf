"""Where the strokes of one drawing are in the other: a displacement for nodes along the strokes.

Color says nothing in a line drawing, so shape decides. Around each node, the strokes within a radius are the template;
it is compared with the other drawing at all shifts in range by oriented line maps: lines count where both position and
direction agree. Local maxima of that score, displacements that much of the drawing shares, and proposals from outside
(flow of a network) are the candidates of a node. Belief propagation (min-sum) chooses among them, so that neighbors
along a stroke, and less strictly neighbors in space, move alike; then each node may take over what its neighbors chose,
and they choose again.

All lengths are px of the working size (at most 960x540).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from animeinterp.line_art.nodes import choose_nodes, extrapolate, fit_turns, invert_motion, link_nodes, return_error
from animeinterp.line_art.propagation import choose_candidates
from animeinterp.line_art.strokes import Floats, Indices, Strokes
from animeinterp.line_art.templates import Templates

CELL = 4  # px, of the grid on which templates are searched
FINE_CELL = 2  # px, of the grid on which known candidates are compared


@dataclass(frozen=True, slots=True)
class MatchingLimits:
    """How nodes are matched; by hand, on line drawings made of the linear set (benchmarks/line_art.py).

    Attributes:
        node_spacing: Distance of nodes along a stroke, px.
        radius: Of the two templates around a node, px.
        fine_radius: The same once a first choice is known and turned templates are compared on a finer grid.
        reach: Largest displacement along an axis, px.
        candidates: Local maxima kept per template.
        shared: Displacements shared by much of the drawing that every node may take.
        neighbors: Nearest nodes in space that a node is compared with.
        stiffness: Cost of neighbors that move apart by as much as they are distant, along a stroke.
        stiffness_in_space: The same for neighbors in space.
        max_cost: Upper limit of that cost: strokes may be torn.
        fine_weight: Weight of the comparison on the finer grid.
        distance_cost: Cost of a displacement of `reach`.
        rounds: Rounds of belief propagation.
        repeats: How often nodes choose, each time knowing what their neighbors and the other drawing chose before.
        kept: Candidates of a node among which belief propagation chooses.
        sure: Score from which a node is extrapolated far.
        return_cost: Cost of a displacement that the other drawing does not return at all.
    """

    node_spacing: float = 18.0
    radius: tuple[float, float] = (32.0, 80.0)
    fine_radius: tuple[float, float] = (20.0, 48.0)
    reach: float = 160.0
    candidates: int = 6
    shared: int = 8
    neighbors: int = 5
    stiffness: float = 1.0
    stiffness_in_space: float = 0.4
    max_cost: float = 0.5
    fine_weight: float = 3.0
    distance_cost: float = 0.15
    rounds: int = 12
    repeats: int = 3
    kept: int = 14
    sure: float = 0.55
    return_cost: float = 0.15


LIMITS = MatchingLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Where the points of a drawing are in the other one.

    Attributes:
        displacement: float32 (N, 2), px, rigid for all points of a node.
        confidence: How well the strokes around each point agree with the target there, float32 (N,) in [0, 1].
    """

    displacement: Floats
    confidence: Floats


def match_strokes(
    strokes: tuple[Strokes, Strokes],
    size: tuple[int, int],
    proposals: tuple[Floats, Floats],
    limits: MatchingLimits = LIMITS,
) -> tuple[Side, Side]:
    """Find where the points of two drawings are in the other one.

    Args:
        strokes: Of both drawings, px of the working size.
        size: Height and width of the drawings, px.
        proposals: Displacements of each point to the other drawing from elsewhere, float32 (N, P, 2).
        limits: How nodes are matched.

    Returns:
        The nodes of drawing 0 with what they chose, and those of drawing 1.
    """
    sides = [
        Side(own, other, size, proposal, limits)
        for own, other, proposal in zip(strokes, strokes[::-1], proposals, strict=True)
    ]
    choose_together(sides[0], sides[1], limits.repeats)
    return sides[0], sides[1]


def choose_together(side0: Side, side1: Side, repeats: int, *, again: bool = False) -> None:
    """Let the nodes of both drawings choose in turn, each time knowing what the others chose before.

    Args:
        side0: Drawing 0.
        side1: Drawing 1.
        repeats: How often.
        again: Whether they have chosen before.
    """
    for number in range(repeats):
        for side, other in ((side0, side1), (side1, side0)):
            side.choose(other if number or again else None, fine=again)


class Side:
    """The nodes of one drawing with their candidates and choices."""

    def __init__(
        self, strokes: Strokes, target: Strokes, size: tuple[int, int], proposals: Floats, limits: MatchingLimits
    ) -> None:
        self._limits, self.strokes = limits, strokes
        self._nodes = choose_nodes(strokes, limits.node_spacing)
        self._links = link_nodes(strokes, self._nodes, limits.neighbors)
        self.position = strokes.points[self._nodes.points]
        self._scorer = Templates(strokes, target, self.position, size, CELL, limits.radius)
        self._fine = Templates(strokes, target, self.position, size, FINE_CELL, limits.fine_radius)
        found = self._scorer.search(limits.reach, limits.candidates)
        count = len(self.position)
        candidates = [
            found,
            proposals[self._nodes.points],
            np.zeros((count, 1, 2), np.float32),
            np.broadcast_to(_shared(found, limits.shared), (count, limits.shared, 2)),
        ]
        self._candidates = _unturned(np.concatenate(candidates, axis=1))
        self.chosen: Floats = np.zeros((count, 3), np.float32)
        self._confidence: Floats = np.zeros(count, np.float32)

    def choose(self, other: Side | None, *, fine: bool = False) -> None:
        """Choose a displacement per node; `other` has chosen before and is asked back."""
        limits, candidates = self._limits, [self._candidates]
        scorer = self._fine if fine else self._scorer
        if other is not None:
            candidates.append(self.chosen[:, None])
            returned = return_error(
                self.position, self.chosen[:, None], other.position, other.chosen, limits.node_spacing
            )
            sure = (self._confidence > limits.sure) & (returned[:, 0] < 0.5)
            for reliable, count in ((sure, 6), (np.ones_like(sure), 4)):
                candidates.append(extrapolate(self.position, self.chosen, reliable, count))
            candidates.append(invert_motion(self.position, other.position, other.chosen, 3))
        labels = np.ascontiguousarray(np.concatenate(candidates, axis=1), np.float32)
        scores = scorer.score(labels)
        costs = np.asarray((limits.fine_weight if fine else 1) * (1 - scores), np.float32)
        costs += limits.distance_cost / limits.reach * np.hypot(labels[..., 0], labels[..., 1])
        if other is not None:
            costs += limits.return_cost * return_error(
                self.position, labels, other.position, other.chosen, limits.node_spacing
            )
        order = np.argsort(costs, axis=1, kind="stable")[:, : limits.kept]
        labels = np.take_along_axis(labels, order[..., None], axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        costs = np.take_along_axis(costs, order, axis=1).astype(np.float32)
        pairs, stiffness, max_costs = self._bonds()
        best = choose_candidates(labels, costs, self.position, pairs, stiffness, max_costs, limits.rounds)
        self.chosen = np.take_along_axis(labels, best[:, None, None], axis=1)[:, 0]
        self._confidence = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
        self.chosen[:, 2] = fit_turns(self.position, self.chosen, pairs)

    def _bonds(self) -> tuple[Indices, Floats, Floats]:
        """Return the pairs of neighbors with their stiffness and the upper limit of its cost."""
        pairs, along = self._links
        stiffness = np.where(along, self._limits.stiffness, self._limits.stiffness_in_space).astype(np.float32)
        offset = self.position[pairs[:, 0]] - self.position[pairs[:, 1]]
        distance = np.hypot(offset[:, 0], offset[:, 1]) + np.float32(2 * CELL)
        return pairs, stiffness / distance, stiffness * np.float32(self._limits.max_cost)

    def adopt(self, displacement: Floats, turn: Floats) -> None:
        """Replace the choices by displacements (N, 2) and turns (N,) of all points."""
        points = self._nodes.points
        self.chosen = np.column_stack([displacement[points], turn[points]]).astype(np.float32)
        self._confidence = self._fine.score(np.ascontiguousarray(self.chosen[:, None]))[:, 0]

    def matches(self) -> Matches:
        """Give each point the choice of its node."""
        nodes, points = self._nodes.of_point, self.strokes.points
        chosen = self.chosen[nodes]
        return Matches(_move(points - self.position[nodes], chosen), self._confidence[nodes])


def _unturned(displacements: Floats) -> Floats:
    """Add a turn of 0 to displacements: float32 (…, 2) → (…, 3)."""
    return np.concatenate([displacements, np.zeros_like(displacements[..., :1])], axis=-1).astype(np.float32)


def _move(offset: Floats, rule: Floats) -> Floats:
    """Displace points at an offset (…, 2) from nodes that are displaced and turned by a rule (…, 3): (…, 2)."""
    cos, sin = np.cos(rule[..., 2]), np.sin(rule[..., 2])
    x, y = offset[..., 0], offset[..., 1]
    moved = np.stack([cos * x - sin * y - x, sin * x + cos * y - y], axis=-1)
    return np.asarray(rule[..., :2] + moved, np.float32)


def _shared(found: Floats, count: int) -> Floats:
    """Find the displacements that the best candidates of most nodes share: float32 (1, count, 2)."""
    best = found[:, [0, found.shape[1] // 2]].reshape(-1, 2)
    cells = np.rint(best / CELL).astype(np.int64)
    low = cells.min(axis=0)
    votes = np.zeros(tuple(cells.max(axis=0) - low + 1), np.float32)
    np.add.at(votes, tuple((cells - low).T), 1)
    votes = np.asarray(cv2.GaussianBlur(votes, (0, 0), 1.0, borderType=cv2.BORDER_CONSTANT))
    out = np.zeros((1, count, 2), np.float32)
    for k in range(count):
        x, y = divmod(int(votes.argmax()), votes.shape[1])
        out[0, k] = (np.array([x, y]) + low) * CELL
        votes[max(x - 2, 0) : x + 3, max(y - 2, 0) : y + 3] = 0
    return out
