"""Triplets from vector animation: two frames of a drawn animation and the true frame between them.

A scene is a background and one to five animations (Lottie) laid over each other. Each animation plays, and may
travel; the camera may pan, zoom and turn over all of them. Animations are drawn at whole frames only, so t is a
fraction whose denominator divides every animation's gap. Scenes are drawn by chance until one moves as far as the
level that was asked for, by the rule of levels of the benchmark: DIS flow, mean displacement of what moves.

Pictures are uint8 (H, W, 3) RGB; drawings of animations uint8 (H, W, 4) RGBA with colors premultiplied by alpha.
Places are px, x first, the center of the first pixel at (0.5, 0.5). Needs the extra `train`.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.difficulty import classify_pair, find_changed_pixels, is_between
from animeinterp.data.types import Level, Triplet
from animeinterp.errors import FileError, MissingExtraError, UsageError
from animeinterp.frame import RGBImage, rgb8
from animeinterp.io.files import check_source
from animeinterp.io.images import read_image
from animeinterp.io.reading import parse_json

LEVELS: dict[Level, float] = {"easy": 0.3, "medium": 0.4, "hard": 0.3}
MIDDLE_SHARE = 0.7  # of the triplets have t = 1/2
OTHER_TIMES = [Fraction(i, n) for n in (3, 4, 5) for i in range(1, n) if 2 * i != n]
MAX_GAP = 24  # animation frames between frame 0 and frame 1
MAX_SECONDS = 0.4  # between frame 0 and frame 1; over longer times there is no telling what lies between
LONGEST_SIDE = 2048  # px of one drawing
SUPERSAMPLED = 2  # drawings are made this much larger, then moved into place: sub-pixel motion stays sharp
LOOK_WIDTH = 400  # px; scenes are judged at this width
_LARGEST = 32 << 20  # bytes of an animation, unpacked
_WIDEST, _LONGEST = 1 << 16, 10**6  # px, frames
MIN_CHANGED = 0.003  # share of the pixels


@dataclass(frozen=True, slots=True, eq=False)
class Animation:
    """A vector animation.

    duration: s. frame_rate: 1/s. frames: their number. width, height: its own size, px.
    draw: frame number and (width, height) in px → uint8 (height, width, 4) RGBA, premultiplied.
    """

    duration: float
    frame_rate: float
    frames: int
    width: int
    height: int
    draw: Callable[[int, tuple[int, int]], RGBImage]


class Pose(NamedTuple):
    """Where a drawing lies. x, y: its center, px. width: px. angle: radians."""

    x: float
    y: float
    width: float
    angle: float


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An animation within a scene: it plays from frame `start` on over `gap` frames, and travels from pose to pose.

    order: how its color channels are permuted.
    """

    animation: Animation
    start: int
    gap: int
    pose0: Pose
    pose1: Pose
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a triplet shows. size: (width, height), px. background: a picture at least that large.

    camera: at time 1, relative to time 0: shift in px, zoom (as `width`, 1 = none) and turn. depth: the share of the
    camera's motion that the background takes.
    """

    size: tuple[int, int]
    background: RGBImage
    layers: tuple[Layer, ...]
    camera: Pose
    depth: float


def list_animations(folder: Path | str) -> list[Path]:
    """The Lottie animations (.json.gz) below a folder, sorted.

    Synfig's (.sifz) are left out: synfig takes 1 to 3 s a frame. Raises FileError where there are none.
    """
    folder = Path(folder)
    found = sorted(folder.rglob("*.json.gz"))
    if not found:
        raise FileError(f"expected vector animations (.json.gz) below {folder}, found none; give their folder")
    return found


def open_animation(path: Path | str) -> Animation:
    """Open a Lottie animation. Raises FileError for a file that is none, MissingExtraError without rlottie."""
    if Path(path).suffix == ".sifz":
        raise FileError(f"expected a Lottie animation, got synfig's {path}; export it from Synfig Studio as Lottie")
    try:
        from rlottie_python.rlottie_wrapper import LottieAnimation
    except ImportError as error:
        raise MissingExtraError(
            "drawing Lottie animations needs rlottie-python; run: pip install 'animeinterp[train]'"
        ) from error
    check_source(Path(path), "a gzipped Lottie animation")
    try:
        with gzip.open(path) as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MB unpacked")
        text = data.decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileError(f"expected a gzipped Lottie animation, {path} is none ({error}); leave it out") from error
    parse_json(text, path, "a gzipped Lottie animation, so leave it out")
    handle: Any = LottieAnimation.from_data(text)
    frames = handle.lottie_animation_get_totalframe() if handle.animation_p else 0
    if frames < 1:
        raise FileError(f"expected a Lottie animation, rlottie finds no frames in {path}; leave it out")
    width, height = handle.lottie_animation_get_size()
    rate = handle.lottie_animation_get_framerate()
    if not (0 < rate < 10_000 and 0 < width <= _WIDEST and 0 < height <= _WIDEST and frames <= _LONGEST):
        raise FileError(f"expected an animation, {path} is {width}x{height}, {frames} frames at {rate:g}; leave it out")

    def draw(frame: int, size: tuple[int, int]) -> RGBImage:
        data = handle.lottie_animation_render(frame, width=size[0], height=size[1])
        bgra = np.frombuffer(data, np.uint8).reshape(size[1], size[0], 4)
        return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)

    return Animation(frames / rate, rate, frames, width, height, draw)


def render(animation: Animation, frame: int, size: tuple[int, int], background: RGBImage) -> RGBImage:
    """One frame of an animation over a background: uint8 (H, W, 3) RGB.

    size: (width, height), px. background: uint8 (H, W, 3) of that size, or a color (3,).
    Raises UsageError for a frame that the animation does not have.
    """
    if not 0 <= frame < animation.frames:
        raise UsageError(f"expected a frame from 0 to {animation.frames - 1}, got {frame}")
    ground = np.broadcast_to(np.asarray(background, np.uint8), (size[1], size[0], 3))
    return _over(ground, animation.draw(frame, size))


def generate_triplets(
    folder: Path | str,
    seed: int | Sequence[int],
    *,
    backgrounds: Path | str | None = None,
    levels: dict[Level, float] | None = None,
) -> Iterator[Triplet]:
    """Triplets of scenes without end; the same seed gives the same triplets.

    folder: vector animations. backgrounds: a folder of pictures (.webp); without it grounds are flat or gradients.
    levels: the share of each level, `LEVELS` if left out.
    """
    files = list_animations(folder)
    pictures = sorted(Path(backgrounds).glob("*.webp")) if backgrounds is not None else []
    shares = levels or LEVELS
    names = list(shares)
    rng = np.random.default_rng(seed)
    while True:
        level = names[rng.choice(len(names), p=np.array(list(shares.values())) / sum(shares.values()))]
        middle = rng.random() < MIDDLE_SHARE
        t = Fraction(1, 2) if middle else OTHER_TIMES[rng.integers(len(OTHER_TIMES))]
        scene = None
        while scene is None:
            scene = _paced(_random_scene(rng, files, pictures, t), t, level)
        frame0, truth, frame1 = (draw_scene(scene, time) for time in (Fraction(0), t, Fraction(1)))
        yield Triplet(frame0, truth, frame1, float(t))


def draw_scene(scene: Scene, time: Fraction, scale: float = 1.0, supersampled: int = SUPERSAMPLED) -> RGBImage:
    """A scene at a time in [0, 1]: uint8 (H, W, 3) RGB. scale: of the picture; supersampled: of the drawings in it."""
    width, height = round(scene.size[0] * scale), round(scene.size[1] * scale)
    tall, wide = scene.background.shape[:2]
    far = _camera(scene, time, scene.depth)
    ground = np.diag([scale, scale, 1.0]) @ far @ _placed(Pose(scene.size[0] / 2, scene.size[1] / 2, wide, 0), 1, tall)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.warpAffine(
        scene.background, _centered(ground), (width, height), flags=mode, borderMode=cv2.BORDER_REFLECT_101
    )
    near = np.diag([scale, scale, 1.0]) @ _camera(scene, time, 1.0)
    for layer in scene.layers:
        pose = Pose(*(a + float(time) * (b - a) for a, b in zip(layer.pose0, layer.pose1, strict=True)))
        drawing = _drawing(layer, layer.start + int(layer.gap * time), pose.width * scale * supersampled)
        place = near @ _placed(pose, pose.width / drawing.shape[1], drawing.shape[0])
        placed = cv2.warpAffine(drawing, _centered(place), (width, height), flags=cv2.INTER_LINEAR)
        picture = _over(np.asarray(picture), np.asarray(placed))
    return np.asarray(picture, np.uint8)


def _drawing(layer: Layer, frame: int, width: float) -> RGBImage:
    own = layer.animation
    shrink = min(1.0, LONGEST_SIDE / max(width, width * own.height / own.width))
    size = max(2, round(width * shrink)), max(2, round(width * shrink * own.height / own.width))
    return own.draw(frame, size)[..., [*layer.order, 3]]


def _placed(pose: Pose, scale: float, rows: int) -> NDArray[np.float64]:
    """3x3 matrix from the px of a drawing to those of the frame."""
    columns = pose.width / scale
    cos, sin = scale * math.cos(pose.angle), scale * math.sin(pose.angle)
    turn = np.array([[cos, -sin, pose.x], [sin, cos, pose.y], [0, 0, 1]])
    return np.asarray(turn @ np.array([[1, 0, -columns / 2], [0, 1, -rows / 2], [0, 0, 1]]))


def _camera(scene: Scene, time: Fraction, depth: float) -> NDArray[np.float64]:
    share = depth * float(time)
    x, y, zoom, angle = scene.camera
    center = scene.size[0] / 2, scene.size[1] / 2
    pose = Pose(center[0] + share * x, center[1] + share * y, scene.size[0] * zoom**share, share * angle)
    return _placed(pose, zoom**share, scene.size[1])


def _centered(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix for OpenCV, which counts from the center of the first pixel."""
    to, back = np.eye(3), np.eye(3)
    to[:2, 2], back[:2, 2] = -0.5, 0.5
    return np.asarray((to @ matrix @ back)[:2])


