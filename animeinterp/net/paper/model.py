"""The paper's network: flow refinement, feature pyramid, splatting and GridNet composed.

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

from animeinterp.config import PAPER, ModelConfig
from animeinterp.errors import FrameError, UsageError
from animeinterp.net.ops.geometry import MIN_SIZE, backward_warp, resize, scale_flow
from animeinterp.net.ops.normalization import HALF, normalize
from animeinterp.net.ops.splatting import splat
from animeinterp.net.paper.gridnet import FeaturePyramid, GridNet, Pyramid
from animeinterp.net.paper.rfr import RFR

# How fast importance falls with the mean color error: a tenth of the range costs a factor of e.
_DISAGREEMENT = 10.0


class Features(NamedTuple):
    """What the networks need of one frame.

    matching: (N, 256, H // 8, W // 8) float32, for correlation and context.
    small: (N, 3, H // 8, W // 8), the frame in [-1, 1], for the gate.
    pyramid: 32, 64, 96 channels at full, half and quarter size, for synthesis.
    """

    matching: Tensor
    small: Tensor
    pyramid: Pyramid


class AnimeInterp(nn.Module):
    """A frame between two frames; attribute names are those of the published checkpoint."""

    def __init__(self, config: ModelConfig = PAPER) -> None:
        super().__init__()
        if config.flow != "rfr" or config.synthesis != "gridnet":
            raise UsageError(f"preset {config.name!r} has no network: flow {config.flow}, {config.synthesis}")
        self.config = config
        self.flownet = RFR(config)
        self.feat_ext = FeaturePyramid()
        self.synnet = GridNet()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor) -> Features:
        """Everything that depends on one frame only. Raises FrameError for frames that are too small."""
        if frame.ndim != 4 or frame.shape[1] != 3 or min(frame.shape[-2:]) < MIN_SIZE:
            raise FrameError(
                f"frames must be (N, 3, H, W), at least {MIN_SIZE}x{MIN_SIZE} px; got {tuple(frame.shape)}"
            )
        signed = normalize(frame, *HALF).contiguous(memory_format=torch.channels_last)
        matching = self.flownet.encode(signed)
        small = resize(signed, tuple(matching.shape[-2:]))
        return Features(matching, small, self.feat_ext(signed))

    def flow(
        self, features0: Features, features1: Features, coarse01: Tensor, coarse10: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Refine the coarse flows (N, 2, H, W), both at once: flow 0→1 and flow 1→0 of the same size."""
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
        """Draw the frame at t in [0, 1]: (N, 3, H, W), about [0, 1], not clamped."""
        warped0 = self._warp(frame0, frame1, pyramid0, flow01, t)
        warped1 = self._warp(frame1, frame0, pyramid1, flow10, 1 - t)
        frames, *levels = (torch.cat(pair, 1) for pair in zip(warped0, warped1, strict=True))
        del warped0, warped1
        drawn: Tensor = self.synnet(frames, *levels)
        return drawn.float()

    def forward(self, frame0: Tensor, frame1: Tensor, coarse01: Tensor, coarse10: Tensor, t: float) -> Tensor:
        """Two frames, their coarse flows (N, 2, H, W) and a time → the frame at t, (N, 3, H, W)."""
        features0, features1 = self.encode(frame0), self.encode(frame1)
        flow01, flow10 = self.flow(features0, features1, coarse01, coarse10)
        return self.synthesize(frame0, frame1, features0.pyramid, features1.pyramid, flow01, flow10, t)

    def _warp(
        self, frame: Tensor, other: Tensor, pyramid: Pyramid, flow: Tensor, t: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frame and features moved t of the way along the flow to the other frame (linear motion)."""
        importance = None
        if self.config.splat == "softmax":
            # Where flow and frames disagree, the pixel is likely covered by others (Niklaus & Liu 2020,
            # eq. 5).
            importance = -_DISAGREEMENT * (backward_warp(other, flow) - frame).abs().mean(1, keepdim=True)
        moved = []
        for level in (frame, *pyramid):
            size = tuple(level.shape[-2:])
            z = None if importance is None else resize(importance, size)
            moved.append(splat(level, t * scale_flow(flow, size), z, self.config.splat).warped)
        return moved[0], moved[1], moved[2], moved[3]
