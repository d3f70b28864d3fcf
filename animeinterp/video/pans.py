"""Figures that are held while the camera pans: every frame differs, yet only some are drawings.

Between n and n + 1 everything slides or rests: the background, and layers before it at paces of their own. Between
n + 1 and n + 2 the background slides on as before, and something is drawn anew besides. Then n + 1 shows nothing that
the motion from n to n + 2 does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.video.looks import Look, gradient, noise, per_tile

Slide = tuple[float, float]
Grey = NDArray[np.uint8]

_SIDE = 180  # px, short side of the pictures worked on, at least
_FEW = 0.15  # of what a held frame or the new one changes, slides may leave unexplained in a held one
_LEAST_PAN, _LEAST = 0.005, 0.02  # levels, mean of all tiles: less is no pan, no new drawing
_FLOOR, _GRAIN, _STEEP = 2.0, 1.3, 0.3  # as in looks, of a mean difference; 0.3 px of error are forgiven
_TEXTURE = 2.0  # levels per px, mean of a tile: flatter tiles show no motion
_SLOWEST = 0.2  # px, slower is no pan
_REACH, _BIN = 24, 0.125  # px to each side that are looked at, and that are told apart
_LAYERS, _SHARE = 3, 0.02  # motions at most, and the least share of the tiles that show motion
_ASIDE, _FASTEST = 0.3, 2.0  # px and times: how far a layer's motion may differ from the background's
_MOVED, _BETTER = 1.0, 0.5  # levels by which a tile has changed; how much of that is left if it has slid
_RIM = 6  # of the picture's sides, the part that is its rim: one in so many tiles
_RIM_LEAST, _RIM_SLID, _RIM_ON = 0.02, 0.6, 0.15  # of the rim's tiles; of those that change; of those that slide
_EASED, _EASED_SHARE = 1.0, 0.35  # px and share by which a motion may gather speed


def only_slid(held: Sequence[Look], new: Look) -> bool:
    """Whether the frames after the first of `held` are the first, slid, while `new` is drawn anew.

    held: looks of two frames or more in a row, of one size. new: of the one after them.
    """
    row = [_smaller(look.grey) for look in (*held, new)]
    slides = _motions(row[0], row[1])
    return any(_only_slid(row, slide, slides) for slide in slides)


def _only_slid(row: Sequence[Grey], ground: Slide, slides: Sequence[Slide]) -> bool:
    """The same if the background moves by `ground`."""
    layers = [slide for slide in slides if _is_layer(slide, ground)]
    still, new = list(pairwise(row[:-1])), (row[-2], row[-1])
    remains = max(_unexplained(*pair, layers) for pair in still)
    change = min(_unexplained(*pair, []) for pair in still)
    if change < _LEAST_PAN or remains > _FEW * change:
        return False
    if not _pans_on(still[0], new, ground):
        return False
    # A camera that gathers speed leaves nothing unexplained once its new speed is known.
    layers += [slide for slide in _motions(*new) if _is_eased(slide, ground)]
    return _unexplained(*new, layers) > max(_LEAST, remains / _FEW)


def _smaller(grey: Grey) -> Grey:
    """At half the size motion is still found to a tenth of a px."""
    return np.asarray(cv2.pyrDown(grey), np.uint8) if min(grey.shape) >= 2 * _SIDE else grey


def _is_layer(slide: Slide, ground: Slide) -> bool:
    speed = np.hypot(*ground)
    x, y = ground[0] / speed, ground[1] / speed
    pace = (slide[0] * x + slide[1] * y) / speed
    return bool(abs(slide[1] * x - slide[0] * y) < _ASIDE and 0 <= pace <= _FASTEST)


def _is_eased(slide: Slide, ground: Slide) -> bool:
    apart = np.hypot(slide[0] - ground[0], slide[1] - ground[1])
    return bool(apart < max(_EASED, _EASED_SHARE * np.hypot(*ground)))


def _motions(a: Grey, b: Grey) -> list[Slide]:
    """The motions (x, y), px, that most tiles share, the commonest first, without rest."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = np.asarray(search.calc(a, b, None), np.float32)  # type: ignore[call-overload]
    # What a tile's outlines do counts, not what lies between them.
    steep = gradient(a) + np.float32(1e-3)
    slope = per_tile(steep)
    tiles = np.stack([per_tile(flow[..., i] * steep) / slope for i in (0, 1)], axis=2)[slope > _TEXTURE]
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
        across, down = np.median(tiles[near], axis=0)
        if np.hypot(across, down) > _SLOWEST:
            motions.append((float(across), float(down)))
        votes[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 0
    return motions


def _difference(a: Grey, b: Grey, slide: Slide) -> Grey:
    """How much b differs from a, slid."""
    motion = np.array([[1, 0, slide[0]], [0, 1, slide[1]]], np.float32)
    moved = cv2.warpAffine(a, motion, (a.shape[1], a.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.absdiff(moved, b), np.uint8)


def _pans_on(still: tuple[Grey, Grey], new: tuple[Grey, Grey], ground: Slide) -> bool:
    """Whether what changes along the picture's rim slides like that between two frames, and on between the next two.

    Not the lower rim, where figures stand.
    """
    changes, slides = [], []
    for a, b in (still, new):
        rest, moved = (per_tile(_difference(a, b, slide).astype(np.float32)) for slide in ((0.0, 0.0), ground))
        changes.append(rest > _MOVED)
        slides.append((rest > _MOVED) & (moved < _BETTER * rest))
    height, width = changes[0].shape
    rim = np.ones((height, width), bool)
    rim[-(-height // _RIM) :, -(-width // _RIM) : width - -(-width // _RIM)] = False
    changed, slid, on = ((rim & tiles).sum() for tiles in (changes[0], slides[0], slides[0] & slides[1]))
    return bool(changed > _RIM_LEAST * rim.sum() and slid > _RIM_SLID * changed and on > _RIM_ON * slid)


def _unexplained(a: Grey, b: Grey, slides: Sequence[Slide]) -> float:
    """What of b is neither where it was in a nor slid: levels beyond noise, mean of all tiles."""
    rest = np.asarray(cv2.absdiff(a, b))
    for slide in slides:
        rest = np.asarray(cv2.min(rest, _difference(a, b, slide)))
    tiles = per_tile(rest.astype(np.float32))
    slope = per_tile(gradient(b))
    beyond = tiles - (_FLOOR + _GRAIN * noise(tiles, slope) + _STEEP * slope)
    return float(np.maximum(beyond, 0).mean())
