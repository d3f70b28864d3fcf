"""How much of one frame's outlines is found again in another.

Within a shot it is most of them, however fast things or the camera move; across a cut hardly any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import DisSettings, backward_warp, chain_flows, create_dis, flow_targets
from animeinterp.video.cadence.signature import Floats, FrameSignature

Pan = tuple[int, int]  # x, y, whole px of the coarse copy
Mask = NDArray[np.bool_]

_DIFFERENT = 10.0  # levels, plus half the gradient: pixels that differ by more are not the same
_ASTRAY = 1.5  # px by which a motion and the motion back may miss each other
_LEAST_OVERLAP = 0.3  # of each side that a pan leaves in sight
_PEAKS = 3  # pans that are tried
_UNSEEN = 12.0  # levels of difference that count as much as all outlines out of sight
_MANY = 0.6  # share of outlines; where fewer are found, something may have leapt


def matched_edge_fraction(a: FrameSignature, b: FrameSignature, enough: float = 1.0) -> float:
    """The share of outlines that two frames of one size have in common, 0 to 1, however they moved.

    Looked for are outlines at rest, then those that moved by a pan of the whole picture and optical flow, then those of
    a part that leapt. One is found again where the colors agree and the way back leads to where it came from.
    enough: ends the search once so much is found. 1 where neither frame has any outlines.
    """
    total = float(a.outlines.sum() + b.outlines.sum())
    if total == 0:
        return 1.0
    search = _Search(a, b)
    pans = [(0, 0)]
    search.look(_at, pans[0])
    if search.found < enough:
        pans += _pans(a.gradient, b.gradient)
        pan = min(pans, key=lambda pan: _misfit(a, b, pan))
        search.look(_at, pan)
        if search.found < enough:
            search.look(_near, pan)
    if search.found < min(enough, _MANY):
        search.look(_near, max(pans, key=search.gain))
    return search.found


class _Search:
    """What of two looks' outlines is not found yet, each in the other."""

    def __init__(self, a: FrameSignature, b: FrameSignature) -> None:
        self._sides = (a, b), (b, a)
        self._lost = [a.outlines, b.outlines]
        self._total = float(a.outlines.sum() + b.outlines.sum())

    @property
    def found(self) -> float:
        """The share that is found, 0 to 1."""
        return 1 - sum(float(lost.sum()) for lost in self._lost) / self._total

    def look(self, where: Callable[[FrameSignature, FrameSignature, Pan], Mask], pan: Pan) -> None:
        """Take away what is found there."""
        masks = self._both(where, pan)
        self._lost = [np.where(mask, np.float32(0), lost) for mask, lost in zip(masks, self._lost, strict=True)]

    def gain(self, pan: Pan) -> float:
        """How much more would be found at just this shift."""
        masks = self._both(_at, pan)
        return sum(float(lost[mask].sum()) for mask, lost in zip(masks, self._lost, strict=True))

    def _both(self, where: Callable[[FrameSignature, FrameSignature, Pan], Mask], pan: Pan) -> tuple[Mask, Mask]:
        there, back = self._sides
        return where(*there, pan), where(*back, (-pan[0], -pan[1]))


def _at(a: FrameSignature, b: FrameSignature, pan: Pan) -> Mask:
    """Pixels of a that are found in b at just this shift."""
    found = np.zeros(a.coarse.shape, bool)
    same = _same(_staying(a.color, pan), _staying(b.color, (-pan[0], -pan[1])), _staying(a.gradient, pan))
    _staying(found, pan)[:] = same
    return found


def _near(a: FrameSignature, b: FrameSignature, pan: Pan) -> Mask:
    """Pixels of a that are found in b by optical flow from that shift."""
    height, width = a.coarse.shape
    back_to_a = np.array([[1, 0, -pan[0]], [0, 1, -pan[1]]], np.float32)
    coarse, color = (
        cv2.warpAffine(picture, back_to_a, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for picture in (b.coarse, b.color)
    )
    estimate = create_dis(DisSettings("ultrafast", finest_scale=0))
    forth = estimate(a.coarse, coarse, None).transpose(2, 0, 1)
    back = estimate(coarse, a.coarse, None).transpose(2, 0, 1)
    x, y = (at + shift for at, shift in zip(flow_targets(forth), pan, strict=True))
    seen = (x > -1) & (x < width) & (y > -1) & (y < height)
    miss = chain_flows(forth, back)
    home = miss[0] ** 2 + miss[1] ** 2 < _ASTRAY**2
    return np.asarray(_same(a.color, backward_warp(color, forth), a.gradient) & home & seen)


def _same(a: Floats, b: Floats, gradient: Floats) -> Mask:
    difference: Any = cv2.absdiff(a, b)
    widest = np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
    return np.asarray(widest < _DIFFERENT + 0.5 * gradient)


def _misfit(a: FrameSignature, b: FrameSignature, pan: Pan) -> float:
    """How badly a pan explains the picture: levels of difference in sight, and for the outlines out of sight."""
    back = -pan[0], -pan[1]
    difference = np.asarray(cv2.absdiff(_staying(a.color, pan), _staying(b.color, back)))
    seen = _staying(a.outlines, pan).sum() + _staying(b.outlines, back).sum()
    unseen = 1 - float(seen) / float(a.outlines.sum() + b.outlines.sum())
    return float(np.minimum(difference, 60).mean()) + unseen * _UNSEEN


def _staying(picture: NDArray[Any], pan: Pan) -> NDArray[Any]:
    """What of a picture stays in sight when it moves by `pan`; a view."""
    (height, width), (x, y) = picture.shape[:2], pan
    return picture[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]


def _pans(a: Floats, b: Floats) -> list[Pan]:
    """The likeliest shifts by phase correlation, each read in all ways that wrapping round allows."""
    height, width = a.shape
    window = np.sqrt(np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])).astype(np.float32)
    spectra = [np.fft.rfft2((side - side.mean()) * window) for side in (a, b)]
    cross = spectra[1] * np.conj(spectra[0])
    size = np.abs(cross)
    cross /= size + 1e-3 * size.max() + 1e-9
    peaks = cv2.GaussianBlur(np.fft.irfft2(cross, s=(height, width)).astype(np.float32), (0, 0), 1)
    pans = []
    for _ in range(_PEAKS):
        down, across = (int(i) for i in np.unravel_index(int(peaks.argmax()), peaks.shape))
        pans += [(x, y) for x in (across, across - width) for y in (down, down - height)]
        peaks[np.ix_(np.arange(down - 2, down + 3) % height, np.arange(across - 2, across + 3) % width)] = -np.inf
    reach = 1 - _LEAST_OVERLAP
    return [(x, y) for x, y in pans if abs(x) <= reach * width and abs(y) <= reach * height]
