"""The heavy network of `studio`: GMFSS Fortuna "union" with its published weights.

    encode(frame) ──► Encoding                 once per frame
    flow(encoding0, encoding1) ──► FlowPair    once per pair, both directions as one batch
    synthesize(…, t) ──► frame                 once per new frame

Flow is estimated at half the size; frames at 1/2 and features at 1/2, 1/4, 1/8 are splatted, and the grid draws at full
size. Frames are (N, 3, H, W) float, RGB in [0, 1], of any size from 16x16; they are padded to multiples of 64 by
repeating the border (the published code pads by zeros or stretches).

Reference: GMFSS Fortuna, github.com/98mxr/GMFSS_Fortuna (MIT); softmax splatting of Niklaus & Liu 2020.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.errors import UsageError
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.geometry import check_frames
from animeinterp.net.ops.intermediate_flow import MULTIPLE as INTERMEDIATE_MULTIPLE
from animeinterp.net.ops.intermediate_flow import IntermediateFlow, draw_by_flow
from animeinterp.net.ops.splatting import splat
from animeinterp.net.studio.global_flow import GlobalFlow, MatchingFeatures
from animeinterp.net.studio.importance import Metric
from animeinterp.net.studio.pyramid import FeaturePyramid, Pyramid
from animeinterp.net.studio.synthesis import Synthesis

Box = tuple[int, int, int, int]  # top, bottom, left, right, px

MULTIPLE = 64  # px; the flow network has eight windows of at least one pixel at 1/8 of its size, which is half
_CELL = 8  # px, the multiple that features and the grid need
# px drawn around the required pixels. On two drawn triplets the outermost 8 px of a box that cuts through a figure
# differ from the whole by a mean of 0.2 levels with 32 px, of 0.02 with 48.
_MARGIN = 48


class Encoding(NamedTuple):
    """Everything computed from one frame alone.

    Attributes:
        padded: The frame, (N, 3, H, W) float32, H and W whole multiples of 64.
        half: The same at half the size.
        matching: Features of the flow network at 1/16 and 1/8; None where no flow is needed.
        pyramid: Features that are splatted, (N, 64 | 128 | 192, h, w) at 1/2, 1/4, 1/8 of the frame padded to whole
            multiples of 8.
        size: (height, width) before padding.
    """

    padded: Tensor
    half: Tensor
    matching: MatchingFeatures | None
    pyramid: Pyramid
    size: tuple[int, int]


class Studio(nn.Module):
    """The network; draws a frame between two frames."""

    def __init__(self) -> None:
        super().__init__()
        self.flownet = GlobalFlow()
        self.metricnet = Metric()
        self.feat_ext = FeaturePyramid()
        self.ifnet = IntermediateFlow()
        self.fusionnet = Synthesis()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, frame: Tensor, *, match: bool = True) -> Encoding:
        """Compute everything that depends on one frame alone.

        Args:
            frame: (N, 3, H, W) float, RGB in [0, 1].
            match: Whether to compute the features that `flow` needs.

        Returns:
            The encoding.

        Raises:
            FrameError: The frame has another shape, or is too small.
        """
        check_frames(frame)
        height, width = frame.shape[-2:]
        padded = F.pad(frame.float(), (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        padded = padded.contiguous(memory_format=torch.channels_last)
        half = _downsample(padded, 2)
        # Always in float32: rounded features match other positions, the largest error of all in bf16.
        with torch.autocast(half.device.type, enabled=False):
            matching = self.flownet.encode(half) if match else None
        pyramid = self.feat_ext(_crop(padded, _round_up((height, width), _CELL)))
        return Encoding(padded, half, matching, pyramid, (height, width))

    def flow(self, encoding0: Encoding, encoding1: Encoding) -> FlowPair:
        """Estimate the flow between two frames and the importance of their pixels.

        Args:
            encoding0: Encoding of frame 0, with `match`.
            encoding1: Encoding of frame 1, of the same size.

        Returns:
            Flow at half the padded size, px of that size, and log importance in [-10, 10].

        Raises:
            UsageError: The encodings were made without `match`, or of frames of different sizes.
        """
        if encoding0.matching is None or encoding1.matching is None:
            raise UsageError("expected encodings with matching features; encode both frames with match=True")
        _check_sizes(encoding0, encoding1)
        flow01, flow10 = self.flownet(encoding0.matching, encoding1.matching)
        return FlowPair(flow01, flow10, *self.metricnet(encoding0.half, encoding1.half, flow01, flow10))

    def synthesize(
        self, encoding0: Encoding, encoding1: Encoding, flows: FlowPair, t: float, where: Tensor | None = None
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            encoding0: Encoding of frame 0.
            encoding1: Encoding of frame 1, of the same size.
            flows: Result of `flow`, for these frames or others with the same motion (color for alpha).
            t: Time in [0, 1].
            where: bool (1, 1, H, W), the pixels that must be drawn; the others are undefined. None draws all.

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            UsageError: The sizes of the frames, or that of `where`, differ.
        """
        _check_sizes(encoding0, encoding1)
        height, width = encoding0.size
        if where is not None and tuple(where.shape[-2:]) != encoding0.size:
            raise UsageError(f"expected `where` of the frame's size {encoding0.size}, got {tuple(where.shape[-2:])}")
        whole = _round_up(encoding0.size, _CELL)
        box = (0, whole[0], 0, whole[1]) if where is None else _bounding_box(where, whole)
        assert flows.z0 is not None
        assert flows.z1 is not None
        frame0, *features0 = _splat_all(encoding0, t * flows.flow01, t * flows.z0, box)
        frame1, *features1 = _splat_all(encoding1, (1 - t) * flows.flow10, (1 - t) * flows.z1, box)
        rife = _crop_box(self._draw_intermediate(encoding0.half, encoding1.half, t), box, 2)
        features = [torch.cat(pair, 1) for pair in zip(features0, features1, strict=True)]
        drawn = self.fusionnet(torch.cat([frame0, rife, frame1], 1), *features).clamp(0, 1)
        top, bottom, left, right = box
        padding = (left, whole[1] - right, top, whole[0] - bottom)
        return _crop(F.pad(drawn, padding) if any(padding) else drawn, (height, width))

    def intermediate(self, encoding0: Encoding, encoding1: Encoding, t: float) -> Tensor:
        """Draw the frame at t in [0, 1] by RIFE alone, at full size: (N, 3, H, W) float32 in [0, 1]."""
        _check_sizes(encoding0, encoding1)
        size = _round_up(encoding0.size, INTERMEDIATE_MULTIPLE)
        drawn = self._draw_intermediate(_crop(encoding0.padded, size), _crop(encoding1.padded, size), t)
        return _crop(drawn, encoding0.size).clamp(0, 1)

    def _draw_intermediate(self, frame0: Tensor, frame1: Tensor, t: float) -> Tensor:
        return draw_by_flow(frame0, frame1, self.ifnet(frame0, frame1, frame0.new_full((1, 1, 1, 1), t)))

    def forward(self, frame0: Tensor, frame1: Tensor, t: float) -> Tensor:
        """Draw the frame at t between two frames (N, 3, H, W)."""
        encoding0, encoding1 = self.encode(frame0), self.encode(frame1)
        return self.synthesize(encoding0, encoding1, self.flow(encoding0, encoding1), t)


