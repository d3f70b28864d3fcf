"""Draws rasterized figures as cels: flat colors in bands of light, and outlines.

Outlines lie within the silhouette of the surface that they belong to, so that what a pixel shows moves with that
surface. Where two surfaces meet without a step in depth (a belt, a crease), half of the line lies on each. Everything
is drawn on samples, see `animeinterp.data.characters.raster`, whose mean is the pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.characters.glb import Floats
from animeinterp.data.characters.raster import SAMPLES, Buffers, Faces, Lens, to_screen, weights_at
from animeinterp.runtime.jit import cached_njit

MAX_BANDS = 3
# Columns of `Surfaces.style`, samples: radius of the lines at silhouettes and steps in depth, between parts, between
# colors, and at creases; 0 draws none.
SILHOUETTE, PART, COLOR, CREASE = range(4)
NO_LINE = -1


@dataclass(frozen=True, slots=True)
class LineRule:
    """What is an outline. Set by looking at drawn figures, about a third to all of the frame high.

    Attributes:
        step: Difference of depth between neighboring samples, heights, that ends a surface.
        thickness: Difference of depth, heights, over which a line continues on its own part.
        contact: The same on another part, such as from the upper arm to the chest it touches.
        crease: Cosine of the angle between faces below which their edge is a crease.
    """

    step: float = 0.03
    thickness: float = 0.08
    contact: float = 0.012
    crease: float = 0.5


LINES = LineRule()


class Surfaces(NamedTuple):
    """How the faces of a scene are drawn.

    Attributes:
        figure: int32 (F,), number of the figure of each face.
        part: int32 (F,), number of its part, different for each figure.
        region: int32 (F,), number of its region, different for each figure.
        colors: uint8 (R, MAX_BANDS, 3), colors of the regions from shadow to light.
        lines: uint8 (R, 3), colors of the lines of the regions.
        style: float32 (K, 4), radii of the lines of the figures, see `SILHOUETTE`.
        thresholds: float32 (K, MAX_BANDS - 1), cosine of the angle to the light above which each band after the first
            begins; 2 for none.
    """

    figure: NDArray[np.int32]
    part: NDArray[np.int32]
    region: NDArray[np.int32]
    colors: NDArray[np.uint8]
    lines: NDArray[np.uint8]
    style: NDArray[np.float32]
    thresholds: NDArray[np.float32]


def draw_cel(
    buffers: Buffers, points: Floats, normals: Floats, faces: Faces, lens: Lens, surfaces: Surfaces, light: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw the figures of a frame.

    Args:
        buffers: What its samples show.
        points: (V, 3), camera coordinates.
        normals: (V, 3), camera coordinates.
        faces: (F, 3) int32.
        lens: The projection.
        surfaces: How the faces are drawn.
        light: (3,), direction to the light, camera coordinates.

    Returns:
        Premultiplied RGB, float32 (H, W, 3) in [0, 255], and alpha, float32 (H, W) in [0, 1].
    """
    screen = to_screen(points, lens)
    colors = np.zeros((*buffers.face.shape, 3), np.uint8)
    _shade(buffers.face, screen, normals, faces, surfaces, light, points, colors)
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    distance = np.full(buffers.face.shape, np.inf, np.float32)
    rule = LINES.step, LINES.thickness, LINES.contact, LINES.crease
    _draw_lines(buffers.face, buffers.nearness, across, surfaces, rule, distance, colors)
    height, width = (side // SAMPLES for side in buffers.face.shape)
    color, alpha = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
    _average(buffers.face, colors, color, alpha)
    return color, alpha


# The arrays of one kernel: bundling them would be a tuple that every call unpacks again.
@cached_njit()
def _shade(
    face_buffer: Any, screen: Any, normals: Any, faces: Any, surfaces: Any, light: Any, points: Any, colors: Any
) -> None:
    """Color each sample by its region and by how many thresholds the light on it exceeds."""
    for y in range(face_buffer.shape[0]):
        for x in range(face_buffer.shape[1]):
            face = face_buffer[y, x]
            if face < 0:
                continue
            a, b, c = faces[face]
            u, v, w = weights_at(screen, faces[face], x, y)
            lit, facing, length = 0.0, 0.0, 0.0
            for axis in range(3):
                normal = u * normals[a, axis] + v * normals[b, axis] + w * normals[c, axis]
                lit += normal * light[axis]
                facing += normal * (points[a, axis] + points[b, axis] + points[c, axis])
                length += normal * normal
            # Normals that point away from the camera are those of a back side.
            lit = (lit if facing <= 0 else -lit) / max(math.sqrt(length), 1e-9)
            band = 0
            for threshold in surfaces.thresholds[surfaces.figure[face]]:
                band += 1 if lit > threshold else 0
            for channel in range(3):
                colors[y, x, channel] = surfaces.colors[surfaces.region[face], band, channel]


@cached_njit()
def _draw_lines(
    face_buffer: Any, nearness: Any, across: Any, surfaces: Any, rule: Any, distance: Any, colors: Any
) -> None:
    """Stamp a disc at each sample at an edge. `distance` is that to the nearest edge drawn so far, squared."""
    height, width = face_buffer.shape
    for y in range(height):
        for x in range(width):
            face = face_buffer[y, x]
            # Most samples lie within a face, and calls with many arrays take time.
            if face < 0 or (
                face == face_buffer[max(y - 1, 0), x] == face_buffer[min(y + 1, height - 1), x]
                and face == face_buffer[y, max(x - 1, 0)] == face_buffer[y, min(x + 1, width - 1)]
            ):
                continue
            silhouette, within = _find_edge(face_buffer, nearness, across, surfaces, rule, y, x)
            color = surfaces.lines[surfaces.region[face]]
            if silhouette > 0:
                _stamp(face_buffer, nearness, surfaces, rule, distance, colors, color, silhouette, y, x)
            if within > 0:
                _stamp(face_buffer, nearness, surfaces, rule, distance, colors, color, within, y, x)


@cached_njit()
def _find_edge(
    face_buffer: Any, nearness: Any, across: Any, surfaces: Any, rule: Any, y: int, x: int
) -> tuple[float, float]:
    """Return the radii of the lines at a sample: of the silhouette that it belongs to, and of one within a surface."""
    height, width = face_buffer.shape
    face = face_buffer[y, x]
    style = surfaces.style[surfaces.figure[face]]
    silhouette, within = 0.0, 0.0
    for side in range(4):
        y1, x1 = y + (side == 0) - (side == 1), x + (side == 2) - (side == 3)
        # The border of the frame is no edge.
        if y1 < 0 or x1 < 0 or y1 >= height or x1 >= width or face_buffer[y1, x1] == face:
            continue
        other = face_buffer[y1, x1]
        behind = np.inf if other < 0 else 1 / nearness[y1, x1] - 1 / nearness[y, x]
        kind = _compare(face, other, behind, across, surfaces, rule)
        if kind in (SILHOUETTE, PART) and (
            _is_speck(face_buffer, surfaces.part, y, x) or _is_speck(face_buffer, surfaces.part, y1, x1)
        ):
            continue
        if kind == SILHOUETTE:
            silhouette = max(silhouette, style[SILHOUETTE])
        elif kind != NO_LINE:
            within = max(within, style[kind] / 2)
    return silhouette, within


@cached_njit()
def _compare(face: int, other: int, behind: float, across: Any, surfaces: Any, rule: Any) -> int:
    """Return what separates a face from one beside it on the screen that lies `behind` heights behind it."""
    step, _, _, crease = rule
    if other < 0 or surfaces.figure[other] != surfaces.figure[face] or abs(behind) > step:
        return SILHOUETTE if behind > 0 else NO_LINE
    if surfaces.part[other] != surfaces.part[face]:
        return PART
    if surfaces.region[other] != surfaces.region[face]:
        return COLOR
    dot = 0.0
    for axis in range(3):
        dot += across[face, axis] * across[other, axis]
    return CREASE if dot < crease else NO_LINE


@cached_njit()
def _is_speck(face_buffer: Any, part: Any, y: int, x: int) -> bool:
    """Return whether at most one neighbor of a sample shows the same part, as where surfaces just touch."""
    own, same = face_buffer[y, x], -1
    for y1 in range(max(y - 1, 0), min(y + 2, face_buffer.shape[0])):
        for x1 in range(max(x - 1, 0), min(x + 2, face_buffer.shape[1])):
            other = face_buffer[y1, x1]
            if other == own or (own >= 0 and other >= 0 and part[own] == part[other]):
                same += 1
    return same <= 1


@cached_njit()
def _stamp(
    face_buffer: Any, nearness: Any, surfaces: Any, rule: Any, distance: Any, colors: Any, color: Any, radius: float,
    y: int, x: int,
) -> None:  # fmt: skip
    """Color the samples within a radius that belong to the surface at (y, x)."""
    _, thickness, contact, _ = rule
    face, depth = face_buffer[y, x], 1 / nearness[y, x]
    for y1 in range(max(y - int(radius), 0), min(y + int(radius) + 1, face_buffer.shape[0])):
        reach = int(math.sqrt(radius * radius - (y1 - y) * (y1 - y)))
        for x1 in range(max(x - reach, 0), min(x + reach + 1, face_buffer.shape[1])):
            away = np.float32((y1 - y) * (y1 - y) + (x1 - x) * (x1 - x))
            other = face_buffer[y1, x1]
            if other < 0 or away >= distance[y1, x1] or surfaces.figure[other] != surfaces.figure[face]:
                continue
            limit = thickness if surfaces.part[other] == surfaces.part[face] else contact
            # The same as |1 / nearness - depth| < limit, without a division for each sample.
            if abs(1 - depth * nearness[y1, x1]) < limit * nearness[y1, x1]:
                distance[y1, x1] = away
                for channel in range(3):
                    colors[y1, x1, channel] = color[channel]


@cached_njit()
def _average(face_buffer: Any, colors: Any, color: Any, alpha: Any) -> None:
    """Average the samples of each pixel; samples that show nothing count as transparent."""
    share = np.float32(1 / (SAMPLES * SAMPLES))
    for row in range(alpha.shape[0]):
        for column in range(alpha.shape[1]):
            total, red, green, blue = 0, 0, 0, 0
            for y in range(SAMPLES * row, SAMPLES * (row + 1)):
                for x in range(SAMPLES * column, SAMPLES * (column + 1)):
                    if face_buffer[y, x] >= 0:
                        total += 1
                        red += colors[y, x, 0]
                        green += colors[y, x, 1]
                        blue += colors[y, x, 2]
            alpha[row, column] = total * share
            color[row, column, 0], color[row, column, 1], color[row, column, 2] = (
                red * share,
                green * share,
                blue * share,
            )
