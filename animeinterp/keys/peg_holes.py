"""Register scans by their peg holes: spots of one tone that paper surrounds, in a row along one side of the sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.keys.rigid_motion import SHEET_LIMITS, Matrix, Points, fit_rigid, is_sheet_motion, move_points


@dataclass(frozen=True, slots=True)
class HoleLimits:
    """What counts as a peg hole.

    Areas and distances by hand, from the common peg bars; the rest on simulated scans, see `animeinterp.keys.align`.

    Attributes:
        band: Depth of the band along the border that may hold holes, as a fraction of the shorter side.
        contrast: Smallest difference between hole and paper, as a fraction of the paper's level.
        area: Smallest and largest area, as a fraction of the frame.
        solidity: Smallest fraction of its convex hull that a hole fills.
        ring: Smallest fraction of the pixels around a hole that are paper.
        area_ratio: Largest ratio of the areas of a hole in both scans.
        distance: Smallest distance between the outer holes, as a fraction of the side that they lie along.
        slope: Largest slope of the row of holes against the side.
        error: Largest distance between holes after registration, px.
    """

    band: float = 0.15
    contrast: float = 0.3
    area: tuple[float, float] = (1e-4, 6e-3)
    solidity: float = 0.88
    ring: float = 0.95
    area_ratio: float = 1.25
    distance: float = 0.25
    slope: float = 0.1
    error: float = 1.0


HOLE_LIMITS = HoleLimits()


class _Holes(NamedTuple):
    """Peg holes along one side of a frame: centers (N, 2) and areas (N,)."""

    centers: Points
    areas: NDArray[np.float64]


def register_holes(
    gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], limits: HoleLimits = HOLE_LIMITS
) -> Matrix | None:
    """Register two frames by the peg holes along one side; None without at least two."""
    reach = SHEET_LIMITS.shift * gray0.shape[1]
    for side in range(4):  # bottom, right, top, left, as the frame is turned
        first, second = (_find_holes(np.rot90(gray, side), limits) for gray in (gray0, gray1))
        if not (len(first.centers) and len(second.centers)):
            continue
        distance = np.linalg.norm(first.centers[:, None] - second.centers, axis=2)
        unlike = np.abs(np.log(first.areas[:, None] / second.areas)) > math.log(limits.area_ratio)
        distance[unlike] = np.inf
        best0, best1 = distance.argmin(axis=1), distance.argmin(axis=0)
        pairs = [i for i in range(len(best0)) if best1[best0[i]] == i and distance[i, best0[i]] <= reach]
        if len(pairs) < 2:
            continue
        turned = np.rot90(gray0, side).shape
        matrix = _fit_row(first.centers[pairs], second.centers[best0[pairs]], turned, limits)
        if matrix is None:
            continue
        matrix = _turned_back(matrix, side, gray0.shape)
        if is_sheet_motion(matrix, gray0.shape):
            return matrix
    return None


def _fit_row(points0: Points, points1: Points, shape: tuple[int, ...], limits: HoleLimits) -> Matrix | None:
    """Fit the rigid motion of the most holes that move alike and lie in a row along the lower side."""
    best = np.zeros(len(points0), bool)
    for pair in combinations(range(len(points0)), 2):
        row = points0[pair[1]] - points0[pair[0]]
        if abs(row[0]) < limits.distance * shape[1] or abs(row[1]) > limits.slope * abs(row[0]):
            continue
        matrix = fit_rigid(points0[list(pair)], points1[list(pair)])
        error = np.linalg.norm(move_points(points0, matrix) - points1, axis=1)
        alike = error <= limits.error
        if alike[list(pair)].all() and alike.sum() > best.sum():
            best = alike
    return fit_rigid(points0[best], points1[best]) if best.any() else None


def _turned_back(matrix: Matrix, side: int, shape: tuple[int, ...]) -> Matrix:
    """Convert a motion of `np.rot90(image, side)` to that of the image."""
    height, width = shape[:2]
    # From a point of the turned image to that of the image.
    turns: list[Any] = [
        [[1, 0, 0], [0, 1, 0]],
        [[0, -1, width - 1], [1, 0, 0]],
        [[-1, 0, width - 1], [0, -1, height - 1]],
        [[0, 1, 0], [-1, 0, height - 1]],
    ]
    back = np.vstack([turns[side], [0, 0, 1]]).astype(np.float64)
    return np.asarray((back @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(back))[:2])


def _find_holes(gray: NDArray[np.uint8], limits: HoleLimits) -> _Holes:
    """Find spots of another tone that paper surrounds, in the band along the lower side."""
    height, width = gray.shape
    top = height - round(limits.band * min(height, width))
    band = np.ascontiguousarray(gray[top:])
    paper = float(np.median(band))
    difference = np.abs(band.astype(np.float32) - paper)
    spots = (difference > limits.contrast * paper).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(spots, connectivity=8)
    centers, areas = [], []
    smallest, largest = (fraction * gray.size for fraction in limits.area)
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        apart = x >= 1 and y >= 1 and x + w < width and y + h < len(band)
        if not (apart and smallest <= area <= largest):
            continue
        margin = 4
        left, above = max(0, x - margin), max(0, y - margin)
        part = slice(above, y + h + margin), slice(left, x + w + margin)
        spot = (labels[part] == label).astype(np.uint8)
        outline = cv2.findContours(spot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
        hull: Any = cv2.fillConvexPoly(np.zeros_like(spot), cv2.convexHull(outline), (1,))
        around = cv2.dilate(spot, np.ones((2 * margin - 1, 2 * margin - 1), np.uint8)).astype(bool)
        near = cv2.dilate(spot, np.ones((3, 3), np.uint8)).astype(bool)
        is_paper = difference[part] < limits.contrast * paper
        if area < limits.solidity * float(hull.sum()) or is_paper[around & ~near].mean() < limits.ring:
            continue
        weight = difference[part] * cv2.dilate(spot, np.ones((5, 5), np.uint8))
        rows, columns = np.indices(weight.shape)
        total = float(weight.sum())
        center_y = top + above + float((weight * rows).sum()) / total
        centers.append((left + float((weight * columns).sum()) / total, center_y))
        areas.append(float(area))
    return _Holes(np.array(centers, np.float64).reshape(-1, 2), np.array(areas, np.float64))
