"""Textures of a scene's layers, painted at about their size in the frame, so that they do not alias."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.assets import SPRITE_SIDE, Assets
from animeinterp.data.synthetic.scene_spec import LayerStyles, SceneSpec

_MAX_HALVINGS = 3  # of a sprite before it is sampled
_THICKENING = 3  # px, window of the minimum filter that thickens lines


def paint_backgrounds(spec: SceneSpec, assets: Assets) -> Tensor:
    """Paint the backgrounds of N scenes.

    Returns:
        (N, 3, B, B) RGB in [0, 1].
    """
    device = assets.backgrounds.device
    images = assets.backgrounds[torch.from_numpy(spec.background).to(device)].float() / 255
    color = to_tensor(spec.background_color, device)
    return (_transform_colors(color[..., :3], images) + color[..., 3:, None]).clamp_(0, 1)


def paint_layers(styles: LayerStyles, assets: Assets, side: int) -> Tensor:
    """Paint the textures of M layers.

    Returns:
        (M, 4, side, side), premultiplied RGBA in [0, 1].
    """
    device = assets.shapes.device
    textures = torch.zeros(len(styles.image_index), 4, side, side, device=device)
    for is_shape in (False, True):
        rows = np.nonzero(styles.is_shape == is_shape)[0]
        if not len(rows):
            continue
        selected = LayerStyles._make(column[rows] for column in styles)
        points = _texel_points(to_tensor(selected.extent, device), side)
        painted = (_paint_shapes if is_shape else _paint_sprites)(selected, assets, points)
        light = 1 + (to_tensor(selected.shading, device)[:, None, None] * points).sum(-1)[:, None]
        alpha = painted[:, 3:]
        color = torch.minimum((painted[:, :3] * light).clamp_(min=0), alpha)
        textures[torch.from_numpy(rows).to(device)] = torch.cat([color, alpha], 1)
    return textures


def _texel_points(extent: Tensor, side: int) -> Tensor:
    """Texture points (M, side, side, 2) of the texels; outside [-1, 1] where the image leaves its square empty."""
    axis = (torch.arange(side, device=extent.device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1) / extent[:, None, None, None]


def _paint_sprites(styles: LayerStyles, assets: Assets, points: Tensor) -> Tensor:
    device, side = points.device, points.shape[1]
    painted = torch.empty(len(points), 4, side, side, device=device)
    halvings = np.clip(np.rint(np.log2(SPRITE_SIDE / (side * styles.extent))), 0, _MAX_HALVINGS).astype(np.int64)
    for count in np.unique(halvings):
        rows = torch.from_numpy(np.nonzero(halvings == count)[0]).to(device)
        sprites = assets.sprites[torch.from_numpy(styles.image_index[halvings == count]).to(device)].float() / 255
        sprites = F.avg_pool2d(sprites, 2 ** int(count))
        painted[rows] = F.grid_sample(sprites, points[rows], align_corners=False)
    texel = (points[:, 0, 1, 0] - points[:, 0, 0, 0])[:, None, None]
    mask = _cut_mask(to_tensor(styles.cut, device), points, texel)
    color, alpha = painted[:, :3], painted[:, 3:]
    thick = torch.from_numpy(np.nonzero(styles.thick_lines)[0]).to(device)
    if len(thick):
        on_white = color[thick] + 1 - alpha[thick]
        darkest = -F.max_pool2d(-on_white, _THICKENING, 1, _THICKENING // 2)
        color = color.index_copy(0, thick, (darkest - 1 + alpha[thick]).clamp_(min=0))
    recolor = to_tensor(styles.recolor, device)
    color = _transform_colors(recolor[..., :3], color) + recolor[..., 3:, None] * alpha
    color = torch.minimum(color.clamp_(min=0), alpha)
    return torch.cat([color, alpha], 1) * mask[:, None]


def _cut_mask(cut: Tensor, points: Tensor, texel: Tensor) -> Tensor:
    """Compute the fraction (M, S, S) of each texel that is on the kept side of the cut or near the joint."""
    cut = cut[:, None, None]
    inside = (cut[..., :2] * points).sum(-1) - cut[..., 2]
    near = cut[..., 5] - (points - cut[..., 3:5]).norm(dim=-1)
    return (torch.maximum(inside, near) / texel + 0.5).clamp_(0, 1)


def _paint_shapes(styles: LayerStyles, assets: Assets, points: Tensor) -> Tensor:
    device = points.device
    distances = assets.shapes[torch.from_numpy(styles.image_index).to(device)]
    texel = (points[:, 0, 1, 0] - points[:, 0, 0, 0])[:, None, None, None]
    light = to_tensor(styles.light, device)[:, None, None]
    distance, shifted = (
        F.grid_sample(distances, at, padding_mode="border", align_corners=False) for at in (points, points + light)
    )
    alpha = (0.5 - distance / texel).clamp_(0, 1) * (points.abs().amax(-1) < 1)[:, None]
    lit = (0.5 - shifted / texel).clamp_(0, 1)
    width = to_tensor(styles.line_width, device)[:, None, None, None]
    # A shape without outline has width 0: its ramp ends where alpha does.
    line = ((distance + width) / texel + 0.5).clamp_(0, 1) * (width > 0)
    shadow = to_tensor(styles.shadow, device)[:, None, None, None]
    fill = to_tensor(styles.fill, device)[..., None, None] * (shadow + (1 - shadow) * lit)
    color = fill + line * (to_tensor(styles.line, device)[..., None, None] - fill)
    return torch.cat([color * alpha, alpha], 1)


def _transform_colors(matrix: Tensor, colors: Tensor) -> Tensor:
    """Multiply colors (M, 3, H, W) by matrices (M, 3, 3)."""
    return torch.bmm(matrix, colors.flatten(2)).reshape(colors.shape)


def to_tensor(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """Convert an array to a float32 tensor."""
    return torch.from_numpy(values.astype(np.float32)).to(device)
