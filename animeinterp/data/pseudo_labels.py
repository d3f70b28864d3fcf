"""Pseudo-ground-truth flow between two frames, from the true middle frame.

Drawn animation has no true flow. With the true middle frame, the motion is found in two halves, which are easier to
match than the whole. Each pixel is then verified: its color must be found again in the middle frame and in the end
frame. What passes is supervision for exactly the material on which matching fails (privileged information, as for
RIFE's teacher; Huang et al. 2022, §3.3). `fit_time` estimates the time of the middle frame, which animators ease.

Flow is float32 (2, H, W), x first, px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from animeinterp.data.types import Triplet
from animeinterp.flow import Flow, backward_warp, chain_flows, flow_targets
from animeinterp.frame import RGBImage
from animeinterp.interpolator import Interpolator
from animeinterp.net.classical import compose, warp
from animeinterp.net.ops.consistency import consistency


@dataclass(frozen=True, slots=True)
class PseudoLabelLimits:
    """Thresholds of the verification. Chosen on crops of vector animation: 84 % of their pixels pass (training log).

    Attributes:
        max_error: Color error below which a flow counts as known, of 255.
        min_gain: How much smaller the error of the coarse flow must be to replace the flow by way of the middle.
        dilation: Side of the square over which the maximum error is taken, px.
        window: Side of the window over which the maxima are averaged, px.
    """

    max_error: float = 10.0
    min_gain: float = 0.5
    dilation: int = 3
    window: int = 5


@dataclass(frozen=True, slots=True)
class TimeFitLimits:
    """Parameters of the estimated time of a middle frame. Chosen on crops of vector animation.

    Attributes:
        first: Smallest time that is tried.
        last: Largest time that is tried.
        step: Distance of the times that are tried; a parabola refines the best of them.
        min_gain: Factor by which the squared error must fall; a smaller gain is no evidence for another time.
    """

    first: float = 0.1
    last: float = 0.9
    step: float = 0.1
    min_gain: float = 1.02


LIMITS = PseudoLabelLimits()
TIME_LIMITS = TimeFitLimits()


def pseudo_label_flow(
    interpolator: Interpolator,
    triplet: Triplet,
    coarse01: Flow,
    coarse10: Flow,
    limits: PseudoLabelLimits = LIMITS,
) -> tuple[Flow, NDArray[np.uint8]]:
    """Estimate the flow between the end frames of a triplet, and where it is known.

    Args:
        interpolator: Finds the motion to and from the middle frame.
        triplet: Its frames and time.
        coarse01: Flow 0→1 that was found without the middle frame.
        coarse10: Flow 1→0, likewise.
        limits: What counts as known.

    Returns:
        Both flows, float32 (2, 2, H, W), and uint8 (2, H, W), 1 where they are known.
    """
    frames = triplet.frame0, triplet.truth, triplet.frame1
    first, middle, last = (interpolator.analyze(frame) for frame in frames)
    to_middle, to_end = interpolator.motion(first, middle), interpolator.motion(middle, last)
    forward = _select_verified(frames, (to_middle.flow01, to_end.flow01, coarse01), triplet.t, limits)
    backward = _select_verified(frames[::-1], (to_end.flow10, to_middle.flow10, coarse10), 1 - triplet.t, limits)
    return np.stack([forward[0], backward[0]]), np.stack([forward[1], backward[1]])


def fit_time(
    frames: NDArray[np.uint8], flows: NDArray[np.floating], t: float, limits: TimeFitLimits = TIME_LIMITS
) -> float:
    """Estimate the time of a middle frame: the one at which `compose` comes nearest to it.

    Args:
        frames: uint8 (3, 3, H, W) RGB: frame 0, the middle frame, frame 1.
        flows: (2, 2, H, W), flow 0→1 and 1→0.
        t: Nominal time of the middle frame, in (0, 1).
        limits: Which times are tried.

    Returns:
        The time with the smallest squared error, or `t` if that is hardly better.
    """
    frame0, truth, frame1 = (torch.from_numpy(np.ascontiguousarray(frame))[None].float() / 255 for frame in frames)
    flow01, flow10 = (torch.from_numpy(np.ascontiguousarray(flow, np.float32))[None] for flow in flows)
    with torch.inference_mode():
        confidence0 = consistency(frame0, frame1, flow01, flow10)
        confidence1 = consistency(frame1, frame0, flow10, flow01)

        def squared_error(time: float) -> float:
            warped0 = warp(frame0, flow01, confidence0, time)
            warped1 = warp(frame1, flow10, confidence1, 1 - time)
            image = compose(frame0, frame1, warped0, warped1, time)
            return float((image.clamp(0, 1) - truth).square().mean())

        times = np.arange(limits.first, limits.last + limits.step / 2, limits.step)
        errors = [squared_error(float(time)) for time in times]
        best = int(np.argmin(errors))
        fitted = float(times[best])
        if 0 < best < len(times) - 1:
            before, minimum, after = errors[best - 1 : best + 2]
            fitted += limits.step / 2 * (before - after) / max(before - 2 * minimum + after, 1e-12)
        return fitted if squared_error(fitted) * limits.min_gain < squared_error(t) else t


def _select_verified(
    frames: tuple[RGBImage, ...], flows: tuple[Flow, Flow, Flow], t: float, limits: PseudoLabelLimits
) -> tuple[Flow, NDArray[np.uint8]]:
    """Select the better of two flows per pixel, and mark where it is known.

    The flows are from the first frame to the middle, from the middle to the last, and the coarse flow of both halves.
    """
    to_middle, to_end, coarse = flows
    chained = chain_flows(to_middle, to_end)
    error = _measure_error(frames, to_middle, chained, limits)
    coarse_error = _measure_error(frames, np.float32(t) * coarse, coarse, limits)
    better = coarse_error < error - limits.min_gain
    known = np.where(better, coarse_error, error) < limits.max_error
    return np.where(better, coarse, chained), known.astype(np.uint8)


def _measure_error(frames: tuple[RGBImage, ...], to_middle: Flow, to_end: Flow, limits: PseudoLabelLimits) -> Flow:
    """Measure the color error along a path, 0 to 255, (H, W); infinite where the path leaves the image."""
    start, middle, end = frames
    pairs = (middle, to_middle), (end, to_end)
    errors = [np.abs(backward_warp(image.astype(np.float32), flow) - start) for image, flow in pairs]
    largest = np.maximum(*errors).max(axis=2)
    square = np.ones((limits.dilation, limits.dilation))
    mean: Any = cv2.blur(cv2.dilate(largest, square), (limits.window, limits.window))
    height, width = mean.shape
    x, y = flow_targets(to_end)
    mean[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = np.inf
    return np.asarray(mean, np.float32)
