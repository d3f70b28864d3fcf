"""The scores of one image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scores:
    """Of a drawn frame or a part of it, or means of such; see `animeinterp.metrics.image`.

    psnr: dB. ssim: up to 1. ssim_atd: as the published figures for ATD-12K, up to 1. ie: mean error of a color,
    0 to 441. chamfer: line Chamfer distance, share of the diagonal. lpips: LPIPS with AlexNet. What was not measured is
    None; psnr and ssim always are.
    """

    psnr: float
    ssim: float
    ssim_atd: float | None = None
    ie: float | None = None
    chamfer: float | None = None
    lpips: float | None = None
