"""What hints tell the network of `cel`: where hinted pixels land at a time, and the intermediate flow there."""

from __future__ import annotations

import torch
from torch import Tensor

from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.frame_splatting import splat_frame
from animeinterp.net.ops.intermediate_flow import KnownFlow

_MIN_WEIGHT = 1e-3  # of splatted pixels; fewer land by rounding


def known_flow(hinted: tuple[Tensor, Tensor], flows: FlowPair, time: Tensor) -> KnownFlow:
    """Splat the pixels that follow hints to a time.

    Args:
        hinted: Of both frames, (N, 1, H, W) in [0, 1].
        flows: With log importance, at the same size.
        time: (N, 1, 1, 1) in (0, 1).

    Returns:
        Their intermediate flow and where they land.
    """
    assert flows.z0 is not None
    assert flows.z1 is not None
    landed0 = splat_frame(hinted[0], flows.flow01, flows.z0, hinted[0], time)
    landed1 = splat_frame(hinted[1], flows.flow10, flows.z1, hinted[1], 1 - time)
    weight0, weight1 = landed0.image, landed1.image
    # Where the pixels of one frame alone land, the way from the other frame is on the same line.
    line0, line1 = -landed1.motion * time / (1 - time), -landed0.motion * (1 - time) / time
    share0 = weight0 / (weight0 + weight1).clamp(min=_MIN_WEIGHT)
    motion0 = share0 * landed0.motion + (1 - share0) * line0
    motion1 = (1 - share0) * landed1.motion + share0 * line1
    return KnownFlow(torch.cat([-motion0, -motion1], 1), torch.maximum(weight0, weight1))
