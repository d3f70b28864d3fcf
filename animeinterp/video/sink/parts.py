"""Frames become finished parts of a film, by a thread of their own: segments, or pictures of a folder of frames.

A part gets its name when it is whole and is recorded then, so that nothing but the one in hand can be lost. Where the
parts lie and what becomes of them is the matter of `animeinterp.video.sink.store`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av

from animeinterp.errors import AnimeInterpError
from animeinterp.frame import Frame, with_color
from animeinterp.io.files import ffmpeg_url
from animeinterp.video.sink import store as stores
from animeinterp.video.sink.encoders import Encoder
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import VideoInfo

_WAITING = 4  # frames


class SegmentSink:
    """Frames go in by `put`, in order; what was put before stays, whatever happens. A context, in an opened store."""

    def __init__(self, store: stores.SegmentStore, film: VideoInfo, rate: Fraction, encoder: Encoder | None) -> None:
        """rate: frames per second. encoder: None for a folder of frames."""
        self.store = store
        self._film, self._rate, self._encoder = film, rate, encoder
        self._queue: queue.Queue[Frame | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._dropped = threading.Event()

    def __enter__(self) -> SegmentSink:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; a segment that is not whole is dropped."""
        self._dropped.set()
        self._end()
        with suppress(AnimeInterpError):  # it would hide why the run ended
            self.store.save(now=True)

    def put(self, frame: Frame) -> None:
        """Add a frame. Raises what went wrong with those before, FileError for one."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(frame, timeout=0.1)
                return
            except queue.Full:
                continue

    def close(self) -> None:
        """Wait until all frames are kept, the last segment too."""
        self._end()
        if self._error is not None:
            raise self._error
        self.store.save(now=True)

    def pictures(self) -> Iterator[Frame]:
        """The finished frames, read back from their segments."""
        path = ColorConverter(self._film)
        for segment in self.store.parts():
            with av.open(ffmpeg_url(segment)) as container:
                for picture in container.decode(video=0):
                    yield path.to_frame(picture)

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=0.1)
                break
        thread.join()

    def _work(self) -> None:
        try:
            if self._encoder is None:
                self._keep_pictures()
            else:
                while self._keep_segment(self._encoder):
                    pass
        except BaseException as error:  # raised again by `put` or `close`
            self._error = error

    def _keep_pictures(self) -> None:
        from animeinterp.video.sink.animated import write_frame

        while (frame := self._queue.get()) is not None and not self._dropped.is_set():
            path = self.store.next_part()
            write_frame(path.parent, self.store.frames, frame)
            self.store.add(path, 1)

    def _keep_segment(self, encoder: Encoder) -> bool:
        """Write one segment; whether there may be another."""
        frame = self._queue.get()
        if frame is None or self._dropped.is_set():
            return False
        path, count = self.store.next_part(), 0
        with SegmentWriter(path, self._film, self._rate, encoder) as writer:
            while frame is not None:
                writer.write(with_color(frame))
                count += 1
                if count == stores.SEGMENT:
                    break
                frame = self._queue.get()
            if self._dropped.is_set() and count < stores.SEGMENT:
                raise _Dropped
        self.store.add(path, count)
        return frame is not None


class _Dropped(Exception):
    """The run ended in the middle of a segment."""
