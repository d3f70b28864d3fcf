"""Figures that are held while the camera pans: every frame differs, yet only some are drawings.

Between n and n + 1 everything slides or rests: the background, and layers before it at paces of their own. Between
n + 1 and n + 2 the background slides on as before, and something is drawn anew besides. Then n + 1 shows nothing that
the motion from n to n + 2 does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.flow import DisSettings, create_dis
from animeinterp.video.cadence.signature import Floats, FrameSignature, gradient, noise, per_tile

Slide = tuple[float, float]
Gray = NDArray[np.uint8]

_SIDE = 180  # px, short side of the pictures worked on, at least
_FEW = 0.15  # of what a held frame or the new one changes, slides may leave unexplained in a held one
_LEAST_PAN, _LEAST = 0.005, 0.02  # levels, mean of all tiles: less is no pan, no new drawing
_FLOOR, _GRAIN, _STEEP = 2.0, 1.3, 0.3  # as in looks, of a mean difference; 0.3 px of error are forgiven
_TEXTURE = 2.0  # levels per px, mean of a tile: flatter tiles show no motion
_SLOWEST = 0.2  # px, slower is no pan
_REACH, _BIN = 24, 0.125  # px to each side that are looked at, and that are told apart
_LAYERS, _SHARE = 3, 0.02  # motions at most, and the least share of the tiles that show motion
_ASIDE, _ASIDE_SHARE = 0.3, 0.1  # px, and of its speed, by which a motion may leave the background's direction
_FASTEST, _EASED = 2.0, 4.0  # times the background's speed that a layer has, and a camera that gathers speed
_MOVED, _BETTER = 1.0, 0.5  # levels by which a tile has changed; how much of that is left if it has slid
_RIM = 6  # of the picture's sides, the part that is its rim: one in so many tiles
_RIM_LEAST = 0.01  # of all tiles, those of the rim that change, at least
_RIM_SLID, _RIM_ON = 0.6, 0.15  # of these, those that slide; of the background's, those that slide on


def count_pan_repeats(looks: Sequence[FrameSignature], numbers: Sequence[int], counts: Sequence[int]) -> int:
    """How many of the frames after the first are only the first, slid, before one is drawn anew; 0 if that is not so.

    looks: of frames in a row, all of one size. numbers: of these frames, which need not follow each other. counts: how
    many it may be; a look has to be there for one more.
    """
    grays = [_smaller(look.gray) for look in looks]
    steps = [_Step(a, b, n - m) for (a, b), (m, n) in zip(pairwise(grays), pairwise(numbers), strict=True)]
    first = steps[0]
    rim = _rim(first)
    change = _unexplained(first, [])
    if rim.sum() <= _RIM_LEAST * rim.size or change < _LEAST_PAN:
        return 0
    slides = _motions(first)
    for ground in slides:
        layers = [slide for slide in slides if _is_layer(slide, ground)]
        moving = np.logical_or.reduce([_slides(first, layer) for layer in layers]) & rim
        if moving.sum() <= _RIM_SLID * rim.sum() or _unexplained(first, layers) > _FEW * change:
            continue
        for count in counts:
            remains = max(_unexplained(step, layers) for step in steps[:count])
            if remains <= _FEW * change and _drawn_anew(first, steps[count], ground, layers, remains):
                return count
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """From one picture to another, some frames later."""

    a: Gray
    b: Gray
    frames: int


def _drawn_anew(first: _Step, new: _Step, ground: Slide, layers: Sequence[Slide], remains: float) -> bool:
    """Whether a step draws something anew while the background slides on as in the first.

    ground: the background's motion, layers: all motions that count, px per frame. remains: what these leave unexplained
    before.
    """
    before = _slides(first, ground) & _rim(first)
    if (before & _slides(new, ground)).sum() <= _RIM_ON * before.sum():
        return False
    # A camera that gathers speed leaves nothing unexplained once its new speed is known.
    speeds = [speed for speed in _motions(new) if _is_eased(speed, ground)]
    return _unexplained(new, [*layers, *speeds]) > max(_LEAST, remains / _FEW)


def _smaller(gray: Gray) -> Gray:
    """At half the size motion is still found to a tenth of a px."""
    return np.asarray(cv2.pyrDown(gray), np.uint8) if min(gray.shape) >= 2 * _SIDE else gray


def _is_layer(slide: Slide, ground: Slide) -> bool:
    pace, aside = _along(slide, ground)
    return aside < _ASIDE and 0 <= pace <= _FASTEST


def _is_eased(slide: Slide, ground: Slide) -> bool:
    pace, aside = _along(slide, ground)
    return aside < _ASIDE + _ASIDE_SHARE * pace * math.hypot(*ground) and 0 <= pace <= _EASED


def _along(slide: Slide, ground: Slide) -> Slide:
    """How many times faster along the background's motion, and how many px across it."""
    speed = math.hypot(*ground)
    x, y = ground[0] / speed, ground[1] / speed
    return (slide[0] * x + slide[1] * y) / speed, abs(slide[1] * x - slide[0] * y)


