"""Tell film grain and coding noise from drawn detail: fine detail that two frames do not share where they else agree.

Detail is a frame's band between two Gaussian blurs. It is grain if it is everywhere, weak, and uncorrelated between
frame 0 and frame 1 brought back along the flow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.studio.blur import gaussian_blur

# Chosen on twenty triplets of a cartoon of 1936 and on textured triplets of the development set (docs/results.md):
# grain correlates by 0.67 at most, drawn texture that is as weak by 0.74 at least.
_FINE, _COARSE = 0.7, 2.0  # px; the band of detail
_AROUND = 3.0  # px
_WEAK, _STRONG = 0.15, 4.0  # levels of 255; weaker is flat, stronger is a line
_SAME = 6.0  # levels by which blurred frames may differ where they agree
_MOST_CORRELATION = 0.7
_FLAT_SHARE, _LEAST_IN_FLAT, _MOST_MEDIAN = 0.1, 0.07, 1.5  # levels: even the flattest tenth has grain, half no more
_LEAST_PIXELS = 2000
_SAMPLED = 1_000_000  # pixels that `torch.quantile` is asked about, which refuses more than 16 million


def is_grainy(frame0: Tensor, frame1: Tensor, flow01: Tensor) -> bool:
    """Whether a pair shows film grain, or noise like it.

    Args:
        frame0: (1, 3, H, W) float RGB in [0, 1].
        frame1: The same.
        flow01: Flow from frame 0 to frame 1, (1, 2, H, W), x first, px.
    """
    with torch.autocast(frame0.device.type, enabled=False):
        gray0, gray1 = (255 * frame.float().mean(1, keepdim=True) for frame in (frame0, frame1))
        if not _is_everywhere(gray0):
            return False
        warped = backward_warp(gray1, flow01.float())
        inside = backward_warp(torch.ones_like(gray1), flow01.float()) > 0.99
        detail0, detail1 = (gaussian_blur(gray, _FINE) - gaussian_blur(gray, _COARSE) for gray in (gray0, warped))
        strength = gaussian_blur((detail0.square() + detail1.square()) / 2, _AROUND).sqrt()
        agree = (gaussian_blur(gray0, _AROUND) - gaussian_blur(warped, _AROUND)).abs() < _SAME
        taken = inside & agree & (strength > _WEAK) & (strength < _STRONG)
        if int(taken.sum()) < _LEAST_PIXELS:
            return False
        first, second = detail0[taken], detail1[taken]
        scale = (first.square().mean() * second.square().mean()).sqrt()
        return bool((first * second).mean() < _MOST_CORRELATION * scale)


def _is_everywhere(gray: Tensor) -> bool:
    """Whether even the flattest parts have detail, and most have little."""
    detail = gray - gaussian_blur(gray, 1.0)
    strength = gaussian_blur(detail.square(), _AROUND).sqrt().flatten()
    strength = strength[:: -(-strength.numel() // _SAMPLED)]
    flat, median = torch.quantile(strength, torch.tensor([_FLAT_SHARE, 0.5], device=gray.device))
    return bool(flat > _LEAST_IN_FLAT and median < _MOST_MEDIAN)
