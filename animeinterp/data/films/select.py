"""Selects the triplets of a film from its drawings, with difficulty level and motion RoI.

    drawings ─► three consecutive ones of one shot ─► SSIM within limits ─► displacement within limits ─► in-between

After ATD-12K (Siyao et al. 2021, §3), whose triplets are consecutive frames of one shot, filtered by the SSIM of
neighbors. Deviations: held frames were removed before, by `animeinterp.video.cadence.drawings`; their second, manual
selection is left to the contact sheet. Motion is measured in px of 960x540, whatever the size of the film.
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
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.difficulty import (
    REGION_LIMITS,
    MiddleLimits,
    RegionLimits,
    classify_motion,
    find_moving_region,
    is_between,
    measure_displacement,
)
from animeinterp.data.types import Level
from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage, check_size, rgb8
from animeinterp.metrics.image import ssim
from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.source.geometry import describe_upright, make_upright
from animeinterp.video.source.info import VideoInfo

REFERENCE_DIAGONAL = float(np.hypot(960, 540))  # px, of the size at which motion and SSIM are measured
_FLOW_SCALE = 0.5  # of that size, at which optical flow is computed


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What makes a triplet; the manifest of a data set stores these.

    The limits of SSIM follow ATD-12K; the others were set by looking at contact sheets.

    Attributes:
        step: Take every `step`-th drawing of a shot.
        min_ssim: Minimum SSIM between the middle frame and each end, on gray at 960x540.
        max_ssim: Maximum of the same.
        min_motion: Minimum mean displacement of moving pixels from end to end, px of 960x540.
        max_motion: Maximum of the same.
        max_unexplained: Maximum fraction of the middle frame's changed pixels that neither end frame explains.
        max_span: Maximum time from the last source frame of the first drawing to the first of the third, s.
        spacing: Minimum time between the starts of triplets, s.
        limit: Maximum number of triplets of a film, distributed over its length.
        size: Width and height of the frames, px, cropped centrally to that shape; None keeps the size at which players
            show the film, with square pixels.
        deinterlace: Whether to deinterlace the film.
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
        """Raise UsageError for values out of range."""
        ranges = (self.min_ssim, self.max_ssim, "SSIM"), (self.min_motion, self.max_motion, "motion")
        for low, high, name in ranges:
            if not 0 <= low < high:
                raise UsageError(f"expected 0 <= minimum {name} < maximum, got {low:g} to {high:g}; change them")
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

    Attributes:
        number: Number of the source frame in which its first drawing appears.
        time: Time of that frame, s.
        frames: Three frames in order, uint8 (H, W, 3) RGB.
        region: Motion RoI: x, y, width, height, px.
        level: Difficulty level.
        displacement: Mean displacement of moving pixels from end to end, px of 960x540.
        occluded: Occluded fraction of the changed pixels.
        similarity: SSIM of frames 1 and 2, and of frames 2 and 3.
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
    drawings: Iterable[Drawing], film: VideoInfo, options: BuildOptions, rejections: Counter[str]
) -> Iterator[tuple[Drawing, FilmTriplet | None]]:
    """Select the triplets of a film. Holds 2 x step + 1 drawings in memory.

    Args:
        drawings: The drawings of the film.
        film: Its duration and geometry.
        options: What makes a triplet.
        rejections: Counts the rejected triplets by reason.

    Yields:
        Each drawing, with the triplet that it completes or None.
    """
    window: deque[_Candidate] = deque(maxlen=2 * options.step + 1)
    count, previous = 0, None
    for drawing in drawings:
        if drawing.cut:
            window.clear()
        window.append(_Candidate(drawing, film, options.size))
        triplet, time = None, window[0].drawing.time
        # The limit grows with the time, so that triplets come from all of the film.
        due = count < options.limit and (not film.duration or count <= options.limit * time / film.duration)
        if len(window) == window.maxlen and due and (previous is None or time - previous >= options.spacing):
            result = _judge(window[0], window[options.step], window[-1], options)
            if isinstance(result, str):
                rejections[result] += 1
            else:
                triplet, count, previous = result, count + 1, time
        yield drawing, triplet


class _Candidate:
    """A drawing with its frame as written and the reduced images that are compared."""

    def __init__(self, drawing: Drawing, film: VideoInfo, size: tuple[int, int] | None) -> None:
        self.drawing, self._film, self._size = drawing, film, size
        self._similarities: dict[int, float] = {}

    @cached_property
    def frame(self) -> RGBImage:
        """The frame as it is written."""
        frame: Any = make_upright(rgb8(self.drawing.frame), self._film, square=self._size is None)
        return fit_image(frame, self._size, float(describe_upright(self._film, square=False).aspect))

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """The frame in gray, at most as large as 960x540."""
        return np.asarray(cv2.cvtColor(_reduce(self.frame, 1.0), cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def reduced(self) -> RGBImage:
        """The frame at the size at which optical flow is computed."""
        return _reduce(self.frame, _FLOW_SCALE)

    def similarity(self, other: _Candidate) -> float:
        """Return the SSIM to another drawing, computed once."""
        number = other.drawing.number
        if number not in self._similarities:
            self._similarities[number] = ssim(self.gray, other.gray)
        return self._similarities[number]


def _judge(first: _Candidate, middle: _Candidate, last: _Candidate, options: BuildOptions) -> FilmTriplet | str:
    """Return the triplet of three drawings, or the reason for its rejection."""
    if last.drawing.time - first.drawing.last_time > options.max_span:
        return "held too long"
    similarities = []
    for one, other in ((first, middle), (middle, last)):
        similarities.append(one.similarity(other))
        if similarities[-1] > options.max_ssim:
            return "too alike"
        if similarities[-1] < options.min_ssim:
            return "too different"
    frames = first.reduced, middle.reduced, last.reduced
    scale = float(np.hypot(*frames[0].shape[:2])) / REFERENCE_DIAGONAL
    displacement, occluded = measure_displacement(frames[0], frames[2], scale)
    if not options.min_motion <= displacement <= options.max_motion:
        return "too slow" if displacement < options.min_motion else "too fast"
    if not is_between(*frames, MiddleLimits(max_unexplained=options.max_unexplained)):
        return "middle elsewhere"
    return FilmTriplet(
        number=first.drawing.number,
        time=first.drawing.time,
        frames=(first.frame, middle.frame, last.frame),
        region=_find_region(frames, first.frame.shape[:2]),
        level=classify_motion(displacement, occluded),
        displacement=displacement,
        occluded=occluded,
        similarity=(similarities[0], similarities[1]),
    )


def _find_region(
    frames: tuple[RGBImage, ...], size: tuple[int, ...], limits: RegionLimits = REGION_LIMITS
) -> tuple[int, int, int, int]:
    """Find the motion RoI with its margin, in whole px of a frame of `size` = (height, width)."""
    x, y, width, height = find_moving_region(frames, limits)
    scale_x, scale_y = size[1] / frames[0].shape[1], size[0] / frames[0].shape[0]
    margin = limits.margin * float(np.hypot(size[0], size[1])) / REFERENCE_DIAGONAL

    def extend(start: float, end: float, maximum: int) -> tuple[int, int]:
        """Return start and length with the margin and at least the minimum length, within 0 to `maximum`."""
        start, end = start - margin, end + margin
        missing = max(0.0, limits.min_side - (end - start)) / 2
        first, last = max(0, int(np.floor(start - missing))), min(maximum, int(np.ceil(end + missing)))
        return first, last - first

    left, columns = extend(scale_x * x, scale_x * (x + width), size[1])
    top, rows = extend(scale_y * y, scale_y * (y + height), size[0])
    return left, top, columns, rows


def fit_image(image: RGBImage, size: tuple[int, int] | None, aspect: float = 1.0) -> RGBImage:
    """Resize an image, cropped centrally to the shape of the new size.

    Args:
        image: uint8 (H, W, 3).
        size: Width and height of the result, px; None returns the image as it is.
        aspect: Width of the image's pixels divided by their height; those of the result are square.

    Returns:
        uint8 (height, width, 3).
    """
    height, width = image.shape[:2]
    if size is None or (size == (width, height) and aspect == 1):
        return image
    scale = max(size[0] / (width * aspect), size[1] / height)
    columns, rows = min(width, round(size[0] / scale / aspect)), min(height, round(size[1] / scale))
    left, top = (width - columns) // 2, (height - rows) // 2
    return _resize(image[top : top + rows, left : left + columns], size)


def _reduce(image: RGBImage, scale: float) -> RGBImage:
    """Reduce an image to `scale` times 960x540, by its diagonal; smaller images keep their size."""
    height, width = image.shape[:2]
    factor = min(1.0, scale * REFERENCE_DIAGONAL / float(np.hypot(width, height)))
    return _resize(image, (round(width * factor), round(height * factor)))


def _resize(image: RGBImage, size: tuple[int, int]) -> RGBImage:
    mode = cv2.INTER_CUBIC if size[0] > image.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=mode), np.uint8)
