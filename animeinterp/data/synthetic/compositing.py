"""Render layers of flat art at three times, and follow their points from one time to another, exactly.

A layer is a square texture, [-1, 1] x [-1, 1], x first, y down, that is placed in the frame at the times 0, t and 1.
The frame's point p (px, x first, with the center of the first pixel at (0, 0)) shows the texture's point

    u = q + D(q),  q = A⁻¹ p,  D(q) = Σ amplitude · sin(frequency · q + phase),

with an affine map A and amplitudes that depend on the time. Rendering needs only this direction. To follow a point, u
is computed at its own time, q at the other time by fixed-point iteration (D is a contraction), then p = A q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.data.synthetic.motions import invert
from animeinterp.data.synthetic.scene_spec import SceneSpec
from animeinterp.data.synthetic.textures import to_tensor
from animeinterp.net.ops.geometry import pixel_grid

_ITERATIONS = 12  # of the inversion: with a steepness of 0.4, less than 1e-4 of the initial error remains
_MIN_ALPHA = 0.5  # from this alpha on, a layer is the visible one at a pixel

Window = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """The layers of one rank (depth), at most one per scene.

    Attributes:
        rows: Rows of the layers in the tables of `Layers`.
        scenes: (K,) int64, their scenes.
        deformed: Whether some of them are deformed by waves.
        windows: Part of the frame that they can cover, at each of the three times.
    """

    rows: slice
    scenes: Tensor
    deformed: bool
    windows: tuple[Window, Window, Window]


class Layers(NamedTuple):
    """N + M layers of N scenes: the N backgrounds first, then the others by rank.

    Attributes:
        background: (N, 3, B, B), continued by reflection.
        textures: (M, 4, S, S), premultiplied RGBA in [0, 1].
        extent: (M,), fraction of the texture's square that [-1, 1] fills.
        ranks: From back to front.
        row_of: (N, 1 + ranks), the row of each scene's layer of each rank.
        to_frame: (3, N + M, 2, 3), maps from texture to frame.
        to_texture: (3, N + M, 2, 3), their inverses.
        amplitude: (3, N + M, K, 2), see `animeinterp.data.synthetic.motions.Waves`.
        frequency: (N + M, K, 2).
        phase: (N + M, K).
        opacity: (3, N + M) in [0, 1].
        deformed: Whether some layer is deformed by waves.
    """

    background: Tensor
    textures: Tensor
    extent: Tensor
    ranks: tuple[Rank, ...]
    row_of: Tensor
    to_frame: Tensor
    to_texture: Tensor
    amplitude: Tensor
    frequency: Tensor
    phase: Tensor
    opacity: Tensor
    deformed: bool


def build_layers(spec: SceneSpec, background: Tensor, textures: Tensor, size: tuple[int, int]) -> Layers:
    """Build the layers of scenes whose textures have been painted, for frames of size (height, width)."""
    device = background.device
    last = int(spec.rank.max(initial=0))
    row_of = np.zeros((len(background), last + 1), np.int64)
    row_of[spec.scene, spec.rank] = np.arange(len(spec.rank))
    deformed = np.abs(spec.waves.amplitude).sum((0, 2, 3)) > 0
    ends = np.searchsorted(spec.rank, np.arange(last + 2))
    ranks = []
    for rank in range(1, last + 1):
        rows = slice(int(ends[rank]), int(ends[rank + 1]))
        first, middle, final = (_window(spec, time, rows, size) for time in range(3))
        scenes = torch.from_numpy(spec.scene[rows]).to(device)
        ranks.append(Rank(rows, scenes, bool(deformed[rows].any()), (first, middle, final)))

    return Layers(
        background=background, textures=textures, extent=to_tensor(spec.styles.extent, device),
        ranks=tuple(ranks), row_of=torch.from_numpy(row_of).to(device),
        to_frame=to_tensor(spec.to_frame, device), to_texture=to_tensor(invert(spec.to_frame), device),
        amplitude=to_tensor(spec.waves.amplitude, device), frequency=to_tensor(spec.waves.frequency, device),
        phase=to_tensor(spec.waves.phase, device), opacity=to_tensor(spec.opacity, device),
        deformed=bool(deformed.any()),
    )  # fmt: skip


def render(layers: Layers, time: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Render the frames at one time.

    Args:
        layers: Layers of N scenes.
        time: 0, 1 or 2 for the times 0, t and 1.
        size: Height and width of the frames, px.

    Returns:
        Frames (N, 3, H, W) in [0, 1], and labels int64 (N, H, W): the rank of the front-most layer with alpha 0.5 or
        more.
    """
    count = len(layers.background)
    label = torch.zeros(count, *size, dtype=torch.int64, device=layers.background.device)
    grid = pixel_grid(label).float()
    points = _texture_points(layers, time, slice(0, count), grid.expand(count, -1, -1, -1), layers.deformed)
    frame = _sample(layers.background, points, "reflection")
    for number, rank in enumerate(layers.ranks, 1):
        top, bottom, left, right = rank.windows[time]
        if top >= bottom or left >= right:
            continue
        # Contiguous, so that flattening the expanded grid does not copy it for every scene.
        window = grid[..., top:bottom, left:right].contiguous().expand(len(rank.scenes), -1, -1, -1)
        layer = _sample_layers(layers, time, rank, window, slice(0, 4))
        alpha = layer[:, 3:]
        behind = frame[rank.scenes, :, top:bottom, left:right]
        frame[rank.scenes, :, top:bottom, left:right] = layer[:, :3] + (1 - alpha) * behind
        previous = label[rank.scenes, top:bottom, left:right]
        label[rank.scenes, top:bottom, left:right] = torch.where(alpha[:, 0] >= _MIN_ALPHA, number, previous)
    return frame.clamp_(0, 1), label


