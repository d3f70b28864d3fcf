"""Splat a frame to time t, with what tells how reliable each pixel is (paper §4.3, extended).

Besides the colors, three quantities are splatted: the motion of each pixel, its square and its confidence. Their means
say where pixels of different motion meet (a motion boundary) and how much a pixel can be relied on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.splat_cpu import CHANNELS, splat_fused
from animeinterp.net.ops.splatting import splat


class SplattedFrame(NamedTuple):
    """One frame moved to time t.

    Attributes:
        image: The splatted frame, (N, C, H, W), 0 in holes.
        motion: Motion that led to each pixel, (N, 2, H, W), px.
        confidence: (N, 1, H, W) in [0, 1], 0 in holes.
        motion_coherence: Whether the pixels that meet here agree about their motion, (N, 1, H, W) in [0, 1].
        density: Number of source pixels that meet here, (N, 1, H, W).
    """

    image: Tensor
    motion: Tensor
    confidence: Tensor
    motion_coherence: Tensor
    density: Tensor


def splat_frame(
    image: Tensor, flow: Tensor, z: Tensor, confidence: Tensor, fraction: Tensor, mode: SplatMode = "softmax"
) -> SplattedFrame:
    """Move a frame a fraction of the way along its flow.

    Args:
        image: (N, C, H, W).
        flow: (N, 2, H, W), px.
        z: Log importance, (N, 1, H, W).
        confidence: In [0, 1], (N, 1, H, W); splatted along.
        fraction: (N, 1, 1, 1) in [0, 1].
        mode: How pixels that meet are averaged.

    Returns:
        The splatted frame.
    """
    if not use_cpu_kernels(image, differentiable=False):
        return splat_frame_plain(image, flow, z, confidence, fraction, mode)
    fused = torch.from_numpy(splat_fused(image, flow, z, confidence, fraction, mode)).permute(0, 3, 1, 2)
    moved, motion, coherence, confidence, _, density = fused.split_with_sizes([CHANNELS, 2, 1, 1, 1, 1], 1)
    return SplattedFrame(moved[:, : image.shape[1]], motion, confidence, coherence, density)


def splat_frame_plain(
    image: Tensor, flow: Tensor, z: Tensor, confidence: Tensor, fraction: Tensor, mode: SplatMode = "softmax"
) -> SplattedFrame:
    """Do the work of `splat_frame` by torch operations: the definition that judges the CPU kernel; differentiable."""
    motion = fraction * flow
    source = torch.cat([image, motion, motion.square().sum(1, keepdim=True), confidence], 1)
    means, _, density = splat(source, motion, z if mode == "softmax" else None, mode)
    moved, motion, square, confidence = means.split_with_sizes([image.shape[1], 2, 1, 1], 1)
    variance = (square - motion.square().sum(1, keepdim=True)).clamp(min=0)
    coherence = (1.5 - variance / BLEND_RULE.max_variance).clamp(0, 1)
    filled = (density > BLEND_RULE.min_density).to(image.dtype)
    # The square root has no slope at 0.
    confidence = filled * confidence * density.clamp(BLEND_RULE.min_density, 1).sqrt()
    return SplattedFrame(moved, motion, confidence, coherence * filled, density)
