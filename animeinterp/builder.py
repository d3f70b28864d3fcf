"""Build the network of a preset, wrap it for `Interpolator`, and try it on a device."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from animeinterp.config import CelConfig, NetworkConfig, PaperConfig, SplatMode
from animeinterp.device import explain_refusal
from animeinterp.net.adapters import CelNetwork, FrameFeatures, Network, PaperNetwork
from animeinterp.net.cel.model import Cel
from animeinterp.net.classical import compose, warp
from animeinterp.net.flow_pair import CoarseFlowPair
from animeinterp.net.paper.model import AnimeInterp
from animeinterp.net.studio.adapter import StudioNetwork, StudioNetworks

Networks = AnimeInterp | Cel | StudioNetworks


def build_network(config: NetworkConfig | None) -> Networks | None:
    """Build the untrained network of a preset, None for presets without one."""
    if config is None:
        return None
    if isinstance(config, PaperConfig):
        return AnimeInterp(config)
    return Cel(config) if isinstance(config, CelConfig) else StudioNetworks(config)


def wrap(network: Networks) -> Network:
    """Wrap a network as `Interpolator` uses it."""
    if isinstance(network, StudioNetworks):
        return StudioNetwork(network)
    return CelNetwork(network) if isinstance(network, Cel) else PaperNetwork(network)


def try_out(network: Networks | None, mode: SplatMode, device: str) -> str:
    """Draw a random frame with all operations of a network, unless on the CPU.

    Args:
        network: The network, on `device`; None for the operations that need no network.
        mode: How `warp` splats.
        device: Name of the device; some lack operations that others have.

    Returns:
        Why the device cannot draw; empty if it can.
    """
    if device.startswith("cpu"):
        return ""
    try:
        with torch.inference_mode():
            _draw_random(None if network is None else wrap(network), mode, device)
    except (RuntimeError, TypeError, AssertionError) as error:
        return explain_refusal(error)
    return ""


def _draw_random(network: Network | None, mode: SplatMode, device: str) -> None:
    planes, flow = torch.rand(1, 3, 64, 64), torch.ones(1, 2, 64, 64)
    planes, flow = planes.to(device), flow.to(device)
    confidence = torch.ones_like(flow[:, :1])
    if network is None:
        warped = warp(planes, flow, confidence, 0.5, mode)
        compose(planes, planes, warped, warped, 0.5).cpu()
        return
    frame = FrameFeatures(planes, network.encode(planes))
    proposal = network.propose_flow(frame, frame)
    flows = network.refine_flow(frame, frame, CoarseFlowPair(flow, flow, confidence, confidence))
    if proposal is not None:
        flows = flows._replace(state=proposal.state)
    network.synthesize(frame, frame, flows, 0.5, confidence > 0).cpu()


def digest(state: Mapping[str, Tensor]) -> str:
    """Compute SHA-256 of named tensors, hexadecimal: it names the weights in use, whatever file they came from."""
    result = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        result.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        result.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return result.hexdigest()
