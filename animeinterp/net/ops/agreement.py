"""Where two drawings of one frame agree: the weight of the preferred one in a blend of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.ops.blur import gaussian_blur


class Agreement(NamedTuple):
    """When two drawings agree, at one scale.

    Attributes:
        sigma: Standard deviation of the Gaussian blur of the difference, px; 0 for none.
        tolerance: Difference, the largest of the channels, at which both have the weight 0.5, levels (1/255).
        softness: Levels below and above the tolerance at which the weight is 0.73 and 0.27.
    """

    sigma: float
    tolerance: float
    softness: float


def agreement_weight(difference: Tensor, scales: Sequence[Agreement]) -> Tensor:
    """Compute the weight of the preferred drawing: both must agree at all scales.

    Args:
        difference: Of the two drawings, (N, C, H, W) float32.
        scales: When they agree, at each scale.

    Returns:
        (N, 1, H, W) in (0, 1).
    """
    return torch.stack([_weight_at(difference, scale) for scale in scales]).amin(0)


def _weight_at(difference: Tensor, scale: Agreement) -> Tensor:
    error = gaussian_blur(difference, scale.sigma) if scale.sigma else difference
    error = F.max_pool2d(error.abs().amax(1, keepdim=True), 3, 1, 1)
    error = gaussian_blur(error, scale.sigma) if scale.sigma else error
    return ((scale.tolerance - 255 * error) / scale.softness).sigmoid()
