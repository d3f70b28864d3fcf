"""Where a layer of a shot is at a time: a similarity transform whose parameters change linearly.

    x(t) = position(t) + scale(t) · R(rotation(t)) · (u - anchor)

u is a point of the layer's picture and x of the frame, both (x, y) in px, y down, with the center of the upper left
pixel at (0, 0). R turns clockwise as it is seen. Position and rotation are linear in t, and so is the logarithm of the
scale: frame 1 is at t = 0, frame 2 exactly at t = 0.5, frame 3 at t = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (2, 3): of x, y and 1
Pair = tuple[float, float]
FRAME_TIMES = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture and its motion. Pairs are at frames 1 and 3.

    file: of the art, `figures/…`, `backgrounds/…` or `middle/…`. anchor: the point of the picture, px, that it turns
    about. position: where the anchor lies in the frame, ((x, y), (x, y)) px. rotation: degrees, clockwise. scale: px of
    the frame per px of the picture, above 0. parallax: share of the camera's pan that is in `position`.
    """

    file: str
    anchor: Pair
    position: tuple[Pair, Pair]
    rotation: Pair = (0.0, 0.0)
    scale: Pair = (1.0, 1.0)
    parallax: float = 1.0

    def to_frame(self, t: float) -> Matrix:
        """The matrix (2, 3) from the picture to the frame at time t in [0, 1]."""
        angle = math.radians(_between(self.rotation, t))
        scale = math.exp(_between((math.log(self.scale[0]), math.log(self.scale[1])), t))
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        place = [_between((first, last), t) for first, last in zip(*self.position, strict=True)]
        return np.column_stack([turn, np.array(place) - turn @ np.array(self.anchor)])

    def to_picture(self, t: float) -> Matrix:
        """The matrix (2, 3) from the frame at time t to the picture."""
        return invert(self.to_frame(t))

    def described(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "file": self.file,
            "anchor": list(self.anchor),
            "position": [list(place) for place in self.position],
            "rotation": list(self.rotation),
            "scale": list(self.scale),
            "parallax": self.parallax,
        }


def invert(matrix: Matrix) -> Matrix:
    """The inverse of a matrix (2, 3)."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def transform_points(matrix: Matrix, x: Any, y: Any) -> tuple[Any, Any]:
    """Points under a matrix (2, 3): x and y, arrays or numbers."""
    (a, b, c), (d, e, f) = matrix
    return a * x + b * y + c, d * x + e * y + f


def _between(pair: Pair, t: float) -> float:
    return (1 - t) * pair[0] + t * pair[1]
