"""CPU kernel of `cel.synthesis` for inference: splats both frames and blends the candidates.

Some rows are splatted and blended before the next ones are: nothing of the frame's size is held but the result.
Pixels that are not wanted cost nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animeinterp.net.cel.synthesis import BlendPrediction, confidence_of
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.blending import BLEND_RULE
from animeinterp.net.ops.parallel import channels_last_array, over_rows
from animeinterp.net.ops.splat_cpu import (
    COHERENCE,
    CONFIDENCE,
    LAYOUT,
    MOTION_X,
    MOTION_Y,
    prepare_splat,
    splat_rows,
)
from animeinterp.runtime.jit import cached_njit

# Literals would be float64 and make everything float64.
_0, _HALF, _1, _2 = (np.float32(number) for number in (0, 0.5, 1, 2))
# Cubic convolution as in torch and OpenCV (Keys 1981 takes -0.5).
_SHARPNESS = np.float32(-0.75)
_CROSS_FADE = np.float32(BLEND_RULE.cross_fade)
# Rows that are splatted and blended together. 16 to 128 take the same time: 7 % less than all rows of 1920x1080, and a
# fifth less while another process shares the core.
_BAND = 64
# Channels of a prediction as the kernel reads it. Their number is a constant, so that the compiler unrolls the loop.
_AGREEMENT, _SHARE, _FLOW, _PREDICTED = 0, 1, 2, 6


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
    sources = (
        prepare_splat(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), time, "softmax"),
        prepare_splat(frames[1], flows.flow10, flows.z1, confidence_of(flows.z1), 1 - time, "softmax"),
    )
    predicted = channels_last_array(torch.cat(prediction, 1))
    pixels = sources[0].image, sources[1].image
    drawn = pixels[0].copy()
    alpha, times = 3 if drawn.shape[3] == 4 else None, time.float().numpy()

    def draw(first: int, last: int) -> None:
        """Draw rows [first, last), a band at a time."""
        for top in range(first, last, _BAND):
            bottom = min(top + _BAND, last)
            if not mask[:, top:bottom].any():
                continue
            splatted = tuple(np.zeros((n, bottom - top, width, LAYOUT), np.float32) for _ in sources)
            for source, sums in zip(sources, splatted, strict=True):
                splat_rows(top, bottom, source, mask, sums, top)
            _blend_rows(top, bottom, pixels, splatted, predicted, times, mask, alpha, drawn)

    over_rows(draw, height)
    return torch.from_numpy(drawn).permute(0, 3, 1, 2)


# The arrays of one kernel: bundling them would be a tuple that every call unpacks again. Written out for both frames:
# with a loop over them, or with the sums in an array, it takes twice as long.
@cached_njit(error_model="numpy")
def _blend_rows(
    first: int, last: int, frames: Any, splatted: Any, predicted: Any, times: Any, wanted: Any, alpha: Any, drawn: Any
) -> None:
    """Draw rows [first, last) of the new frame, `drawn` (N, H, W, C).

    frames: like it. splatted: of `splat_cpu.splat_rows`, these rows only. predicted: (N, h, w, _PREDICTED), px of its
    own size. alpha: the index of the fourth channel; None where there is none, and no time is spent on it.
    """
    samples, height, width, _ = drawn.shape
    _, small_height, small_width, _ = predicted.shape
    down, across = np.float32(small_height / height), np.float32(small_width / width)
    up_y, up_x = np.float32(height / small_height), np.float32(width / small_width)
    line, pixel = np.empty((small_width, _PREDICTED), np.float32), np.empty(_PREDICTED, np.float32)
    for n in range(samples):
        frame0, frame1, splat0, splat1 = frames[0][n], frames[1][n], splatted[0][n], splatted[1][n]
        t = times[n, 0, 0, 0]
        for y in range(first, last):
            if not wanted[n, y].any():
                continue
            row = y - first
            before, after, part = _neighbors((np.float32(y) + _HALF) * down - _HALF, small_height)
            for x in range(small_width):
                _interpolate(predicted[n, before, x], predicted[n, after, x], part, line[x])
            for x in range(width):
                if not wanted[n, y, x]:
                    continue
                before, after, part = _neighbors((np.float32(x) + _HALF) * across - _HALF, small_width)
                _interpolate(line[before], line[after], part, pixel)
                agreement, at_y, at_x = pixel[_AGREEMENT], np.float32(y), np.float32(x)
                blend = _0, _0, _0, _0, _0
                if agreement > 0:
                    weight = agreement * (_1 - t)
                    sharp, boundary = _rule_weights(weight, splat0[row, x, CONFIDENCE], splat0[row, x, COHERENCE])
                    from_y, from_x = at_y - splat0[row, x, MOTION_Y], at_x - splat0[row, x, MOTION_X]
                    blend = _add_sampled(blend, sharp, frame0, from_y, from_x, alpha)
                    blend = _add(blend, boundary, splat0, row, x, alpha)
                    blend = _add(blend, weight * _CROSS_FADE, frame0, y, x, alpha)
                    weight = agreement * t
                    sharp, boundary = _rule_weights(weight, splat1[row, x, CONFIDENCE], splat1[row, x, COHERENCE])
                    from_y, from_x = at_y - splat1[row, x, MOTION_Y], at_x - splat1[row, x, MOTION_X]
                    blend = _add_sampled(blend, sharp, frame1, from_y, from_x, alpha)
                    blend = _add(blend, boundary, splat1, row, x, alpha)
                    blend = _add(blend, weight * _CROSS_FADE, frame1, y, x, alpha)
                if agreement < 1:
                    weight = _1 - agreement
                    from_y, from_x = at_y + up_y * pixel[_FLOW + 1], at_x + up_x * pixel[_FLOW]
                    blend = _add_sampled(blend, weight * pixel[_SHARE], frame0, from_y, from_x, alpha)
                    from_y, from_x = at_y + up_y * pixel[_FLOW + 3], at_x + up_x * pixel[_FLOW + 2]
                    blend = _add_sampled(blend, weight * (_1 - pixel[_SHARE]), frame1, from_y, from_x, alpha)
                red, green, blue, opacity, total = blend
                drawn[n, y, x, 0], drawn[n, y, x, 1], drawn[n, y, x, 2] = red / total, green / total, blue / total
                if alpha is not None:
                    drawn[n, y, x, alpha] = opacity / total


@cached_njit()
def _rule_weights(weight: Any, confidence: Any, coherence: Any) -> Any:
    """Return the weights of the sampled and the splatted frame, see `synthesis.rule_weights`."""
    return weight * confidence * coherence, weight * confidence * (_1 - coherence)


@cached_njit()
def _neighbors(position: Any, size: int) -> Any:
    """Return the pixels before and after a position, border repeated, and the weight of the one after."""
    position = max(position, _0)
    before = min(int(position), size - 1)
    return _inside(before, size), _inside(before + 1, size), position - np.float32(before)


@cached_njit()
def _interpolate(old: Any, new: Any, weight: Any, mixed: Any) -> None:
    # A fixed number of channels is unrolled by the compiler, which is worth a fifth of `_blend_rows`. Written so,
    # an agreement of 1 stays exactly 1, and half of the candidates is not sampled.
    for channel in range(_PREDICTED):
        mixed[channel] = old[channel] + weight * (new[channel] - old[channel])


@cached_njit()
def _add(blend: Any, weight: Any, frame: Any, y: Any, x: Any, alpha: Any) -> Any:
    """Add weight times a pixel of (H, W, C) to a blend: color, alpha and total weight."""
    red, green, blue, opacity, total = blend
    if weight > 0:
        red += weight * frame[y, x, 0]
        green += weight * frame[y, x, 1]
        blue += weight * frame[y, x, 2]
        total += weight
        if alpha is not None:
            opacity += weight * frame[y, x, alpha]
    return red, green, blue, opacity, total


@cached_njit()
def _add_sampled(blend: Any, weight: Any, frame: Any, y: Any, x: Any, alpha: Any) -> Any:
    """Add weight times a frame (H, W, C) sampled at (y, x) to a blend: bicubic, border repeated."""
    red, green, blue, opacity, total = blend
    if weight > 0:
        height, width, _ = frame.shape
        # Far outside all 16 pixels are border pixels; NaN fails the comparison and becomes a number too.
        x = min(x if x > -3 else np.float32(-3), np.float32(width + 2))
        y = min(y if y > -3 else np.float32(-3), np.float32(height + 2))
        left, top = math.floor(x), math.floor(y)
        a0, a1, a2, a3 = _cubic(x - np.float32(left))
        x0, x1 = _inside(left - 1, width), _inside(left, width)
        x2, x3 = _inside(left + 1, width), _inside(left + 2, width)
        d0, d1, d2, d3 = _cubic(y - np.float32(top))
        for k in range(4):
            from_y = _inside(top - 1 + k, height)
            down = weight * (d0 if k == 0 else d1 if k == 1 else d2 if k == 2 else d3)
            red += down * _across(frame, from_y, x0, x1, x2, x3, a0, a1, a2, a3, 0)
            green += down * _across(frame, from_y, x0, x1, x2, x3, a0, a1, a2, a3, 1)
            blue += down * _across(frame, from_y, x0, x1, x2, x3, a0, a1, a2, a3, 2)
            if alpha is not None:
                opacity += down * _across(frame, from_y, x0, x1, x2, x3, a0, a1, a2, a3, alpha)
        total += weight
    return red, green, blue, opacity, total


@cached_njit()
def _across(
    frame: Any, y: Any, x0: Any, x1: Any, x2: Any, x3: Any, a0: Any, a1: Any, a2: Any, a3: Any, channel: int
) -> Any:
    """Weigh four pixels of a row."""
    return (
        a0 * frame[y, x0, channel]
        + a1 * frame[y, x1, channel]
        + a2 * frame[y, x2, channel]
        + a3 * frame[y, x3, channel]
    )


@cached_njit()
def _inside(position: int, size: int) -> Any:
    # Signed indices would be tested for being negative, as Python's are, at every access.
    return np.uint64(min(max(position, 0), size - 1))


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
