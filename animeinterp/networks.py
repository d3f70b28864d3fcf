"""The learned half as `Interpolator` sees it: every network behind the same three verbs.

    see(planes)              → features   once per frame
    flows(side0, side1, …)   → Moved      once per pair
    draw(side0, side1, …, t) → planes     once per new frame

Planes are (1, C, H, W) float32 in [0, 1], premultiplied: grey, grey and alpha, RGB or RGBA. Networks know RGB only;
how grey and alpha pass through them is settled here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from animeinterp.device import explain_refusal
from animeinterp.net.cel import Cel, Flows
from animeinterp.net.compose import compose, warp
from animeinterp.net.encoder import Levels
from animeinterp.net.model import AnimeInterp, Features
from animeinterp.options import ModelConfig, SplatMode


class Side(NamedTuple):
    """One frame of a pair. planes: (1, C, H, W). features: of `see`."""

    planes: Tensor
    features: Any


class Moved(NamedTuple):
    """flow01, flow10: (1, 2, H, W) px. importance0, importance1: (1, 1, H, W) > 0, None where the network has none."""

    flow01: Tensor
    flow10: Tensor
    importance0: Tensor | None = None
    importance1: Tensor | None = None


class Network(Protocol):
    """fused: whether `flows` takes the guidance fused with dense flow, or segment-guided matching alone."""

    fused: bool

    def see(self, planes: Tensor) -> Any:
        """Features of one frame, (1, C, H, W)."""

    def flows(self, side0: Side, side1: Side, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]) -> Moved:
        """Refine the coarse flows, (1, 2, H, W) px, which can be trusted so far: (1, 1, H, W) in [0, 1]."""

    def draw(self, side0: Side, side1: Side, moved: Moved, t: float, where: Tensor | None = None) -> Tensor:
        """The planes at t in [0, 1], (1, C, H, W), not clamped.

        where: bool (1, 1, H, W), the pixels that must be drawn, to save work; the others may hold anything.
        """


class PaperNetwork:
    """The published network. Grey goes in three times and is averaged; alpha is drawn as a grey picture."""

    fused = False

    def __init__(self, network: AnimeInterp) -> None:
        self._network = network

    def see(self, planes: Tensor) -> Features:
        """Features of one frame."""
        return self._network.encode(rgb(planes))

    def flows(self, side0: Side, side1: Side, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]) -> Moved:
        """Refine the coarse flows; trust is for the gate to find."""
        return Moved(*self._network.flow(side0.features, side1.features, *coarse))

    def draw(self, side0: Side, side1: Side, moved: Moved, t: float, where: Tensor | None = None) -> Tensor:
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
    """The project's own network. What it decides from the colours holds for alpha too."""

    fused = True

    def __init__(self, network: Cel) -> None:
        self._network = network

    def see(self, planes: Tensor) -> Levels:
        """Features of one frame."""
        return self._network.encode(rgb(planes))

    def flows(self, side0: Side, side1: Side, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]) -> Moved:
        """Refine the coarse flows, and say how far each pixel's can be trusted."""
        frames = rgb(side0.planes), rgb(side1.planes)
        found = self._network.flow(*frames, side0.features, side1.features, *coarse, *trust)
        return Moved(found.flow01, found.flow10, found.z0.exp(), found.z1.exp())

    def draw(self, side0: Side, side1: Side, moved: Moved, t: float, where: Tensor | None = None) -> Tensor:
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


def build_network(config: ModelConfig) -> AnimeInterp | Cel | None:
    """The untrained network of an architecture, None where it needs none."""
    if config.flow == "refined" or config.synthesis == "chosen":
        return Cel(config)
    if config.flow == "rfr" or config.synthesis == "gridnet":
        return AnimeInterp(config)
    return None


def wrap(network: AnimeInterp | Cel) -> Network:
    """The network behind the verbs of this page."""
    return CelNetwork(network) if isinstance(network, Cel) else PaperNetwork(network)


def try_out(network: AnimeInterp | Cel | None, mode: SplatMode, device: str) -> str:
    """Draw an empty frame with all operations of a network, or of the presets without one, unless on the CPU.

    Args:
        network: What draws, on `device`; None for the operations that need no network.
        mode: How `warp` splats.
        device: Where; some lack operations that others have.

    Returns:
        Why the device cannot draw; empty if it can.
    """
    if device.startswith("cpu"):
        return ""
    try:
        with torch.inference_mode():
            _draw_empty(None if network is None else wrap(network), mode, device)
    except (RuntimeError, TypeError, AssertionError) as error:
        return explain_refusal(error)
    return ""


def _draw_empty(network: Network | None, mode: SplatMode, device: str) -> None:
    planes, flow = torch.rand(1, 3, 64, 64), torch.ones(1, 2, 64, 64)
    planes, flow = planes.to(device), flow.to(device)
    trust = torch.ones_like(flow[:, :1])
    if network is None:
        compose(planes, planes, warp(planes, flow, trust, 0.5, mode), warp(planes, flow, trust, 0.5, mode), 0.5).cpu()
        return
    side = Side(planes, network.see(planes))
    moved = network.flows(side, side, (flow, flow), (trust, trust))
    if moved.importance0 is None:
        moved = moved._replace(importance0=trust, importance1=trust)
    network.draw(side, side, moved, 0.5, trust > 0).cpu()


def has_alpha(planes: Tensor) -> bool:
    """Whether the last of the planes (1, C, H, W) is alpha."""
    return planes.shape[1] in (2, 4)


def rgb(planes: Tensor) -> Tensor:
    """The three colour planes of (1, C, H, W); grey is repeated, alpha left out (colours are premultiplied)."""
    return planes[:, :1].expand(-1, 3, -1, -1) if planes.shape[1] < 3 else planes[:, :3]


def as_colors(drawn: Tensor, like: Tensor) -> Tensor:
    """What was drawn as RGB, (1, 3, H, W), in the colour planes of `like`: grey is the mean."""
    return drawn.mean(1, keepdim=True) if like.shape[1] < 3 else drawn


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors, hexadecimal: of the weights that are in use, whatever file they came from."""
    found = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        found.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        found.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
