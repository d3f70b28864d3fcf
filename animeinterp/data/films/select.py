"""Which three drawings of a film make a triplet: its drawings in, chosen triplets with level and motion RoI out.

    drawings ─► three in a row of one shot ─► alike enough, not too alike ─► moving ─► the middle lies between

After ATD-12K (Siyao et al., CVPR 2021, §3), whose triplets are frames in a row of one shot, held and unlike ones taken
out by the SSIM of neighbors. Deviation: held frames are gone before, by
`animeinterp.video.cadence.drawings`; and people looked through theirs, which the contact sheet is for.
Motion is told in px of 960x540, whatever the size of the film.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from animeinterp.config import Options
from animeinterp.data.difficulty import classify_motion, find_moving_region, is_between, measure_displacement
from animeinterp.data.types import Level
from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage, check_size, rgb8
from animeinterp.metrics.image import ssim
from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.source.geometry import describe_upright, make_upright
from animeinterp.video.source.info import VideoInfo

DIAGONAL = float(np.hypot(960, 540))  # px, of the size that motion is told at and SSIM is taken at
_COARSE = 0.5  # of that size, motion is looked for
_MARGIN = 16  # px of 960x540, around what moves
_LEAST_REGION = 64  # px of the frame: smaller parts cannot be scored


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What makes a triplet.

    step: a triplet is every so-manieth drawing of a shot. min_ssim, max_ssim: each end beside the middle frame, on gray
    at 960x540. min_motion, max_motion: mean displacement of moving pixels from end to end, px of 960x540.
    max_unexplained: share of the middle frame's changed pixels that neither end explains. max_span: s, from the last
    source frame that shows the first drawing to the first that shows the third. spacing: s, at least, between the
    beginnings of triplets. limit: triplets of one film, spread over it. size: (width, height) px of the frames, the
    middle of the picture cut out to that shape; None keeps the film's as players show it, pixels
    made square. deinterlace: make whole frames of fields first.
    """

    step: int = 1
    min_ssim: float = 0.75
    max_ssim: float = 0.95
    min_motion: float = 1.0
    max_motion: float = 200.0
    max_unexplained: float = 0.3
    max_span: float = 0.5
    spacing: float = 1.0
    limit: int = 120
    size: tuple[int, int] | None = None
    deinterlace: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be."""
        ranges = (self.min_ssim, self.max_ssim, "SSIM"), (self.min_motion, self.max_motion, "motion")
        for low, high, name in ranges:
            if not 0 <= low < high:
                raise UsageError(f"expected a least {name} below the most, both at least 0, got {low:g} to {high:g}")
        if not (self.step >= 1 and self.limit >= 1 and self.spacing >= 0 and self.max_span > 0):
            raise UsageError(
                f"expected a step and a limit of at least 1, a spacing of at least 0 s and a span above 0 s, got "
                f"{self.step}, {self.limit}, {self.spacing:g} s and {self.max_span:g} s; change them"
            )
        if self.size:
            check_size(*self.size, Options().max_pixels, "the size of the frames")


@dataclass(frozen=True, slots=True, eq=False)
class FilmTriplet:
    """A triplet of a film.

    number: of the source frame in which its first drawing appears. time: when, s. frames: uint8 (H, W, 3) RGB, in
    order. region: (x, y, width, height), px, of what moves. level. displacement: mean of the moving pixels from end to
    end, px of 960x540. occluded: share of the changed pixels. similarity: SSIM of frames 1 and 2, 2 and 3.
    """

    number: int
    time: Fraction
    frames: tuple[RGBImage, RGBImage, RGBImage]
    region: tuple[int, int, int, int]
    level: Level
    displacement: float
    occluded: float
    similarity: tuple[float, float]


def select_triplets(
    drawings: Iterable[Drawing], film: VideoInfo, options: BuildOptions, left_out: Counter[str]
) -> Iterator[tuple[Drawing, FilmTriplet | None]]:
    """Each drawing of a film and the triplet that it completes, or None. Holds 2 x step + 1 drawings.

    left_out: counts, by reason, the triplets that were looked at and not taken.
    """
    window: deque[_Candidate] = deque(maxlen=2 * options.step + 1)
    taken, last = 0, None
    for drawing in drawings:
        if drawing.cut:
            window.clear()
        window.append(_Candidate(drawing, film, options.size))
        found = None
        time = window[0].drawing.time
        # As many as are due by now, so that triplets come from all of the film.
        due = taken < options.limit and (not film.duration or taken <= options.limit * time / film.duration)
        if len(window) == window.maxlen and due and (last is None or time - last >= options.spacing):
            found = _judged(window[0], window[options.step], window[-1], options, left_out)
        if found:
            taken, last = taken + 1, time
        yield drawing, found


class _Candidate:
    """A drawing as it is written and as it is looked at."""

    def __init__(self, drawing: Drawing, film: VideoInfo, size: tuple[int, int] | None) -> None:
        self.drawing, self._film, self._size = drawing, film, size
        self._similar: dict[int, float] = {}

    @cached_property
    def frame(self) -> RGBImage:
        frame: Any = make_upright(rgb8(self.drawing.frame), self._film, square=self._size is None)
        return fit_image(frame, self._size, float(describe_upright(self._film, square=False).aspect))

    @cached_property
    def gray(self) -> RGBImage:
        """Gray, at most 960x540 large."""
        return np.asarray(cv2.cvtColor(_scaled(self.frame, 1.0), cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def coarse(self) -> RGBImage:
        return _scaled(self.frame, _COARSE)

    def similarity(self, other: _Candidate) -> float:
        number = other.drawing.number
        if number not in self._similar:
            self._similar[number] = ssim(self.gray, other.gray)
        return self._similar[number]


def _judged(
    first: _Candidate, middle: _Candidate, last: _Candidate, options: BuildOptions, left_out: Counter[str]
) -> FilmTriplet | None:
    reason = _unfit(first, middle, last, options)
    if reason:
        left_out[reason] += 1
        return None
    frames = first.coarse, middle.coarse, last.coarse
    shrunk = float(np.hypot(*frames[0].shape[:2])) / DIAGONAL
    far, occluded = measure_displacement(frames[0], frames[2], shrunk)
    if not options.min_motion <= far <= options.max_motion:
        left_out["too slow" if far < options.min_motion else "too fast"] += 1
        return None
    if not is_between(*frames, options.max_unexplained):
        left_out["middle elsewhere"] += 1
        return None
    similar = first.similarity(middle), middle.similarity(last)
    region = _region(frames, first.frame.shape[:2])
    pictures = first.frame, middle.frame, last.frame
    drawing = first.drawing
    return FilmTriplet(
        drawing.number, drawing.time, pictures, region, classify_motion(far, occluded), far, occluded, similar
    )


def _unfit(first: _Candidate, middle: _Candidate, last: _Candidate, options: BuildOptions) -> str:
    """Why three drawings make no triplet, as far as times and similarity tell; empty if they may."""
    if last.drawing.time - first.drawing.last_time > options.max_span:
        return "held too long"
    for one, other in ((first, middle), (middle, last)):
        similar = one.similarity(other)
        if similar > options.max_ssim:
            return "too alike"
        if similar < options.min_ssim:
            return "too different"
    return ""


def _region(frames: tuple[RGBImage, ...], size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box of what moves with a margin, whole px of a frame of `size` = (height, width)."""
    x, y, width, height = find_moving_region(frames)
    factor = size[1] / frames[0].shape[1], size[0] / frames[0].shape[0]
    margin = _MARGIN * float(np.hypot(size[0], size[1])) / DIAGONAL
    left, across = _side(factor[0] * x - margin, factor[0] * (x + width) + margin, size[1])
    top, down = _side(factor[1] * y - margin, factor[1] * (y + height) + margin, size[0])
    return left, top, across, down


