"""The learned half as `Interpolator` uses it: every network behind the same verbs.

    encode(planes, shaded)        → features         once per frame
    propose_flow(a, b)            → FlowPair | None  once per pair
    refine_flow(a, b, coarse)     → FlowPair         once per pair
    synthesize(a, b, flows, t, …) → planes           once per new frame

Planes are (1, C, H, W) float32 in [0, 1], premultiplied: gray, gray and alpha, RGB or RGBA. Networks know RGB only; how
gray and alpha pass through them is defined here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from animeinterp.net.cel.model import Cel, importance_of
from animeinterp.net.flow_pair import CoarseFlowPair, FlowPair
from animeinterp.net.ops.geometry import scale_flow
from animeinterp.net.ops.grain import is_grainy
from animeinterp.net.paper.model import AnimeInterp, Features


class FrameFeatures(NamedTuple):
    """One frame of a pair.

    Attributes:
        planes: (1, C, H, W).
        features: Of `Network.encode`.
    """

    planes: Tensor
    features: Any


class Network(Protocol):
    """A network that refines flow and draws frames.

    Attributes:
        expects_fused_flow: Whether `refine_flow` takes flow that is dense (fused with DIS) or that of matching alone.
    """

    expects_fused_flow: bool

    def encode(self, planes: Tensor, shaded: Tensor | None = None) -> Any:
        """Compute the features of one frame.

        Args:
            planes: (1, C, H, W).
            shaded: The frame shaded for motion, if it is a line drawing, (1, 3, H, W), see `animeinterp.line_art`.
        """

    def propose_flow(self, frame0: FrameFeatures, frame1: FrameFeatures) -> FlowPair | None:
        """Estimate flow without coarse flow; it competes with other candidates, segment by segment.

        Returns:
            Flow at the size of the frame, and the state that `synthesize` needs; None from networks that only refine.
        """

    def refine_flow(self, frame0: FrameFeatures, frame1: FrameFeatures, coarse: CoarseFlowPair) -> FlowPair:
        """Refine coarse flow of the size of the frame."""

    def synthesize(
        self,
        frame0: FrameFeatures,
        frame1: FrameFeatures,
        flows: FlowPair,
        t: float,
        wanted: Tensor | None = None,
        reachable: Tensor | None = None,
    ) -> Tensor:
        """Draw the frame at t.

        Args:
            frame0: Frame 0.
            frame1: Frame 1.
            flows: Of `refine_flow`, with the state of `propose_flow`.
            t: In [0, 1].
            wanted: Pixels that must be drawn, bool (1, 1, H, W). None draws all.
            reachable: Pixels that motion may reach. Networks with flow of their own also draw those of them that this
                flow moves.

        Returns:
            (1, C, H, W), not clamped; pixels that are not drawn are those of frame 0.
        """


class PaperNetwork:
    """The published network. Gray is repeated three times and averaged; alpha is drawn as a gray image."""

    expects_fused_flow = False

    def __init__(self, network: AnimeInterp) -> None:
        """Wrap the network."""
        self._network = network

    def encode(self, planes: Tensor, shaded: Tensor | None = None) -> Features:
        """Compute the features of one frame. New frames are drawn from them, so that shading would show."""
        return self._network.encode(rgb(planes))

    def propose_flow(self, frame0: FrameFeatures, frame1: FrameFeatures) -> None:
        """Return None: this network refines coarse flow."""

    def refine_flow(self, frame0: FrameFeatures, frame1: FrameFeatures, coarse: CoarseFlowPair) -> FlowPair:
        """Refine coarse flow; confidence is estimated by the network's own gate."""
        return FlowPair(*self._network.flow(frame0.features, frame1.features, coarse.flow01, coarse.flow10))

    def synthesize(
        self,
        frame0: FrameFeatures,
        frame1: FrameFeatures,
        flows: FlowPair,
        t: float,
        wanted: Tensor | None = None,
        reachable: Tensor | None = None,
    ) -> Tensor:
        """Draw the frame at t."""
        drawn = self._draw(frame0, frame1, flows, t)
        return drawn if wanted is None else torch.where(wanted, drawn, frame0.planes)

    def _draw(self, frame0: FrameFeatures, frame1: FrameFeatures, flows: FlowPair, t: float) -> Tensor:
        planes0, planes1, both = frame0.planes, frame1.planes, (flows.flow01, flows.flow10)
        pyramids = frame0.features.pyramid, frame1.features.pyramid
        drawn = as_colors(self._network.synthesize(rgb(planes0), rgb(planes1), *pyramids, *both, t), planes0)
        if not has_alpha(planes0):
            return drawn
        alpha0, alpha1 = (planes[:, -1:].expand(-1, 3, -1, -1) for planes in (planes0, planes1))
        pyramids = self._network.encode(alpha0).pyramid, self._network.encode(alpha1).pyramid
        alpha = self._network.synthesize(alpha0, alpha1, *pyramids, *both, t)
        return torch.cat([drawn, alpha.mean(1, keepdim=True)], 1)


