"""Frames between two drawings of a film: analyzed once, matched once, and only where something changes.

Drawings are analyzed by a thread while those before are drawn. Where a figure moves before a still background only
the part around it is worked on. Where memory runs out the motion is looked for at a smaller size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np

from animeinterp.errors import AnimeInterpError
from animeinterp.frame import Frame, rgb8
from animeinterp.mattes import Region, crop, find_window, largest_difference, surround
from animeinterp.motion import Analysis, Motion

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

Result = TypeVar("Result")

# Of 255, on frames at a quarter of their size: above what a codec changes from frame to frame of one drawing.
_CHANGED = 6
# Of 255, of single pixels, plus so many times the median difference: snow, a cursor, the dot of an eye.
_SPECK, _SPECK_NOISE = 24, 9
_MARGIN = 64  # px around what changes: the motion there has to be seen whole
# Of a frame: a part costs analyzes of its own, twice a pair where whole drawings cost one.
_PART = 0.85
_SMALLEST = 96 * 54  # working pixels; below this there is nothing left to match


class Key:
    """A drawing between which others are drawn. analysis: asked for once, worked out ahead."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._future: Future[Analysis] | None = None
        self._region: Region | None = None

    def analysis(self, maker: Inbetweener, region: Region | None = None) -> Future[Analysis]:
        """The analysis of the frame, or of the picture within its bars, begun now if it was not before."""
        if self._future is None or region != self._region:
            self._region = region
            self._future = maker.submit(lambda: maker.interpolator.analyze(self.crop(region)))
        return self._future

    def crop(self, region: Region | None) -> Frame:
        """A part of the frame, or all of it."""
        return self.frame if region is None else crop(self.frame, region)

    def forget(self) -> None:
        """Let go of the analysis, so that it is made anew."""
        self._future = None


class Inbetweener:
    """Draws between keys; a context, since it has a thread of its own."""

    def __init__(self, interpolator: Interpolator, scale: float = 1.0) -> None:
        """scale: motion is looked for at so many times the usual width and height."""
        options = interpolator.options
        self.interpolator = copy.copy(interpolator)
        self.interpolator.options = replace(options, working_pixels=max(1, round(options.working_pixels * scale**2)))
        self.shrunk = 0  # how often memory ran out
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Inbetweener:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, task: Callable[[], Result]) -> Future[Result]:
        """Have a task done by the thread."""
        return self._pool.submit(task)

    def pair(self, key0: Key, key1: Key) -> Pair:
        """Two keys between which frames will be drawn; their analysis begins."""
        return Pair(self, key0, key1)

    def shrink(self) -> bool:
        """Look for motion at half the size from now on; whether there was room for that."""
        options = self.interpolator.options
        pixels = options.working_pixels // 4
        if pixels < _SMALLEST:
            return False
        self.interpolator.options = replace(options, working_pixels=pixels)
        self.shrunk += 1
        return True


class Pair:
    """Two keys and their motion, found when the first frame between them is drawn."""

    def __init__(self, maker: Inbetweener, key0: Key, key1: Key) -> None:
        self._maker, self._keys = maker, (key0, key1)
        self._motion: Motion | None = None
        self._window = find_window(key0.frame, key1.frame)
        self._region = self._window
        part = changed_region(key0.crop(self._window), key1.crop(self._window))
        self._is_part = part is not None
        if part is not None:
            self._region = _within(self._window, part)
        else:
            for key in self._keys:
                key.analysis(maker, self._window)

    def draw(self, t: Fraction) -> Frame:
        """The frame at t in (0, 1)."""
        while True:
            try:
                return self._draw(float(t))
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                self._motion = None
                for key in self._keys:
                    key.forget()
                if not self._maker.shrink():
                    raise AnimeInterpError(
                        "memory ran out even at the smallest size; close other programs or make the film smaller"
                    ) from error

    def _draw(self, t: float) -> Frame:
        interpolator = self._maker.interpolator
        if self._motion is None:
            self._motion = self._find()
        drawn = interpolator.render(self._motion, t)
        if self._region is None:
            return drawn
        key0, key1 = self._keys
        return surround(drawn, self._region, key0.frame, key1.frame, t)

    def _find(self) -> Motion:
        interpolator = self._maker.interpolator
        if self._is_part:
            first, second = (interpolator.analyze(key.crop(self._region)) for key in self._keys)
        else:
            first, second = (key.analysis(self._maker, self._window).result() for key in self._keys)
        return interpolator.motion(first, second)


def changed_region(frame0: Frame, frame1: Frame) -> Region | None:
    """Rows and columns around all that differs between two frames; None if that is most of them."""
    height, width = frame0.shape[:2]
    size = -(-width // 4), -(-height // 4)
    plain0, plain1 = rgb8(frame0), rgb8(frame1)
    reduced: Any = [cv2.resize(plain, size, interpolation=cv2.INTER_AREA) for plain in (plain0, plain1)]
    changed = largest_difference(*reduced) > _CHANGED
    difference = largest_difference(plain0, plain1)
    specks = difference > _SPECK + _SPECK_NOISE * np.median(difference[::8, ::8])
    sides = []
    for axis, length in ((1, height), (0, width)):
        found = 4 * np.flatnonzero(changed.any(axis=axis)), np.flatnonzero(specks.any(axis=axis))
        places: Any = np.concatenate(found)
        if not places.size:
            return None
        low, high = int(places.min()) - _MARGIN, int(places.max()) + 4 + _MARGIN
        sides.append(slice(max(0, low), min(length, max(high, low + 2 * _MARGIN))))
    rows, columns = sides
    part = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return (rows, columns) if part <= _PART else None


def _within(window: Region | None, part: Region) -> Region:
    """A part of a window as rows and columns of the frame."""
    if window is None:
        return part
    rows, columns = (slice(w.start + p.start, w.start + p.stop) for w, p in zip(window, part, strict=True))
    return rows, columns


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
