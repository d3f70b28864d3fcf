"""Rigged characters from .glb files: node hierarchy, skins, meshes with flat colors, and animation clips.

Coordinates are glTF's: right-handed, y up, meters; rotations are quaternions (x, y, z, w). Colors are those of the base
color texture times the base color factor, RGB in [0, 1], sRGB as stored. Not read: cameras, lights, morph targets,
other textures, and triangle strips.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from animeinterp.data.characters.glb import Document, Floats, Ints, as_index, as_objects, as_vector, parse_glb
from animeinterp.errors import FileError
from animeinterp.frame import RGBImage
from animeinterp.io.reading import MEGABYTE, describe_error, read_bytes

MAX_FILE_BYTES = 128 * MEGABYTE
MAX_NODES, MAX_CLIPS = 4096, 4096
_TRIANGLES = 4
_EXPECTED = "a rigged character (.glb, glTF 2.0)"
Path_ = Literal["translation", "rotation", "scale"]
_PATH_WIDTHS: dict[Path_, int] = {"translation": 3, "rotation": 4, "scale": 3}


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """The bones that deform meshes.

    Attributes:
        joints: (J,) int64, their nodes.
        inverse_bind: (J, 4, 4), from the mesh's to the bone's coordinates.
    """

    joints: Ints
    inverse_bind: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A part of a character.

    Attributes:
        node: The node that carries it.
        skin: The skin that deforms it; None for a rigid part.
        positions: (V, 3).
        normals: (V, 3), unit length.
        joints: (V, 4) int64, indices of the skin's joints.
        weights: (V, 4), sum 1.
        faces: (F, 3) int64, indices of vertices.
        colors: (V, 3), RGB in [0, 1].
    """

    node: int
    skin: int | None
    positions: Floats
    normals: Floats
    joints: Ints
    weights: Floats
    faces: Ints
    colors: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Keyframes of one property of one node.

    Attributes:
        node: The node.
        path: The property.
        times: (K,), increasing, s.
        values: (K, 3), or (K, 4) for rotations.
        stepped: Whether values hold until the next key; else they are interpolated.
    """

    node: int
    path: Path_
    times: Floats
    values: Floats
    stepped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """An animation.

    Attributes:
        name: Its name.
        duration: Time of its last key, s.
        tracks: What moves.
    """

    name: str
    duration: float
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A rigged character.

    Attributes:
        names: Names of the N nodes.
        parents: (N,) int64, the parent of each node, -1 for roots.
        order: Nodes, parents before children.
        translations: (N, 3), at rest.
        rotations: (N, 4), unit quaternions at rest.
        scales: (N, 3), at rest.
        matrices: (N, 4, 4), local at rest.
        skins: The skins.
        meshes: The parts.
        clips: The animations.
    """

    names: tuple[str, ...]
    parents: Ints
    order: tuple[int, ...]
    translations: Floats
    rotations: Floats
    scales: Floats
    matrices: Floats
    skins: tuple[Skin, ...]
    meshes: tuple[Mesh, ...]
    clips: tuple[Clip, ...]


def read_model(path: Path) -> Model:
    """Read a rigged character.

    Args:
        path: A .glb file.

    Returns:
        The character.

    Raises:
        FileError: It cannot be read, is damaged, or holds no skinned mesh or no animation.
    """
    data = read_bytes(path, _EXPECTED, MAX_FILE_BYTES)
    try:
        model = _build(parse_glb(data, str(path), _EXPECTED))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise FileError(f"{path} is damaged ({describe_error(error)}); expected {_EXPECTED}") from error
    if not any(mesh.skin is not None for mesh in model.meshes) or not model.clips:
        raise FileError(f"{path} holds no skinned mesh or no animation; expected {_EXPECTED}")
    return model


