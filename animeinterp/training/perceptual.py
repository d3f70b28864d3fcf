"""Perceptual losses on features of VGG-16: LPIPS (Zhang et al. 2018) and the Gram-matrix loss (Reda et al. 2022, FILM).

Both share one pass of the network. LPIPS compares features pixel by pixel. The Gram-matrix loss, also called style
loss, compares which features occur together, wherever they are: a blurred or doubled line costs more than a sharp line
that is slightly off, which the average of all plausible positions is not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.metrics.lpips import LPIPS

_SQUARE_STEP = 8  # px between the positions of squares
_MIN_WEIGHT = 1e-5  # of a square, so that samples without any error have squares too
_MIN_NORM = 1e-8  # squared, of a Gram matrix; images have 1e-3 and more


class PerceptualLosses(nn.Module):
    """LPIPS and Gram-matrix loss of a random square of each sample.

    Args:
        lpips: LPIPS with VGG-16.
        size: Side of the squares, px; 0 or more than a sample has for the whole sample.
        names: Which to compute, out of `lpips` and `gram`.
    """

    def __init__(self, lpips: LPIPS, size: int, names: tuple[str, ...]) -> None:
        super().__init__()
        self.lpips, self.size, self.names = lpips, size, names

    def forward(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute the losses, differentiable in `prediction`. Positions are drawn by torch's default generator.

        Args:
            prediction: (N, 3, H, W) RGB, clamped to [0, 1] here.
            target: (N, 3, H, W) RGB in [0, 1].

        Returns:
            Scalars by name, float32 also under autocast.
        """
        drawn = prediction.float().clamp(0, 1)
        drawn, true = crop_squares((drawn, target), self.size, (drawn.detach() - target).abs().mean(1))
        features = self.lpips.network(drawn)
        with torch.no_grad():
            expected = self.lpips.network(true)
        losses = {}
        if "lpips" in self.names:
            losses["lpips"] = torch.stack([level.mean() for level in self.lpips.compare(features, expected)]).sum()
        if "gram" in self.names:
            pairs = zip(features, expected, strict=True)
            losses["gram"] = torch.stack([gram_distance(level, true_level) for level, true_level in pairs]).sum()
        return losses


def crop_squares(images: tuple[Tensor, ...], size: int, weights: Tensor) -> tuple[Tensor, ...]:
    """Cut the same random square of each sample out of all images.

    Most of a sample moves little and is right; there the losses would cost as much and teach nothing. So squares are
    drawn with probabilities proportional to the mean weight inside.

    Args:
        images: Each (N, C, H, W).
        size: Side of the squares, px; 0 returns the images, and so does more than the shorter side.
        weights: Of the pixels, (N, H, W), at least 0.

    Returns:
        Each (N, C, size, size).
    """
    _, _, height, width = images[0].shape
    if not 0 < size < min(height, width):
        return images
    means = F.avg_pool2d(weights[:, None].float(), size, _SQUARE_STEP) + _MIN_WEIGHT
    columns = means.shape[-1]
    chosen = [divmod(int(cell), columns) for cell in torch.multinomial(means.flatten(1), 1)[:, 0]]
    corners = [(n, row * _SQUARE_STEP, column * _SQUARE_STEP) for n, (row, column) in enumerate(chosen)]
    return tuple(torch.stack([image[n, :, y : y + size, x : x + size] for n, y, x in corners]) for image in images)


def gram_distance(features: Tensor, expected: Tensor) -> Tensor:
    """Compute the squared Frobenius distance of Gram matrices, relative to the true one's norm, mean over samples.

    A Gram matrix is the mean over pixels of the products of two channels, divided by the number of channels. It is
    relative, because the distances of VGG-16's third stage are else 100 times those of its fifth.

    Args:
        features: (N, C, h, w).
        expected: Of the same shape.

    Returns:
        A scalar, float32 also under autocast.
    """
    true = _gram(expected)
    squared = (_gram(features) - true).square().sum((1, 2))
    return (squared / true.square().sum((1, 2)).clamp(min=_MIN_NORM)).mean()


def _gram(features: Tensor) -> Tensor:
    """Compute the Gram matrix of (N, C, h, w): (N, C, C) float32."""
    # bf16 would lose the last digits of sums over all pixels.
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])
