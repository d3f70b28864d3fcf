"""Rasterizes triangles into a depth buffer, and follows the surface points that pixels show to another time.

Points are camera coordinates: x to the right, y down, z forward, all in heights of a figure. A pixel is `SAMPLES` x
`SAMPLES` samples; the sample in its middle is at its center. The buffers hold the number of the face in front and the
inverse of its depth, which is linear on the screen. Faces have two sides.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.characters.glb import Floats
from animeinterp.runtime.jit import cached_njit

SAMPLES = 3  # along each side of a pixel; odd, so that one is at the center
NEAR = 0.05  # heights; faces that reach closer to the camera are not drawn
NOTHING = -1  # the face of a sample that shows the background

# Rounding would leave holes at samples on the common edge of two faces.
_ON_EDGE = 1e-7

Faces = NDArray[np.int32]  # (F, 3)


class Lens(NamedTuple):
    """The projection: px = focal · x / z + center_x, with the center of the first pixel at (0, 0).

    Attributes:
        focal: Focal length, px.
        center_x: Where the camera looks, px.
        center_y: The same, px.
    """

    focal: float
    center_x: float
    center_y: float

    def project(self, points: Floats) -> Floats:
        """Project camera points (..., 3) to px (..., 2)."""
        depth = np.maximum(points[..., 2:], NEAR)
        projected: Floats = self.focal * points[..., :2] / depth + (self.center_x, self.center_y)
        return projected


class Buffers(NamedTuple):
    """What the samples of a frame show.

    Attributes:
        face: int32 (SAMPLES · H, SAMPLES · W), number of the face in front, or `NOTHING`.
        nearness: float32, of the same shape, inverse of the depth; 0 where nothing is.
    """

    face: NDArray[np.int32]
    nearness: NDArray[np.float32]


def rasterize(points: Floats, faces: Faces, lens: Lens, size: tuple[int, int]) -> Buffers:
    """Rasterize faces.

    Args:
        points: (V, 3), camera coordinates.
        faces: (F, 3) int32, indices of points.
        lens: The projection.
        size: Height and width of the frame, px.

    Returns:
        The buffers.
    """
    height, width = SAMPLES * size[0], SAMPLES * size[1]
    buffers = Buffers(np.full((height, width), NOTHING, np.int32), np.zeros((height, width), np.float32))
    _rasterize(to_screen(points, lens), faces, *buffers)
    return buffers


def follow_surface(
    buffers: Buffers, start: Floats, end: Floats, faces: Faces, lens: Lens, end_lens: Lens
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Follow what the pixel centers show to another time.

    Args:
        buffers: Buffers of the frame.
        start: (V, 3), camera coordinates at its time.
        end: (V, 3), camera coordinates at the other time.
        faces: (F, 3) int32.
        lens: The projection of the frame.
        end_lens: The projection at the other time.

    Returns:
        Positions at the other time, float32 (2, H, W) px, and the depth there, float32 (H, W); both NaN where the
        pixel shows the background or its point is not in front of the camera.
    """
    height, width = (side // SAMPLES for side in buffers.face.shape)
    points = np.full((2, height, width), np.nan, np.float32)
    depth = np.full((height, width), np.nan, np.float32)
    _follow(buffers.face, to_screen(start, lens), end, faces, tuple(end_lens), points, depth)
    return points, depth


def find_covered(
    buffers: Buffers, points: NDArray[np.float32], depth: NDArray[np.float32], tolerance: float
) -> NDArray[np.bool_]:
    """Find the points that are hidden behind a surface or outside the frame.

    Args:
        buffers: Buffers of the frame in which the points are looked for.
        points: (2, H, W) px.
        depth: (H, W), depth of the points; infinite for the background.
        tolerance: Difference of depth that does not hide, heights.

    Returns:
        bool (H, W). A point is visible if one of the 3x3 samples at its place shows nothing in front of it.
    """
    covered = np.empty(depth.shape, np.bool_)
    _find_covered(buffers.nearness, points, depth, tolerance, covered)
    return covered


def to_screen(points: Floats, lens: Lens) -> Floats:
    """Convert camera points (V, 3) to x and y in samples, and the inverse of the depth; 0 if it is below `NEAR`."""
    middle = (SAMPLES - 1) / 2
    screen = np.concatenate([SAMPLES * lens.project(points) + middle, np.zeros((len(points), 1))], 1)
    visible = points[:, 2] > NEAR
    screen[visible, 2] = 1 / points[visible, 2]
    return screen


@cached_njit()
def _rasterize(screen: Any, faces: Any, face_buffer: Any, nearness: Any) -> None:
    height, width = face_buffer.shape
    for face in range(len(faces)):
        a, b, c = faces[face]
        x0, y0, w0 = screen[a]
        x1, y1, w1 = screen[b]
        x2, y2, w2 = screen[c]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        # NaN fails these comparisons.
        if not (w0 > 0 and w1 > 0 and w2 > 0 and abs(area) > 0):
            continue
        top, bottom = max(min(y0, y1, y2), 0.0), min(max(y0, y1, y2), height - 1.0)
        left, right = max(min(x0, x1, x2), 0.0), min(max(x0, x1, x2), width - 1.0)
        if top > bottom or left > right:
            continue
        # Both coordinates, and with them the nearness, are linear on the screen.
        u_x, u_y = (y1 - y2) / area, (x2 - x1) / area
        v_x, v_y = (y2 - y0) / area, (x0 - x2) / area
        for y in range(math.ceil(top), math.floor(bottom) + 1):
            u_row, v_row = u_y * (y - y2) - u_x * x2, v_y * (y - y2) - v_x * x2
            for x in range(math.ceil(left), math.floor(right) + 1):
                u, v = u_row + u_x * x, v_row + v_x * x
                if not (u >= -_ON_EDGE and v >= -_ON_EDGE and u + v <= 1 + _ON_EDGE):
                    continue
                near = np.float32(u * w0 + v * w1 + (1 - u - v) * w2)
                if near > nearness[y, x]:
                    nearness[y, x] = near
                    face_buffer[y, x] = face


@cached_njit()
def weights_at(screen: Any, corners: Any, x: float, y: float) -> Any:
    """Compute the barycentric coordinates on the surface of a sample position: those on the screen over the depth."""
    x0, y0, w0 = screen[corners[0]]
    x1, y1, w1 = screen[corners[1]]
    x2, y2, w2 = screen[corners[2]]
    u = w0 * ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y))
    v = w1 * ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y))
    w = w2 * ((x0 - x) * (y1 - y) - (x1 - x) * (y0 - y))
    total = u + v + w
    return u / total, v / total, w / total


