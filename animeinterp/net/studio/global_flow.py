"""GMFlow: optical flow by global matching, then local refinement (Xu et al. 2022; two scales).

At 1/8 every pixel is compared with every pixel of the other frame, and its flow is the expected displacement; pixels
without a match take the flow of pixels with similar features (self-attention). At 1/4 the second frame is warped by
that flow and matched again within ±4 px. A learned convex combination upsamples the flow to full size.

Differences from the published network, none of which change its result: the features of a frame are computed once
(`encode`); both directions share the transformer at 1/8; score matrices are computed in parts; consecutive projections
are multiplied first (`attention.py`).

Flow is (N, 2, H, W) float32, x first, px of the input's size. Under the caller's `torch.autocast`, convolutions and
projections run in bf16; matching, coordinates and flow stay in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.net.ops.geometry import backward_warp, pixel_grid
from animeinterp.net.studio.attention import Transformer, add_position, attend

CHANNELS = 128
_RADIUS = 4  # px at 1/4
_TILE = 8  # px at 1/4, see `_match_locally`
_WINDOWS = (2, 8)  # per side, at 1/8 and 1/4
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class MatchingFeatures(NamedTuple):
    """Matching features of one frame.

    Attributes:
        eighth: (N, 128, H/8, W/8).
        quarter: (N, 128, H/4, W/4).
    """

    eighth: Tensor
    quarter: Tensor


class _Residual(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        changes_shape = stride != 1 or channels_in != channels
        self.downsample = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride)) if changes_shape else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.instance_norm(self.conv1(x)).relu_()
        y = F.instance_norm(self.conv2(y)).relu_()
        shortcut = x if self.downsample is None else F.instance_norm(self.downsample(x))
        return (shortcut + y).relu_()


class _SharedConvolution(nn.Module):
    """One kernel at two strides: features at 1/4 and 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(CHANNELS, CHANNELS, 3, 3).normal_(0, (2 / (9 * CHANNELS)) ** 0.5))

    def forward(self, x: Tensor) -> MatchingFeatures:
        quarter, eighth = (F.conv2d(x, self.weight, stride=stride, padding=1) for stride in (1, 2))
        return MatchingFeatures(eighth, quarter)


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.layer1 = nn.Sequential(_Residual(64, 64), _Residual(64, 64))
        self.layer2 = nn.Sequential(_Residual(64, 96, 2), _Residual(96, 96))
        self.layer3 = nn.Sequential(_Residual(96, CHANNELS), _Residual(CHANNELS, CHANNELS))
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.trident_conv = _SharedConvolution()

    def forward(self, frame: Tensor) -> MatchingFeatures:
        x = F.instance_norm(self.conv1(frame)).relu_()
        features: MatchingFeatures = self.trident_conv(self.conv2(self.layer3(self.layer2(self.layer1(x)))))
        return features


