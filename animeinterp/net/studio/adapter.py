"""`studio` as `Interpolator` sees it: `cel`, the heavy network from public weights, and what joins their drawings."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animeinterp.config import ModelConfig
from animeinterp.net.adapters import CelNetwork, FrameFeatures, Moved, ProposedFlow, as_colors, has_alpha, rgb
from animeinterp.net.cel.encoder import Levels
from animeinterp.net.cel.model import Cel
from animeinterp.net.ops.geometry import downsample, resize, scale_flow
from animeinterp.net.studio.grain import is_grainy
from animeinterp.net.studio.model import MIN_SIZE, Encoding, Flows, Studio
from animeinterp.net.studio.restoration import restore

Pair = tuple[Tensor, Tensor]


class StudioNetworks(nn.Module):
    """The networks of `studio`.

    light: `cel`, with its own weights. heavy: from public weights.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.light, self.heavy = Cel(config), Studio()


class Features(NamedTuple):
    """Features of one frame.

    light: Of `cel`. heavy: Of the heavy network. alpha: Of the alpha plane seen as a gray image, None without one.
    """

    light: Levels
    heavy: Encoding
    alpha: Encoding | None


class State(NamedTuple):
    """What the heavy network found of a pair.

    flows: At half the padded size. size: (height, width) at which it saw the frames. grainy: whether they show film
    grain.
    """

    flows: Flows
    size: tuple[int, int]
    grainy: bool


class StudioNetwork:
    """Draws three candidates of a frame and joins them; see `animeinterp.net.studio.restoration`.

    The heavy network sees frames of at most as many pixels as `cel` does; `cel`'s drawing has the size of the frame.
    """

    fused = True

    def __init__(self, networks: StudioNetworks) -> None:
        self._most = networks.config.network_pixel_range[1]
        self._light, self._heavy = CelNetwork(networks.light), networks.heavy

    def see(self, planes: Tensor) -> Features:
        """Features of one frame, of both networks."""
        small = downsample(planes, self._seen_size(planes))
        alpha = self._heavy.encode(_alpha_as_rgb(small), match=False) if has_alpha(planes) else None
        return Features(self._light.see(planes), self._heavy.encode(rgb(small)), alpha)

    def propose(self, side0: FrameFeatures, side1: FrameFeatures) -> ProposedFlow:
        """Flow of the heavy network."""
        encoding0, encoding1 = side0.features.heavy, side1.features.heavy
        found = self._heavy.flow(encoding0, encoding1)
        seen, size = encoding0.size, tuple(side0.planes.shape[-2:])
        frame0, frame1 = (encoding.padded[..., : seen[0], : seen[1]] for encoding in (encoding0, encoding1))
        state = State(found, seen, is_grainy(frame0, frame1, _whole(found.flow01, seen, seen)))
        return ProposedFlow(_whole(found.flow01, seen, size), _whole(found.flow10, seen, size), state)

    def flows(self, side0: FrameFeatures, side1: FrameFeatures, coarse: Pair, trust: Pair) -> Moved:
        """Refine the coarse flows by `cel`."""
        return self._light.flows(*_light(side0, side1), coarse, trust)

    def draw(
        self, side0: FrameFeatures, side1: FrameFeatures, moved: Moved, t: float, where: Tensor | None = None
    ) -> Tensor:
        """The planes at t, joined from three drawings."""
        return restore(*self.candidates(side0, side1, moved, t, where), grainy=moved.state.grainy)

    def candidates(
        self, side0: FrameFeatures, side1: FrameFeatures, moved: Moved, t: float, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw every candidate on its own.

        Args:
            side0: Frame 0 with its features.
            side1: Frame 1.
            moved: Of `flows`.
            t: In [0, 1].
            where: bool (1, 1, H, W), the pixels that must be drawn.

        Returns:
            Drawn by `cel`, RIFE and the heavy network, (1, C, H, W) float32 in [0, 1] each.
        """
        state: State = moved.state
        features0, features1, like = side0.features, side1.features, side0.planes
        size = tuple(like.shape[-2:])
        small = None if where is None else F.adaptive_max_pool2d(where.float(), state.size) > 0
        sharp = self._light.draw(*_light(side0, side1), moved, t, where).clamp(0, 1)
        heavy = self._heavy.synthesize(features0.heavy, features1.heavy, state.flows, t, small)
        middle = self._heavy.intermediate(features0.heavy, features1.heavy, t)
        safe, middle = (as_colors(resize(drawn.float(), size), like) for drawn in (heavy, middle))
        if has_alpha(like):
            alpha = self._heavy.synthesize(features0.alpha, features1.alpha, state.flows, t, small)
            whole = resize(alpha.float(), size).mean(1, keepdim=True)
            safe, middle = torch.cat([safe, whole], 1), torch.cat([middle, whole], 1)
        if where is None:
            return sharp, middle, safe
        # What is not asked for may hold anything, and must not sway the choice next to it.
        sharp, middle, safe = (torch.where(where, planes.float(), like) for planes in (sharp, middle, safe))
        return sharp, middle, safe

    def _seen_size(self, planes: Tensor) -> tuple[int, int]:
        height, width = planes.shape[-2:]
        scale = min(1.0, (self._most / (height * width)) ** 0.5)
        return max(MIN_SIZE, round(height * scale)), max(MIN_SIZE, round(width * scale))


def _light(side0: FrameFeatures, side1: FrameFeatures) -> tuple[FrameFeatures, FrameFeatures]:
    return FrameFeatures(side0.planes, side0.features.light), FrameFeatures(side1.planes, side1.features.light)


def _alpha_as_rgb(planes: Tensor) -> Tensor:
    return planes[:, -1:].expand(-1, 3, -1, -1)


def _whole(flow: Tensor, seen: tuple[int, int], size: tuple[int, ...]) -> Tensor:
    """Flow at half the padded size of frames that were seen at `seen` → flow at `size`, px."""
    doubled = 2 * F.interpolate(flow, scale_factor=2.0, mode="bilinear", align_corners=False)
    return scale_flow(doubled[..., : seen[0], : seen[1]], size, "bilinear")
