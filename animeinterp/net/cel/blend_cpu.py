"""What `selection` does pixel by pixel, compiled for the CPU in inference.

    look     what arrived → evidence for the chooser     (`selection.evidence_of`)
    blend    offers and decision → the new frame         (`selection.choose`)

The torch operations there are the definition and serve training and other devices. Here nothing of the frame's size
is held but what landed and the result, and pixels that are not asked for cost nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animeinterp.config import SplatMode
from animeinterp.net.ops.consistency import CROSS_FADE, LEAST
from animeinterp.net.ops.geometry import MULTIPLE
from animeinterp.net.ops.parallel import over_rows
from animeinterp.net.ops.splat_cpu import PLANES, splat_fused
from animeinterp.runtime.jit import cached_njit

# Literals would be float64 and carry everything with them.
_0, _HALF, _1, _2, _4, _16 = (np.float32(number) for number in (0, 0.5, 1, 2, 4, 16))
# Cubic convolution as in torch and OpenCV (Keys 1981 takes -0.5).
_SHARPNESS = np.float32(-0.75)
_SAID = 13  # channels of a decision
_RULE = np.float32(CROSS_FADE), np.float32(LEAST)


def build_inputs_fused(frames: tuple[Tensor, Tensor], arrived: tuple[Tensor, Tensor], share: Tensor) -> Tensor:
    """Evidence for the chooser, (N, 43, H/2, W/2) of the padded size, channels last: `selection.evidence_of`.

    frames: both, (N, C, H, W). arrived: of both, motion (2), coherent, weight and density, (N, 5, H, W).
    share: (N, 1, 1, 1), the time t.
    """
    n, _, height, width = frames[0].shape
    rows, columns = (math.ceil(size / MULTIPLE) * MULTIPLE // 2 for size in (height, width))
    evidence = np.empty((n, rows, columns, 43), np.float32)
    planes, landed = _arrays(frames), _arrays(tuple(signs.permute(0, 2, 3, 1) for signs in arrived))
    over_rows(_look, rows, planes, landed, share.float().numpy(), _RULE, evidence)
    return torch.from_numpy(evidence).permute(0, 3, 1, 2)


def blend_fused(
    frames: tuple[Tensor, Tensor],
    flows: tuple[Tensor, Tensor],
    z: tuple[Tensor, Tensor],
    share: Tensor,
    decision: tuple[Tensor, ...],
    mode: SplatMode,
    where: Tensor | None = None,
) -> Tensor:
    """The frame at time t, (N, C, H, W): `selection.choose` of what arrives.

    frames, flows, z: of both frames, as for `selection.arrive`. share: (N, 1, 1, 1), the time t. decision: a
    `selection.Decision` of any size. where: bool (N, 1, H, W), the pixels that are drawn, the others are 0; None draws
    all.
    """
    n, _, height, width = frames[0].shape
    wanted = np.ones((n, height, width), np.bool_) if where is None else where[:, 0].contiguous().numpy()
    sides = zip(frames, flows, z, (share, 1 - share), strict=True)
    landed = tuple(splat_fused(*side, mode, wanted) for side in sides)
    said = torch.cat(decision, 1).permute(0, 2, 3, 1).contiguous().numpy()
    drawn = np.zeros(tuple(frames[0].shape), np.float32)
    over_rows(_blend, height, _arrays(frames), landed, said, share.float().numpy(), _RULE, wanted, drawn)
    return torch.from_numpy(drawn)


def _arrays(tensors: tuple[Tensor, ...]) -> tuple[Any, ...]:
    return tuple(tensor.contiguous().numpy() for tensor in tensors)


@cached_njit()
def _look(first: int, last: int, frames: Any, landed: Any, times: Any, rule: Any, evidence: Any) -> None:
    """Rows [first, last) of the evidence, each over two of the frames (N, C, H, W), whose border is repeated.

    landed: of both frames, (N, H, W, 5). The colors of four pixels lie side by side, all else is their mean.
    """
    samples, _, height, width = frames[0].shape
    columns = evidence.shape[2]
    colors, weights = np.empty((2, 3), np.float32), np.empty(3, np.float32)
    for n in range(samples):
        for row in range(first, last):
            for column in range(columns):
                out = evidence[n, row, column]
                out[28:] = 0
                for place in range(4):
                    y, x = min(2 * row + place // 2, height - 1), min(2 * column + place % 2, width - 1)
                    for i in range(2):
                        arrived = landed[i][n, y, x]
                        colors[i] = 0
                        _add_read(
                            frames[i][n, :3], np.float32(y) - arrived[1], np.float32(x) - arrived[0], _1, colors[i]
                        )
                        _offer(
                            arrived[2], arrived[3], times[n, 0, 0, 0] if i else _1 - times[n, 0, 0, 0], rule, weights
                        )
                        for c in range(3):
                            out[28 + 3 * i + c] += np.log(weights[c]) / _4
                            out[12 * i + 4 * c + place] = colors[i, c]
                        out[34 + 2 * i] += arrived[0] / _16
                        out[35 + 2 * i] += arrived[1] / _16
                        out[38 + i] += arrived[4]
                        out[40 + i] += arrived[2]
                    apart = _0
                    for c in range(3):
                        apart += abs(colors[0, c] - colors[1, c])
                    out[24 + place] = apart / np.float32(3)
                for c in range(28, 42):
                    out[c] /= _4
                out[42] = times[n, 0, 0, 0]


@cached_njit()
def _blend(
    first: int, last: int, frames: Any, landed: Any, decision: Any, times: Any, rule: Any, where: Any, drawn: Any
) -> None:
    """Rows [first, last) of the new frame, `drawn` (N, C, H, W).

    frames: both, (N, C, H, W). landed: both, of `landing.splat_fused`. decision: (N, h, w, 13), its planes in their
    order,
    px of their own size. times: (N, 1, 1, 1). rule: of `_offer`. where: bool (N, H, W).
    """
    samples, channels, height, width = drawn.shape
    _, said_height, said_width, _ = decision.shape
    down, across = np.float32(said_height / height), np.float32(said_width / width)
    taller, wider = np.float32(height / said_height), np.float32(width / said_width)
    row, said = np.empty((said_width, _SAID), np.float32), np.empty(_SAID, np.float32)
    choice, color = np.empty(6, np.float32), np.empty(channels, np.float32)
    for n in range(samples):
        t = times[n, 0, 0, 0]
        for y in range(first, last):
            if not where[n, y].any():
                continue
            before, after, part = _neighbors((np.float32(y) + _HALF) * down - _HALF, said_height)
            for x in range(said_width):
                _mix(decision[n, before, x], decision[n, after, x], part, row[x])
            for x in range(width):
                if not where[n, y, x]:
                    continue
                before, after, part = _neighbors((np.float32(x) + _HALF) * across - _HALF, said_width)
                _mix(row[before], row[after], part, said)
                _offer(landed[0][n, y, x, PLANES + 2], landed[0][n, y, x, PLANES + 3], _1 - t, rule, choice[:3])
                _offer(landed[1][n, y, x, PLANES + 2], landed[1][n, y, x, PLANES + 3], t, rule, choice[3:])
                _soften(choice, said)
                color[:] = 0
                for i in range(2):
                    frame, arrived, shares = frames[i][n], landed[i][n, y, x], choice[3 * i : 3 * i + 3]
                    from_y = np.float32(y) + (taller * said[7 + 2 * i] - arrived[PLANES + 1])
                    from_x = np.float32(x) + (wider * said[6 + 2 * i] - arrived[PLANES])
                    _add_read(frame, from_y, from_x, shares[0], color)
                    for c in range(channels):
                        color[c] += shares[1] * arrived[c] + shares[2] * frame[c, y, x]
                for c in range(channels):
                    drawn[n, c, y, x] = color[c] + said[10 + c] if c < 3 else color[c]


@cached_njit()
def _neighbors(place: Any, size: int) -> Any:
    """Where to read for a place between pixels, bilinear, border repeated: before, after, share of after."""
    place = max(place, _0)
    before = min(int(place), size - 1)
    return before, min(before + 1, size - 1), place - np.float32(before)


@cached_njit()
def _mix(old: Any, new: Any, share: Any, mixed: Any) -> None:
    # A fixed number of channels is unrolled by the compiler, which is worth a fifth of `_blend`.
    for channel in range(_SAID):
        mixed[channel] = (_1 - share) * old[channel] + share * new[channel]


@cached_njit()
def _offer(coherent: Any, weight: Any, near: Any, rule: Any, weights: Any) -> None:
    """The three weights of `selection.offered` for one frame; rule: (CROSS_FADE, LEAST) as float32."""
    cross_fade, least = rule
    weight = near * weight
    weights[0] = weight * coherent + least * near
    weights[1] = weight * (_1 - coherent) + least * near
    weights[2] = cross_fade * near


@cached_njit()
def _soften(choice: Any, logits: Any) -> None:
    """Weights → softmax(log(weights) + logits), in place."""
    most = logits[0]
    for i in range(1, 6):
        most = max(most, logits[i])
    total = _0
    for i in range(6):
        choice[i] *= np.exp(logits[i] - most)
        total += choice[i]
    total = _1 / total
    for i in range(6):
        choice[i] *= total


@cached_njit()
def _add_read(frame: Any, y: Any, x: Any, share: Any, drawn: Any) -> None:
    """Add `share` of a frame (C, H, W) at (y, x) to `drawn` (C,): bicubic, the border repeated."""
    channels, height, width = frame.shape
    # Far outside all 16 are the border; NaN fails the comparison and becomes a number too.
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
        drawn[c] += share * value


@cached_njit()
def _inside(place: int, size: int) -> int:
    return min(max(place, 0), size - 1)


@cached_njit()
def _cubic(share: Any) -> Any:
    """Weights of the four pixels around a place `share` of the way from the second to the third."""
    return _outer(share + _1), _inner(share), _inner(_1 - share), _outer(_2 - share)


@cached_njit()
def _inner(x: Any) -> Any:
    return ((_SHARPNESS + _2) * x - (_SHARPNESS + _2 + _1)) * x * x + _1


@cached_njit()
def _outer(x: Any) -> Any:
    return ((x - np.float32(5)) * x + np.float32(8)) * x * _SHARPNESS - np.float32(4) * _SHARPNESS
