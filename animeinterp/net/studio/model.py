"""`studio`'s heavy network, whole: GMFSS Fortuna "union" from its published weights.

    encode(frame) ──► Encoding                 once per frame
    flow(encoding0, encoding1) ──► FlowPair    once per pair, both directions as one batch
    synthesize(…, t) ──► frame                 once per new frame

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

from animeinterp.errors import FrameError, UsageError
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.splatting import splat
from animeinterp.net.studio.global_flow import GlobalFlow, MatchingFeatures
from animeinterp.net.studio.intermediate import IntermediateFlow
from animeinterp.net.studio.parts import FeaturePyramid, Metric, Pyramid, pooled
from animeinterp.net.studio.synthesis import Synthesis

MULTIPLE = 64  # eight windows of at least one pixel at 1/8, which is what matching refines at
INTERMEDIATE_MULTIPLE = 32
MIN_SIZE = 16
_CELL = 8  # px: features and the grid need no more
# px around what must be drawn. On two drawn triplets the 8 px within the border of a box that cuts through a figure
# differ from the whole by 0.2 levels in the mean with 32 px, by 0.02 with 48.
_MARGIN = 48


class Encoding(NamedTuple):
    """What depends on one frame only.

    Attributes:
        padded: The frame, (N, 3, H, W) float32, H and W whole multiples of 64.
        half: The same at half the size.
        matching: Features of the flow network at 1/16 and 1/8; None where flow will not be asked for.
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
        padded = F.pad(frame.float(), (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        padded = padded.contiguous(memory_format=torch.channels_last)
        half = pooled(padded, 2)
        # Always in float32: rounded features match other places, and a frame differs by that more than by all else.
        with torch.autocast(half.device.type, enabled=False):
            matching = self.flownet.encode(half) if match else None
        pyramid = self.feat_ext(_cut(padded, _rounded_up((height, width), _CELL)))
        return Encoding(padded, half, matching, pyramid, (height, width))

    def flow(self, encoding0: Encoding, encoding1: Encoding) -> FlowPair:
        """Estimate flow and importance of both frames, at half the padded size; Z is in [-10, 10].

        Raises:
            UsageError: The encodings were made without `match`, or of frames of different sizes.
        """
        if encoding0.matching is None or encoding1.matching is None:
            raise UsageError("flow needs encodings made with match=True; encode both frames so")
        _check_sizes(encoding0, encoding1)
        flow01, flow10 = self.flownet(encoding0.matching, encoding1.matching)
        return FlowPair(flow01, flow10, *self.metricnet(encoding0.half, encoding1.half, flow01, flow10))

    def synthesize(
        self, encoding0: Encoding, encoding1: Encoding, flows: FlowPair, t: float, where: Tensor | None = None
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            encoding0: Of frame 0.
            encoding1: Of frame 1, of the same size.
            flows: Of `flow`; those of a like pair (color for alpha) will do.
            t: In [0, 1].
            where: bool (1, 1, H, W), the pixels that must be drawn, to save work; the others may hold anything.

        Returns:
            (N, 3, H, W) float32 in [0, 1].

        Raises:
            UsageError: The sizes of frames or `where` differ.
        """
        _check_sizes(encoding0, encoding1)
        height, width = encoding0.size
        if where is not None and tuple(where.shape[-2:]) != encoding0.size:
            raise UsageError(f"where must be of the frame's size {encoding0.size}, got {tuple(where.shape[-2:])}")
        whole = _rounded_up(encoding0.size, _CELL)
        box = (0, whole[0], 0, whole[1]) if where is None else _box(where, whole)
        assert flows.z0 is not None
        assert flows.z1 is not None
        arrived0 = _splat_all(encoding0, t * flows.flow01, t * flows.z0, box)
        arrived1 = _splat_all(encoding1, (1 - t) * flows.flow10, (1 - t) * flows.z1, box)
        middle = _window(self.ifnet(encoding0.half, encoding1.half, t), box, 2)
        frames = torch.cat([arrived0[0][:, :3], middle, arrived1[0][:, :3]], 1)
        half = torch.cat([arrived0[0][:, 3:], arrived1[0][:, 3:]], 1)
        others = [torch.cat(pair, 1) for pair in zip(arrived0[1:], arrived1[1:], strict=True)]
        drawn = self.fusionnet(frames, half, *others).clamp(0, 1)
        top, bottom, left, right = box
        around = (left, whole[1] - right, top, whole[0] - bottom)
        return _cut(F.pad(drawn, around) if any(around) else drawn, (height, width))

    def intermediate(self, encoding0: Encoding, encoding1: Encoding, t: float) -> Tensor:
        """RIFE's own frame at t in [0, 1], at full size: (N, 3, H, W) float32 in [0, 1]."""
        _check_sizes(encoding0, encoding1)
        size = _rounded_up(encoding0.size, INTERMEDIATE_MULTIPLE)
        drawn: Tensor = self.ifnet(_cut(encoding0.padded, size), _cut(encoding1.padded, size), t)
        return _cut(drawn, encoding0.size).clamp(0, 1)

    def forward(self, frame0: Tensor, frame1: Tensor, t: float) -> Tensor:
        """Two frames (N, 3, H, W) → the frame at t."""
        encoding0, encoding1 = self.encode(frame0), self.encode(frame1)
        return self.synthesize(encoding0, encoding1, self.flow(encoding0, encoding1), t)


def _splat_all(encoding: Encoding, motion: Tensor, z: Tensor, box: tuple[int, int, int, int]) -> list[Tensor]:
    """The frame and its features moved along, in a box: at 1/2 (3 + 64 channels), 1/4 (128), 1/8 (192)."""
    half, quarter, eighth = encoding.pyramid
    size = tuple(half.shape[-2:])
    motion, z = _cut(motion, size), _cut(z, size)
    moved = [splat(torch.cat([_cut(encoding.half, size), half], 1), motion, z, "softmax").warped]
    for features, factor in ((quarter, 2), (eighth, 4)):
        moved.append(splat(features, pooled(motion, factor) / factor, pooled(z, factor), "softmax").warped)
    return [_window(planes, box, step) for planes, step in zip(moved, (2, 4, 8), strict=True)]


def _box(where: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What must be drawn and `_MARGIN` px around it: top, bottom, left, right, in whole cells of a frame of `size`."""
    marked = where.flatten(0, -3).any(0)
    edges: list[int] = []
    for axis, length in ((1, size[0]), (0, size[1])):
        found = marked.any(axis).nonzero()
        first, last = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 1)
        edges += [max(0, first - _MARGIN) // _CELL * _CELL, min(length, -(-(last + _MARGIN) // _CELL) * _CELL)]
    top, bottom, left, right = edges
    return top, bottom, left, right


def _window(planes: Tensor, box: tuple[int, int, int, int], step: int) -> Tensor:
    """The part of planes at 1 / step of the size that lies in a box."""
    top, bottom, left, right = (edge // step for edge in box)
    return planes[..., top:bottom, left:right]


def _cut(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    return planes[..., : size[0], : size[1]]


def _rounded_up(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    return size[0] + -size[0] % multiple, size[1] + -size[1] % multiple


def _check_sizes(encoding0: Encoding, encoding1: Encoding) -> None:
    if encoding0.padded.shape != encoding1.padded.shape or encoding0.size != encoding1.size:
        raise UsageError(f"both frames must be of one size; got {encoding0.size} and {encoding1.size}")
