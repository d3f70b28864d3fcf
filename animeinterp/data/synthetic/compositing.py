"""Layers of flat art: drawn at a time, and where each of their points goes from one time to another, exactly.

A layer is a square texture, [-1, 1] x [-1, 1], x first, y down, that is placed in the frame at the times 0, t and 1.
The frame's point p (px, x first, the first pixel's center at (0, 0)) shows the texture's point

    u = q + D(q),  q = A⁻¹ p,  D(q) = Σ amplitude · sin(frequency · q + phase),

with an affine map A and amplitudes that differ from time to time. Drawing needs this direction alone. To follow a
point, u is found at its own time, q at the other by fixed-point steps (D is a contraction), then p = A q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.data.synthetic.motions import inverse
from animeinterp.data.synthetic.rng import Floats
from animeinterp.data.synthetic.scene_spec import SceneSpec

_STEPS = 12  # of the inversion: a field of steepness 0.4 leaves less than 1e-4 of the first error
_SHOWN = 0.5  # alpha from which a layer is what is seen at a pixel

Window = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """The layers of one rank, at most one per scene.

    rows: their rows in the table. scenes: (K,) int64. waving: some are deformed. windows: what of the frame they can
    cover at the three times.
    """

    rows: slice
    scenes: Tensor
    waving: bool
    windows: tuple[Window, Window, Window]


class Layers(NamedTuple):
    """N + M layers of N scenes, the N backgrounds first, then by rank.

    backdrop: (N, 3, B, B), continued by reflection. textures: (M, 4, S, S), premultiplied RGBA in [0, 1].
    reach: (M,), share of the texture's square that [-1, 1] fills. ranks: from back to front.
    row_of: (N, 1 + ranks), the row of each label. to_frame, to_texture: (3, N + M, 2, 3).
    amplitude: (3, N + M, K, 2), frequency: (N + M, K, 2), phase: (N + M, K). opacity: (3, N + M) in [0, 1].
    waving: some layer is deformed.
    """

    backdrop: Tensor
    textures: Tensor
    reach: Tensor
    ranks: tuple[Rank, ...]
    row_of: Tensor
    to_frame: Tensor
    to_texture: Tensor
    amplitude: Tensor
    frequency: Tensor
    phase: Tensor
    opacity: Tensor
    waving: bool


def layers_of(cast: SceneSpec, backdrop: Tensor, textures: Tensor, size: tuple[int, int]) -> Layers:
    """Make the table of a cast whose layers have been painted. size: height, width of the frame."""
    device = backdrop.device
    count = len(backdrop)
    last = int(cast.rank.max(initial=0))
    row_of = np.zeros((count, last + 1), np.int64)
    row_of[cast.scene, cast.rank] = np.arange(len(cast.rank))
    swing = np.abs(cast.waves.amplitude).sum((0, 2, 3)) > 0
    ends = np.searchsorted(cast.rank, np.arange(last + 2))
    ranks = []
    for rank in range(1, last + 1):
        rows = slice(int(ends[rank]), int(ends[rank + 1]))
        first, middle, final = (_window(cast, time, rows, size) for time in range(3))
        scenes = torch.from_numpy(cast.scene[rows]).to(device)
        ranks.append(Rank(rows, scenes, bool(swing[rows].any()), (first, middle, final)))

    def tensor(values: Floats) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device)

    return Layers(
        backdrop, textures, tensor(cast.looks.reach), tuple(ranks), torch.from_numpy(row_of).to(device),
        tensor(cast.to_frame), tensor(inverse(cast.to_frame)), tensor(cast.waves.amplitude),
        tensor(cast.waves.frequency), tensor(cast.waves.phase), tensor(cast.opacity), bool(swing.any()),
    )  # fmt: skip


def pixel_grid(window: Window, device: torch.device) -> Tensor:
    """Pixel centers (2, h, w), x first, of a window."""
    top, bottom, left, right = window
    y, x = torch.meshgrid(
        torch.arange(top, bottom, dtype=torch.float32, device=device),
        torch.arange(left, right, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y])


def draw(layers: Layers, time: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The frames at a time (0, 1, 2 for 0, t, 1): (N, 3, H, W) in [0, 1], and labels int64 (N, H, W).

    A pixel's label is the rank of the front-most layer whose alpha there is 0.5 or more.
    """
    device, count = layers.backdrop.device, len(layers.backdrop)
    grid = pixel_grid((0, size[0], 0, size[1]), device)
    ground = _texture_points(layers, time, slice(0, count), grid.expand(count, -1, -1, -1), layers.waving)
    frame = _sample(layers.backdrop, ground, "reflection")
    label = torch.zeros(count, *size, dtype=torch.int64, device=device)
    for number, rank in enumerate(layers.ranks, 1):
        top, bottom, left, right = window = rank.windows[time]
        if top >= bottom or left >= right:
            continue
        grid = pixel_grid(window, device).expand(len(rank.scenes), -1, -1, -1)
        painted = _layer(layers, time, rank, grid, slice(0, 4))
        alpha = painted[:, 3:]
        part = frame[rank.scenes, :, top:bottom, left:right]
        frame[rank.scenes, :, top:bottom, left:right] = painted[:, :3] + (1 - alpha) * part
        behind = label[rank.scenes, top:bottom, left:right]
        label[rank.scenes, top:bottom, left:right] = torch.where(alpha[:, 0] >= _SHOWN, number, behind)
    return frame.clamp_(0, 1), label


