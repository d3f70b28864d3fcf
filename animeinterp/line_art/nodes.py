"""Nodes along strokes, their neighbors, and what the motion of some nodes lets expect for others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animeinterp.line_art.strokes import Indices, Strokes
from animeinterp.runtime.jit import cached_njit


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Nodes along the strokes of a drawing.

    Attributes:
        of_point: The node that each point belongs to, int32 (N,).
        points: The point at each node, int32 (K,).
    """

    of_point: Indices
    points: Indices


def choose_nodes(strokes: Strokes, spacing: float) -> Nodes:
    """Place nodes along the strokes, each with the points nearest to it along them."""
    of_point, points = _grow_nodes(strokes.points, strokes.first, strokes.neighbors, spacing)
    return Nodes(of_point, points)


@cached_njit()
def _grow_nodes(points, first, neighbors, spacing):  # type: ignore[no-untyped-def]
    """Cover the graph by discs of `spacing` / 2 px along it: the node of each point, the point of each node."""
    count = len(points)
    of_point = np.full(count, -1, np.int32)
    centers = np.empty(count, np.int32)
    queue, length = np.empty(count, np.int32), np.full(count, np.inf)
    size = 0
    for seed in range(count):
        if of_point[seed] >= 0:
            continue
        # From the first free point, walk half a disc on, so that discs touch instead of overlapping.
        centers[size] = seed
        of_point[seed], length[seed], queue[0] = size, 0.0, seed
        head, tail, members = 0, 1, 1
        while head < tail:
            i = queue[head]
            head += 1
            for k in range(first[i], first[i + 1]):
                j = neighbors[k]
                step = np.sqrt((points[j, 0] - points[i, 0]) ** 2 + (points[j, 1] - points[i, 1]) ** 2)
                if of_point[j] < 0 and length[i] + step <= spacing:
                    of_point[j], length[j] = size, length[i] + step
                    queue[tail] = j
                    tail += 1
                    members += 1
        centers[size] = queue[tail // 2]
        size += 1
    return of_point, centers[:size].copy()


def link_nodes(strokes: Strokes, nodes: Nodes, nearest: int) -> tuple[Indices, NDArray[np.bool_]]:
    """List the neighbors of each node, along strokes and in space: pairs int32 (L, 2), and which are along strokes."""
    along = np.sort(nodes.of_point[strokes.edges], axis=1)
    along = np.unique(along[along[:, 0] != along[:, 1]], axis=0)
    position = strokes.points[nodes.points]
    near = _nearest(position, min(nearest, len(position) - 1))
    spatial = np.sort(np.stack([np.repeat(np.arange(len(position)), near.shape[1]), near.ravel()], axis=1), axis=1)
    pairs = np.unique(np.concatenate([along, spatial]).astype(np.int32), axis=0).reshape(-1, 2)
    keys = pairs[:, 0].astype(np.int64) * len(position) + pairs[:, 1]
    own = along[:, 0].astype(np.int64) * len(position) + along[:, 1]
    return pairs, np.isin(keys, own)


@cached_njit()
def _nearest(position, count):  # type: ignore[no-untyped-def]
    """List the nearest other positions, nearest first: int32 (K, count)."""
    out = np.empty((len(position), count), np.int32)
    for i in range(len(position)):
        distance = (position[:, 0] - position[i, 0]) ** 2 + (position[:, 1] - position[i, 1]) ** 2
        distance[i] = np.inf
        for k in range(count):
            out[i, k] = np.argmin(distance)
            distance[out[i, k]] = np.inf
    return out


@cached_njit()
def extrapolate(position, chosen, reliable, count):  # type: ignore[no-untyped-def]
    """List where the nearest reliable nodes would take each node, were it rigidly joined: float32 (K, count, 3)."""
    out = np.zeros((len(position), count, 3), np.float32)
    for i in range(len(position)):
        distance = (position[:, 0] - position[i, 0]) ** 2 + (position[:, 1] - position[i, 1]) ** 2
        distance[i] = np.inf
        for j in range(len(position)):
            if not reliable[j]:
                distance[j] = np.inf
        for k in range(min(count, len(position))):
            nearest = np.argmin(distance)
            if distance[nearest] == np.inf:
                out[i, k] = chosen[i]
                continue
            distance[nearest] = np.inf
            ax, ay = position[i, 0] - position[nearest, 0], position[i, 1] - position[nearest, 1]
            cos, sin = np.cos(chosen[nearest, 2]), np.sin(chosen[nearest, 2])
            out[i, k, 0] = chosen[nearest, 0] + cos * ax - sin * ay - ax
            out[i, k, 1] = chosen[nearest, 1] + sin * ax + cos * ay - ay
            out[i, k, 2] = chosen[nearest, 2]
    return out


@cached_njit()
def fit_turns(position, chosen, pairs):  # type: ignore[no-untyped-def]
    """Estimate the turn of each node from the neighbors that move as it predicts: float32 (K,), radians."""
    turn = chosen[:, 2].copy()
    for _ in range(3):
        cross, dot = np.zeros(len(position)), np.full(len(position), 1.0)
        for e in range(len(pairs)):
            for side in range(2):
                i, j = pairs[e, side], pairs[e, 1 - side]
                ax, ay = position[j, 0] - position[i, 0], position[j, 1] - position[i, 1]
                bx, by = ax + chosen[j, 0] - chosen[i, 0], ay + chosen[j, 1] - chosen[i, 1]
                cos, sin = np.cos(turn[i]), np.sin(turn[i])
                ex, ey = bx - cos * ax + sin * ay, by - sin * ax - cos * ay
                tolerance = 4.0 + 0.2 * np.sqrt(ax * ax + ay * ay)
                weight = 1 / (1 + (ex * ex + ey * ey) / (tolerance * tolerance)) ** 2
                dot[i] += weight * (ax * bx + ay * by)
                cross[i] += weight * (ax * by - ay * bx)
        for i in range(len(position)):
            turn[i] = np.arctan2(cross[i], dot[i])
    return turn


@cached_njit()
def invert_motion(position, other, chosen, count):  # type: ignore[no-untyped-def]
    """List the opposite motion of the nodes of the other drawing that end nearest: float32 (K, count, 3)."""
    out = np.zeros((len(position), count, 3), np.float32)
    landed = other + chosen[:, :2]
    for i in range(len(position)):
        distance = (landed[:, 0] - position[i, 0]) ** 2 + (landed[:, 1] - position[i, 1]) ** 2
        for k in range(min(count, len(other))):
            j = np.argmin(distance)
            distance[j] = np.inf
            cos, sin = np.cos(chosen[j, 2]), np.sin(chosen[j, 2])
            ax, ay = position[i, 0] - landed[j, 0], position[i, 1] - landed[j, 1]
            out[i, k, 0] = other[j, 0] + cos * ax + sin * ay - position[i, 0]
            out[i, k, 1] = other[j, 1] - sin * ax + cos * ay - position[i, 1]
            out[i, k, 2] = -chosen[j, 2]
    return out


@cached_njit()
def return_error(position, labels, other, chosen, spacing):  # type: ignore[no-untyped-def]
    """Compute how far from each node its displacements lead, there and back: (K, L) in [0, 1]."""
    out = np.ones(labels.shape[:2], np.float32)
    for i in range(len(position)):
        for label in range(labels.shape[1]):
            x, y = position[i, 0] + labels[i, label, 0], position[i, 1] + labels[i, label, 1]
            for j in range(len(other)):
                dx, dy = other[j, 0] - x, other[j, 1] - y
                if dx * dx + dy * dy <= spacing * spacing:
                    ex, ey = labels[i, label, 0] + chosen[j, 0], labels[i, label, 1] + chosen[j, 1]
                    out[i, label] = min(out[i, label], np.sqrt(ex * ex + ey * ey) / spacing)
    return out
