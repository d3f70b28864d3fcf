"""Renders a scene of figures at the times 0, t and 1, with exact flow and occlusion.

    Scene ──► figures posed at 0, t, 1 ──► depth buffers ──► cels in front of the background
                                                       └──► surface points followed to the other times

Flow is that of the surface that the center of a pixel shows, even where it is hidden in the other frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.characters.camera import Background, Camera, View
from animeinterp.data.characters.cel import Surfaces, draw_cel
from animeinterp.data.characters.figure import Figure, pose_figure
from animeinterp.data.characters.glb import Floats, Ints
from animeinterp.data.characters.model import Clip
from animeinterp.data.characters.raster import Buffers, Faces, find_covered, follow_surface, rasterize
from animeinterp.frame import RGBImage

# heights; a limb is about ten times as thick, and depth is sampled at three points a pixel
_DEPTH_TOLERANCE = 0.012


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How a figure is painted, see `animeinterp.data.characters.cel.Surfaces`.

    Attributes:
        hidden: Numbers of the parts that are left out.
        colors: uint8 (R, MAX_BANDS, 3).
        lines: uint8 (R, 3).
        style: float32 (4,), radii of the lines, samples.
        thresholds: float32 (MAX_BANDS - 1,).
    """

    hidden: tuple[int, ...]
    colors: NDArray[np.uint8]
    lines: NDArray[np.uint8]
    style: NDArray[np.float32]
    thresholds: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A figure that plays a clip.

    Attributes:
        figure: The figure.
        clip: What it plays; None for the pose at rest.
        phase: Where the clip begins: fraction of what is left of it after the scene.
        rate: Speed of the clip.
        position: (3,), in the world at time 0.
        velocity: (3,), heights per second.
        yaw: Where it faces at time 0, radians; 0 faces along +z.
        yaw_rate: Radians per second.
        size: Its height, heights.
        look: How it is painted.
    """

    figure: Figure
    clip: Clip | None
    phase: float
    rate: float
    position: Floats
    velocity: Floats
    yaw: float
    yaw_rate: float
    size: float
    look: Look

    def at(self, time: float, span: float) -> tuple[Floats, Floats]:
        """Return its vertices and normals in the world, (V, 3) each, at a time in [0, 1] of a scene of `span` s."""
        duration = self.clip.duration if self.clip is not None else 0.0
        played = self.rate * span
        points, normals = pose_figure(self.figure, self.clip, self.phase * max(0.0, duration - played) + played * time)
        angle = self.yaw + self.yaw_rate * span * time
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        return self.size * points @ turn.T + self.position + self.velocity * span * time, normals @ turn.T


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a triplet shows.

    Attributes:
        actors: The figures.
        camera: The camera.
        background: What is behind them.
        light: (3,), direction to the light in the world, unit length.
        span: From time 0 to time 1, s.
        t: Time of the middle frame, in (0, 1).
    """

    actors: tuple[Actor, ...]
    camera: Camera
    background: Background
    light: Floats
    span: float
    t: float


class Rendering(NamedTuple):
    """The frames of a scene and their ground truth.

    Attributes:
        frame0: uint8 (H, W, 3) RGB, at time 0.
        truth: uint8 (H, W, 3), at time t.
        frame1: uint8 (H, W, 3), at time 1.
        flow01: float32 (2, H, W), x first, px, from frame 0 to frame 1.
        flow10: float32 (2, H, W), from frame 1 to frame 0.
        flow0t: float32 (2, H, W), from frame 0 to time t.
        flow1t: float32 (2, H, W), from frame 1 to time t.
        occluded01: bool (H, W), where the point at a pixel of frame 0 is not visible in frame 1: hidden or outside.
        occluded10: bool (H, W), the same for frame 1 in frame 0.
        known0: bool (H, W), where `flow01` is defined: the point is in front of the camera.
        known1: bool (H, W), where `flow10` is defined.
    """

    frame0: RGBImage
    truth: RGBImage
    frame1: RGBImage
    flow01: NDArray[np.float32]
    flow10: NDArray[np.float32]
    flow0t: NDArray[np.float32]
    flow1t: NDArray[np.float32]
    occluded01: NDArray[np.bool_]
    occluded10: NDArray[np.bool_]
    known0: NDArray[np.bool_]
    known1: NDArray[np.bool_]


