"""Estimate the pan of a periodic background: a fence, a tiled floor, a row of windows behind a figure.

Shifted by one of its periods such a background looks the same. Segment matching and DIS then take the shortest of the
possible motions, so that a fence that pans by most of a period moves backward. What does not repeat, such as a stone
before the fence, decides between these motions. Deviation: the paper has no such step.

Method: the autocorrelation of the gradients shows whether the source is periodic. If so, the peaks of the correlation
between both images that are a period apart are compared by the edge pixels that one explains and the other does not.

All work is done on small copies. Translations are (x, y) in px of these, from the source to the target. Errors and
gradients are in levels, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import compute_color_error, dis_flow
from animeinterp.frame import RGBImage
from animeinterp.sgm.segments import Segments

Translation = tuple[float, float]
_Floats = NDArray[np.float32]
_BOX = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class PeriodicPanLimits:
    """What counts as periodic, and as evidence for one of several pans.

    Chosen on the development triplets, of which two are periodic, and on 47 synthetic scenes with a row or grid of
    sprites (docs/training-log.md, "A fence that pans by most of its period"). Lengths are px of the small copies.

    Attributes:
        pixels: Area of the small copies, px.
        min_side: Images with a shorter side are not examined, px.
        max_gradient: Stronger gradients count as this, levels per px, so that contrast does not dominate.
        max_pan: Longest pan, fraction of the width and of the height.
        peak_radius: Minimum distance between two peaks of a correlation, px.
        min_period: Shortest period, px.
        min_period_peak: Autocorrelation one period away, at least, as a fraction of that without a translation.
        max_period_dip: Lowest autocorrelation on the way to that peak, at most, as a fraction of it.
        min_second_peak: Autocorrelation two periods away, at least, as a fraction of that peak.
        min_pan_peak: Correlation of a pan, at least, as a fraction of the best pan's.
        period_tolerance: Two pans are a period apart within this, px …
        period_tolerance_fraction: … plus this fraction of the period.
        max_same_error: Smaller color errors count as explained, levels.
        min_different_error: Larger color errors count as not explained, levels.
        min_edge: Gradient of an edge pixel, levels per px.
        max_figure_error: A figure's own motion leaves at most this fraction of the error that the pans leave.
        min_segment_votes: Fraction of a segment's edge pixels that must vote for its votes to count.
        min_vote_difference: Votes by which a pan wins, at least, fraction of all edge pixels.
        min_vote_ratio: Ratio of votes by which a pan wins, at least.
    """

    pixels: int = 240 * 135
    min_side: int = 24
    max_gradient: float = 10.0
    max_pan: tuple[float, float] = (0.25, 0.4)
    peak_radius: int = 3
    min_period: float = 3.0
    min_period_peak: float = 0.4
    max_period_dip: float = 0.8
    min_second_peak: float = 0.7
    min_pan_peak: float = 0.7
    period_tolerance: float = 2.0
    period_tolerance_fraction: float = 0.05
    max_same_error: float = 6.0
    min_different_error: float = 18.0
    min_edge: float = 4.0
    max_figure_error: float = 0.5
    min_segment_votes: float = 0.6
    min_vote_difference: float = 0.002
    min_vote_ratio: float = 1.5


PERIODIC_PAN_LIMITS = PeriodicPanLimits()


class _SmallImage(NamedTuple):
    """A small copy of an image, with its edges and spectra.

    Attributes:
        image: uint8 (h, w, 3) RGB.
        labels: int32 (h, w), the segment of each pixel.
        is_edge: bool (h, w), edge pixels and their neighbors.
        spectra: Spectra of the clipped x and y gradients, zero-padded to twice the size.
    """

    image: RGBImage
    labels: NDArray[np.int32]
    is_edge: NDArray[np.bool_]
    spectra: list[NDArray[Any]]


def estimate_periodic_pan(
    source: RGBImage,
    target: RGBImage,
    segments: Segments,
    target_segments: Segments,
    limits: PeriodicPanLimits = PERIODIC_PAN_LIMITS,
) -> _Floats | None:
    """Estimate how a periodic background moves from one image to another.

    Args:
        source: uint8 (H, W, 3) RGB.
        target: Same shape.
        segments: Segments of `source`.
        target_segments: Segments of `target`.
        limits: What counts as periodic.

    Returns:
        The pan, float32 (2,), x first, px, accurate to about a pixel; None where the source is not periodic, or
        nothing in the target correlates with it.
    """
    height, width = source.shape[:2]
    scale = min(1.0, (limits.pixels / (height * width)) ** 0.5)
    size = round(width * scale), round(height * scale)
    if min(size) < limits.min_side:
        return None
    small_source = _shrink(source, segments, size, limits)
    periods = _find_periods(_correlate(small_source, small_source, limits, reach=2), limits)
    if not periods:
        return None
    small_target = _shrink(target, target_segments, size, limits)
    pans = _find_peaks(_correlate(small_source, small_target, limits), limits.min_pan_peak, limits)
    if not pans:
        return None
    best, *others = pans
    for pan in others:
        if _differ_by_period(pan, best, periods, limits) and _is_better(small_source, small_target, pan, best, limits):
            best = pan
    return np.array([best[0] * width / size[0], best[1] * height / size[1]], np.float32)


def _shrink(image: RGBImage, segments: Segments, size: tuple[int, int], limits: PeriodicPanLimits) -> _SmallImage:
    """Copy an image to `size` = (width, height) and compute its edges and spectra."""
    labels = np.asarray(cv2.resize(segments.labels.astype(np.int32), size, interpolation=cv2.INTER_NEAREST), np.int32)
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    gradients = [cv2.Sobel(gray, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1))]
    is_edge = cv2.dilate((cv2.magnitude(*gradients) > limits.min_edge).astype(np.uint8), _BOX) > 0
    clipped = [np.clip(gradient, -limits.max_gradient, limits.max_gradient) for gradient in gradients]
    return _SmallImage(small, labels, is_edge, [np.fft.rfft2(plane, _padded_shape(small)) for plane in clipped])


def _padded_shape(image: RGBImage) -> tuple[int, int]:
    """Choose a shape for the transform; twice the size avoids circular wrap-around."""
    return cv2.getOptimalDFTSize(2 * image.shape[0]), cv2.getOptimalDFTSize(2 * image.shape[1])


def _correlate(source: _SmallImage, target: _SmallImage, limits: PeriodicPanLimits, reach: int = 1) -> _Floats:
    """Correlate the gradients for each translation up to `reach` times the longest pan, per px of overlap.

    Returns float32 (2 max_y + 1, 2 max_x + 1); no translation is in the middle.
    """
    height, width = source.image.shape[:2]
    max_x, max_y = round(reach * limits.max_pan[0] * width), round(reach * limits.max_pan[1] * height)
    product = sum(np.conj(a) * b for a, b in zip(source.spectra, target.spectra, strict=True))
    circular = np.fft.irfft2(product, _padded_shape(source.image))
    centered = np.roll(circular, (max_y, max_x), (0, 1))[: 2 * max_y + 1, : 2 * max_x + 1]
    y, x = np.mgrid[-max_y : max_y + 1, -max_x : max_x + 1]
    return np.asarray(centered / ((1 - np.abs(x) / width) * (1 - np.abs(y) / height)), np.float32)


def _find_periods(autocorrelation: _Floats, limits: PeriodicPanLimits) -> list[Translation]:
    """Find the peaks of an autocorrelation over twice the longest pan that are periods.

    A straight line correlates all along itself, without a dip. Two parallel lines correlate one distance away, but not
    two.
    """
    height, width = autocorrelation.shape
    nearby_maximum = cv2.dilate(autocorrelation, _BOX)
    periods = []
    for x, y in _find_peaks(autocorrelation, limits.min_period_peak, limits):
        length = np.hypot(x, y)
        if length <= limits.min_period or abs(x) > width // 4 or abs(y) > height // 4:
            continue
        multiples = np.append(np.linspace(0, 1, int(length) + 1), 2)
        rows, columns = np.rint(multiples * np.array([[y], [x]])).astype(int)
        *_, peak, second = profile = nearby_maximum[rows + height // 2, columns + width // 2]
        if profile[:-1].min() < limits.max_period_dip * peak and second > limits.min_second_peak * peak:
            periods.append((x, y))
    return periods


def _find_peaks(correlation: _Floats, min_fraction: float, limits: PeriodicPanLimits) -> list[Translation]:
    """Find the peaks that reach `min_fraction` of the highest, the highest first, with subpixel accuracy."""
    height, width = correlation.shape
    if correlation.max() <= 0:
        return []
    window = np.ones((2 * limits.peak_radius + 1,) * 2, np.uint8)
    is_high = correlation >= min_fraction * correlation.max()
    ys, xs = np.nonzero(is_high & (correlation >= cv2.dilate(correlation, window)))
    order = np.argsort(-correlation[ys, xs], kind="stable")
    peaks = []
    for y, x in zip(ys[order], xs[order], strict=True):
        dx, dy = _parabola_offset(correlation[y], x), _parabola_offset(correlation[:, x], y)
        peaks.append((x + dx - width // 2, y + dy - height // 2))
    return peaks


def _parabola_offset(values: _Floats, index: int) -> float:
    """Compute how far the top of the parabola through three values is from the middle one, -0.5 to 0.5."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, middle, after = (float(v) for v in values[index - 1 : index + 2])
    bend = before - 2 * middle + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _differ_by_period(
    pan: Translation, other: Translation, periods: list[Translation], limits: PeriodicPanLimits
) -> bool:
    """Whether two pans are about one of the periods apart."""
    errors = np.hypot(*(np.subtract(pan, other) - periods).T)
    tolerances = limits.period_tolerance + limits.period_tolerance_fraction * np.hypot(*np.transpose(periods))
    return bool((errors < tolerances).any())


