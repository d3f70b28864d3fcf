"""Fields of two film frames in one frame: telecine (3:2, 2:3:3:2), shifted 2:2, and interlaced pictures without flags.

A frame is woven anew from its own top field and the bottom field before it, and from the top field before it and its
own bottom field. Where a frame of the film was split, one of the two is clean while the frame itself is combed and the
other is no better. In interlaced video one is combed like the frame itself and the other, over three field times, more.
In progressive film both are combed more than the frame itself, however fine its lines are; where both are combed less,
something with thin lines scrolls.

What a scaler or a codec has blended into one picture is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any, Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.video.source.filters import pull_frames

Fields = Literal["progressive", "telecined", "shifted", "interlaced"]
_Luma = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class FieldLimits:
    """What counts as combed, and from when on a film is.

    Chosen on fields woven of animation, encoded by x264 (crf 18 to 28) and MPEG-2, and on progressive films of fine
    horizontal lines, blinds, scrolling text and dither.

    step: levels between the lines of one field and of the other. least: the share of pixels that must be combed.
    clean: of a frame's combing, what is left at most if it is woven right; same: what the other weaving has at least.
    alike, apart: likewise, between which interlaced fields one field time apart lie, and three times apart at least.
    frames: split frames that make a telecine; fields: interlaced ones that make interlaced video; share: of the
    frames in which something moves. agree: the share of both in which the same field comes first.
    cycle: frames after which 3:2 repeats; split: how many of them are split at most.
    """

    step: int = 10
    least: float = 0.0004
    clean: float = 0.5
    same: float = 0.75
    alike: float = 0.7
    apart: float = 1.25
    frames: int = 4
    fields: int = 8
    share: float = 0.6
    agree: float = 0.85
    cycle: int = 5
    split: int = 2


LIMITS = FieldLimits()
# Decimate never keeps the first frame of all, which it takes for a cut; so five frames stand before it.
_PADDED = 5
_DECIMATE = ("tpad", f"start={_PADDED}:color=magenta"), ("decimate", "scthresh=100")
_COMBED = "bwdif", "mode=send_frame:deint=interlaced"
_WIDTH = 480  # px, to which lines are averaged at least


FIELD_ADVICE: dict[Fields, str] = {
    "telecined": "is telecined: some frames join fields of two; give --deinterlace to get the frames of the film",
    "shifted": "joins fields of two frames in one; give --deinterlace to join those that belong together",
    "interlaced": "is interlaced; give --deinterlace to make whole frames of its fields first",
}


@dataclass(slots=True)
class FieldCount:
    """Counts, over runs of frames in a row, which of them are made of fields of two times.

    moving: frames that differ from the one before. split: numbers of those that join fields of two film frames, by
    run. interlaced: frames of fields that are one field time apart. top, bottom: of both kinds, those whose top or
    bottom field comes first.
    """

    limits: FieldLimits = LIMITS
    moving: int = 0
    split: list[list[int]] = field(default_factory=list)
    interlaced: int = 0
    top: int = 0
    bottom: int = 0
    _before: _Luma | None = None
    _number: int = 0

    @property
    def top_first(self) -> bool:
        """Whether the top field of a frame comes first."""
        return self.top >= self.bottom

    def add_run(self, pictures: Iterable[Any], moving: int | None = None) -> None:
        """Count `av.VideoFrame`s that follow each other, up to so many that move."""
        self.begin_run()
        enough = None if moving is None else self.moving + moving
        for picture in pictures:
            self.add(picture)
            if enough is not None and self.moving >= enough:
                return

    def begin_run(self) -> None:
        """Begin a run: the next frame does not follow the last."""
        self._before, self._number = None, 0
        self.split.append([])

    def add(self, picture: Any) -> None:
        """Count the next frame of the run, an `av.VideoFrame`."""
        luma = _luma(picture)
        before, self._before = self._before, luma
        self._number += 1
        if before is None or before.shape != luma.shape:
            return
        limits = self.limits
        own = _combing(luma, limits.step)
        with_bottom, with_top = (_combing(_woven(luma, before, parity), limits.step) for parity in (1, 0))
        low, high = min(with_bottom, with_top), max(with_bottom, with_top)
        self.moving += high > own + limits.least
        if own < limits.least:
            return
        is_split = low < limits.clean * own and own - low > limits.least and high > limits.same * own
        if is_split:
            self.split[-1].append(self._number)
        elif limits.alike * own < low < own / limits.alike and high > limits.apart * own:
            self.interlaced += 1
        else:
            return
        self.top += with_bottom < with_top
        self.bottom += with_top < with_bottom

    def classify(self) -> Fields:
        """What the film seems to be."""
        limits = self.limits
        split = sum(map(len, self.split))
        if max(self.top, self.bottom) < limits.agree * (split + self.interlaced):
            return "progressive"
        if split >= max(limits.frames, self.interlaced):
            return "telecined" if all(map(self._is_cycle, self.split)) else "shifted"
        if self.interlaced + split >= max(limits.fields, limits.share * self.moving):
            return "interlaced"
        return "progressive"

    def _is_cycle(self, numbers: Iterable[int]) -> bool:
        return len({number % self.limits.cycle for number in numbers}) <= self.limits.split


def joined_rate(rate: Fraction, fields: Fields) -> Fraction:
    """The rate of the frames that `join_fields` gives, per second."""
    return rate * 4 / 5 if fields == "telecined" else rate


def join_fields(
    pictures: Iterable[Any], stream: Any, rate: Fraction, fields: Fields, *, top_first: bool
) -> Iterator[Any]:
    """Make whole frames of fields.

    Args:
        pictures: The frames of a film as they are stored, `av.VideoFrame`.
        stream: The stream that they come from.
        rate: Of the stored frames, per second.
        fields: What they are. Of telecined film the frames of the film come back, of shifted fields those that belong
            together are joined; what is combed after that, and all else, is deinterlaced by bwdif (FFmpeg).
        top_first: Whether the top field of a frame comes first, where the frames themselves do not say.

    Yields:
        Frames with their times; of telecined film four of five.
    """
    order = "tff" if top_first else "bff"
    match = "fieldmatch", f"order={order}:combmatch=full"
    chains: dict[Fields, list[tuple[str, str]]] = {
        "telecined": [("fps", f"{rate}"), match, _COMBED, *_DECIMATE],
        "shifted": [match, _COMBED],
        "interlaced": [("bwdif", f"mode=send_frame:parity={order}")],
        "progressive": [("bwdif", "mode=send_frame")],
    }
    filtered = _filtered(pictures, stream, chains[fields], from_zero=fields == "telecined")
    if fields != "telecined":
        yield from filtered
        return
    step = 1 / joined_rate(rate, fields)
    for number, picture in enumerate(filtered):
        if number >= _PADDED - 1:
            time = picture.pts * picture.time_base - (_PADDED - 1) * step
            # Fine enough for the film's rate and for the clock of the file.
            picture.time_base = Fraction(1, 1000 * step.denominator)
            picture.pts, picture.duration = round(time / picture.time_base), round(step / picture.time_base)
            yield picture


def _filtered(
    pictures: Iterable[Any], stream: Any, filters: Iterable[tuple[str, str]], *, from_zero: bool
) -> Iterator[Any]:
    """Frames behind FFmpeg's filters. from_zero: within the filters the first of them stands at 0."""
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(template=stream), *(graph.add(*filter) for filter in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    first: Fraction | None = None
    for picture in chain(pictures, [None]):
        if picture is not None and from_zero and picture.pts is not None:
            first = picture.pts * picture.time_base if first is None else first
            picture.pts -= round(first / picture.time_base)
        graph.vpush(picture)
        for made in pull_frames(graph):
            if first:
                time = made.pts * made.time_base + first
                made.time_base = Fraction(1, made.time_base.denominator * first.denominator)
                made.pts = round(time / made.time_base)
            yield made


def _woven(luma: _Luma, other: _Luma, parity: int) -> _Luma:
    """A frame whose lines of one parity come from another: 0 = the top field, 1 = the bottom field."""
    woven = luma.copy()
    woven[parity::2] = other[parity::2]
    return woven


def _luma(picture: Any) -> _Luma:
    """The luma of a frame with its lines as they are, averaged along them to about 480 px."""
    # Any matrix will do for luma; swscale refuses some that films are tagged with.
    gray: NDArray[np.uint8] = picture.to_ndarray(format="gray", src_colorspace=5, dst_colorspace=5)
    factor = max(1, gray.shape[1] // _WIDTH)
    size = gray.shape[1] // factor, gray.shape[0]
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.int16)


def _combing(luma: _Luma, step: int) -> float:
    """The share of pixels that differ from both lines beside theirs, which differ from those beyond them too."""
    above, below = luma[2:-2] - luma[1:-3], luma[2:-2] - luma[3:-1]
    alternates = ((above > step) & (below > step)) | ((above < -step) & (below < -step))
    again = np.abs(luma[2:-2] * 4 + luma[:-4] + luma[4:] - 3 * (luma[1:-3] + luma[3:-1])) > 6 * step
    return float((alternates & again).mean())
