"""Synthesis of `cel`: blend eight candidates per pixel.

Four of each frame: the frame sampled along the motion of segment matching (sharp), the frame splatted along it (right
at motion boundaries), the unmoved frame, and the frame sampled along the intermediate flow (whole under large motion).

Two ways to draw the frame fail in different places. Along the motion of segment matching, pixels of the source frames
are copied with the precision of matching, but shapes are torn under large motion. Along the intermediate flow, shapes
stay whole. So the candidates of segment matching, weighed as by `net.classical`, are used where both ways agree, and
those of the intermediate flow elsewhere. Flat colors stay the colors of the source frames and lines stay lines.

`blend_frames` defines what the CPU kernel of `cel.blend_cpu` computes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.ops.agreement import Agreement, agreement_weight
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.frame_splatting import SplattedFrame
from animeinterp.net.ops.geometry import backward_warp, resize, scale_flow
from animeinterp.net.ops.intermediate_flow import MULTIPLE, IntermediateMotion

_MARGIN = 2  # cells of `MULTIPLE` px computed around the pixels to be drawn


# px at half of the network's size. The tolerances are those of `studio.restoration`, chosen on vector animations and
# scenes of the training material. With half of the first one LPIPS on a quarter of the development set is the same and
# PSNR 0.05 dB lower.
AGREEMENTS = (Agreement(sigma=2.0, tolerance=6.0, softness=2.0), Agreement(sigma=0.0, tolerance=32.0, softness=6.0))
# Weights of agreement from which on it counts as none and as full: then half of the candidates need not be sampled.
# On a quarter of the development set and of the linear set PSNR changes by 0.01 and 0.02 dB, LPIPS by less than 0.0002.
AGREED = (1 / 16, 15 / 16)


class Window(NamedTuple):
    """A part of a padded frame, px, multiples of `MULTIPLE`; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, planes: Tensor, step: int = 1) -> Tensor:
        """Cut planes at 1 / step of the padded frame's size, (N, C, H / step, W / step)."""
        return planes[..., self.top // step : self.bottom // step, self.left // step : self.right // step]

    def restore(self, planes: Tensor, size: tuple[int, int]) -> Tensor:
        """Put cut planes back into a frame of `size` = (height, width), 0 around them; the padding is cut off."""
        height, width = size
        around = (self.left, max(0, width - self.right), self.top, max(0, height - self.bottom))
        return F.pad(planes, around)[..., :height, :width]


def window_around(wanted: Tensor | None, size: tuple[int, int]) -> Window:
    """Bound the pixels that must be drawn and a margin.

    Args:
        wanted: bool (N, 1, H, W) at any size; None for the whole frame.
        size: (height, width) of the padded frame.
    """
    if wanted is None:
        return Window(0, size[0], 0, size[1])
    unit = MULTIPLE
    cells = F.adaptive_max_pool2d(wanted.float(), (size[0] // unit, size[1] // unit)).amax((0, 1))
    edges: list[int] = []
    for axis in (1, 0):
        marked = cells.amax(axis).nonzero()
        first, last = (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 1)
        edges += [max(0, first - _MARGIN) * unit, min(cells.shape[1 - axis], last + _MARGIN) * unit]
    return Window(*edges)


class BlendPrediction(NamedTuple):
    """What decides each pixel.

    Attributes:
        agreement: Weight of the candidates of segment matching, (N, 1, H, W) in [0, 1].
        share: Weight of frame 0 among the candidates of the intermediate flow, (N, 1, H, W) in [0, 1].
        flow: Intermediate flow to frame 0 and frame 1, (N, 4, H, W), px.
    """

    agreement: Tensor
    share: Tensor
    flow: Tensor

    def resized(self, size: tuple[int, ...]) -> BlendPrediction:
        """Return the prediction for a frame of another size, (height, width)."""
        flow = torch.cat([scale_flow(part, size, "bilinear") for part in self.flow.chunk(2, 1)], 1)
        return BlendPrediction(resize(self.agreement, size), resize(self.share, size), flow)


def confidence_of(z: Tensor) -> Tensor:
    """Turn log importance into confidence in [0, 1]."""
    return z.clamp(max=0).exp()


def draw_by_matching(
    frames: tuple[Tensor, Tensor], splatted: tuple[SplattedFrame, SplattedFrame], time: Tensor
) -> Tensor:
    """Draw the frame along the motion of segment matching alone, without the unmoved frames.

    Args:
        frames: Both frames, (N, 3, H, W).
        splatted: Both, moved to the time.
        time: (N, 1, 1, 1) in [0, 1].

    Returns:
        (N, 3, H, W).
    """
    # Where neither frame has a confident pixel, both count by their nearness.
    weight0, weight1 = (
        nearness * (part.confidence + BLEND_RULE.cross_fade)
        for part, nearness in zip(splatted, (1 - time, time), strict=True)
    )
    sampled0, sampled1 = (
        backward_warp(frame, -part.motion, outside="border") for frame, part in zip(frames, splatted, strict=True)
    )
    return (weight0 * sampled0 + weight1 * sampled1) / (weight0 + weight1)


def agreement_of(by_matching: Tensor, by_flow: Tensor) -> Tensor:
    """Measure where both ways to draw agree.

    Args:
        by_matching: (N, 3, H, W) RGB in [0, 1], at half of the network's size.
        by_flow: Of the same shape.

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    none, full = AGREED
    return ((agreement_weight(by_matching - by_flow, AGREEMENTS) - none) / (full - none)).clamp(0, 1)


def predict_blend(agreement: Tensor, motion: IntermediateMotion) -> BlendPrediction:
    """Weigh the candidates by the agreement of both ways to draw.

    Args:
        agreement: Of `agreement_of`, at any size.
        motion: Of the intermediate flow, (N, …, H, W).

    Returns:
        The prediction at H x W.
    """
    agreed = resize(agreement, tuple(motion.mask.shape[-2:]))
    return BlendPrediction(agreed, motion.mask.sigmoid(), motion.flow)


def blend_frames(
    frames: tuple[Tensor, Tensor],
    splatted: tuple[SplattedFrame, SplattedFrame],
    time: Tensor,
    prediction: BlendPrediction,
) -> tuple[Tensor, Tensor]:
    """Draw the frame at a time, and measure how much candidates that differ are averaged.

    Args:
        frames: Both frames, (N, C, H, W), the first three planes RGB in [0, 1]; all planes are drawn.
        splatted: Both, moved to the time.
        time: (N, 1, 1, 1) in [0, 1].
        prediction: At the size of the frames.

    Returns:
        (N, C, H, W), not clamped; the mean over pixels of the candidates' weighted absolute deviation from their mean,
        scalar.
    """
    shares = (1 - prediction.agreement) * prediction.share, (1 - prediction.agreement) * (1 - prediction.share)
    weighted: list[tuple[Tensor, Tensor]] = []
    sides = zip(frames, splatted, (1 - time, time), prediction.flow.chunk(2, 1), shares, strict=True)
    for frame, part, nearness, flow, share in sides:
        ruled = [prediction.agreement * weight for weight in rule_weights(part, nearness)]
        sampled = backward_warp(frame, -part.motion, "bicubic", "border")
        moved = backward_warp(frame, flow, "bicubic", "border")
        weighted += zip([*ruled, share], [sampled, part.image, frame, moved], strict=True)
    total = torch.stack([weight for weight, _ in weighted]).sum(0)
    mixed = torch.stack([weight * candidate for weight, candidate in weighted]).sum(0) / total
    deviations = [
        (weight * (candidate - mixed)[:, :3].abs().mean(1, keepdim=True) / total).mean()
        for weight, candidate in weighted
    ]
    return mixed, torch.stack(deviations).sum()


def rule_weights(splatted: SplattedFrame, nearness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weigh the candidates of segment matching of one frame by the rule of `classical`.

    Args:
        splatted: The frame, moved to the time.
        nearness: 1 - time of frame 0, time of frame 1; (N, 1, 1, 1).

    Returns:
        Weights of the sampled, the splatted and the unmoved frame, (N, 1, H, W) in [0, 1]; their sum is above 0.
    """
    confidence, coherence = nearness * splatted.confidence, splatted.motion_coherence
    unmoved = (BLEND_RULE.cross_fade * nearness).expand_as(confidence)
    return confidence * coherence, confidence * (1 - coherence), unmoved
