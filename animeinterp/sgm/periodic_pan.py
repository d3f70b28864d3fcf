"""Which way a ground slides that repeats itself: a fence, a tiled floor, a row of windows behind a figure.

Moved by one of its periods such a ground looks the same, so that each of its segments, and DIS, takes the nearest
motion,
and a fence that pans by most of a period slides back instead of on. What does not repeat itself, a stone before the
fence, tells the one motion of all. Deviation: the paper knows no such step; its matching takes the nearest picket.

All is looked for in small pictures. Translations are (x, y) in their px, from the first frame to the second.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import compute_color_error, dis_flow
from animeinterp.sgm.segments import Segments

_PIXELS = 240 * 135  # of the small pictures
_LEAST_SIDE = 24  # px; smaller pictures show no period
_CLIP = 10.0  # levels per px; more contrast does not make an edge say more
_REPEATS = 0.4  # of its correlation with itself unmoved, what a picture that repeats itself has a period away
_LEAST_PERIOD = 3.0  # px
_DIP, _AGAIN = 0.8, 0.7  # of that, what it has at most on the way there, and at least after two periods
_LIKELY = 0.7  # of the best correlation of the two pictures, what another motion needs to be looked at
_APART = 3  # px between peaks
_NEAR, _NEAR_SHARE = 2.0, 0.05  # px, and of its length, by which two motions may miss being a period apart
_REACH = 0.25, 0.4  # of the width and height, the longest motion
_REACH_TWICE = 0.5, 0.8  # two periods of that length
_SAME, _DIFFERENT = 6.0, 18.0  # levels: a color that fits, and one that does not
_OWN = 0.5  # times the error that slides leave in a figure, its own motion leaves at most
_EDGE = 4.0  # levels per px
_MOST = 0.6  # of a segment's edges
_LEAST_VOTES, _MAJORITY = 0.002, 1.5  # of the edges, for a difference; times the other's votes, to win

Translation = tuple[float, float]
_Floats = NDArray[np.float32]


class _Side(NamedTuple):
    """A small picture, uint8 (h, w, 3), and its segments' labels, where it has edges, and the spectra of its slopes."""

    picture: NDArray[np.uint8]
    labels: NDArray[np.int32]
    edges: NDArray[np.bool_]
    spectra: list[NDArray[Any]]


def estimate_periodic_pan(
    frame: NDArray[np.uint8], other: NDArray[np.uint8], segments: Segments, others: Segments
) -> NDArray[np.float32] | None:
    """How the ground of `frame` slides into `other`, float32 (2,), x first, px, to about a px.

    frame, other: uint8 (H, W, 3) RGB of one size, with their segments. None where the frame does not repeat itself:
    then
    matching needs no help.
    """
    height, width = frame.shape[:2]
    scale = min(1.0, (_PIXELS / (height * width)) ** 0.5)
    size = round(width * scale), round(height * scale)
    if min(size) < _LEAST_SIDE:
        return None
    first = _side(frame, segments, size)
    periods = _periods(_correlation(first, first, _REACH_TWICE))
    if not periods:
        return None
    second = _side(other, others, size)
    slides = _peaks(_correlation(first, second), _LIKELY)
    if not slides:
        return None
    best, *rest = slides
    for slide in (slide for slide in rest if _by_a_period(slide, best, periods)):
        if _beats(first, second, slide, best):
            best = slide
    return np.array([best[0] * width / size[0], best[1] * height / size[1]], np.float32)


