"""Synthesis of `cel`: blend eight candidates per pixel (`cel.layout`).

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

from animeinterp.net.cel import layout
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
_MIN_SHARE = 1e-3  # keeps the logarithms finite


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
        logits: Added to the log weights of the candidates, (N, 8, H, W).
        flow: Intermediate flow to frame 0 and frame 1, (N, 4, H, W), px.
    """

    logits: Tensor
    flow: Tensor

    def resized(self, size: tuple[int, ...]) -> BlendPrediction:
        """Return the prediction for a frame of another size, (height, width)."""
        flow = torch.cat([scale_flow(part, size, "bilinear") for part in self.flow.chunk(2, 1)], 1)
        return BlendPrediction(resize(self.logits, size), flow)


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
    weights = candidate_weights(*splatted, time)
    weight0, weight1 = (weights[:, at : at + 2].sum(1, keepdim=True) for at in (0, layout.RULED_PER_FRAME))
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
        (N, 1, H, W) in (0, 1).
    """
    return agreement_weight(by_matching - by_flow, AGREEMENTS)


def predict_blend(agreement: Tensor, motion: IntermediateMotion) -> BlendPrediction:
    """Weigh the candidates by the agreement of both ways to draw.

    Args:
        agreement: Of `agreement_of`, at any size.
        motion: Of the intermediate flow, (N, …, H, W).

    Returns:
        The prediction at H x W.
    """
    agreed = resize(agreement, tuple(motion.mask.shape[-2:]))
    ruled, moved = agreed.clamp(min=_MIN_SHARE).log(), (1 - agreed).clamp(min=_MIN_SHARE).log()
    per_frame = []
    for logit in (motion.mask, -motion.mask):
        per_frame += [ruled] * layout.RULED_PER_FRAME + [moved + F.logsigmoid(logit)]
    return BlendPrediction(torch.cat(per_frame, 1), motion.flow)


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
    rule = candidate_weights(*splatted, time).log()
    ruled = layout.RULED_PER_FRAME
    free = torch.zeros_like(rule[:, :1])  # the rule of `classical` does not know the intermediate flow
    weights = (torch.cat([rule[:, :ruled], free, rule[:, ruled:], free], 1) + prediction.logits).softmax(1)
    candidates = []
    for frame, part, flow in zip(frames, splatted, prediction.flow.chunk(2, 1), strict=True):
        sampled = backward_warp(frame, -part.motion, "bicubic", "border")
        candidates += [sampled, part.image, frame, backward_warp(frame, flow, "bicubic", "border")]
    mixed = weights[:, :1] * candidates[0]
    for index in range(1, len(candidates)):
        mixed = mixed + weights[:, index : index + 1] * candidates[index]
    deviations = [
        (weights[:, index] * (candidate - mixed)[:, :3].abs().mean(1)).mean()
        for index, candidate in enumerate(candidates)
    ]
    return mixed, torch.stack(deviations).sum()


def candidate_weights(splatted0: SplattedFrame, splatted1: SplattedFrame, time: Tensor) -> Tensor:
    """Weigh the candidates of segment matching by the rule of `classical`: (N, 6, H, W) > 0."""
    weights = []
    for splatted, nearness in ((splatted0, 1 - time), (splatted1, time)):
        confidence, coherence = nearness * splatted.confidence, splatted.motion_coherence
        minimum = BLEND_RULE.min_weight * nearness
        unmoved = (BLEND_RULE.cross_fade * nearness).expand_as(confidence)
        weights += [confidence * coherence + minimum, confidence * (1 - coherence) + minimum, unmoved]
    return torch.cat(weights, 1)
