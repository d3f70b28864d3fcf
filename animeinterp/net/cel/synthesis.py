"""Synthesis of `cel`: blend six candidates per pixel (`cel.layout`).

`net.classical` weighs the candidates by a rule. Here a U-net over the splatted frames and features changes the
weights, corrects the motion along which frames are sampled, and adds a small residual. Flat colors stay the colors of
the source frames and lines stay lines; untrained, the network is the rule itself.

`build_inputs` and `blend_frames` define what the CPU kernels of `cel.blend_cpu` compute.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.cel import layout
from animeinterp.net.cel.encoder import Block, Levels
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.frame_splatting import SplattedFrame
from animeinterp.net.ops.geometry import backward_warp, pad_to_multiple, resize, resize_area, scale_flow
from animeinterp.net.ops.splatting import splat

# Stride of the U-net in input pixels, and the margin computed around the pixels to be drawn, in such cells.
_CELL, _MARGIN = 8, 4
# Pixels are a convenient unit for motions in animation, and the last layer starts at 0.
_OUTPUT_SCALE = 4


class BlendPrediction(NamedTuple):
    """What the network predicts for each pixel.

    Attributes:
        logits: Added to the log weights of the candidates, (N, 6, H, W).
        motion_change: Added to the motions of frame 0 and frame 1, (N, 4, H, W), px.
        residual: Added to RGB, (N, 3, H, W).
    """

    logits: Tensor
    motion_change: Tensor
    residual: Tensor

    def resized(self, size: tuple[int, ...]) -> BlendPrediction:
        """Return the prediction for a frame of another size, (height, width)."""
        change = [scale_flow(motion, size, "bilinear") for motion in self.motion_change.chunk(2, 1)]
        return BlendPrediction(resize(self.logits, size), torch.cat(change, 1), resize(self.residual, size))


class BlendNet(nn.Module):
    """U-net from the network's inputs and splatted features to a `BlendPrediction`."""

    def __init__(self, widths: tuple[int, int, int], own: tuple[int, int, int, int]) -> None:
        """Create the layers.

        Args:
            widths: Channels of the encoder at 1/2, 1/4, 1/8.
            own: Channels of the U-net at 1/2, 1/4, 1/8, 1/16.
        """
        super().__init__()
        half, quarter, eighth = widths
        a, b, c, d = own
        self.down2 = Block(layout.IN_CHANNELS + 2 * half, a)
        self.down4 = Block(a, b, stride=2)
        self.join4 = nn.Conv2d(b + 2 * quarter, b, 1)
        self.down8 = Block(b, c, stride=2)
        self.join8 = nn.Conv2d(c + 2 * eighth, c, 1)
        self.down16 = Block(c, d, stride=2)
        self.up8 = Block(d + c, c)
        self.up4 = Block(c + b, b)
        self.up2 = Block(b + a, a)
        self.head = nn.Conv2d(a, 4 * layout.OUT_CHANNELS, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor, features0: Levels, features1: Levels) -> BlendPrediction:
        """Predict at full size from inputs at 1/2 and the splatted features of both frames."""
        x2 = self.down2(torch.cat([inputs, features0.half, features1.half], 1))
        x4 = self.join4(torch.cat([self.down4(x2), features0.quarter, features1.quarter], 1))
        x8 = self.join8(torch.cat([self.down8(x4), features0.eighth, features1.eighth], 1))
        x16 = self.down16(x8)
        y8 = self.up8(torch.cat([_double(x16), x8], 1))
        y4 = self.up4(torch.cat([_double(y8), x4], 1))
        y2 = self.up2(torch.cat([_double(y4), x2], 1))
        full = F.pixel_shuffle(self.head(y2), 2).float()
        logits, change, residual = full.split_with_sizes([layout.CANDIDATES, 4, 3], 1)
        return BlendPrediction(_OUTPUT_SCALE * logits, _OUTPUT_SCALE * change, residual)


def confidence_of(z: Tensor) -> Tensor:
    """Turn log importance, which a network may raise above 0, into confidence in [0, 1]."""
    return z.clamp(max=0).exp()


def splat_features(levels: Levels, flow: Tensor, z: Tensor, fraction: Tensor) -> Levels:
    """Move the features of a frame a fraction of the way along its flow.

    Args:
        levels: Of the padded frame.
        flow: (N, 2, H, W), px.
        z: Log importance, (N, 1, H, W).
        fraction: (N, 1, 1, 1) in [0, 1].

    Returns:
        Features of the same shapes.
    """
    motion, z = pad_to_multiple(fraction * flow), pad_to_multiple(z)
    return Levels(*(_splat_level(level, motion, z) for level in levels))


