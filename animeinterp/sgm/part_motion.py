"""How a part of a drawing, such as a limb, moves if some of its points are known.

Between its points a part moves by moving least squares of similarities (Schaefer et al. 2006): a translation for one
point, a similarity for two, and more bend it. On the way it swings: distances and directions between neighboring
points change evenly, so that a limb that turns does not shrink in the middle.

Places are complex numbers x + iy, px: a similarity is one multiplication and one addition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2), x first, px


class PartPoints(NamedTuple):
    """Points of one part.

    Attributes:
        source: float64 (N, 2) in the image that moves.
        target: float64 (N, 2) in the image it moves into.
    """

    source: Points
    target: Points

    def swapped(self) -> PartPoints:
        """Return the points for the opposite direction."""
        return PartPoints(self.target, self.source)


def bend(points: PartPoints, places: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Compute where the motion of a part takes places of the image.

    Args:
        points: Of the part.
        places: x + iy, px, of any shape.

    Returns:
        Where they go, of the same shape.
    """
    # Points as complex numbers: a similarity is one multiplication and one addition.
    source, target = (pairs[:, 0] + 1j * pairs[:, 1] for pairs in points)
    # Plus a pixel: at a point itself its weight stays finite.
    weights = np.stack([1 / (np.abs(places - point) ** 2 + 1) for point in source])
    weights /= weights.sum(0)
    center, target_center = np.tensordot(source, weights, 1), np.tensordot(target, weights, 1)
    if len(source) == 1:
        return np.asarray(places - center + target_center)
    product, square = np.zeros(places.shape, complex), np.zeros(places.shape)
    for point, goal, weight in zip(source, target, weights, strict=True):
        arm = point - center
        product += weight * arm.conj() * (goal - target_center)
        square += weight * np.abs(arm) ** 2
    turn = product / np.maximum(square, 1e-9)
    return np.asarray(turn * (places - center) + target_center)


def pose_between(points: PartPoints, t: float) -> Points:
    """Place the points of a part at a time: the distances and directions between neighbors change evenly.

    The point that moves least goes straight: a limb swings around it.

    Args:
        points: Of the part; from source to target is the whole way.
        t: In [0, 1].

    Returns:
        float64 (N, 2), px.
    """
    source, target = (pairs[:, 0] + 1j * pairs[:, 1] for pairs in points)
    root = int(np.abs(target - source).argmin())
    placed = source + t * (target - source)
    for indices in (range(root + 1, len(source)), range(root - 1, -1, -1)):
        step = 1 if indices.step > 0 else -1
        for index in indices:
            before = index - step
            placed[index] = placed[before] + _turned(source[index] - source[before], target[index] - target[before], t)
    return np.stack([placed.real, placed.imag], axis=1)


def _turned(bone: complex, goal: complex, t: float) -> complex:
    """Return the vector between two vectors: length and angle, the shorter way around, change evenly."""
    lengths = abs(bone), abs(goal)
    if min(lengths) < 1:
        return bone + t * (goal - bone)
    angle = float(np.angle(goal / bone))
    return complex(bone / lengths[0] * np.exp(1j * angle * t) * ((1 - t) * lengths[0] + t * lengths[1]))


def pixel_places(size: tuple[int, ...]) -> NDArray[np.complex128]:
    """Return the place of each pixel of an image (height, width), x + iy."""
    y, x = np.ogrid[: size[0], : size[1]]
    return np.asarray(x + 1j * y)
