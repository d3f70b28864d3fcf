"""Fixed surroundings of a moving image: letterbox bars, frames, rounded corners, static background.

Two facts are used. First, whatever moves on a straight path between two frames stays within the convex hull of the
pixels that differ, so nothing is drawn outside that hull. Second, a band along the border that is static in both
frames, and ends in a straight line at which the image begins in both, is a matte: the image inside is interpolated by
itself, as if the matte were the end of the frame, so that what pans under the bars leaves the image.

Overlays inside the image, such as logos and burnt-in subtitles, are not detected.
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
_STANDARD_DEVIATION_PER_MEDIAN = 1.4826  # of normally distributed absolute differences


@dataclass(frozen=True, slots=True)
class MatteLimits:
    """What counts as static and as a bar.

    Chosen on generated letterbox films encoded by x264 at crf 18 to 28, and on the development triplets, whose scores
    must not change (`animeinterp evaluate`). Levels are 255ths of the range.

    Attributes:
        static: Largest difference of static pixels, levels: what x264 leaves of flat bars.
        grain: Largest difference of static pixels in standard deviations of the band's own noise.
        max_grain: Upper limit of that difference, levels.
        flat: Largest difference between a bar's pixel and the bar's color, levels.
        ringing_rows: Largest number of rows next to the image that coding artifacts have changed.
        clean_fraction: Fraction of flat pixels in such a row.
        edge_rows: Largest number of rows at the edge that are examined for motion. Within twice as many the image has
            to begin, in both frames in the same row: this tells images from shapes that slide over a flat background.
        rows_per_edge_row: Rows of the image per examined row, at least.
        content_fraction: Fraction of pixels in the image's first row that are not flat.
        moving_near_edge: Smallest fraction of pixels in one of the examined rows that differ between the frames.
        moving_after_band: The same in the first row after a band that is not flat.
    """

    static: float = 3.0
    grain: float = 8.0
    max_grain: float = 24.0
    flat: float = 12.0
    ringing_rows: int = 12
    clean_fraction: float = 0.9
    edge_rows: int = 4
    rows_per_edge_row: int = 64
    content_fraction: float = 0.75
    moving_near_edge: float = 0.25
    moving_after_band: float = 0.5


LIMITS = MatteLimits()


def moving_hull(frame0: Frame, frame1: Frame, limits: MatteLimits = LIMITS) -> NDArray[np.bool_]:
    """Mark the convex hull of all pixels that differ between two frames.

    Args:
        frame0: Any frame, see `animeinterp.frame`.
        frame1: Another of its size, mode and depth.
        limits: `static` is what counts as equal.

    Returns:
        bool (H, W); nothing on a straight path between the frames leaves it.
    """
    differs = visible_difference(frame0, frame1) > limits.static * level_of(frame0)
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
    """Cross-fade two frames at time t in [0, 1]: planes as of `animeinterp.frame.to_planes`."""
    planes = to_planes(frame0)
    planes += np.float32(t) * (to_planes(frame1) - planes)
    return planes


def embed(planes: NDArray[np.float32], window: Region, size: tuple[int, ...], outside: float) -> NDArray[np.float32]:
    """Place planes of a window, float32 (…, h, w), into those of the frame, (…, H, W), filled with `outside`."""
    whole = np.full((*planes.shape[:-2], *size), outside, np.float32)
    whole[..., *window] = planes
    return whole


def cross_fade(drawn: AnyFrame, where: NDArray[np.bool_], frame0: AnyFrame, frame1: AnyFrame, t: float) -> None:
    """Replace some pixels of a frame by the cross-fade of two frames.

    Args:
        drawn: Changed in place.
        where: Which pixels, bool (H, W).
        frame0: The frame at t = 0, like `drawn`.
        frame1: The frame at t = 1.
        t: In [0, 1].
    """
    row0, row1 = frame0[where][None], frame1[where][None]
    drawn[where] = from_planes(mix(row0, row1, t), row0)[0]


def surround(inner: AnyFrame, window: Region, frame0: AnyFrame, frame1: AnyFrame, t: float) -> AnyFrame:
    """Put an image at time t back into its surroundings.

    Args:
        inner: The image, of the window's size.
        window: Rows and columns of the frame that it fills.
        frame0: The frame at t = 0.
        frame1: The frame at t = 1, almost equal outside the window.
        t: In [0, 1].

    Returns:
        A frame like `frame0`; outside the window a cross-fade of both, which may differ by coding noise.
    """
    if has_alpha(frame0):
        frame = from_planes(mix(frame0, frame1, t), frame0)
        np.copyto(frame, frame0, where=frame0 == frame1)
    else:
        frame = cv2.addWeighted(frame0, 1 - t, frame1, t, 0)  # type: ignore[assignment]
    frame[window] = inner
    return frame


def find_window(frame0: Frame, frame1: Frame, limits: MatteLimits = LIMITS) -> Region | None:
    """Find the image inside a fixed matte that two frames share.

    Args:
        frame0: Any frame, see `animeinterp.frame`.
        frame1: Another of its size, mode and depth.
        limits: What counts as a matte.

    Returns:
        Rows and columns of the image; None if there is no matte, or too little inside it.
    """
    first, second = _visible(frame0), _visible(frame1)
    difference, level = largest_difference(first, second), level_of(frame0)
    top, bottom, left, right = 0, first.shape[0], 0, first.shape[1]
    for _ in range(3):  # nested mattes: a frame inside a letterbox
        before = top, bottom, left, right
        rows = [side[top:bottom, left:right] for side in (first, second, difference)]
        above, below = _count_matte_rows(rows, level, limits), _count_matte_rows(_reversed(rows), level, limits)
        top, bottom = top + above, bottom - below
        columns = [side[top:bottom, left:right].swapaxes(0, 1) for side in (first, second, difference)]
        if bottom - top < MIN_SIDE:
            return None
        before_left, after_right = (_count_matte_rows(c, level, limits) for c in (columns, _reversed(columns)))
        left, right = left + before_left, right - after_right
        if right - left < MIN_SIDE:
            return None
        if before == (top, bottom, left, right):
            break
    whole = (0, first.shape[0], 0, first.shape[1])
    return None if (top, bottom, left, right) == whole else (slice(top, bottom), slice(left, right))


def _reversed(rows: Sequence[Pixels]) -> list[Pixels]:
    return [side[::-1] for side in rows]


def _count_matte_rows(images: Sequence[Pixels], level: float, limits: MatteLimits) -> int:
    """Count the first rows that are a matte; images: both (n, m, channels) and their difference (n, m)."""
    image0, image1, difference = images
    noise = _STANDARD_DEVIATION_PER_MEDIAN * float(np.median(difference[0]))
    static = float(np.clip(limits.grain * noise, limits.static * level, limits.max_grain * level))
    first_moving = next((row for row in range(len(image0)) if difference[row].max() > static), 0)
    edge_rows = max(1, min(limits.edge_rows, len(image0) // limits.rows_per_edge_row))
    near_edge = difference[first_moving : first_moving + limits.ringing_rows + edge_rows] > static
    if not first_moving or near_edge.mean(axis=1).max() <= limits.moving_near_edge:
        return 0
    bar = _FlatBar(image0, image1, max(limits.flat * level, static))
    first_content = next((row for row in range(first_moving) if max(bar.content(row))), first_moving)
    if not first_content:
        breaks = [_edge_fraction(image, first_moving, static) > limits.moving_after_band for image in (image0, image1)]
        moves = (difference[first_moving] > static).mean() > limits.moving_after_band
        return first_moving if moves and all(breaks) else 0
    ringing = range(first_content, min(first_content + limits.ringing_rows, len(image0)))
    end = next((row for row in ringing if max(bar.content(row)) > 1 - limits.clean_fraction), first_content)
    # A shape that slides over a flat background has a straight edge too, but not in both frames at one position.
    contents = [bar.content(row) for row in range(end, min(end + 2 * edge_rows, len(image0)))]
    filled = np.array(contents) > limits.content_fraction
    starts = filled.argmax(axis=0)
    starts_together = filled.any(axis=0).all() and abs(int(starts[0]) - int(starts[1])) <= 1
    # If nothing moves near the bars, the hull keeps them clean, and both sides of the edge help matching.
    moves = (difference[end : end + edge_rows] > static).mean(axis=1).max() > limits.moving_near_edge
    return end if starts_together and moves else 0


class _FlatBar:
    """The color of the first row of two images, and which fraction of other rows differs from it."""

    def __init__(self, image0: Pixels, image1: Pixels, tolerance: float) -> None:
        self._images, self._tolerance = (image0, image1), tolerance
        self._colors = np.median(image0[0], axis=0), np.median(image1[0], axis=0)

    def content(self, row: int) -> tuple[float, float]:
        """Return the fraction of a row's pixels that have another color than the bar, in each image."""
        first, second = (
            np.abs(image[row] - color).max(axis=1) for image, color in zip(self._images, self._colors, strict=True)
        )
        return float((first > self._tolerance).mean()), float((second > self._tolerance).mean())


