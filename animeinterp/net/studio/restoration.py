"""Join several candidates of one new frame into the frame that is shown, pixel by pixel.

The candidates fail in different places. `cel` copies pixels of the given frames at full size, so its lines are sharp,
but it tears shapes under large motion. The heavy network keeps shapes whole but draws at half the size; RIFE lies
between.

A rule weighs the candidates by where they agree: `cel` where it agrees with what the others give, RIFE where it agrees
with the heavy network, the heavy network elsewhere. A U-net changes the logarithms of these weights; untrained, it is
the rule. Every pixel of the result is a convex combination of the candidates' pixels, so no color is invented and flat
colors stay flat.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.encoder import Block, padded

CANDIDATES = 3  # cel, RIFE, heavy network
WIDTHS = (32, 48, 64, 96)  # channels at 1/2, 1/4, 1/8, 1/16
# The rule, chosen on ten hard triplets of the development set and twenty of other titles: two candidates differ by the
# largest difference over the channels after a blur of _SIGMA px, and count alike where that is _TOLERANCE levels of
# 255; over _SOFTNESS levels the share falls from 0.73 to 0.27.
_SIGMA, _TOLERANCE, _SOFTNESS = 1.5, 16.0, 4.0
_RADIUS = 6  # px of the blur
_LEAST = 0.003  # weight that the rule leaves to every candidate, for the U-net to raise
# Adam moves every weight alike, and logits that run away at once leave no gradient to place them by.
_GAIN = 0.1
_INPUTS = 3 * CANDIDATES + 3 * 2


class Restoration(nn.Module):
    """Candidates and frames → weights of the candidates."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        self.down2 = Block(4 * _INPUTS, half)
        self.down4 = Block(half, quarter, stride=2)
        self.down8 = Block(quarter, eighth, stride=2)
        self.down16 = Block(eighth, sixteenth, stride=2)
        self.up8 = Block(sixteenth + eighth, eighth)
        self.up4 = Block(eighth + quarter, quarter)
        self.up2 = Block(quarter + half, half)
        self.head = nn.Conv2d(half, 4 * CANDIDATES, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, candidates: Sequence[Tensor], frames: Sequence[Tensor]) -> Tensor:
        """Predict how much each candidate counts.

        Args:
            candidates: Drawn by `cel`, RIFE and the heavy network, (N, 3, H, W) float RGB in [0, 1] each.
            frames: Frames 0 and 1, of the same form.

        Returns:
            (N, CANDIDATES, H, W) float32, summing to 1.
        """
        height, width = candidates[0].shape[-2:]
        inputs = padded(2 * torch.cat([*candidates, *frames], 1) - 1)
        x2 = self.down2(F.pixel_unshuffle(inputs, 2).contiguous(memory_format=torch.channels_last))
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        y8 = self.up8(torch.cat([_twice(x16), x8], 1))
        y4 = self.up4(torch.cat([_twice(y8), x4], 1))
        y2 = self.up2(torch.cat([_twice(y4), x2], 1))
        logits = F.pixel_shuffle(self.head(y2), 2)[..., :height, :width]
        weights: Tensor = (_GAIN * logits.float() + rule(candidates).log()).softmax(1)
        return weights


def rule(candidates: Sequence[Tensor]) -> Tensor:
    """Weigh the candidates by where they agree.

    Args:
        candidates: As for `Restoration`.

    Returns:
        (N, CANDIDATES, H, W) float32, at least `_LEAST`, summing to about 1.
    """
    sharp, middle, safe = (planes.float() for planes in candidates)
    middle_share = _agreement(middle, safe)
    sharp_share = _agreement(sharp, safe + middle_share * (middle - safe))
    rest = 1 - sharp_share
    shares = [sharp_share, rest * middle_share, rest * (1 - middle_share)]
    return torch.cat(shares, 1).clamp(min=_LEAST)


def _agreement(a: Tensor, b: Tensor) -> Tensor:
    """How far two drawings (N, 3, H, W) agree: (N, 1, H, W) in (0, 1)."""
    gap = (_blur(a) - _blur(b)).abs().amax(1, keepdim=True)
    gap = _blur(F.max_pool2d(gap, 3, 1, 1))
    return ((_TOLERANCE - 255 * gap) / _SOFTNESS).sigmoid()


def _blur(planes: Tensor) -> Tensor:
    """Gaussian blur, the border mirrored, in float32 whatever the precision of the networks."""
    x = torch.arange(-_RADIUS, _RADIUS + 1, device=planes.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / _SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    channels = planes.shape[1]
    with torch.autocast(planes.device.type, enabled=False):
        smooth = F.pad(planes, (_RADIUS,) * 4, mode="reflect")
        smooth = F.conv2d(smooth, kernel.expand(channels, 1, 1, -1), groups=channels)
        return F.conv2d(smooth, kernel.transpose(2, 3).expand(channels, 1, -1, 1), groups=channels)


def join(candidates: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Combine candidates.

    Args:
        candidates: (N, C, H, W) float each.
        weights: Of `Restoration`, for each candidate.

    Returns:
        (N, C, H, W) float32.
    """
    joined = torch.zeros_like(candidates[0], dtype=torch.float32)
    for index, planes in enumerate(candidates):
        joined += weights[:, index : index + 1] * planes
    return joined


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
