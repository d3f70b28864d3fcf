"""Who plays in a synthetic scene, how they are built and colored, and where they are at the three times.

A scene has a background and up to ACTORS actors, each of up to PARTS parts that hang on one another: a sprite; a
sprite cut in two that turns at the cut; a flat shape; a figure with a head, an arm of two segments and another limb; a
face. A part is a layer: a square texture over [-1, 1] x [-1, 1], x first, y down, and where it lies at 0, t and 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animeinterp.data.synthetic.motions import (
    Waves,
    affine,
    after,
    draw_camera,
    draw_path,
    draw_presence,
    draw_times,
    draw_timing,
    draw_waves,
    joint,
    turn,
)
from animeinterp.data.synthetic.rng import Bools, Floats, Ints, SceneRng
from animeinterp.data.synthetic.shapes import BODIES, LIMBS, STROKES

ACTORS, PARTS = 5, 5
SPRITE, CUT, SHAPE, FIGURE, FACE = range(5)
FARTHEST = 0.3  # of the frame: the longest path
SLACK = 1.3  # texels of a texture per px of the frame
_INK = np.array([0.07, 0.06, 0.09])


class LayerStyles(NamedTuple):
    """How M layers are painted.

    drawn: shapes, else sprites. art: which of them. reach: (M,) share of the texture's square the picture covers.
    recolor: (M, 3, 4), premultiplied RGBA → RGB. fill, line: (M, 3) RGB of shapes. line_width: (M,), texture units.
    shadow: (M,), the fill's factor on the side away from the light. light: (M, 2), the shadow's outline is the shape's,
    shifted against this. shade: (M, 2), how much lighter per texture unit. cut: (M, 6), normal, offset, joint, radius:
    kept is what has normal · u >= offset or is that near the joint. thick: lines of sprites are made heavier.
    """

    drawn: Bools
    art: Ints
    reach: Floats
    recolor: Floats
    fill: Floats
    line: Floats
    line_width: Floats
    shadow: Floats
    light: Floats
    shade: Floats
    cut: Floats
    thick: Bools


class SceneSpec(NamedTuple):
    """N scenes as a table of N + M layers: the N backgrounds, then the others by rank; rank 0 is the background.

    times: (3, N). scene, rank: (N + M,). to_frame: (3, N + M, 2, 3), texture → px. waves, opacity: (3, N + M, ...).
    backdrop, backdrop_color: (N,) which background and (N, 3, 4) its recoloring. looks: of the last M.
    """

    times: Floats
    scene: Ints
    rank: Ints
    to_frame: Floats
    waves: Waves
    opacity: Floats
    backdrop: Ints
    backdrop_color: Floats
    looks: LayerStyles


class _Build(NamedTuple):
    """Parts, (N, ACTORS, PARTS): which there are, what they are made of, how they hang together, from back to front."""

    present: Bools
    drawn: Bools
    art: Ints
    parent: Ints
    attach: Floats
    pivot: Floats
    rest: Floats
    scale: Floats
    swing: Floats
    order: Floats
    cut: Floats


def cast_scenes(dice: SceneRng, size: tuple[int, int], sprites: int, backgrounds: int) -> SceneSpec:
    """Draw who plays and how they move.

    size: height, width of the frame, px. sprites, backgrounds: how many there are to choose from; sprites may be 0.
    """
    times = draw_times(dice)
    kind = dice.pick((0.4, 0.13, 0.2, 0.18, 0.09) if sprites else (0, 0, 0.5, 0.3, 0.2), ACTORS)
    kind = kind.reshape(dice.count, ACTORS)
    build = _draw_build(dice, kind, sprites)
    camera, pan = draw_camera(dice, times, size)
    alive = ~dice.chance(0.15, ACTORS)
    alive[:, 0] = True  # scenes in which nothing moves teach little
    actors = _draw_actors(dice, times, kind, size, alive)
    near = np.where(dice.chance(0.3)[:, None], dice.uniform(0.6, 1.5, ACTORS), 1.0)
    to_frame = _hang(dice, times, build, actors, alive)
    to_frame[..., 2] += (pan[:, :, None] * near[..., None])[:, :, :, None]
    to_frame = after(camera[:, :, None, None], to_frame)
    waves = draw_waves(dice, draw_timing(dice, times, ACTORS, PARTS), 0.35, ACTORS, PARTS)
    # parts that hang together would come apart if each were deformed by itself
    stiff = ~alive | (kind == CUT) | (kind == FACE) | (kind == FIGURE)
    waves = waves._replace(amplitude=waves.amplitude * ~stiff[..., None, None, None])
    opacity = np.repeat(draw_presence(dice, times, 0.02, ACTORS)[..., None], PARTS, -1)
    backdrop, backdrop_color, ground, ripples = _draw_backdrop(dice, times, camera, pan, size, backgrounds)
    where = _front_order(build)
    scene = np.concatenate([np.arange(dice.count), where[0]])
    rank = np.concatenate([np.zeros(dice.count, np.int64), where[3]])
    rows = where[:3]
    placed = to_frame[:, *rows]
    looks = _draw_looks(dice, kind, build, rows, placed, max(size))
    return SceneSpec(
        times, scene, rank,
        np.concatenate([ground, placed], 1),
        Waves(
            np.concatenate([ripples.amplitude, waves.amplitude[:, *rows]], 1),
            np.concatenate([ripples.frequency, waves.frequency[rows]]),
            np.concatenate([ripples.phase, waves.phase[rows]]),
        ),
        np.concatenate([np.ones((3, dice.count)), opacity[:, *rows]], 1),
        backdrop, backdrop_color, looks,
    )  # fmt: skip


def _draw_backdrop(
    dice: SceneRng, times: Floats, camera: Floats, pan: Floats, size: tuple[int, int], backgrounds: int
) -> tuple[Ints, Floats, Floats, Waves]:
    half = max(size) / 2 * dice.uniform(1.05, 1.5)
    center = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    off = (half - max(size) / 2)[:, None] * dice.uniform(-1, 1, 2)
    linear = turn(np.zeros(dice.count), half * np.where(dice.chance(0.5), -1, 1), half)
    ground = after(camera, affine(np.broadcast_to(linear, (3, *linear.shape)), center + off + pan))
    ripples = draw_waves(dice, draw_timing(dice, times), 0.04)
    return dice.below(backgrounds), _draw_recolor(dice, 0.5), ground, ripples


def _draw_actors(dice: SceneRng, times: Floats, kind: Ints, size: tuple[int, int], alive: Bools) -> Floats:
    """Where each actor's root texture lies, (3, N, ACTORS, 2, 3)."""
    unit = max(size)
    along = draw_timing(dice, times, ACTORS)
    extent = (
        unit * dice.log_uniform(0.2, 1.15, ACTORS) * np.where(kind == FIGURE, 0.6, 1) * np.where(kind == CUT, 1.2, 1)
    )
    middle = dice.uniform(0.08, 0.92, ACTORS, 2) * (size[1], size[0])
    shift = draw_path(dice, along, FARTHEST * unit, 0.12, (ACTORS,)) * alive[..., None]
    moved = along - 0.5
    angle = dice.tail(0.25, 2, ACTORS) + dice.tail(1.0, 2.5, ACTORS) * dice.chance(0.5, ACTORS) * alive * moved
    grown = np.exp(dice.tail(0.4, 1.5, ACTORS) * dice.chance(0.35, ACTORS) * alive * moved)
    squash = np.exp(dice.tail(0.25, 1.5, ACTORS) * dice.chance(0.2, ACTORS) * alive * moved)
    half = extent / 2
    mirror = np.where(dice.chance(0.5, ACTORS), -1, 1)
    return affine(turn(angle, half * grown * squash * mirror, half * grown / squash), middle + shift)