def follow_points(layers: Layers, label: Tensor, start: int, ends: tuple[int, ...]) -> list[Tensor]:
    """Follow the points that are visible at the pixel centers from one time to others.

    Args:
        layers: Layers of N scenes.
        label: Labels at time `start`, (N, H, W), as `render` returns them.
        start: 0, 1 or 2 for the times 0, t and 1.
        ends: The other times.

    Returns:
        Positions at each of `ends`, (N, 2, H, W) px.
    """
    rows = torch.gather(layers.row_of, 1, label.flatten(1)).flatten()
    grid = pixel_grid(label)[0].float().flatten(1).repeat(1, len(label))
    q = _apply_maps(layers.to_texture[start], rows, grid)
    deformed = torch.nonzero((layers.amplitude != 0).flatten(2).any(2).any(0)[rows])[:, 0] if layers.deformed else None
    if deformed is not None:
        own_rows = rows[deformed]
        frequency, phase = _rows_as_columns(layers.frequency, own_rows), _rows_as_columns(layers.phase, own_rows)
        amplitude = [_rows_as_columns(layers.amplitude[time], own_rows) for time in range(3)]
        u = q[:, deformed] + _displacement(q[:, deformed], amplitude[start], frequency, phase)
    positions = []
    for end in ends:
        q_end = q
        if deformed is not None:
            solution = u
            for _ in range(_ITERATIONS):
                solution = u - _displacement(solution, amplitude[end], frequency, phase)
            q_end = q.index_copy(1, deformed, solution)
        points = _apply_maps(layers.to_frame[end], rows, q_end)
        positions.append(points.reshape(2, *label.shape).transpose(0, 1).contiguous())
    return positions


def find_hidden(layers: Layers, label: Tensor, points: Tensor, end: int) -> Tensor:
    """Find the followed points that are not visible at time `end`: bool (N, H, W).

    They are outside the frame, their layer is absent, or a layer in front of theirs covers them.
    """
    height, width = label.shape[1:]
    x, y = points[:, 0], points[:, 1]
    hidden = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    hidden |= find_absent(layers, label, end)
    for number, rank in enumerate(layers.ranks, 1):
        top, bottom, left, right = rank.windows[end]
        if top >= bottom or left >= right:
            continue
        alpha = _sample_layers(layers, end, rank, points[rank.scenes], slice(3, 4))[:, 0]
        hidden[rank.scenes] |= (alpha >= _MIN_ALPHA) & (label[rank.scenes] < number)
    return hidden


