"""Where hints decide how `cel` draws: what they say about motion counts more than what the network finds."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.net.flow_pair import FlowPair, Hinted
from animeinterp.net.ops.frame_splatting import splat_frame
from animeinterp.net.ops.geometry import backward_warp
from animeinterp.net.ops.intermediate_flow import IntermediateMotion

# By hand, looked at on five development triplets (`benchmarks/hints.py`).
_MARGIN = 3  # px around the hinted pixels, where their outline may be
_GAP = 4  # px; matching draws across narrower gaps in what lands
_GAIN = 4.0  # a quarter of a hinted pixel in a wrong place is a ghost


class LandedHints(NamedTuple):
    """Where hinted pixels are at a time.

    Attributes:
        weight: 1 where hinted pixels land, (N, 1, H, W).
        covered: 1 where any pixels land and in small gaps.
    """

    weight: Tensor
    covered: Tensor


def land_hints(hinted: Hinted, flows: FlowPair, time: Tensor) -> LandedHints:
    """Splat the hinted pixels of both frames to a time.

    Args:
        hinted: At the size of the flows.
        flows: With log importance.
        time: (N, 1, 1, 1) in (0, 1).
    """
    assert flows.z0 is not None
    assert flows.z1 is not None
    landed0 = splat_frame(hinted.frame0, flows.flow01, flows.z0, hinted.frame0, time)
    landed1 = splat_frame(hinted.frame1, flows.flow10, flows.z1, hinted.frame1, 1 - time)
    covered = torch.maximum(landed0.density, landed1.density).clamp(max=1)
    return LandedHints(torch.maximum(landed0.image, landed1.image), _grown(covered, _GAP))


def weight_of_hints(hinted: Hinted, landed: LandedHints, motion: IntermediateMotion) -> Tensor:
    """Compute where the frame is drawn along the motion of matching because hints have set it right.

    That is where hinted pixels land, and where the intermediate flow takes hinted pixels to another place.

    Args:
        hinted: At the size of the network.
        landed: Likewise.
        motion: Of the network.

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    flow0, flow1 = motion.flow.chunk(2, 1)
    frame0, frame1 = (_grown(marks, _MARGIN) for marks in hinted)
    share = motion.mask.sigmoid()
    drawn = share * backward_warp(frame0, flow0, outside="border")
    drawn = drawn + (1 - share) * backward_warp(frame1, flow1, outside="border")
    return torch.maximum(landed.weight, landed.covered * (_GAIN * drawn).clamp(max=1))


def reach_of_hints(hinted: Hinted, flows: FlowPair, time: Tensor) -> Tensor:
    """Compute where hinted pixels land, and where they are in both frames: others draw them there.

    Args:
        hinted: At the size of the flows.
        flows: With log importance.
        time: (N,) in (0, 1).

    Returns:
        (N, 1, H, W) in [0, 1].
    """
    landed = land_hints(hinted, flows, time.view(-1, 1, 1, 1).to(hinted.frame0))
    places = torch.maximum(torch.maximum(hinted.frame0, hinted.frame1), landed.weight)
    return _grown(places, _MARGIN)


def _grown(planes: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(planes, 2 * pixels + 1, 1, pixels)
