"""Triplets from vector animation: two frames of a scene and the true frame between them.

A scene is a background and one to five Lottie animations in front of it. Each animation plays and may also travel; the
camera may pan, zoom and rotate. Animations are drawn at integer frames only, so t is a fraction whose denominator
divides the gap of every animation. Random scenes are drawn until one has the required difficulty level, by the rule of
`animeinterp.data.difficulty`.

Images are uint8 (H, W, 3) RGB; drawings of animations are uint8 (H, W, 4) RGBA, premultiplied. Coordinates are px, x
first, with the center of the first pixel at (0.5, 0.5). Needs the extra `train`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.difficulty import classify_motion, find_changed_pixels, is_between, measure_displacement
from animeinterp.data.lottie import Animation, RGBAImage, list_animations, open_animation
from animeinterp.data.types import LEVELS, Level, Triplet
from animeinterp.frame import RGBImage, rgb8
from animeinterp.io.images import read_image

LEVEL_FRACTIONS: dict[Level, float] = {"easy": 0.3, "medium": 0.4, "hard": 0.3}
MIDDLE_FRACTION = 0.7  # of the triplets have t = 1/2
OTHER_TIMES = [Fraction(i, n) for n in (3, 4, 5) for i in range(1, n) if 2 * i != n]
MAX_GAP = 24  # animation frames between frame 0 and frame 1
MAX_SECONDS = 0.4  # between frame 0 and frame 1; motion over longer times is ambiguous
MAX_DRAWING_SIDE = 2048  # px
SUPERSAMPLING = 2  # drawings are larger by this factor before they are warped, so that sub-pixel motion stays sharp
TRIAL_WIDTH = 400  # px; scenes are judged at this width
MIN_CHANGED = 0.003  # fraction of the pixels of a scene
_MAX_PACE_CHANGES = 4
_PACE_FACTOR = 1.8


class Pose(NamedTuple):
    """Position of a drawing in the frame.

    Attributes:
        x: Center, px.
        y: Center, px.
        width: Width, px.
        angle: Rotation, radians.
    """

    x: float
    y: float
    width: float
    angle: float


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An animation in a scene.

    Attributes:
        animation: What is drawn.
        start: Its frame at time 0.
        gap: Frames that it plays from time 0 to time 1.
        pose0: Its pose at time 0.
        pose1: Its pose at time 1.
        channels: Permutation of its color channels.
    """

    animation: Animation
    start: int
    gap: int
    pose0: Pose
    pose1: Pose
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The content of a triplet.

    Attributes:
        size: Width and height of the frames, px.
        background: An image of at least that size.
        layers: Animations, from back to front.
        camera: Camera motion from time 0 to time 1: shift in px, zoom (as `width`, 1 = none) and rotation.
        depth: Fraction of the camera motion that applies to the background.
    """

    size: tuple[int, int]
    background: RGBImage
    layers: tuple[Layer, ...]
    camera: Pose
    depth: float


def generate_triplets(
    folder: Path | str,
    seed: int | Sequence[int],
    *,
    backgrounds: Path | str | None = None,
    levels: dict[Level, float] | None = None,
) -> Iterator[Triplet]:
    """Generate triplets of random scenes endlessly.

    Args:
        folder: Folder of vector animations.
        seed: The same seed gives the same triplets.
        backgrounds: Folder of images (.webp); None gives plain backgrounds and gradients.
        levels: Fraction of each difficulty level; None for `LEVEL_FRACTIONS`.

    Yields:
        The triplets.

    Raises:
        FileError: There are no animations, or one is damaged.
        MissingExtraError: rlottie is not installed.
    """
    files = list_animations(folder)
    images = sorted(Path(backgrounds).glob("*.webp")) if backgrounds is not None else []
    fractions = levels or LEVEL_FRACTIONS
    names = list(fractions)
    rng = np.random.default_rng(seed)
    while True:
        level = names[rng.choice(len(names), p=np.array(list(fractions.values())) / sum(fractions.values()))]
        middle = rng.random() < MIDDLE_FRACTION
        t = Fraction(1, 2) if middle else OTHER_TIMES[rng.integers(len(OTHER_TIMES))]
        scene = None
        while scene is None:
            scene = _adjust_pace(_random_scene(rng, files, images, t), t, level)
        frame0, truth, frame1 = (draw_scene(scene, time) for time in (Fraction(0), t, Fraction(1)))
        yield Triplet(frame0, truth, frame1, float(t))


def draw_scene(scene: Scene, time: Fraction, scale: float = 1.0, supersampling: int = SUPERSAMPLING) -> RGBImage:
    """Draw a scene.

    Args:
        scene: The scene.
        time: In [0, 1].
        scale: Size of the image as a fraction of the full size.
        supersampling: How much larger drawings are before they are warped.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    size = round(scene.size[0] * scale), round(scene.size[1] * scale)
    rows, columns = scene.background.shape[:2]
    center = Pose(scene.size[0] / 2, scene.size[1] / 2, columns, 0)
    scaling = np.diag([scale, scale, 1.0])
    placement = scaling @ _camera_matrix(scene, time, scene.depth) @ _pose_matrix(center, 1, rows)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    matrix = _to_opencv(placement)
    image: Any = cv2.warpAffine(scene.background, matrix, size, flags=mode, borderMode=cv2.BORDER_REFLECT_101)
    camera = scaling @ _camera_matrix(scene, time, 1.0)
    for layer in scene.layers:
        pose = _interpolate(layer.pose0, layer.pose1, float(time))
        drawing = _draw_layer(layer, layer.start + int(layer.gap * time), pose.width * scale * supersampling)
        placement = camera @ _pose_matrix(pose, pose.width / drawing.shape[1], drawing.shape[0])
        image = _composite(image, np.asarray(cv2.warpAffine(drawing, _to_opencv(placement), size)))
    return np.asarray(image, np.uint8)


