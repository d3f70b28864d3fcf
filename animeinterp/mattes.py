"""What surrounds a moving picture and stands still: letterbox bars, frames, rounded corners, untouched ground.

Two facts are used. Whatever moves on a straight path between two frames stays within the convex hull of the pixels
that differ, so nothing is drawn outside of that hull. And a band along the border of the image that is fixed in both
frames, and ends in a straight line at which the picture begins in both, is a matte: the picture inside is
interpolated by itself, as if the matte were the end of the image, so that what pans under the bars leaves the image.

Not found: overlays within the picture, such as logos and burnt-in subtitles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import MIN_SIDE, AnyFrame, Frame, from_planes, has_alpha, to_planes

Region = tuple[slice, slice]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class MatteLimits:
    """What counts as fixed and as a bar.

    Chosen on made letterbox films encoded by x264 at crf 18 to 28, and on the development triplets, whose scores must
    not change. Levels are 255ths.

    same: levels by which fixed pixels may differ: what x264 leaves of flat bars.
    grain: standard deviations of a band's own noise that fixed pixels may differ by; most_grain: levels, at most.
    flat: levels by which a pixel of a bar may differ from the bar's color.
    ringing: rows next to the picture that a codec has soiled, at most; clean: the share of their pixels that are flat.
    edge: rows at the edge that are looked at for motion, at most, and at most one of `per_edge`; within twice as many
        the picture has to begin, in both images in the same row. begun: the share of pixels of such a row that are not
        flat. Shapes that slide over a flat ground are told from pictures by these two.
    moved_near: the share of pixels of one of these rows that differ, at least; moved: of the first row after a band
        that is not flat.
    """

    same: float = 3.0
    grain: float = 8.0
    most_grain: float = 24.0
    flat: float = 12.0
    ringing: int = 12
    clean: float = 0.9
    edge: int = 4
    per_edge: int = 64
    begun: float = 0.75
    moved_near: float = 0.25
    moved: float = 0.5


LIMITS = MatteLimits()


def moving_hull(frame0: Frame, frame1: Frame, limits: MatteLimits = LIMITS) -> NDArray[np.bool_]:
    """Mark the convex hull of all pixels that differ between two frames.

    Args:
        frame0: Any frame, see `animeinterp.frame`.
        frame1: Another of its size, mode and depth.
        limits: `same` is what counts as equal.

    Returns:
        bool (H, W); nothing on a straight path between the frames lies outside.
    """
    differs = largest_difference(_visible(frame0), _visible(frame1)) > limits.same * _level(frame0)
    hull = np.zeros(differs.shape, np.uint8)
    rows = np.flatnonzero(differs.any(axis=1))
    if rows.size:
        left = differs[rows].argmax(axis=1)
        right = differs.shape[1] - 1 - differs[rows, ::-1].argmax(axis=1)
        ends = np.stack([np.concatenate([left, right]), np.concatenate([rows, rows])], axis=1).astype(np.int32)
        cv2.fillConvexPoly(hull, cv2.convexHull(ends), (1,))
    return hull.astype(np.bool_)


def crop(frame: AnyFrame, window: Region) -> AnyFrame:
    """Copy the part of a frame within rows and columns."""
    return cast(AnyFrame, frame[window].copy())


def mix(frame0: Frame, frame1: Frame, t: float) -> NDArray[np.float32]:
    """The cross-fade of two frames at time t in [0, 1], as planes; see `animeinterp.frame.to_planes`."""
    planes = to_planes(frame0)
    planes += np.float32(t) * (to_planes(frame1) - planes)
    return planes


def surround(inner: AnyFrame, window: Region, frame0: AnyFrame, frame1: AnyFrame, t: float) -> AnyFrame:
    """Put a picture at time t back into what surrounds it.

    Args:
        inner: The picture, of the window's size.
        window: Rows and columns of the frames that it fills.
        frame0: The frame at t = 0.
        frame1: The frame at t = 1, outside of the window almost equal.
        t: In [0, 1].

    Returns:
        A frame like `frame0`; outside of the window it is a cross-fade of both, which may differ by a codec's noise.
    """
    if has_alpha(frame0):
        frame = from_planes(mix(frame0, frame1, t), frame0)
        np.copyto(frame, frame0, where=frame0 == frame1)
    else:
        frame = cv2.addWeighted(frame0, 1 - t, frame1, t, 0)  # type: ignore[assignment]
    frame[window] = inner
    return frame


def find_window(frame0: Frame, frame1: Frame, limits: MatteLimits = LIMITS) -> Region | None:
    """Find the picture within a fixed matte that two frames share.

    Args:
        frame0: Any frame, see `animeinterp.frame`.
        frame1: Another of its size, mode and depth.
        limits: What counts as a matte.

    Returns:
        Rows and columns of the picture; None where there is no matte, or too little inside of it.
    """
    first, second = _visible(frame0), _visible(frame1)
    difference, unit = largest_difference(first, second), _level(frame0)
    top, bottom, left, right = 0, first.shape[0], 0, first.shape[1]
    for _ in range(3):  # bars around bars: a frame within a letterbox
        before = top, bottom, left, right
        rows = [side[top:bottom, left:right] for side in (first, second, difference)]
        above, below = _band(rows, unit, limits), _band([side[::-1] for side in rows], unit, limits)
        top, bottom = top + above, bottom - below
        columns = [side[top:bottom, left:right].swapaxes(0, 1) for side in (first, second, difference)]
        if bottom - top < MIN_SIDE:
            return None
        near, far = _band(columns, unit, limits), _band([side[::-1] for side in columns], unit, limits)
        left, right = left + near, right - far
        if right - left < MIN_SIDE:
            return None
        if before == (top, bottom, left, right):
            break
    whole = (0, first.shape[0], 0, first.shape[1])
    return None if (top, bottom, left, right) == whole else (slice(top, bottom), slice(left, right))


def _band(pictures: Sequence[Pixels], unit: float, limits: MatteLimits) -> int:
    """How many of the first rows of two pictures (n, m, channels), given with their difference (n, m), are a matte."""
    a, b, difference = pictures
    noise = 1.4826 * float(np.median(difference[0]))
    same = float(np.clip(limits.grain * noise, limits.same * unit, limits.most_grain * unit))
    fixed = next((row for row in range(len(a)) if difference[row].max() > same), 0)
    edge = max(1, min(limits.edge, len(a) // limits.per_edge))
    if not fixed or (difference[fixed : fixed + limits.ringing + edge] > same).mean(axis=1).max() <= limits.moved_near:
        return 0
    colors = np.median(a[0], axis=0), np.median(b[0], axis=0)

    far = max(limits.flat * unit, same)

    def other(row: int) -> tuple[float, float]:
        """The share of a row's pixels that have another color than the band, in each picture."""
        first, second = (np.abs(p[row] - color).max(axis=1) for p, color in zip((a, b), colors, strict=True))
        return float((first > far).mean()), float((second > far).mean())

    flat = next((row for row in range(fixed) if max(other(row))), fixed)
    soiled = range(flat, min(flat + limits.ringing, len(a)))
    end = next((row for row in soiled if max(other(row)) > 1 - limits.clean), flat)
    begin = slice(end, end + edge)
    if flat:
        # A shape that slides over a flat ground has a straight edge too, but not in both pictures at one place.
        shares = np.array([other(row) for row in range(end, min(end + 2 * edge, len(a)))]) > limits.begun
        begins = shares.argmax(axis=0)
        begun = shares.any(axis=0).all() and abs(int(begins[0]) - int(begins[1])) <= 1
        # Where nothing moves near the bars the hull keeps them clean, and both sides of the edge help matching.
        return end if begun and (difference[begin] > same).mean(axis=1).max() > limits.moved_near else 0
    moved = (difference[fixed] > same).mean() > limits.moved
    return fixed if moved and all(_breaks_off(picture, fixed, same) > limits.moved for picture in (a, b)) else 0


