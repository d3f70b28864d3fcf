"""Synthesis without learned weights: the frame at t is selected from the two warped frames.

Each frame is softmax-splatted to t (Niklaus & Liu 2020) with the consistency of its motion as importance. Where what
lands on a pixel agrees about its motion, the colour is read from the source frame itself by cubic interpolation along
that motion, which keeps outlines sharp; where it does not (at the edge of something that moves), the splat stands.
The two are mixed by their time distance, importance and density, so that a hole in one is filled from the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.splatting import splat

AGREEMENT = 0.2  # px²; motion that varies more than this (times 1.5) where it lands is a motion boundary
MIN_DENSITY = 0.02
# Weight of the plain cross-fade: matters only where neither frame has anything trustworthy to show.
CROSS_FADE = 0.003
# Nothing is impossible for a network to choose: a hole it can fill better has at least this weight.
LEAST = 1e-4
# Trust falls by e per 5 px of forward-backward error and per tenth of the range of colour error.
PER_PIXEL_OF_INCONSISTENCY = 0.2
PER_COLOR = 10.2
MAX_INCONSISTENCY = 10.0  # px
MIN_IMPORTANCE = 1e-4


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


def consistency(frame: Tensor, other: Tensor, flow: Tensor, back: Tensor) -> Tensor:
    """How far each pixel's motion can be trusted, (N, 1, H, W) in (0, 1]: exp(Z) of softmax splatting.

    High where going there and back returns to the same place and the colours agree. frame, other: (N, C, H, W) in
    [0, 1]. flow: from `frame` to `other`; back: the other way, (N, 2, H, W) px.
    """
    found = sample(torch.cat([back, other], 1), flow, "bilinear")
    there_and_back, color = found[:, :2], found[:, 2:]
    # The square root has no slope at 0.
    inconsistency = (flow + there_and_back).square().sum(1, keepdim=True).add(1e-6).sqrt().clamp(max=MAX_INCONSISTENCY)
    error = (color - frame).abs().mean(1, keepdim=True)
    trust = torch.exp(-PER_PIXEL_OF_INCONSISTENCY * inconsistency - PER_COLOR * error)
    return trust.clamp(min=MIN_IMPORTANCE)


def sample(planes: Tensor, flow: Tensor, mode: str = "bicubic") -> Tensor:
    """`planes` at p + flow(p), the border repeated. mode: bicubic or bilinear."""
    height, width = planes.shape[-2:]
    x = flow[:, 0] + torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = flow[:, 1] + torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    return F.grid_sample(planes, grid, mode, "border", align_corners=True)
