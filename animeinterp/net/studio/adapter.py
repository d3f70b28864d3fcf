"""`studio` as `Interpolator` uses it: `cel`, the heavy network from public weights, and the blend of their drawings."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import StudioConfig
from animeinterp.net.adapters import CelNetwork, FrameFeatures, as_colors, has_alpha, rgb
from animeinterp.net.cel.hinted import reach_of_hints
from animeinterp.net.cel.model import Cel
from animeinterp.net.flow_pair import CoarseFlowPair, FlowPair
from animeinterp.net.ops.geometry import MIN_SIZE, downsample, resize, scale_flow
from animeinterp.net.ops.grain import is_grainy
from animeinterp.net.studio.model import Encoding, Studio
from animeinterp.net.studio.restoration import restore


class StudioNetworks(nn.Module):
    """The networks of `studio`.

    Attributes:
        light: `cel`, with its own weights.
        heavy: The network from public weights.
    """

    def __init__(self, config: StudioConfig) -> None:
        """Create both networks, untrained."""
        super().__init__()
        self.config = config
        self.light, self.heavy = Cel(config.cel), Studio()


class StudioFeatures(NamedTuple):
    """Features of one frame.

    Attributes:
        light: Of `cel`: the frame as it sees it.
        heavy: Of the heavy network.
        alpha: Of the alpha plane as a gray image; None without one.
    """

    light: Tensor
    heavy: Encoding
    alpha: Encoding | None


class StudioState(NamedTuple):
    """What the heavy network knows of a pair.

    Attributes:
        flows: Flow at half the padded size.
        size: (height, width) at which it saw the frames.
        grainy: Whether the frames show film grain.
    """

    flows: FlowPair
    size: tuple[int, int]
    grainy: bool


class StudioNetwork:
    """Draws three candidates of a frame and blends them, see `animeinterp.net.studio.restoration`.

    The heavy network sees frames of at most as many pixels as `cel` does; the drawing of `cel` has the size of the
    frame.
    """

    expects_fused_flow = True

    def __init__(self, networks: StudioNetworks) -> None:
        """Wrap the networks."""
        self._max_pixels = networks.config.cel.network_pixel_range[1]
        self._light, self._heavy = CelNetwork(networks.light), networks.heavy

    def encode(self, planes: Tensor, shaded: Tensor | None = None) -> StudioFeatures:
        """Compute the features of one frame for both networks; the heavy one draws from its own: unshaded."""
        small = downsample(planes, self._seen_size(planes))
        alpha = self._heavy.encode(_alpha_as_rgb(small), match=False) if has_alpha(planes) else None
        return StudioFeatures(self._light.encode(planes, shaded), self._heavy.encode(rgb(small)), alpha)

    def propose_flow(self, frame0: FrameFeatures, frame1: FrameFeatures) -> FlowPair:
        """Estimate flow by the heavy network."""
        encoding0, encoding1 = frame0.features.heavy, frame1.features.heavy
        flows = self._heavy.flow(encoding0, encoding1)
        seen, size = encoding0.size, tuple(frame0.planes.shape[-2:])
        seen0, seen1 = (encoding.padded[..., : seen[0], : seen[1]] for encoding in (encoding0, encoding1))
        state = StudioState(flows, seen, is_grainy(seen0, seen1, _at_size(flows.flow01, seen, seen)))
        return FlowPair(_at_size(flows.flow01, seen, size), _at_size(flows.flow10, seen, size), state=state)

    def refine_flow(self, frame0: FrameFeatures, frame1: FrameFeatures, coarse: CoarseFlowPair) -> FlowPair:
        """Refine coarse flow by `cel`."""
        return self._light.refine_flow(*_for_light(frame0, frame1), coarse)

    def synthesize(
        self,
        frame0: FrameFeatures,
        frame1: FrameFeatures,
        flows: FlowPair,
        t: float,
        wanted: Tensor | None = None,
        reachable: Tensor | None = None,
    ) -> Tensor:
        """Draw the frame at t by blending three drawings. The heavy network's flow has told the wanted pixels."""
        drawings = self.candidates(frame0, frame1, flows, t, wanted)
        drawn = restore(*drawings, grainy=flows.state.grainy)
        if flows.hinted is None:
            return drawn
        # The heavy networks do not know hints.
        return torch.lerp(drawn, drawings[0].float(), reach_of_hints(flows.hinted, flows, torch.tensor([t])))

    def candidates(
        self, frame0: FrameFeatures, frame1: FrameFeatures, flows: FlowPair, t: float, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw each candidate on its own.

        Args:
            frame0: Frame 0.
            frame1: Frame 1.
            flows: Of `refine_flow`, with the state of `propose_flow`.
            t: In [0, 1].
            wanted: Pixels that must be drawn, bool (1, 1, H, W); None draws all.

        Returns:
            Drawings of `cel`, RIFE and the heavy network, (1, C, H, W) float32 in [0, 1] each.
        """
        state: StudioState = flows.state
        features0, features1, like = frame0.features, frame1.features, frame0.planes
        size = tuple(like.shape[-2:])
        small = None if wanted is None else F.adaptive_max_pool2d(wanted.float(), state.size) > 0
        light_flows = flows._replace(state=state.grainy)
        sharp = self._light.synthesize(*_for_light(frame0, frame1), light_flows, t, wanted).clamp(0, 1)
        heavy = self._heavy.synthesize(features0.heavy, features1.heavy, state.flows, t, small)
        middle = self._heavy.intermediate(features0.heavy, features1.heavy, t)
        safe, middle = (as_colors(resize(drawn.float(), size), like) for drawn in (heavy, middle))
        if has_alpha(like):
            alpha = self._heavy.synthesize(features0.alpha, features1.alpha, state.flows, t, small)
            full = resize(alpha.float(), size).mean(1, keepdim=True)
            safe, middle = torch.cat([safe, full], 1), torch.cat([middle, full], 1)
        if wanted is None:
            return sharp, middle, safe
        # Pixels that are not wanted may hold anything, and must not influence the choice next to them.
        sharp, middle, safe = (torch.where(wanted, planes.float(), like) for planes in (sharp, middle, safe))
        return sharp, middle, safe

    def _seen_size(self, planes: Tensor) -> tuple[int, int]:
        height, width = planes.shape[-2:]
        scale = min(1.0, (self._max_pixels / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))


def _for_light(frame0: FrameFeatures, frame1: FrameFeatures) -> tuple[FrameFeatures, FrameFeatures]:
    return FrameFeatures(frame0.planes, frame0.features.light), FrameFeatures(frame1.planes, frame1.features.light)


def _alpha_as_rgb(planes: Tensor) -> Tensor:
    return planes[:, -1:].expand(-1, 3, -1, -1)


def _at_size(flow: Tensor, seen: tuple[int, int], size: tuple[int, ...]) -> Tensor:
    """Bring flow at half the padded size of frames that were seen at `seen` to `size`, px."""
    doubled = 2 * F.interpolate(flow, scale_factor=2.0, mode="bilinear", align_corners=False)
    return scale_flow(doubled[..., : seen[0], : seen[1]], size, "bilinear")
