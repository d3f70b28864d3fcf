"""What happens to drawn frames on their way to us: gamma, compression, film grain."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.data.synthetic.rng import Bools, Floats, Ints, SceneRng

_BLOCK = 8
GRAIN_SIDE = 512
# ITU-T T.81, tables K.1 and K.2
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, *[99] * 32,
)  # fmt: skip
# JFIF: RGB → YCbCr, without its offset
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def grain_tile(seed: int) -> Tensor:
    """Film grain of mean 0 and deviation 1: (GRAIN_SIDE, GRAIN_SIDE), a little coarser than a pixel, wraps round."""
    white = np.random.default_rng((seed, 2)).standard_normal((GRAIN_SIDE, GRAIN_SIDE))
    for axis in (0, 1):
        white = np.roll(white, 1, axis) * 0.3 + white + np.roll(white, -1, axis) * 0.3
    return torch.from_numpy((white / white.std()).astype(np.float32))


def grade(frames: list[Tensor], dice: SceneRng) -> list[Tensor]:
    """Gamma and contrast of some scenes, the same for all of a scene's frames (N, 3, H, W)."""
    chosen = dice.chance(0.35)
    gamma = np.where(chosen, dice.log_uniform(0.7, 1.4), 1.0)
    low = np.where(chosen, dice.uniform(0, 0.08), 0.0)
    high = np.where(chosen, dice.uniform(0.9, 1), 1.0)
    rows = np.nonzero(chosen)[0]
    if not len(rows):
        return frames
    index = torch.from_numpy(rows).to(frames[0].device)
    curve, black, white = (_column(values[rows], frames[0]) for values in (gamma, low, high))
    return [f.index_copy(0, index, black + (white - black) * f[index] ** curve) for f in frames]


def degrade(frames: list[Tensor], dice: SceneRng, grain: Tensor) -> list[Tensor]:
    """Frames 0 and 1 (N, 3, H, W) as they come out of a video: some compressed, some grainy; each frame by itself."""
    compressed, coarse, flat = dice.chance(0.25), dice.log_uniform(0.15, 1.4), dice.chance(0.5)
    grainy, strength = dice.chance(0.15), dice.log_uniform(0.004, 0.02)
    done = []
    for frame in frames:
        corner = dice.below(_BLOCK, 2)
        rows = np.nonzero(compressed)[0]
        if len(rows):
            index = torch.from_numpy(rows).to(frame.device)
            frame = frame.index_copy(0, index, compress(frame[index], coarse[rows], flat[rows], corner[rows]))
        start = dice.below(GRAIN_SIDE, 2)
        rows = np.nonzero(grainy)[0]
        if len(rows):
            index = torch.from_numpy(rows).to(frame.device)
            noise = _grain(grain, start[rows], frame.shape[-2:]) * _column(strength[rows], frame)
            frame = frame.index_copy(0, index, (frame[index] + noise).clamp_(0, 1))
        done.append(frame)
    return done


def compress(frames: Tensor, coarse: Floats, flat: Bools, corner: Ints) -> Tensor:
    """Quantise the cosine transform of 8x8 blocks, color at half size, as JPEG and H.264 do.

    frames: (N, 3, H, W) in [0, 1]. coarse: (N,), factor on the steps: 1 is JPEG quality 50. flat: (N,), all frequencies
    alike, as H.264 has them. corner: (N, 2), how far blocks are shifted to the right and down, px.
    """
    device, (height, width) = frames.device, frames.shape[-2:]
    ycc = torch.tensor(_YCC, device=device)
    pads = (2 * _BLOCK, 2 * _BLOCK + -width % 16, 2 * _BLOCK, 2 * _BLOCK + -height % 16)
    padded = F.pad(frames - 0.5, pads, mode="replicate")
    padded = torch.stack([f.roll((int(y), int(x)), (1, 2)) for f, (x, y) in zip(padded, corner, strict=True)])
    planes = torch.einsum("ij,njhw->nihw", ycc, padded)
    steps = torch.tensor([_LUMA, _CHROMA], device=device).reshape(2, 1, _BLOCK, _BLOCK) / 255
    even = torch.full_like(steps, 22 / 255)
    chosen = torch.where(torch.from_numpy(flat).to(device)[:, None, None, None, None], even, steps)
    chosen = chosen * _column(coarse, frames)[..., None]
    luma = _quantised(planes[:, :1], chosen[:, 0])
    chroma = _quantised(F.avg_pool2d(planes[:, 1:], 2), chosen[:, 1])
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    back = torch.einsum("ij,njhw->nihw", torch.linalg.inv(ycc), torch.cat([luma, chroma], 1))
    back = torch.stack([f.roll((-int(y), -int(x)), (1, 2)) for f, (x, y) in zip(back, corner, strict=True)])
    inner = slice(2 * _BLOCK, 2 * _BLOCK + height), slice(2 * _BLOCK, 2 * _BLOCK + width)
    return (back[:, :, inner[0], inner[1]] + 0.5).clamp_(0, 1)


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Planes (N, C, H, W), sides multiples of 8, with their blocks' transform rounded to steps (N, 1, 8, 8)."""
    count, channels, height, width = planes.shape
    k = torch.arange(_BLOCK, device=planes.device, dtype=torch.float32)
    basis = torch.cos(math.pi / _BLOCK * k[:, None] * (k + 0.5)) / 2
    basis[0] /= math.sqrt(2)
    blocks = planes.reshape(count, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4)
    grid = steps[:, :, None, None]
    coefficients = torch.round(basis @ blocks @ basis.T / grid) * grid
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(planes.shape)


def _grain(tile: Tensor, start: Ints, size: tuple[int, ...]) -> Tensor:
    """Segments (N, 1, H, W) of the tile."""
    y = (torch.arange(size[0])[None] + torch.from_numpy(start[:, :1])) % GRAIN_SIDE
    x = (torch.arange(size[1])[None] + torch.from_numpy(start[:, 1:])) % GRAIN_SIDE
    return tile[y.to(tile.device)[:, :, None], x.to(tile.device)[:, None]][:, None]


def _column(values: Floats, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device)[:, None, None, None]
