"""Forward-backward and color consistency of flow: the importance of pixels that no network has learned."""

from __future__ import annotations

import torch
from torch import Tensor

from animeinterp.config import CONSISTENCY, ConsistencyLimits
from animeinterp.net.ops.geometry import backward_warp


def consistency(
    source: Tensor, target: Tensor, flow: Tensor, reverse_flow: Tensor, limits: ConsistencyLimits = CONSISTENCY
) -> Tensor:
    """Compute importance from consistency: high where the reverse flow leads back and the colors agree.

    Args:
        source: Frame that the flow starts from, (N, C, H, W) in [0, 1].
        target: Frame that it leads to, of the same shape.
        flow: Flow from source to target, (N, 2, H, W), px.
        reverse_flow: Flow from target to source, of the same shape.
        limits: Weights of the two errors.

    Returns:
        Importance exp(Z) of softmax splatting, (N, 1, H, W) in (0, 1].
    """
    sampled = backward_warp(torch.cat([reverse_flow, target], 1), flow, outside="border")
    returned, color = sampled[:, :2], sampled[:, 2:]
    # The square root has no slope at 0.
    inconsistency = (flow + returned).square().sum(1, keepdim=True).add(1e-6).sqrt().clamp(max=limits.max_error_px)
    error = (color - source).abs().mean(1, keepdim=True)
    importance = torch.exp(-limits.per_px * inconsistency - 255 * limits.per_level * error)
    return importance.clamp(min=limits.min_importance)
