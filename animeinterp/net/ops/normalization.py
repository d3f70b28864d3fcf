"""Frames to the range a network was trained on, and back."""

from __future__ import annotations

from torch import Tensor

# Channel means and deviations, RGB of range 0..1.
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # [0, 1] → [-1, 1]: the paper's networks
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # VGG [2]


def normalize(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x - mean) / std per channel; image (..., C, H, W) floating point."""
    return (image - _per_channel(image, mean)) / _per_channel(image, std)


def denormalize(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The inverse of `normalize`: x std + mean.

    Written as one "normalize" it has mean -mean/std and std 1/std, not -mean (system §4).
    """
    return image * _per_channel(image, std) + _per_channel(image, mean)


def _per_channel(image: Tensor, values: tuple[float, ...]) -> Tensor:
    return image.new_tensor(values).view(-1, 1, 1)