def _splat_all(encoding: Encoding, flow: Tensor, z: Tensor, box: Box) -> list[Tensor]:
    """Splat a frame at 1/2 and its features at 1/2, 1/4, 1/8, and crop them to a box of the full size."""
    half, quarter, eighth = encoding.pyramid
    size = tuple(half.shape[-2:])
    flow, z = _crop(flow, size), _crop(z, size)
    at_half = splat(torch.cat([_crop(encoding.half, size), half], 1), flow, z, "softmax").warped
    splatted = [_crop_box(at_half[:, :3], box, 2), _crop_box(at_half[:, 3:], box, 2)]
    for features, factor in ((quarter, 2), (eighth, 4)):
        planes = splat(features, _downsample(flow, factor) / factor, _downsample(z, factor), "softmax").warped
        splatted.append(_crop_box(planes, box, 2 * factor))
    return splatted


def _bounding_box(where: Tensor, size: tuple[int, int]) -> Box:
    """Bound the required pixels and `_MARGIN` px around them, in whole cells of a frame of `size`."""
    edges: list[int] = []
    for axis, length in ((1, size[0]), (0, size[1])):
        indices = where.flatten(0, -3).any(0).any(axis).nonzero()
        first, last = (int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 1)
        edges += [max(0, first - _MARGIN) // _CELL * _CELL, min(length, -(-(last + _MARGIN) // _CELL) * _CELL)]
    top, bottom, left, right = edges
    return top, bottom, left, right


def _downsample(planes: Tensor, factor: int) -> Tensor:
    """Sample planes at 1/2 or 1/4 of the size, bilinear: at 1/4 the mean of the middle 2x2 of 4x4 pixels."""
    return F.interpolate(planes, scale_factor=1 / factor, mode="bilinear", align_corners=False)


def _crop_box(planes: Tensor, box: Box, step: int) -> Tensor:
    """Crop planes at 1 / step of the size to a box of the full size."""
    top, bottom, left, right = (edge // step for edge in box)
    return planes[..., top:bottom, left:right]


def _crop(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    return planes[..., : size[0], : size[1]]


def _round_up(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    return size[0] + -size[0] % multiple, size[1] + -size[1] % multiple


def _check_sizes(encoding0: Encoding, encoding1: Encoding) -> None:
    if encoding0.padded.shape != encoding1.padded.shape or encoding0.size != encoding1.size:
        raise UsageError(f"expected two frames of one size, got {encoding0.size} and {encoding1.size}")
