"""Random specifications of synthetic scenes: actors, their parts and colors, and their places at the three times.

A scene has a background and up to ACTORS actors with up to PARTS parts each, which hang on one another. An actor is a
sprite; a sprite cut in two that bends at the cut; a flat shape; a figure with a head, an arm of two segments and two
other limbs; or a face. A part is a layer: a square texture over [-1, 1] x [-1, 1], x first, y down, with its place at
the times 0, t and 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animeinterp.data.synthetic.motions import (
    Waves,
    affine,
    attach_part,
    compose,
    sample_camera,
    sample_opacity,
    sample_path,
    sample_times,
    sample_timing,
    sample_waves,
    scale_and_rotate,
)
from animeinterp.data.synthetic.rng import Bools, Floats, Ints, SceneRng
from animeinterp.data.synthetic.shapes import BODIES, BODY_KINDS, LIMBS, STROKES

ACTORS, PARTS = 5, 5
SPRITE, CUT, SHAPE, FIGURE, FACE = range(5)  # kinds of actors
BODY, UPPER_ARM, FOREARM, LIMB, HEAD = range(5)  # parts of a figure; part 0 is the root of every actor
LEFT_EYE, RIGHT_EYE, MOUTH = 1, 2, 3  # parts of a face
MAX_PATH = 0.3  # of the frame
TEXELS_PER_PIXEL = 1.3  # of a texture, at its largest size in the frame
_INK = np.array([0.07, 0.06, 0.09])


class LayerStyles(NamedTuple):
    """How M layers are painted.

    Attributes:
        is_shape: (M,), whether the layer shows a shape, not a sprite.
        image_index: (M,), number of the shape or sprite.
        extent: (M,), fraction of the texture's square that the image covers.
        recolor: (M, 3, 4), maps premultiplied RGBA to RGB.
        fill: (M, 3) RGB of shapes.
        line: (M, 3) RGB of shapes' outlines.
        line_width: (M,), texture units.
        shadow: (M,), factor on the fill in the shadow.
        light: (M, 2), shift from the shape's outline to the shadow's, texture units.
        shading: (M, 2), increase of brightness per texture unit.
        cut: (M, 6), normal, offset, joint (x, y) and radius; the texture is kept where normal · u >= offset, or within
            the radius of the joint.
        thick_lines: (M,), whether the lines of a sprite are thickened.
    """

    is_shape: Bools
    image_index: Ints
    extent: Floats
    recolor: Floats
    fill: Floats
    line: Floats
    line_width: Floats
    shadow: Floats
    light: Floats
    shading: Floats
    cut: Floats
    thick_lines: Bools


class SceneSpec(NamedTuple):
    """N scenes as a table of N + M layers: the N backgrounds (rank 0), then the others by rank.

    Attributes:
        times: (3, N).
        scene: (N + M,), the scene of each layer.
        rank: (N + M,), its depth, from back to front.
        to_frame: (3, N + M, 2, 3), maps from texture to frame, px.
        waves: Deformation of the textures.
        opacity: (3, N + M) in [0, 1].
        background: (N,), number of the background.
        background_color: (N, 3, 4), its recoloring.
        styles: Styles of the last M layers.
    """

    times: Floats
    scene: Ints
    rank: Ints
    to_frame: Floats
    waves: Waves
    opacity: Floats
    background: Ints
    background_color: Floats
    styles: LayerStyles


class _Parts(NamedTuple):
    """Parts of all actors, (N, ACTORS, PARTS, ...).

    Attributes:
        present: Whether the part exists.
        is_shape, image_index, cut: As in `LayerStyles`.
        parent: Part that it hangs on.
        attach, pivot: Joint in the parent's and in the part's texture.
        angle: Rotation about the joint in the middle of the motion, rad.
        scale: Scale relative to the parent, x and y.
        swing: Rotation during the motion, rad.
        depth: Orders the parts of an actor from back to front.
    """

    present: Bools
    is_shape: Bools
    image_index: Ints
    parent: Ints
    attach: Floats
    pivot: Floats
    angle: Floats
    scale: Floats
    swing: Floats
    depth: Floats
    cut: Floats


def sample_scenes(rng: SceneRng, size: tuple[int, int], sprites: int, backgrounds: int) -> SceneSpec:
    """Draw random scenes.

    Args:
        rng: Random numbers of N scenes.
        size: Height and width of the frame, px.
        sprites: Number of available sprites, may be 0.
        backgrounds: Number of available backgrounds.
    """
    times = sample_times(rng)
    kind = rng.choice((0.4, 0.13, 0.2, 0.18, 0.09) if sprites else (0, 0, 0.5, 0.3, 0.2), ACTORS)
    kind = kind.reshape(rng.count, ACTORS)
    parts = _sample_parts(rng, kind, sprites)
    camera, pan = sample_camera(rng, times, size)
    moving = ~rng.chance(0.15, ACTORS)
    moving[:, 0] = True  # static scenes teach little
    actors = _sample_actors(rng, times, kind, size, moving)
    parallax = np.where(rng.chance(0.3)[:, None], rng.uniform(0.6, 1.5, ACTORS), 1.0)
    to_frame = _place_parts(rng, times, parts, actors, moving)
    to_frame[..., 2] += (pan[:, :, None] * parallax[..., None])[:, :, :, None]
    to_frame = compose(camera[:, :, None, None], to_frame)
    waves = sample_waves(rng, sample_timing(rng, times, ACTORS, PARTS), 0.35, ACTORS, PARTS)
    # Connected parts would come apart if each were deformed separately.
    rigid = ~moving | (kind == CUT) | (kind == FACE) | (kind == FIGURE)
    waves = waves._replace(amplitude=waves.amplitude * ~rigid[..., None, None, None])
    opacity = np.repeat(sample_opacity(rng, times, 0.02, ACTORS)[..., None], PARTS, -1)
    background, background_color, ground, ripples = _sample_background(rng, times, camera, pan, size, backgrounds)
    scene, actor, part, rank = _sort_by_rank(parts)
    rows = (scene, actor, part)
    placed = to_frame[:, *rows]
    styles = _sample_styles(rng, kind, parts, rows, placed, max(size))
    return SceneSpec(
        times=times,
        scene=np.concatenate([np.arange(rng.count), scene]),
        rank=np.concatenate([np.zeros(rng.count, np.int64), rank]),
        to_frame=np.concatenate([ground, placed], 1),
        waves=Waves(
            np.concatenate([ripples.amplitude, waves.amplitude[:, *rows]], 1),
            np.concatenate([ripples.frequency, waves.frequency[rows]]),
            np.concatenate([ripples.phase, waves.phase[rows]]),
        ),
        opacity=np.concatenate([np.ones((3, rng.count)), opacity[:, *rows]], 1),
        background=background, background_color=background_color, styles=styles,
    )  # fmt: skip


def _sample_background(
    rng: SceneRng, times: Floats, camera: Floats, pan: Floats, size: tuple[int, int], backgrounds: int
) -> tuple[Ints, Floats, Floats, Waves]:
    """Draw number, recoloring, place and deformation of the backgrounds."""
    half = max(size) / 2 * rng.uniform(1.05, 1.5)
    center = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    offset = (half - max(size) / 2)[:, None] * rng.uniform(-1, 1, 2)
    linear = scale_and_rotate(np.zeros(rng.count), half * np.where(rng.chance(0.5), -1, 1), half)
    ground = compose(camera, affine(np.broadcast_to(linear, (3, *linear.shape)), center + offset + pan))
    ripples = sample_waves(rng, sample_timing(rng, times), 0.04)
    return rng.integers(backgrounds), _sample_recoloring(rng, 0.5), ground, ripples


def _sample_actors(rng: SceneRng, times: Floats, kind: Ints, size: tuple[int, int], moving: Bools) -> Floats:
    """Draw the places of the actors' root textures, maps (3, N, ACTORS, 2, 3)."""
    side = max(size)
    progress = sample_timing(rng, times, ACTORS)
    diameter = side * rng.log_uniform(0.2, 1.15, ACTORS)
    diameter = diameter * np.where(kind == FIGURE, 0.6, 1) * np.where(kind == CUT, 1.2, 1)
    center = rng.uniform(0.08, 0.92, ACTORS, 2) * (size[1], size[0])
    shift = sample_path(rng, progress, MAX_PATH * side, 0.12, (ACTORS,)) * moving[..., None]
    change = progress - 0.5
    angle = rng.peaked(0.25, 2, ACTORS) + rng.peaked(1.0, 2.5, ACTORS) * rng.chance(0.5, ACTORS) * moving * change
    growth = np.exp(rng.peaked(0.4, 1.5, ACTORS) * rng.chance(0.35, ACTORS) * moving * change)
    squash = np.exp(rng.peaked(0.25, 1.5, ACTORS) * rng.chance(0.2, ACTORS) * moving * change)
    half = diameter / 2
    mirror = np.where(rng.chance(0.5, ACTORS), -1, 1)
    return affine(scale_and_rotate(angle, half * growth * squash * mirror, half * growth / squash), center + shift)


