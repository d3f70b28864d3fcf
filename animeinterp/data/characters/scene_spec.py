"""Draws random scenes: which characters play what, where, how they are painted, and how the camera moves.

The time between the frames is chosen so that what moves, moves by a given number of pixels in the mean.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.characters.camera import Background, Camera, Setting
from animeinterp.data.characters.cel import COLOR, CREASE, MAX_BANDS, PART, SILHOUETTE
from animeinterp.data.characters.figure import Figure, change_proportions
from animeinterp.data.characters.glb import Floats
from animeinterp.data.characters.proportions import Proportions
from animeinterp.data.characters.raster import SAMPLES
from animeinterp.data.characters.scene import Actor, Look, Scene, place_actors
from animeinterp.frame import RGBImage

_Rng = np.random.Generator
_MOVES = 0.5  # px; points that move less do not count


@dataclass(frozen=True, slots=True)
class SceneRanges:
    """Ranges of what is drawn at random. Set by looking at contact sheets.

    Attributes:
        figures: Probability of one, two, three and four figures.
        motion: Mean displacement of what moves, px, without the camera's motion.
        span: From time 0 to time 1, s.
        height: Height of a figure at the target's distance, fraction of the frame's.
        close_up: The same of close-ups.
        close_ups: Probability of a close-up.
        middle: Probability of t = 0.5.
        t: Range of the other times.
        line: Width of outlines, px.
        max_line: Largest width of outlines relative to the figure's height.
        creased: Least height of figures with lines at creases, px.
        gap: Least distance between figures, heights.
        own_proportions: Probability that a figure keeps its proportions.
    """

    figures: tuple[float, ...] = (0.15, 0.35, 0.3, 0.2)
    motion: tuple[float, float] = (2.0, 60.0)
    span: tuple[float, float] = (0.01, 0.6)
    height: tuple[float, float] = (0.6, 1.05)
    close_up: tuple[float, float] = (1.1, 2.0)
    close_ups: float = 0.25
    middle: float = 0.5
    t: tuple[float, float] = (0.2, 0.8)
    line: tuple[float, float] = (1.0, 4.0)
    max_line: float = 0.012
    creased: float = 350
    gap: float = 0.3
    own_proportions: float = 0.3


RANGES = SceneRanges()


def sample_scene(rng: _Rng, figures: Sequence[Figure], size: tuple[int, int], background: RGBImage) -> Scene:
    """Draw a random scene.

    Args:
        rng: Random numbers.
        figures: The characters.
        size: Height and width of the frame, px.
        background: What is behind the figures, uint8 RGB, best a little larger than the frame.

    Returns:
        The scene.
    """
    target_motion = _log_uniform(rng, *RANGES.motion)
    camera = _sample_camera(rng, size, target_motion)
    actors = _sample_actors(rng, figures, camera)
    t = 0.5 if rng.random() < RANGES.middle else float(rng.uniform(*RANGES.t))
    light = np.array([rng.normal(), rng.uniform(0.2, 1.5), rng.normal() + 0.5])
    plane = Background(background, camera.start.distance * rng.uniform(1.6, 4))
    span = float(rng.uniform(0.05, 0.2))
    scene = Scene(actors, camera, plane, light / np.linalg.norm(light), span, t)
    return _fit_span(scene, target_motion)


def measure_motion(scene: Scene) -> float:
    """Compute the mean displacement of the moving points within the frame, px, as a camera at rest would see it."""
    view = scene.camera.at(0)
    start, end = (view.lens.project(place_actors(scene, time, view)[0]) for time in (0.0, 1.0))
    height, width = scene.camera.size
    inside = ((start >= 0) & (start <= (width, height))).all(1)
    moved = np.linalg.norm(end - start, axis=1)[inside]
    moved = moved[moved > _MOVES]
    return float(moved.mean()) if len(moved) else 0.0


def _fit_span(scene: Scene, target_motion: float) -> Scene:
    """Change the span until the figures move as far as asked for, as nearly as the span's range permits."""
    for _ in range(4):
        motion = measure_motion(scene)
        ratio = float(np.clip(target_motion / max(motion, 1e-3), 0.3, 3))
        if 0.85 < ratio < 1.2:
            break
        scene = replace(scene, span=float(np.clip(scene.span * ratio, *RANGES.span)))
    return scene


