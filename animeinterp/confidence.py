"""How far a drawn frame can be relied on: a map, a number, and a word.

Both frames are splatted to the time of the drawing along their flows, at a reduced size. Where the flows are right,
both bring the same colors to the same pixels. So a pixel is doubtful where the two differ, and where neither frame
brings anything; the reason may be a wrong match, an occlusion, or a shape that turns. Static regions have full
confidence.

The `doubt` of a drawing is the mean of what its confidence lacks. It predicts LPIPS to the true frame, not whether an
animator would like the drawing: a drawing that is whole but differs from the animator's timing is called good.

The map follows from `Motion` alone, so it tells about a frame before that is drawn. Presets that blend further
drawings into the frame (`cel`, `studio`) may be better than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.doubt import Doubt
from animeinterp.net.ops.blur import gaussian_blur
from animeinterp.net.ops.frame_splatting import SplattedFrame, splat_frame
from animeinterp.net.ops.geometry import resize, scale_flow

if TYPE_CHECKING:
    from animeinterp.mattes import Region
    from animeinterp.motion import Motion

Grade = Literal["good", "doubtful"]


@dataclass(frozen=True, slots=True)
class ConfidenceRule:
    """Parameters of the confidence map and of its threshold.

    Chosen on 120 random scenes of vector animation from the training material (`animeinterp.data.vector`, t = 0.5) that
    `cel` drew: 68 % of them are called good, and 5 % of those have an LPIPS above 0.05. There a limit of 0.031 would
    do; with 0.025 at most 5 % are bad on the development set, too, with every preset (docs/how-it-works.md).

    Attributes:
        pixels: The map is computed at half the frame's width and height, or at about so many pixels if that is fewer.
        sigma: Standard deviation of the blur of the difference of both frames, px of that size: outlines may be off
            by a fraction of a pixel.
        tolerance: Difference, in the channel that differs most, at which confidence is 0, levels (1/255). A pixel of
            which neither frame covers three quarters has none either.
        max_doubt: Drawings with a larger doubt are doubtful.
    """

    pixels: int = 480 * 270
    sigma: float = 2.0
    tolerance: float = 64.0
    max_doubt: float = 0.025


CONFIDENCE = ConfidenceRule()


def confidence_at(motion: Motion, t: float, rule: ConfidenceRule = CONFIDENCE) -> NDArray[np.float32]:
    """Tell how far each pixel of the frame at time t can be relied on.

    Args:
        motion: Of any preset.
        t: In [0, 1]; a frame at 0 or 1 is a source frame.
        rule: Parameters.

    Returns:
        float32 (H, W) in [0, 1], 1 where nothing moves.
    """
    confidence = np.ones(motion.flow01.shape[1:], np.float32)
    if t in (0, 1) or not motion.moving.any():
        return confidence
    if motion.inner is not None and motion.window is not None:
        confidence[motion.window] = confidence_at(motion.inner, t, rule)
        return confidence
    with torch.inference_mode():
        doubt = _measure_doubt(motion, t, rule)
        whole = resize(doubt, confidence.shape)[0, 0].cpu().numpy()
    np.subtract(1, whole, out=confidence, where=motion.moving)
    return confidence


def compute_doubt(confidence: NDArray[np.float32], fraction: float = 1.0) -> float:
    """Summarize a map as one number.

    Args:
        confidence: Of `confidence_at`.
        fraction: Of the frame's pixels that the map covers, in (0, 1]; all others are static.

    Returns:
        The mean lack of confidence of the whole frame, in [0, 1].
    """
    return float(1 - confidence.mean(dtype=np.float64)) * fraction


def grade(doubt: float, rule: ConfidenceRule = CONFIDENCE) -> Grade:
    """Call a drawing good or doubtful by its doubt."""
    return "good" if doubt <= rule.max_doubt else "doubtful"


def judge(
    confidence: NDArray[np.float32],
    size: tuple[int, int],
    region: Region | None = None,
    *,
    with_marks: bool = False,
    rule: ConfidenceRule = CONFIDENCE,
) -> Doubt:
    """Judge a drawing by its map.

    Args:
        confidence: Of the frame or of the region, float32 in [0, 1].
        size: (height, width) of the frame.
        region: The region that was drawn; the rest of the frame is static. None for the whole frame.
        with_marks: Whether to tell where a doubtful drawing is wrong.
        rule: Parameters.

    Returns:
        The doubt of the whole frame.
    """
    value = compute_doubt(confidence, confidence.size / (size[0] * size[1]))
    is_doubtful = grade(value, rule) == "doubtful"
    if not (with_marks and is_doubtful):
        return Doubt(value, is_doubtful)
    whole = np.ones(size, np.float32)
    whole[region or (slice(None), slice(None))] = confidence
    small = F.adaptive_avg_pool2d(torch.from_numpy(whole)[None], _reduced(size, rule))[0].numpy()
    return Doubt(value, is_doubtful, np.rint(255 * (1 - small)).astype(np.uint8))


def _reduced(size: tuple[int, ...], rule: ConfidenceRule) -> tuple[int, int]:
    """Return the (height, width) at which a frame of `size` = (height, width) is judged."""
    height, width = size
    scale = min(0.5, (rule.pixels / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _measure_doubt(motion: Motion, t: float, rule: ConfidenceRule) -> Tensor:
    """Measure what confidence lacks: float32 (1, 1, h, w) in [0, 1] at the reduced size."""
    first = _move(motion.analysis0.planes, motion.flow01, motion.importance0, t, rule)
    second = _move(motion.analysis1.planes, motion.flow10, motion.importance1, 1 - t, rule)
    density0, density1 = first.density.clamp(max=1), second.density.clamp(max=1)
    shared, hole = torch.minimum(density0, density1), 1 - torch.maximum(density0, density1)
    difference = gaussian_blur(((first.image - second.image) * shared).float().contiguous(), rule.sigma)
    return ((difference.abs().amax(1, keepdim=True) + hole) * (255 / rule.tolerance)).clamp(max=1)


def _move(
    planes: Tensor, flow: NDArray[np.float32], importance: NDArray[np.float32], fraction: float, rule: ConfidenceRule
) -> SplattedFrame:
    """Splat a frame, (1, C, H, W), a fraction of the way along its flow, at the reduced size."""
    size = _reduced(planes.shape[-2:], rule)
    small_flow = scale_flow(torch.from_numpy(flow)[None].to(planes.device), size, "bilinear")
    # At half the size both are the mean of 2x2 pixels, and the first one takes a third of the time.
    mode = "bilinear" if planes.shape[-1] <= 2 * size[1] + 1 else "area"
    weight = F.interpolate(torch.from_numpy(importance)[None, None].to(planes.device), size, mode=mode)
    reduced = F.interpolate(planes, size, mode=mode)
    fractions = torch.full((1, 1, 1, 1), fraction, device=planes.device)
    return splat_frame(reduced, small_flow, weight.log(), weight.clamp(max=1), fractions)