def _splat_level(level: Tensor, motion: Tensor, z: Tensor) -> Tensor:
    size = tuple(level.shape[-2:])
    small = resize_area(motion, size) / (motion.shape[-1] // size[1])
    return splat(level.float(), small, resize_area(z, size), "softmax").warped


def build_inputs(
    frame0: Tensor, frame1: Tensor, splatted0: SplattedFrame, splatted1: SplattedFrame, time: Tensor
) -> Tensor:
    """Build the inputs of the network.

    Frames are padded to multiples of 16 px here and no earlier: the repeated border must not be splatted into the
    frame.

    Args:
        frame0: (N, C, H, W), the first three planes RGB.
        frame1: Of the same shape.
        splatted0: Frame 0 moved to the time.
        splatted1: Frame 1 moved to it.
        time: (N, 1, 1, 1) in [0, 1].

    Returns:
        (N, IN_CHANNELS, H/2, W/2) of the padded size, see `cel.layout`.
    """
    rule = candidate_weights(splatted0, splatted1, time)
    sampled0, sampled1 = (
        backward_warp(frame[:, :3], -splatted.motion, "bicubic", "border")
        for frame, splatted in ((frame0, splatted0), (frame1, splatted1))
    )
    hints = [splatted0.motion / 16, splatted1.motion / 16, splatted0.density, splatted1.density]
    hints += [splatted0.motion_coherence, splatted1.motion_coherence, time.expand_as(splatted0.density)]
    difference = (sampled0 - sampled1).abs().mean(1, keepdim=True)
    colors = pad_to_multiple(torch.cat([sampled0, sampled1, difference], 1))
    others = pad_to_multiple(torch.cat([rule.log() / 4, *hints], 1))
    return torch.cat([F.pixel_unshuffle(colors, 2), F.avg_pool2d(others, 2)], 1)


def predict_blend(
    network: BlendNet,
    inputs: Tensor,
    features: tuple[Levels, Levels],
    size: tuple[int, int],
    wanted: Tensor | None = None,
) -> BlendPrediction:
    """Run the network, only around the pixels that are wanted.

    Args:
        network: The U-net.
        inputs: Of `build_inputs`.
        features: Splatted features of both frames.
        size: (height, width) of the frame before padding.
        wanted: bool (N, 1, h, w) at any size, pixels that will be drawn; the prediction may be 0 elsewhere.

    Returns:
        The prediction at `size`.
    """
    if wanted is None:
        prediction = network(inputs, *features)
    else:
        prediction = _predict_in_window(_window(wanted, tuple(inputs.shape[-2:])), network, inputs, features)
    height, width = size
    return BlendPrediction(*(plane[..., :height, :width] for plane in prediction))


def _window(wanted: Tensor, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of the inputs to compute, multiples of what the U-net divides by."""
    cells = F.adaptive_max_pool2d(wanted.float(), (size[0] // _CELL, size[1] // _CELL)).amax((0, 1))
    edges: list[int] = []
    for axis in (1, 0):
        marked = cells.amax(axis).nonzero()
        first, last = (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 1)
        edges += [max(0, first - _MARGIN) * _CELL, min(cells.shape[1 - axis], last + _MARGIN) * _CELL]
    top, bottom, left, right = edges
    return top, bottom, left, right


def _predict_in_window(
    window: tuple[int, int, int, int], network: BlendNet, inputs: Tensor, features: tuple[Levels, Levels]
) -> list[Tensor]:
    """Run the network on a part of its inputs; the rest, where nothing moves, is 0."""
    top, bottom, left, right = window

    def cut(planes: Tensor, step: int) -> Tensor:
        return planes[..., top // step : bottom // step, left // step : right // step]

    cuts = [Levels(*(cut(plane, step) for plane, step in zip(level, (1, 2, 4), strict=True))) for level in features]
    height, width = inputs.shape[-2:]
    around = (2 * left, 2 * (width - right), 2 * top, 2 * (height - bottom))
    return [F.pad(plane, around) for plane in network(cut(inputs, 1), *cuts)]


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
    weights = (candidate_weights(splatted0, splatted1, time).log() + prediction.logits).softmax(1)
    sampled0, sampled1 = (
        backward_warp(frame, change - splatted.motion, "bicubic", "border")
        for frame, change, splatted in zip(
            (frame0, frame1), prediction.motion_change.chunk(2, 1), (splatted0, splatted1), strict=True
        )
    )
    candidates = (sampled0, splatted0.image, frame0, sampled1, splatted1.image, frame1)
    frame = weights[:, :1] * candidates[0]
    for index in range(1, len(candidates)):
        frame = frame + weights[:, index : index + 1] * candidates[index]
    return torch.cat([frame[:, :3] + prediction.residual, frame[:, 3:]], 1)


def candidate_weights(splatted0: SplattedFrame, splatted1: SplattedFrame, time: Tensor) -> Tensor:
    """Weigh the candidates by the rule of `classical`: (N, 6, H, W) > 0."""
    weights = []
    for splatted, nearness in ((splatted0, 1 - time), (splatted1, time)):
        confidence, coherence = nearness * splatted.confidence, splatted.motion_coherence
        minimum = BLEND_RULE.min_weight * nearness
        unmoved = (BLEND_RULE.cross_fade * nearness).expand_as(confidence)
        weights += [confidence * coherence + minimum, confidence * (1 - coherence) + minimum, unmoved]
    return torch.cat(weights, 1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
