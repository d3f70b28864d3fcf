"""Bring images to the range that a network was trained on."""

from __future__ import annotations

from torch import Tensor

# Mean and standard deviation per channel, RGB in [0, 1].
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # [0, 1] → [-1, 1]: the paper's networks
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # VGG and AlexNet


def normalize(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Compute (x - mean) / std per channel of a floating-point image (..., C, H, W)."""
    return (image - image.new_tensor(mean).view(-1, 1, 1)) / image.new_tensor(std).view(-1, 1, 1)
