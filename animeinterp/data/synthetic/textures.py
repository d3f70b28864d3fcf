"""The textures of a cast, painted at about the size they have in the frame, so that they do not shimmer."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.assets import SPRITE_SIDE, Art
from animeinterp.data.synthetic.scene_spec import LayerStyles, SceneSpec

_SMALLEST = 3  # how often a sprite is halved at most before it is sampled
_HEAVIER = 3  # px: the window of the minimum that makes lines heavier


def paint_backdrops(cast: SceneSpec, art: Art) -> Tensor:
    """Backgrounds of the cast's N scenes, (N, 3, B, B) in [0, 1]."""
    device = art.backgrounds.device
    pictures = art.backgrounds[torch.from_numpy(cast.backdrop).to(device)].float() / 255
    color = _tensor(cast.backdrop_color, device)
    return (_mixed(color[..., :3], pictures) + color[..., 3:, None]).clamp_(0, 1)


def paint_layers(looks: LayerStyles, art: Art, side: int) -> Tensor:
    """Textures of the M layers, (M, 4, side, side), premultiplied RGBA in [0, 1]."""
    device = art.shapes.device
    textures = torch.zeros(len(looks.art), 4, side, side, device=device)
    for drawn in (False, True):
        rows = np.nonzero(looks.drawn == drawn)[0]
        if not len(rows):
            continue
        own = LayerStyles._make(column[rows] for column in looks)
        points = _points(_tensor(own.reach, device), side)
        painted = _shapes(own, art, points) if drawn else _sprites(own, art, points)
        light = 1 + (_tensor(own.shade, device)[:, None, None] * points).sum(-1)[:, None]
        alpha = painted[:, 3:]
        color = torch.minimum((painted[:, :3] * light).clamp_(min=0), alpha)
        textures[torch.from_numpy(rows).to(device)] = torch.cat([color, alpha], 1)
    return textures


def _points(reach: Tensor, side: int) -> Tensor:
    """Texture points (M, side, side, 2) of the texels; beyond [-1, 1] where the picture leaves a rest of its square."""
    along = (torch.arange(side, device=reach.device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], -1) / reach[:, None, None, None]


def _sprites(looks: LayerStyles, art: Art, points: Tensor) -> Tensor:
    device, side = points.device, points.shape[1]
    painted = torch.empty(len(points), 4, side, side, device=device)
    halvings = np.clip(np.rint(np.log2(SPRITE_SIDE / (side * looks.reach))), 0, _SMALLEST).astype(np.int64)
    for count in np.unique(halvings):
        rows = torch.from_numpy(np.nonzero(halvings == count)[0]).to(device)
        pictures = art.sprites[torch.from_numpy(looks.art[halvings == count]).to(device)].float() / 255
        pictures = F.avg_pool2d(pictures, 2 ** int(count))
        painted[rows] = F.grid_sample(pictures, points[rows], align_corners=False)
    texel = (points[:, 0, 1, 0] - points[:, 0, 0, 0])[:, None, None]
    kept = _kept(_tensor(looks.cut, device), points, texel)
    color, alpha = painted[:, :3], painted[:, 3:]
    thick = torch.from_numpy(np.nonzero(looks.thick)[0]).to(device)
    if len(thick):
        on_white = color[thick] + 1 - alpha[thick]
        darkest = -F.max_pool2d(-on_white, _HEAVIER, 1, _HEAVIER // 2)
        color = color.index_copy(0, thick, (darkest - 1 + alpha[thick]).clamp_(min=0))
    recolor = _tensor(looks.recolor, device)
    color = _mixed(recolor[..., :3], color) + recolor[..., 3:, None] * alpha
    color = torch.minimum(color.clamp_(min=0), alpha)
    return torch.cat([color, alpha], 1) * kept[:, None]


def _kept(cut: Tensor, points: Tensor, texel: Tensor) -> Tensor:
    """Share (M, S, S) of each texel that is on the kept side of the cut or near the joint."""
    cut = cut[:, None, None]
    ahead = (cut[..., :2] * points).sum(-1) - cut[..., 2]
    near = cut[..., 5] - (points - cut[..., 3:5]).norm(dim=-1)
    return (torch.maximum(ahead, near) / texel + 0.5).clamp_(0, 1)


def _shapes(looks: LayerStyles, art: Art, points: Tensor) -> Tensor:
    device = points.device
    bank = art.shapes[torch.from_numpy(looks.art).to(device)]
    texel = (points[:, 0, 1, 0] - points[:, 0, 0, 0])[:, None, None, None]
    light = _tensor(looks.light, device)[:, None, None]
    distance, shifted = (
        F.grid_sample(bank, at, padding_mode="border", align_corners=False) for at in (points, points + light)
    )
    alpha = (0.5 - distance / texel).clamp_(0, 1) * (points.abs().amax(-1) < 1)[:, None]
    lit = (0.5 - shifted / texel).clamp_(0, 1)
    width = _tensor(looks.line_width, device)[:, None, None, None]
    # a shape without outline has width 0: its ramp ends where alpha does
    line = ((distance + width) / texel + 0.5).clamp_(0, 1) * (width > 0)
    tone = _tensor(looks.shadow, device)[:, None, None, None]
    fill = _tensor(looks.fill, device)[..., None, None] * (tone + (1 - tone) * lit)
    color = fill + line * (_tensor(looks.line, device)[..., None, None] - fill)
    return torch.cat([color * alpha, alpha], 1)


def _mixed(matrix: Tensor, colors: Tensor) -> Tensor:
    """Colors (M, 3, H, W) by matrices (M, 3, 3)."""
    return torch.bmm(matrix, colors.flatten(2)).reshape(colors.shape)


def _tensor(values: NDArray[np.float64], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)
