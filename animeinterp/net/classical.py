"""Synthesis without learned weights: the frame at t is selected from the two warped frames.

Each frame is softmax-splatted to t (Niklaus & Liu 2020) with the consistency of its motion as importance. Where what
lands on a pixel agrees about its motion, the color is read from the source frame itself by cubic interpolation along
that motion, which keeps outlines sharp; where it does not (at the edge of something that moves), the splat stands.
The two are mixed by their time distance, importance and density, so that a hole in one is filled from the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.consistency import AGREEMENT, CROSS_FADE, MIN_DENSITY
from animeinterp.net.ops.geometry import sample
from animeinterp.net.ops.splatting import splat


class Warped(NamedTuple):
    """One frame moved to time t.

    planes: (N, C, H, W), 0 in holes. weight: (N, 1, H, W), how far each pixel can be trusted, 0 in holes.
    """

    planes: Tensor
    weight: Tensor


def warp(planes: Tensor, flow: Tensor, importance: Tensor, share: float, mode: SplatMode = "softmax") -> Warped:
    """Move a frame `share` of the way along its flow.

    planes: (N, C, H, W). flow: (N, 2, H, W), x first, px. importance: (N, 1, H, W) in (0, 1]. share: in [0, 1].
    """
    channels = planes.shape[1]
    motion = share * flow
    source = torch.cat([planes, motion, motion.square().sum(1, keepdim=True), importance], 1)
    z = importance.log() if mode == "softmax" else None
    landed, _, density = splat(source, motion, z, mode)
    moved, arrived, square, trust = landed.split_with_sizes([channels, 2, 1, 1], 1)
    spread = (square - arrived.square().sum(1, keepdim=True)).clamp(min=0)
    coherent = (1.5 - spread / AGREEMENT).clamp(0, 1)
    read = coherent * sample(planes, -arrived) + (1 - coherent) * moved
    there = (density > MIN_DENSITY).to(planes.dtype)
    return Warped(read * there, there * trust * density.clamp(max=1).sqrt())


def compose(frame0: Tensor, frame1: Tensor, warped0: Warped, warped1: Warped, t: float) -> Tensor:
    """The frame at t, (N, C, H, W): the two warped frames mixed by trust and time.

    frame0, frame1: (N, C, H, W), for what neither warped frame shows.
    """
    weight0, weight1 = (1 - t) * warped0.weight, t * warped1.weight
    fade = (1 - t) * frame0 + t * frame1
    mixed = weight0 * warped0.planes + weight1 * warped1.planes + CROSS_FADE * fade
    return mixed / (weight0 + weight1 + CROSS_FADE)
