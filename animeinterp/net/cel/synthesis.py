"""`cel`'s synthesis: every pixel of the new frame is chosen out of what the two frames offer for it.

Six offers per pixel: each frame read along the motion that arrives there (sharp), each frame as it was splatted
(right at motion borders), and each frame unmoved. `compose` weighs them by rule; here a U-net over the splatted frames
and features changes the weights, corrects the motion that is read along, and adds a small residual. So flat colors
stay the source's colors and lines stay lines, and the untrained network is the rule itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import ModelConfig
from animeinterp.errors import UsageError
from animeinterp.net.cel.blend_cpu import build_inputs_fused
from animeinterp.net.cel.encoder import Block, Levels
from animeinterp.net.ops.consistency import AGREEMENT, CROSS_FADE, LEAST, MIN_DENSITY
from animeinterp.net.ops.geometry import pad_to_multiple, resize, resize_area, sample, scale_flow
from animeinterp.net.ops.splat_cpu import PLANES, has_cpu_kernels, splat_fused
from animeinterp.net.ops.splatting import splat

CANDIDATES = 6
_CELL, _MARGIN = 8, 4  # px of evidence that the U-net takes as a step; so many steps around what is drawn it also sees


class SplattedFrame(NamedTuple):
    """One frame moved to time t.

    moved: (N, C, H, W), the splat, 0 in holes.
    motion: (N, 2, H, W) px, what moved there came this way. weight: (N, 1, H, W), how far it can be trusted, 0 in
    holes. coherent: (N, 1, H, W) in [0, 1], how far what lands agrees about its motion. density: (N, 1, H, W).
    features: the frame's features, splatted, where they were given.
    """

    moved: Tensor
    motion: Tensor
    weight: Tensor
    coherent: Tensor
    density: Tensor
    features: Levels | None


def splat_frame(
    planes: Tensor, levels: Levels | None, flow: Tensor, z: Tensor, share: Tensor, config: ModelConfig
) -> SplattedFrame:
    """Move a frame and its features `share` of the way along its flow.

    planes: (N, C, H, W). flow: (N, 2, H, W) px. z: (N, 1, H, W), log importance. share: (N, 1, 1, 1) in [0, 1].
    """
    mode = config.splat
    motion = share * flow
    features = None if levels is None else Levels(*(_splat_level(level, motion, z, mode) for level in levels))
    if has_cpu_kernels(planes):
        landed = torch.from_numpy(splat_fused(planes, flow, z, share, mode)).permute(0, 3, 1, 2)
        moved, arrived, coherent, weight, _, density = landed.split_with_sizes([PLANES, 2, 1, 1, 1, 1], 1)
        return SplattedFrame(moved[:, : planes.shape[1]], arrived, weight, coherent, density, features)
    source = torch.cat([planes, motion, motion.square().sum(1, keepdim=True), z.clamp(max=0).exp()], 1)
    landed, _, density = splat(source, motion, z if mode == "softmax" else None, mode)
    moved, arrived, square, trust = landed.split_with_sizes([planes.shape[1], 2, 1, 1], 1)
    spread = (square - arrived.square().sum(1, keepdim=True)).clamp(min=0)
    coherent = (1.5 - spread / AGREEMENT).clamp(0, 1)
    there = (density > MIN_DENSITY).to(planes.dtype)
    # The square root has no slope at 0.
    weight = there * trust * density.clamp(MIN_DENSITY, 1).sqrt()
    return SplattedFrame(moved, arrived, weight, coherent * there, density, features)


def _splat_level(level: Tensor, motion: Tensor, z: Tensor, mode: str) -> Tensor:
    size = tuple(level.shape[-2:])
    motion, z = pad_to_multiple(motion), pad_to_multiple(z)
    factor = motion.shape[-1] // size[1]
    small = resize_area(motion, size) / factor
    importance = resize_area(z, size) if mode == "softmax" else None
    moved: Tensor = splat(level.float(), small, importance, mode).warped  # type: ignore[arg-type]
    return moved


class BlendNet(nn.Module):
    """The U-net: what arrived from both frames → weights, change of motion, residual, at full size."""

    def __init__(self, widths: tuple[int, int, int], own: tuple[int, int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth = widths
        a, b, c, d = own
        self.down2 = Block(28 + CANDIDATES + 9 + 2 * half, a)
        self.down4 = Block(a, b, stride=2)
        self.join4 = nn.Conv2d(b + 2 * quarter, b, 1)
        self.down8 = Block(b, c, stride=2)
        self.join8 = nn.Conv2d(c + 2 * eighth, c, 1)
        self.down16 = Block(c, d, stride=2)
        self.up8 = Block(d + c, c)
        self.up4 = Block(c + b, b)
        self.up2 = Block(b + a, a)
        self.head = nn.Conv2d(a, 4 * (CANDIDATES + 4 + 3), 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, evidence: Tensor, features0: Levels, features1: Levels) -> tuple[Tensor, Tensor, Tensor]:
        """Evidence at 1/2 and both frames' splatted features → logits (6), motion (4), residual (3) at full size."""
        x2 = self.down2(torch.cat([evidence, features0.half, features1.half], 1))
        x4 = self.join4(torch.cat([self.down4(x2), features0.quarter, features1.quarter], 1))
        x8 = self.join8(torch.cat([self.down8(x4), features0.eighth, features1.eighth], 1))
        x16 = self.down16(x8)
        y8 = self.up8(torch.cat([_twice(x16), x8], 1))
        y4 = self.up4(torch.cat([_twice(y8), x4], 1))
        y2 = self.up2(torch.cat([_twice(y4), x2], 1))
        full = F.pixel_shuffle(self.head(y2), 2).float()
        logits, change, residual = full.split_with_sizes([CANDIDATES, 4, 3], 1)
        return logits, change, residual