def _side(frame: NDArray[np.uint8], segments: Segments, size: tuple[int, int]) -> _Side:
    labels = cv2.resize(segments.labels.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
    picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    slopes = [cv2.Sobel(gray, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1))]
    edges = cv2.dilate((cv2.magnitude(*slopes) > _EDGE).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # Twice the size: what leaves on one side must not come in on the other.
    room = cv2.getOptimalDFTSize(2 * size[1]), cv2.getOptimalDFTSize(2 * size[0])
    return _Side(
        picture, np.asarray(labels), edges, [np.fft.rfft2(np.clip(slope, -_CLIP, _CLIP), room) for slope in slopes]
    )


def _room(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Twice the size: what leaves on one side must not come in on the other."""
    return cv2.getOptimalDFTSize(2 * picture.shape[0]), cv2.getOptimalDFTSize(2 * picture.shape[1])


def _correlation(first: _Side, second: _Side, reach: tuple[float, float] = _REACH) -> _Floats:
    """How well slopes agree after each translation, per px of overlap: (2 down + 1, 2 across + 1), 0 in the middle."""
    height, width = first.picture.shape[:2]
    product = sum(np.conj(a) * b for a, b in zip(first.spectra, second.spectra, strict=True))
    across, down = round(reach[0] * width), round(reach[1] * height)
    turned = np.roll(np.fft.irfft2(product, _room(first.picture)), (down, across), (0, 1))[
        : 2 * down + 1, : 2 * across + 1
    ]
    y, x = np.mgrid[-down : down + 1, -across : across + 1]
    return np.asarray(turned / ((1 - np.abs(x) / width) * (1 - np.abs(y) / height)), np.float32)


def _periods(correlation: _Floats) -> list[Translation]:
    """Peaks of a picture's correlation with itself that are periods.

    Along a straight line all is alike, but nothing repeats itself; of two lines that are parallel neither does.
    """
    height, width = correlation.shape
    blurred = cv2.dilate(correlation, np.ones((3, 3), np.uint8))

    def at(shares: Any, x: float, y: float) -> Any:
        rows, columns = np.rint(shares * np.array([[y], [x]])).astype(int)
        return blurred[rows + height // 2, columns + width // 2]

    periods = []
    for x, y in _peaks(correlation, _REPEATS):
        inside = abs(x) <= width // 4 and abs(y) <= height // 4
        if np.hypot(x, y) > _LEAST_PERIOD and inside:
            between, once, twice = at(np.linspace(0, 1, int(np.hypot(x, y)) + 1), x, y), at(1.0, x, y), at(2.0, x, y)
            if between.min() < _DIP * once and twice > _AGAIN * once:
                periods.append((x, y))
    return periods


def _peaks(correlation: _Floats, floor: float) -> list[Translation]:
    """Translations of the peaks that reach `floor` of the highest, the highest first, to a part of a px."""
    height, width = correlation.shape
    if correlation.max() <= 0:
        return []
    window = np.ones((2 * _APART + 1, 2 * _APART + 1), np.uint8)
    high = (correlation >= cv2.dilate(correlation, window)) & (correlation >= floor * correlation.max())
    ys, xs = np.nonzero(high)
    order = np.argsort(-correlation[ys, xs], kind="stable")
    peaks = []
    for y, x in zip(ys[order], xs[order], strict=True):
        row, column = correlation[y], correlation[:, x]
        peaks.append((x + _top(row, x) - width // 2, y + _top(column, y) - height // 2))
    return peaks


def _top(values: _Floats, at: int) -> float:
    """How far the top of the parabola through three values is from the middle one."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = (float(v) for v in values[at - 1 : at + 2])
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _by_a_period(slide: Translation, other: Translation, periods: list[Translation]) -> bool:
    x, y = slide[0] - other[0], slide[1] - other[1]
    return any(np.hypot(x - p[0], y - p[1]) < _NEAR + _NEAR_SHARE * np.hypot(*p) for p in periods)


def _beats(first: _Side, second: _Side, slide: Translation, best: Translation) -> bool:
    """Whether `slide` explains what `best` cannot. Where neither does, the shorter one wins: it is the likelier."""
    back, best_back = (-slide[0], -slide[1]), (-best[0], -best[1])
    for_slide = _votes(first, second, slide, best) + _votes(second, first, back, best_back)
    for_best = _votes(first, second, best, slide) + _votes(second, first, best_back, back)
    few = _LEAST_VOTES * (first.edges.sum() + second.edges.sum())
    if abs(for_slide - for_best) < few or max(for_slide, for_best) < _MAJORITY * min(for_slide, for_best):
        return bool(np.hypot(*slide) < np.hypot(*best))
    return for_slide > for_best


def _votes(here: _Side, there: _Side, slide: Translation, other: Translation) -> int:
    """Pixels at edges that `slide` explains and `other` does not, though it does not lead them behind a figure.

    Only of segments most of whose edges say so: at the rim of a figure that deforms some pixels fit anything.
    """
    fits = _error(here, there, slide) < _SAME
    differs = _error(here, there, other) > _DIFFERENT
    hidden = _moved(_figure(there, here, slide, other), other) > 0
    says_so = here.edges & fits & differs & ~hidden
    count = np.bincount(here.labels[here.edges], minlength=here.labels.max() + 1)
    votes = np.bincount(here.labels[says_so], minlength=len(count))
    return int(votes[votes > _MOST * count].sum())


def _figure(here: _Side, there: _Side, slide: Translation, other: Translation) -> _Floats:
    """1 in segments which a motion of their own, or rest, explains much better than both of these, going back."""
    flow = dis_flow(here.picture, there.picture)
    own = np.stack([_per_segment(here.labels, plane)[here.labels] for plane in flow]).astype(np.float32)
    alone = compute_color_error(here.picture, there.picture, own)
    errors = [_error(here, there, (-x, -y)) for x, y in (slide, other, (0.0, 0.0))]
    costs = [_per_segment(here.labels, np.nan_to_num(error)) for error in [*errors, alone]]
    figure = np.minimum(costs[2], costs[3]) < _OWN * np.minimum(costs[0], costs[1])
    figure &= np.minimum(costs[0], costs[1]) > _SAME / 2
    return np.asarray(cv2.dilate(figure[here.labels].astype(np.float32), np.ones((3, 3), np.uint8)))


def _per_segment(labels: NDArray[np.int32], values: _Floats) -> NDArray[np.float64]:
    """The mean of each segment, 0 for those too small to be in the small picture."""
    count = np.bincount(labels.ravel())
    return np.asarray(np.bincount(labels.ravel(), values.ravel()) / np.maximum(count, 1))


def _error(here: _Side, there: _Side, slide: Translation) -> _Floats:
    """Mean difference of the colors after a translation, levels, blurred; NaN, which compares false, outside."""
    difference = np.abs(_moved(there.picture.astype(np.float32), slide) - here.picture).mean(axis=2)
    inside = _moved(np.ones(difference.shape, np.float32), slide) > 0.999
    return np.where(inside, cv2.blur(difference, (3, 3)), np.float32(np.nan))


def _moved(picture: _Floats, slide: Translation) -> _Floats:
    """`picture` read at p + slide, 0 outside."""
    motion = np.array([[1, 0, -slide[0]], [0, 1, -slide[1]]], np.float64)
    return np.asarray(cv2.warpAffine(picture, motion, picture.shape[1::-1]))
