"""Detect film grain and coding noise: weak fine detail that two frames do not share where they otherwise agree.

Detail is a frame's band between two Gaussian blurs. It is grain if it is present everywhere, weak, and uncorrelated
between frame 0 and frame 1 warped onto it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from animeinterp.net.ops.blur import gaussian_blur
from animeinterp.net.ops.geometry import backward_warp


@dataclass(frozen=True, slots=True)
class GrainLimits:
    """What counts as grain.

    Chosen on twenty triplets of a cartoon of 1936 and on textured triplets of the development set (docs/results.md):
    grain correlates by 0.67 at most, drawn texture that is as weak by 0.74 at least. Levels are 1/255 of the range.

    Attributes:
        fine_sigma: Standard deviation of the finer blur of the band, px.
        coarse_sigma: That of the coarser blur, px.
        window_sigma: Standard deviation of the Gaussian window of local means, px.
        min_strength: Weaker detail is flat paint, levels.
        max_strength: Stronger detail is a line, levels.
        max_difference: Blurred frames agree up to this difference, levels.
        max_correlation: Correlation of the detail of both frames, at most.
        min_pixels: Pixels compared, at least.
        max_flat: Fraction of the image that may be flat, which is …
        flat_strength: … where detail is at most as strong as this, levels.
        max_median_strength: In half of the image detail is weaker than this, levels.
        pixels: Larger frames are examined in a part of about this area in their middle; grain is everywhere.
    """

    fine_sigma: float = 0.7
    coarse_sigma: float = 2.0
    window_sigma: float = 3.0
    min_strength: float = 0.15
    max_strength: float = 4.0
    max_difference: float = 6.0
    max_correlation: float = 0.7
    min_pixels: int = 2000
    max_flat: float = 0.1
    flat_strength: float = 0.07
    max_median_strength: float = 1.5
    pixels: int = 960 * 540


GRAIN_LIMITS = GrainLimits()


def is_grainy(frame0: Tensor, frame1: Tensor, flow01: Tensor, limits: GrainLimits = GRAIN_LIMITS) -> bool:
    """Whether a pair shows film grain, or similar noise.

    Args:
        frame0: (1, 3, H, W) float, RGB in [0, 1].
        frame1: Same shape.
        flow01: Flow from frame 0 to frame 1, (1, 2, H, W), x first, px.
        limits: What counts as grain.
    """
    middle = _middle(frame0.shape[-2:], limits.pixels)
    frame0, frame1, flow01 = frame0[..., *middle], frame1[..., *middle], flow01[..., *middle]
    with torch.autocast(frame0.device.type, enabled=False):
        gray0, gray1 = (255 * frame.float().mean(1, keepdim=True) for frame in (frame0, frame1))
        if not _has_detail_everywhere(gray0, limits):
            return False
        warped = backward_warp(gray1, flow01.float())
        inside = backward_warp(torch.ones_like(gray1), flow01.float()) > 0.99
        detail0, detail1 = (
            gaussian_blur(gray, limits.fine_sigma) - gaussian_blur(gray, limits.coarse_sigma)
            for gray in (gray0, warped)
        )
        strength = gaussian_blur((detail0.square() + detail1.square()) / 2, limits.window_sigma).sqrt()
        difference = (gaussian_blur(gray0, limits.window_sigma) - gaussian_blur(warped, limits.window_sigma)).abs()
        agrees = inside & (difference < limits.max_difference)
        compared = agrees & (strength > limits.min_strength) & (strength < limits.max_strength)
        if int(compared.sum()) < limits.min_pixels:
            return False
        first, second = detail0[compared], detail1[compared]
        scale = (first.square().mean() * second.square().mean()).sqrt()
        return bool((first * second).mean() < limits.max_correlation * scale)


def _middle(size: Sequence[int], pixels: int) -> tuple[slice, slice]:
    """Return the rows and columns of a part with the frame's center and aspect ratio, of at most so many pixels."""
    share = min(1.0, (pixels / (size[0] * size[1])) ** 0.5)
    starts, lengths = zip(*((round(n * (1 - share) / 2), max(1, round(n * share))) for n in size), strict=True)
    rows, columns = (slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
    return rows, columns


def _has_detail_everywhere(gray: Tensor, limits: GrainLimits) -> bool:
    """Whether even the flattest parts have detail, and most parts have little."""
    detail = gray - gaussian_blur(gray, 1.0)
    strength = gaussian_blur(detail.square(), limits.window_sigma).sqrt()
    flat, weak = ((strength <= limit).float().mean() for limit in (limits.flat_strength, limits.max_median_strength))
    return bool(flat < limits.max_flat and weak > 0.5)  # without quantiles, which would sort the pixels
