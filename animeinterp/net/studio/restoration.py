"""Join three drawings of one new frame into the frame that is shown, pixel by pixel, by where they agree.

The drawings fail in different places. `cel` copies pixels of the given frames at full size, so its lines are sharp, but
it tears shapes under large motion. The heavy network keeps shapes whole but draws at half the size; RIFE lies between.
So `cel` is taken where it agrees with what the others give, RIFE where it agrees with the heavy network, and the heavy
network elsewhere. Every pixel of the result is a mean of the drawings' pixels: no color is invented.

On grainy film `cel` is left out and the choice is harder: a mixture has less grain than either frame, and viewers see
it. RIFE's faint checkerboard of 2 px is removed there; elsewhere it does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.studio.blur import gaussian_blur


class Agreement(NamedTuple):
    """When two drawings agree.

    They differ by the largest difference over the channels after a Gaussian blur of `sigma` px, and count alike where
    that is `tolerance` levels of 255; over `softness` levels the share falls from 0.73 to 0.27.
    """

    sigma: float
    tolerance: float
    softness: float


# Chosen on vector animations and scenes of the training material by PSNR, SSIM and LPIPS, and on twenty triplets of a
# cartoon of 1936 (docs/results.md). All of a rule's scales must agree: the fine one takes out `cel`'s specks.
CLEAN = (Agreement(sigma=6.0, tolerance=6.0, softness=2.0), Agreement(sigma=1.5, tolerance=32.0, softness=6.0))
GRAINY = (Agreement(sigma=1.5, tolerance=16.0, softness=1.5),)
_CHECKERS = 1.0  # px; sigma of the blur that finds how strong the checkerboard is


def restore(sharp: Tensor, middle: Tensor, safe: Tensor, grainy: bool = False) -> Tensor:
    """Join three drawings of one frame.

    Args:
        sharp: Drawn by `cel`, (N, C, H, W) float in [0, 1]; kept where it agrees with what the others give together.
        middle: Drawn by RIFE; kept where it agrees with `safe`.
        safe: Drawn by the heavy network; taken elsewhere.
        grainy: Whether the frames show film grain (`animeinterp.net.studio.grain`).

    Returns:
        (N, C, H, W) float32.
    """
    if grainy:
        return join(_without_checkers(middle), safe, GRAINY)
    return join(sharp, join(middle, safe, CLEAN), CLEAN)


def join(preferred: Tensor, other: Tensor, rule: Sequence[Agreement]) -> Tensor:
    """Take `preferred` where it agrees with `other`, softly, and `other` elsewhere.

    Args:
        preferred: (N, C, H, W) float in [0, 1].
        other: The same.
        rule: When they agree, at each of several scales.

    Returns:
        (N, C, H, W) float32.
    """
    preferred, other = preferred.float(), other.float()
    share = torch.stack([_share(preferred - other, scale) for scale in rule]).amin(0)
    return other + share * (preferred - other)


def _share(difference: Tensor, scale: Agreement) -> Tensor:
    """How far drawings with this difference agree: (N, 1, H, W) in (0, 1)."""
    gap = gaussian_blur(difference, scale.sigma).abs().amax(1, keepdim=True)
    gap = gaussian_blur(F.max_pool2d(gap, 3, 1, 1), scale.sigma)
    return ((scale.tolerance - 255 * gap) / scale.softness).sigmoid()


def _without_checkers(planes: Tensor) -> Tensor:
    """Planes (N, C, H, W) without what alternates from pixel to pixel both ways."""
    y, x = (torch.arange(length, device=planes.device) for length in planes.shape[-2:])
    sign = 1.0 - 2.0 * ((y[:, None] + x) % 2)
    return planes.float() - sign * gaussian_blur(planes.float() * sign, _CHECKERS)