def _sample_camera(rng: _Rng, size: tuple[int, int], target_motion: float) -> Camera:
    height = size[0]
    close = rng.random() < RANGES.close_ups
    fraction = _log_uniform(rng, *(RANGES.close_up if close else RANGES.height))
    focal = height / 2 / math.tan(math.radians(rng.uniform(15, 45)) / 2)
    distance = focal / (fraction * height)
    target = np.array([0, rng.uniform(0.35, 0.75) if close else rng.uniform(0.42, 0.55), 0])
    azimuth, elevation = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(-6, 22))
    start = Setting(target, distance, azimuth, elevation, 0.0, focal)
    pan, motion = np.zeros(3), Setting(np.zeros(3), 1, 0, 0, 0, 1)
    kind = int(rng.choice(4, p=(0.45, 0.27, 0.14, 0.14)))
    if kind in (1, 2):
        length, direction = target_motion * rng.uniform(0.2, 1.3), rng.uniform(0, 2 * math.pi)
        along = length * distance / focal
        pan = along * np.array(
            [
                math.cos(azimuth) * math.cos(direction),
                0.5 * math.sin(direction),
                -math.sin(azimuth) * math.cos(direction),
            ]
        )
        motion = replace(motion, target=pan)
    if kind == 2:
        zoom = float(np.exp(np.clip(rng.normal(0, 0.08), -0.2, 0.2)))
        motion = replace(motion, focal=zoom) if rng.random() < 0.5 else replace(motion, distance=1 / zoom)
        motion = replace(motion, roll=rng.normal(0, 0.03))
    if kind == 3:
        # The far background moves by about this angle times the focal length.
        angle = rng.uniform(0.3, 2) * target_motion / focal * rng.choice([-1, 1])
        motion = replace(motion, azimuth=float(angle), elevation=float(0.2 * angle * rng.normal()))
    return Camera(start, motion, size)


def _sample_actors(rng: _Rng, figures: Sequence[Figure], camera: Camera) -> tuple[Actor, ...]:
    count = 1 + int(rng.choice(len(RANGES.figures), p=RANGES.figures))
    view, setting, width = camera.at(0), camera.start, camera.size[1]
    ahead = np.array([-math.sin(setting.azimuth), 0, -math.cos(setting.azimuth)])
    spread = rng.uniform(0.08, 0.24) * width
    actors: list[Actor] = []
    for number in range(count):
        for _ in range(8):
            place = (number - (count - 1) / 2) * spread + rng.normal(0, 0.3 * spread)
            depth = setting.distance * (rng.uniform(1, 1.35) if number else 1.0)
            position = ahead * (depth - setting.distance) + view.rotation[0] * (place * depth / view.lens.focal)
            if all(np.linalg.norm(position - actor.position) > RANGES.gap for actor in actors):
                break
        figure = _sample_proportions(rng, figures[int(rng.integers(len(figures)))])
        clips = [clip for clip in figure.model.clips if clip.duration > 0 or rng.random() < 0.1]
        clip = clips[int(rng.integers(len(clips)))] if clips else None
        speed, direction = (_log_uniform(rng, 0.1, 1.5) if rng.random() < 0.4 else 0.0), rng.uniform(0, 2 * math.pi)
        yaw_rate = rng.normal(0, 1.5) if rng.random() < 0.35 else 0.0
        pixels = view.lens.focal / depth
        actors.append(
            Actor(
                figure=figure,
                clip=clip,
                phase=rng.random(),
                rate=rng.uniform(0.7, 1.4),
                position=position,
                velocity=speed * np.array([math.cos(direction), 0, math.sin(direction)]),
                yaw=setting.azimuth + rng.normal(0, 1.1),
                yaw_rate=yaw_rate,
                size=rng.uniform(0.85, 1.1),
                look=_sample_look(rng, figure, pixels),
            )
        )
    return tuple(actors)


def _sample_proportions(rng: _Rng, figure: Figure) -> Figure:
    """Lengthen the limbs of most figures: those of toys, with large heads, are short, and seldom cross."""
    arms, legs, limbs, torso, head = rng.uniform((1, 1.1, 0.7, 0.85, 0.35), (2.1, 2.6, 1.1, 1.3, 0.85))
    if rng.random() < RANGES.own_proportions:
        return figure
    return change_proportions(figure, Proportions(arms, legs, limbs, torso, head))