class BlendPrediction(NamedTuple):
    """What the network says of each pixel: logits (N, 6, H, W) added to the rule's, change (N, 4, H, W) px of the
    motions read along, residual (N, 3, H, W)."""

    logits: Tensor
    change: Tensor
    residual: Tensor

    def at(self, size: tuple[int, ...]) -> BlendPrediction:
        """The same for a picture of another size = (height, width)."""
        change = [scale_flow(motion, size, "bilinear") for motion in self.change.chunk(2, 1)]
        return BlendPrediction(resize(self.logits, size), torch.cat(change, 1), resize(self.residual, size))


def predict_blend(
    chooser: BlendNet,
    frame0: Tensor,
    frame1: Tensor,
    arrived0: SplattedFrame,
    arrived1: SplattedFrame,
    share: Tensor,
    where: Tensor | None = None,
) -> BlendPrediction:
    """Look at what arrived. frame0, frame1: (N, C, H, W), the first three planes RGB.

    where: bool (N, 1, h, w) at any size, the pixels that will be drawn; the decision may be 0 elsewhere.
    """
    if arrived0.features is None or arrived1.features is None:
        raise UsageError("decide: frames must arrive with their features")
    if has_cpu_kernels(frame0):
        signs = [torch.cat([a.motion, a.coherent, a.weight, a.density], 1) for a in (arrived0, arrived1)]
        evidence = build_inputs_fused((frame0, frame1), (signs[0], signs[1]), share)
    else:
        evidence = build_inputs(frame0, frame1, arrived0, arrived1, share)
    height, width = frame0.shape[-2:]
    features = arrived0.features, arrived1.features
    if where is None:
        decided = chooser(evidence, *features)
    else:
        decided = _within(_window(where, tuple(evidence.shape[-2:])), chooser, evidence, features)
    logits, change, residual = (plane[..., :height, :width] for plane in decided)
    # 4: pixels are a handy unit for the motions of animation, and the last layer begins at 0.
    return BlendPrediction(4 * logits, 4 * change, residual)


