"""The importance of each pixel for splatting: the metric network of GMFSS Fortuna.

Attribute names are those of its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.layers import PReLU

MAX_LOG_IMPORTANCE = 10.0
# Occluded: forward-backward error above this fraction of the motion plus these px (Meister et al. 2018).
_OCCLUSION_FRACTION, _OCCLUSION_PX = 0.01, 0.5


class Metric(nn.Module):
    """Z of softmax splatting for both frames, in [-10, 10], from color error, flow and occlusion."""

    def __init__(self) -> None:
        super().__init__()
        self.metric_in = nn.Conv2d(14, 64, 3, padding=1)
        self.metric_net1, self.metric_net2, self.metric_net3 = (_activate_convolve(64, 64) for _ in range(3))
        self.metric_out = _activate_convolve(64, 2)

    def forward(self, frame0: Tensor, frame1: Tensor, flow01: Tensor, flow10: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the log importance of both frames.

        Args:
            frame0: (N, 3, H, W) float, RGB in [0, 1].
            frame1: Same shape.
            flow01: (N, 2, H, W), x first, px.
            flow10: Same shape.

        Returns:
            Z of frame 0 and of frame 1, (N, 1, H, W) float32 each.
        """
        errors = [
            -(frame0 - backward_warp(frame1, flow01)).abs().mean(1, keepdim=True),
            -(frame1 - backward_warp(frame0, flow10)).abs().mean(1, keepdim=True),
        ]
        occluded = [_mark_occluded(flow01, flow10), _mark_occluded(flow10, flow01)]
        height, width = flow01.shape[-2:]
        half_size = flow01.new_tensor([(width - 1) / 2, (height - 1) / 2]).view(1, 2, 1, 1)
        x = self.metric_in(torch.cat([frame0, frame1, *errors, flow01 / half_size, flow10 / half_size, *occluded], 1))
        for layer in (self.metric_net1, self.metric_net2, self.metric_net3):
            x = x + layer(x)
        z0, z1 = (MAX_LOG_IMPORTANCE * torch.tanh(self.metric_out(x).float())).chunk(2, 1)
        return z0, z1


def _mark_occluded(flow: Tensor, reverse_flow: Tensor) -> Tensor:
    """Mark pixels whose forward-backward error is large, by 1: (N, 1, H, W)."""
    lengths = flow.norm(dim=1, keepdim=True) + reverse_flow.norm(dim=1, keepdim=True)
    error = (flow + backward_warp(reverse_flow, flow)).norm(dim=1, keepdim=True)
    occluded: Tensor = (error > _OCCLUSION_FRACTION * lengths + _OCCLUSION_PX).to(flow.dtype)
    return occluded


def _activate_convolve(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(PReLU(inplace=False), nn.Conv2d(channels_in, channels, 3, padding=1))