def _interpolate(pose0: Pose, pose1: Pose, t: float) -> Pose:
    return Pose(*(a + t * (b - a) for a, b in zip(pose0, pose1, strict=True)))


def _draw_layer(layer: Layer, frame: int, width: float) -> RGBAImage:
    """Draw a frame of a layer's animation, `width` px wide or as large as allowed."""
    animation = layer.animation
    reduction = min(1.0, MAX_DRAWING_SIDE / max(width, width * animation.height / animation.width))
    rows = max(2, round(width * reduction * animation.height / animation.width))
    return animation.draw(frame, (max(2, round(width * reduction)), rows))[..., [*layer.channels, 3]]


def _pose_matrix(pose: Pose, scale: float, rows: int) -> NDArray[np.float64]:
    """Return the 3x3 matrix from pixels of a drawing to pixels of the frame."""
    columns = pose.width / scale
    cos, sin = scale * math.cos(pose.angle), scale * math.sin(pose.angle)
    matrix = np.array([[cos, -sin, pose.x], [sin, cos, pose.y], [0, 0, 1]])
    return np.asarray(matrix @ np.array([[1, 0, -columns / 2], [0, 1, -rows / 2], [0, 0, 1]]))


def _camera_matrix(scene: Scene, time: Fraction, depth: float) -> NDArray[np.float64]:
    """Return the 3x3 matrix of the camera at a time, for a layer of a depth."""
    fraction = depth * float(time)
    x, y, zoom, angle = scene.camera
    width, height = scene.size
    pose = Pose(width / 2 + fraction * x, height / 2 + fraction * y, width * zoom**fraction, fraction * angle)
    return _pose_matrix(pose, zoom**fraction, height)


