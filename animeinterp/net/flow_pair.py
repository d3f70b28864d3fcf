"""How two frames move into each other, as tensors: what enters and what leaves the networks."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class CoarseFlowPair(NamedTuple):
    """Flow that is to be refined.

    Attributes:
        flow01: Flow 0→1, (N, 2, H, W) float32, x first, px; 0 where nothing is known.
        flow10: Flow 1→0.
        confidence0: Confidence of `flow01`, (N, 1, H, W) in [0, 1].
        confidence1: Confidence of `flow10`.
    """

    flow01: Tensor
    flow10: Tensor
    confidence0: Tensor
    confidence1: Tensor


class Hinted(NamedTuple):
    """Pixels that follow hints, (N, 1, H, W), 1 where they do and 0 elsewhere.

    Attributes:
        frame0: Pixels of frame 0 whose flow is known.
        frame1: Likewise of frame 1.
    """

    frame0: Tensor
    frame1: Tensor


class FlowPair(NamedTuple):
    """Refined flow.

    Attributes:
        flow01: Flow 0→1, (N, 2, H, W) float32, x first, px.
        flow10: Flow 1→0.
        z0: Log importance of frame 0's pixels (Z of softmax splatting), (N, 1, H, W); None where the network has none.
        z1: That of frame 1's pixels.
        state: What else a network needs to draw frames of the pair; None for most.
        hinted: What follows hints; None without hints.
    """

    flow01: Tensor
    flow10: Tensor
    z0: Tensor | None = None
    z1: Tensor | None = None
    state: Any = None
    hinted: Hinted | None = None
