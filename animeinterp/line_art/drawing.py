"""Draw strokes between two drawings with their own ink.

A stroke at time t is a chain of pieces. Each pixel within the thickness of a piece is located along and across it, and
takes the ink at the same place of the same stroke in the drawings, mixed by time. So thickness, color, texture and
anti-aliasing of the ink are kept, and thickness changes evenly. Where strokes overlap, a pixel belongs to the piece in
whose ink it lies deepest.

Ink is what differs from the paper: planes of a frame minus those of the paper, see `animeinterp.frame.to_planes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.strokes import Floats, Strokes
from animeinterp.runtime.jit import cached_njit

RIM = 1.5  # px beyond the radius of a line that belong to it: its anti-aliased rim


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The M pieces of strokes at one time; each end of a piece in one row of (M, 2, …).

    Attributes:
        places: At time t, float32 (M, 2, 2), px.
        radius: At time t, float32 (M, 2), px.
        sources: In drawing 0 and 1, float32 (2, M, 2, 2), px.
        source_radius: There, float32 (2, M, 2), px.
        weights: Of the ink of both drawings, float32 (2, M).
    """

    places: Floats
    radius: Floats
    sources: Floats
    source_radius: Floats
    weights: Floats


def draw_pieces(pieces: Pieces, ink0: Floats, ink1: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw pieces of strokes.

    Args:
        pieces: The pieces.
        ink0: Ink of drawing 0, float32 (C, H, W).
        ink1: Of drawing 1.

    Returns:
        Their ink, float32 (C, H, W), and the pixels that they reach, bool (H, W).
    """
    size = ink0.shape[1:]
    depth = np.full(size, -np.inf, np.float32)
    owner = np.full(size, -1, np.int32)
    _claim(pieces.places, pieces.radius, depth, owner)
    drawn = np.zeros_like(ink0)
    _fill(owner, pieces.places, pieces.radius, pieces.sources, pieces.source_radius, pieces.weights, ink0, ink1, drawn)
    return drawn, owner >= 0


@cached_njit()
def _locate(ax, ay, bx, by, x, y):  # type: ignore[no-untyped-def]
    """Find the nearest place on a piece: its share of the length, and how far beyond its ends and across it is."""
    dx, dy = bx - ax, by - ay
    length = np.sqrt(dx * dx + dy * dy)
    if length < 1e-3:
        return 0.0, x - ax, y - ay, 1.0, 0.0
    ux, uy = dx / length, dy / length
    along = (x - ax) * ux + (y - ay) * uy
    across = (y - ay) * ux - (x - ax) * uy
    share = min(max(along / length, 0.0), 1.0)
    return share, along - share * length, across, ux, uy


@cached_njit()
def _claim(places, radius, depth, owner):  # type: ignore[no-untyped-def]
    """Give each pixel to the piece in which it lies deepest."""
    height, width = owner.shape
    for e in range(len(places)):
        if max(radius[e, 0], radius[e, 1]) <= 0:
            continue
        ax, ay, bx, by = places[e, 0, 0], places[e, 0, 1], places[e, 1, 0], places[e, 1, 1]
        reach = max(radius[e, 0], radius[e, 1]) + RIM
        for y in range(max(int(min(ay, by) - reach), 0), min(int(max(ay, by) + reach) + 2, height)):
            for x in range(max(int(min(ax, bx) - reach), 0), min(int(max(ax, bx) + reach) + 2, width)):
                share, beyond, across, _, _ = _locate(ax, ay, bx, by, x, y)
                r = (1 - share) * radius[e, 0] + share * radius[e, 1]
                inside = r + RIM - np.sqrt(beyond * beyond + across * across)
                if inside > 0 and inside > depth[y, x]:
                    depth[y, x] = inside
                    owner[y, x] = e


@cached_njit()
def _pick(ink, channel, x, y):  # type: ignore[no-untyped-def]
    """Sample ink, bilinear; the border pixel outside the frame."""
    _, height, width = ink.shape
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
    fx, fy = x - left, y - top
    upper = ink[channel, top, left] * (1 - fx) + ink[channel, top, left + 1] * fx
    lower = ink[channel, top + 1, left] * (1 - fx) + ink[channel, top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


@cached_njit()
def _fill(owner, places, radius, sources, source_radius, weights, ink0, ink1, drawn):  # type: ignore[no-untyped-def]
    """Fill each pixel with the ink of its piece."""
    height, width = owner.shape
    for y in range(height):
        for x in range(width):
            e = owner[y, x]
            if e < 0:
                continue
            share, beyond, across, ux, uy = _locate(
                places[e, 0, 0], places[e, 0, 1], places[e, 1, 0], places[e, 1, 1], x, y
            )
            r = (1 - share) * radius[e, 0] + share * radius[e, 1]
            rim = min(max(r + RIM - np.sqrt(beyond * beyond + across * across), 0.0), 1.0)
            for side in range(2):
                weight = weights[side, e]
                if weight <= 0:
                    continue
                ax, ay = sources[side, e, 0, 0], sources[side, e, 0, 1]
                dx, dy = sources[side, e, 1, 0] - ax, sources[side, e, 1, 1] - ay
                length = np.sqrt(dx * dx + dy * dy)
                # A dot has no direction of its own: it is not turned.
                sx, sy = (dx / length, dy / length) if length >= 1e-3 else (ux, uy)
                own = (1 - share) * source_radius[side, e, 0] + share * source_radius[side, e, 1]
                # The rim is as wide in all drawings; only the thickness is scaled.
                distance = np.sqrt(beyond * beyond + across * across)
                scaled = distance * own / max(r, 1e-3) if distance < r else distance + own - r
                scale = scaled / max(distance, 1e-6)
                u = ax + share * dx + scale * (beyond * sx - across * sy)
                v = ay + share * dy + scale * (beyond * sy + across * sx)
                for channel in range(len(drawn)):
                    value = _pick(ink0, channel, u, v) if side == 0 else _pick(ink1, channel, u, v)
                    drawn[channel, y, x] += weight * rim * value


def cover(strokes: Strokes, size: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    """Mark the pixels within the thickness of strokes and a margin around them.

    Args:
        strokes: px of the frame.
        size: Height and width, px.
        margin: px.

    Returns:
        bool (H, W).
    """
    dots = np.flatnonzero(np.diff(strokes.first) == 0).astype(np.int32)
    edges = np.concatenate([strokes.edges, np.stack([dots, dots], axis=1)])
    depth, owner = np.full(size, -np.inf, np.float32), np.full(size, -1, np.int32)
    _claim(strokes.points[edges], strokes.radius[edges] + np.float32(margin - RIM), depth, owner)
    return owner >= 0
