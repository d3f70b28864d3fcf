"""Training losses on the frame.

Frames are (N, 3, H, W) float32 RGB in [0, 1]. Each loss is a scalar: the mean over pixels, so that it does not depend
on the sizes of batch and samples. All are computed in float32, outside autocast.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # RGB weights, ITU-R BT.601
_CHARBONNIER_EPS = 1e-3
_PYRAMID_LEVELS = 5
# 40 dB. The slope of ln is 1 / error: without a floor, samples that are nearly right would dominate.
_MIN_SQUARED_ERROR = 1e-4
# Half of a 7x7 window without its center: the other half are the same pairs of pixels.
_CENSUS_OFFSETS = [(y, x) for y, x in product(range(4), range(-3, 4)) if (y, x) > (0, 0)]
_CENSUS_STEP = 0.9 / 255  # step of gray that gives 0.7 of a full sign, Meister et al. 2018
_LINE_RANGE = 8  # px; a line that is farther away is a different line
# Contrasts at which a line begins and at which its value is 0.5. A line of 1 px has 6/8 of its contrast to the 3x3
# surroundings, an edge 3/8.
_LINE_MIN_CONTRAST, _LINE_HALF_CONTRAST = 0.03, 0.06


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
