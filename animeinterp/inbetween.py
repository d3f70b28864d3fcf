"""Draw frames between the drawings of a film, pair after pair.

Each drawing is analyzed once and each pair matched once. Where a figure moves before a static background only the
region around it is interpolated. Where memory runs out, motion is estimated at a smaller size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeVar

import cv2
import numpy as np

from animeinterp.doubt import Doubt, DrawnPair, Judging
from animeinterp.errors import AnimeInterpError
from animeinterp.frame import Frame, rgb8
from animeinterp.hints import Hints
from animeinterp.mattes import Region, crop, find_window, largest_difference, surround
from animeinterp.motion import Analysis, Motion

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

Result = TypeVar("Result")

_MIN_WORKING_PIXELS = 96 * 54  # nothing is left to match below this


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """Parameters of the region that changes between two drawings.

    Set by hand; `python benchmarks/video.py` measures what interpolating the region alone saves. Levels are 255ths.

    Attributes:
        change: Levels above which a pixel has changed, at a quarter of the size; codecs change less between two frames
            of one drawing.
        speck: Likewise for single pixels at full size: snow, a cursor, the highlight of an eye.
        speck_per_noise: Further levels per level of noise, the median difference.
        margin: Pixels around what changes, so that the motion there is seen whole.
        max_fraction: Fraction of the frame above which the whole frame is interpolated. A region costs two analyses a
            pair, whole drawings cost one.
    """

    change: float = 6
    speck: float = 24
    speck_per_noise: float = 9
    margin: int = 64
    max_fraction: float = 0.85


CHANGE_LIMITS = ChangeLimits()


class Key:
    """A drawing between which frames are drawn. It is analyzed once."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._analysis: Analysis | None = None
        self._region: Region | None = None

    def analysis(self, interpolator: Interpolator, region: Region | None = None) -> Analysis:
        """Return the analysis of the frame, or of a region of it."""
        if self._analysis is None or region != self._region:
            self._region = region
            self._analysis = interpolator.analyze(self.crop(region))
        return self._analysis

    def crop(self, region: Region | None) -> Frame:
        """Return a region of the frame, or all of it."""
        return self.frame if region is None else crop(self.frame, region)

    def forget(self) -> None:
        """Drop the analysis, so that it is computed again."""
        self._analysis = None


class Inbetweener:
    """Draws frames between drawings.

    Attributes:
        interpolator: Draws them; its options change where memory runs out.
        shrunk: How often memory ran out.
    """

    def __init__(self, interpolator: Interpolator, scale: float = 1.0, judging: Judging = "none") -> None:
        """Use an interpolator, which stays unchanged.

        Args:
            interpolator: Draws the frames.
            scale: Scale of the width and height at which motion is estimated, > 0.
            judging: What is done about doubtful drawings, by `draw_judged`.
        """
        self._judging = judging
        pixels = max(1, round(interpolator.options.working_pixels * scale**2))
        self.interpolator = interpolator.with_options(replace(interpolator.options, working_pixels=pixels))
        self.shrunk = 0
        self._pair: Pair | None = None

    def draw(
        self, frame0: Frame, frame1: Frame, times: Iterable[SupportsFloat], hints: Hints | None = None
    ) -> list[Frame]:
        """Draw frames between two drawings.

        What is known of the pair before is used again: its motion if both arrays are the same objects, the analysis of
        a drawing if one is.

        Args:
            frame0: See `animeinterp.frame`.
            frame1: Of the same size, mode and depth.
            times: In [0, 1].
            hints: See `Interpolator.motion`.

        Returns:
            A frame like the two for each time.

        Raises:
            AnimeInterpError: Memory ran out even at the smallest size.
        """
        pair = self._pair = self._find_pair(frame0, frame1, hints)
        return [pair.draw(float(t)) for t in times]

    def draw_judged(
        self, frame0: Frame, frame1: Frame, times: Sequence[float], hints: Hints | None = None
    ) -> DrawnPair:
        """Draw frames as `draw` does and tell how doubtful they are; or hold frames in their place.

        A pair is judged in the middle whatever the times are, so that all its frames are drawn or none, also if they
        are asked for in parts.
        """
        if self._judging == "none" or not times:
            return DrawnPair(self.draw(frame0, frame1, times, hints), [])
        pair = self._pair = self._find_pair(frame0, frame1, hints)
        if self._judging == "drawings":
            frames = [pair.draw(t) for t in times]
            return DrawnPair(frames, [pair.judge(t, with_marks=True) for t in times])
        doubt = pair.judge(0.5)
        if self._judging == "hold" and doubt.is_doubtful:
            frames = [frame0 if t <= 0.5 else frame1 for t in times]
        else:
            frames = [pair.draw(t) for t in times]
        return DrawnPair(frames, [doubt] * len(frames))

    def _find_pair(self, frame0: Frame, frame1: Frame, hints: Hints | None) -> Pair:
        """Return the pair before if it is this one, else a new one with its keys; nothing else of it is kept."""
        before = () if self._pair is None else self._pair.keys
        keys = [next((key for key in before if key.frame is frame), None) or Key(frame) for frame in (frame0, frame1)]
        if self._pair is not None and keys == list(before) and hints == self._pair.hints:
            return self._pair
        return Pair(self, keys[0], keys[1], hints)

    def shrink(self) -> bool:
        """Halve the size at which motion is estimated; return False if it is too small for that."""
        pixels = self.interpolator.options.working_pixels // 4
        if pixels < _MIN_WORKING_PIXELS:
            return False
        self.interpolator = self.interpolator.with_options(replace(self.interpolator.options, working_pixels=pixels))
        self.shrunk += 1
        return True