class _Propagation(nn.Module):
    """Propagation of flow between pixels with similar features: over the whole image, or within 3x3."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(CHANNELS, CHANNELS)
        self.k_proj = nn.Linear(CHANNELS, CHANNELS)

    def propagate_globally(self, features: Tensor, flow: Tensor) -> Tensor:
        """Propagate flow (N, 2, H, W) by features (N, C, H, W)."""
        query = self.q_proj(features.flatten(2).transpose(1, 2))
        # The published network projects the query again instead of the features, and was trained that way.
        key = self.k_proj(query)
        return attend(query, key, flow.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(flow.shape)

    def propagate_locally(self, features: Tensor, flow: Tensor) -> Tensor:
        """Do the same within 3x3; zeros beyond the border take part, as in the published network."""
        channels, height, width = features.shape[1:]
        tokens = features.permute(0, 2, 3, 1)
        query = self.q_proj(tokens).float().permute(0, 3, 1, 2)
        keys = F.pad(self.k_proj(tokens).float().permute(0, 3, 1, 2), (1, 1, 1, 1))
        flows = F.pad(flow, (1, 1, 1, 1))
        windows = [(slice(y, y + height), slice(x, x + width)) for y in range(3) for x in range(3)]
        scores = torch.stack([(query * keys[..., rows, columns]).sum(1) for rows, columns in windows], 1)
        weights = (scores / channels**0.5).softmax(1)
        weighted = [weights[:, k : k + 1] * flows[..., rows, columns] for k, (rows, columns) in enumerate(windows)]
        return torch.stack(weighted).sum(0)


class GlobalFlow(nn.Module):
    """Optical flow between two frames, in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.transformer = Transformer(CHANNELS)
        self.feature_flow_attn = _Propagation()
        self.upsampler = nn.Sequential(
            nn.Conv2d(2 + CHANNELS, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 16 * 9, 1)
        )

    def encode(self, frame: Tensor) -> MatchingFeatures:
        """Compute the features of a frame, (N, 3, H, W) RGB in [0, 1]; H and W are multiples of 32."""
        mean, std = (frame.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        features: MatchingFeatures = self.backbone((frame - mean) / std)
        return features

    def forward(self, features0: MatchingFeatures, features1: MatchingFeatures) -> tuple[Tensor, Tensor]:
        """Estimate flow 0→1 and 1→0, each (N, 2, H, W)."""
        both = torch.cat([features0.eighth, features1.eighth]).float()
        flow = self._match_globally(both)
        flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
        own = torch.cat([features0.quarter, features1.quarter]).float()
        warped = backward_warp(torch.cat(own.chunk(2)[::-1]).float(), flow)
        pairs = add_position(torch.cat([own, warped]), _WINDOWS[1])
        own, warped = self.transformer(pairs, _WINDOWS[1]).chunk(2)
        flow = flow + _match_locally(own, warped)
        flow = self.feature_flow_attn.propagate_locally(own, flow)
        flow01, flow10 = self._upsample(flow, own).chunk(2)
        return flow01, flow10

    def _match_globally(self, features: Tensor) -> Tensor:
        """Compute the expected displacement of each pixel, both directions as one batch."""
        features = self.transformer(add_position(features, _WINDOWS[0]), _WINDOWS[0])
        tokens = features.flatten(2).transpose(1, 2)
        grid = pixel_grid(features)
        positions = grid.flatten(2).transpose(1, 2).expand(tokens.shape[0], -1, -1)
        target = attend(tokens, torch.cat(tokens.chunk(2)[::-1]), positions)
        flow = target.transpose(1, 2).reshape(-1, *grid.shape[1:]) - grid
        return self.feature_flow_attn.propagate_globally(features, flow)

    def _upsample(self, flow: Tensor, features: Tensor) -> Tensor:
        """Upsample four times; each pixel is a convex combination of 3x3 coarse ones."""
        n, _, height, width = flow.shape
        weights = self.upsampler(torch.cat([flow, features], 1)).float().view(n, 1, 9, 16, height, width).softmax(2)
        neighbors = F.unfold(4 * flow, 3, padding=1).view(n, 2, 9, 1, height, width)
        return F.pixel_shuffle((weights * neighbors).sum(2).reshape(n, 32, height, width), 4)


def _match_locally(features0: Tensor, features1: Tensor) -> Tensor:
    """Compute the expected displacement within ±4 px, (N, 2, H, W) float32; nothing beyond the border matches.

    features0, features1: (N, C, H, W), W a multiple of 8. Each tile of 8 pixels of a row is multiplied with the 16
    pixels within reach in another row: twice the products that are needed, in half the time of one by one.
    """
    channels, height, width = features0.shape[1:]
    reach = range(2 * _RADIUS + 1)
    with torch.autocast(features0.device.type, enabled=False):
        rows = features0.float().permute(0, 2, 3, 1)
        query = rows.reshape(-1, height, width // _TILE, _TILE, channels) / channels**0.5
        keys = F.pad(features1.float().permute(0, 2, 3, 1), (0, 0) + (_RADIUS,) * 4)
        scores = []
        for y in reach:
            products = query @ keys[:, y : y + height].unfold(2, _TILE + 2 * _RADIUS, _TILE)
            # (N, H, W / 8, 8, 16): pixel i of a tile is compared with i … i + 8.
            scores.append(products.flatten(3).unfold(3, len(reach), _TILE + 2 * _RADIUS + 1).flatten(2, 3))
        inside = F.pad(features0.new_ones(height, width), (_RADIUS,) * 4)
        valid = inside.unfold(0, len(reach), 1).unfold(1, len(reach), 1).flatten(2)
        weights = torch.cat(scores, -1).masked_fill(valid == 0, -torch.inf).softmax(-1)
        offsets = torch.tensor([[x - _RADIUS, y - _RADIUS] for y in reach for x in reach], device=weights.device)
        return (weights @ offsets.to(weights.dtype)).permute(0, 3, 1, 2)
