"""Two frames and the true frame between them, as pictures: what films, data sets and vector animation give."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage

if TYPE_CHECKING:
    from torch import Tensor


class Triplet(NamedTuple):
    """Two frames, the true frame between them, and what is known of their motion.

    frame0, truth, frame1: uint8 (H, W, 3) RGB. t: in (0, 1). flow01, flow10: float32 (2, H, W), x first, px, and
    known0, known1: bool (H, W), where they are known; None where nothing is.
    """

    frame0: RGBImage
    truth: RGBImage
    frame1: RGBImage
    t: float
    flow01: NDArray[np.float32] | None = None
    flow10: NDArray[np.float32] | None = None
    known0: NDArray[np.bool_] | None = None
    known1: NDArray[np.bool_] | None = None


class Batch(NamedTuple):
    """Everything float32, on one device; flow is x first, px.

    frame0, frame1: (N, 3, H, W), RGB in [0, 1]. t: (N,) in (0, 1). truth: (N, 3, H, W), the frame at t.
    coarse01, coarse10: (N, 2, H, W), what segment-guided matching says, 0 where it says nothing.
    trust0, trust1: (N, 1, H, W) in [0, 1], how far coarse01 and coarse10 can be trusted.
    flow01, flow10: (N, 2, H, W), the true flow, 0 where it is not known.
    known0, known1: (N, 1, H, W), 1 where flow01 and flow10 are known, else 0.
    """

    frame0: Tensor
    frame1: Tensor
    t: Tensor
    truth: Tensor
    coarse01: Tensor
    coarse10: Tensor
    trust0: Tensor
    trust1: Tensor
    flow01: Tensor
    flow10: Tensor
    known0: Tensor
    known1: Tensor
