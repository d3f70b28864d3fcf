"""Plain results of the interpolator: what one frame is made of, and how two frames move into each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame_co
from animeinterp.mattes import Region
from animeinterp.sgm.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Analysis(Generic[AnyFrame_co]):
    """What one frame is made of.

    frame: as given, see `animeinterp.frame`. picture: what was segmented, uint8 (h, w, 3) RGB at working size.
    segments: its color segments. descriptors: float32 (K, N), one row per segment; where no segments were looked for,
    the
    whole frame is one, and N = 0. features: the network's, None in presets without one. seconds: wall time by stage.
    """

    frame: AnyFrame_co
    picture: NDArray[np.uint8]
    segments: Segments
    descriptors: NDArray[np.float32]
    features: Any
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Motion(Generic[AnyFrame_co]):
    """How two frames move into each other.

    match01, match10: int64 (K0,) and (K1,), each segment's match in the other frame, -1 = none.
    coarse01, coarse10: float32 (2, h, w), x first, px at working size: what SGM alone says, 0 = nothing.
    flow01, flow10: float32 (2, H, W), x first, px of the frame: refined.
    importance0, importance1: float32 (H, W) > 0: how far each pixel's flow can be trusted; up to 1 without a network.
    moving: bool (H, W), outside of which nothing moves, see `mattes.moving_hull`.
    seconds: wall time by stage.
    inner: the motion of the part within `window`, rows and columns of the frame, where a fixed matte surrounds it.
    second: the flows 0→1 and 1→0 of a second network, in the same form; None where the model has one network or none.
    state: what else that network needs to render; None likewise.
    """

    analysis0: Analysis[AnyFrame_co]
    analysis1: Analysis[AnyFrame_co]
    match01: NDArray[np.int64]
    match10: NDArray[np.int64]
    coarse01: NDArray[np.float32]
    coarse10: NDArray[np.float32]
    flow01: NDArray[np.float32]
    flow10: NDArray[np.float32]
    importance0: NDArray[np.float32]
    importance1: NDArray[np.float32]
    moving: NDArray[np.bool_]
    seconds: dict[str, float]
    inner: Motion[AnyFrame_co] | None = None
    window: Region | None = None
    second: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    state: Any = None


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall time of what is done within to `seconds[stage]`."""
    begin = perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + perf_counter() - begin
