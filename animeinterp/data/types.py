"""Two frames and the true frame between them, as pictures: what films, data sets and vector animation give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class Triplet(NamedTuple):
    """Two frames, the true frame between them, and what is known of their motion.

    frame0, truth, frame1: uint8 (H, W, 3) RGB. t: in (0, 1). flow01, flow10: float32 (2, H, W), x first, px, and
    known0, known1: bool (H, W), where they are known; None where nothing is.
    """

    frame0: Picture
    truth: Picture
    frame1: Picture
    t: float
    flow01: NDArray[np.float32] | None = None
    flow10: NDArray[np.float32] | None = None
    known0: NDArray[np.bool_] | None = None
    known1: NDArray[np.bool_] | None = None
