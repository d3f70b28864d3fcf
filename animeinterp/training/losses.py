"""What training minimises: mistakes of the flow and of the drawn frame.

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
# Below this mean squared error, 50 dB, nobody sees a difference.
_INVISIBLE = 1e-5
# Half of a 7x7 window without its middle: the other half are the same pairs of pixels.
_PAIRS = [(y, x) for y, x in product(range(4), range(-3, 4)) if (y, x) > (0, 0)]
_TERNARY = 0.9 / 255  # difference at which a pixel counts as 0.7 brighter, Meister et al. 2018


def sequence_loss(steps: Sequence[Tensor], true: Tensor, known: Tensor, decay: float) -> Tensor:
    """Mean error of every step of a flow where the truth is known, the last counting most (RAFT, eq. 7).

    steps: flows, first to last. true: (N, 2, H, W). known: (N, 1, H, W), 1 where the true flow is known.
    Pixels of unknown flow count as right, so that a batch that says little also pulls little.
    """
    shares = [decay ** (len(steps) - 1 - index) for index in range(len(steps))]
    errors = [share * ((step - true).abs() * known).mean() for share, step in zip(shares, steps, strict=True)]
    return torch.stack(errors).sum()


def charbonnier(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean of sqrt(d² + ε²): as the mean absolute error, but smooth at 0."""
    return ((drawn - true).square() + _CHARBONNIER_EPS**2).sqrt().mean()


def log_error(drawn: Tensor, true: Tensor) -> Tensor:
    """Mean over samples of ln(mean squared error): PSNR up to sign and scale, so that every sample counts alike."""
    return ((drawn - true).square().mean((1, 2, 3)) + _INVISIBLE).log().mean()


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
    """Mean soft Hamming distance of 7x7 ternary patterns of grey: structure, whatever the brightness."""
    # One stack, so that pairs are cut once for both.
    both = F.pad(torch.stack([grey(drawn), grey(true)]), (3, 3, 0, 3))
    height, width = drawn.shape[-2:]
    middle = both[..., :height, 3 : 3 + width]
    total = drawn.new_zeros(())
    for y, x in _PAIRS:
        step = both[..., y : y + height, 3 + x : 3 + x + width] - middle
        sign = step * (step.square() + _TERNARY**2).rsqrt()
        gap = (sign[0] - sign[1]).square()
        total = total + (gap / (0.1 + gap)).mean()
    return total / len(_PAIRS)


def grey(frame: Tensor) -> Tensor:
    """Luma: (N, 3, H, W) → (N, 1, H, W)."""
    return _GREY[0] * frame[:, :1] + _GREY[1] * frame[:, 1:2] + _GREY[2] * frame[:, 2:]