def compose(translation: Floats, rotation: Floats, scale: Floats) -> Floats:
    """Compose local matrices (..., 4, 4) of translations (..., 3), quaternions (..., 4) and scales (..., 3)."""
    x, y, z, w = np.moveaxis(rotation, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix = np.zeros((*np.shape(x), 4, 4))
    for row, columns in enumerate(rows):
        for column, value in enumerate(columns):
            matrix[..., row, column] = value * scale[..., column]
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1
    return matrix


def _build(document: Document) -> Model:
    nodes = document.items("nodes")
    if not 0 < len(nodes) <= MAX_NODES:
        raise ValueError(f"{len(nodes)} nodes")
    parents = _read_parents(nodes)
    translations, rotations, scales = (
        np.stack([as_vector(node.get(name, default), len(default)) for node in nodes])
        for name, default in (("translation", [0, 0, 0]), ("rotation", [0, 0, 0, 1]), ("scale", [1, 1, 1]))
    )
    rotations = _normalize(rotations, (0, 0, 0, 1))
    matrices = compose(translations, rotations, scales)
    for index, node in enumerate(nodes):
        if "matrix" in node:
            matrices[index] = as_vector(node["matrix"], 16).reshape(4, 4).T
    skins = tuple(_read_skin(document, record, len(nodes)) for record in document.items("skins"))
    meshes = [
        mesh
        for index, node in enumerate(nodes)
        if "mesh" in node
        for mesh in _read_meshes(document, node, index, skins)
    ]
    animations = document.items("animations")
    if len(animations) > MAX_CLIPS:
        raise ValueError(f"{len(animations)} animations")
    clips = (_read_clip(document, record, len(nodes)) for record in animations)
    names = tuple(str(node.get("name", "")) for node in nodes)
    return Model(
        names=names,
        parents=parents,
        order=_sort(parents),
        translations=translations,
        rotations=rotations,
        scales=scales,
        matrices=matrices,
        skins=skins,
        meshes=tuple(meshes),
        clips=tuple(clip for clip in clips if clip.tracks),
    )


def _read_parents(nodes: list[dict[str, Any]]) -> Ints:
    parents = np.full(len(nodes), -1)
    for index, node in enumerate(nodes):
        for child in node.get("children", []):
            child = as_index(child, len(nodes), "nodes")
            if parents[child] >= 0:
                raise ValueError(f"node {child} has two parents")
            parents[child] = index
    return parents


def _sort(parents: Ints) -> tuple[int, ...]:
    """Order nodes so that parents come before their children; a circle is a ValueError."""
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents.tolist()):
        children.setdefault(parent, []).append(node)
    order = list(children.get(-1, []))
    for node in order:  # grows while it is read
        order += children.get(node, [])
    if len(order) < len(parents):
        raise ValueError("nodes are their own ancestors")
    return tuple(order)


def _read_skin(document: Document, record: dict[str, Any], nodes: int) -> Skin:
    joints = np.array([as_index(joint, nodes, "nodes") for joint in record["joints"]], np.int64)
    if "inverseBindMatrices" not in record:
        return Skin(joints, np.broadcast_to(np.eye(4), (len(joints), 4, 4)))
    matrices = document.numbers(record["inverseBindMatrices"], 16)
    if not 0 < len(joints) <= len(matrices):
        raise ValueError("a skin has fewer matrices than joints")
    return Skin(joints, matrices[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1))