def _side(begin: float, end: float, most: int) -> tuple[int, int]:
    """Where a region begins and how long it is, within 0 to `most`."""
    lack = max(0.0, _LEAST_REGION - (end - begin)) / 2
    first, last = max(0, int(np.floor(begin - lack))), min(most, int(np.ceil(end + lack)))
    return first, last - first


def fit_image(picture: RGBImage, size: tuple[int, int] | None, aspect: float = 1.0) -> RGBImage:
    """A picture, uint8 (H, W, 3), of `size` = (width, height): what is too long for that shape is cut off evenly.

    aspect: width of its pixels by their height; those of the new size are square. No size leaves it as it is.
    """
    height, width = picture.shape[:2]
    if size is None or (size == (width, height) and aspect == 1):
        return picture
    scale = max(size[0] / (width * aspect), size[1] / height)
    wide, tall = min(width, round(size[0] / scale / aspect)), min(height, round(size[1] / scale))
    left, top = (width - wide) // 2, (height - tall) // 2
    return _resized(picture[top : top + tall, left : left + wide], size)


def _scaled(picture: RGBImage, share: float) -> RGBImage:
    """Made as large as a share of 960x540, by its diagonal, never larger than it is."""
    height, width = picture.shape[:2]
    scale = min(1.0, share * DIAGONAL / float(np.hypot(width, height)))
    return _resized(picture, (round(width * scale), round(height * scale)))


def _resized(picture: RGBImage, size: tuple[int, int]) -> RGBImage:
    larger = size[0] > picture.shape[1]
    resized: Any = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC if larger else cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
