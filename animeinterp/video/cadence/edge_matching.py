"""Match the edges of two frames.

Within a shot most edges of one frame are present in the other, however fast objects or the camera move; across a cut
hardly any are. Three motions are tried in turn: none, a pan of the whole frame with dense optical flow on top, and a
second pan for a part that leaped. An edge pixel matches where the colors agree and, for optical flow, where the flow
forward and backward is consistent.

Everything is computed on the coarse copies of `FrameSignature`. Pans are (x, y) in whole pixels of that copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import DisSettings, backward_warp, chain_flows, create_dis, flow_targets
from animeinterp.video.cadence.signature import Floats, FrameSignature

Pan = tuple[int, int]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EdgeMatchLimits:
    """Parameters of edge matching.

    Set by hand on the clips, pairs and made films of `benchmarks/cuts.py`, which measures cuts by them.

    Attributes:
        color_difference: Levels by which matching pixels may differ.
        difference_per_gradient: Further levels per level/px of gradient.
        flow_inconsistency: Forward-backward error of the flow at a match, px.
        min_overlap: Fraction of each side that a pan leaves in view.
        max_peaks: Peaks of the phase correlation that are tried as pans.
        max_pan_difference: Levels above which a pixel's difference counts the same against a pan.
        cost_out_of_view: Levels that count against a pan if it moves all edges out of view.
        leap_below: Matched fraction below which a part may have leaped.
    """

    color_difference: float = 10.0
    difference_per_gradient: float = 0.5
    flow_inconsistency: float = 1.5
    min_overlap: float = 0.3
    max_peaks: int = 3
    max_pan_difference: float = 60.0
    cost_out_of_view: float = 12.0
    leap_below: float = 0.6


EDGE_MATCH_LIMITS = EdgeMatchLimits()
MatchFunction = Callable[[FrameSignature, FrameSignature, Pan, EdgeMatchLimits], Mask]


def matched_edge_fraction(
    a: FrameSignature, b: FrameSignature, enough: float = 1.0, limits: EdgeMatchLimits = EDGE_MATCH_LIMITS
) -> float:
    """Measure the fraction of edges that two frames have in common, however they moved.

    Args:
        a: Signature of one frame.
        b: Of another of its size.
        enough: Fraction at which the search ends.
        limits: What counts as a match.

    Returns:
        The fraction, weighted by edge strength, in [0, 1]; 1 where neither frame has any edges.
    """
    if not (a.edges.any() or b.edges.any()):
        return 1.0
    matcher = _EdgeMatcher(a, b, limits)
    pans = [(0, 0)]
    matcher.match(_match_shifted, pans[0])
    if matcher.matched < enough:
        pans += _candidate_pans(a.coarse_gradient, b.coarse_gradient, limits)
        best = min(pans, key=lambda pan: _pan_cost(a, b, pan, limits))
        matcher.match(_match_shifted, best)
        if matcher.matched < enough:
            matcher.match(_match_by_flow, best)
    if matcher.matched < min(enough, limits.leap_below):
        matcher.match(_match_by_flow, max(pans, key=matcher.gain))
    return matcher.matched


class _EdgeMatcher:
    """The edges of two frames that have no match in the other frame yet."""

    def __init__(self, a: FrameSignature, b: FrameSignature, limits: EdgeMatchLimits) -> None:
        self._a, self._b, self._limits = a, b, limits
        self._unmatched = [a.edges, b.edges]
        self._total = float(a.edges.sum() + b.edges.sum())

    @property
    def matched(self) -> float:
        """Return the fraction that has a match, in [0, 1]."""
        return 1 - sum(float(edges.sum()) for edges in self._unmatched) / self._total

    def match(self, function: MatchFunction, pan: Pan) -> None:
        """Remove the edges that match after a pan."""
        masks = self._masks(function, pan)
        self._unmatched = [
            np.where(mask, np.float32(0), edges) for mask, edges in zip(masks, self._unmatched, strict=True)
        ]

    def gain(self, pan: Pan) -> float:
        """Sum the edge strength that a plain shift by `pan` would match in addition."""
        masks = self._masks(_match_shifted, pan)
        return sum(float(edges[mask].sum()) for mask, edges in zip(masks, self._unmatched, strict=True))

    def _masks(self, function: MatchFunction, pan: Pan) -> tuple[Mask, Mask]:
        """Find the matching pixels of each frame."""
        forward = function(self._a, self._b, pan, self._limits)
        return forward, function(self._b, self._a, _reverse(pan), self._limits)


def _match_shifted(a: FrameSignature, b: FrameSignature, pan: Pan, limits: EdgeMatchLimits) -> Mask:
    """Find the pixels of `a` that match `b` shifted by a pan."""
    matches = np.zeros(a.coarse_gray.shape, bool)
    _in_view(matches, pan)[:] = _same_color(
        _in_view(a.coarse, pan), _in_view(b.coarse, _reverse(pan)), _in_view(a.coarse_gradient, pan), limits
    )
    return matches


def _match_by_flow(a: FrameSignature, b: FrameSignature, pan: Pan, limits: EdgeMatchLimits) -> Mask:
    """Find the pixels of `a` that match `b` by optical flow from a pan on."""
    height, width = a.coarse_gray.shape
    undo_pan = np.array([[1, 0, -pan[0]], [0, 1, -pan[1]]], np.float32)
    b_gray, b_color = (
        cv2.warpAffine(image, undo_pan, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for image in (b.coarse_gray, b.coarse)
    )
    estimate = create_dis(DisSettings("ultrafast", finest_scale=0))
    forward = estimate(a.coarse_gray, b_gray, None).transpose(2, 0, 1)
    backward = estimate(b_gray, a.coarse_gray, None).transpose(2, 0, 1)
    error = chain_flows(forward, backward)
    consistent = error[0] ** 2 + error[1] ** 2 < limits.flow_inconsistency**2
    x, y = (target + shift for target, shift in zip(flow_targets(forward), pan, strict=True))
    in_view = (x > -1) & (x < width) & (y > -1) & (y < height)
    same = _same_color(a.coarse, backward_warp(np.asarray(b_color), forward), a.coarse_gradient, limits)
    return np.asarray(same & consistent & in_view)


def _same_color(a: Floats, b: Floats, gradient: Floats, limits: EdgeMatchLimits) -> Mask:
    """Compare colors (y, x, 3), more loosely where the gradient is large."""
    difference: Any = cv2.absdiff(a, b)
    largest = np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
    return np.asarray(largest < limits.color_difference + limits.difference_per_gradient * gradient)


def _pan_cost(a: FrameSignature, b: FrameSignature, pan: Pan, limits: EdgeMatchLimits) -> float:
    """Rate how badly a pan explains two frames: levels of difference in view, and a cost for edges out of view."""
    reverse = _reverse(pan)
    difference = np.asarray(cv2.absdiff(_in_view(a.coarse, pan), _in_view(b.coarse, reverse)))
    edges_in_view = _in_view(a.edges, pan).sum() + _in_view(b.edges, reverse).sum()
    out_of_view = 1 - float(edges_in_view) / float(a.edges.sum() + b.edges.sum())
    mean_difference = float(np.minimum(difference, limits.max_pan_difference).mean())
    return mean_difference + out_of_view * limits.cost_out_of_view


def _in_view(image: NDArray[Any], pan: Pan) -> NDArray[Any]:
    """Return a view of the part of an image that stays in the frame when it moves by `pan`."""
    (height, width), (x, y) = image.shape[:2], pan
    return image[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]


def _reverse(pan: Pan) -> Pan:
    """Return the opposite pan."""
    return -pan[0], -pan[1]


def _candidate_pans(a: Floats, b: Floats, limits: EdgeMatchLimits) -> list[Pan]:
    """Find the likeliest shifts between two gradient images by phase correlation.

    The correlation is cyclic, so each peak stands for a shift to either side on both axes.
    """
    height, width = a.shape
    window = np.sqrt(np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])).astype(np.float32)
    spectra = [np.fft.rfft2((side - side.mean()) * window) for side in (a, b)]
    cross_spectrum = spectra[1] * np.conj(spectra[0])
    magnitude = np.abs(cross_spectrum)
    cross_spectrum /= magnitude + 1e-3 * magnitude.max() + 1e-9
    correlation = np.fft.irfft2(cross_spectrum, s=(height, width)).astype(np.float32)
    peaks = cv2.GaussianBlur(correlation, (0, 0), 1)
    pans = []
    for _ in range(limits.max_peaks):
        row, column = (int(i) for i in np.unravel_index(int(peaks.argmax()), peaks.shape))
        pans += [(x, y) for x in (column, column - width) for y in (row, row - height)]
        peaks[np.ix_(np.arange(row - 2, row + 3) % height, np.arange(column - 2, column + 3) % width)] = -np.inf
    reach = 1 - limits.min_overlap
    return [(x, y) for x, y in pans if abs(x) <= reach * width and abs(y) <= reach * height]
