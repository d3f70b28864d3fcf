"""Degradations of rendered frames as in videos: gamma and contrast, compression, film grain."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.data.synthetic.rng import Bools, Floats, Ints, SceneRng
from animeinterp.data.synthetic.textures import to_tensor

_BLOCK = 8
GRAIN_SIDE = 512
# ITU-T T.81, tables K.1 and K.2
_LUMA_STEPS = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA_STEPS = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, *[99] * 32,
)  # fmt: skip
_FLAT_STEP = 22  # of 255, for all frequencies
# JFIF: RGB → YCbCr, without its offset
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def grain_tile(seed: int) -> Tensor:
    """Make film grain, a little coarser than a pixel, with mean 0 and deviation 1.

    Returns:
        float32 (GRAIN_SIDE, GRAIN_SIDE), periodic.
    """
    white = np.random.default_rng((seed, 2)).standard_normal((GRAIN_SIDE, GRAIN_SIDE))
    for axis in (0, 1):
        white = np.roll(white, 1, axis) * 0.3 + white + np.roll(white, -1, axis) * 0.3
    return torch.from_numpy((white / white.std()).astype(np.float32))


def grade(frames: list[Tensor], rng: SceneRng) -> list[Tensor]:
    """Change gamma and contrast of some scenes, equally in all frames (N, 3, H, W) of a scene."""
    graded = rng.chance(0.35)
    gamma = np.where(graded, rng.log_uniform(0.7, 1.4), 1.0)
    low = np.where(graded, rng.uniform(0, 0.08), 0.0)
    high = np.where(graded, rng.uniform(0.9, 1), 1.0)
    rows = np.nonzero(graded)[0]
    if not len(rows):
        return frames
    index = torch.from_numpy(rows).to(frames[0].device)
    curve, black, white = (_column(values[rows], frames[0]) for values in (gamma, low, high))
    return [f.index_copy(0, index, black + (white - black) * f[index] ** curve) for f in frames]


def degrade(frames: list[Tensor], rng: SceneRng, grain: Tensor) -> list[Tensor]:
    """Compress some scenes and add grain to some.

    Args:
        frames: Frames 0 and 1, (N, 3, H, W) in [0, 1]; block positions and grain differ between them.
        rng: Random numbers.
        grain: Result of `grain_tile`.
    """
    compressed, coarseness, flat = rng.chance(0.25), rng.log_uniform(0.15, 1.4), rng.chance(0.5)
    grainy, strength = rng.chance(0.15), rng.log_uniform(0.004, 0.02)
    degraded = []
    for frame in frames:
        corner = rng.integers(_BLOCK, 2)
        rows = np.nonzero(compressed)[0]
        if len(rows):
            index = torch.from_numpy(rows).to(frame.device)
            frame = frame.index_copy(0, index, compress(frame[index], coarseness[rows], flat[rows], corner[rows]))
        start = rng.integers(GRAIN_SIDE, 2)
        rows = np.nonzero(grainy)[0]
        if len(rows):
            index = torch.from_numpy(rows).to(frame.device)
            noise = _crop_grain(grain, start[rows], frame.shape[-2:]) * _column(strength[rows], frame)
            frame = frame.index_copy(0, index, (frame[index] + noise).clamp_(0, 1))
        degraded.append(frame)
    return degraded


def compress(frames: Tensor, coarseness: Floats, flat: Bools, corner: Ints) -> Tensor:
    """Quantize the cosine transform of 8x8 blocks, chroma at half size, as JPEG and H.264 do.

    Args:
        frames: (N, 3, H, W) in [0, 1].
        coarseness: (N,), factor on the quantization steps; 1 is JPEG quality 50.
        flat: (N,), whether all frequencies have the same step, as in H.264.
        corner: (N, 2), shift of the blocks to the right and down, px.
    """
    device, (height, width) = frames.device, frames.shape[-2:]
    ycc = torch.tensor(_YCC, device=device)
    margin = 2 * _BLOCK
    pads = (margin, margin + -width % 16, margin, margin + -height % 16)
    padded = F.pad(frames - 0.5, pads, mode="replicate")
    padded = torch.stack([f.roll((int(y), int(x)), (1, 2)) for f, (x, y) in zip(padded, corner, strict=True)])
    planes = torch.einsum("ij,njhw->nihw", ycc, padded)
    tables = torch.tensor([_LUMA_STEPS, _CHROMA_STEPS], device=device).reshape(2, 1, _BLOCK, _BLOCK) / 255
    even = torch.full_like(tables, _FLAT_STEP / 255)
    steps = torch.where(torch.from_numpy(flat).to(device)[:, None, None, None, None], even, tables)
    steps = steps * _column(coarseness, frames)[..., None]
    luma = _quantize(planes[:, :1], steps[:, 0])
    chroma = _quantize(F.avg_pool2d(planes[:, 1:], 2), steps[:, 1])
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(ycc), torch.cat([luma, chroma], 1))
    rgb = torch.stack([f.roll((-int(y), -int(x)), (1, 2)) for f, (x, y) in zip(rgb, corner, strict=True)])
    return (rgb[:, :, margin : margin + height, margin : margin + width] + 0.5).clamp_(0, 1)


def _quantize(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the blocks' transform of planes (N, C, H, W), sides multiples of 8, to steps (N, 1, 8, 8)."""
    count, channels, height, width = planes.shape
    k = torch.arange(_BLOCK, device=planes.device, dtype=torch.float32)
    basis = torch.cos(math.pi / _BLOCK * k[:, None] * (k + 0.5)) / 2
    basis[0] /= math.sqrt(2)
    blocks = planes.reshape(count, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4)
    grid = steps[:, :, None, None]
    coefficients = torch.round(basis @ blocks @ basis.T / grid) * grid
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(planes.shape)


def _crop_grain(tile: Tensor, start: Ints, size: tuple[int, ...]) -> Tensor:
    """Cut pieces (N, 1, H, W) out of the periodic tile."""
    y = (torch.arange(size[0])[None] + torch.from_numpy(start[:, :1])) % GRAIN_SIDE
    x = (torch.arange(size[1])[None] + torch.from_numpy(start[:, 1:])) % GRAIN_SIDE
    return tile[y.to(tile.device)[:, :, None], x.to(tile.device)[:, None]][:, None]


def _column(values: Floats, like: Tensor) -> Tensor:
    """Convert (N,) to a float32 tensor (N, 1, 1, 1)."""
    return to_tensor(values, like.device)[:, None, None, None]