def _draw_build(dice: SceneRng, kind: Ints, sprites: int) -> _Build:
    shape = (ACTORS, PARTS)
    count = dice.pick((0.03, 0.27, 0.3, 0.2, 0.12, 0.08))
    playing = np.arange(ACTORS) < count[:, None]
    parts_of = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]], bool)
    missing = dice.chance(0.2, *shape) & (kind == FIGURE)[..., None] & (np.arange(PARTS) > 2)
    figure, face, cut = ((kind == k)[..., None] for k in (FIGURE, FACE, CUT))
    parent = np.where(figure, np.array([0, 0, 1, 0, 0]), 0)
    swing = dice.tail(1.3, 1.6, *shape) * (np.arange(PARTS) > 0) * np.where(face, 0, np.where(cut, 0.4, 1))
    attach, pivot, rest, scale = _draw_joints(dice, kind)
    order = dice.uniform(-1, 1, *shape) * (np.arange(PARTS) > 0)
    order = np.where(face, np.arange(PARTS), order)
    drawn, art = _draw_art(dice, kind, sprites)
    return _Build(
        playing[..., None] & parts_of[kind] & ~missing, drawn, art, parent, attach, pivot, rest, scale, swing, order,
        _draw_cut(dice, kind, attach),
    )  # fmt: skip


