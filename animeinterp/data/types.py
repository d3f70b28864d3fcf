"""The common currency of films, data sets and vector animation: triplets of frames, and batches of training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage

if TYPE_CHECKING:
    from torch import Tensor

    from animeinterp.net.flow_pair import CoarseFlowPair

Level = Literal["easy", "medium", "hard"]
LEVELS: tuple[str, ...] = get_args(Level)  # ATD-12K stores the index


class Triplet(NamedTuple):
    """Two frames, the true frame between them and, where known, the true flow.

    Attributes:
        frame0: uint8 (H, W, 3) RGB, at time 0.
        truth: uint8 (H, W, 3) RGB, at time t.
        frame1: uint8 (H, W, 3) RGB, at time 1.
        t: Time of `truth`, in (0, 1).
        flow01: float32 (2, H, W), x first, px; None if unknown everywhere.
        flow10: The reverse flow, of the same form.
        known0: bool (H, W), where `flow01` is known; None together with it.
        known1: bool (H, W), where `flow10` is known.
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
    """Training samples as float32 tensors on one device. Flow is x first, in px.

    Attributes:
        frame0: (N, 3, H, W), RGB in [0, 1], at time 0.
        frame1: (N, 3, H, W), RGB in [0, 1], at time 1.
        t: (N,), in (0, 1).
        truth: (N, 3, H, W), RGB in [0, 1], the true frame at time t.
        coarse01: (N, 2, H, W), coarse flow 0→1 of segment-guided matching, 0 where unknown.
        coarse10: (N, 2, H, W), coarse flow 1→0.
        confidence0: (N, 1, H, W), confidence of `coarse01`, in [0, 1].
        confidence1: (N, 1, H, W), confidence of `coarse10`, in [0, 1].
        flow01: (N, 2, H, W), true flow 0→1, 0 where unknown.
        flow10: (N, 2, H, W), true flow 1→0.
        known0: (N, 1, H, W), 1 where `flow01` is known, else 0.
        known1: (N, 1, H, W), 1 where `flow10` is known, else 0.
    """

    frame0: Tensor
    frame1: Tensor
    t: Tensor
    truth: Tensor
    coarse01: Tensor
    coarse10: Tensor
    confidence0: Tensor
    confidence1: Tensor
    flow01: Tensor
    flow10: Tensor
    known0: Tensor
    known1: Tensor

    @property
    def coarse(self) -> CoarseFlowPair:
        """The coarse flow with its confidence, as networks take it."""
        from animeinterp.net.flow_pair import CoarseFlowPair

        return CoarseFlowPair(self.coarse01, self.coarse10, self.confidence0, self.confidence1)