def _window(where: Tensor, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of the evidence to look at, top, bottom, left and right, whole multiples of what a U-net divides by."""
    cells = F.adaptive_max_pool2d(where.float(), (size[0] // _CELL, size[1] // _CELL)).amax((0, 1))
    edges: list[int] = []
    for axis in (1, 0):
        marked = cells.amax(axis).nonzero()
        first, last = (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 1)
        edges += [max(0, first - _MARGIN) * _CELL, min(cells.shape[1 - axis], last + _MARGIN) * _CELL]
    top, bottom, left, right = edges
    return top, bottom, left, right


def _within(
    window: tuple[int, int, int, int], chooser: BlendNet, evidence: Tensor, features: tuple[Levels, Levels]
) -> list[Tensor]:
    """What the chooser says of a part of its evidence, 0 of the rest: drawings stand still around what moves."""
    top, bottom, left, right = window

    def cut(planes: Tensor, step: int) -> Tensor:
        return planes[..., top // step : bottom // step, left // step : right // step]

    cuts = [Levels(*(cut(plane, step) for plane, step in zip(level, (1, 2, 4), strict=True))) for level in features]
    height, width = evidence.shape[-2:]
    around = (2 * left, 2 * (width - right), 2 * top, 2 * (height - bottom))
    return [F.pad(plane, around) for plane in chooser(cut(evidence, 1), *cuts)]


def build_inputs(
    frame0: Tensor, frame1: Tensor, arrived0: SplattedFrame, arrived1: SplattedFrame, share: Tensor
) -> Tensor:
    """What the chooser is shown, (N, 43, H/2, W/2).

    Frames are made whole multiples of 16 px here and no earlier: what is repeated beyond the border must not be moved
    into the picture.
    """
    rule = candidate_weights(arrived0, arrived1, share)
    read0, read1 = sample(frame0[:, :3], -arrived0.motion), sample(frame1[:, :3], -arrived1.motion)
    hints = [arrived0.motion / 16, arrived1.motion / 16, arrived0.density, arrived1.density]
    hints += [arrived0.coherent, arrived1.coherent, share.expand_as(arrived0.density)]
    colors = pad_to_multiple(torch.cat([read0, read1, (read0 - read1).abs().mean(1, keepdim=True)], 1))
    others = pad_to_multiple(torch.cat([rule.log() / 4, *hints], 1))
    return torch.cat([F.pixel_unshuffle(colors, 2), F.avg_pool2d(others, 2)], 1)


def blend_frames(
    frame0: Tensor,
    frame1: Tensor,
    arrived0: SplattedFrame,
    arrived1: SplattedFrame,
    share: Tensor,
    decision: BlendPrediction,
) -> Tensor:
    """Draw the frame at time t, (N, C, H, W), not clamped.

    frame0, frame1: (N, C, H, W), the first three planes RGB in [0, 1], all are drawn. share: (N, 1, 1, 1), the time t.
    """
    choice = (candidate_weights(arrived0, arrived1, share).log() + decision.logits).softmax(1)
    read0 = sample(frame0, decision.change[:, :2] - arrived0.motion)
    read1 = sample(frame1, decision.change[:, 2:] - arrived1.motion)
    offers = (read0, arrived0.moved, frame0, read1, arrived1.moved, frame1)
    frame = sum_of(choice, offers)
    return torch.cat([frame[:, :3] + decision.residual, frame[:, 3:]], 1)


def sum_of(choice: Tensor, offers: tuple[Tensor, ...]) -> Tensor:
    """Σ choice · offer, (N, C, H, W)."""
    frame = choice[:, :1] * offers[0]
    for index in range(1, len(offers)):
        frame = frame + choice[:, index : index + 1] * offers[index]
    return frame


def candidate_weights(arrived0: SplattedFrame, arrived1: SplattedFrame, share: Tensor) -> Tensor:
    """The weights of `compose`: (N, 6, H, W) > 0, of read, moved and unmoved frame 0, then those of frame 1."""
    weights = []
    for arrived, near in ((arrived0, 1 - share), (arrived1, share)):
        weight = near * arrived.weight
        unmoved = (CROSS_FADE * near).expand_as(weight)
        weights += [weight * arrived.coherent + LEAST * near, weight * (1 - arrived.coherent) + LEAST * near, unmoved]
    return torch.cat(weights, 1)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
