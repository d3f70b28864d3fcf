"""Plain results of `Interpolator`: what one frame consists of, and how two frames move into each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame_co, RGBImage
from animeinterp.hints import Hints
from animeinterp.mattes import Region
from animeinterp.sgm.part_motion import PartPoints
from animeinterp.sgm.segments import Segments

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Analysis(Generic[AnyFrame_co]):
    """What one frame consists of.

    Attributes:
        frame: As given, see `animeinterp.frame`.
        working_image: The image that was segmented, uint8 (h, w, 3) RGB at working size; a line drawing is shaded, see
            `animeinterp.line_art`.
        segments: Its color segments; one for the whole image if segmentation was skipped.
        descriptors: One row per segment, float32 (K, N); N = 0 if segmentation was skipped.
        planes: The frame for networks and splatting, float32 (1, C, H, W) on the device.
        features: Of the network; None in presets without one.
        seconds: Wall time per stage.
        is_line_drawing: Whether it was recognized as a line drawing.
    """

    frame: AnyFrame_co
    working_image: RGBImage
    segments: Segments
    descriptors: Array
    planes: Tensor
    features: Any
    seconds: dict[str, float]
    is_line_drawing: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class HintedMotion:
    """Which pixels follow hints.

    Attributes:
        hints: As given, px of the frame.
        parts: Points of each part in both frames, px of the frame; None for parts that are matched segments.
        part0: Index of the part that each pixel of frame 0 follows, int16 (H, W); -1 for none.
        part1: Likewise of frame 1.
    """

    hints: Hints
    parts: tuple[PartPoints | None, ...]
    part0: NDArray[np.int16]
    part1: NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Motion(Generic[AnyFrame_co]):
    """How two frames move into each other. Flow is x first.

    Attributes:
        analysis0: Frame 0.
        analysis1: Frame 1.
        match01: Match of each segment of frame 0 in frame 1, int64 (K0,), -1 = none.
        match10: Match of each segment of frame 1 in frame 0, int64 (K1,).
        coarse01: Flow 0→1 of matching alone, float32 (2, h, w), px at working size, 0 = unknown.
        coarse10: Flow 1→0 likewise.
        flow01: Refined flow 0→1, float32 (2, H, W), px of the frame.
        flow10: Refined flow 1→0.
        importance0: Importance exp(Z) of frame 0's pixels, float32 (H, W) > 0; at most 1 without a network.
        importance1: That of frame 1's pixels.
        moving: Pixels around everything that moves, bool (H, W), see `mattes.moving_hull`.
        seconds: Wall time per stage.
        inner: Motion of the part inside a fixed matte; None without one.
        window: Rows and columns of that part.
        proposed: Flow 0→1 and 1→0 of a network that needs no coarse flow, as `flow01`; None without one.
        state: What else that network needs to render.
        hinted: What follows hints; None without hints.
    """

    analysis0: Analysis[AnyFrame_co]
    analysis1: Analysis[AnyFrame_co]
    match01: NDArray[np.int64]
    match10: NDArray[np.int64]
    coarse01: Array
    coarse10: Array
    flow01: Array
    flow10: Array
    importance0: Array
    importance1: Array
    moving: NDArray[np.bool_]
    seconds: dict[str, float]
    inner: Motion[AnyFrame_co] | None = None
    window: Region | None = None
    proposed: tuple[Array, Array] | None = None
    state: Any = None
    hinted: HintedMotion | None = None

    @property
    def confidence(self) -> Array:
        """How far each pixel of the frame at t = 0.5 can be relied on, float32 (H, W) in [0, 1]; computed anew."""
        from animeinterp.confidence import confidence_at

        return confidence_at(self, 0.5)


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall time of the block to `seconds[stage]`."""
    begin = perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + perf_counter() - begin
