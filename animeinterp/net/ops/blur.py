"""Gaussian blur in float32, whatever the precision of the networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUNCATE = 4  # sigmas


def gaussian_blur(planes: Tensor, sigma: float) -> Tensor:
    """Blur planes by a Gaussian; the border is mirrored.

    Args:
        planes: (N, C, H, W) float32.
        sigma: Standard deviation, px.

    Returns:
        (N, C, H, W) float32, also under autocast.
    """
    channels, (height, width) = planes.shape[1], planes.shape[-2:]
    with torch.autocast(planes.device.type, enabled=False):
        for axis, length in ((2, height), (3, width)):
            radius = min(round(_TRUNCATE * sigma), length - 1)
            x = torch.arange(-radius, radius + 1, device=planes.device, dtype=torch.float32)
            kernel = torch.exp(-0.5 * (x / sigma) ** 2)
            kernel = (kernel / kernel.sum()).view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
            pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
            planes = F.conv2d(F.pad(planes, pad, mode="reflect"), kernel.expand(channels, 1, -1, -1), groups=channels)
    return planes
