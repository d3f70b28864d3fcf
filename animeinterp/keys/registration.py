"""Bring a scanned key to the place and brightness of the key before, and in-betweens back to the place between.

The key before stays as it is. The key is moved onto it, both are continued on one canvas (where only one of them
reaches, both show that one), the in-betweens are drawn there, and each is moved by its share of the placement. The keys
themselves are not changed by this: what is written of them is what was read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Generic, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame, AnyFrame_co, copied, from_planes, has_alpha, to_planes
from animeinterp.hints import Hints
from animeinterp.keys.align import Placement
from animeinterp.keys.rigid_motion import Matrix, largest_displacement, move_points

# Sharper than bilinear and with less ringing along lines than Lanczos.
_INTERPOLATION = cv2.INTER_CUBIC


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredPair(Generic[AnyFrame_co]):
    """Two keys in one place.

    Attributes:
        frame0: The key before, on the canvas.
        frame1: The key, moved onto it.
        placement: Where the key lay.
        margin: Width of the canvas around the frame, px.
    """

    frame0: AnyFrame_co
    frame1: AnyFrame_co
    placement: Placement
    margin: int

    def register_hints(self, hints: Hints) -> Hints:
        """Convert hints from the keys as they were read to the registered ones."""
        if not self.margin:
            return hints
        height, width = (side - 2 * self.margin for side in self.frame0.shape[:2])
        back = _back_to_canvas(self.placement, width, height, self.margin)
        registered = []
        for hint in hints.moved(self.margin, self.margin):
            points = move_points(np.array(hint.points1, np.float64) - self.margin, back)
            registered.append(replace(hint, points1=tuple((x, y) for x, y in points.tolist())))
        return Hints(tuple(registered))

    def place(self, drawn: AnyFrame, t: float) -> AnyFrame:
        """Move an in-between to where it lies between the keys, with the brightness between theirs.

        Args:
            drawn: Of the size, mode and depth of `frame0`.
            t: Its time, in [0, 1].

        Returns:
            A frame of the size of the keys.
        """
        height, width = (side - 2 * self.margin for side in drawn.shape[:2])
        inner = slice(self.margin, self.margin + height), slice(self.margin, self.margin + width)
        if not self.placement.moves and not self.placement.brightens:
            return copied(cast(AnyFrame, drawn[inner]))
        planes = to_planes(drawn)
        if self.placement.moves:
            matrix = self.placement.matrix(width, height, t)
            matrix[:, 2] -= matrix[:, :2] @ np.full(2, float(self.margin))
            planes = _warp(planes, matrix, (width, height))
        planes = _brighten(planes, 1 + t * (np.array(self.placement.gain) - 1), has_alpha(drawn))
        return from_planes(planes, cast(AnyFrame, drawn[inner]))


def register_pair(frame0: AnyFrame, frame1: AnyFrame, placement: Placement) -> RegisteredPair[AnyFrame]:
    """Bring a key to the place and brightness of the key before.

    Args:
        frame0: The key before, see `animeinterp.frame`.
        frame1: The key, of its size, mode and depth.
        placement: Where the key lies, see `animeinterp.keys.align.find_placement`.

    Returns:
        Both on one canvas.
    """
    if not placement.moves and not placement.brightens:
        return RegisteredPair(frame0, frame1, placement, 0)
    height, width = frame0.shape[:2]
    margin = _margin(placement, width, height)
    planes1 = _brighten(to_planes(frame1), 1 / np.array(placement.gain), has_alpha(frame1))
    if not margin:
        return RegisteredPair(frame0, from_planes(planes1, frame1), placement, 0)
    size = width + 2 * margin, height + 2 * margin
    back = _back_to_canvas(placement, width, height, margin)
    moved = _warp(planes1, back, size)
    reached1 = _warp(np.ones((1, height, width), np.float32), back, size, cv2.BORDER_CONSTANT)[0] > 0.999
    inner = slice(margin, margin + height), slice(margin, margin + width)
    reached0 = np.zeros(reached1.shape, bool)
    reached0[inner] = True
    around = ((margin, margin), (margin, margin)) + ((0, 0),) * (frame0.ndim - 2)
    canvas0 = cast(AnyFrame, np.pad(frame0, around, mode="edge"))
    canvas1 = from_planes(moved, canvas0)
    only0, only1 = reached0 & ~reached1, reached1 & ~reached0
    filled0 = copied(canvas0)
    filled0[only1] = canvas1[only1]
    canvas1[only0] = canvas0[only0]
    return RegisteredPair(filled0, canvas1, placement, margin)


def _back_to_canvas(placement: Placement, width: int, height: int, margin: int) -> Matrix:
    """Return the motion from the place of the key to its place on the canvas."""
    back = np.asarray(cv2.invertAffineTransform(placement.matrix(width, height)), np.float64)
    back[:, 2] += margin
    return back


def _margin(placement: Placement, width: int, height: int) -> int:
    """Return how far the corners of the frame move, rounded up, and what the interpolation needs besides, px."""
    if not placement.moves:
        return 0
    return math.ceil(largest_displacement(placement.matrix(width, height), width, height)) + 2


def _warp(
    planes: NDArray[np.float32], matrix: Matrix, size: tuple[int, int], border: int = cv2.BORDER_REPLICATE
) -> NDArray[np.float32]:
    """Move planes (C, H, W) by a rigid motion onto a canvas of `size`, width first."""
    moved = [cv2.warpAffine(plane, matrix, size, flags=_INTERPOLATION, borderMode=border) for plane in planes]
    return np.stack([np.asarray(plane, np.float32) for plane in moved])


def _brighten(planes: NDArray[np.float32], gain: NDArray[np.float64], alpha: bool) -> NDArray[np.float32]:
    """Multiply the color planes by the gains of red, green and blue, gray by their mean; clipped to the range."""
    colors = len(planes) - alpha
    factors = gain if colors == 3 else np.array([gain.mean()])
    planes[:colors] *= factors.astype(np.float32)[:, None, None]
    top = planes[-1] if alpha else np.float32(1)
    np.clip(planes[:colors], 0, top, out=planes[:colors])
    return planes
