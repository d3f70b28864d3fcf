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
from torch import Tensor, nn

from animeinterp.device import explain_refusal
from animeinterp.net.cel import Cel, Flows
from animeinterp.net.compose import compose, warp
from animeinterp.net.encoder import Levels, shrunk
from animeinterp.net.model import AnimeInterp, Features
from animeinterp.net.rfr import resize, scale_flow
from animeinterp.net.studio.model import MIN_SIZE, Encoding, Studio
from animeinterp.net.studio.restoration import restore
from animeinterp.options import ModelConfig, SplatMode


class Side(NamedTuple):
    """One frame of a pair. planes: (1, C, H, W). features: of `see`."""

    planes: Tensor
    features: Any


class Moved(NamedTuple):
    """How a network sees two frames move.

    flow01, flow10: (1, 2, H, W) px. importance0, importance1: (1, 1, H, W) > 0, None where the network has none.
    second: flow 0→1 and 1→0 of a second network, where there is one. own: what else `draw` needs of the pair.
    """

    flow01: Tensor
    flow10: Tensor
    importance0: Tensor | None = None
    importance1: Tensor | None = None
    second: tuple[Tensor, Tensor] | None = None
    own: Any = None


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


class StudioPair(nn.Module):
    """The two networks of `studio`: light is `cel`, heavy comes from public weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.light, self.heavy = Cel(config), Studio()


class _StudioFeatures(NamedTuple):
    """alpha: the alpha plane as a gray picture, None without one."""

    light: Levels
    heavy: Encoding
    alpha: Encoding | None


class StudioNetwork:
    """`cel` joined with the heavy network; see `animeinterp.net.studio.restoration`.

    The heavy network sees frames of at most as many pixels as `cel` does.
    """

    fused = True

    def __init__(self, networks: StudioPair) -> None:
        assert networks.config.restoration is not None
        self._rule, self._most = networks.config.restoration, networks.config.seen_pixels[1]
        self._light, self._heavy = CelNetwork(networks.light), networks.heavy

    def see(self, planes: Tensor) -> _StudioFeatures:
        """Features of one frame, of both networks."""
        small = shrunk(planes, self._seen_size(planes))
        alpha = self._heavy.encode(_gray(small), match=False) if has_alpha(planes) else None
        return _StudioFeatures(self._light.see(planes), self._heavy.encode(rgb(small)), alpha)

    def flows(self, side0: Side, side1: Side, coarse: tuple[Tensor, Tensor], trust: tuple[Tensor, Tensor]) -> Moved:
        """Flow by each network on its own."""
        moved = self._light.flows(*_light(side0, side1), coarse, trust)
        heavy = self._heavy.flow(side0.features.heavy, side1.features.heavy)
        size, encoding = tuple(side0.planes.shape[-2:]), side0.features.heavy
        seen = encoding.size
        whole = [
            scale_flow(scale_flow(flow, tuple(encoding.padded.shape[-2:]), "bilinear")[..., : seen[0], : seen[1]], size,
                       "bilinear")
            for flow in (heavy.flow01, heavy.flow10)
        ]  # fmt: skip
        return moved._replace(second=(whole[0], whole[1]), own=heavy)

    def draw(self, side0: Side, side1: Side, moved: Moved, t: float, where: Tensor | None = None) -> Tensor:
        """The planes at t, joined from three candidates."""
        sharp = self._light.draw(*_light(side0, side1), moved, t, where)
        features0, features1, like = side0.features, side1.features, side0.planes
        size = tuple(like.shape[-2:])
        heavy = self._heavy.synthesize(features0.heavy, features1.heavy, moved.own, t)
        middle = self._heavy.intermediate(features0.heavy, features1.heavy, t)
        safe, middle = (as_colors(resize(drawn.float(), size), like) for drawn in (heavy, middle))
        if has_alpha(like):
            alpha = self._heavy.synthesize(features0.alpha, features1.alpha, moved.own, t)
            whole = resize(alpha.float(), size).mean(1, keepdim=True)
            safe, middle = torch.cat([safe, whole], 1), torch.cat([middle, whole], 1)
        return restore(sharp, middle, safe, self._rule)

    def _seen_size(self, planes: Tensor) -> tuple[int, int]:
        height, width = planes.shape[-2:]
        scale = min(1.0, (self._most / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))


def _light(side0: Side, side1: Side) -> tuple[Side, Side]:
    return Side(side0.planes, side0.features.light), Side(side1.planes, side1.features.light)


def _gray(planes: Tensor) -> Tensor:
    """The alpha plane as RGB."""
    return planes[:, -1:].expand(-1, 3, -1, -1)


def build_network(config: ModelConfig) -> AnimeInterp | Cel | StudioPair | None:
    """The untrained network of an architecture, None where it needs none."""
    if config.restoration is not None:
        return StudioPair(config)
    if config.flow == "refined" or config.synthesis == "chosen":
        return Cel(config)
    if config.flow == "rfr" or config.synthesis == "gridnet":
        return AnimeInterp(config)
    return None


def wrap(network: AnimeInterp | Cel | StudioPair) -> Network:
    """The network behind the verbs of this page."""
    if isinstance(network, StudioPair):
        return StudioNetwork(network)
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