def follow(layers: Layers, label: Tensor, start: int, ends: tuple[int, ...]) -> list[Tensor]:
    """Where the points seen at the pixel centers at time `start` are at other times: (N, 2, H, W) px each.

    label: (N, H, W), whose points they are, as `draw` gives it.
    """
    rows = torch.gather(layers.row_of, 1, label.flatten(1)).flatten()
    grid = pixel_grid((0, label.shape[1], 0, label.shape[2]), label.device).flatten(1).repeat(1, len(label))
    q = _apply(layers.to_texture[start], rows, grid)
    moving = torch.nonzero((layers.amplitude != 0).flatten(2).any(2).any(0)[rows])[:, 0] if layers.waving else None
    if moving is not None:
        own = rows[moving]
        frequency, phase = _columns(layers.frequency, own), _columns(layers.phase, own)
        waves = [_columns(layers.amplitude[time], own) for time in range(3)]
        texture = q[:, moving] + _waves(q[:, moving], waves[start], frequency, phase)
    followed = []
    for end in ends:
        there = q
        if moving is not None:
            found = texture
            for _ in range(_STEPS):
                found = texture - _waves(found, waves[end], frequency, phase)
            there = q.index_copy(1, moving, found)
        points = _apply(layers.to_frame[end], rows, there)
        followed.append(points.reshape(2, *label.shape).transpose(0, 1).contiguous())
    return followed


def hidden(layers: Layers, label: Tensor, points: Tensor, end: int) -> Tensor:
    """Which of the followed points are not seen at time `end`: bool (N, H, W).

    They are outside the frame, their layer is not there, or a layer in front of theirs covers them.
    """
    height, width = label.shape[1:]
    x, y = points[:, 0], points[:, 1]
    gone = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    gone |= absent(layers, label, end)
    for number, rank in enumerate(layers.ranks, 1):
        top, bottom, left, right = rank.windows[end]
        if top >= bottom or left >= right:
            continue
        alpha = _layer(layers, end, rank, points[rank.scenes], slice(3, 4))[:, 0]
        gone[rank.scenes] |= (alpha >= _SHOWN) & (label[rank.scenes] < number)
    return gone


def absent(layers: Layers, label: Tensor, end: int) -> Tensor:
    """Which pixels show a layer that is not there at time `end`: bool (N, H, W)."""
    rows = torch.gather(layers.row_of, 1, label.flatten(1)).reshape(label.shape)
    return layers.opacity[end][rows] < _SHOWN


def _layer(layers: Layers, time: int, rank: Rank, points: Tensor, channels: slice) -> Tensor:
    """Channels of the rank's layers at frame points (K, 2, h, w), opacity applied."""
    grid = _texture_points(layers, time, rank.rows, points, rank.waving)
    count = len(layers.backdrop)
    own = slice(rank.rows.start - count, rank.rows.stop - count)
    painted = _sample(layers.textures[own, channels], grid * layers.reach[own, None, None, None], "zeros")
    return painted * layers.opacity[time, rank.rows, None, None, None]


def _texture_points(layers: Layers, time: int, rows: slice, points: Tensor, waving: bool) -> Tensor:
    """Frame points (K, 2, h, w) → texture points of the same shape."""
    maps = layers.to_texture[time, rows]
    shape = points.shape
    flat = points.flatten(2)
    q = torch.baddbmm(maps[..., 2:], maps[..., :2], flat)
    if waving:
        angle = torch.baddbmm(layers.phase[rows, :, None], layers.frequency[rows], q)
        q = torch.baddbmm(q, layers.amplitude[time, rows].transpose(1, 2), angle.sin_())
    return q.reshape(shape)


def _sample(textures: Tensor, points: Tensor, beyond: str) -> Tensor:
    grid = points.permute(0, 2, 3, 1)
    return F.grid_sample(textures, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


def _apply(maps: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """Each point (2, P) by the affine map (rows, 2, 3) of its row."""
    a, b, c, d, e, f = _columns(maps, rows)
    x, y = points
    return torch.stack([a * x + b * y + c, d * x + e * y + f])


def _columns(table: Tensor, rows: Tensor) -> Tensor:
    """Each point's row of a table (R, ...), as columns (..., P) with the rest flattened."""
    # index_select along contiguous memory: several times as fast on a CPU as table[rows]
    return table.flatten(1).T.contiguous().index_select(1, rows)


def _waves(q: Tensor, amplitude: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
    """D(q) of points (2, P) with their own waves: amplitude and frequency (K · 2, P), phase (K, P)."""
    moved = torch.zeros_like(q)
    for wave in range(len(phase)):
        sine = torch.sin(frequency[2 * wave] * q[0] + frequency[2 * wave + 1] * q[1] + phase[wave])
        moved += amplitude[2 * wave : 2 * wave + 2] * sine
    return moved


def _window(cast: SceneSpec, time: int, rows: slice, size: tuple[int, int]) -> Window:
    """The part of the frame that holds these rows' textures at a time."""
    visible = cast.opacity[time, rows] > 0
    if not visible.any():
        return (0, 0, 0, 0)
    maps = cast.to_frame[time, rows][visible]
    swing = np.abs(cast.waves.amplitude[time, rows][visible]).sum(1)
    corner = 1 + swing.max(1)
    half = np.abs(maps[..., :2]).sum(2) * corner[:, None]
    low, high = (maps[..., 2] - half).min(0), (maps[..., 2] + half).max(0) + 2
    left, top = (int(value) for value in np.clip(np.floor(low) - 1, 0, (size[1], size[0])))
    right, bottom = (int(value) for value in np.clip(np.ceil(high), 0, (size[1], size[0])))
    return (top, bottom, left, right)
