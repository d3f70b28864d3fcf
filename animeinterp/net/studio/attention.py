"""Attention of the global-matching network: over the whole image, or within windows that shift (Swin).

Tokens are the pixels of a feature map, (N, H, W, C). One head; scores are scaled by 1 / sqrt(C).

References: Xu et al., "GMFlow: Learning Optical Flow via Global Matching", CVPR 2022; Liu et al., "Swin Transformer",
ICCV 2021.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TEMPERATURE = 10_000.0
# Queries that are answered at once: bounds memory to so many rows of the score matrix.
_ROWS = 2048


class Attention(nn.Module):
    """Attention from one feature map to another, with or without the feed-forward part."""

    def __init__(self, channels: int, feed_forward: bool) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels, bias=False)
        self.k_proj = nn.Linear(channels, channels, bias=False)
        self.v_proj = nn.Linear(channels, channels, bias=False)
        self.merge = nn.Linear(channels, channels, bias=False)
        self.norm1 = nn.LayerNorm(channels)
        self.mlp: nn.Sequential | None = None
        if feed_forward:
            self.mlp = nn.Sequential(
                nn.Linear(2 * channels, 8 * channels, bias=False),
                nn.GELU(),
                nn.Linear(8 * channels, channels, bias=False),
            )
            self.norm2 = nn.LayerNorm(channels)

    def forward(self, source: Tensor, target: Tensor, splits: int, shift: bool) -> Tensor:
        """`source` updated by what it finds in `target`.

        Args:
            source: (N, H, W, C) float.
            target: (N, H, W, C) float.
            splits: Windows per side; H and W are multiples of it.
            shift: Whether the windows are moved by half their size, with wrap-around.

        Returns:
            (N, H, W, C) float.
        """
        query, key, value = self.q_proj(source), self.k_proj(target), self.v_proj(target)
        message = self.norm1(self.merge(_windowed(query, key, value, splits, shift)))
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat([source, message], -1)))
        updated: Tensor = source + message
        return updated


class Block(nn.Module):
    """Self-attention, then cross-attention with the feed-forward part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, feed_forward=False)
        self.cross_attn_ffn = Attention(channels, feed_forward=True)

    def forward(self, source: Tensor, target: Tensor, splits: int, shift: bool) -> Tensor:
        """See `Attention.forward`."""
        source = self.self_attn(source, source, splits, shift)
        updated: Tensor = self.cross_attn_ffn(source, target, splits, shift)
        return updated


class Transformer(nn.Module):
    """Six blocks; every second one shifts its windows. Both images are updated alike."""

    def __init__(self, channels: int, depth: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(channels) for _ in range(depth))

    def forward(self, features: Tensor, splits: int) -> Tensor:
        """Update pairs of feature maps.

        Args:
            features: (2 N, C, H, W) float; sample n and n + N are a pair.
            splits: Windows per side.

        Returns:
            (2 N, C, H, W) float.
        """
        tokens = features.permute(0, 2, 3, 1)
        for number, layer in enumerate(self.layers):
            others = torch.cat(tokens.chunk(2)[::-1])
            tokens = layer(tokens, others, splits, number % 2 == 1)
        return tokens.permute(0, 3, 1, 2)


def add_position(features: Tensor, splits: int) -> Tensor:
    """Add the sine position within its window to every pixel.

    Args:
        features: (N, C, H, W) float; H and W are multiples of `splits`, C of 4.
        splits: Windows per side.

    Returns:
        (N, C, H, W) float.
    """
    channels, height, width = features.shape[1:]
    rows, columns = height // splits, width // splits
    numbers = torch.arange(channels // 2, device=features.device, dtype=torch.float32)
    divisor = _TEMPERATURE ** (2 * (numbers // 2) / (channels // 2))

    def waves(length: int) -> Tensor:
        places = torch.arange(1, length + 1, device=features.device, dtype=torch.float32)
        angle = (2 * math.pi * places / (length + 1e-6))[:, None] / divisor
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)  # (length, C / 2)

    down = waves(rows)[:, None].expand(-1, columns, -1)
    across = waves(columns)[None].expand(rows, -1, -1)
    window = torch.cat([down, across], 2).permute(2, 0, 1)
    return features + window.repeat(1, splits, splits).to(features.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(C)) v without the whole score matrix in memory.

    Args:
        query: (N, L, C) float.
        key: (N, M, C) float.
        value: (N, M, D) float.

    Returns:
        (N, L, D) float.
    """
    scale, turned = query.shape[-1] ** -0.5, key.transpose(1, 2)
    parts = [(torch.bmm(rows, turned) * scale).softmax(-1).bmm(value) for rows in query.split(_ROWS, 1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _windowed(query: Tensor, key: Tensor, value: Tensor, splits: int, shift: bool) -> Tensor:
    height, width = query.shape[1:3]
    down, across = height // splits // 2, width // splits // 2
    mask = None
    if shift:
        query, key, value = (torch.roll(x, (-down, -across), (1, 2)) for x in (query, key, value))
        mask = _same_region(height, width, splits, query.device)
    windows = [_split(x, splits) for x in (query, key, value)]
    if mask is not None:
        mask = mask.repeat(query.shape[0], 1, 1)
    found = F.scaled_dot_product_attention(*windows, attn_mask=mask)
    whole = _merge(found, splits, height, width)
    return torch.roll(whole, (down, across), (1, 2)) if shift else whole


def _same_region(height: int, width: int, splits: int, device: torch.device) -> Tensor:
    """Which tokens of a window were neighbors before the shift: bool (splits², L, L)."""

    def regions(length: int) -> Tensor:
        window = length // splits
        places = torch.arange(length, device=device)
        return (places >= length - window).long() + (places >= length - window // 2).long()

    labels = 3 * regions(height)[:, None] + regions(width)
    inside = _split(labels[None, ..., None], splits)[..., 0]
    return inside[:, :, None] == inside[:, None]


def _split(tokens: Tensor, splits: int) -> Tensor:
    """(N, H, W, C) → (N splits², H W / splits², C)."""
    n, height, width, channels = tokens.shape
    parts = tokens.reshape(n, splits, height // splits, splits, width // splits, channels)
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(n * splits**2, -1, channels)


def _merge(windows: Tensor, splits: int, height: int, width: int) -> Tensor:
    """The inverse of `_split`."""
    channels = windows.shape[-1]
    parts = windows.reshape(-1, splits, splits, height // splits, width // splits, channels)
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)
