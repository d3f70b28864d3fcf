"""Attention of the global-matching network: over the whole image, or within shifted windows (Swin).

Tokens are the pixels of a feature map, (N, H, W, C). One head; scores are scaled by 1 / sqrt(C). Under the caller's
`torch.autocast`, projections and windowed attention run in bf16, the sum over the layers in float32.

References: GMFlow (Xu et al. 2022), Swin Transformer (Liu et al. 2021).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TEMPERATURE = 10_000.0
_QUERY_CHUNK = 2048  # rows of the score matrix in memory at a time


class Attention(nn.Module):
    """Attention from one feature map to another, with or without the feed-forward part.

    Only two of the four projections are applied: q·k is bilinear in source and target, and `merge` directly follows the
    value projection, so each pair of matrices is multiplied first.
    """

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

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """Update each window of `source` by attention to the same window of `target`.

        Args:
            source: Windows of tokens, (N, windows, L, C) float32.
            target: Same shape.
            mask: Pairs of tokens that attend to each other, bool (1, windows, L, L); None = all pairs.

        Returns:
            (N, windows, L, C) float32.
        """
        with torch.autocast(source.device.type, enabled=False):
            to_query = self.k_proj.weight.t() @ self.q_proj.weight
            to_message = self.merge.weight @ self.v_proj.weight
        query = F.linear(source, to_query)
        tokens = target.to(query.dtype)
        message = F.scaled_dot_product_attention(query, tokens, tokens, mask)
        # The sum over the layers stays in float32; in bf16 its rounding error would grow with every layer.
        message = self.norm1(F.linear(message, to_message).float())
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat([source.to(query.dtype), message.to(query.dtype)], -1)).float())
        updated: Tensor = source + message
        return updated


class Block(nn.Module):
    """Self-attention, then cross-attention with the feed-forward part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, feed_forward=False)
        self.cross_attn_ffn = Attention(channels, feed_forward=True)

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """See `Attention.forward`."""
        source = self.self_attn(source, source, mask)
        updated: Tensor = self.cross_attn_ffn(source, target, mask)
        return updated


class Transformer(nn.Module):
    """Six blocks, every second one with windows shifted by half their size. Both images are updated in the same way."""

    def __init__(self, channels: int, depth: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(channels) for _ in range(depth))

    def forward(self, features: Tensor, splits: int) -> Tensor:
        """Update pairs of feature maps.

        Args:
            features: (2 N, C, H, W) float; sample n and n + N are a pair. H and W are multiples of `splits`.
            splits: Windows per side.

        Returns:
            (2 N, C, H, W) float32.
        """
        tokens = features.float().permute(0, 2, 3, 1)
        height, width = tokens.shape[1:3]
        shift = height // splits // 2, width // splits // 2
        mask = _same_region(height, width, splits, tokens.device)[None]
        for number, layer in enumerate(self.layers):
            shifted = number % 2 == 1
            if shifted:
                tokens = torch.roll(tokens, (-shift[0], -shift[1]), (1, 2))
            windows = _split(tokens, splits)
            windows = layer(windows, torch.cat(windows.chunk(2)[::-1]), mask if shifted else None)
            tokens = _merge(windows, splits, height, width)
            if shifted:
                tokens = torch.roll(tokens, shift, (1, 2))
        return tokens.permute(0, 3, 1, 2)


def add_position(features: Tensor, splits: int) -> Tensor:
    """Add to every pixel the sine encoding of its position within its window.

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

    def encode_axis(length: int) -> Tensor:
        """Encode the positions along one axis: (length, C / 2)."""
        position = torch.arange(1, length + 1, device=features.device, dtype=torch.float32)
        angle = (2 * math.pi * position / (length + 1e-6))[:, None] / divisor
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)

    vertical = encode_axis(rows)[:, None].expand(-1, columns, -1)
    horizontal = encode_axis(columns)[None].expand(rows, -1, -1)
    window = torch.cat([vertical, horizontal], 2).permute(2, 0, 1)
    return features + window.repeat(1, splits, splits).to(features.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute softmax(q k^T / sqrt(C)) v without the whole score matrix in memory.

    In float32, also under autocast: values are coordinates or flow, and the error of a score in bf16, up to 0.4 %,
    would move the mean.

    Args:
        query: (N, L, C) float.
        key: (N, M, C) float.
        value: (N, M, D) float.

    Returns:
        (N, L, D) float32.
    """
    with torch.autocast(query.device.type, enabled=False):
        query = query.float() * query.shape[-1] ** -0.5
        key, value = key.float().transpose(1, 2), value.float()
        parts = [torch.bmm(rows, key).softmax(-1).bmm(value) for rows in torch.split(query, _QUERY_CHUNK, 1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _same_region(height: int, width: int, splits: int, device: torch.device) -> Tensor:
    """Mark the tokens of a window that were neighbors before the shift: bool (splits², L, L)."""

    def regions(length: int) -> Tensor:
        window = length // splits
        position = torch.arange(length, device=device)
        return (position >= length - window).long() + (position >= length - window // 2).long()

    labels = 3 * regions(height)[:, None] + regions(width)
    inside = _split(labels[None, ..., None], splits)[0, ..., 0]
    return inside[:, :, None] == inside[:, None]


def _split(tokens: Tensor, splits: int) -> Tensor:
    """Divide tokens (N, H, W, C) into windows (N, splits², H W / splits², C)."""
    n, height, width, channels = tokens.shape
    parts = tokens.reshape(n, splits, height // splits, splits, width // splits, channels)
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(n, splits**2, -1, channels)


def _merge(windows: Tensor, splits: int, height: int, width: int) -> Tensor:
    """Invert `_split`."""
    channels = windows.shape[-1]
    parts = windows.reshape(-1, splits, splits, height // splits, width // splits, channels)
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)
