"""Synthesis of `cel`: blend eight candidates per pixel (`cel.layout`).

Untrained, the network is a rule: the candidates of segment matching, weighed as by `net.classical`, where they agree
with the intermediate flow's drawing; that drawing elsewhere. A U-net over the candidates and the features of the
intermediate flow changes the weights, corrects the motion of segment matching, and adds a small residual. Flat colors
stay the colors of the source frames and lines stay lines.

`build_ruled_inputs` and `blend_frames` define what the CPU kernels of `cel.blend_cpu` compute.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.cel import intermediate, layout
from animeinterp.net.cel.intermediate import IntermediateMotion
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.blur import gaussian_blur
from animeinterp.net.ops.frame_splatting import SplattedFrame
from animeinterp.net.ops.geometry import backward_warp, pad_to_multiple, resize, scale_flow

_MARGIN = 2  # cells of `intermediate.MULTIPLE` px computed around the pixels to be drawn
# Pixels are a convenient unit for motions in animation, and the last layer starts at 0.
_OUTPUT_SCALE = 4
_MIN_SHARE = 0.05  # so that the network can learn to choose any candidate: a saturated softmax has no gradient
# When both ways to draw agree: differences in levels (1/255) with weight 0.5, and how soft the transition is, after a
# blur of `sigma` px at half the network's size and without one. As of `studio.restoration`, whose scales are those of
# the frame.
_AGREEMENT = ((2.0, 6.0, 2.0), (0.0, 32.0, 6.0))


class Window(NamedTuple):
    """A part of a padded frame, px, multiples of `intermediate.MULTIPLE`; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, planes: Tensor, step: int = 1) -> Tensor:
        """Cut planes at 1 / step of the frame's size, (N, C, H / step, W / step)."""
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
    unit = intermediate.MULTIPLE
    cells = F.adaptive_max_pool2d(wanted.float(), (size[0] // unit, size[1] // unit)).amax((0, 1))
    edges: list[int] = []
    for axis in (1, 0):
        marked = cells.amax(axis).nonzero()
        first, last = (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 1)
        edges += [max(0, first - _MARGIN) * unit, min(cells.shape[1 - axis], last + _MARGIN) * unit]
    return Window(*edges)


class BlendPrediction(NamedTuple):
    """What is predicted for each pixel.

    Attributes:
        logits: Added to the log weights of the candidates, (N, 8, H, W).
        motion_change: Added to the motions of segment matching of frame 0 and frame 1, (N, 4, H, W), px.
        residual: Added to RGB, (N, 3, H, W).
        flow: Intermediate flow to frame 0 and frame 1, (N, 4, H, W), px.
    """

    logits: Tensor
    motion_change: Tensor
    residual: Tensor
    flow: Tensor

    def resized(self, size: tuple[int, ...]) -> BlendPrediction:
        """Return the prediction for a frame of another size, (height, width)."""
        change, flow = (
            torch.cat([scale_flow(motion, size, "bilinear") for motion in motions.chunk(2, 1)], 1)
            for motions in (self.motion_change, self.flow)
        )
        return BlendPrediction(resize(self.logits, size), change, resize(self.residual, size), flow)


class Block(nn.Module):
    """Two 3x3 convolutions, the second with a shortcut around it."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        """Create the convolutions; the first has the stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        # In place: at full size fresh memory costs more than the operation, and no gradient needs what is overwritten.
        y = F.leaky_relu_(self.conv1(x), 0.1)
        return F.leaky_relu_(self.conv2(y).add_(y), 0.1)


class BlendNet(nn.Module):
    """U-net from the network's inputs and the features of the intermediate flow to logits, motion change, residual."""

    def __init__(self, own: tuple[int, int, int, int]) -> None:
        """Create the layers.

        Args:
            own: Channels of the U-net at 1/2, 1/4, 1/8, 1/16.
        """
        super().__init__()
        a, b, c, d = own
        _, sixteenth, eighth, quarter = intermediate.CHANNELS
        self.down2 = Block(layout.IN_CHANNELS, a)
        self.down4 = Block(a, b, stride=2)
        self.join4 = nn.Conv2d(b + quarter, b, 1)
        self.down8 = Block(b, c, stride=2)
        self.join8 = nn.Conv2d(c + eighth, c, 1)
        self.down16 = Block(c, d, stride=2)
        self.join16 = nn.Conv2d(d + sixteenth, d, 1)
        self.up8 = Block(d + c, c)
        self.up4 = Block(c + b, b)
        self.up2 = Block(b + a, a)
        self.head = nn.Conv2d(a, 4 * layout.OUT_CHANNELS, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor, sixteenth: Tensor, eighth: Tensor, quarter: Tensor) -> Tensor:
        """Predict (N, OUT_CHANNELS, H, W) from inputs at 1/2 and features at 1/16, 1/8, 1/4."""
        x2 = self.down2(inputs)
        x4 = self.join4(torch.cat([self.down4(x2), quarter], 1))
        x8 = self.join8(torch.cat([self.down8(x4), eighth], 1))
        x16 = self.join16(torch.cat([self.down16(x8), sixteenth], 1))
        y8 = self.up8(torch.cat([_double(x16), x8], 1))
        y4 = self.up4(torch.cat([_double(y8), x4], 1))
        y2 = self.up2(torch.cat([_double(y4), x2], 1))
        predicted: Tensor = F.pixel_shuffle(self.head(y2), 2).float()
        return predicted


def init_weights(module: nn.Module) -> None:
    """Initialize convolutions; torch's default lets a signal fade to a hundredth on its way through the U-net.

    Layers that are 0 stay 0. The second convolution of a `Block` adds to a shortcut and gets half the gain, so that
    consecutive blocks do not amplify.
    """
    for name, layer in module.named_children():
        if isinstance(layer, nn.Conv2d) and bool(layer.weight.any()):
            nn.init.kaiming_normal_(layer.weight, 0.1)
            with torch.no_grad():
                layer.weight.mul_(0.5 if isinstance(module, Block) and name == "conv2" else 1.0)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def confidence_of(z: Tensor) -> Tensor:
    """Turn log importance into confidence in [0, 1]."""
    return z.clamp(max=0).exp()


def build_ruled_inputs(
    frame0: Tensor, frame1: Tensor, splatted0: SplattedFrame, splatted1: SplattedFrame, time: Tensor
) -> Tensor:
    """Build the inputs that belong to segment matching.

    Frames are padded here and no earlier: the repeated border must not be splatted into the frame.

    Args:
        frame0: (N, C, H, W), the first three planes RGB.
        frame1: Of the same shape.
        splatted0: Frame 0 moved to the time.
        splatted1: Frame 1 moved to it.
        time: (N, 1, 1, 1) in [0, 1].

    Returns:
        (N, RULED_CHANNELS, H/2, W/2) of the padded size, see `cel.layout`.
    """
    rule = candidate_weights(splatted0, splatted1, time)
    sampled0, sampled1 = (
        backward_warp(frame[:, :3], -splatted.motion, "bicubic", "border")
        for frame, splatted in ((frame0, splatted0), (frame1, splatted1))
    )
    hints = [splatted0.motion / 16, splatted1.motion / 16, splatted0.density, splatted1.density]
    hints += [splatted0.motion_coherence, splatted1.motion_coherence, time.expand_as(splatted0.density)]
    difference = (sampled0 - sampled1).abs().mean(1, keepdim=True)
    colors = pad_to_multiple(torch.cat([sampled0, sampled1, difference], 1), intermediate.MULTIPLE)
    others = pad_to_multiple(torch.cat([rule.log() / 4, *hints], 1), intermediate.MULTIPLE)
    return torch.cat([F.pixel_unshuffle(colors, 2), F.avg_pool2d(others, 2)], 1)


def predict_blend(network: BlendNet, ruled: Tensor, motion: IntermediateMotion) -> BlendPrediction:
    """Run the network.

    Args:
        network: The U-net.
        ruled: Of `build_ruled_inputs`.
        motion: Of the intermediate flow, (N, …, H, W).

    Returns:
        The prediction at H x W.
    """
    agreement = agreement_of(ruled, motion)
    inputs = torch.cat([ruled, _intermediate_inputs(motion, agreement)], 1)
    predicted = network(inputs, *motion.features)
    logits, change, residual = predicted.split_with_sizes([layout.CANDIDATES, 4, 3], 1)
    logits = rule_logits(agreement, motion.mask) + _OUTPUT_SCALE * logits
    return BlendPrediction(logits, _OUTPUT_SCALE * change, residual, motion.flow)


def agreement_of(ruled: Tensor, motion: IntermediateMotion) -> Tensor:
    """Measure where both ways to draw agree.

    Args:
        ruled: Of `build_ruled_inputs`.
        motion: Of the intermediate flow.

    Returns:
        (N, 1, H/2, W/2) in (0, 1).
    """
    n, _, height, width = ruled.shape
    colors = ruled[:, : layout.IN_DIFFERENCE].view(n, 6, 4, height, width).mean(2)
    weights = (4 * ruled[:, layout.IN_LOG_WEIGHTS : layout.IN_MOTION]).exp()
    weight0, weight1 = (weights[:, at : at + 2].sum(1, keepdim=True) for at in (0, layout.RULED_PER_FRAME))
    by_matching = (weight0 * colors[:, :3] + weight1 * colors[:, 3:]) / (weight0 + weight1)
    mask = motion.mask.sigmoid()
    by_flow = F.avg_pool2d(mask * motion.colors[:, :3] + (1 - mask) * motion.colors[:, 3:], 2)
    agreements = []
    for sigma, tolerance, softness in _AGREEMENT:
        error = by_matching - by_flow
        error = gaussian_blur(error, sigma) if sigma else error
        error = F.max_pool2d(error.abs().amax(1, keepdim=True), 3, 1, 1)
        error = gaussian_blur(error, sigma) if sigma else error
        agreements.append(((tolerance - 255 * error) / softness).sigmoid())
    return torch.minimum(*agreements)


def rule_logits(agreement: Tensor, mask: Tensor) -> Tensor:
    """Weigh the candidates by the agreement of both ways to draw.

    Args:
        agreement: Of `agreement_of`, at half size.
        mask: Logit of frame 0's weight by the intermediate flow, (N, 1, H, W).

    Returns:
        (N, 8, H, W), to be added to the log weights of the rule.
    """
    agreed = resize(agreement, tuple(mask.shape[-2:]))
    ruled, moved = agreed.clamp(min=_MIN_SHARE).log(), (1 - agreed).clamp(min=_MIN_SHARE).log()
    per_frame = []
    for logit in (mask, -mask):
        per_frame += [ruled] * layout.RULED_PER_FRAME + [moved + F.logsigmoid(logit)]
    return torch.cat(per_frame, 1)


def _intermediate_inputs(motion: IntermediateMotion, agreement: Tensor) -> Tensor:
    difference = (motion.colors[:, :3] - motion.colors[:, 3:]).abs().mean(1, keepdim=True)
    colors = F.pixel_unshuffle(torch.cat([motion.colors, difference], 1), 2)
    others = F.avg_pool2d(torch.cat([motion.flow / 16, motion.mask.sigmoid()], 1), 2)
    return torch.cat([colors, others, agreement], 1)


def blend_frames(
    frame0: Tensor,
    frame1: Tensor,
    splatted0: SplattedFrame,
    splatted1: SplattedFrame,
    time: Tensor,
    prediction: BlendPrediction,
) -> Tensor:
    """Draw the frame at a time.

    Args:
        frame0: (N, C, H, W), the first three planes RGB in [0, 1]; all planes are drawn.
        frame1: Of the same shape.
        splatted0: Frame 0 moved to the time.
        splatted1: Frame 1 moved to it.
        time: (N, 1, 1, 1) in [0, 1].
        prediction: Of the network, at the size of the frame.

    Returns:
        (N, C, H, W), not clamped.
    """
    return blend_with_mixing(frame0, frame1, splatted0, splatted1, time, prediction)[0]


def blend_with_mixing(
    frame0: Tensor,
    frame1: Tensor,
    splatted0: SplattedFrame,
    splatted1: SplattedFrame,
    time: Tensor,
    prediction: BlendPrediction,
) -> tuple[Tensor, Tensor]:
    """Draw the frame at a time, and measure how much candidates that differ are averaged.

    Returns:
        The frame, see `blend_frames`; the mean over pixels of the candidates' weighted absolute deviation from their
        mean, scalar.
    """
    rule = candidate_weights(splatted0, splatted1, time).log()
    ruled = layout.RULED_PER_FRAME
    free = torch.zeros_like(rule[:, :1])
    logs = torch.cat([rule[:, :ruled], free, rule[:, ruled:], free], 1)
    weights = (logs + prediction.logits).softmax(1)
    candidates = []
    for frame, splatted, change, flow in zip(
        (frame0, frame1),
        (splatted0, splatted1),
        prediction.motion_change.chunk(2, 1),
        prediction.flow.chunk(2, 1),
        strict=True,
    ):
        sampled = backward_warp(frame, change - splatted.motion, "bicubic", "border")
        candidates += [sampled, splatted.image, frame, backward_warp(frame, flow, "bicubic", "border")]
    mixed = weights[:, :1] * candidates[0]
    for index in range(1, len(candidates)):
        mixed = mixed + weights[:, index : index + 1] * candidates[index]
    deviations = [
        (weights[:, index] * (candidate - mixed)[:, :3].abs().mean(1)).mean()
        for index, candidate in enumerate(candidates)
    ]
    frame = torch.cat([mixed[:, :3] + prediction.residual, mixed[:, 3:]], 1)
    return frame, torch.stack(deviations).sum()


def candidate_weights(splatted0: SplattedFrame, splatted1: SplattedFrame, time: Tensor) -> Tensor:
    """Weigh the candidates of segment matching by the rule of `classical`: (N, 6, H, W) > 0."""
    weights = []
    for splatted, nearness in ((splatted0, 1 - time), (splatted1, time)):
        confidence, coherence = nearness * splatted.confidence, splatted.motion_coherence
        minimum = BLEND_RULE.min_weight * nearness
        unmoved = (BLEND_RULE.cross_fade * nearness).expand_as(confidence)
        weights += [confidence * coherence + minimum, confidence * (1 - coherence) + minimum, unmoved]
    return torch.cat(weights, 1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