def _draw_art(dice: SceneRng, kind: Ints, sprites: int) -> tuple[Bools, Ints]:
    """Which parts are shapes, and the number of each part's sprite or shape; an arm's two segments are the same."""
    full = (dice.count, ACTORS, PARTS)
    part = np.arange(PARTS)
    figure, face, cut = ((kind == k)[..., None] for k in (FIGURE, FACE, CUT))
    sprite_head = dice.chance(0.6 if sprites else 0, ACTORS)[..., None] & (part == 4)
    sprite_body = dice.chance(0.25 if sprites else 0, ACTORS)[..., None] & (part == 0)
    drawn = np.where(figure, ~sprite_head & ~sprite_body, ((kind == SHAPE) | (kind == FACE))[..., None])
    body, limb, stroke = (
        dice.below(BODIES, ACTORS, PARTS),
        dice.below(LIMBS, ACTORS, PARTS),
        dice.below(STROKES, ACTORS, PARTS),
    )
    limb[..., 2] = limb[..., 1]
    lone = np.where(dice.chance(0.2, ACTORS)[..., None], BODIES + LIMBS + stroke, body)
    shapes = np.where(figure & (part > 0) & (part < 4), BODIES + limb, np.where(figure | face, body, lone))
    # round: every fifth body from the second on is an ellipse or a rounded box
    eye = np.repeat((5 * dice.below(BODIES // 5, ACTORS) + 1)[..., None], PARTS, -1)
    round_body = body - body % 5 + body % 2  # faces have blobs and ellipses
    shapes = np.where(face, np.where(part > 0, eye, round_body), shapes)
    pictured = dice.below(max(sprites, 1), ACTORS, PARTS)
    pictured = np.where(cut, pictured[..., :1], pictured)
    return np.broadcast_to(drawn, full), np.where(drawn, shapes, pictured)


def _draw_joints(dice: SceneRng, kind: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """attach, pivot (N, ACTORS, PARTS, 2), rest (N, ACTORS, PARTS), scale (N, ACTORS, PARTS, 2)."""
    shape = (dice.count, ACTORS, PARTS)
    attach, pivot, rest, scale = np.zeros((*shape, 2)), np.zeros((*shape, 2)), np.zeros(shape), np.ones((*shape, 2))
    figure, face, cut = (kind == k for k in (FIGURE, FACE, CUT))
    right, left = dice.uniform(-0.5, 1.3, ACTORS), np.pi - dice.uniform(-0.5, 1.3, ACTORS)
    length, head = dice.uniform(0.5, 0.95, ACTORS), dice.uniform(0.55, 0.95, ACTORS)
    bend = dice.tail(1.4, 1, ACTORS)
    for part, out in ((1, right), (3, left)):
        attach[..., part, :] = np.where(figure[..., None], 0.5 * np.stack([np.cos(out), np.sin(out)], -1), 0)
        rest[..., part] = np.where(figure, out - np.pi / 2, 0)
    for part in (1, 2, 3):
        pivot[..., part, 1] = np.where(figure, -0.72, 0)
        scale[..., part, :] = np.where(figure[..., None], length[..., None], 1)
    scale[..., 2, :] = np.where(figure[..., None], 0.92, 1)
    attach[..., 2, 1], rest[..., 2] = np.where(figure, 0.72, 0), np.where(figure, bend, 0)
    attach[..., 4, 1], pivot[..., 4, 1] = np.where(figure, -0.5, 0), np.where(figure, 0.75, 0)
    scale[..., 4, :] = np.where(figure[..., None], head[..., None], 1)

    apart, high, eye = dice.uniform(0.2, 0.42, ACTORS), dice.uniform(-0.35, 0, ACTORS), dice.uniform(0.08, 0.2, ACTORS)
    mouth, wide = dice.uniform(0.15, 0.4, ACTORS), dice.uniform(0.15, 0.4, ACTORS)
    tall = dice.uniform(0.04, 0.25, ACTORS)
    features = ((1, -apart, high, eye, 1.3 * eye), (2, apart, high, eye, 1.3 * eye), (3, 0 * apart, mouth, wide, tall))
    for part, x, y, width, height in features:
        attach[..., part, :] = np.where(face[..., None], np.stack([x, y], -1), attach[..., part, :])
        scale[..., part, :] = np.where(face[..., None], np.stack([width, height], -1), scale[..., part, :])
    seam = dice.uniform(-0.25, 0.35, ACTORS, 2) * (0.5, 1)
    attach[..., 1, :] = np.where(cut[..., None], seam, attach[..., 1, :])
    pivot[..., 1, :] = np.where(cut[..., None], seam, pivot[..., 1, :])
    return attach, pivot, rest, scale


def _draw_cut(dice: SceneRng, kind: Ints, attach: Floats) -> Floats:
    """What of each part's texture is kept, see `Looks.cut`: all, but for the two segments of a cut sprite."""
    whole = np.broadcast_to([0.0, 1.0, -4.0, 0.0, 0.0, 0.0], (dice.count, ACTORS, PARTS, 6)).copy()
    tilt, radius = dice.uniform(-0.5, 0.5, ACTORS), dice.uniform(0.15, 0.35, ACTORS)
    normal = np.stack([np.sin(tilt), np.cos(tilt)], -1)
    seam = attach[..., 1, :]
    offset = (normal * seam).sum(-1)
    cut = (kind == CUT)[..., None]
    for part, side in ((0, 1), (1, -1)):
        kept = np.concatenate([side * normal, side * offset[..., None] - 0.02, seam, radius[..., None]], -1)
        whole[..., part, :] = np.where(cut, kept, whole[..., part, :])
    return whole


def _hang(dice: SceneRng, times: Floats, build: _Build, actors: Floats, alive: Bools) -> Floats:
    """Where each part's texture lies, (3, N, ACTORS, PARTS, 2, 3)."""
    along = draw_timing(dice, times, ACTORS, PARTS) - 0.5
    angle = build.rest + build.swing * along * (alive[..., None] & dice.chance(0.75, ACTORS, PARTS))
    joints = joint(build.attach, build.pivot, angle, build.scale[..., 0], build.scale[..., 1])
    placed = np.repeat(actors[..., None, :, :], PARTS, -3)
    for part in range(1, PARTS):
        parent = build.parent[None, ..., part, None, None, None]
        holder = np.take_along_axis(placed, np.broadcast_to(parent, (3, *parent.shape[1:3], 1, 2, 3)), -3)
        placed[..., part, :, :] = after(holder[..., 0, :, :], joints[..., part, :, :])
    return placed


def _front_order(build: _Build) -> tuple[Ints, Ints, Ints, Ints]:
    """scene, actor, part and rank of every layer, by rank; later actors stand in front."""
    present = build.present.reshape(len(build.present), -1)
    key = (np.arange(ACTORS)[:, None] * 2 * PARTS + build.order).reshape(present.shape)
    order = np.argsort(np.where(present, key, np.inf), axis=1, kind="stable")
    count = present.sum(1)
    rank, scene = np.nonzero(np.arange(ACTORS * PARTS)[:, None] < count)
    place = order[scene, rank]
    return scene, place // PARTS, place % PARTS, rank + 1


def _draw_looks(
    dice: SceneRng, kind: Ints, build: _Build, rows: tuple[Ints, Ints, Ints], placed: Floats, side: int
) -> LayerStyles:
    extent = 2 * np.linalg.norm(placed[..., :2], axis=-2).max((0, -1))  # px across, where it is largest
    palette = _draw_colors(dice, ACTORS, 3)
    part_color = np.array([0, 1, 1, 1, 2])
    fill = palette[:, :, part_color]
    dark = (kind == FACE)[..., None, None] & (np.arange(PARTS) > 0)[:, None]
    eyes = np.where(dice.chance(0.75, ACTORS)[..., None, None], _INK, _draw_colors(dice, ACTORS, 1))
    fill = np.where(dark, eyes, fill)
    inked = dice.chance(0.7, ACTORS)[..., None, None]
    line = np.where(inked, _INK, 0.35 * palette[:, :, :1])
    width = (1 + 4 * dice.uniform(0, 1, ACTORS) ** 2) * ~dice.chance(0.2, ACTORS)  # px
    tone = np.where(dice.chance(0.5, ACTORS), dice.uniform(0.65, 0.9, ACTORS), 1.0)
    toward = dice.uniform(0, 2 * np.pi, ACTORS)
    light = dice.uniform(0.1, 0.4, ACTORS)[..., None] * np.stack([np.cos(toward), np.sin(toward)], -1)
    shade = dice.tail(0.3, 1, ACTORS, 2) * dice.chance(0.3, ACTORS)[..., None]
    recolor, thick = _draw_recolor(dice, 0.4, ACTORS), dice.chance(0.12, ACTORS)
    scene, actor, _ = rows
    of = (scene, actor)
    return LayerStyles(
        build.drawn[rows], build.art[rows], np.minimum(1, SLACK * extent / side), recolor[of], fill[rows],
        line[of][:, 0], width[of] * 2 / extent, tone[of], light[of], shade[of], build.cut[rows], thick[of],
    )  # fmt: skip


def _draw_colors(dice: SceneRng, *shape: int) -> Floats:
    """RGB (N, *shape, 3) in [0, 1]: any hue, from pastel to full."""
    hue, saturation, value = (
        dice.uniform(0, 6, *shape),
        dice.uniform(0.05, 0.9, *shape),
        dice.uniform(0.3, 1, *shape) ** 0.6,
    )
    wheel = np.clip(np.abs((hue[..., None] + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value[..., None] * (1 - saturation[..., None] * (1 - wheel)))


def _draw_recolor(dice: SceneRng, probability: float, *shape: int) -> Floats:
    """Turns of the hue, changes of saturation and brightness, as matrices (N, *shape, 3, 4)."""
    chosen = dice.chance(probability, *shape)
    angle = dice.uniform(-np.pi, np.pi, *shape) * chosen
    saturation = np.where(chosen, dice.uniform(0.3, 1.3, *shape), 1.0)[..., None, None]
    bright, lift = (
        np.where(chosen, dice.uniform(0.6, 1.15, *shape), 1.0),
        np.where(chosen, dice.uniform(0, 0.12, *shape), 0),
    )
    gray = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    c, s = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
    hue = gray + c * (np.eye(3) - gray) + s * cross  # Rodrigues' turn about the gray axis
    colors = bright[..., None, None] * (gray + saturation * (hue - gray))
    return np.concatenate([colors, np.broadcast_to(lift[..., None, None], (*lift.shape, 3, 1))], -1)
