"""Find frames whose two fields show different times, and undo it.

Three structures are found without flags in the file: telecine (3:2 and 2:3:3:2 pulldown of film), fields shifted by
one (2:2), and interlaced video.

Method: each frame is rewoven twice, from its own top field and the previous frame's bottom field, and the other way
round, and the combing of the three is compared. In a split frame (fields of two film frames) one of the rewoven frames
is clean and the other is as combed as the frame. In interlaced video one is as combed as the frame, and the other,
whose fields are three field times apart, more. In progressive film both are more combed than the frame, however fine
its lines; where both are less combed, something with thin lines scrolls.

Fields that a scaler or a codec has blended into one image are not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.video.source.clock import frame_time
from animeinterp.video.source.filters import pull_frames

Fields = Literal["progressive", "telecined", "shifted", "interlaced"]
_Luma = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class FieldLimits:
    """Thresholds of combed frames, and of the field structure of a film.

    Chosen on fields woven of animation, encoded by x264 (crf 18 to 28) and MPEG-2, and on progressive films of fine
    horizontal lines, blinds, scrolling text and dither; `tests/video/source/test_telecine.py` holds them.

    Attributes:
        line_step: Difference between a combed line and both of its neighbors, at least; levels of 255.
        min_combing: Fraction of combed pixels from which a frame counts as combed.
        max_clean: Combing of a correctly rewoven split frame, as a fraction of the frame's own, at most.
        min_unclean: Combing of a wrongly rewoven split frame, as a fraction of the frame's own, at least.
        same_time: Combing of fields one field time apart, as a fraction of the frame's own, at least; its inverse is
            the maximum.
        min_three_times: Combing of fields three field times apart, as a multiple of the frame's own, at least.
        min_split: Split frames that make telecine or shifted fields.
        min_interlaced: Interlaced frames that make interlaced video.
        min_interlaced_fraction: Fraction of the moving frames that must be interlaced or split in interlaced video.
        min_order_agreement: Fraction of interlaced and split frames that must have the same field first.
        cycle: Period of 3:2 pulldown, frames.
        max_split_per_cycle: Distinct positions of split frames within the cycle, at most.
    """

    line_step: int = 10
    min_combing: float = 0.0004
    max_clean: float = 0.5
    min_unclean: float = 0.75
    same_time: float = 0.7
    min_three_times: float = 1.25
    min_split: int = 4
    min_interlaced: int = 8
    min_interlaced_fraction: float = 0.6
    min_order_agreement: float = 0.85
    cycle: int = 5
    max_split_per_cycle: int = 2


LIMITS = FieldLimits()
# `decimate` always drops the first frame, which it takes for a cut, so a cycle of padding precedes the film.
_PADDING_FRAMES = 5
_DECIMATE = ("tpad", f"start={_PADDING_FRAMES}:color=magenta"), ("decimate", "scthresh=100")
_DEINTERLACE_COMBED = "bwdif", "mode=send_frame:deint=interlaced"
_MIN_WIDTH = 480  # px, to which lines are averaged at most


FIELD_ADVICE: dict[Fields, str] = {
    "telecined": "is telecined: some frames join fields of two; give --deinterlace to get the frames of the film",
    "shifted": "joins fields of two frames in one; give --deinterlace to join those that belong together",
    "interlaced": "is interlaced; give --deinterlace to make whole frames of its fields first",
}


@dataclass(slots=True)
class FieldCount:
    """Counts of split and interlaced frames over runs of consecutive frames.

    Attributes:
        limits: Thresholds of the counts.
        moving: Number of frames that differ from the previous one.
        split: Numbers of the split frames, one list a run.
        interlaced: Number of interlaced frames.
        top: Number of split and interlaced frames with the top field first.
        bottom: Number of split and interlaced frames with the bottom field first.
    """

    limits: FieldLimits = LIMITS
    moving: int = 0
    split: list[list[int]] = field(default_factory=list)
    interlaced: int = 0
    top: int = 0
    bottom: int = 0
    _previous: _Luma | None = None
    _number: int = 0

    @property
    def top_first(self) -> bool:
        """Whether the top field of a frame comes first."""
        return self.top >= self.bottom

    def add_run(self, frames: Iterable[av.VideoFrame], moving: int | None = None) -> None:
        """Count consecutive frames.

        Args:
            frames: Frames as they are stored.
            moving: Number of moving frames after which to stop; None = count all.
        """
        self.begin_run()
        enough = None if moving is None else self.moving + moving
        for frame in frames:
            self.add(frame)
            if enough is not None and self.moving >= enough:
                return

    def begin_run(self) -> None:
        """Begin a run: the next frame does not follow the last one."""
        self._previous, self._number = None, 0
        self.split.append([])

    def add(self, frame: av.VideoFrame) -> None:
        """Count the next frame of the run."""
        luma = _read_luma(frame)
        previous, self._previous = self._previous, luma
        self._number += 1
        if previous is None or previous.shape != luma.shape:
            return
        limits = self.limits
        own = _measure_combing(luma, limits)
        with_bottom, with_top = (_measure_combing(_reweave(luma, previous, parity), limits) for parity in (1, 0))
        low, high = min(with_bottom, with_top), max(with_bottom, with_top)
        self.moving += high > own + limits.min_combing
        if own < limits.min_combing:
            return
        is_clean = low < limits.max_clean * own and own - low > limits.min_combing
        if is_clean and high > limits.min_unclean * own:
            self.split[-1].append(self._number)
        elif limits.same_time * own < low < own / limits.same_time and high > limits.min_three_times * own:
            self.interlaced += 1
        else:
            return
        self.top += with_bottom < with_top
        self.bottom += with_top < with_bottom

    def classify(self) -> Fields:
        """Return the field structure that the counts show."""
        limits = self.limits
        split = sum(map(len, self.split))
        if max(self.top, self.bottom) < limits.min_order_agreement * (split + self.interlaced):
            return "progressive"
        if split >= max(limits.min_split, self.interlaced):
            positions = [{number % limits.cycle for number in run} for run in self.split]
            return "telecined" if max(map(len, positions)) <= limits.max_split_per_cycle else "shifted"
        if self.interlaced + split >= max(limits.min_interlaced, limits.min_interlaced_fraction * self.moving):
            return "interlaced"
        return "progressive"


def joined_rate(rate: Fraction, fields: Fields) -> Fraction:
    """Return the rate of the frames that `join_fields` yields, frames per second, given that of the stored ones."""
    return rate * 4 / 5 if fields == "telecined" else rate


def join_fields(
    frames: Iterable[av.VideoFrame], stream: av.VideoStream, rate: Fraction, fields: Fields, *, top_first: bool
) -> Iterator[av.VideoFrame]:
    """Make whole frames of fields, by FFmpeg's filters.

    Telecined film is restored to the frames of the film, and shifted fields are joined as they belong. Frames that
    are combed afterwards, and all other video, are deinterlaced by bwdif.

    Args:
        frames: Frames of a film as they are stored.
        stream: The stream of the frames.
        rate: Rate of the stored frames, frames per second.
        fields: Field structure of the film.
        top_first: Whether the top field comes first in frames without a flag of their own.

    Yields:
        Frames with their times; of telecined film four of five.
    """
    order = "tff" if top_first else "bff"
    match = "fieldmatch", f"order={order}:combmatch=full"
    chains: dict[Fields, list[tuple[str, str]]] = {
        "telecined": [("fps", f"{rate}"), match, _DEINTERLACE_COMBED, *_DECIMATE],
        "shifted": [match, _DEINTERLACE_COMBED],
        "interlaced": [("bwdif", f"mode=send_frame:parity={order}")],
        "progressive": [("bwdif", "mode=send_frame")],
    }
    filtered = _filter_frames(frames, stream, chains[fields], from_zero=fields == "telecined")
    if fields != "telecined":
        yield from filtered
        return
    step = 1 / joined_rate(rate, fields)
    for number, frame in enumerate(filtered):
        if number >= _PADDING_FRAMES - 1:
            time = (frame_time(frame) or 0) - (_PADDING_FRAMES - 1) * step
            # This time base is fine enough for the film's rate and for the clock of the file.
            frame.time_base = Fraction(1, 1000 * step.denominator)
            frame.pts, frame.duration = round(time / frame.time_base), round(step / frame.time_base)
            yield frame


def _filter_frames(
    frames: Iterable[av.VideoFrame], stream: av.VideoStream, filters: Iterable[tuple[str, str]], *, from_zero: bool
) -> Iterator[av.VideoFrame]:
    """Yield frames behind a chain of FFmpeg's filters; `from_zero` shifts the first to time 0 within the filters."""
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(template=stream), *(graph.add(*filter) for filter in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    first: Fraction | None = None
    for frame in chain(frames, [None]):
        if frame is not None and from_zero and frame.pts is not None and frame.time_base:
            first = frame.pts * frame.time_base if first is None else first
            frame.pts -= round(first / frame.time_base)
        graph.vpush(frame)
        for filtered in pull_frames(graph, av.VideoFrame):
            if first and filtered.time_base:
                time = (frame_time(filtered) or 0) + first
                filtered.time_base = Fraction(1, filtered.time_base.denominator * first.denominator)
                filtered.pts = round(time / filtered.time_base)
            yield filtered


def _reweave(luma: _Luma, other: _Luma, parity: int) -> _Luma:
    """Replace the lines of one parity by another frame's: 0 = top field, 1 = bottom field."""
    woven = luma.copy()
    woven[parity::2] = other[parity::2]
    return woven


def _read_luma(frame: av.VideoFrame) -> _Luma:
    """Return the luma of a frame, (H, w), each line averaged to about `_MIN_WIDTH` px."""
    # Luma is the same for every matrix; swscale refuses some of those that films are tagged with.
    gray = np.asarray(frame.to_ndarray(format="gray", src_colorspace=5, dst_colorspace=5), np.uint8)
    size = gray.shape[1] // max(1, gray.shape[1] // _MIN_WIDTH), gray.shape[0]
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.int16)


def _measure_combing(luma: _Luma, limits: FieldLimits) -> float:
    """Return the fraction of pixels that differ from both neighboring lines, alternating over five lines."""
    step = limits.line_step
    above, below = luma[2:-2] - luma[1:-3], luma[2:-2] - luma[3:-1]
    alternates = ((above > step) & (below > step)) | ((above < -step) & (below < -step))
    repeats = np.abs(luma[2:-2] * 4 + luma[:-4] + luma[4:] - 3 * (luma[1:-3] + luma[3:-1])) > 6 * step
    return float((alternates & repeats).mean())