def _is_better(
    source: _SmallImage, target: _SmallImage, pan: Translation, best: Translation, limits: PeriodicPanLimits
) -> bool:
    """Whether `pan` explains what `best` does not; if neither is ahead, whether it is shorter: that is likelier."""
    back, best_back = (-pan[0], -pan[1]), (-best[0], -best[1])
    votes = _count_votes(source, target, pan, best, limits) + _count_votes(target, source, back, best_back, limits)
    best_votes = _count_votes(source, target, best, pan, limits) + _count_votes(target, source, best_back, back, limits)
    min_difference = limits.min_vote_difference * (source.is_edge.sum() + target.is_edge.sum())
    most, fewest = max(votes, best_votes), min(votes, best_votes)
    if most - fewest < min_difference or most < limits.min_vote_ratio * fewest:
        return bool(np.hypot(*pan) < np.hypot(*best))
    return votes > best_votes


def _count_votes(
    source: _SmallImage, target: _SmallImage, pan: Translation, other: Translation, limits: PeriodicPanLimits
) -> int:
    """Count edge pixels that `pan` explains and `other` does not, although `other` moves them behind no figure.

    Counted are only segments most of whose edge pixels vote: some pixels at the rim of a deforming figure fit anything.
    """
    is_explained = _translation_error(source, target, pan) < limits.max_same_error
    is_missed = _translation_error(source, target, other) > limits.min_different_error
    is_hidden = _sample_at(_mark_figures(target, source, pan, other, limits), other) > 0
    votes = source.is_edge & is_explained & is_missed & ~is_hidden
    edges_of = np.bincount(source.labels[source.is_edge], minlength=source.labels.max() + 1)
    votes_of = np.bincount(source.labels[votes], minlength=len(edges_of))
    return int(votes_of[votes_of > limits.min_segment_votes * edges_of].sum())


