"""Build the network of a preset, put it behind the verbs of `animeinterp.net.adapters`, and try it on a device."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from animeinterp.config import ModelConfig, SplatMode
from animeinterp.device import explain_refusal
from animeinterp.net.adapters import CelNetwork, FrameFeatures, Network, PaperNetwork
from animeinterp.net.cel.model import Cel
from animeinterp.net.classical import compose, warp
from animeinterp.net.paper.model import AnimeInterp
from animeinterp.net.studio.adapter import StudioNetwork, StudioNetworks

Networks = AnimeInterp | Cel | StudioNetworks


def build_network(config: ModelConfig) -> Networks | None:
    """The untrained network of an architecture, None where it needs none."""
    if config.synthesis == "restored":
        return StudioNetworks(config)
    if config.flow == "refined" or config.synthesis == "chosen":
        return Cel(config)
    if config.flow == "rfr" or config.synthesis == "gridnet":
        return AnimeInterp(config)
    return None


def wrap(network: Networks) -> Network:
    """The network behind the verbs of `animeinterp.net.adapters`."""
    if isinstance(network, StudioNetworks):
        return StudioNetwork(network)
    return CelNetwork(network) if isinstance(network, Cel) else PaperNetwork(network)


def try_out(network: Networks | None, mode: SplatMode, device: str) -> str:
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
    side = FrameFeatures(planes, network.see(planes))
    proposal = network.propose(side, side)
    moved = network.flows(side, side, (flow, flow), (trust, trust))
    if proposal is not None:
        moved = moved._replace(state=proposal.state)
    if moved.importance0 is None:
        moved = moved._replace(importance0=trust, importance1=trust)
    network.draw(side, side, moved, 0.5, trust > 0).cpu()


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors, hexadecimal: of the weights that are in use, whatever file they came from."""
    found = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        found.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        found.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
