"""Write the frames of a film in the background: as segments, or as the images of a folder of frames.

Each file gets its final name and is recorded when it is complete, so an interrupted run loses only the segment it was
writing. `animeinterp.video.sink.segment_store` decides where the files are kept and which ones a resumed run reuses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import chain, islice

import av

from animeinterp.errors import AnimeInterpError
from animeinterp.frame import Frame, with_color
from animeinterp.io.files import ffmpeg_url
from animeinterp.runtime.worker import QueueClosed, Worker
from animeinterp.video.sink import segment_store
from animeinterp.video.sink.encoders import Encoder
from animeinterp.video.sink.segment_store import SegmentStore
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import VideoInfo

_QUEUED_FRAMES = 4


class FrameSink:
    """Encodes frames in a background thread, into the files of an opened store.

    Attributes:
        store: The store that the finished files go to.
    """

    def __init__(self, store: SegmentStore, film: VideoInfo, rate: Fraction, encoder: Encoder | None) -> None:
        """Describe the output.

        Args:
            store: Where the finished files go.
            film: Size, pixel format and color of the frames.
            rate: Frames per second.
            encoder: The encoder of the segments; None for a folder of frames.
        """
        self.store = store
        self._film, self._rate, self._encoder = film, rate, encoder
        self._dropped = threading.Event()

    @contextmanager
    def opened(self) -> Iterator[Callable[[Frame], None]]:
        """Start the thread, and finish the last segment at the end; after an error, drop it and keep the others.

        Yields:
            A function that adds the next frame. It waits while the queue is full, and raises the thread's error if an
            earlier frame failed.
        """
        write = self._write_images if self._encoder is None else partial(self._write_segments, self._encoder)
        worker = Worker(_QUEUED_FRAMES, write)
        try:
            yield worker.put
            worker.finish()
            self.store.save(now=True)
        except BaseException:
            self._dropped.set()
            worker.close()
            worker.join()
            with suppress(AnimeInterpError):  # it would hide the error that ended the run
                self.store.save(now=True)
            raise

    def read_back(self) -> Iterator[Frame]:
        """Yield the finished frames, decoded from their segments."""
        colors = ColorConverter(self._film)
        for segment in self.store.list_parts():
            with av.open(ffmpeg_url(segment)) as container:
                for image in container.decode(video=0):
                    yield colors.to_frame(image)

    def _write_images(self, frames: Iterator[Frame]) -> None:
        from animeinterp.video.sink.animated import write_frame

        for frame in frames:
            if self._dropped.is_set():
                return
            path = self.store.next_part()
            write_frame(path.parent, self.store.frames, frame)
            self.store.add(path, 1)

    def _write_segments(self, encoder: Encoder, frames: Iterator[Frame]) -> None:
        for first in frames:
            if self._dropped.is_set():
                return
            path = self.store.next_part()
            with SegmentWriter(path, self._film, self._rate, encoder) as writer:
                for frame in chain([first], islice(frames, segment_store.SEGMENT_FRAMES - 1)):
                    writer.write(with_color(frame))
                if self._dropped.is_set() and writer.frames < segment_store.SEGMENT_FRAMES:
                    raise QueueClosed  # leaves no file
            self.store.add(path, writer.frames)