def find_absent(layers: Layers, label: Tensor, end: int) -> Tensor:
    """Find the pixels whose layer is absent at time `end`: bool (N, H, W)."""
    rows = torch.gather(layers.row_of, 1, label.flatten(1)).reshape(label.shape)
    return layers.opacity[end][rows] < _MIN_ALPHA


def _sample_layers(layers: Layers, time: int, rank: Rank, points: Tensor, channels: slice) -> Tensor:
    """Sample channels of the rank's layers at frame points (K, 2, h, w), with opacity applied."""
    grid = _texture_points(layers, time, rank.rows, points, rank.deformed)
    count = len(layers.background)
    own = slice(rank.rows.start - count, rank.rows.stop - count)
    colors = _sample(layers.textures[own, channels], grid * layers.extent[own, None, None, None], "zeros")
    return colors * layers.opacity[time, rank.rows, None, None, None]


def _texture_points(layers: Layers, time: int, rows: slice, points: Tensor, deformed: bool) -> Tensor:
    """Convert frame points (K, 2, h, w) to texture points of the same shape."""
    maps = layers.to_texture[time, rows]
    q = torch.baddbmm(maps[..., 2:], maps[..., :2], points.flatten(2))
    if deformed:
        angle = torch.baddbmm(layers.phase[rows, :, None], layers.frequency[rows], q)
        q = torch.baddbmm(q, layers.amplitude[time, rows].transpose(1, 2), angle.sin_())
    return q.reshape(points.shape)


def _sample(textures: Tensor, points: Tensor, padding: str) -> Tensor:
    grid = points.permute(0, 2, 3, 1)
    return F.grid_sample(textures, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _apply_maps(maps: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """Apply to each point (2, P) the affine map of its row, maps (R, 2, 3)."""
    a, b, c, d, e, f = _rows_as_columns(maps, rows)
    x, y = points
    return torch.stack([a * x + b * y + c, d * x + e * y + f])


def _rows_as_columns(table: Tensor, rows: Tensor) -> Tensor:
    """Select each point's row of a table (R, ...), as columns (..., P) with the rest flattened."""
    # index_select along contiguous memory is several times as fast on a CPU as table[rows].
    return table.flatten(1).T.contiguous().index_select(1, rows)


def _displacement(q: Tensor, amplitude: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
    """Compute D(q) of points (2, P), each with its waves: amplitude and frequency (K · 2, P), phase (K, P)."""
    total = torch.zeros_like(q)
    for wave in range(len(phase)):
        sine = torch.sin(frequency[2 * wave] * q[0] + frequency[2 * wave + 1] * q[1] + phase[wave])
        total += amplitude[2 * wave : 2 * wave + 2] * sine
    return total


def _window(spec: SceneSpec, time: int, rows: slice, size: tuple[int, int]) -> Window:
    """Compute the part of the frame that contains the textures of these rows at a time."""
    visible = spec.opacity[time, rows] > 0
    if not visible.any():
        return (0, 0, 0, 0)
    maps = spec.to_frame[time, rows][visible]
    max_displacement = np.abs(spec.waves.amplitude[time, rows][visible]).sum(1)
    corner = 1 + max_displacement.max(1)
    half = np.abs(maps[..., :2]).sum(2) * corner[:, None]
    low, high = (maps[..., 2] - half).min(0), (maps[..., 2] + half).max(0) + 2
    left, top = (int(value) for value in np.clip(np.floor(low) - 1, 0, (size[1], size[0])))
    right, bottom = (int(value) for value in np.clip(np.ceil(high), 0, (size[1], size[0])))
    return (top, bottom, left, right)
