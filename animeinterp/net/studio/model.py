"""`studio`'s heavy network, whole: GMFSS Fortuna "union" from its published weights.

    encode(frame) ──► Encoding              once per frame
    flow(encoding0, encoding1) ──► Flows    once per pair, both directions as one batch
    synthesize(…, t) ──► frame              once per new frame

Flow is found and frames are splatted at half the size; features at 1/2, 1/4, 1/8 are splatted along, and the grid draws
at full size. Frames are (N, 3, H, W) float, RGB in [0, 1], of any size from 16x16; they are padded to multiples of 64
by repeating the border (the published code pads by zeros or stretches).

Reference: GMFSS Fortuna, github.com/98mxr/GMFSS_Fortuna (MIT); softmax splatting of Niklaus and Liu, CVPR 2020.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.errors import FrameError
from animeinterp.net.splatting import splat
from animeinterp.net.studio.global_flow import GlobalFlow, MatchingFeatures
from animeinterp.net.studio.intermediate import IntermediateFlow
from animeinterp.net.studio.parts import FeaturePyramid, Metric, Pyramid, pooled
from animeinterp.net.studio.synthesis import Synthesis

MULTIPLE = 64
MIN_SIZE = 16


class Encoding(NamedTuple):
    """What depends on one frame only.

    padded: the frame, padded. half: the same at half size. matching: None where flow will not be asked for. size:
    (height, width) before padding.
    """

    padded: Tensor
    half: Tensor
    matching: MatchingFeatures | None
    pyramid: Pyramid
    size: tuple[int, int]


class Flows(NamedTuple):
    """flow01, flow10: (N, 2, H/2, W/2), px of half the padded size. z0, z1: (N, 1, H/2, W/2), log importance."""

    flow01: Tensor
    flow10: Tensor
    z0: Tensor
    z1: Tensor


class Studio(nn.Module):
    """A frame between two frames."""

    def __init__(self) -> None:
        super().__init__()
        self.flownet = GlobalFlow()
        self.metricnet = Metric()
        self.feat_ext = FeaturePyramid()
        self.ifnet = IntermediateFlow()
        self.fusionnet = Synthesis()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor, *, match: bool = True) -> Encoding:
        """Everything that depends on one frame only.

        Args:
            frame: (N, 3, H, W) float, RGB in [0, 1].
            match: Whether `flow` will be asked for.

        Raises:
            FrameError: The frame is too small.
        """
        if frame.ndim != 4 or frame.shape[1] != 3 or min(frame.shape[-2:]) < MIN_SIZE:
            raise FrameError(
                f"frames must be (N, 3, H, W), at least {MIN_SIZE}x{MIN_SIZE} px; got {tuple(frame.shape)}"
            )
        height, width = frame.shape[-2:]
        padded = F.pad(frame, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        padded = padded.contiguous(memory_format=torch.channels_last)
        half = pooled(padded, 2)
        matching = self.flownet.encode(half) if match else None
        return Encoding(padded, half, matching, self.feat_ext(padded), (height, width))

    def flow(self, encoding0: Encoding, encoding1: Encoding) -> Flows:
        """Flow and importance of both frames, whose encodings were made with `match`."""
        assert encoding0.matching is not None
        assert encoding1.matching is not None
        flow01, flow10 = self.flownet(encoding0.matching, encoding1.matching)
        return Flows(flow01, flow10, *self.metricnet(encoding0.half, encoding1.half, flow01, flow10))

    def synthesize(self, encoding0: Encoding, encoding1: Encoding, flows: Flows, t: float) -> Tensor:
        """The frame at t in [0, 1]: (N, 3, H, W), in [0, 1]."""
        arrived0 = _splat_all(encoding0, t * flows.flow01, t * flows.z0)
        arrived1 = _splat_all(encoding1, (1 - t) * flows.flow10, (1 - t) * flows.z1)
        middle = self.ifnet(encoding0.half, encoding1.half, t)
        frames = torch.cat([arrived0[0][:, :3], middle, arrived1[0][:, :3]], 1)
        half = torch.cat([arrived0[0][:, 3:], arrived1[0][:, 3:]], 1)
        others = [torch.cat(pair, 1) for pair in zip(arrived0[1:], arrived1[1:], strict=True)]
        drawn = self.fusionnet(frames, half, *others)
        height, width = encoding0.size
        cropped: Tensor = drawn[..., :height, :width].clamp(0, 1)
        return cropped

    def intermediate(self, encoding0: Encoding, encoding1: Encoding, t: float) -> Tensor:
        """RIFE's own frame at t in [0, 1], at full size: (N, 3, H, W), in [0, 1]."""
        height, width = encoding0.size
        drawn: Tensor = self.ifnet(encoding0.padded, encoding1.padded, t)
        return drawn[..., :height, :width].clamp(0, 1)

    def forward(self, frame0: Tensor, frame1: Tensor, t: float) -> Tensor:
        """Two frames (N, 3, H, W) → the frame at t."""
        encoding0, encoding1 = self.encode(frame0), self.encode(frame1)
        return self.synthesize(encoding0, encoding1, self.flow(encoding0, encoding1), t)


def _splat_all(encoding: Encoding, motion: Tensor, z: Tensor) -> list[Tensor]:
    """The frame and its features moved along: at 1/2 (3 + 64 channels), 1/4 (128), 1/8 (192)."""
    half, quarter, eighth = encoding.pyramid
    moved = [splat(torch.cat([encoding.half, half], 1), motion, z, "softmax").warped]
    for features, factor in ((quarter, 2), (eighth, 4)):
        moved.append(splat(features, pooled(motion, factor) / factor, pooled(z, factor), "softmax").warped)
    return moved
