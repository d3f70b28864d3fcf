"""Where points of strokes are between the two drawings: paths that turn instead of shrinking.

On straight paths, an arm that turns would become shorter half-way. Instead the edges of the web turn and stretch evenly
in time, and the points are placed so that all edges fit best (as-rigid-as-possible interpolation, Alexa et al. 2000),
with a weak pull to the straight path that fixes where the whole drawing is.
"""

from __future__ import annotations

import numpy as np

from animeinterp.line_art.registration import Registration, Web, conjugate_gradients
from animeinterp.line_art.strokes import Floats
from animeinterp.runtime.jit import cached_njit

_STRAIGHT = 0.002  # weight of the straight path against that of an edge
_STEPS = 60  # of the solver; it starts from the straight path


def place_points(points: Floats, registration: Registration, web: Web, t: float) -> Floats:
    """Place the points of a drawing at a time.

    Args:
        points: float32 (N, 2), px of the working size.
        registration: Where they go.
        web: Their edges and links.
        t: In [0, 1].

    Returns:
        Their places, float32 (N, 2), px.
    """
    straight = points + np.float32(t) * registration.displacement
    if not len(web.pairs):
        return straight
    wanted = _turn_edges(points, registration.displacement, registration.turn, web.pairs, t)
    data = np.zeros((len(points), 3))
    data[:, 0] = data[:, 2] = _STRAIGHT
    right = _gather(data[:, :1] * straight, wanted, web.pairs, registration.strength)
    start = straight.astype(np.float64)
    return np.asarray(conjugate_gradients(start, data, right, web.pairs, registration.strength, _STEPS), np.float32)


@cached_njit()
def _turn_edges(points, displacement, turn, pairs, t):  # type: ignore[no-untyped-def]
    """Compute the vector that each pair should have at t: (E, 2)."""
    out = np.empty((len(pairs), 2))
    for e in range(len(pairs)):
        i, j = pairs[e, 0], pairs[e, 1]
        ax, ay = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        bx, by = ax + displacement[j, 0] - displacement[i, 0], ay + displacement[j, 1] - displacement[i, 1]
        # The mean of both turns, across the seam at half a turn.
        angle = turn[i] + 0.5 * ((turn[j] - turn[i] + np.pi) % (2 * np.pi) - np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        back_x, back_y = cos * bx + sin * by, cos * by - sin * bx
        mx, my = (1 - t) * ax + t * back_x, (1 - t) * ay + t * back_y
        cos, sin = np.cos(t * angle), np.sin(t * angle)
        out[e, 0], out[e, 1] = cos * mx - sin * my, sin * mx + cos * my
    return out


@cached_njit()
def _gather(right, wanted, pairs, strength):  # type: ignore[no-untyped-def]
    """Add what the pairs want to the right side of the equations; returns it."""
    for e in range(len(pairs)):
        for axis in range(2):
            right[pairs[e, 1], axis] += strength[e] * wanted[e, axis]
            right[pairs[e, 0], axis] -= strength[e] * wanted[e, axis]
    return right
