"""Gaussian blur in float32, whatever the precision of the networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.ops.backend import use_cpu_kernels
from animeinterp.net.ops.parallel import over_rows
from animeinterp.runtime.jit import cached_njit

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
        return _blur_on_cpu(planes, sigma)
    channels, (height, width) = planes.shape[1], planes.shape[-2:]
    with torch.autocast(planes.device.type, enabled=False):
        for axis, length in ((2, height), (3, width)):
            kernel = _kernel(sigma, length).to(planes.device)
            radius = len(kernel) // 2
            kernel = kernel.view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
            pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
            planes = F.conv2d(F.pad(planes, pad, mode="reflect"), kernel.expand(channels, 1, -1, -1), groups=channels)
    return planes


def _blur_on_cpu(planes: Tensor, sigma: float) -> Tensor:
    """Blur by a compiled kernel: PyTorch's depthwise convolution takes ten times as long on a CPU."""
    height, width = planes.shape[-2:]
    kernels = tuple(_kernel(sigma, length).numpy() for length in (height, width))
    sharp = planes.contiguous().numpy().reshape(-1, height, width)
    blurred = np.empty_like(sharp)
    over_rows(_blur_rows, height, sharp, *kernels, blurred)
    return torch.from_numpy(blurred).view(planes.shape)


def _kernel(sigma: float, length: int) -> Tensor:
    """Sample a Gaussian, at most as wide as the mirrored border of an image of that length allows."""
    radius = min(round(_TRUNCATE * sigma), length - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float32) / sigma) ** 2)
    return kernel / kernel.sum()


@cached_njit()
def _blur_rows(first: int, last: int, planes: Any, down: Any, across: Any, blurred: Any) -> None:
    """Blur rows [first, last) of planes (N, H, W): down the columns into a row with mirrored ends, then across."""
    count, height, width = planes.shape
    below, beside = len(down) // 2, len(across) // 2
    row = np.empty(width + 2 * beside, np.float32)
    for n in range(count):
        for y in range(first, last):
            row[:] = 0
            for k in range(len(down)):
                from_y = abs(y + k - below)
                from_y = min(from_y, 2 * (height - 1) - from_y)
                for x in range(width):
                    row[beside + x] += down[k] * planes[n, from_y, x]
            for x in range(beside):
                row[x] = row[2 * beside - x]
                row[beside + width + x] = row[beside + width - 2 - x]
            blurred[n, y] = 0
            for k in range(len(across)):
                for x in range(width):
                    blurred[n, y, x] += across[k] * row[x + k]
