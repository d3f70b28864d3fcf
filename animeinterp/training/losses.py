"""What training minimizes: mistakes of the flow and of the drawn frame.

Frames are (N, 3, H, W) float RGB in [0, 1], flow (N, 2, H, W) px. Each loss is a scalar: the mean over pixels, so
that it does not depend on batch or size. All is float32: call it outside autocast.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

_GREY = (0.299, 0.587, 0.114)
_CHARBONNIER_EPS = 1e-3
_LEVELS = 5
_EDGE = 8 / 255  # above the grain of a compressed film
_UNSEEN, _LEFT = 0.02, 0.1
_FAR = 16.0  # px
# The slope of ln is 1 / error: without a floor, samples that are nearly right outweigh all others. 40 dB.
_GOOD_ENOUGH = 1e-4
# Half of a 7x7 window without its middle: the other half are the same pairs of pixels.
_PAIRS = [(y, x) for y, x in product(range(4), range(-3, 4)) if (y, x) > (0, 0)]
_REACH = 8  # px; a line that is further off could be anywhere
# Contrasts at which a line begins and at which it is half a line. A line of 1 px stands out of its surroundings by 6/8
# of its contrast, an edge by 3/8.
_FAINT, _CLEAR = 0.03, 0.06
_TERNARY = 0.9 / 255  # difference at which a pixel counts as 0.7 brighter, Meister et al. 2018


def sequence_loss(steps: Sequence[Tensor], true: Tensor, known: Tensor, decay: float) -> Tensor:
    """Mean error of every step of a flow where the truth is known, the last counting most (RAFT, eq. 7).

    steps: flows in px of the true one, first to last, (N, 2, h, w) of its size or a whole part of it. true: (N, 2, H,
    W). known: (N, 1, H, W), how far the true flow is known. Pixels of unknown flow count as right, so that a batch
    that says little also pulls little.
    """
    total = true.new_zeros(())
    for index, step in enumerate(steps):
        share = decay ** (len(steps) - 1 - index)
        wanted, weight = pooled(true, known, step.shape[-1])
        total = total + share * (robust((step - wanted).square().sum(1, keepdim=True)) * weight).mean()
    return total


def robust(square: Tensor) -> Tensor:
    """A length in px out of its square: as it is when short, its logarithm when long.

    Where segments are mistaken for others flow is wrong by the width of a scene; such pixels would outweigh all else.
    """
    length = (square + 0.01).sqrt()
    return _FAR * torch.log1p(length / _FAR)


def pooled(flow: Tensor, known: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Flow, the mean of what is known of it, and how far it is known, at a `width` that divides its own."""
    factor = flow.shape[-1] // width
    if factor == 1:
        return flow, known
    weight = F.avg_pool2d(known, factor)
    return F.avg_pool2d(flow * known, factor) / weight.clamp(min=1e-6), weight


def evidence(frame: Tensor) -> Tensor:
    """How far the motion of each pixel can be seen at all, (N, 1, H, W) in (0, 1]: 1 near anything that has an edge.

    A flat ground that drifts looks the same before and after: to learn its true flow is to learn noise. Found in
    tiles of 8x8 px; H and W are at least 8.
    """
    light = gray(frame)
    across = F.pad((light[..., 1:] - light[..., :-1]).abs(), (0, 1))
    down = F.pad((light[..., 1:, :] - light[..., :-1, :]).abs(), (0, 0, 0, 1))
    edge = (F.max_pool2d(torch.maximum(across, down), 8, ceil_mode=True) > _EDGE).float()
    near = F.max_pool2d(edge, 5, 1, 2).clamp(min=_UNSEEN)
    return F.interpolate(near, scale_factor=8, mode="nearest")[..., : light.shape[-2], : light.shape[-1]]


def staying(flow: Tensor) -> Tensor:
    """1 where the flow (N, 2, H, W) ends inside of the frame, else a little: what left cannot be found."""
    height, width = flow.shape[-2:]
    x = flow[:, :1] + torch.arange(width, device=flow.device)
    y = flow[:, 1:] + torch.arange(height, device=flow.device)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside.float().clamp(min=_LEFT)


