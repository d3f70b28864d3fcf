"""Training losses on the flow and on the frame.

Frames are (N, 3, H, W) float32 RGB in [0, 1], flow is (N, 2, H, W) in px. Each loss is a scalar: the mean over pixels,
so that it does not depend on the sizes of batch and samples. All are computed in float32, outside autocast.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # RGB weights, ITU-R BT.601
_CHARBONNIER_EPS = 1e-3
_PYRAMID_LEVELS = 5
_MIN_EDGE = 8 / 255  # step of luma; larger than the grain of a compressed film
_FLAT_WEIGHT, _OUTSIDE_WEIGHT = 0.02, 0.1
_LOG_SCALE = 16.0  # px
# 40 dB. The slope of ln is 1 / error: without a floor, samples that are nearly right would dominate.
_MIN_SQUARED_ERROR = 1e-4
# Half of a 7x7 window without its center: the other half are the same pairs of pixels.
_CENSUS_OFFSETS = [(y, x) for y, x in product(range(4), range(-3, 4)) if (y, x) > (0, 0)]
_CENSUS_STEP = 0.9 / 255  # step of gray that gives 0.7 of a full sign, Meister et al. 2018
_LINE_RANGE = 8  # px; a line that is farther away is a different line
# Contrasts at which a line begins and at which its value is 0.5. A line of 1 px has 6/8 of its contrast to the 3x3
# surroundings, an edge 3/8.
_LINE_MIN_CONTRAST, _LINE_HALF_CONTRAST = 0.03, 0.06


def sequence_loss(steps: Sequence[Tensor], target: Tensor, known: Tensor, decay: float) -> Tensor:
    """Compute the mean error of all refinement steps of a flow, as RAFT's eq. 7.

    Args:
        steps: Flows, first to last, (N, 2, h, w) in px of the target; h and w divide H and W.
        target: True flow, (N, 2, H, W).
        known: Weight of each pixel, (N, 1, H, W) in [0, 1]. The mean is over all pixels, those of weight 0 included, so
            that a batch with little known flow has little influence.
        decay: Weight of a step relative to the next one.
    """
    total = target.new_zeros(())
    for index, step in enumerate(steps):
        factor = decay ** (len(steps) - 1 - index)
        pooled, weight = pool_flow(target, known, step.shape[-1])
        total = total + factor * (robust_length((step - pooled).square().sum(1, keepdim=True)) * weight).mean()
    return total


def robust_length(squared: Tensor) -> Tensor:
    """Convert squared lengths in px² to lengths that grow linearly when short, logarithmically when long.

    Where segments are mismatched, the flow is wrong by up to the width of the scene; such pixels would dominate.
    """
    length = (squared + 0.01).sqrt()
    return _LOG_SCALE * torch.log1p(length / _LOG_SCALE)


def pool_flow(flow: Tensor, known: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Average the known flow, and the weights `known`, down to a `width` that divides the flow's; px stay the same."""
    factor = flow.shape[-1] // width
    if factor == 1:
        return flow, known
    weight = F.avg_pool2d(known, factor)
    return F.avg_pool2d(flow * known, factor) / weight.clamp(min=1e-6), weight


def edge_weight(frame: Tensor) -> Tensor:
    """Weight each pixel by whether its motion is observable: 1 near edges, small in flat regions.

    A flat region looks the same before and after any motion, so its true flow is noise to the network.

    Args:
        frame: (N, 3, H, W), H and W at least 8. Edges are found in tiles of 8x8 px.

    Returns:
        (N, 1, H, W) in (0, 1].
    """
    luma = gray(frame)
    across = F.pad((luma[..., 1:] - luma[..., :-1]).abs(), (0, 1))
    down = F.pad((luma[..., 1:, :] - luma[..., :-1, :]).abs(), (0, 0, 0, 1))
    edge = (F.max_pool2d(torch.maximum(across, down), 8, ceil_mode=True) > _MIN_EDGE).float()
    near = F.max_pool2d(edge, 5, 1, 2).clamp(min=_FLAT_WEIGHT)
    return F.interpolate(near, scale_factor=8, mode="nearest")[..., : luma.shape[-2], : luma.shape[-1]]


def inside_weight(flow: Tensor) -> Tensor:
    """Weight each pixel by whether its flow (N, 2, H, W) ends inside the frame, where it can be matched.

    Returns:
        (N, 1, H, W): 1 inside, small outside.
    """
    height, width = flow.shape[-2:]
    x = flow[:, :1] + torch.arange(width, device=flow.device)
    y = flow[:, 1:] + torch.arange(height, device=flow.device)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside.float().clamp(min=_OUTSIDE_WEIGHT)


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the mean of sqrt(d² + ε²): the mean absolute error, but smooth at 0."""
    return ((prediction - target).square() + _CHARBONNIER_EPS**2).sqrt().mean()


def log_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the mean over samples of ln(MSE): PSNR up to sign and scale, so that all samples weigh the same."""
    return ((prediction - target).square().mean((1, 2, 3)) + _MIN_SQUARED_ERROR).log().mean()


