"""Join three drawings of one new frame into the frame that is shown, pixel by pixel, by where they agree.

The drawings fail in different places. `cel` copies pixels of the given frames at full size, so its lines are sharp, but
it tears shapes under large motion. The heavy network keeps shapes whole but draws at half the size; RIFE lies between.
So `cel` is taken where it agrees with what the others give, RIFE where it agrees with the heavy network, and the heavy
network elsewhere. Every pixel of the result is a mean of the drawings' pixels: no color is invented.

A U-net that weighs the drawings, trained on half an hour of CPU time, was no better (docs/results.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Two drawings differ by the largest difference over the channels after a Gaussian blur of _SIGMA px, and count alike
# where that is _TOLERANCE levels of 255; over _SOFTNESS levels the share falls from 0.73 to 0.27. Chosen on vector
# animations and scenes of the training material by PSNR, SSIM and LPIPS (docs/results.md).
_SIGMA, _TOLERANCE, _SOFTNESS = 6.0, 6.0, 2.0
_REACH = 4  # sigmas at which the Gaussian is cut off


def restore(sharp: Tensor, middle: Tensor, safe: Tensor) -> Tensor:
    """Join three drawings of one frame.

    Args:
        sharp: (N, C, H, W) float in [0, 1]; kept where it agrees with what the others give together.
        middle: The same; kept where it agrees with `safe`.
        safe: The same; taken elsewhere.

    Returns:
        (N, C, H, W) float32.
    """
    return join(sharp, join(middle, safe))


def join(preferred: Tensor, other: Tensor) -> Tensor:
    """Take `preferred` where it agrees with `other`, softly, and `other` elsewhere.

    Args:
        preferred: (N, C, H, W) float in [0, 1].
        other: The same.

    Returns:
        (N, C, H, W) float32.
    """
    preferred, other = preferred.float(), other.float()
    gap = _blur(preferred - other).abs().amax(1, keepdim=True)
    gap = _blur(F.max_pool2d(gap, 3, 1, 1))
    share = ((_TOLERANCE - 255 * gap) / _SOFTNESS).sigmoid()
    return other + share * (preferred - other)


def _blur(planes: Tensor) -> Tensor:
    """Gaussian blur, the border mirrored, in float32 whatever the precision of the networks."""
    channels, (height, width) = planes.shape[1], planes.shape[-2:]
    with torch.autocast(planes.device.type, enabled=False):
        for axis, length in ((2, height), (3, width)):
            radius = min(round(_REACH * _SIGMA), length - 1)
            x = torch.arange(-radius, radius + 1, device=planes.device, dtype=torch.float32)
            kernel = torch.exp(-0.5 * (x / _SIGMA) ** 2)
            kernel = (kernel / kernel.sum()).view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
            pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
            planes = F.conv2d(F.pad(planes, pad, mode="reflect"), kernel.expand(channels, 1, -1, -1), groups=channels)
    return planes
