"""What is compared of frames: reduced copies, and how much of one is found again in another.

Two sizes. The fine copy (short side 360 to 719 px) still shows a small mouth that moves a few px, and is compared tile
by tile: codec noise differs a little everywhere, motion much in few tiles. The coarse copy (about 160x90) is compared
by motion: within a shot most outlines are found again, however fast they move; across a cut hardly any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, rgb8

Floats = NDArray[np.float32]
Pan = tuple[int, int]  # x, y, whole px of the coarse copy

FINE = 360  # px, short side of the fine copy, at least (unless the frame itself is smaller)
COARSE = 160  # px, long side of the coarse copy
TILE = 8  # px of the fine copy

# What noise may do to a tile: root mean square of the difference, in 255ths, FLOOR + GRAIN x noise + STEEP x slope.
# Found on clips encoded by x264 (crf 16 to 32) and MPEG-4, with grain of 0, 3 and 8 levels.
_FLOOR, _GRAIN, _STEEP = 4.0, 1.5, 0.2
_MOST_NOISE = 8.0  # levels; more is taken for motion everywhere

_OUTLINE = 3.0  # levels per px, gradients below are no outline
_STRONGEST = 20.0  # levels per px, gradients above count as this
_DIFFERENT = 10.0  # levels, plus half the gradient: pixels that differ by more are not the same
_ASTRAY = 1.5  # px by which a motion and the motion back may miss each other
_LEAST_OVERLAP = 0.3  # of each side that a pan leaves in sight
_PEAKS = 3  # pans that are tried
_MANY = 0.4  # share of outlines; if more are lost, something may have leapt
_UNSEEN = 12.0  # levels of difference that count as much as all outlines out of sight


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The reduced copies of one frame.

    fine: uint8 (h, w, 3), slightly smoothed. grey: uint8 (h, w) of it. slope: float32 (h / 8, w / 8), mean gradient of
    each tile in levels per px. colour: float32 (y, x, 3) in 0 to 255, the coarse copy; coarse: uint8 (y, x), its grey.
    gradient: float32 (y, x), levels per px.
    """

    fine: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    slope: Floats
    colour: Floats
    coarse: NDArray[np.uint8]
    gradient: Floats

    @property
    def outlines(self) -> Floats:
        """How much each coarse pixel counts as outline, float32 (y, x) in 0 to 20."""
        return np.where(self.gradient > _OUTLINE, np.minimum(self.gradient, _STRONGEST), np.float32(0))


@dataclass(frozen=True, slots=True)
class Change:
    """How much two frames differ.

    most: in the tile that differs most; 1 is what noise may do, a redrawn mouth gives 2. all: what exceeds 1, the mean
    of all tiles.
    """

    most: float
    all: float


def look(frame: Frame) -> Look:
    """Reduce a frame of any mode and depth (see `animeinterp.frame`)."""
    height, width = frame.shape[:2]
    factor = max(1, min(height, width) // FINE)
    reduced: Any = frame
    if factor > 1:
        reduced = cv2.resize(frame, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    plain = rgb8(reduced)
    fine: Any = cv2.GaussianBlur(plain, (0, 0), 1)
    grey: Any = cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, COARSE / max(grey.shape))
    small: Any = cv2.resize(plain, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    coarse: Any = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    colour = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7), np.float32)
    steep = gradient(colour).max(axis=2)
    return Look(fine, grey, per_tile(gradient(grey)), colour, coarse, steep)


def gradient(picture: NDArray[np.uint8] | Floats) -> Floats:
    """How steep a picture is at each pixel: float32 of its shape, levels per px, |dx| + |dy|."""
    across = np.asarray(cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8))
    down = np.asarray(cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8))
    return np.asarray(np.abs(across) + np.abs(down), np.float32)


