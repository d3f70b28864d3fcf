"""Line drawings made for the tests."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 160, 240


def draw_figure(
    shift: tuple[float, float] = (0, 0), turn: float = 0, thickness: int = 3, size: tuple[int, int] = SIZE
) -> NDArray[np.uint8]:
    """Draw a face with a hat, turned by degrees around its center and shifted by px: gray, black on white."""
    canvas = np.full(size, 255, np.uint8)
    center = np.array([size[1] / 2, size[0] / 2])
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def line(*points: tuple[float, float], closed: bool = False) -> None:
        moved = np.array(points) @ matrix.T + center + np.array(shift)
        cv2.polylines(canvas, [np.rint(moved * 16).astype(np.int32)], closed, 0, thickness, cv2.LINE_AA, 4)

    ring = [(30 * np.cos(a), 36 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 40, endpoint=False)]
    line(*ring, closed=True)
    line((-36, -30), (-20, -52), (24, -50), (36, -26))
    line((-16, -8), (-8, -12), (-2, -8))
    line((8, -8), (14, -12), (20, -8))
    line((4, -4), (8, 10), (2, 12))
    line((-12, 20), (0, 24), (14, 18))
    return canvas