class CelNetwork:
    """The project's own network. What it predicts from the colors is applied to alpha too."""

    expects_fused_flow = True

    def __init__(self, network: Cel) -> None:
        """Wrap the network."""
        self._network = network

    def encode(self, planes: Tensor, shaded: Tensor | None = None) -> Tensor:
        """Bring the colors of one frame, or the shaded lines, to the size that the network sees."""
        return self._network.seen(rgb(planes) if shaded is None else shaded)

    def propose_flow(self, frame0: FrameFeatures, frame1: FrameFeatures) -> None:
        """Return None: this network takes the flow of segment matching."""

    def refine_flow(self, frame0: FrameFeatures, frame1: FrameFeatures, coarse: CoarseFlowPair) -> FlowPair:
        """Return the coarse flow with its importance: what this network adds depends on the time.

        The state tells whether the frames show film grain.
        """
        size = tuple(frame0.features.shape[-2:])
        grainy = is_grainy(frame0.features, frame1.features, scale_flow(coarse.flow01, size, "bilinear"))
        return importance_of(coarse)._replace(state=grainy)

    def synthesize(
        self,
        frame0: FrameFeatures,
        frame1: FrameFeatures,
        flows: FlowPair,
        t: float,
        wanted: Tensor | None = None,
        reachable: Tensor | None = None,
    ) -> Tensor:
        """Draw the frame at t."""
        alpha = has_alpha(frame0.planes)
        planes0, planes1 = (
            torch.cat([rgb(planes), planes[:, -1:]], 1) if alpha else rgb(planes)
            for planes in (frame0.planes, frame1.planes)
        )
        time = torch.tensor([t], device=planes0.device)
        seen = frame0.features, frame1.features
        grainy = bool(flows.state)
        drawn = self._network.synthesize((planes0, planes1), seen, flows, time, wanted, reachable, grainy=grainy)
        colors = as_colors(drawn[:, :3], frame0.planes)
        return torch.cat([colors, drawn[:, 3:]], 1) if alpha else colors


def has_alpha(planes: Tensor) -> bool:
    """Tell whether the last of the planes (1, C, H, W) is alpha."""
    return planes.shape[1] in (2, 4)


def rgb(planes: Tensor) -> Tensor:
    """Return three color planes of (1, C, H, W): gray is repeated, alpha dropped (colors are premultiplied)."""
    return planes[:, :1].expand(-1, 3, -1, -1) if planes.shape[1] < 3 else planes[:, :3]


def as_colors(drawn: Tensor, like: Tensor) -> Tensor:
    """Turn drawn RGB, (1, 3, H, W), into the color planes of `like`: gray is the mean."""
    return drawn.mean(1, keepdim=True) if like.shape[1] < 3 else drawn
