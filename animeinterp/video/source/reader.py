"""Read a film: its frames one by one with the times at which they are shown.

Timestamps decide, not frame numbers: a variable frame rate, a gap and a packet that cannot be decoded all end in frames
that stand longer. What is damaged is counted, and the film keeps its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.video.reformatter import VideoReformatter

from animeinterp.errors import FileError
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.decoding import decode_frames
from animeinterp.video.source.folder import read_folder_frames
from animeinterp.video.source.info import TimedFrame, VideoInfo
from animeinterp.video.source.probe import MAX_PIXELS, may_have_fields
from animeinterp.video.source.rates import rounding_tolerance
from animeinterp.video.source.scan import last_duration
from animeinterp.video.source.telecine import FieldCount
from animeinterp.video.source.webp import read_webp_frames

_FIELDS_EVERY, _FIELDS_RUN = 120, 12  # frames
_EARLIER = 1  # s before a preview at which reading begins


class Reader:
    """The frames of a film, in order; iterate once.

    damaged: how many frames could not be decoded so far. dropped: how many cannot be shown, because another one has the
    same time. fields: what was seen of frames that join two fields. end: when the film ends, s since its first frame;
    known when all frames have come.
    """

    def __init__(
        self,
        film: VideoInfo,
        *,
        deinterlace: bool = False,
        start: Fraction = Fraction(0),
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """start: frames that stand before this time, s, may be left out, so that a preview begins soon."""
        self.film = film
        self.damaged = self.dropped = 0
        self.fields = FieldCount()
        self.end = film.duration
        self._deinterlace, self._start, self._max_pixels = deinterlace, start, max_pixels

    def __iter__(self) -> Iterator[TimedFrame]:
        """Frames with rising times. Raises FileError if not one of them can be read."""
        if self.film.is_folder:
            yield from read_folder_frames(self.film, self._start, self._max_pixels)
        elif self.film.webp:
            yield from read_webp_frames(self.film, self._start, self._max_pixels, self._lose)
        else:
            yield from self._of_file()

    def _of_file(self) -> Iterator[TimedFrame]:
        film, path = self.film, ColorConverter(self.film)
        usual = 1 / film.rate
        last, number, lost = -usual, 0, self.damaged
        pictures = decode_frames(
            film.path,
            film.clock,
            max_pixels=self._max_pixels,
            lost=self._lose,
            start=film.start + self._start - _EARLIER if self._start > _EARLIER else None,
            fields=film.fields if self._deinterlace else None,
            top_first=film.top_first,
        )
        for picture in pictures:
            self._count_fields(picture, number)
            time = last + usual if picture.pts is None else _exact(picture, film)
            if time <= last:
                self.dropped += 1
                continue
            held = self.damaged > lost
            if held:
                self.damaged = lost + max(1, round((time - last) * film.rate) - 1)
            yield TimedFrame(number, time, path.to_frame(_of_size(picture, film)), held)
            last, number, lost = time, number + 1, self.damaged
            usual = last_duration(
                Fraction(picture.duration * picture.time_base), film.rate, Fraction(picture.time_base)
            )
        if not number and not self._start:
            raise FileError(f"{film.path}: not one frame could be decoded; give another file")
        self.end = last + usual
        missing = film.duration - self.end
        if missing > 1 / film.rate:
            self.damaged = lost + round(missing * film.rate)
            self.end = film.duration

    def _count_fields(self, picture: Any, number: int) -> None:
        """Look at some frames in a row now and then: a film may be telecined only in part."""
        if self._deinterlace or not may_have_fields(self.film) or number % _FIELDS_EVERY >= _FIELDS_RUN:
            return
        if number % _FIELDS_EVERY == 0:
            self.fields.begin_run()
        self.fields.add(picture)

    def _lose(self, count: int = 1) -> None:
        self.damaged += count


def _exact(picture: Any, film: VideoInfo) -> Fraction:
    """A picture's time, s since the first one, without the rounding of the file's clock.

    Matroska counts ms: at 24 per second the second picture stands at 0.042 and not at 1/24, and next to a picture that
    exists a new one would be drawn. Films that were Matroska once keep the rounding in finer ticks.
    """
    time = Fraction(picture.pts * picture.time_base) - film.start
    regular = round(time * film.rate) / film.rate
    return regular if abs(time - regular) <= rounding_tolerance(film.rate, Fraction(picture.time_base)) else time


def _of_size(picture: Any, film: VideoInfo) -> Any:
    """A film may change its size on the way; what is drawn may not."""
    if (picture.width, picture.height) == (film.width, film.height):
        return picture
    # The size alone changes, so any matrix will do; swscale refuses some that films are tagged with.
    resized: Any = VideoReformatter().reformat(
        picture, width=film.width, height=film.height, src_colorspace=5, dst_colorspace=5
    )
    resized.colorspace = picture.colorspace
    return resized