def _motions(step: _Step) -> list[Slide]:
    """The motions (x, y), px per frame, that most tiles share, the commonest first, without rest."""
    flow = create_dis(DisSettings("ultrafast"))(step.a, step.b, None)
    # What a tile's outlines do counts, not what lies between them.
    steep = gradient(step.a) + np.float32(1e-3)
    slope = per_tile(steep)
    tiles = np.stack([per_tile(flow[..., i] * steep) / slope for i in (0, 1)], axis=2)[
        slope > _TEXTURE + np.quantile(slope, 0.25)
    ]
    cells = np.rint((tiles + _REACH) / _BIN).astype(np.int64)
    side = round(2 * _REACH / _BIN) + 1
    cells = cells[(np.hypot(tiles[:, 0], tiles[:, 1]) > _SLOWEST) & ((cells >= 0) & (cells < side)).all(axis=1)]
    counts = np.bincount(cells[:, 1] * side + cells[:, 0], minlength=side * side).reshape(side, side)
    votes = np.asarray(cv2.boxFilter(counts.astype(np.float32), -1, (3, 3), normalize=False))
    motions: list[Slide] = []
    for _ in range(_LAYERS):
        y, x = (int(i) for i in np.unravel_index(int(votes.argmax()), votes.shape))
        if votes[y, x] < max(1.0, _SHARE * len(tiles)):
            break
        near = np.hypot(*(tiles - (x * _BIN - _REACH, y * _BIN - _REACH)).T) < 2 * _BIN
        across, down = np.median(tiles[near], axis=0) if near.any() else (0.0, 0.0)  # between cells nothing may lie
        if np.hypot(across, down) > _SLOWEST:
            motions.append((float(across) / step.frames, float(down) / step.frames))
        votes[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 0
    return motions


def _difference(step: _Step, slide: Slide) -> Gray:
    """How much the later picture differs from the earlier, slid; not at all where that shows nothing."""
    height, width = step.a.shape
    x, y = slide[0] * step.frames, slide[1] * step.frames
    motion = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(step.a, motion, (width, height), borderMode=cv2.BORDER_REPLICATE)
    difference = np.asarray(cv2.absdiff(moved, step.b), np.uint8)
    across, down = math.ceil(abs(x)), math.ceil(abs(y))
    difference[:, slice(0, across) if x > 0 else slice(width - across, width)] = 0
    difference[slice(0, down) if y > 0 else slice(height - down, height)] = 0
    return difference


def _rim(step: _Step) -> NDArray[np.bool_]:
    """Tiles along the picture's border that change. Not the lower border, where figures stand."""
    changed = _changed(step)[0]
    height, width = changed.shape
    changed[-(-height // _RIM) :, -(-width // _RIM) : width - -(-width // _RIM)] = False
    return changed


def _slides(step: _Step, slide: Slide) -> NDArray[np.bool_]:
    """Tiles that change, and less so if they are slid."""
    changed, beyond, grain = _changed(step)
    return changed & (per_tile(_difference(step, slide)) - grain < _BETTER * beyond)


def _changed(step: _Step) -> tuple[NDArray[np.bool_], Floats, float]:
    """Tiles that change by more than noise, by how much, and the noise, in levels."""
    difference = per_tile(cv2.absdiff(step.a, step.b))
    grain = noise(difference, per_tile(gradient(step.b)))
    return difference - grain > _MOVED + grain, difference - grain, grain


def _unexplained(step: _Step, slides: Sequence[Slide]) -> float:
    """What of the later picture is neither where it was before nor slid: levels beyond noise, mean of all tiles."""
    rest = np.asarray(cv2.absdiff(step.a, step.b))
    for slide in slides:
        rest = np.asarray(cv2.min(rest, _difference(step, slide)))
    tiles, slope = per_tile(rest), per_tile(gradient(step.b))
    beyond = tiles - (_FLOOR + _GRAIN * noise(tiles, slope) + _STEEP * slope)
    return float(np.maximum(beyond, 0).mean())
