"""Synthesis without learned weights: the frame at t is selected from the two splatted frames.

Each frame is softmax-splatted to t (Niklaus & Liu 2020) with the consistency of its motion as importance. Where the
pixels that meet agree about their motion, the color is sampled from the source frame by bicubic interpolation along
that motion, which keeps outlines sharp; at motion boundaries the splatted color is used. The two results are averaged,
weighted by temporal distance and confidence, so that a hole in one is filled from the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.frame_splatting import splat_frame_plain
from animeinterp.net.ops.geometry import backward_warp


class Warped(NamedTuple):
    """One frame moved to time t.

    Attributes:
        planes: (N, C, H, W), 0 in holes.
        confidence: (N, 1, H, W) in [0, 1], 0 in holes.
    """

    planes: Tensor
    confidence: Tensor


def warp(planes: Tensor, flow: Tensor, importance: Tensor, fraction: float, mode: SplatMode = "softmax") -> Warped:
    """Move a frame a fraction of the way along its flow.

    Args:
        planes: (N, C, H, W).
        flow: (N, 2, H, W), x first, px.
        importance: exp(Z) of softmax splatting, (N, 1, H, W) in (0, 1]; also the confidence of each pixel.
        fraction: In [0, 1].
        mode: Forward-warping mode.

    Returns:
        The warped frame.
    """
    fractions = torch.full((len(planes), 1, 1, 1), fraction, device=planes.device)
    # The CPU kernel would save little here, and its last bits differ from what this preset has always drawn.
    splatted = splat_frame_plain(planes, flow, importance.log(), importance, fractions, mode)
    coherence = splatted.motion_coherence
    sampled = backward_warp(planes, -splatted.motion, "bicubic", "border")
    filled = (splatted.density > BLEND_RULE.min_density).to(planes.dtype)
    return Warped((coherence * sampled + (1 - coherence) * splatted.image) * filled, splatted.confidence)


def compose(frame0: Tensor, frame1: Tensor, warped0: Warped, warped1: Warped, t: float) -> Tensor:
    """Blend two warped frames by confidence and time.

    Args:
        frame0: (N, C, H, W), for pixels that neither warped frame fills.
        frame1: Of the same shape.
        warped0: Frame 0 moved to t.
        warped1: Frame 1 moved to t.
        t: In [0, 1].

    Returns:
        The frame at t, (N, C, H, W).
    """
    weight0, weight1 = (1 - t) * warped0.confidence, t * warped1.confidence
    cross_fade = (1 - t) * frame0 + t * frame1
    mixed = weight0 * warped0.planes + weight1 * warped1.planes + BLEND_RULE.cross_fade * cross_fade
    return mixed / (weight0 + weight1 + BLEND_RULE.cross_fade)
