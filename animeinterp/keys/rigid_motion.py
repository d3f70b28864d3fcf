"""Rigid motions of a sheet: shift and rotation. Coordinates are x first, px, angles clockwise as seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (2, 3), of a rigid motion
Points = NDArray[np.float64]  # (N, 2), x first, px


@dataclass(frozen=True, slots=True)
class SheetLimits:
    """How far a sheet may lie off; by hand: a peg bar holds it closer, a careless scan is not far beyond.

    Attributes:
        shift: Largest shift of its center, as a fraction of the width.
        degrees: Largest angle.
    """

    shift: float = 0.06
    degrees: float = 3.0


SHEET_LIMITS = SheetLimits()


def fit_rigid(points0: Points, points1: Points) -> Matrix:
    """Fit the rigid motion between matched points, float64 (N, 2), in least squares (Kabsch 1976)."""
    mean0, mean1 = points0.mean(axis=0), points1.mean(axis=0)
    a, b = points0 - mean0, points1 - mean1
    angle = math.atan2(float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()), float((a * b).sum()))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([turn, mean1 - turn @ mean0])


def move_points(points: Points, matrix: Matrix) -> Points:
    """Apply a motion to points."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def rigid_matrix(shift: tuple[float, float], degrees: float, width: int, height: int) -> Matrix:
    """Return the motion that shifts the center of a frame by x and y, px, and turns the frame around it."""
    angle, center = math.radians(degrees), np.array([(width - 1) / 2, (height - 1) / 2])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([turn, center - turn @ center + np.array(shift)])


def shift_and_angle(matrix: Matrix, width: int, height: int) -> tuple[tuple[float, float], float]:
    """Return the shift of the center of a frame, x and y, px, and the angle, the inverse of `rigid_matrix`."""
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    x, y = (matrix[:, :2] @ center + matrix[:, 2] - center).tolist()
    return (x, y), math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))


def is_sheet_motion(matrix: Matrix, shape: tuple[int, ...], limits: SheetLimits = SHEET_LIMITS) -> bool:
    """Tell whether a motion of frames of a shape, height first, is small enough for a sheet."""
    shift, degrees = shift_and_angle(matrix, shape[1], shape[0])
    return math.hypot(*shift) <= limits.shift * shape[1] and abs(degrees) <= limits.degrees


def largest_displacement(matrix: Matrix, width: int, height: int) -> float:
    """Return how far a corner of a frame moves along x or y at most, px."""
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64)
    return float(np.abs(move_points(corners, matrix) - corners).max())
