"""Motion in synthetic scenes: timing, paths, cameras, joints, waves.

Arrays that change over time have a first axis of length 3 for the times 0, t and 1. Positions are in px of the frame, x
first, with the center of the first pixel at (0, 0). An affine map is (..., 2, 3): [linear | shift]. Random values are
(N, ...), one row per scene.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animeinterp.data.synthetic.rng import Floats, SceneRng

WAVES = 2
MAX_STEEPNESS = 0.4  # of all waves together; below 1 fixed-point iteration inverts the deformation


class Waves(NamedTuple):
    """A free-form deformation of a texture: q ↦ q + Σ amplitude · sin(frequency · q + phase), WAVES terms.

    Attributes:
        amplitude: (3, ..., WAVES, 2), texture units.
        frequency: (..., WAVES, 2), rad per texture unit.
        phase: (..., WAVES), rad.
    """

    amplitude: Floats
    frequency: Floats
    phase: Floats


def affine(linear: Floats, shift: Floats) -> Floats:
    """Make the map p ↦ linear p + shift."""
    return np.concatenate([linear, shift[..., None]], -1)


def scale_and_rotate(angle: Floats, scale_x: Floats, scale_y: Floats) -> Floats:
    """Make the matrix (..., 2, 2) that scales by x and y, then rotates by the angle, rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c * scale_x, -s * scale_y], -1), np.stack([s * scale_x, c * scale_y], -1)], -2)


def compose(outer: Floats, inner: Floats) -> Floats:
    """Make the affine map that applies `inner`, then `outer`."""
    linear = outer[..., :2] @ inner[..., :2]
    return affine(linear, (outer[..., :2] @ inner[..., 2:])[..., 0] + outer[..., 2])


def invert(maps: Floats) -> Floats:
    """Make the inverses of affine maps."""
    linear = np.asarray(np.linalg.inv(maps[..., :2]), np.float64)
    return affine(linear, -(linear @ maps[..., 2:])[..., 0])


def sample_times(rng: SceneRng) -> Floats:
    """Draw the three times, (3, N): 0; 0.5 or uniform in [0.1, 0.9]; 1."""
    middle = np.where(rng.chance(0.5), 0.5, rng.uniform(0.1, 0.9))
    return np.stack([np.zeros(rng.count), middle, np.ones(rng.count)])


def sample_timing(rng: SceneRng, times: Floats, *shape: int) -> Floats:
    """Draw the progress of motions along their paths.

    Mostly linear in time; else eased at both ends; else accelerated or slowed down, so that the middle of the path is
    not reached at the middle of the time.

    Args:
        rng: Random numbers.
        times: The three times, (3, N).
        *shape: Motions per scene.

    Returns:
        (3, N, *shape): 0 at time 0, 1 at time 1.
    """
    tau = times.reshape(*times.shape, *[1] * len(shape))
    kind = rng.choice((0.65, 0.15, 0.2), *shape)
    eased = tau + rng.uniform(0.3, 1, *shape) * (tau * tau * (3 - 2 * tau) - tau)
    accelerated = tau ** rng.log_uniform(0.62, 1.6, *shape)
    return np.where(kind == 0, tau, np.where(kind == 1, eased, accelerated))


def sample_path(rng: SceneRng, progress: Floats, max_length: float, still: float, shape: tuple[int, ...]) -> Floats:
    """Draw straight or curved paths and follow them.

    Args:
        rng: Random numbers.
        progress: (3, N, *shape), as `sample_timing` returns it.
        max_length: Longest path, px; most are much shorter.
        still: Probability of no motion.
        shape: Paths per scene.

    Returns:
        Shifts from the middle of the path, (3, N, *shape, 2) px.
    """
    length = max_length * rng.uniform(0, 1, *shape) ** 3 * ~rng.chance(still, *shape)
    angle = rng.uniform(0, 2 * np.pi, *shape)
    bend = length * rng.uniform(-0.35, 0.35, *shape) * rng.chance(0.3, *shape)
    along, aside = length * (progress - 0.5), bend * 4 * progress * (1 - progress)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * along - s * aside, s * along + c * aside], -1)


def sample_camera(rng: SceneRng, times: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Draw camera motions for frames of size (height, width).

    Returns:
        Zoom and rotation about the frame's center, maps (3, N, 2, 3), and the pan, (3, N, 2) px.
    """
    progress = sample_timing(rng, times)
    pan = sample_path(rng, progress, 0.15 * max(size), 0.5, ())
    zoom = np.exp(rng.peaked(0.22, 1.5) * rng.chance(0.25) * (progress - 0.5))
    angle = rng.peaked(0.15, 2) * rng.chance(0.12) * (progress - 0.5)
    linear = scale_and_rotate(angle, zoom, zoom)
    center = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return affine(linear, center - linear @ center), pan


def sample_waves(rng: SceneRng, progress: Floats, probability: float, *shape: int) -> Waves:
    """Draw deformations that grow, shrink or swing.

    Args:
        rng: Random numbers.
        progress: (3, N, *shape), as `sample_timing` returns it.
        probability: Probability of a deformation; without it the amplitude is 0.
        *shape: Deformations per scene.
    """
    angle = rng.uniform(0, 2 * np.pi, *shape, WAVES)
    length = rng.uniform(1.2, 4.5, *shape, WAVES)
    frequency = length[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    # Across rather than along the wave: that bends instead of squeezing.
    across = angle + np.pi / 2 + rng.uniform(-0.7, 0.7, *shape, WAVES)
    steepness = MAX_STEEPNESS / WAVES * rng.uniform(0.2, 1, *shape, WAVES) * rng.chance(probability, *shape)[..., None]
    limit = (steepness / length)[..., None] * np.stack([np.cos(across), np.sin(across)], -1)
    first, last = rng.uniform(-1, 1, *shape, WAVES), rng.uniform(-1, 1, *shape, WAVES)
    factor = first + (last - first) * progress[..., None]
    return Waves(factor[..., None] * limit, frequency, rng.uniform(0, 2 * np.pi, *shape, WAVES))


def sample_opacity(rng: SceneRng, times: Floats, probability: float, *shape: int) -> Floats:
    """Draw opacities (3, N, *shape): 1, or with the probability appearing or vanishing, at t = 0.5 or gradually."""
    tau = times.reshape(*times.shape, *[1] * len(shape))
    appearing, gradual = rng.chance(0.5, *shape), rng.chance(0.4, *shape)
    opacity = np.where(appearing, tau, 1 - tau)
    changing = rng.chance(probability, *shape)
    return np.where(changing, np.where(gradual, opacity, opacity > 0.5), 1.0)


def attach_part(attach: Floats, pivot: Floats, angle: Floats, scale_x: Floats, scale_y: Floats) -> Floats:
    """Make the maps (..., 2, 3) from the textures of parts to those of their parents.

    Args:
        attach: (..., 2), the joint in the parent's texture.
        pivot: (..., 2), the joint in the part's texture.
        angle: Rotation about the joint, rad.
        scale_x: Scale of the part, along x.
        scale_y: Scale of the part, along y.
    """
    linear = scale_and_rotate(angle, scale_x, scale_y)
    return affine(linear, attach - (linear @ pivot[..., None])[..., 0])