@cached_njit()
def _follow(face_buffer: Any, screen: Any, end: Any, faces: Any, lens: Any, points: Any, depth: Any) -> None:
    focal, center_x, center_y = lens
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            y, x = SAMPLES * row + SAMPLES // 2, SAMPLES * column + SAMPLES // 2
            face = face_buffer[y, x]
            if face < 0:
                continue
            a, b, c = faces[face]
            u, v, w = weights_at(screen, faces[face], x, y)
            z = u * end[a, 2] + v * end[b, 2] + w * end[c, 2]
            if z <= NEAR:
                continue
            points[0, row, column] = focal * (u * end[a, 0] + v * end[b, 0] + w * end[c, 0]) / z + center_x
            points[1, row, column] = focal * (u * end[a, 1] + v * end[b, 1] + w * end[c, 1]) / z + center_y
            depth[row, column] = z


@cached_njit()
def _find_covered(nearness: Any, points: Any, depth: Any, tolerance: float, covered: Any) -> None:
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            x, y, z = points[0, row, column], points[1, row, column], depth[row, column]
            covered[row, column] = True
            # NaN fails the comparison.
            if not (x >= -0.5 and y >= -0.5 and x <= width - 0.5 and y <= height - 0.5 and z > 0):
                continue
            limit = 1 / (z - tolerance) if z > tolerance else np.inf
            middle_y, middle_x = round(SAMPLES * y + SAMPLES // 2), round(SAMPLES * x + SAMPLES // 2)
            for sample_y in range(max(middle_y - 1, 0), min(middle_y + 2, SAMPLES * height)):
                for sample_x in range(max(middle_x - 1, 0), min(middle_x + 2, SAMPLES * width)):
                    if nearness[sample_y, sample_x] <= limit:
                        covered[row, column] = False
