"""A character ready to be drawn: all parts in one table of vertices and faces, cut into regions of one flat color.

A region is a part of the surface whose colors change gradually from face to face; it gets their mean, as a cel painter
would fill it. Regions of a similar color share a swatch, so that recoloring treats both arms alike. Figures are scaled
to a height of 1 at rest, and stand on y = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from animeinterp.data.characters.glb import Floats, Ints
from animeinterp.data.characters.model import Clip, Model, read_model
from animeinterp.data.characters.proportions import Proportions, scale_bones
from animeinterp.data.characters.skinning import deform, pose_nodes
from animeinterp.errors import FileError

_WELD = 1e-4  # of the height; closer vertices are one
_MAX_EXTENT = 1e4  # heights


@dataclass(frozen=True, slots=True)
class RegionRule:
    """What one flat color covers. Set by looking at the KayKit Adventurers, whose colors are gradients.

    Attributes:
        max_step: Largest difference of the color (maximum over the channels, in [0, 1]) at the common edge of two faces
            of one region.
        swatch: Largest difference between regions of one swatch.
    """

    max_step: float = 0.06
    swatch: float = 0.1


REGIONS = RegionRule()


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A character ready to be drawn.

    Attributes:
        model: The character.
        factors: (N, 3), on the axes of its nodes, see `animeinterp.data.characters.proportions`.
        scale: Factor from its units to heights.
        floor: Its lowest point at rest, in its units.
        faces: (F, 3) int64, indices of the vertices of all parts in a row.
        part: (F,) int64, number of the mesh of each face.
        region: (F,) int64, number of the region of each face.
        colors: (R, 3), RGB in [0, 1] of the regions.
        swatch: (R,) int64, number of the swatch of each region.
        options: Sets of rigid parts that are alternatives, such as what a hand may hold: meshes of one parent node.
    """

    model: Model
    factors: Floats
    scale: float
    floor: float
    faces: Ints
    part: Ints
    region: Ints
    colors: Floats
    swatch: Ints
    options: tuple[tuple[int, ...], ...]


def open_figures(folder: Path) -> tuple[Figure, ...]:
    """Read all characters (.glb) of a folder; FileError if there are none or one is damaged."""
    paths = sorted(folder.glob("*.glb"))
    if not paths:
        raise FileError(f"expected rigged characters (.glb) in {folder}, found none; give their folder")
    return tuple(open_figure(path) for path in paths)


@lru_cache(maxsize=32)
def open_figure(path: Path) -> Figure:
    """Read a character, see `build_figure`."""
    return build_figure(read_model(path), str(path))


def build_figure(model: Model, origin: str) -> Figure:
    """Prepare a character for drawing.

    Args:
        model: The character.
        origin: Its file, for messages.

    Returns:
        The figure.

    Raises:
        FileError: It has no plausible height.
    """
    nodes = pose_nodes(model, None, 0)
    rest = [deform(model, mesh, nodes)[0] for mesh in model.meshes]
    floor, height = _measure(rest, model)
    # The second condition bounds parts far away, of which only damaged files have some; NaN fails it too.
    if not (height > 1e-6 and all((np.abs(points) <= _MAX_EXTENT * height).all() for points in rest)):
        raise FileError(f"{origin} has no plausible height; expected a character that stands along y, so leave it out")
    starts = np.cumsum([0, *(len(points) for points in rest)])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(model.meshes, starts, strict=False)])
    part = np.repeat(np.arange(len(model.meshes)), [len(mesh.faces) for mesh in model.meshes])
    vertex_colors = np.concatenate([mesh.colors for mesh in model.meshes])
    region = _find_regions(np.concatenate(rest) / height, vertex_colors, faces, part)
    face_colors = vertex_colors[faces].mean(1)
    colors = np.stack(
        [np.bincount(region, face_colors[:, channel]) / np.bincount(region) for channel in range(3)], axis=1
    )
    return Figure(
        model=model,
        factors=np.ones((len(model.names), 3)),
        scale=1 / height,
        floor=floor,
        faces=faces,
        part=part,
        region=region,
        colors=colors,
        swatch=_find_swatches(colors),
        options=_find_options(model),
    )


def pose_figure(figure: Figure, clip: Clip | None, time: float) -> tuple[Floats, Floats]:
    """Compute positions and normals, (V, 3) each, of all vertices at a time of a clip, s, in heights."""
    nodes = pose_nodes(figure.model, clip, time, figure.factors)
    positions, normals = zip(*(deform(figure.model, mesh, nodes) for mesh in figure.model.meshes), strict=True)
    points = np.concatenate(positions)
    points[:, 1] -= figure.floor
    return points * figure.scale, np.concatenate(normals)


def change_proportions(figure: Figure, proportions: Proportions) -> Figure:
    """Change the proportions of a figure; its height stays 1."""
    factors = scale_bones(figure.model, proportions)
    nodes = pose_nodes(figure.model, None, 0, factors)
    floor, height = _measure([deform(figure.model, mesh, nodes)[0] for mesh in figure.model.meshes], figure.model)
    return replace(figure, factors=factors, floor=floor, scale=1 / height)


def _measure(rest: Sequence[Floats], model: Model) -> tuple[float, float]:
    """Return the lowest point and the height of the skinned parts, whose vertices are given."""
    heights = np.concatenate(
        [points[:, 1] for points, mesh in zip(rest, model.meshes, strict=True) if mesh.skin is not None]
    )
    return float(heights.min()), float(np.ptp(heights))


def _find_regions(points: Floats, colors: Floats, faces: Ints, part: Ints) -> Ints:
    """Join faces of a part over edges at which their colors agree; return the number of each face's region."""
    _, welded = np.unique(np.rint(points / _WELD).astype(np.int64), axis=0, return_inverse=True)
    corners = welded.reshape(-1)[faces]
    parent = list(range(len(faces)))

    def find(face: int) -> int:
        while parent[face] != face:
            parent[face] = parent[parent[face]]
            face = parent[face]
        return face

    at_edge: dict[tuple[int, int, int], list[tuple[int, Floats]]] = {}
    for face, (own, vertices) in enumerate(zip(corners.tolist(), faces, strict=True)):
        for first, second in ((0, 1), (1, 2), (2, 0)):
            if own[first] > own[second]:
                first, second = second, first
            edge_colors = colors[vertices[[first, second]]]
            others = at_edge.setdefault((int(part[face]), own[first], own[second]), [])
            for other, other_colors in others:
                if np.abs(edge_colors - other_colors).max() <= REGIONS.max_step:
                    parent[find(face)] = find(other)
            others.append((face, edge_colors))
    _, region = np.unique([find(face) for face in range(len(faces))], return_inverse=True)
    return np.asarray(region, np.int64)


def _find_swatches(colors: Floats) -> Ints:
    """Number the regions so that those of similar color have the same number."""
    heads: list[Floats] = []
    swatch = np.empty(len(colors), np.int64)
    for index, color in enumerate(colors):
        near = [number for number, head in enumerate(heads) if np.abs(color - head).max() <= REGIONS.swatch]
        swatch[index] = near[0] if near else len(heads)
        if not near:
            heads.append(color)
    return swatch


def _find_options(model: Model) -> tuple[tuple[int, ...], ...]:
    """Group the rigid meshes by the parent of their node."""
    groups: dict[int, list[int]] = {}
    for index, mesh in enumerate(model.meshes):
        if mesh.skin is None:
            groups.setdefault(int(model.parents[mesh.node]), []).append(index)
    return tuple(tuple(group) for group in groups.values())
