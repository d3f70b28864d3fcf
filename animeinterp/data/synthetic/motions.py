"""How things move in a synthetic scene: timing, paths, cameras, joints, waves.

Times are the axis of length 3 in front: 0, t, 1. Positions are frame px, x first, the first pixel's center at (0, 0).
An affine map is (..., 2, 3): [linear | shift]. All draws are (N, ...), one row per scene.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animeinterp.data.synthetic.rng import Floats, SceneRng

WAVES = 2
STEEPEST = 0.4  # of a wave field in all; below 1 the field can be inverted by fixed-point steps


class Waves(NamedTuple):
    """A free-form deformation of a texture: q ↦ q + Σ amplitude · sin(frequency · q + phase), WAVES terms.

    amplitude: (3, ..., WAVES, 2), texture units. frequency: (..., WAVES, 2), rad per unit. phase: (..., WAVES).
    """

    amplitude: Floats
    frequency: Floats
    phase: Floats


def affine(linear: Floats, shift: Floats) -> Floats:
    """The map p ↦ linear p + shift."""
    return np.concatenate([linear, shift[..., None]], -1)


def turn(angle: Floats, scale_x: Floats, scale_y: Floats) -> Floats:
    """The matrix (..., 2, 2) that scales by x and y, then turns by the angle, rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c * scale_x, -s * scale_y], -1), np.stack([s * scale_x, c * scale_y], -1)], -2)


def after(outer: Floats, inner: Floats) -> Floats:
    """The map that does `inner`, then `outer`."""
    linear = outer[..., :2] @ inner[..., :2]
    return affine(linear, (outer[..., :2] @ inner[..., 2:])[..., 0] + outer[..., 2])


def inverse(maps: Floats) -> Floats:
    """The affine maps that undo these."""
    linear = np.asarray(np.linalg.inv(maps[..., :2]), np.float64)
    return affine(linear, -(linear @ maps[..., 2:])[..., 0])


def draw_times(dice: SceneRng) -> Floats:
    """The three times, (3, N): 0; ½ or evenly from [0.1, 0.9]; 1."""
    middle = np.where(dice.chance(0.5), 0.5, dice.uniform(0.1, 0.9))
    return np.stack([np.zeros(dice.count), middle, np.ones(dice.count)])


def draw_timing(dice: SceneRng, times: Floats, *shape: int) -> Floats:
    """How far along its path everything is at the times (3, N): (3, N, *shape), 0 first, 1 last.

    Mostly as far as the time; else eased at both ends; else accelerated or slowed, so that the middle of the path is
    not the middle of the time.
    """
    tau = times.reshape(*times.shape, *[1] * len(shape))
    kind = dice.pick((0.65, 0.15, 0.2), *shape)
    both = tau + dice.uniform(0.3, 1, *shape) * (tau * tau * (3 - 2 * tau) - tau)
    one = tau ** dice.log_uniform(0.62, 1.6, *shape)
    return np.where(kind == 0, tau, np.where(kind == 1, both, one))


def draw_path(dice: SceneRng, along: Floats, farthest: float, still: float, shape: tuple[int, ...]) -> Floats:
    """Shifts of (3, N, *shape, 2) px about the middle of a straight or curved path.

    along: (3, N, *shape). farthest: the longest path, px; most are much shorter. still: how often nothing moves.
    """
    length = farthest * dice.uniform(0, 1, *shape) ** 3 * ~dice.chance(still, *shape)
    angle = dice.uniform(0, 2 * np.pi, *shape)
    bend = length * dice.uniform(-0.35, 0.35, *shape) * dice.chance(0.3, *shape)
    ahead, aside = length * (along - 0.5), bend * 4 * along * (1 - along)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * ahead - s * aside, s * ahead + c * aside], -1)


def draw_camera(dice: SceneRng, times: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Zoom and turn about the frame's center, as maps (3, N, 2, 3), and the pan apart, (3, N, 2) px."""
    along = draw_timing(dice, times)
    unit = max(size)
    pan = draw_path(dice, along, 0.15 * unit, 0.5, ())
    zoom = np.exp(dice.tail(0.22, 1.5) * dice.chance(0.25) * (along - 0.5))
    angle = dice.tail(0.15, 2) * dice.chance(0.12) * (along - 0.5)
    linear = turn(angle, zoom, zoom)
    center = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return affine(linear, center - linear @ center), pan


def draw_waves(dice: SceneRng, along: Floats, probability: float, *shape: int) -> Waves:
    """Free-form deformations that grow, shrink or swing; along: (3, N, *shape)."""
    angle = dice.uniform(0, 2 * np.pi, *shape, WAVES)
    length = dice.uniform(1.2, 4.5, *shape, WAVES)
    frequency = length[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    # across rather than along the wave: that bends instead of squeezing
    across = angle + np.pi / 2 + dice.uniform(-0.7, 0.7, *shape, WAVES)
    steepness = STEEPEST / WAVES * dice.uniform(0.2, 1, *shape, WAVES) * dice.chance(probability, *shape)[..., None]
    largest = (steepness / length)[..., None] * np.stack([np.cos(across), np.sin(across)], -1)
    first, last = dice.uniform(-1, 1, *shape, WAVES), dice.uniform(-1, 1, *shape, WAVES)
    swing = first + (last - first) * along[..., None]
    return Waves(swing[..., None] * largest, frequency, dice.uniform(0, 2 * np.pi, *shape, WAVES))


def draw_presence(dice: SceneRng, times: Floats, probability: float, *shape: int) -> Floats:
    """Opacity (3, N, *shape): 1, or for things that come or go, at once at t = ½ or gradually."""
    tau = times.reshape(*times.shape, *[1] * len(shape))
    coming, gradual = dice.chance(0.5, *shape), dice.chance(0.4, *shape)
    here = np.where(coming, tau, 1 - tau)
    changing = dice.chance(probability, *shape)
    return np.where(changing, np.where(gradual, here, here > 0.5), 1.0)


def joint(attach: Floats, pivot: Floats, angle: Floats, scale_x: Floats, scale_y: Floats) -> Floats:
    """A part's place in its parent's texture: its pivot lies on the parent's `attach`, turned and scaled there.

    attach, pivot: (..., 2), texture units. Returns maps (..., 2, 3) from the part's texture to the parent's.
    """
    linear = turn(angle, scale_x, scale_y)
    return affine(linear, attach - (linear @ pivot[..., None])[..., 0])
