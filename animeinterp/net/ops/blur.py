"""Gaussian blur in float32, whatever the precision of the networks."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.ops.backend import use_cpu_kernels

_TRUNCATE = 4  # sigmas


def gaussian_blur(planes: Tensor, sigma: float) -> Tensor:
    """Blur planes by a Gaussian; the border is mirrored.

    Args:
        planes: (N, C, H, W) float32.
        sigma: Standard deviation, px.

    Returns:
        (N, C, H, W) float32, also under autocast.
    """
    if use_cpu_kernels(planes, differentiable=False):
        return _blur_by_opencv(planes, sigma)
    channels, (height, width) = planes.shape[1], planes.shape[-2:]
    with torch.autocast(planes.device.type, enabled=False):
        for axis, length in ((2, height), (3, width)):
            radius = _radius(sigma, length)
            x = torch.arange(-radius, radius + 1, device=planes.device, dtype=torch.float32)
            kernel = torch.exp(-0.5 * (x / sigma) ** 2)
            kernel = (kernel / kernel.sum()).view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
            pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
            planes = F.conv2d(F.pad(planes, pad, mode="reflect"), kernel.expand(channels, 1, -1, -1), groups=channels)
    return planes


def _blur_by_opencv(planes: Tensor, sigma: float) -> Tensor:
    """Blur plane by plane: PyTorch's depthwise convolution takes twenty times as long on a CPU."""
    blurred = np.empty(tuple(planes.shape), np.float32)
    height, width = planes.shape[-2:]
    size = 2 * _radius(sigma, width) + 1, 2 * _radius(sigma, height) + 1
    for index in np.ndindex(*planes.shape[:2]):
        plane = planes[index].float().contiguous().numpy()
        blurred[index] = cv2.GaussianBlur(plane, size, sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101)
    return torch.from_numpy(blurred)


def _radius(sigma: float, length: int) -> int:
    return min(round(_TRUNCATE * sigma), length - 1)
