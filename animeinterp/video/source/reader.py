"""Read a film: its frames one by one, with the times at which they are shown.

Timestamps decide, not frame numbers: variable frame rates, gaps and packets that cannot be decoded all make frames
that are shown longer. Damaged frames are counted, and the film keeps its duration.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av

from animeinterp.errors import FileError
from animeinterp.video.source.clock import frame_time
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.decoding import decode_frames
from animeinterp.video.source.folder import read_folder_frames
from animeinterp.video.source.info import TimedFrame, VideoInfo
from animeinterp.video.source.probe import MAX_PIXELS, SAMPLING, may_have_fields
from animeinterp.video.source.rates import snap_time
from animeinterp.video.source.scan import last_duration
from animeinterp.video.source.telecine import FieldCount
from animeinterp.video.source.webp import read_webp_frames

_LEAD = 1  # s before the start of a preview at which decoding begins


class Reader:
    """The frames of a film, in order; iterate once.

    Attributes:
        film: The film.
        damaged: Number of frames so far that could not be decoded.
        dropped: Number of frames so far that are not shown, because another one has the same time.
        fields: Counts of frames that join two fields, over samples of the film.
        end: When the film ends, s since its first frame; final after the last frame.
    """

    def __init__(
        self, film: VideoInfo, *, deinterlace: bool = False, start: Fraction = Fraction(0), max_pixels: int = MAX_PIXELS
    ) -> None:
        """Prepare to read.

        Args:
            film: The film, as `probe.probe` describes it.
            deinterlace: Whether to make whole frames of its fields.
            start: Time from which frames are needed, s since the first one; earlier frames may be skipped.
            max_pixels: Largest frame that is decoded, px.
        """
        self.film = film
        self.damaged = self.dropped = 0
        self.fields = FieldCount()
        self.end = film.duration
        self._deinterlace, self._start, self._max_pixels = deinterlace, start, max_pixels

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield frames with rising times.

        Raises:
            FileError: No frame can be read.
        """
        if self.film.is_folder:
            yield from read_folder_frames(self.film, self._start, self._max_pixels)
        elif self.film.webp:
            yield from read_webp_frames(self.film, self._start, self._max_pixels, self._count_damaged)
        else:
            yield from self._read_file()

    def _read_file(self) -> Iterator[TimedFrame]:
        """Yield the frames of a file that FFmpeg reads; set `end`."""
        film, converter = self.film, ColorConverter(self.film)
        interval = 1 / film.rate
        last, number, damaged = -interval, 0, self.damaged
        decoded = decode_frames(
            film.path,
            film.clock,
            max_pixels=self._max_pixels,
            lost=self._count_damaged,
            start=film.start + self._start - _LEAD if self._start > _LEAD else None,
            fields=film.fields if self._deinterlace else None,
            top_first=film.top_first,
        )
        for frame in decoded:
            self._count_fields(frame, number)
            tick = frame.time_base or film.clock.tick
            time = frame_time(frame)
            time = last + interval if time is None else snap_time(time - film.start, film.rate, tick)
            if time <= last:
                self.dropped += 1
                continue
            after_damage = self.damaged > damaged
            if after_damage:
                self.damaged = damaged + max(1, round((time - last) * film.rate) - 1)
            yield TimedFrame(number, time, converter.to_frame(_resize(frame, film)), after_damage)
            last, number, damaged = time, number + 1, self.damaged
            interval = last_duration(frame.duration * tick, film.rate, tick)
        if not number and not self._start:
            raise FileError(f"{film.path}: no frame could be decoded; give another file")
        self.end = last + interval
        missing = film.duration - self.end
        if missing > 1 / film.rate:
            self.damaged = damaged + round(missing * film.rate)
            self.end = film.duration

    def _count_fields(self, frame: av.VideoFrame, number: int) -> None:
        """Count fields in regular runs of frames, because a film may be telecined in parts."""
        position = number % SAMPLING.run_period
        if self._deinterlace or not may_have_fields(self.film) or position >= SAMPLING.run_frames:
            return
        if position == 0:
            self.fields.begin_run()
        self.fields.add(frame)

    def _count_damaged(self, count: int = 1) -> None:
        """Count frames that cannot be decoded."""
        self.damaged += count


def _resize(frame: av.VideoFrame, film: VideoInfo) -> av.VideoFrame:
    """Scale a frame to the film's size, which may change within a file but not in the output."""
    if (frame.width, frame.height) == (film.width, film.height):
        return frame
    # Only the size changes, so any matrix will do; swscale refuses some that films are tagged with.
    resized = frame.reformat(width=film.width, height=film.height, src_colorspace=5, dst_colorspace=5)
    resized.colorspace = frame.colorspace
    return resized