def _edge_fraction(image: Pixels, row: int, static: float) -> float:
    """Return the fraction of a row's pixels that differ from the row above by much more than that one from its own."""
    if row < 2:
        return 1.0
    jump = largest_difference(image[row], image[row - 1]).astype(np.int32)
    usual = largest_difference(image[row - 1], image[row - 2]).astype(np.int32)
    return float((jump > 2 * usual + static).mean())


def differing(frame0: Frame, frame1: Frame) -> NDArray[np.bool_]:
    """Mark the pixels of two frames that differ at all: bool (H, W)."""
    planes0, planes1 = (frame.reshape(*frame.shape[:2], -1) for frame in (frame0, frame1))
    marks: NDArray[np.bool_] = largest_difference(planes0, planes1) > 0
    return marks


def visible_difference(frame0: Frame, frame1: Frame) -> Pixels:
    """Compute the difference of two frames in the channel that differs most, without invisible colors: (H, W)."""
    return largest_difference(_visible(frame0), _visible(frame1))


def largest_difference(a: Pixels, b: Pixels) -> Pixels:
    """Compute the difference of pixels in the channel that differs most.

    Args:
        a: uint8 or uint16 (…, channels).
        b: Of the same shape and depth.

    Returns:
        (…) of that depth.
    """
    difference: Any = np.asarray(cv2.absdiff(a, b)).reshape(a.shape)
    widest: Any = difference[..., 0]
    for channel in range(1, a.shape[-1]):  # several times faster than a maximum along the last axis
        widest = np.maximum(widest, difference[..., channel])
    return widest  # type: ignore[no-any-return]


def _visible(frame: Frame) -> Pixels:
    """Reshape a frame to (H, W, channels), with invisible colors set to 0."""
    planes = frame.reshape(*frame.shape[:2], -1)
    if has_alpha(frame):
        planes = np.where(planes[..., -1:] > 0, planes, np.zeros((), frame.dtype))
    return planes


def level_of(frame: Frame) -> float:
    """Return a 255th of the range of a frame, in its own units."""
    return float(np.iinfo(frame.dtype).max) / 255
