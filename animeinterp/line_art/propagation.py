"""Choose one of several displacements per node by loopy min-sum belief propagation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.strokes import Floats, Indices
from animeinterp.runtime.jit import cached_njit


def choose_candidates(
    candidates: Floats,
    costs: Floats,
    position: Floats,
    pairs: Indices,
    stiffness: Floats,
    max_costs: Floats,
    rounds: int,
) -> NDArray[np.int64]:
    """Choose a candidate per node so that costs are low and neighbors move rigidly.

    Args:
        candidates: Displacements, px, and turns, radians: float32 (K, L, 3).
        costs: Of each, float32 (K, L).
        position: Of the nodes, float32 (K, 2), px.
        pairs: Neighbors, int32 (P, 2).
        stiffness: Cost of each px by which neighbors are not rigid, float32 (P,).
        max_costs: Upper limit of that cost, float32 (P,).
        rounds: Rounds of messages.

    Returns:
        The number of the chosen candidate, int64 (K,).
    """
    return np.asarray(_min_sum(candidates, costs, position, pairs, stiffness, max_costs, rounds))


@cached_njit()
def _send(out, candidates, bends, pair, way, offset, stiffness, max_cost, message):  # type: ignore[no-untyped-def]
    """Renew the message from one node of a pair to the other; `out` are the costs at the sender."""
    i, j = pair[way], pair[1 - way]
    least = out.min() + max_cost
    # Half of what a turn adds to the way from i to j; the other half is the turn of j.
    ax, ay = 0.5 * offset[0], 0.5 * offset[1]
    total = 0.0
    for b in range(len(out)):
        cost = least
        bx = candidates[j, b, 0] - bends[j, b, 0] * ax + bends[j, b, 1] * ay
        by = candidates[j, b, 1] - bends[j, b, 1] * ax - bends[j, b, 0] * ay
        for a in range(len(out)):
            if out[a] < cost:
                dx = bx - candidates[i, a, 0] - bends[i, a, 0] * ax + bends[i, a, 1] * ay
                dy = by - candidates[i, a, 1] - bends[i, a, 1] * ax - bends[i, a, 0] * ay
                cost = min(cost, out[a] + stiffness * np.sqrt(dx * dx + dy * dy))
        message[b] = 0.5 * message[b] + 0.5 * cost
        total += message[b]
    message -= total / len(out)


@cached_njit()
def _add_messages(costs, pairs, messages):  # type: ignore[no-untyped-def]
    """Add the messages to the costs of the nodes that they go to."""
    belief = costs.copy()
    for e in range(len(pairs)):
        belief[pairs[e, 1]] += messages[e, 0]
        belief[pairs[e, 0]] += messages[e, 1]
    return belief


@cached_njit()
def _min_sum(candidates, costs, position, pairs, stiffness, max_costs, rounds):  # type: ignore[no-untyped-def]
    """See `choose_candidates`; messages[e, 0] goes to the second node of pair e, messages[e, 1] to the first."""
    messages = np.zeros((len(pairs), 2, costs.shape[1]), np.float32)
    bends = np.empty((*costs.shape, 2), np.float32)
    bends[..., 0], bends[..., 1] = np.cos(candidates[..., 2]) - 1, np.sin(candidates[..., 2])
    for _ in range(rounds):
        belief = _add_messages(costs, pairs, messages)
        for e in range(len(pairs)):
            for way in range(2):
                out = belief[pairs[e, way]] - messages[e, 1 - way]
                offset = position[pairs[e, 1 - way]] - position[pairs[e, way]]
                _send(out, candidates, bends, pairs[e], way, offset, stiffness[e], max_costs[e], messages[e, way])
    belief = _add_messages(costs, pairs, messages)
    chosen = np.empty(len(costs), np.int64)
    for i in range(len(costs)):
        chosen[i] = np.argmin(belief[i])
    return chosen
