"""Motion of a layer in a shot: a similarity transform whose parameters change linearly.

    x(t) = position(t) + scale(t) · R(rotation(t)) · (u - anchor)

u is a point of the layer's image and x a point of the frame, both (x, y) in px, y down, with the center of the upper
left pixel at (0, 0). R rotates clockwise as seen on the screen. Position, rotation and the logarithm of the scale are
linear in t: frame 1 is at t = 0, frame 2 exactly at t = 0.5, frame 3 at t = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (2, 3), applied to (x, y, 1)
Pair = tuple[float, float]
FRAME_TIMES = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """An image and its motion. Pairs of values are those at frame 1 and at frame 3.

    Attributes:
        file: Name in the art: `figures/…`, `backgrounds/…` or `middle/…`.
        anchor: Center of rotation, (x, y) px of the image.
        position: Position of the anchor in the frame, ((x, y), (x, y)) px.
        rotation: Degrees, clockwise.
        scale: px of the frame per px of the image, above 0.
        parallax: Fraction of the camera pan that `position` contains.
    """

    file: str
    anchor: Pair
    position: tuple[Pair, Pair]
    rotation: Pair = (0.0, 0.0)
    scale: Pair = (1.0, 1.0)
    parallax: float = 1.0

    def to_frame(self, t: float) -> Matrix:
        """Return the matrix (2, 3) from the image to the frame at time t in [0, 1]."""
        angle = math.radians(_interpolate(self.rotation, t))
        scale = math.exp(_interpolate((math.log(self.scale[0]), math.log(self.scale[1])), t))
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        rotation = np.array([[cos, -sin], [sin, cos]])
        position = [_interpolate((first, last), t) for first, last in zip(*self.position, strict=True)]
        return np.column_stack([rotation, np.array(position) - rotation @ np.array(self.anchor)])

    def to_image(self, t: float) -> Matrix:
        """Return the matrix (2, 3) from the frame at time t in [0, 1] to the image."""
        return invert(self.to_frame(t))

    def to_json(self) -> dict[str, Any]:
        """Return the layer as the manifest stores it."""
        return {
            "file": self.file,
            "anchor": list(self.anchor),
            "position": [list(point) for point in self.position],
            "rotation": list(self.rotation),
            "scale": list(self.scale),
            "parallax": self.parallax,
        }


def invert(matrix: Matrix) -> Matrix:
    """Invert a matrix (2, 3)."""
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack([inverse, -inverse @ matrix[:, 2]])


def transform_points(matrix: Matrix, x: Any, y: Any) -> tuple[Any, Any]:
    """Apply a matrix (2, 3) to points.

    Args:
        matrix: The matrix.
        x: Coordinates, numbers or arrays of any shape.
        y: The same.

    Returns:
        The new x and y.
    """
    (a, b, c), (d, e, f) = matrix
    return a * x + b * y + c, d * x + e * y + f


def _interpolate(pair: Pair, t: float) -> float:
    return (1 - t) * pair[0] + t * pair[1]
