"""The learned half as `Interpolator` sees it: every network behind the same three verbs.

    see(planes)              → features   once per frame
    flows(side0, side1, …)   → Moved      once per pair
    draw(side0, side1, …, t) → planes     once per new frame

Planes are (1, C, H, W) float32 in [0, 1], premultiplied: gray, gray and alpha, RGB or RGBA. Networks know RGB only;
how gray and alpha pass through them is settled here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from animeinterp.net.cel.encoder import Levels
from animeinterp.net.cel.model import Cel, Flows
from animeinterp.net.paper.model import AnimeInterp, Features


class FrameFeatures(NamedTuple):
    """One frame of a pair. planes: (1, C, H, W). features: of `see`."""

    planes: Tensor
    features: Any


class Moved(NamedTuple):
    """How a network sees two frames move.

    flow01, flow10: (1, 2, H, W) px. importance0, importance1: (1, 1, H, W) > 0, None where the network has none.
    state: what else `draw` needs of the pair, see `ProposedFlow`.
    """

    flow01: Tensor
    flow10: Tensor
    importance0: Tensor | None = None
    importance1: Tensor | None = None
    state: Any = None


class ProposedFlow(NamedTuple):
    """Flow that a network finds without any coarse flow; it competes with other candidates, segment by segment.

    flow01, flow10: (1, 2, H, W) px. state: what `draw` needs besides.
    """

    flow01: Tensor
    flow10: Tensor
    state: Any


class Network(Protocol):
    """fused: whether `flows` takes the guidance fused with dense flow, or segment-guided matching alone."""

    fused: bool

    def see(self, planes: Tensor) -> Any:
        """Features of one frame, (1, C, H, W)."""

    def propose(self, side0: FrameFeatures, side1: FrameFeatures) -> ProposedFlow | None:
        """Flow without any coarse flow, None from networks that need it."""

    def flows(
        self, side0: FrameFeatures, side1: FrameFeatures, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]
    ) -> Moved:
        """Refine the coarse flows, (1, 2, H, W) px, which can be trusted so far: (1, 1, H, W) in [0, 1]."""

    def draw(
        self, side0: FrameFeatures, side1: FrameFeatures, moved: Moved, t: float, where: Tensor | None = None
    ) -> Tensor:
        """The planes at t in [0, 1], (1, C, H, W), not clamped.

        where: bool (1, 1, H, W), the pixels that must be drawn, to save work; the others may hold anything.
        """


class PaperNetwork:
    """The published network. Gray goes in three times and is averaged; alpha is drawn as a gray picture."""

    fused = False

    def __init__(self, network: AnimeInterp) -> None:
        self._network = network

    def see(self, planes: Tensor) -> Features:
        """Features of one frame."""
        return self._network.encode(rgb(planes))

    def propose(self, side0: FrameFeatures, side1: FrameFeatures) -> None:
        """Nothing: this network refines coarse flow."""

    def flows(
        self, side0: FrameFeatures, side1: FrameFeatures, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]
    ) -> Moved:
        """Refine the coarse flows; trust is for the gate to find."""
        return Moved(*self._network.flow(side0.features, side1.features, *coarse))

    def draw(
        self, side0: FrameFeatures, side1: FrameFeatures, moved: Moved, t: float, where: Tensor | None = None
    ) -> Tensor:
        """The planes at t."""
        planes0, planes1, flows = side0.planes, side1.planes, (moved.flow01, moved.flow10)
        pyramids = side0.features.pyramid, side1.features.pyramid
        drawn = as_colors(self._network.synthesize(rgb(planes0), rgb(planes1), *pyramids, *flows, t), planes0)
        if not has_alpha(planes0):
            return drawn
        alpha0, alpha1 = (planes[:, -1:].expand(-1, 3, -1, -1) for planes in (planes0, planes1))
        pyramids = self._network.encode(alpha0).pyramid, self._network.encode(alpha1).pyramid
        alpha = self._network.synthesize(alpha0, alpha1, *pyramids, *flows, t)
        return torch.cat([drawn, alpha.mean(1, keepdim=True)], 1)


class CelNetwork:
    """The project's own network. What it decides from the colors holds for alpha too."""

    fused = True

    def __init__(self, network: Cel) -> None:
        self._network = network

    def see(self, planes: Tensor) -> Levels:
        """Features of one frame."""
        return self._network.encode(rgb(planes))

    def propose(self, side0: FrameFeatures, side1: FrameFeatures) -> None:
        """Nothing: this network refines coarse flow."""

    def flows(
        self, side0: FrameFeatures, side1: FrameFeatures, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]
    ) -> Moved:
        """Refine the coarse flows, and say how far each pixel's can be trusted."""
        frames = rgb(side0.planes), rgb(side1.planes)
        found = self._network.flow(*frames, side0.features, side1.features, *coarse, *trust)
        return Moved(found.flow01, found.flow10, found.z0.exp(), found.z1.exp())

    def draw(
        self, side0: FrameFeatures, side1: FrameFeatures, moved: Moved, t: float, where: Tensor | None = None
    ) -> Tensor:
        """The planes at t."""
        assert moved.importance0 is not None
        assert moved.importance1 is not None
        flows = Flows(moved.flow01, moved.flow10, moved.importance0.log(), moved.importance1.log(), [], [])
        planes0, planes1 = (
            torch.cat([rgb(planes), planes[:, -1:]], 1) if has_alpha(planes) else rgb(planes)
            for planes in (side0.planes, side1.planes)
        )
        time = torch.tensor([t], device=planes0.device)
        drawn = self._network.synthesize(planes0, planes1, side0.features, side1.features, flows, time, where)
        colors = as_colors(drawn[:, :3], side0.planes)
        return torch.cat([colors, drawn[:, 3:]], 1) if has_alpha(side0.planes) else colors


def has_alpha(planes: Tensor) -> bool:
    """Whether the last of the planes (1, C, H, W) is alpha."""
    return planes.shape[1] in (2, 4)


def rgb(planes: Tensor) -> Tensor:
    """The three color planes of (1, C, H, W); gray is repeated, alpha left out (colors are premultiplied)."""
    return planes[:, :1].expand(-1, 3, -1, -1) if planes.shape[1] < 3 else planes[:, :3]


def as_colors(drawn: Tensor, like: Tensor) -> Tensor:
    """What was drawn as RGB, (1, 3, H, W), in the color planes of `like`: gray is the mean."""
    return drawn.mean(1, keepdim=True) if like.shape[1] < 3 else drawn