def _to_opencv(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a matrix for OpenCV, whose first pixel has its center at (0, 0)."""
    to_corner, to_center = np.eye(3), np.eye(3)
    to_corner[:2, 2], to_center[:2, 2] = 0.5, -0.5
    return np.asarray((to_center @ matrix @ to_corner)[:2])


def _composite(image: RGBImage, drawing: RGBAImage) -> RGBImage:
    """Composite a premultiplied drawing over an image."""
    transparency = 255 - drawing[..., 3:].astype(np.uint16)
    return np.minimum(drawing[..., :3] + (image * transparency + 127) // 255, 255).astype(np.uint8)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _random_scene(rng: np.random.Generator, files: Sequence[Path], images: Sequence[Path], t: Fraction) -> Scene:
    width = int(rng.integers(480, 961))
    height = int(np.clip(width / _log_uniform(rng, 1.2, 1.9), 304, 640))
    size = width, height
    background = _random_background(rng, size, images)
    count = int(rng.choice([1, 2, 3, 5], p=[0.4, 0.3, 0.2, 0.1]))
    animations = [_open_cached(files[int(rng.integers(len(files)))]) for _ in range(count)]
    layers = tuple(_random_layer(rng, animation, size, t, count) for animation in animations)
    camera = Pose(0, 0, 1, 0)
    if rng.random() < 0.3:
        distance, direction = _log_uniform(rng, 1, 0.2 * width), rng.uniform(0, 2 * math.pi)
        zoom = float(np.exp(rng.normal(0, 0.05))) if rng.random() < 0.4 else 1.0
        angle = float(rng.normal(0, 0.03)) if rng.random() < 0.2 else 0.0
        camera = Pose(distance * math.cos(direction), 0.4 * distance * math.sin(direction), zoom, angle)
    return Scene(size, background, layers, camera, 1.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 1)))


def _random_layer(
    rng: np.random.Generator, animation: Animation, size: tuple[int, int], t: Fraction, count: int
) -> Layer:
    step = t.denominator
    max_gap = min(MAX_GAP, animation.frames - 1, round(MAX_SECONDS * animation.frame_rate))
    gap = step * round(_log_uniform(rng, 1, max(1, max_gap // step)))
    gap = gap if gap <= max_gap and (count == 1 or rng.random() < 0.85) else 0
    start = int(rng.integers(animation.frames - gap))
    shape = animation.height / animation.width
    fitting, covering = sorted((size[0], size[1] / shape))
    width = fitting * (covering / fitting) ** rng.random() * _log_uniform(rng, 0.45, 1.5)
    width *= 1 if count == 1 else rng.uniform(0.3, 0.9)
    pose0 = Pose(rng.uniform(0.15, 0.85) * size[0], rng.uniform(0.15, 0.85) * size[1], width, 0)
    pose1 = pose0
    if rng.random() < 0.4:
        distance, direction = _log_uniform(rng, 1, 0.2 * size[0]), rng.uniform(0, 2 * math.pi)
        angle = float(rng.normal(0, 0.12)) if rng.random() < 0.5 else 0.0
        growth = float(np.exp(rng.normal(0, 0.06))) if rng.random() < 0.4 else 1.0
        x, y = pose0.x + distance * math.cos(direction), pose0.y + distance * math.sin(direction)
        pose1 = Pose(x, y, width * growth, angle)
    channels = tuple(int(i) for i in rng.permutation(3)) if rng.random() < 0.5 else (0, 1, 2)
    return Layer(animation, start, gap, pose0, pose1, channels)


def _random_background(rng: np.random.Generator, size: tuple[int, int], images: Sequence[Path]) -> RGBImage:
    """Choose an image, a color or a linear gradient."""
    kind = rng.random()
    if images and kind < 0.6:
        image = _read_cached(images[int(rng.integers(len(images)))])
        rows, columns = image.shape[:2]
        scale = max(size[0] / columns, size[1] / rows) * rng.uniform(1, 1.6)
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=mode), np.uint8)
    colors = rng.integers(0, 256, (2, 3)) if rng.random() < 0.7 else rng.integers(200, 256, (2, 3))
    if kind < 0.8:
        return np.broadcast_to(colors[0].astype(np.uint8), (size[1], size[0], 3)).copy()
    direction = rng.uniform(0, 2 * math.pi)
    x, y = np.linspace(-0.5, 0.5, size[0]), np.linspace(-0.5, 0.5, size[1])[:, None]
    fraction = np.clip(0.5 + math.cos(direction) * x + math.sin(direction) * y, 0, 1)[..., None]
    return np.asarray(np.rint(colors[0] + fraction * (colors[1] - colors[0])), np.uint8)


_open_cached = lru_cache(maxsize=64)(open_animation)


@lru_cache(maxsize=16)
def _read_cached(path: Path) -> RGBImage:
    return rgb8(read_image(path, Options().max_pixels).pixels)


def _adjust_pace(scene: Scene, t: Fraction, level: Level) -> Scene | None:
    """Play a scene faster or slower until it has the level; None if it does not reach it, or hardly changes."""
    for _ in range(_MAX_PACE_CHANGES):
        scale = TRIAL_WIDTH / scene.size[0]
        frame0, frame1 = (draw_scene(scene, Fraction(time), scale, 1) for time in (0, 1))
        if find_changed_pixels(frame0, frame1).mean() < MIN_CHANGED:
            return None
        current = classify_motion(*measure_displacement(frame0, frame1, scale))
        if current == level:
            truth = draw_scene(scene, t, scale, 1)
            return scene if is_between(frame0, truth, frame1) else None
        faster = LEVELS.index(current) < LEVELS.index(level)
        scene = _change_pace(scene, _PACE_FACTOR if faster else 1 / _PACE_FACTOR, t.denominator)
    return None


def _change_pace(scene: Scene, factor: float, step: int) -> Scene:
    """Multiply the speed of everything in a scene; gaps stay multiples of `step`."""
    layers = []
    for layer in scene.layers:
        animation = layer.animation
        max_gap = min(MAX_GAP, animation.frames - 1 - layer.start, round(MAX_SECONDS * animation.frame_rate))
        gap = step * min(max_gap // step, max(1, round(layer.gap / step * factor))) if layer.gap else 0
        pose1 = _interpolate(layer.pose0, layer.pose1, factor)
        layers.append(replace(layer, gap=gap, pose1=pose1._replace(width=max(8.0, pose1.width))))
    x, y, zoom, angle = scene.camera
    camera = Pose(factor * x, factor * y, zoom**factor, factor * angle)
    return replace(scene, layers=tuple(layers), camera=camera)
