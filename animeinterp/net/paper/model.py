"""The paper's network: flow refinement, feature pyramid, splatting and GridNet.

    encode(frame) ──► Features               once per frame
    flow(features0, features1, …) ──► flow   once per pair, both directions as one batch
    synthesize(…, t) ──► frame               once per new frame

`forward` chains them. Frames are (N, 3, H, W) float RGB in [0, 1], of any size from 16x16 up. Flow is
(N, 2, H, W) float32, x first, px. bf16 is the caller's `torch.autocast`; coordinates, flow, correlation and
splatting stay in float32 under it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from animeinterp.config import PaperConfig
from animeinterp.net.ops.geometry import backward_warp, check_frames, resize, scale_flow
from animeinterp.net.ops.normalization import HALF, normalize
from animeinterp.net.ops.splatting import splat
from animeinterp.net.paper.gridnet import FeaturePyramid, GridNet, Pyramid
from animeinterp.net.paper.rfr import RFR

# Importance falls by a factor of e per tenth of the range of mean color error.
_PER_COLOR = 10.0


class Features(NamedTuple):
    """Features of one frame.

    Attributes:
        matching: For correlation and context, (N, 256, H // 8, W // 8) float32.
        small: The frame in [-1, 1] for the gate, (N, 3, H // 8, W // 8).
        pyramid: For synthesis, 32, 64, 96 channels at full, half and quarter size.
    """

    matching: Tensor
    small: Tensor
    pyramid: Pyramid


class AnimeInterp(nn.Module):
    """A frame between two frames; attribute names are those of the published checkpoint."""

    def __init__(self, config: PaperConfig | None = None) -> None:
        """Create the untrained network; without a config, as the paper's text says."""
        super().__init__()
        self.config = config = config or PaperConfig()
        self.flownet = RFR(config)
        self.feat_ext = FeaturePyramid()
        self.synnet = GridNet()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor) -> Features:
        """Compute everything that depends on one frame only.

        Args:
            frame: (N, 3, H, W) RGB in [0, 1].

        Returns:
            Its features.

        Raises:
            FrameError: The frame is too small.
        """
        check_frames(frame)
        signed = normalize(frame, *HALF).contiguous(memory_format=torch.channels_last)
        matching = self.flownet.encode(signed)
        small = resize(signed, tuple(matching.shape[-2:]))
        return Features(matching, small, self.feat_ext(signed))

    def flow(
        self, features0: Features, features1: Features, coarse01: Tensor, coarse10: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Refine both coarse flows at once.

        Args:
            features0: Of frame 0.
            features1: Of frame 1.
            coarse01: Coarse flow 0→1, (N, 2, H, W), px.
            coarse10: Coarse flow 1→0.

        Returns:
            Flow 0→1 and flow 1→0, of the same shape.
        """
        refined: Tensor = self.flownet(
            torch.cat([features0.matching, features1.matching]),
            torch.cat([features1.matching, features0.matching]),
            torch.cat([features0.small, features1.small]),
            torch.cat([features1.small, features0.small]),
            torch.cat([coarse01, coarse10]).float(),
        )
        flow01, flow10 = refined.chunk(2)
        return flow01, flow10

    def synthesize(
        self,
        frame0: Tensor,
        frame1: Tensor,
        pyramid0: Pyramid,
        pyramid1: Pyramid,
        flow01: Tensor,
        flow10: Tensor,
        t: float,
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            frame0: (N, 3, H, W) in [0, 1].
            frame1: Of the same shape.
            pyramid0: Features of frame 0.
            pyramid1: Features of frame 1.
            flow01: Flow 0→1, (N, 2, H, W), px.
            flow10: Flow 1→0.
            t: In [0, 1].

        Returns:
            (N, 3, H, W), about [0, 1], not clamped.
        """
        warped0 = self._warp(frame0, frame1, pyramid0, flow01, t)
        warped1 = self._warp(frame1, frame0, pyramid1, flow10, 1 - t)
        frames, *levels = (torch.cat(pair, 1) for pair in zip(warped0, warped1, strict=True))
        del warped0, warped1
        drawn: Tensor = self.synnet(frames, *levels)
        return drawn.float()

    def forward(self, frame0: Tensor, frame1: Tensor, coarse01: Tensor, coarse10: Tensor, t: float) -> Tensor:
        """Draw the frame at t from two frames and their coarse flows (N, 2, H, W): (N, 3, H, W)."""
        features0, features1 = self.encode(frame0), self.encode(frame1)
        flow01, flow10 = self.flow(features0, features1, coarse01, coarse10)
        return self.synthesize(frame0, frame1, features0.pyramid, features1.pyramid, flow01, flow10, t)

    def _warp(
        self, frame: Tensor, other: Tensor, pyramid: Pyramid, flow: Tensor, t: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Splat frame and features a fraction t of the way along the flow to the other frame (linear motion)."""
        importance = None
        if self.config.splat == "softmax":
            # Where flow and frames disagree, the pixel is likely occluded (Niklaus & Liu 2020).
            importance = -_PER_COLOR * (backward_warp(other, flow) - frame).abs().mean(1, keepdim=True)
        moved = []
        for level in (frame, *pyramid):
            size = tuple(level.shape[-2:])
            z = None if importance is None else resize(importance, size)
            moved.append(splat(level, t * scale_flow(flow, size), z, self.config.splat).warped)
        return moved[0], moved[1], moved[2], moved[3]
