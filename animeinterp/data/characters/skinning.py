"""Poses a character at any time of a clip, and moves its vertices with its bones by linear blend skinning.

Rotations are interpolated spherically, translations and scales linearly, and all hold beyond the first and last key, as
glTF 2.0 says (section 3.11 and appendix C).
"""

from __future__ import annotations

import numpy as np

from animeinterp.data.characters.glb import Floats
from animeinterp.data.characters.model import Clip, Mesh, Model, Track, compose

_NEARLY_EQUAL = 0.9995  # cosine of half the angle between rotations from which on they are interpolated linearly


def pose_nodes(model: Model, clip: Clip | None, time: float, factors: Floats | None = None) -> Floats:
    """Compute where the nodes are.

    Args:
        model: The character.
        clip: Its animation; None for the pose at rest.
        time: Time in the clip, s.
        factors: (N, 3), on the axes of each node: they scale what it carries and where its children begin, but are not
            inherited further. None for 1.

    Returns:
        (N, 4, 4), from each node's to the character's coordinates, with the factors on what it carries.
    """
    local = model.matrices.copy()
    if clip is not None and clip.tracks:
        properties = {
            "translation": model.translations.copy(),
            "rotation": model.rotations.copy(),
            "scale": model.scales.copy(),
        }
        for track in clip.tracks:
            properties[track.path][track.node] = sample_track(track, time)
        animated = np.unique([track.node for track in clip.tracks])
        local[animated] = compose(*(properties[name][animated] for name in ("translation", "rotation", "scale")))
    if factors is None:
        factors = np.ones((len(local), 3))
    world, carrying = np.empty_like(local), np.empty_like(local)
    bones = {int(joint) for skin in model.skins for joint in skin.joints}
    for node in model.order:
        parent = model.parents[node]
        before = np.eye(4) if parent < 0 else world[parent]
        inherited = np.ones(3) if parent < 0 else factors[parent]
        moved = local[node].copy()
        moved[:3, 3] *= inherited
        world[node] = before @ moved
        # What hangs on a bone, such as a hat, is scaled along the bone's axes.
        scaled = (
            world[node] * np.append(factors[node], 1) if node in bones else before @ _scaling(inherited) @ local[node]
        )
        carrying[node] = scaled
    return carrying


def _scaling(factors: Floats) -> Floats:
    return np.diag(np.append(factors, 1.0))


def sample_track(track: Track, time: float) -> Floats:
    """Interpolate the keyframes of a track at a time, s: (3,), or a unit quaternion (4,)."""
    after = int(np.searchsorted(track.times, time, side="right"))
    if after == 0 or after == len(track.times) or track.stepped:
        return np.asarray(track.values[max(0, after - 1)])
    start, end = track.times[after - 1], track.times[after]
    fraction = (time - start) / (end - start)
    low, high = track.values[after - 1], track.values[after]
    if track.path == "rotation":
        return slerp(low, high, fraction)
    return np.asarray(low + fraction * (high - low))


def slerp(low: Floats, high: Floats, fraction: float) -> Floats:
    """Interpolate between two unit quaternions along the shorter arc."""
    cosine = float(low @ high)
    if cosine < 0:
        high, cosine = -high, -cosine
    if cosine > _NEARLY_EQUAL:
        mixed = low + fraction * (high - low)
    else:
        angle = np.arccos(cosine)
        mixed = (np.sin((1 - fraction) * angle) * low + np.sin(fraction * angle) * high) / np.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed))


def deform(model: Model, mesh: Mesh, nodes: Floats) -> tuple[Floats, Floats]:
    """Move the vertices of a mesh.

    Args:
        model: The character.
        mesh: One of its parts.
        nodes: Result of `pose_nodes`.

    Returns:
        Positions and unit normals, (V, 3) each, in the character's coordinates.
    """
    if mesh.skin is None:
        matrices = np.broadcast_to(nodes[mesh.node], (len(mesh.positions), 4, 4))
    else:
        # A skinned mesh ignores its own node: only the joints move it.
        skin = model.skins[mesh.skin]
        bones = nodes[skin.joints] @ skin.inverse_bind
        matrices = np.einsum("vk,vkij->vij", mesh.weights, bones[mesh.joints])
    linear = matrices[:, :3, :3]
    positions = np.einsum("vij,vj->vi", linear, mesh.positions) + matrices[:, :3, 3]
    # The cofactors are the inverse transpose but for a factor, and exist for flat matrices too.
    cofactors = np.cross(linear[:, [1, 2, 0]], linear[:, [2, 0, 1]])
    normals = np.einsum("vij,vj->vi", cofactors, mesh.normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return positions, normals