def _sample_look(rng: _Rng, figure: Figure, pixels: float) -> Look:
    """Draw colors and lines of a figure that is `pixels` high."""
    hidden: list[int] = []
    for option in figure.options:
        # What is alone at its bone (a hat, a cape) is mostly kept; of alternatives for a hand at most one is.
        kept = option[int(rng.integers(len(option)))] if rng.random() < (0.65 if len(option) == 1 else 0.55) else None
        hidden += [part for part in option if part != kept]
    base = _sample_colors(rng, figure)
    kind = int(rng.choice(4, p=(0.25, 0.5, 0.13, 0.12)))
    bands = int(rng.choice([1, 2, 3], p=(0.25, 0.5, 0.25)))
    if kind == 3:
        bands = max(bands, 2)  # one color without lines or shadows would show nothing of its motion
    shade = rng.uniform(0.55, 0.85) * np.array([1, rng.uniform(0.95, 1.05), rng.uniform(1, 1.15)])
    steps = np.linspace(0, 1, bands) if bands > 1 else np.ones(1)
    lit = np.stack([base * (shade + (1 - shade) * step) for step in steps], axis=1)
    colors = np.repeat(lit[:, -1:], MAX_BANDS, axis=1)
    colors[:, :bands] = lit
    thresholds = np.full(MAX_BANDS - 1, 2.0, np.float32)
    thresholds[: bands - 1] = np.sort(rng.uniform(-0.3, 0.7, bands - 1))
    line = base * rng.uniform(0.25, 0.75)
    if kind == 0:
        line = np.broadcast_to(rng.uniform(0, 0.15, 3), base.shape)
    elif kind == 2:
        line = np.broadcast_to(rng.uniform(0.1, 0.5, 3), base.shape)
    return Look(tuple(hidden), _to_bytes(colors), _to_bytes(line), _sample_style(rng, pixels, kind == 3), thresholds)


def _sample_style(rng: _Rng, pixels: float, without: bool) -> NDArray[np.float32]:
    style = np.zeros(4, np.float32)
    if without:
        return style
    width = SAMPLES * min(_log_uniform(rng, *RANGES.line), max(RANGES.line[0], RANGES.max_line * pixels))
    style[SILHOUETTE] = width
    style[PART] = width * rng.uniform(0.6, 1) if rng.random() < 0.8 else 0
    style[COLOR] = width * rng.uniform(0.5, 1) if rng.random() < 0.6 else 0
    # The bevels of small figures are narrower than a sample, and their creases would be dashed.
    style[CREASE] = width * rng.uniform(0.5, 1) if rng.random() < 0.2 and pixels > RANGES.creased else 0
    return style


def _sample_colors(rng: _Rng, figure: Figure) -> Floats:
    """Draw the colors of the regions: their own, turned in hue, new ones, or few for all of the figure."""
    swatches = int(figure.swatch.max()) + 1
    palette = np.stack([figure.colors[figure.swatch == swatch].mean(0) for swatch in range(swatches)])
    kind = int(rng.choice(4, p=(0.35, 0.2, 0.25, 0.2)))
    if kind == 1:
        turn, vividness = rng.random(), rng.uniform(0.9, 1.8)
        palette = np.stack([_turn_hue(color, turn, vividness) for color in palette])
    elif kind > 1:
        count = swatches if kind == 2 else int(rng.integers(1, 4))
        new = np.array([colorsys.hsv_to_rgb(*rng.uniform((0, 0.05, 0.35), (1, 0.85, 1))) for _ in range(count)])
        palette = new[np.arange(swatches) if kind == 2 else rng.integers(0, count, swatches)]
    return np.asarray(palette[figure.swatch])


def _turn_hue(color: Floats, turn: float, vividness: float) -> Floats:
    hue, saturation, value = colorsys.rgb_to_hsv(*color.tolist())
    return np.array(colorsys.hsv_to_rgb((hue + turn) % 1, min(1, saturation * vividness), value))


def _to_bytes(colors: Floats) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(colors, 0, 1)).astype(np.uint8)


def _log_uniform(rng: _Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))
