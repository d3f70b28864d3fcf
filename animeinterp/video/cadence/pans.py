"""Detect frames that a pan alone makes: the camera pans over a held figure, so frames differ without a new drawing.

Between frames n and n + 1 everything moves with the pan or rests: the background, and layers before it that move along
the same line at paces of their own. Between n + 1 and n + 2 the background moves on, and something is drawn anew
besides. Then frame n + 1 shows nothing beyond the motion from n to n + 2, and is left out as a repeat of n.

Everything is computed on gray images of half the size of the fine copies of `FrameSignature`, in tiles of 8x8 px.
Velocities are (x, y) in pixels of that size per frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import DisSettings, create_dis
from animeinterp.video.cadence.signature import Floats, FrameSignature, NoiseModel, image_gradient, tile_means

Velocity = tuple[float, float]
Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_MIN_SIDE = 180  # px, short side; images are halved only if it stays at least this
_NOISE = NoiseModel(floor=2.0, per_noise=1.3, per_gradient=0.3)  # of a mean difference


@dataclass(frozen=True, slots=True)
class PanLimits:
    """Parameters of the detector of frames that a pan alone makes.

    Set by hand. `tests/video/cadence/test_drawings.py` holds the films that they must tell apart: figures on ones, twos
    and threes before pans of 1 to 7 px a frame and pans over a still image, encoded by x264 at crf 20, and real clips.
    "Change" is the mean difference of all tiles beyond noise, levels.

    Attributes:
        max_repeats: Frames in a row that a pan alone makes.
        max_repeat_change: `FrameDifference.mean_excess` of these, relative to that of the new drawing after them.
        unexplained: Fraction of the change that the pan may leave in a repeat; it leaves more of a new drawing.
        min_pan_change: Change below which there is no pan.
        min_drawing_change: Change below which there is no new drawing.
        noise: The mean difference that noise and 0.3 px of error in the motion may leave in a tile.
        min_texture: Mean gradient of a tile above the flattest quarter, levels/px; flatter tiles show no motion.
        min_motion: Motion below which a tile rests, px.
        reach: Largest motion on each axis, px.
        bin_size: Resolution of the histogram of motions, px.
        max_velocities: Velocities that are considered.
        min_votes: Fraction of the textured tiles that share a velocity.
        max_drift: Deviation of a layer from the background's line of motion, px per frame.
        drift_per_speed: Further deviation per px of speed while the camera accelerates.
        max_layer_pace: Speed of a layer relative to the background's.
        max_eased_pace: Speed of the background after the camera accelerated, relative to that before.
        tile_change: Levels beyond noise by which a tile has changed.
        max_remainder: Fraction of a tile's change that is left if it moves with the pan.
        border_part: The border is one tile of this many on the left, right and top.
        min_border: Fraction of all tiles that are border tiles and change.
        min_border_moving: Fraction of those that move with the pan.
        min_border_moving_on: Fraction of those with the background's motion that keep it in the next transition.
    """

    max_repeats: int = 3
    max_repeat_change: float = 0.95
    unexplained: float = 0.15
    min_pan_change: float = 0.005
    min_drawing_change: float = 0.02
    noise: NoiseModel = _NOISE
    min_texture: float = 2.0
    min_motion: float = 0.2
    reach: int = 24
    bin_size: float = 0.125
    max_velocities: int = 3
    min_votes: float = 0.02
    max_drift: float = 0.3
    drift_per_speed: float = 0.1
    max_layer_pace: float = 2.0
    max_eased_pace: float = 4.0
    tile_change: float = 1.0
    max_remainder: float = 0.5
    border_part: int = 6
    min_border: float = 0.01
    min_border_moving: float = 0.6
    min_border_moving_on: float = 0.15


PAN_LIMITS = PanLimits()


def count_pan_repeats(
    signatures: Sequence[FrameSignature], numbers: Sequence[int], counts: Sequence[int], limits: PanLimits = PAN_LIMITS
) -> int:
    """Count the frames after the first that a pan alone makes before a new drawing appears.

    Args:
        signatures: Of frames in order, all of one size, at least two.
        numbers: The numbers of these frames, increasing.
        counts: The counts to try, in order, each at most two less than the number of signatures.
        limits: What counts as a pan.

    Returns:
        One of `counts`, or 0 if none fits.
    """
    images = [_halved(signature.fine_gray) for signature in signatures]
    transitions = [
        _Transition(*pair, later - earlier, limits)
        for pair, (earlier, later) in zip(pairwise(images), pairwise(numbers), strict=True)
    ]
    first = transitions[0]
    border, change = first.changed_border(), first.unexplained([])
    if border.sum() <= limits.min_border * border.size or change < limits.min_pan_change:
        return 0
    velocities = first.common_velocities()
    max_unexplained = limits.unexplained * change
    for background in velocities:
        layers = [v for v in velocities if _follows(v, background, limits)]
        moving = np.logical_or.reduce([first.moving_with(layer) for layer in layers]) & border
        if moving.sum() <= limits.min_border_moving * border.sum() or first.unexplained(layers) > max_unexplained:
            continue
        for count in counts:
            remainder = max(transition.unexplained(layers) for transition in transitions[:count])
            new = transitions[count]
            if remainder <= max_unexplained and _is_drawn_anew(first, new, background, layers, remainder):
                return count
    return 0


def _halved(gray: Gray) -> Gray:
    """Halve a large image; motion is still found to a tenth of a pixel."""
    return np.asarray(cv2.pyrDown(gray), np.uint8) if min(gray.shape) >= 2 * _MIN_SIDE else gray


def _is_drawn_anew(
    first: _Transition, new: _Transition, background: Velocity, layers: Sequence[Velocity], remainder: float
) -> bool:
    """Return whether `new` shows a new drawing while the background moves on as in `first`.

    `remainder` is the change that the velocities of the background and its layers leave unexplained before `new`.
    """
    limits = first.limits
    moving = first.moving_with(background) & first.changed_border()
    if (moving & new.moving_with(background)).sum() <= limits.min_border_moving_on * moving.sum():
        return False
    # A camera that accelerates leaves nothing unexplained once its new velocity is known.
    eased = [v for v in new.common_velocities() if _follows(v, background, limits, eased=True)]
    return new.unexplained([*layers, *eased]) > max(limits.min_drawing_change, remainder / limits.unexplained)


def _follows(velocity: Velocity, background: Velocity, limits: PanLimits, *, eased: bool = False) -> bool:
    """Return whether a velocity is that of the background or a layer; if `eased`, of an accelerated background."""
    speed = math.hypot(*background)
    x, y = background[0] / speed, background[1] / speed
    pace = (velocity[0] * x + velocity[1] * y) / speed
    drift = abs(velocity[1] * x - velocity[0] * y)
    max_drift = limits.max_drift + (limits.drift_per_speed * pace * speed if eased else 0)
    return drift < max_drift and 0 <= pace <= (limits.max_eased_pace if eased else limits.max_layer_pace)


@dataclass(frozen=True, slots=True, eq=False)
class _Transition:
    """The change from one gray image to another, `frames` later."""

    earlier: Gray
    later: Gray
    frames: int
    limits: PanLimits

    def unexplained(self, velocities: Sequence[Velocity]) -> float:
        """Measure the change that neither rest nor motion by one of the velocities explains, levels."""
        difference = np.asarray(cv2.absdiff(self.earlier, self.later))
        for velocity in velocities:
            difference = np.asarray(cv2.min(difference, self._difference_after(velocity)))
        tiles = tile_means(difference)
        beyond_noise = tiles - self.limits.noise.tolerance(tiles, tile_means(image_gradient(self.later)))
        return float(np.maximum(beyond_noise, 0).mean())

    def moving_with(self, velocity: Velocity) -> Mask:
        """Find the tiles that change, and less so after motion by a velocity."""
        changed, change, noise = self._changed_tiles()
        remainder = tile_means(self._difference_after(velocity)) - noise
        return changed & (remainder < self.limits.max_remainder * change)

    def changed_border(self) -> Mask:
        """Find the tiles along the border that change; without the lower border, where figures stand."""
        changed = self._changed_tiles()[0]
        height, width = changed.shape
        rows, columns = -(-height // self.limits.border_part), -(-width // self.limits.border_part)
        changed[rows:, columns : width - columns] = False
        return changed

    def common_velocities(self) -> list[Velocity]:
        """Find the velocities that most tiles share, the commonest first, without rest."""
        limits = self.limits
        tiles = self._tile_motion()
        votes = self._votes(tiles)
        velocities: list[Velocity] = []
        for _ in range(limits.max_velocities):
            row, column = (int(i) for i in np.unravel_index(int(votes.argmax()), votes.shape))
            if votes[row, column] < max(1.0, limits.min_votes * len(tiles)):
                break
            peak = (column * limits.bin_size - limits.reach, row * limits.bin_size - limits.reach)
            near = np.hypot(*(tiles - peak).T) < 2 * limits.bin_size
            # Votes are blurred, so the peak may lie between tiles.
            x, y = np.median(tiles[near], axis=0) if near.any() else (0.0, 0.0)
            if np.hypot(x, y) > limits.min_motion:
                velocities.append((float(x) / self.frames, float(y) / self.frames))
            votes[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = 0
        return velocities

    def _tile_motion(self) -> Floats:
        """Estimate the motion of textured tiles, float32 (n, 2), x first, px; edges count most."""
        flow = create_dis(DisSettings("ultrafast"))(self.earlier, self.later, None)
        weights = image_gradient(self.earlier) + np.float32(1e-3)
        texture = tile_means(weights)
        motion = np.stack([tile_means(flow[..., i] * weights) / texture for i in (0, 1)], axis=2)
        return np.asarray(motion[texture > self.limits.min_texture + np.quantile(texture, 0.25)])

    def _votes(self, tiles: Floats) -> Floats:
        """Count the moving tiles by motion: float32 (y, x) over [-reach, reach], summed over 3x3 bins."""
        limits = self.limits
        bins = np.rint((tiles + limits.reach) / limits.bin_size).astype(np.int64)
        side = round(2 * limits.reach / limits.bin_size) + 1
        moving = np.hypot(tiles[:, 0], tiles[:, 1]) > limits.min_motion
        bins = bins[moving & ((bins >= 0) & (bins < side)).all(axis=1)]
        counts = np.bincount(bins[:, 1] * side + bins[:, 0], minlength=side * side).reshape(side, side)
        return np.asarray(cv2.boxFilter(counts.astype(np.float32), -1, (3, 3), normalize=False))

    def _changed_tiles(self) -> tuple[Mask, Floats, float]:
        """Find the tiles that change by more than noise, the change of all tiles beyond it, and the noise, levels."""
        difference = tile_means(cv2.absdiff(self.earlier, self.later))
        noise = self.limits.noise.estimate(difference, tile_means(image_gradient(self.later)))
        return difference - noise > self.limits.tile_change + noise, difference - noise, noise

    def _difference_after(self, velocity: Velocity) -> Gray:
        """Compare the later image with the earlier one moved by a velocity; 0 where the border has moved in."""
        height, width = self.earlier.shape
        x, y = velocity[0] * self.frames, velocity[1] * self.frames
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        moved = cv2.warpAffine(self.earlier, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        difference = np.asarray(cv2.absdiff(moved, self.later), np.uint8)
        columns, rows = math.ceil(abs(x)), math.ceil(abs(y))
        difference[:, slice(0, columns) if x > 0 else slice(width - columns, width)] = 0
        difference[slice(0, rows) if y > 0 else slice(height - rows, height)] = 0
        return difference
