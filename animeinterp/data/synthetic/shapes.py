"""Generated art: flat shapes as signed distances, and simple cartoon backgrounds.

A shape covers [-1, 1] x [-1, 1], x to the right, y down. Distances are in these units, negative inside. Fill, outline
and shadow are thresholds of the distance, so that they stay sharp at any size.
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage

BODIES, LIMBS, STROKES = 120, 24, 32  # number of each kind; `generate_shapes` returns them in this order
BODY_KINDS = 5  # body i is of kind i % BODY_KINDS
SHAPE_SIDE = 128
_RASTER = 512  # px; outlines are rasterized at this size, with an error of at most half a pixel
_FRACTION_BITS = 4  # of OpenCV's coordinates

Points = NDArray[np.float64]  # (V, 2), x first, in [-1, 1]


class Stroke(NamedTuple):
    """A line of some width.

    Attributes:
        points: Vertices of the line.
        width: Width of the line.
    """

    points: Points
    width: float


@lru_cache(maxsize=1)  # takes a second
def generate_shapes(seed: int) -> NDArray[np.float32]:
    """Generate signed distances of BODIES + LIMBS + STROKES shapes, float32 (K, SHAPE_SIDE, SHAPE_SIDE)."""
    rng = np.random.default_rng((seed, 1))
    outlines: list[Points | Stroke] = []
    outlines += [_generate_body(rng, index % BODY_KINDS) for index in range(BODIES)]
    outlines += [_generate_limb(rng) for _ in range(LIMBS)]
    outlines += [_generate_stroke(rng, index % 3) for index in range(STROKES)]
    return np.stack([_signed_distance(outline) for outline in outlines])


def generate_background(rng: np.random.Generator, side: int) -> RGBImage:
    """Generate a flat, graded, hilly, indoor or camouflage-like background, uint8 (side, side, 3) RGB."""
    kind = rng.choice(5, p=(0.15, 0.25, 0.3, 0.15, 0.15))
    top, bottom = (np.array(_cartoon_color(rng)) * 255 for _ in range(2))
    fade = np.linspace(0, 1, side)[:, None, None]
    image = np.broadcast_to(top if kind == 0 else top + (bottom - top) * fade, (side, side, 3))
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8).copy()
    if kind == 2:
        _draw_hills(rng, image)
    elif kind == 3:
        _draw_room(rng, image)
    elif kind == 4:
        image = _generate_camouflage(rng, side)
    return image


def _cartoon_color(rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a color, RGB in [0, 1]: any hue, from pastel to full."""
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.9), rng.uniform(0.35, 1) ** 0.7)