def laplacian(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the sum over five frequency bands of the mean absolute error (Niklaus & Liu 2018; RIFE's weights).

    The Laplacian pyramid is linear, so the pyramid of the difference is the difference of the pyramids.
    """
    rest = prediction - target
    total = rest.new_zeros(())
    for _ in range(_PYRAMID_LEVELS - 1):
        if min(rest.shape[-2:]) < 4:
            break
        small = F.avg_pool2d(rest, 2)
        coarse = F.interpolate(small, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + (rest - coarse).abs().mean()
        rest = small
    return total + rest.abs().mean()


def census(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the mean soft Hamming distance of 7x7 ternary patterns of gray: structure, independent of brightness."""
    first, second = gray(prediction), gray(target)
    total = sum((_census_distance(first, second, y, x) for y, x in _CENSUS_OFFSETS), prediction.new_zeros(()))
    return total / len(_CENSUS_OFFSETS)


def _census_distance(first: Tensor, second: Tensor, y: int, x: int) -> Tensor:
    """Compute the mean distance between the signs of both images' differences to the neighbor at offset (y, x)."""
    height, width = first.shape[-2] - y, first.shape[-1] - abs(x)
    signs = []
    for image in (first, second):
        center = image[..., :height, max(-x, 0) : max(-x, 0) + width]
        step = image[..., y:, max(x, 0) : max(x, 0) + width] - center
        signs.append(step * (step.square() + _CENSUS_STEP**2).rsqrt())
    distance = (signs[0] - signs[1]).square()
    return (distance / (0.1 + distance)).mean()


def line(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the distance between the lines of two frames, both directions of the Chamfer distance, in units of 8 px.

    Predicted lines are weighted by their distance to the true ones (the distance transform of the true line map). True
    lines are compared with the predicted ones within growing neighborhoods. 0 for equal frames.
    """
    with torch.no_grad():
        true_lines = line_map(target)
        distance = distance_to((true_lines > 0).to(target.dtype)) / _LINE_RANGE
    lines = line_map(prediction)
    misplaced = (lines * distance).sum() / (true_lines.sum() + 1)
    missing, nearby = prediction.new_zeros(()), lines
    for radius in (1, 1, 2, 4):  # neighborhoods of 1, 2, 4 and 8 px in total
        nearby = F.max_pool2d(nearby, 2 * radius + 1, 1, radius)
        missing = missing + (true_lines - nearby).clamp(min=0).sum() / 4
    return misplaced + missing / (true_lines.sum() + 1)


def line_map(frame: Tensor) -> Tensor:
    """Compute how much darker each pixel is than its surroundings, as lines and dark sides of edges are.

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    luma = gray(frame)
    around = (9 * F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False) - luma) / 8
    contrast = (around - luma - _LINE_MIN_CONTRAST).clamp(min=0)
    # Never saturates, so that a clear line in the wrong place still has a gradient.
    return contrast / (contrast + _LINE_HALF_CONTRAST - _LINE_MIN_CONTRAST)


def distance_to(marks: Tensor) -> Tensor:
    """Compute the Euclidean distance of every pixel to the nearest mark, at most 8 px.

    Exact, by two passes of shifted minima, so that it runs on the device (Felzenszwalb & Huttenlocher 2012).

    Args:
        marks: (N, 1, H, W), 1 at marks, else 0.
    """
    squared = (1 - marks) * _LINE_RANGE**2
    for axis in (-2, -1):
        size = squared.shape[axis]
        nearest = squared.clone()
        for offset in range(1, min(_LINE_RANGE, size)):
            low, high = squared.narrow(axis, 0, size - offset), squared.narrow(axis, offset, size - offset)
            left, right = nearest.narrow(axis, 0, size - offset), nearest.narrow(axis, offset, size - offset)
            torch.minimum(left, high + offset**2, out=left)
            torch.minimum(right, low + offset**2, out=right)
        squared = nearest
    return squared.clamp(max=_LINE_RANGE**2).sqrt()


def gray(frame: Tensor) -> Tensor:
    """Convert RGB (N, 3, H, W) to luma (N, 1, H, W)."""
    return _LUMA[0] * frame[:, :1] + _LUMA[1] * frame[:, 1:2] + _LUMA[2] * frame[:, 2:]