def per_tile(values: NDArray[Any]) -> Floats:
    """Means of tiles of about 8x8 px, float32."""
    height, width = values.shape[:2]
    tiles = max(1, width // TILE), max(1, height // TILE)
    return np.asarray(cv2.resize(values.astype(np.float32), tiles, interpolation=cv2.INTER_AREA), np.float32)


def change(a: Look, b: Look) -> Change:
    """How much two frames differ, as far as it is more than noise.

    The noise is what the flattest quarter of the picture shows: there motion can hardly be seen.
    """
    if a.fine.shape != b.fine.shape:
        return Change(np.inf, np.inf)
    channels: Any = cv2.absdiff(a.fine, b.fine)
    widest = cv2.max(cv2.max(channels[..., 0], channels[..., 1]), channels[..., 2])
    difference = np.asarray(widest, np.float32)
    size = np.sqrt(per_tile(difference * difference))
    slope = np.maximum(a.slope, b.slope)
    size /= _FLOOR + _GRAIN * noise(size, slope) + _STEEP * slope
    return Change(float(size.max()), float(np.maximum(size - 1, 0).mean()))


def noise(difference: Floats, slope: Floats) -> float:
    """The noise in a difference of two frames, both by tile: at most 8 levels."""
    return min(float(np.median(difference[slope <= np.quantile(slope, 0.25)])), _MOST_NOISE)


def found_again(a: Look, b: Look) -> float:
    """The share of outlines that two frames of one size have in common, 0 to 1, however they moved.

    Outlines are followed from each frame to the other by a pan of the whole picture, then by optical flow; if few are
    found so, by the leap of a part of it as well. One is found again where the colours agree and the way back leads to
    where it came from. 1 where neither frame has any outlines.
    """
    total = float(a.outlines.sum() + b.outlines.sum())
    if total == 0:
        return 1.0
    pans = [(0, 0), *_pans(a.gradient, b.gradient)]
    pan = min(pans, key=lambda pan: _misfit(a, b, pan))
    lost_a, lost_b = _lost(a, b, pan), _lost(b, a, (-pan[0], -pan[1]))
    if lost_a.sum() + lost_b.sum() > _MANY * total:
        leap = max(pans, key=lambda pan: _fit(a, b, pan, lost_a) + _fit(b, a, (-pan[0], -pan[1]), lost_b))
        lost_a = np.minimum(lost_a, _lost(a, b, leap))
        lost_b = np.minimum(lost_b, _lost(b, a, (-leap[0], -leap[1])))
    return 1 - float(lost_a.sum() + lost_b.sum()) / total


def _lost(a: Look, b: Look, pan: Pan) -> Floats:
    """The outlines of a that are not found in b, which has moved by about `pan`."""
    height, width = a.coarse.shape
    back_to_a = np.array([[1, 0, -pan[0]], [0, 1, -pan[1]]], np.float32)
    coarse, colour = (
        np.asarray(cv2.warpAffine(picture, back_to_a, (width, height), borderMode=cv2.BORDER_REPLICATE))
        for picture in (b.coarse, b.colour)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(0)
    there, back = (np.asarray(search.calc(*pair, None)) for pair in ((a.coarse, coarse), (coarse, a.coarse)))  # type: ignore[call-overload]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x + there[..., 0], y + there[..., 1]
    colour, back = (
        np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        for values in (colour, back)
    )
    x, y, miss = x + pan[0], y + pan[1], there + back
    seen = (x > -1) & (x < width) & (y > -1) & (y < height)
    home = (miss * miss).sum(axis=2) < _ASTRAY**2
    limit = _DIFFERENT + 0.5 * a.gradient
    still = np.abs(a.colour - b.colour).max(axis=2) < limit
    found = still | ((np.abs(a.colour - colour).max(axis=2) < limit) & home & seen)
    return np.where(found, np.float32(0), a.outlines)


def _misfit(a: Look, b: Look, pan: Pan) -> float:
    """How badly a pan explains the picture: levels of difference in sight, and for the outlines out of sight."""
    difference = np.abs(_staying(a.colour, pan) - _staying(b.colour, (-pan[0], -pan[1])))
    seen = _staying(a.outlines, pan).sum() + _staying(b.outlines, (-pan[0], -pan[1])).sum()
    unseen = 1 - float(seen) / float(a.outlines.sum() + b.outlines.sum())
    return float(np.minimum(difference, 60).mean()) + unseen * _UNSEEN


def _fit(a: Look, b: Look, pan: Pan, outlines: Floats) -> float:
    """How much of a's outlines is found in b at just this shift."""
    difference = np.abs(_staying(a.colour, pan) - _staying(b.colour, (-pan[0], -pan[1]))).max(axis=2)
    same = difference < _DIFFERENT + 0.5 * _staying(a.gradient, pan)
    return float(_staying(outlines, pan)[same].sum())


def _staying(picture: Floats, pan: Pan) -> Floats:
    """What of a picture stays in sight when it moves by `pan`."""
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
