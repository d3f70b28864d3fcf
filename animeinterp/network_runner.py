"""Runs the network of a preset for `Interpolator`: arrays in, arrays out, on one device with one precision.

Without a network it draws by the rules of `net.classical`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.builder import Networks, wrap
from animeinterp.config import PaperConfig, Preset, splat_mode
from animeinterp.device import has_fast_bf16
from animeinterp.errors import UsageError
from animeinterp.motion import Analysis, Array, HintedMotion, Motion
from animeinterp.net.adapters import FrameFeatures
from animeinterp.net.classical import Warped, compose, warp
from animeinterp.net.flow_pair import CoarseFlowPair, FlowPair, Hinted

Flows = tuple[Array, Array]


class RefinedFlows(NamedTuple):
    """Flow of a network at the size of the frame.

    Attributes:
        flows: Flow 0→1 and 1→0, float32 (2, H, W), px.
        importances: Importance of both frames, float32 (H, W) > 0; None from networks that have none.
        state: What else `NetworkRunner.draw` needs of the pair.
    """

    flows: Flows
    importances: Flows | None
    state: Any


class NetworkRunner:
    """The learned half of an `Interpolator`.

    Attributes:
        device: Where the network is.
        has_network: False for presets that draw by rules alone.
        expects_fused_flow: Whether `refine` takes dense flow or that of matching alone.
        precision: Of the network, as chosen.
    """

    def __init__(
        self, preset: Preset, network: Networks | None, device: str, precision: Literal["auto", "fp32", "bf16"]
    ) -> None:
        """Keep the network.

        Args:
            preset: What it belongs to.
            network: On the device; None where the preset has none.
            device: Name of the device.
            precision: Of `Options`.
        """
        self.device = torch.device(device)
        self._network = None if network is None else wrap(network)
        self.has_network = network is not None
        self.expects_fused_flow = self._network is None or self._network.expects_fused_flow
        self._mode = splat_mode(preset)
        fast = precision == "auto" and has_fast_bf16(self.device.type)
        self._bf16 = uses_bf16(preset, self.device.type, precision, fast)
        self.precision: Literal["fp32", "bf16"] = "bf16" if self._bf16 else "fp32"

    def tensor(self, planes: Array) -> Tensor:
        """Bring (C, H, W) to the device as (1, C, H, W)."""
        return torch.from_numpy(planes)[None].to(self.device)

    def encode(self, planes: Tensor, shaded: Tensor | None = None) -> Any:
        """Compute the features of a frame, see `Network.encode`; None without a network."""
        if self._network is None:
            return None
        with self._inference():
            return self._network.encode(planes, shaded)

    def propose(self, analysis0: Analysis, analysis1: Analysis) -> RefinedFlows | None:
        """Estimate flow without coarse flow, for networks that can."""
        if self._network is None:
            return None
        with self._inference():
            flows = self._network.propose_flow(_features(analysis0), _features(analysis1))
        return None if flows is None else RefinedFlows((_array(flows.flow01), _array(flows.flow10)), None, flows.state)

    def refine(
        self, analysis0: Analysis, analysis1: Analysis, coarse: Flows, confidences: Flows | None
    ) -> RefinedFlows:
        """Refine flow of the size of the frame.

        Args:
            analysis0: Frame 0.
            analysis1: Frame 1.
            coarse: Flow 0→1 and 1→0, float32 (2, H, W), px.
            confidences: Of that flow, float32 (H, W) in [0, 1]; None for networks that estimate it.

        Returns:
            The refined flow.
        """
        assert self._network is not None
        flow01, flow10 = self.tensor(coarse[0]), self.tensor(coarse[1])
        if confidences is None:
            confidence0 = confidence1 = torch.zeros_like(flow01[:, :1])
        else:
            confidence0, confidence1 = (self.tensor(confidence[None]) for confidence in confidences)
        pair = CoarseFlowPair(flow01, flow10, confidence0, confidence1)
        with self._inference():
            flows = self._network.refine_flow(_features(analysis0), _features(analysis1), pair)
        importances = None
        if flows.z0 is not None and flows.z1 is not None:
            importances = _array(flows.z0.exp())[0], _array(flows.z1.exp())[0]
        return RefinedFlows((_array(flows.flow01), _array(flows.flow10)), importances, flows.state)

    def draw(self, motion: Motion, t: float, wanted: NDArray[np.bool_]) -> Array:
        """Draw the planes at t.

        Args:
            motion: The pair.
            t: In [0, 1].
            wanted: Pixels to draw, bool (H, W). Pixels of `motion.moving` that the network's own flow moves are drawn
                too.

        Returns:
            float32 (C, H, W), not clamped; pixels that were not drawn are those of frame 0.
        """
        mask, reachable = self._marks(wanted), self._marks(motion.moving)
        planes0 = motion.analysis0.planes
        with self._inference():
            if self._network is None:
                composed = compose(planes0, motion.analysis1.planes, *self._warp(motion, t), t)
                return _array(torch.where(mask, composed, planes0))
            flows = FlowPair(
                self.tensor(motion.flow01),
                self.tensor(motion.flow10),
                self.tensor(motion.importance0[None]).log(),
                self.tensor(motion.importance1[None]).log(),
                motion.state,
                None if motion.hinted is None else self._hinted(motion.hinted),
            )
            frames = _features(motion.analysis0), _features(motion.analysis1)
            return _array(self._network.synthesize(*frames, flows, t, mask, reachable))

    def warp(self, motion: Motion, t: float) -> Flows:
        """Warp each frame alone to t, float32 (C, H, W), 0 in holes."""
        with self._inference():
            warped0, warped1 = self._warp(motion, t)
        return _array(warped0.planes), _array(warped1.planes)

    def _warp(self, motion: Motion, t: float) -> tuple[Warped, Warped]:
        flow01, flow10 = self.tensor(motion.flow01), self.tensor(motion.flow10)
        importance0, importance1 = self.tensor(motion.importance0[None]), self.tensor(motion.importance1[None])
        return (
            warp(motion.analysis0.planes, flow01, importance0, t, self._mode),
            warp(motion.analysis1.planes, flow10, importance1, 1 - t, self._mode),
        )

    def _marks(self, marks: NDArray[np.bool_]) -> Tensor:
        """Bring (H, W) to the device as (1, 1, H, W)."""
        return torch.from_numpy(marks)[None, None].to(self.device)

    def _hinted(self, hinted: HintedMotion) -> Hinted:
        parts = hinted.part0, hinted.part1
        return Hinted(*(self._marks(part >= 0).float() for part in parts))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        # Not every device has autocast, even if it is not enabled.
        precision = torch.autocast(self.device.type, torch.bfloat16) if self._bf16 else nullcontext()
        with torch.inference_mode(), precision:
            yield


def uses_bf16(preset: Preset, device: str, precision: Literal["auto", "fp32", "bf16"], fast: bool) -> bool:
    """Return whether a network runs in bfloat16.

    In bfloat16 the scores of `cel` on the development set are the same and frames of `studio` differ by 0.2 levels in
    the mean. Published weights of `paper` were not available to measure its frames.

    Args:
        preset: What it belongs to.
        device: Type of the device.
        precision: Of `Options`.
        fast: Whether the device is faster with it.
    """
    worth_it = device == "cuda" or not isinstance(preset.network, PaperConfig)
    return precision == "bf16" or (precision == "auto" and worth_it and fast)


def _features(analysis: Analysis) -> FrameFeatures:
    if analysis.features is None:
        raise UsageError("this analysis holds no network features; make it with this interpolator's analyze")
    return FrameFeatures(analysis.planes, analysis.features)


def _array(planes: Tensor) -> Array:
    """Bring (1, C, H, W) to the CPU as (C, H, W) float32."""
    return np.asarray(planes[0].float().cpu().numpy())