class _Still(NamedTuple):
    """A scene at one time: the view, points in camera coordinates, and what the samples show."""

    view: View
    points: Floats
    buffers: Buffers


def render_scene(scene: Scene) -> Rendering:
    """Render a scene and compute its ground truth."""
    faces, surfaces = _join(scene.actors)
    size, first = scene.camera.size, scene.camera.at(0)
    frames: list[RGBImage] = []
    stills: list[_Still] = []
    for time in (0.0, scene.t, 1.0):
        view = scene.camera.at(time)
        points, normals = place_actors(scene, time, view)
        buffers = rasterize(points, faces, view.lens, size)
        light = view.rotation @ scene.light
        color, alpha = draw_cel(buffers, points, normals, faces, view.lens, surfaces, light)
        behind = scene.background.draw(view, first, size)
        frames.append(np.rint(color + (1 - alpha[..., None]) * behind).astype(np.uint8))
        stills.append(_Still(view, points, buffers))
    flow01, occluded01, known0 = _compute_truth(scene, faces, stills[0], stills[2])
    flow10, occluded10, known1 = _compute_truth(scene, faces, stills[2], stills[0])
    flow0t, flow1t = (_compute_truth(scene, faces, still, stills[1])[0] for still in (stills[0], stills[2]))
    frame0, truth, frame1 = frames
    return Rendering(frame0, truth, frame1, flow01, flow10, flow0t, flow1t, occluded01, occluded10, known0, known1)


def place_actors(scene: Scene, time: float, view: View) -> tuple[Floats, Floats]:
    """Return points and normals of all actors at a time in [0, 1], in camera coordinates, (V, 3) each."""
    placed = [actor.at(time, scene.span) for actor in scene.actors]
    points = view.to_camera(np.concatenate([points for points, _ in placed]))
    return points, np.concatenate([normals for _, normals in placed]) @ view.rotation.T


def _join(actors: tuple[Actor, ...]) -> tuple[Faces, Surfaces]:
    """Join the faces of all actors, without hidden parts, and number their parts and regions in a row."""
    columns: list[tuple[Ints, ...]] = []
    vertex, part, region = 0, 0, 0
    for number, actor in enumerate(actors):
        figure = actor.figure
        drawn = ~np.isin(figure.part, actor.look.hidden)
        owner = np.full(int(drawn.sum()), number)
        columns.append((figure.faces[drawn] + vertex, owner, figure.part[drawn] + part, figure.region[drawn] + region))
        meshes = figure.model.meshes
        vertex, part = vertex + sum(len(mesh.positions) for mesh in meshes), part + len(meshes)
        region += len(figure.colors)
    faces, figures, parts, regions = (np.concatenate(column).astype(np.int32) for column in zip(*columns, strict=True))
    looks = [actor.look for actor in actors]
    surfaces = Surfaces(
        figure=figures,
        part=parts,
        region=regions,
        colors=np.concatenate([look.colors for look in looks]),
        lines=np.concatenate([look.lines for look in looks]),
        style=np.stack([look.style for look in looks]),
        thresholds=np.stack([look.thresholds for look in looks]),
    )
    return np.ascontiguousarray(faces), surfaces


def _compute_truth(
    scene: Scene, faces: Faces, start: _Still, end: _Still
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Compute flow, where it ends hidden, and where it is defined, from one time to another."""
    size, first = scene.camera.size, scene.camera.at(0)
    points, depth = follow_surface(start.buffers, start.points, end.points, faces, start.view.lens, end.view.lens)
    middle = start.buffers.face.shape[0] // size[0] // 2
    is_figure = start.buffers.face[middle :: 2 * middle + 1, middle :: 2 * middle + 1] >= 0
    points = np.where(is_figure, points, scene.background.follow(start.view, end.view, first, size))
    depth = np.where(is_figure, depth, np.float32(np.inf))
    occluded = find_covered(end.buffers, points, depth, _DEPTH_TOLERANCE)
    known = np.isfinite(points[0]) & np.isfinite(points[1])
    y, x = np.mgrid[: size[0], : size[1]]
    flow = np.where(known, points - np.stack([x, y]), 0).astype(np.float32)
    return flow, occluded, known