def _sample_parts(rng: SceneRng, kind: Ints, sprites: int) -> _Parts:
    shape = (ACTORS, PARTS)
    count = rng.choice((0.03, 0.27, 0.3, 0.2, 0.12, 0.08))
    acting = np.arange(ACTORS) < count[:, None]
    parts_of = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]], bool)
    missing = rng.chance(0.2, *shape) & (kind == FIGURE)[..., None] & (np.arange(PARTS) > FOREARM)
    figure, face, cut = ((kind == k)[..., None] for k in (FIGURE, FACE, CUT))
    parent = np.where(figure, np.array([BODY, BODY, UPPER_ARM, BODY, BODY]), 0)
    swing = rng.peaked(1.3, 1.6, *shape) * (np.arange(PARTS) > 0) * np.where(face, 0, np.where(cut, 0.4, 1))
    attach, pivot, angle, scale = _sample_joints(rng, kind)
    depth = rng.uniform(-1, 1, *shape) * (np.arange(PARTS) > 0)
    depth = np.where(face, np.arange(PARTS), depth)
    is_shape, image_index = _sample_images(rng, kind, sprites)
    return _Parts(
        present=acting[..., None] & parts_of[kind] & ~missing, is_shape=is_shape, image_index=image_index,
        parent=parent, attach=attach, pivot=pivot, angle=angle, scale=scale, swing=swing, depth=depth,
        cut=_sample_cuts(rng, kind, attach),
    )  # fmt: skip


