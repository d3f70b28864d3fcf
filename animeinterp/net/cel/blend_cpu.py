"""CPU kernel of `cel.synthesis` for inference: splats both frames and blends the candidates.

Nothing of the frame's size is held but the splatted frames and the result, and pixels that are not wanted cost nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.net.cel import layout
from animeinterp.net.cel.synthesis import BlendPrediction, confidence_of
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.parallel import over_rows
from animeinterp.net.ops.splat_cpu import COHERENCE, CONFIDENCE, MOTION_X, MOTION_Y, splat_fused
from animeinterp.runtime.jit import cached_njit

# Literals would be float64 and make everything float64.
_0, _HALF, _1, _2 = (np.float32(number) for number in (0, 0.5, 1, 2))
# Cubic convolution as in torch and OpenCV (Keys 1981 takes -0.5).
_SHARPNESS = np.float32(-0.75)
_RULE = np.float32(BLEND_RULE.cross_fade), np.float32(BLEND_RULE.min_weight)
# Names of `layout` for the kernels, which read globals as constants. The number of channels of a prediction is one,
# so that the compiler unrolls the loop over them.
_PER_FRAME, _CANDIDATES = layout.CANDIDATES_PER_FRAME, layout.CANDIDATES
_RULED = layout.RULED_PER_FRAME
_FLOW, _PREDICTED = layout.FLOW, layout.CHANNELS


def blend_fused(
    frames: tuple[Tensor, Tensor],
    flows: FlowPair,
    time: Tensor,
    prediction: BlendPrediction,
    wanted: Tensor | None = None,
) -> Tensor:
    """Splat both frames and draw the frame at a time, see `synthesis.blend_frames`.

    Args:
        frames: Both frames, (N, C, H, W) float32.
        flows: With log importance.
        time: (N, 1, 1, 1) in [0, 1].
        prediction: Of the network, at any size.
        wanted: Pixels to draw, bool (N, 1, H, W); the others are those of frame 0. None draws all.

    Returns:
        (N, C, H, W), not clamped.
    """
    assert flows.z0 is not None
    assert flows.z1 is not None
    n, _, height, width = frames[0].shape
    mask = np.ones((n, height, width), np.bool_) if wanted is None else wanted[:, 0].contiguous().numpy()
    splatted = (
        splat_fused(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), time, "softmax", mask),
        splat_fused(frames[1], flows.flow10, flows.z1, confidence_of(flows.z1), 1 - time, "softmax", mask),
    )
    predicted = torch.cat(prediction, 1).permute(0, 2, 3, 1).contiguous().numpy()
    drawn = frames[0].numpy().copy()
    over_rows(_blend_rows, height, _arrays(frames), splatted, predicted, time.float().numpy(), _RULE, mask, drawn)
    return torch.from_numpy(drawn)


def _arrays(tensors: tuple[Tensor, ...]) -> tuple[NDArray[np.float32], ...]:
    return tuple(tensor.contiguous().numpy() for tensor in tensors)


# The arrays of one kernel: bundling them would be a tuple that every call unpacks again.
@cached_njit()
def _blend_rows(
    first: int, last: int, frames: Any, splatted: Any, predicted: Any, times: Any, rule: Any, wanted: Any, drawn: Any
) -> None:
    """Draw rows [first, last) of the new frame, `drawn` (N, C, H, W).

    splatted: of `splat_cpu`. predicted: (N, h, w, CHANNELS), px of its own size.
    """
    samples, channels, height, width = drawn.shape
    _, small_height, small_width, _ = predicted.shape
    down, across = np.float32(small_height / height), np.float32(small_width / width)
    scale_y, scale_x = np.float32(height / small_height), np.float32(width / small_width)
    row, pixel = np.empty((small_width, _PREDICTED), np.float32), np.empty(_PREDICTED, np.float32)
    weights, color = np.empty(_CANDIDATES, np.float32), np.empty(channels, np.float32)
    for n in range(samples):
        t = times[n, 0, 0, 0]
        for y in range(first, last):
            if not wanted[n, y].any():
                continue
            before, after, part = _neighbors((np.float32(y) + _HALF) * down - _HALF, small_height)
            for x in range(small_width):
                _interpolate(predicted[n, before, x], predicted[n, after, x], part, row[x])
            for x in range(width):
                if not wanted[n, y, x]:
                    continue
                before, after, part = _neighbors((np.float32(x) + _HALF) * across - _HALF, small_width)
                _interpolate(row[before], row[after], part, pixel)
                splat0, splat1 = splatted[0][n, y, x], splatted[1][n, y, x]
                _weigh(splat0[COHERENCE], splat0[CONFIDENCE], _1 - t, rule, weights[:_RULED])
                _weigh(splat1[COHERENCE], splat1[CONFIDENCE], t, rule, weights[_PER_FRAME : _PER_FRAME + _RULED])
                # The rule of `classical` does not know the intermediate flow: log weight 0.
                weights[_RULED] = weights[_PER_FRAME + _RULED] = _1
                _softmax(weights, pixel)
                color[:] = 0
                for i in range(2):
                    frame, splat = frames[i][n], splatted[i][n, y, x]
                    own = weights[_PER_FRAME * i : _PER_FRAME * (i + 1)]
                    _add_sampled(frame, np.float32(y) - splat[MOTION_Y], np.float32(x) - splat[MOTION_X], own[0], color)
                    from_y = np.float32(y) + scale_y * pixel[_FLOW + 2 * i + 1]
                    from_x = np.float32(x) + scale_x * pixel[_FLOW + 2 * i]
                    _add_sampled(frame, from_y, from_x, own[3], color)
                    for c in range(channels):
                        color[c] += own[1] * splat[c] + own[2] * frame[c, y, x]
                for c in range(channels):
                    drawn[n, c, y, x] = color[c]


@cached_njit()
def _neighbors(position: Any, size: int) -> Any:
    """Return the pixels before and after a position, border repeated, and the weight of the one after."""
    position = max(position, _0)
    before = min(int(position), size - 1)
    return before, min(before + 1, size - 1), position - np.float32(before)


@cached_njit()
def _interpolate(old: Any, new: Any, weight: Any, mixed: Any) -> None:
    # A fixed number of channels is unrolled by the compiler, which is worth a fifth of `_blend_rows`.
    for channel in range(_PREDICTED):
        mixed[channel] = (_1 - weight) * old[channel] + weight * new[channel]


@cached_njit()
def _weigh(coherence: Any, confidence: Any, nearness: Any, rule: Any, weights: Any) -> None:
    """Weigh the candidates of segment matching of one frame, see `synthesis.candidate_weights`.

    rule: cross-fade, minimum.
    """
    cross_fade, minimum = rule
    confidence = nearness * confidence
    weights[0] = confidence * coherence + minimum * nearness
    weights[1] = confidence * (_1 - coherence) + minimum * nearness
    weights[2] = cross_fade * nearness


@cached_njit()
def _softmax(weights: Any, logits: Any) -> None:
    """Replace weights by softmax(log(weights) + logits)."""
    largest = logits[0]
    for i in range(1, _CANDIDATES):
        largest = max(largest, logits[i])
    total = _0
    for i in range(_CANDIDATES):
        weights[i] *= np.exp(logits[i] - largest)
        total += weights[i]
    total = _1 / total
    for i in range(_CANDIDATES):
        weights[i] *= total


@cached_njit()
def _add_sampled(frame: Any, y: Any, x: Any, weight: Any, color: Any) -> None:
    """Add weight times a frame (C, H, W) sampled at (y, x) to `color` (C,): bicubic, border repeated."""
    channels, height, width = frame.shape
    # Far outside all 16 pixels are border pixels; NaN fails the comparison and becomes a number too.
    x = min(x if x > -3 else np.float32(-3), np.float32(width + 2))
    y = min(y if y > -3 else np.float32(-3), np.float32(height + 2))
    left, top = math.floor(x), math.floor(y)
    a0, a1, a2, a3 = _cubic(x - np.float32(left))
    x0, x1, x2, x3 = _inside(left - 1, width), _inside(left, width), _inside(left + 1, width), _inside(left + 2, width)
    d0, d1, d2, d3 = _cubic(y - np.float32(top))
    y0, y1, y2, y3 = _inside(top - 1, height), _inside(top, height), _inside(top + 1, height), _inside(top + 2, height)
    for c in range(channels):
        plane = frame[c]
        value = d0 * (a0 * plane[y0, x0] + a1 * plane[y0, x1] + a2 * plane[y0, x2] + a3 * plane[y0, x3])
        value += d1 * (a0 * plane[y1, x0] + a1 * plane[y1, x1] + a2 * plane[y1, x2] + a3 * plane[y1, x3])
        value += d2 * (a0 * plane[y2, x0] + a1 * plane[y2, x1] + a2 * plane[y2, x2] + a3 * plane[y2, x3])
        value += d3 * (a0 * plane[y3, x0] + a1 * plane[y3, x1] + a2 * plane[y3, x2] + a3 * plane[y3, x3])
        color[c] += weight * value


@cached_njit()
def _inside(position: int, size: int) -> int:
    return min(max(position, 0), size - 1)


@cached_njit()
def _cubic(fraction: Any) -> Any:
    """Return the weights of four pixels around a position, `fraction` of the way from the second to the third."""
    return _outer(fraction + _1), _inner(fraction), _inner(_1 - fraction), _outer(_2 - fraction)


@cached_njit()
def _inner(x: Any) -> Any:
    return ((_SHARPNESS + _2) * x - (_SHARPNESS + _2 + _1)) * x * x + _1


@cached_njit()
def _outer(x: Any) -> Any:
    return ((x - np.float32(5)) * x + np.float32(8)) * x * _SHARPNESS - np.float32(4) * _SHARPNESS
