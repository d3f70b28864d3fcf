"""A camera that moves around a target, and the painted background, a plane behind the figures.

World coordinates are in heights of a figure, y up; camera coordinates as in `animeinterp.data.characters.raster`.
Between the times 0 and 1 angles and positions change at a constant speed, distance and focal length at a constant
ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.characters.glb import Floats
from animeinterp.data.characters.raster import Lens
from animeinterp.frame import RGBImage


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Where a camera is, or how far it moves.

    Attributes:
        target: (3,), the point it looks at.
        distance: From the target; as motion a ratio.
        azimuth: Angle around the target, radians; 0 looks along -z.
        elevation: Angle above the target, radians.
        roll: Rotation around its axis, radians.
        focal: Focal length, px; as motion a ratio.
    """

    target: Floats
    distance: float
    azimuth: float
    elevation: float
    roll: float
    focal: float


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera at one time.

    Attributes:
        rotation: (3, 3), from world to camera directions.
        position: (3,), in the world.
        lens: Its projection.
    """

    rotation: Floats
    position: Floats
    lens: Lens

    def to_camera(self, points: Floats) -> Floats:
        """Convert world points (..., 3) to camera coordinates."""
        converted: Floats = (points - self.position) @ self.rotation.T
        return converted


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A moving camera.

    Attributes:
        start: At time 0.
        motion: From time 0 to time 1.
        size: Height and width of the frame, px.
    """

    start: Setting
    motion: Setting
    size: tuple[int, int]

    def at(self, time: float) -> View:
        """Return the view at a time in [0, 1]."""
        start, motion = self.start, self.motion
        azimuth, elevation, roll = (
            getattr(start, name) + time * getattr(motion, name) for name in ("azimuth", "elevation", "roll")
        )
        back = np.array(
            [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)]
        )
        right = np.array([math.cos(azimuth), 0, -math.sin(azimuth)])
        down = np.cross(-back, right)
        cos, sin = math.cos(roll), math.sin(roll)
        rotation = np.stack([cos * right + sin * down, cos * down - sin * right, -back])
        position = start.target + time * motion.target + start.distance * motion.distance**time * back
        height, width = self.size
        lens = Lens(start.focal * motion.focal**time, (width - 1) / 2, (height - 1) / 2)
        return View(rotation, position, lens)


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A painted plane, parallel to the frame at time 0, where each of its pixels is as large as one of the frame.

    Attributes:
        image: uint8 (H, W, 3) RGB; continued by reflection.
        distance: From the camera at time 0, heights.
    """

    image: RGBImage
    distance: float

    def map_to(self, view: View, first: View) -> Floats:
        """Compute the homography (3, 3) from pixels of the image to those of a view; `first` is that at time 0."""
        height, width = self.image.shape[:2]
        pixel = self.distance / first.lens.focal
        right, down, forward = first.rotation
        corner = first.position + self.distance * forward - pixel * ((width - 1) / 2 * right + (height - 1) / 2 * down)
        plane = np.stack(
            [view.rotation @ (pixel * right), view.rotation @ (pixel * down), view.to_camera(corner)], axis=1
        )
        focal, center_x, center_y = view.lens
        homography: Floats = np.array([[focal, 0, center_x], [0, focal, center_y], [0, 0, 1.0]]) @ plane
        return homography

    def draw(self, view: View, first: View, size: tuple[int, int]) -> RGBImage:
        """Draw it as a frame of size (height, width), uint8 RGB."""
        matrix: Any = self.map_to(view, first)
        drawn = cv2.warpPerspective(
            self.image, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        return np.asarray(drawn, np.uint8)

    def follow(self, start: View, end: View, first: View, size: tuple[int, int]) -> NDArray[np.float32]:
        """Follow the pixels of a frame that shows nothing else from one view to another: (2, H, W) px."""
        y, x = np.mgrid[: size[0], : size[1]]
        matrix = self.map_to(end, first) @ np.linalg.inv(self.map_to(start, first))
        points = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]).astype(np.float64))
        return np.asarray(points[:2] / points[2:], np.float32)