def _generate_body(rng: np.random.Generator, kind: int) -> Points:
    """Generate a closed outline: 0 blob, 1 ellipse or rounded box, 2 rounded polygon, 3 polygon, 4 star."""
    angle = np.linspace(0, 2 * math.pi, 180, endpoint=False)
    if kind == 0:
        radius = np.ones_like(angle)
        for wave in range(2, 7):
            radius += rng.normal(0, 0.35 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
        points = _polar(np.clip(radius, 0.3, None), angle)
    elif kind == 1:
        power = rng.choice([1.0, 1.0, 0.5])  # 0.5: a rounded box
        c, s = np.cos(angle), np.sin(angle)
        points = np.stack([np.sign(c) * np.abs(c) ** power, np.sign(s) * np.abs(s) ** power], 1)
    elif kind == 4:
        tips = int(rng.integers(4, 9))
        corners = np.arange(2 * tips) * math.pi / tips
        points = _polar(np.where(np.arange(2 * tips) % 2, rng.uniform(0.35, 0.75), 1.0), corners)
    else:
        count = int(rng.integers(3, 9))
        corners = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * (2 * math.pi / count)
        points = _polar(rng.uniform(0.55, 1, count), corners)
        if kind == 2:
            points = _round_corners(points)
    points = points - (points.min(0) + points.max(0)) / 2
    points[:, 1] *= rng.uniform(0.5, 1)
    fitted: Points = 0.85 * points / np.abs(points).max()
    return fitted


def _generate_limb(rng: np.random.Generator) -> Points:
    """Generate a tapered capsule along y from its joint at (0, -0.8) to its other end at (0, 0.8)."""
    start, end = rng.uniform(0.1, 0.24, 2)
    y = np.linspace(-0.8, 0.8, 40)
    along = (y + 0.8) / 1.6
    half_width = start + (end - start) * along + rng.uniform(-0.03, 0.08) * np.sin(math.pi * along)
    angle = np.linspace(0, math.pi, 20)
    right = np.stack([half_width, y * (0.92 - max(start, end) * 0.4)], 1)
    low = right[-1] * (0, 1) + end * np.stack([np.cos(angle), np.sin(angle)], 1)
    high = right[0] * (0, 1) - start * np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([right, low, right[::-1] * (-1, 1), high])


def _generate_stroke(rng: np.random.Generator, kind: int) -> Stroke:
    """Generate a line: 0 arc, 1 ring, 2 wave."""
    along = np.linspace(0, 1, 60)
    width = rng.uniform(0.04, 0.2)
    if kind == 0:
        points = _polar(np.full(60, 0.75), 2 * math.pi * along * rng.uniform(0.2, 0.9) + rng.uniform(0, 2 * math.pi))
    elif kind == 1:
        points = _polar(np.full(60, rng.uniform(0.4, 0.78)), 2 * math.pi * along)
    else:
        y = rng.uniform(0.1, 0.5) * np.sin(rng.uniform(2, 9) * along + rng.uniform(0, 6))
        points = np.stack([1.5 * along - 0.75, y], 1)
    return Stroke(points, width)


def _polar(radius: Points, angle: Points) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _round_corners(points: Points) -> Points:
    """Apply Chaikin's corner cutting three times."""
    for _ in range(3):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    return points


def _signed_distance(outline: Points | Stroke) -> NDArray[np.float32]:
    mask = np.zeros((_RASTER, _RASTER), np.uint8)
    if isinstance(outline, Stroke):
        thickness = max(1, round(outline.width * _RASTER / 2))
        cv2.polylines(mask, [_fixed_point(outline.points)], False, 255, thickness, cv2.LINE_8, _FRACTION_BITS)
    else:
        cv2.fillPoly(mask, [_fixed_point(outline)], 255, cv2.LINE_8, _FRACTION_BITS)
    # Half a pixel: the distance transform measures to the center of the nearest pixel of the other side.
    outside = np.maximum(cv2.distanceTransform(255 - mask, cv2.DIST_L2, 5) - 0.5, 0)
    inside = np.maximum(cv2.distanceTransform(mask, cv2.DIST_L2, 5) - 0.5, 0)
    small = cv2.resize(outside - inside, (SHAPE_SIDE, SHAPE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small * (2 / _RASTER), np.float32)


def _fixed_point(points: Points) -> NDArray[np.int32]:
    return np.rint(((points + 1) * (_RASTER / 2) - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)


def _draw_hills(rng: np.random.Generator, image: RGBImage) -> None:
    side = len(image)
    x = np.arange(side + 1)
    outlined = rng.random() < 0.4
    for height in np.sort(rng.uniform(0.3, 0.95, int(rng.integers(2, 5)))):
        y = np.full(side + 1, height * side)
        for wave in (1, 2, 3, 7):
            y += side * 0.06 / wave * rng.normal() * np.sin(2 * math.pi * wave * x / side + rng.uniform(0, 6))
        hill = np.concatenate([np.stack([x, y], 1), [[side, side], [0, side]]]).astype(np.int32)
        cv2.fillPoly(image, [hill], [255 * c for c in _cartoon_color(rng)], cv2.LINE_AA)
        if outlined:
            cv2.polylines(image, [hill[:-2]], False, (20, 20, 30), 2, cv2.LINE_AA)


def _draw_room(rng: np.random.Generator, image: RGBImage) -> None:
    side = len(image)
    floor = int(side * rng.uniform(0.55, 0.8))
    cv2.rectangle(image, (0, floor), (side, side), [255 * c for c in _cartoon_color(rng)], -1)
    cv2.line(image, (0, floor), (side, floor), (30, 25, 30), int(rng.integers(1, 5)))
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.integers(0, side, 2)
        corner = (int(x + side * rng.uniform(0.08, 0.35)), int(y + side * rng.uniform(0.08, 0.35)))
        cv2.rectangle(image, (int(x), int(y)), corner, [255 * c for c in _cartoon_color(rng)], -1)
        cv2.rectangle(image, (int(x), int(y)), corner, (30, 25, 30), int(rng.integers(1, 4)), cv2.LINE_AA)


def _generate_camouflage(rng: np.random.Generator, side: int) -> RGBImage:
    """Generate flat patches: smooth noise quantized to a few colors."""
    cells = int(rng.integers(4, 9))
    coarse = rng.random((cells, cells)).astype(np.float32)
    noise = cv2.resize(coarse, (2 * side, 2 * side), interpolation=cv2.INTER_CUBIC)
    count = int(rng.integers(2, 6))
    colors = np.array([_cartoon_color(rng) for _ in range(count)]) * 255
    patches = colors[np.clip(noise * count, 0, count - 1).astype(int)].astype(np.uint8)
    return np.asarray(cv2.resize(patches, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