def _read_meshes(document: Document, node: dict[str, Any], index: int, skins: tuple[Skin, ...]) -> list[Mesh]:
    skin = as_index(node["skin"], len(skins), "skins") if "skin" in node else None
    limit = 1 if skin is None else len(skins[skin].joints)
    primitives = as_objects(document.item("meshes", node["mesh"])["primitives"], "primitives")
    meshes = []
    for primitive in primitives:
        if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
            continue
        attributes = primitive["attributes"]
        positions = document.numbers(attributes["POSITION"], 3)
        count = len(positions)
        faces = document.indices(primitive["indices"], 1, count) if "indices" in primitive else np.arange(count)
        if faces.size % 3 or not faces.size:
            raise ValueError("faces are not triangles")
        faces = faces.reshape(-1, 3)
        joints, weights = np.zeros((count, 4), np.int64), np.tile([1.0, 0, 0, 0], (count, 1))
        if skin is not None and "JOINTS_0" in attributes:
            joints = document.indices(attributes["JOINTS_0"], 4, limit)
            weights = np.maximum(document.numbers(attributes["WEIGHTS_0"], 4), 0)
            weights /= np.maximum(weights.sum(1, keepdims=True), 1e-6)
        if "NORMAL" in attributes:
            normals = _normalize(document.numbers(attributes["NORMAL"], 3), (0, 1, 0))
        else:
            normals = _compute_normals(positions, faces)
        colors = _read_colors(document, primitive, count)
        if {len(normals), len(joints), len(weights), len(colors)} != {count}:
            raise ValueError("attributes of a mesh differ in number")
        bound = skin if "JOINTS_0" in attributes else None
        meshes.append(Mesh(index, bound, positions, normals, joints, weights, faces, colors))
    return meshes


def _read_colors(document: Document, primitive: dict[str, Any], count: int) -> Floats:
    """Read the base color at each of the vertices."""
    material = document.item("materials", primitive["material"]) if "material" in primitive else {}
    surface = material.get("pbrMetallicRoughness", {})
    factor = np.clip(as_vector(surface.get("baseColorFactor", [1, 1, 1, 1]), 4)[:3], 0, 1)
    # Factors are linear light, textures are stored as sRGB.
    colors = np.tile(factor ** (1 / 2.2), (count, 1))
    texture = surface.get("baseColorTexture")
    if texture is None or texture.get("texCoord", 0) != 0:
        return colors
    points = document.numbers(primitive["attributes"]["TEXCOORD_0"], 2)
    image = document.image(document.item("textures", texture["index"])["source"])
    return colors * _sample(image, points) if len(points) == count else points


def _sample(image: RGBImage, points: Floats) -> Floats:
    """Sample an image, which repeats, at texture coordinates (V, 2)."""
    height, width = image.shape[:2]
    # A little blur, so that a vertex at the border of a texture's patch does not pick the patch beside it alone.
    smooth = cv2.blur(image, (3, 3))
    x, y = (np.floor((points[:, axis] % 1) * size).astype(int) for axis, size in ((0, width), (1, height)))
    colors: Floats = smooth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] / 255.0
    return colors


def _compute_normals(positions: Floats, faces: Ints) -> Floats:
    corners = positions[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(positions)
    np.add.at(normals, faces, across[:, None])
    return _normalize(normals, (0, 1, 0))


def _read_clip(document: Document, record: dict[str, Any], nodes: int) -> Clip:
    samplers = as_objects(record["samplers"], "samplers")
    tracks: list[Track] = []
    for channel in as_objects(record["channels"], "channels"):
        target = channel["target"]
        path = target["path"]
        if path not in _PATH_WIDTHS or "node" not in target:
            continue
        sampler = samplers[as_index(channel["sampler"], len(samplers), "samplers")]
        times = document.numbers(sampler["input"], 1)[:, 0]
        values = document.numbers(sampler["output"], _PATH_WIDTHS[path])
        kind = sampler.get("interpolation", "LINEAR")
        if kind == "CUBICSPLINE":
            values = values[1::3]  # without tangents: interpolated linearly
        if not len(times) or len(times) != len(values) or (np.diff(times) <= 0).any() or times[0] < 0:
            raise ValueError("keys of an animation are missing or out of order")
        if path == "rotation":
            values = _normalize(values, (0, 0, 0, 1))
        tracks.append(Track(as_index(target["node"], nodes, "nodes"), path, times, values, kind == "STEP"))
    duration = max((float(track.times[-1]) for track in tracks), default=0.0)
    return Clip(str(record.get("name", "")), duration, tuple(tracks))


def _normalize(vectors: Floats, default: tuple[float, ...]) -> Floats:
    """Scale vectors (N, C) to unit length; vectors without length become the default."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), default)