def _breaks_off(picture: Pixels, row: int, same: float) -> float:
    """The share of pixels of a row that differ from the row above by more than that one from the one above it."""
    if row < 2:
        return 1.0
    jump = largest_difference(picture[row], picture[row - 1]).astype(np.int32)
    usual = largest_difference(picture[row - 1], picture[row - 2]).astype(np.int32)
    return float((jump > 2 * usual + same).mean())


def largest_difference(a: Pixels, b: Pixels) -> Pixels:
    """By how much pixels differ, in the channel that differs most.

    Args:
        a: uint8 or uint16 (…, channels).
        b: Another of its shape and depth.

    Returns:
        (…) of their depth.
    """
    difference: Any = np.asarray(cv2.absdiff(a, b)).reshape(a.shape)
    widest: Any = difference[..., 0]
    for channel in range(1, a.shape[-1]):  # several times faster than a maximum along the last axis
        widest = np.maximum(widest, difference[..., channel])
    return widest  # type: ignore[no-any-return]


def _visible(frame: Frame) -> Pixels:
    """A frame (H, W, channels) without the colors of what is fully transparent."""
    planes = frame.reshape(*frame.shape[:2], -1)
    if has_alpha(frame):
        planes = np.where(planes[..., -1:] > 0, planes, np.zeros((), frame.dtype))
    return planes


def _level(frame: Frame) -> float:
    """One 255th in the depth of a frame."""
    return float(np.iinfo(frame.dtype).max) / 255