def _over(ground: RGBImage, drawing: RGBImage) -> RGBImage:
    clear = 255 - drawing[..., 3:].astype(np.uint16)
    return np.minimum(drawing[..., :3] + (ground * clear + 127) // 255, 255).astype(np.uint8)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _random_scene(rng: np.random.Generator, files: Sequence[Path], pictures: Sequence[Path], t: Fraction) -> Scene:
    width = int(rng.integers(480, 961))
    height = int(np.clip(width / _log_uniform(rng, 1.2, 1.9), 304, 640))
    size = width, height
    background = _random_background(rng, size, pictures)
    count = int(rng.choice([1, 2, 3, 5], p=[0.4, 0.3, 0.2, 0.1]))
    chosen = [_opened(files[int(rng.integers(len(files)))]) for _ in range(count)]
    layers = tuple(_random_layer(rng, animation, size, t, count) for animation in chosen)
    camera = Pose(0, 0, 1, 0)
    if rng.random() < 0.3:
        way, direction = _log_uniform(rng, 1, 0.2 * width), rng.uniform(0, 2 * math.pi)
        zoom = float(np.exp(rng.normal(0, 0.05))) if rng.random() < 0.4 else 1.0
        angle = float(rng.normal(0, 0.03)) if rng.random() < 0.2 else 0.0
        camera = Pose(way * math.cos(direction), 0.4 * way * math.sin(direction), zoom, angle)
    return Scene(size, background, layers, camera, 1.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 1)))


