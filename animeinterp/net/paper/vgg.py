"""Descriptors of color segments (paper §4.1): VGG features (Simonyan & Zisserman 2015) pooled over each segment.

Four activations of VGG, at full, half, quarter and eighth size, are averaged over each segment (super-pixel pooling,
Liu et al. 2016), concatenated and normalized per segment: minus the minimum, divided by the sum.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animeinterp.errors import FrameError, UsageError
from animeinterp.net.ops.normalization import IMAGENET, normalize
from animeinterp.runtime.jit import cached_njit

Depth = Literal[16, 19]

# Convolutions per stage; a stage ends with 2x2 max pooling (Simonyan & Zisserman 2015, table 1, D and E).
_STAGES: dict[Depth, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)

# Deviation from the published code, which slices torchvision's layers too early and takes the first activation of each
# stage: the paper names the last ones.
PAPER_LAYERS: dict[Depth, tuple[str, ...]] = {
    16: ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
    19: ("relu1_2", "relu2_2", "relu3_4", "relu4_4"),
}


class VGG(nn.Module):
    """The convolutions of VGG-16 or VGG-19 up to the last requested layer, in torchvision's naming."""

    def __init__(self, depth: Depth = 19, layers: tuple[str, ...] | None = None) -> None:
        """Create the layers.

        Args:
            depth: 16 or 19.
            layers: Activations to return, in order of depth, `reluS_C` for stage S, convolution C; None for those of
                the paper.

        Raises:
            UsageError: A layer does not exist, or the order is wrong.
        """
        super().__init__()
        self.depth = depth
        self.layers = PAPER_LAYERS[depth] if layers is None else layers
        modules: list[nn.Module] = []
        index: dict[str, int] = {}
        channels_in = 3
        for stage, (convolutions, channels) in enumerate(zip(_STAGES[depth], _CHANNELS, strict=True), 1):
            for i in range(1, convolutions + 1):
                modules += [nn.Conv2d(channels_in, channels, 3, padding=1), nn.ReLU(inplace=True)]
                index[f"relu{stage}_{i}"] = len(modules) - 1
                channels_in = channels
            modules.append(nn.MaxPool2d(2))
        if not self.layers or any(layer not in index for layer in self.layers):
            raise UsageError(f"VGG-{depth} has the layers {', '.join(index)}; expected some of them, got {self.layers}")
        self._returned = [index[layer] for layer in self.layers]
        if self._returned != sorted(set(self._returned)):
            raise UsageError(f"layers must be in order of depth, each once; got {self.layers}")
        self.features = nn.Sequential(*modules[: self._returned[-1] + 1])
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) RGB in [0, 1] to one activation per layer; each stage halves the size, rounded down."""
        x = normalize(image, *IMAGENET).contiguous(memory_format=torch.channels_last)
        activations = []
        for i, module in enumerate(self.features):
            x = module(x)
            if i in self._returned:
                # The ReLUs are in place, but nothing after one writes to its output: pooling and convolution copy.
                activations.append(x)
        return activations


class SegmentDescriptor:
    """Describes the color segments of a frame by VGG features."""

    def __init__(self, vgg: VGG, bf16: bool = False) -> None:
        """Keep the network.

        Args:
            vgg: The network, on its device.
            bf16: Compute features in bfloat16; means stay float64.
        """
        self._vgg = vgg
        self._bf16 = bf16

    @property
    def network(self) -> VGG:
        """The network that computes the features."""
        return self._vgg

    def describe(self, frame: NDArray[np.uint8], labels: NDArray[np.int32], count: int) -> NDArray[np.float32]:
        """Describe each segment.

        A segment that vanishes when the label map is subsampled is 0 at that level; the reference divides by zero.

        Args:
            frame: uint8 (H, W, 3) RGB, at least 8x8.
            labels: Segment of each pixel, int32 (H, W) in 0..count-1.
            count: Number of segments.

        Returns:
            float32 (count, C), C the sum of the layers' channels; rows are at least 0 and sum to 1.

        Raises:
            FrameError: Frame or labels have another shape, dtype or range.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or min(frame.shape[:2]) < 8:
            raise FrameError(f"describe: frame is uint8 (H, W, 3), at least 8x8; got {frame.dtype} {frame.shape}")
        if labels.shape != frame.shape[:2]:
            raise FrameError(f"describe: labels must be {frame.shape[:2]} like the frame, got {labels.shape}")
        if labels.min() < 0 or labels.max() >= count:
            raise FrameError(f"describe: labels must be 0..{count - 1}, got {labels.min()}..{labels.max()}")
        device = next(self._vgg.parameters()).device
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self._bf16):
            levels = self._vgg(image)
        pooled = []
        for level in levels:
            # Label maps of later stages are subsampled at odd positions: sizes round down as in VGG.
            while labels.shape[0] > level.shape[2]:
                labels = labels[1::2, 1::2]
            pooled.append(pool(level, labels, count))
        return _normalized(np.concatenate(pooled, axis=1))


def pool(features: Tensor, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Average each channel of (1, C, H, W) over each segment of labels (H, W): (count, C), 0 where empty."""
    # Always on the CPU and in float64: sums on a GPU have no fixed order.
    rows = features[0].float().permute(1, 2, 0).contiguous().cpu().numpy()
    sums = np.zeros((count, rows.shape[2]))
    _accumulate(rows, np.ascontiguousarray(labels), sums)
    area = np.bincount(labels.ravel(), minlength=count)
    means: NDArray[np.float64] = sums / np.maximum(area, 1)[:, None]
    return means


def _normalized(pooled: NDArray[np.float64]) -> NDArray[np.float32]:
    lifted = pooled - pooled.min(axis=1, keepdims=True)
    total = lifted.sum(axis=1, keepdims=True)
    # A segment whose features are all equal stays 0.
    normalized: NDArray[np.float32] = (lifted / np.where(total > 0, total, 1)).astype(np.float32)
    return normalized


@cached_njit()
def _accumulate(rows: Any, labels: Any, sums: Any) -> None:
    height, width, channels = rows.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                sums[labels[y, x], c] += rows[y, x, c]
