"""Join several drawings of one new frame: sharp pixels where the drawings agree, the safer one where they do not.

`studio` has three candidates. The project's own (`cel`) copies pixels of the given frames at full size, so its lines
are the sharpest, but it tears shapes under large motion; the heavy network keeps shapes whole, but draws at half the
size; RIFE lies between. Where the blurred candidates differ little, the sharper one is taken.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.options import Restoration


def restore(sharp: Tensor, middle: Tensor, safe: Tensor, rule: Restoration) -> Tensor:
    """The frame joined from three candidates.

    Args:
        sharp: (1, C, H, W) float, in [0, 1]: kept where it agrees with what the others give together.
        middle: The same; kept where it agrees with `safe`.
        safe: The same; taken elsewhere.
        rule: How near is near.

    Returns:
        (1, C, H, W) float.
    """
    return join(sharp, join(middle, safe, rule), rule)


def join(preferred: Tensor, other: Tensor, rule: Restoration) -> Tensor:
    """`preferred` where it agrees with `other`, softly; `other` elsewhere. (1, C, H, W) float in [0, 1]."""
    gap = (_blur(preferred, rule.sigma) - _blur(other, rule.sigma)).abs().amax(1, keepdim=True)
    gap = _blur(F.max_pool2d(gap, 3, 1, 1), rule.sigma)
    share = ((rule.tolerance - 255 * gap) / rule.softness).sigmoid()
    return other + share * (preferred - other)


def _blur(planes: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, the border mirrored; float32 whatever the precision of the networks."""
    radius = min(max(1, round(4 * sigma)), min(planes.shape[-2:]) - 1)
    x = torch.arange(-radius, radius + 1, device=planes.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    channels = planes.shape[1]
    smooth = F.pad(planes.float(), (radius,) * 4, mode="reflect")
    smooth = F.conv2d(smooth, kernel.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(smooth, kernel.transpose(2, 3).expand(channels, 1, -1, 1), groups=channels)