class Pair:
    """Two keys and their motion, which is estimated when the first frame between them is drawn."""

    def __init__(self, inbetweener: Inbetweener, key0: Key, key1: Key, hints: Hints | None = None) -> None:
        self.keys, self.hints = (key0, key1), hints
        self._inbetweener = inbetweener
        self._motion: Motion | None = None
        self._window = find_window(key0.frame, key1.frame)
        changed = changed_region(key0.crop(self._window), key1.crop(self._window))
        self._has_region = changed is not None
        self._region = self._window if changed is None else _offset(changed, self._window)

    def draw(self, t: float) -> Frame:
        """Draw the frame at time t in [0, 1], see `Inbetweener.draw`."""
        return self._retry(lambda: self._draw(t))

    def judge(self, t: float, *, with_marks: bool = False) -> Doubt:
        """Measure how doubtful the frame at time t in [0, 1] is; `with_marks` also where, if it is doubtful."""
        return self._retry(lambda: self._judge(t, with_marks))

    def _retry(self, work: Callable[[], Result]) -> Result:
        """Do work that needs the motion; where memory runs out, do it again at a smaller size."""
        while True:
            try:
                return work()
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                self._motion = None
                for key in self.keys:
                    key.forget()
                if not self._inbetweener.shrink():
                    raise AnimeInterpError(
                        "memory ran out even at the smallest size; close other programs or make the film smaller"
                    ) from error

    def _draw(self, t: float) -> Frame:
        """Render the frame at time t and what surrounds the region."""
        frame = self._inbetweener.interpolator.render(self._find_motion(), t)
        if self._region is None:
            return frame
        key0, key1 = self.keys
        return surround(frame, self._region, key0.frame, key1.frame, t)

    def _judge(self, t: float, with_marks: bool) -> Doubt:
        """Measure the doubt of the whole frame; what surrounds the region has none."""
        from animeinterp.confidence import judge

        confidence = self._inbetweener.interpolator.confidence(self._find_motion(), t)
        return judge(confidence, self.keys[0].frame.shape[:2], self._region, with_marks=with_marks)

    def _find_motion(self) -> Motion:
        """Return the motion between the keys, in the region if there is one; it is estimated at the first call."""
        if self._motion is None:
            self._motion = self._estimate_motion()
        return self._motion

    def _estimate_motion(self) -> Motion:
        interpolator = self._inbetweener.interpolator
        if self._has_region:
            first, second = (interpolator.analyze(key.crop(self._region)) for key in self.keys)
        else:
            first, second = (key.analysis(interpolator, self._window) for key in self.keys)
        if self.hints is None:
            return interpolator.motion(first, second)
        hints = self.hints if self._region is None else self.hints.inside(self._region)
        return interpolator.motion(first, second, hints=hints)


def changed_region(frame0: Frame, frame1: Frame, limits: ChangeLimits = CHANGE_LIMITS) -> Region | None:
    """Find the region around all that differs between two frames.

    Args:
        frame0: Any frame, see `animeinterp.frame`.
        frame1: Another of its size, mode and depth.
        limits: What counts as a difference.

    Returns:
        Rows and columns; None if nothing differs or the region is most of the frame.
    """
    height, width = frame0.shape[:2]
    quarter = -(-width // 4), -(-height // 4)
    image0, image1 = rgb8(frame0), rgb8(frame1)
    reduced: Any = [cv2.resize(image, quarter, interpolation=cv2.INTER_AREA) for image in (image0, image1)]
    changed = largest_difference(*reduced) > limits.change
    difference = largest_difference(image0, image1)
    specks = difference > limits.speck + limits.speck_per_noise * np.median(difference[::8, ::8])
    sides = []
    for axis, length in ((1, height), (0, width)):
        places: Any = np.concatenate(
            [4 * np.flatnonzero(changed.any(axis=axis)), np.flatnonzero(specks.any(axis=axis))]
        )
        if not places.size:
            return None
        begin, end = int(places.min()) - limits.margin, int(places.max()) + 4 + limits.margin
        sides.append(slice(max(0, begin), min(length, max(end, begin + 2 * limits.margin))))
    rows, columns = sides
    fraction = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return (rows, columns) if fraction <= limits.max_fraction else None


def _offset(region: Region, window: Region | None) -> Region:
    """Convert a region of a window to one of the frame."""
    if window is None:
        return region
    rows, columns = (slice(w.start + r.start, w.start + r.stop) for w, r in zip(window, region, strict=True))
    return rows, columns


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