def _random_layer(
    rng: np.random.Generator, animation: Animation, size: tuple[int, int], t: Fraction, count: int
) -> Layer:
    step = t.denominator
    longest = min(MAX_GAP, animation.frames - 1, round(MAX_SECONDS * animation.frame_rate))
    gap = step * round(_log_uniform(rng, 1, max(1, longest // step)))
    gap = gap if gap <= longest and (count == 1 or rng.random() < 0.85) else 0
    start = int(rng.integers(animation.frames - gap))
    shape = animation.height / animation.width
    fits, covers = sorted((size[0], size[1] / shape))
    wide = fits * (covers / fits) ** rng.random() * _log_uniform(rng, 0.45, 1.5)
    wide *= 1 if count == 1 else rng.uniform(0.3, 0.9)
    pose = Pose(rng.uniform(0.15, 0.85) * size[0], rng.uniform(0.15, 0.85) * size[1], wide, 0)
    end = pose
    if rng.random() < 0.4:
        way, direction = _log_uniform(rng, 1, 0.2 * size[0]), rng.uniform(0, 2 * math.pi)
        turn = float(rng.normal(0, 0.12)) if rng.random() < 0.5 else 0.0
        growth = float(np.exp(rng.normal(0, 0.06))) if rng.random() < 0.4 else 1.0
        end = Pose(pose.x + way * math.cos(direction), pose.y + way * math.sin(direction), wide * growth, turn)
    order = tuple(int(i) for i in rng.permutation(3)) if rng.random() < 0.5 else (0, 1, 2)
    return Layer(animation, start, gap, pose, end, order)


def _random_background(rng: np.random.Generator, size: tuple[int, int], pictures: Sequence[Path]) -> RGBImage:
    kind = rng.random()
    if pictures and kind < 0.6:
        picture = _picture(pictures[int(rng.integers(len(pictures)))])
        tall, wide = picture.shape[:2]
        scale = max(size[0] / wide, size[1] / tall) * rng.uniform(1, 1.6)
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=mode), np.uint8)
    colors = rng.integers(0, 256, (2, 3)) if rng.random() < 0.7 else rng.integers(200, 256, (2, 3))
    if kind < 0.8:
        return np.broadcast_to(colors[0].astype(np.uint8), (size[1], size[0], 3)).copy()
    direction = rng.uniform(0, 2 * math.pi)
    x, y = np.linspace(-0.5, 0.5, size[0]), np.linspace(-0.5, 0.5, size[1])[:, None]
    share = np.clip(0.5 + math.cos(direction) * x + math.sin(direction) * y, 0, 1)[..., None]
    return np.asarray(np.rint(colors[0] + share * (colors[1] - colors[0])), np.uint8)


@lru_cache(maxsize=64)
def _opened(path: Path) -> Animation:
    return open_animation(path)


@lru_cache(maxsize=16)
def _picture(path: Path) -> RGBImage:
    return rgb8(read_image(path, Options().max_pixels).pixels)


def _paced(scene: Scene, t: Fraction, level: Level) -> Scene | None:
    """The scene played faster or slower until it is of the level; None where it will not be, or shows nothing."""
    order = list(LEVELS)
    for _ in range(4):
        scale = LOOK_WIDTH / scene.size[0]
        frame0, frame1 = (draw_scene(scene, Fraction(time), scale, 1) for time in (0, 1))
        if find_changed_pixels(frame0, frame1).mean() < MIN_CHANGED:
            return None
        found = classify_pair(frame0, frame1, scale)
        if found == level:
            truth = draw_scene(scene, t, scale, 1)
            return scene if is_between(frame0, truth, frame1) else None
        faster = order.index(found) < order.index(level)
        scene = _played(scene, 1.8 if faster else 1 / 1.8, t.denominator)
    return None


def _played(scene: Scene, speed: float, step: int) -> Scene:
    layers = []
    for layer in scene.layers:
        own = layer.animation
        longest = min(MAX_GAP, own.frames - 1 - layer.start, round(MAX_SECONDS * own.frame_rate)) // step
        gap = step * min(longest, max(1, round(layer.gap / step * speed))) if layer.gap else 0
        end = Pose(*(a + speed * (b - a) for a, b in zip(layer.pose0, layer.pose1, strict=True)))
        layers.append(replace(layer, gap=gap, pose1=end._replace(width=max(8.0, end.width))))
    x, y, zoom, angle = scene.camera
    return replace(scene, layers=tuple(layers), camera=Pose(speed * x, speed * y, zoom**speed, speed * angle))
