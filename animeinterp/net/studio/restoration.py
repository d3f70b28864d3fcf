"""Join three drawings of one new frame, pixel by pixel, by where they agree.

The drawings fail in different places. `cel` copies pixels of the source frames at full size, so that its lines are
sharp, but it tears shapes under large motion. GMFSS keeps shapes whole but draws at half the size; RIFE is in between.
So `cel` is used where it agrees with the other two, RIFE where it agrees with GMFSS, and GMFSS elsewhere. Every pixel
of the result is a weighted mean of the drawings' pixels, so that no new color appears.

On grainy film `cel` is left out and the transition is narrower: a mixture has less grain than either drawing, and
viewers notice. There RIFE's faint checkerboard of 2 px is removed; elsewhere it is not visible.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from animeinterp.net.ops.agreement import Agreement, agreement_weight
from animeinterp.net.ops.blur import gaussian_blur

# Chosen on vector animations and scenes of the training material by PSNR, SSIM and LPIPS, and on twenty triplets of a
# cartoon of 1936 (docs/results.md). Drawings must agree at all scales: the fine one removes specks of `cel`.
CLEAN = (Agreement(sigma=6.0, tolerance=6.0, softness=2.0), Agreement(sigma=1.5, tolerance=32.0, softness=6.0))
GRAINY = (Agreement(sigma=1.5, tolerance=16.0, softness=1.5),)
CHECKERBOARD_SIGMA = 1.0  # px; blur of the local amplitude of the checkerboard


def restore(cel: Tensor, rife: Tensor, gmfss: Tensor, grainy: bool = False) -> Tensor:
    """Join three drawings of one frame.

    Args:
        cel: Drawn by `cel`, (N, C, H, W) float in [0, 1]; used where it agrees with the other two joined.
        rife: Drawn by RIFE, same shape; used where it agrees with `gmfss`.
        gmfss: Drawn by GMFSS, same shape; used elsewhere.
        grainy: Whether the frames show film grain (`animeinterp.net.ops.grain`).

    Returns:
        (N, C, H, W) float32.
    """
    if grainy:
        return join(_remove_checkerboard(rife), gmfss, GRAINY)
    return join(cel, join(rife, gmfss, CLEAN), CLEAN)


def join(preferred: Tensor, fallback: Tensor, scales: Sequence[Agreement]) -> Tensor:
    """Blend `preferred` where it agrees with `fallback`, and `fallback` elsewhere.

    Args:
        preferred: (N, C, H, W) float in [0, 1].
        fallback: Same shape.
        scales: When they agree, at each of several scales.

    Returns:
        (N, C, H, W) float32.
    """
    preferred, fallback = preferred.float(), fallback.float()
    difference = preferred - fallback
    return fallback + agreement_weight(difference, scales) * difference


def _remove_checkerboard(planes: Tensor) -> Tensor:
    """Remove from planes (N, C, H, W) the component that alternates from pixel to pixel along both axes."""
    y, x = (torch.arange(length, device=planes.device) for length in planes.shape[-2:])
    sign = 1.0 - 2.0 * ((y[:, None] + x) % 2)
    return planes.float() - sign * gaussian_blur(planes.float() * sign, CHECKERBOARD_SIGMA)