def charbonnier(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean of sqrt(d² + ε²): as the mean absolute error, but smooth at 0."""
    return ((drawn - true).square() + _CHARBONNIER_EPS**2).sqrt().mean()


def log_error(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean over samples of ln(mean squared error): PSNR up to sign and scale, so that every sample counts alike."""
    return ((drawn - true).square().mean((1, 2, 3)) + _GOOD_ENOUGH).log().mean()


def laplacian(drawn: Tensor, true: Tensor) -> Tensor:
    """Sum over five bands of size of the mean absolute error (Niklaus & Liu 2018; RIFE's weights).

    The pyramid is linear, so that of the difference is the difference of the pyramids.
    """
    rest = drawn - true
    total = rest.new_zeros(())
    for _ in range(_LEVELS - 1):
        if min(rest.shape[-2:]) < 4:
            break
        small = F.avg_pool2d(rest, 2)
        coarse = F.interpolate(small, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + (rest - coarse).abs().mean()
        rest = small
    return total + rest.abs().mean()


def census(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean soft Hamming distance of 7x7 ternary patterns of gray: structure, whatever the brightness."""
    first, second = gray(drawn), gray(true)
    total = sum((_pattern_gap(first, second, y, x) for y, x in _PAIRS), drawn.new_zeros(()))
    return total / len(_PAIRS)


def _pattern_gap(first: Tensor, second: Tensor, y: int, x: int) -> Tensor:
    height, width = first.shape[-2] - y, first.shape[-1] - abs(x)
    signs = []
    for plane in (first, second):
        here = plane[..., :height, max(-x, 0) : max(-x, 0) + width]
        step = plane[..., y:, max(x, 0) : max(x, 0) + width] - here
        signs.append(step * (step.square() + _TERNARY**2).rsqrt())
    gap = (signs[0] - signs[1]).square()
    return (gap / (0.1 + gap)).mean()


def line(drawn: Tensor, true: Tensor) -> Tensor:
    """How far lines are from where they should be, as a share of 8 px: both directions of the Chamfer distance.

    Drawn lines pay their distance to the true ones (the distance transform of the true line map); true lines pay for
    what is missing of them in ever wider surroundings of the drawing. 0 for equal frames.
    """
    with torch.no_grad():
        wanted = line_map(true)
        gap = distance_to((wanted > 0).to(true.dtype)) / _REACH
    found = line_map(drawn)
    astray = (found * gap).sum() / (wanted.sum() + 1)
    missing, near = drawn.new_zeros(()), found
    for radius in (1, 1, 2, 4):  # in all 1, 2, 4 and 8 px
        near = F.max_pool2d(near, 2 * radius + 1, 1, radius)
        missing = missing + (wanted - near).clamp(min=0).sum() / 4
    return astray + missing / (wanted.sum() + 1)


def line_map(frame: Tensor) -> Tensor:
    """Where a frame is darker than its surroundings, as lines and dark sides of edges are: (N, 1, H, W) in [0, 1]."""
    luma = gray(frame)
    around = (9 * F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False) - luma) / 8
    contrast = (around - luma - _FAINT).clamp(min=0)
    # Never flat, so that a clear line in the wrong place is still pushed.
    return contrast / (contrast + _CLEAR - _FAINT)


def distance_to(marks: Tensor) -> Tensor:
    """Euclidean distance of every pixel to the next mark, at most 8 px. marks: (N, 1, H, W), 1 where marked.

    Exact, and two sweeps of shifted minima, so that it runs where the frames are (Felzenszwalb & Huttenlocher 2012).
    """
    square = (1 - marks) * _REACH**2
    for axis in (-2, -1):
        size = square.shape[axis]
        nearest = square.clone()
        for offset in range(1, min(_REACH, size)):
            low, high = square.narrow(axis, 0, size - offset), square.narrow(axis, offset, size - offset)
            left, right = nearest.narrow(axis, 0, size - offset), nearest.narrow(axis, offset, size - offset)
            torch.minimum(left, high + offset**2, out=left)
            torch.minimum(right, low + offset**2, out=right)
        square = nearest
    return square.clamp(max=_REACH**2).sqrt()


def gray(frame: Tensor) -> Tensor:
    """Luma: (N, 3, H, W) → (N, 1, H, W)."""
    return _GREY[0] * frame[:, :1] + _GREY[1] * frame[:, 1:2] + _GREY[2] * frame[:, 2:]
