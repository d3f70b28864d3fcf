"""The scores of one frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a drawn frame or a part of it, or means of such; see `animeinterp.metrics.image`.

    Attributes:
        psnr: PSNR, dB; infinite for equal frames.
        ssim: SSIM, at most 1.
        ssim_atd: SSIM as in the published figures for ATD-12K, at most 1; None if not measured.
        ie: Interpolation error, the mean distance of two colors, 0 to 441; None if not measured.
        chamfer: Line Chamfer distance as a fraction of the diagonal; None if not measured.
        lpips: LPIPS with AlexNet; None if not measured.
    """

    psnr: float
    ssim: float
    ssim_atd: float | None = None
    ie: float | None = None
    chamfer: float | None = None
    lpips: float | None = None
