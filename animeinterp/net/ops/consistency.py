"""Forward-backward and color consistency of a flow, and the constants of blending."""

from __future__ import annotations

import torch
from torch import Tensor

from animeinterp.config import CONSISTENCY, ConsistencyLimits
from animeinterp.net.ops.geometry import sample

AGREEMENT = 0.2  # px²; motion that varies more than this (times 1.5) where it lands is a motion boundary


MIN_DENSITY = 0.02


# Weight of the plain cross-fade: matters only where neither frame has anything trustworthy to show.
CROSS_FADE = 0.003


# Nothing is impossible for a network to choose: a hole it can fill better has at least this weight.
LEAST = 1e-4


def consistency(
    frame: Tensor, other: Tensor, flow: Tensor, back: Tensor, limits: ConsistencyLimits = CONSISTENCY
) -> Tensor:
    """How far each pixel's motion can be trusted, (N, 1, H, W) in (0, 1]: exp(Z) of softmax splatting.

    High where going there and back returns to the same place and the colors agree. frame, other: (N, C, H, W) in
    [0, 1]. flow: from `frame` to `other`; back: the other way, (N, 2, H, W) px.
    """
    found = sample(torch.cat([back, other], 1), flow, "bilinear")
    there_and_back, color = found[:, :2], found[:, 2:]
    # The square root has no slope at 0.
    inconsistency = (flow + there_and_back).square().sum(1, keepdim=True).add(1e-6).sqrt()
    error = (color - frame).abs().mean(1, keepdim=True)
    trust = torch.exp(-limits.per_px * inconsistency.clamp(max=limits.max_error_px) - 255 * limits.per_level * error)
    return trust.clamp(min=limits.min_importance)