def _mark_figures(
    target: _SmallImage, source: _SmallImage, pan: Translation, other: Translation, limits: PeriodicPanLimits
) -> _Floats:
    """Mark segments of `target`, by 1, that rest or move by themselves: both pans, reversed, fit them much worse."""
    flow = dis_flow(target.image, source.image)
    own_flow = np.stack([_segment_means(target.labels, plane)[target.labels] for plane in flow]).astype(np.float32)
    errors = [_translation_error(target, source, (-x, -y)) for x, y in (pan, other, (0.0, 0.0))]
    errors.append(compute_color_error(target.image, source.image, own_flow))
    of_pan, of_other, at_rest, of_own_flow = (_segment_means(target.labels, np.nan_to_num(error)) for error in errors)
    of_pans = np.minimum(of_pan, of_other)
    is_figure = np.minimum(at_rest, of_own_flow) < limits.max_figure_error * of_pans
    is_figure &= of_pans > limits.max_same_error / 2
    return np.asarray(cv2.dilate(is_figure[target.labels].astype(np.float32), _BOX))


def _segment_means(labels: NDArray[np.int32], values: _Floats) -> NDArray[np.float64]:
    """Average values over each segment; 0 for segments too small to appear in the small copy."""
    count = np.bincount(labels.ravel())
    return np.asarray(np.bincount(labels.ravel(), values.ravel()) / np.maximum(count, 1))


def _translation_error(source: _SmallImage, target: _SmallImage, pan: Translation) -> _Floats:
    """Compute the blurred color error of a translation; NaN, which compares false, outside of the target."""
    error = np.abs(_sample_at(target.image.astype(np.float32), pan) - source.image).mean(axis=2)
    inside = _sample_at(np.ones(error.shape, np.float32), pan) > 0.999
    return np.where(inside, cv2.blur(error, (3, 3)), np.float32(np.nan))


def _sample_at(image: _Floats, pan: Translation) -> _Floats:
    """Sample an image at p + pan, bilinear, 0 outside."""
    matrix = np.array([[1, 0, -pan[0]], [0, 1, -pan[1]]], np.float64)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1]))