def _sample_images(rng: SceneRng, kind: Ints, sprites: int) -> tuple[Bools, Ints]:
    """Draw which parts are shapes, and each part's number of sprite or shape; both segments of an arm are the same."""
    part = np.arange(PARTS)
    figure, face, cut = ((kind == k)[..., None] for k in (FIGURE, FACE, CUT))
    sprite_head = rng.chance(0.6 if sprites else 0, ACTORS)[..., None] & (part == HEAD)
    sprite_body = rng.chance(0.25 if sprites else 0, ACTORS)[..., None] & (part == BODY)
    is_shape = np.where(figure, ~sprite_head & ~sprite_body, ((kind == SHAPE) | (kind == FACE))[..., None])
    body, limb, stroke = (rng.integers(count, ACTORS, PARTS) for count in (BODIES, LIMBS, STROKES))
    limb[..., FOREARM] = limb[..., UPPER_ARM]
    single = np.where(rng.chance(0.2, ACTORS)[..., None], BODIES + LIMBS + stroke, body)
    shapes = np.where(figure & (part > BODY) & (part < HEAD), BODIES + limb, np.where(figure | face, body, single))
    # Eyes and mouths are ellipses or rounded boxes (kind 1), faces blobs or ellipses (kinds 0 and 1).
    eye = np.repeat((BODY_KINDS * rng.integers(BODIES // BODY_KINDS, ACTORS) + 1)[..., None], PARTS, -1)
    round_body = body - body % BODY_KINDS + body % 2
    shapes = np.where(face, np.where(part > 0, eye, round_body), shapes)
    sprite = rng.integers(max(sprites, 1), ACTORS, PARTS)
    sprite = np.where(cut, sprite[..., :1], sprite)
    return np.broadcast_to(is_shape, (rng.count, ACTORS, PARTS)), np.where(is_shape, shapes, sprite)


def _sample_joints(rng: SceneRng, kind: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Draw attach, pivot (N, ACTORS, PARTS, 2), angle (N, ACTORS, PARTS), scale (N, ACTORS, PARTS, 2)."""
    shape = (rng.count, ACTORS, PARTS)
    attach, pivot, angle, scale = np.zeros((*shape, 2)), np.zeros((*shape, 2)), np.zeros(shape), np.ones((*shape, 2))
    figure, face, cut = (kind == k for k in (FIGURE, FACE, CUT))
    right, left = rng.uniform(-0.5, 1.3, ACTORS), np.pi - rng.uniform(-0.5, 1.3, ACTORS)
    length, head = rng.uniform(0.5, 0.95, ACTORS), rng.uniform(0.55, 0.95, ACTORS)
    elbow = rng.peaked(1.4, 1, ACTORS)
    for part, direction in ((UPPER_ARM, right), (LIMB, left)):
        point = 0.5 * np.stack([np.cos(direction), np.sin(direction)], -1)
        attach[..., part, :] = np.where(figure[..., None], point, 0)
        angle[..., part] = np.where(figure, direction - np.pi / 2, 0)
    for part in (UPPER_ARM, FOREARM, LIMB):
        pivot[..., part, 1] = np.where(figure, -0.72, 0)
        scale[..., part, :] = np.where(figure[..., None], length[..., None], 1)
    scale[..., FOREARM, :] = np.where(figure[..., None], 0.92, 1)
    attach[..., FOREARM, 1], angle[..., FOREARM] = np.where(figure, 0.72, 0), np.where(figure, elbow, 0)
    attach[..., HEAD, 1], pivot[..., HEAD, 1] = np.where(figure, -0.5, 0), np.where(figure, 0.75, 0)
    scale[..., HEAD, :] = np.where(figure[..., None], head[..., None], 1)

    eye_x, eye_y, eye = rng.uniform(0.2, 0.42, ACTORS), rng.uniform(-0.35, 0, ACTORS), rng.uniform(0.08, 0.2, ACTORS)
    mouth_y, mouth_width = rng.uniform(0.15, 0.4, ACTORS), rng.uniform(0.15, 0.4, ACTORS)
    mouth_height = rng.uniform(0.04, 0.25, ACTORS)
    for part, x, y, width, height in (
        (LEFT_EYE, -eye_x, eye_y, eye, 1.3 * eye),
        (RIGHT_EYE, eye_x, eye_y, eye, 1.3 * eye),
        (MOUTH, 0 * eye_x, mouth_y, mouth_width, mouth_height),
    ):
        attach[..., part, :] = np.where(face[..., None], np.stack([x, y], -1), attach[..., part, :])
        scale[..., part, :] = np.where(face[..., None], np.stack([width, height], -1), scale[..., part, :])
    seam = rng.uniform(-0.25, 0.35, ACTORS, 2) * (0.5, 1)
    attach[..., 1, :] = np.where(cut[..., None], seam, attach[..., 1, :])
    pivot[..., 1, :] = np.where(cut[..., None], seam, pivot[..., 1, :])
    return attach, pivot, angle, scale


def _sample_cuts(rng: SceneRng, kind: Ints, attach: Floats) -> Floats:
    """Draw `LayerStyles.cut` of all parts: no cut, except for the two parts of a cut sprite."""
    cuts = np.broadcast_to([0.0, 1.0, -4.0, 0.0, 0.0, 0.0], (rng.count, ACTORS, PARTS, 6)).copy()
    tilt, radius = rng.uniform(-0.5, 0.5, ACTORS), rng.uniform(0.15, 0.35, ACTORS)
    normal = np.stack([np.sin(tilt), np.cos(tilt)], -1)
    seam = attach[..., 1, :]
    offset = (normal * seam).sum(-1)
    is_cut = (kind == CUT)[..., None]
    for part, side in ((0, 1), (1, -1)):
        own = np.concatenate([side * normal, side * offset[..., None] - 0.02, seam, radius[..., None]], -1)
        cuts[..., part, :] = np.where(is_cut, own, cuts[..., part, :])
    return cuts


def _place_parts(rng: SceneRng, times: Floats, parts: _Parts, actors: Floats, moving: Bools) -> Floats:
    """Compute the places of the parts' textures, maps (3, N, ACTORS, PARTS, 2, 3)."""
    change = sample_timing(rng, times, ACTORS, PARTS) - 0.5
    angle = parts.angle + parts.swing * change * (moving[..., None] & rng.chance(0.75, ACTORS, PARTS))
    joints = attach_part(parts.attach, parts.pivot, angle, parts.scale[..., 0], parts.scale[..., 1])
    placed = np.repeat(actors[..., None, :, :], PARTS, -3)
    for part in range(1, PARTS):
        index = parts.parent[None, ..., part, None, None, None]
        parent = np.take_along_axis(placed, np.broadcast_to(index, (3, *index.shape[1:3], 1, 2, 3)), -3)
        placed[..., part, :, :] = compose(parent[..., 0, :, :], joints[..., part, :, :])
    return placed


def _sort_by_rank(parts: _Parts) -> tuple[Ints, Ints, Ints, Ints]:
    """Return scene, actor, part and rank of every layer, sorted by rank; later actors are in front."""
    present = parts.present.reshape(len(parts.present), -1)
    key = (np.arange(ACTORS)[:, None] * 2 * PARTS + parts.depth).reshape(present.shape)
    order = np.argsort(np.where(present, key, np.inf), axis=1, kind="stable")
    count = present.sum(1)
    rank, scene = np.nonzero(np.arange(ACTORS * PARTS)[:, None] < count)
    index = order[scene, rank]
    return scene, index // PARTS, index % PARTS, rank + 1


def _sample_styles(
    rng: SceneRng, kind: Ints, parts: _Parts, rows: tuple[Ints, Ints, Ints], placed: Floats, side: int
) -> LayerStyles:
    """Draw the styles of the layers whose scene, actor and part are `rows`."""
    diameter = 2 * np.linalg.norm(placed[..., :2], axis=-2).max((0, -1))  # px, the largest over the three times
    palette = _sample_colors(rng, ACTORS, 3)
    fill = palette[:, :, np.array([0, 1, 1, 1, 2])]
    dark = (kind == FACE)[..., None, None] & (np.arange(PARTS) > 0)[:, None]
    eyes = np.where(rng.chance(0.75, ACTORS)[..., None, None], _INK, _sample_colors(rng, ACTORS, 1))
    fill = np.where(dark, eyes, fill)
    inked = rng.chance(0.7, ACTORS)[..., None, None]
    line = np.where(inked, _INK, 0.35 * palette[:, :, :1])
    width = (1 + 4 * rng.uniform(0, 1, ACTORS) ** 2) * ~rng.chance(0.2, ACTORS)  # px
    shadow = np.where(rng.chance(0.5, ACTORS), rng.uniform(0.65, 0.9, ACTORS), 1.0)
    angle = rng.uniform(0, 2 * np.pi, ACTORS)
    light = rng.uniform(0.1, 0.4, ACTORS)[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    shading = rng.peaked(0.3, 1, ACTORS, 2) * rng.chance(0.3, ACTORS)[..., None]
    recolor, thick_lines = _sample_recoloring(rng, 0.4, ACTORS), rng.chance(0.12, ACTORS)
    actor = rows[:2]
    return LayerStyles(
        is_shape=parts.is_shape[rows], image_index=parts.image_index[rows],
        extent=np.minimum(1, TEXELS_PER_PIXEL * diameter / side), recolor=recolor[actor],
        fill=fill[rows], line=line[actor][:, 0], line_width=width[actor] * 2 / diameter, shadow=shadow[actor],
        light=light[actor], shading=shading[actor], cut=parts.cut[rows], thick_lines=thick_lines[actor],
    )  # fmt: skip


def _sample_colors(rng: SceneRng, *shape: int) -> Floats:
    """Draw RGB (N, *shape, 3) in [0, 1]: any hue, from pastel to full."""
    hue, saturation = rng.uniform(0, 6, *shape), rng.uniform(0.05, 0.9, *shape)
    value = rng.uniform(0.3, 1, *shape) ** 0.6
    wheel = np.clip(np.abs((hue[..., None] + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value[..., None] * (1 - saturation[..., None] * (1 - wheel)))


def _sample_recoloring(rng: SceneRng, probability: float, *shape: int) -> Floats:
    """Draw changes of hue, saturation and brightness, as matrices (N, *shape, 3, 4)."""
    recolored = rng.chance(probability, *shape)
    angle = rng.uniform(-np.pi, np.pi, *shape) * recolored
    saturation = np.where(recolored, rng.uniform(0.3, 1.3, *shape), 1.0)[..., None, None]
    gain = np.where(recolored, rng.uniform(0.6, 1.15, *shape), 1.0)
    lift = np.where(recolored, rng.uniform(0, 0.12, *shape), 0)
    gray = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    c, s = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
    hue = gray + c * (np.eye(3) - gray) + s * cross  # Rodrigues' rotation about the gray axis
    colors = gain[..., None, None] * (gray + saturation * (hue - gray))
    return np.concatenate([colors, np.broadcast_to(lift[..., None, None], (*lift.shape, 3, 1))], -1)
