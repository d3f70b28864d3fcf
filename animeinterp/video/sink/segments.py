"""Segments: short films in files of their own, of which the whole is joined.

Every segment has an encoder of its own, so that the same frames give the same packets in every run.
"""

from __future__ import annotations

import errno
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from animeinterp.errors import FrameError
from animeinterp.frame import Frame
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.video.sink.encoders import Encoder, check_rate, set_up, writing
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import VideoInfo


class SegmentWriter:
    """Writes frames into a file of their own. A context: the file appears, whole, when it ends without an error.

    frames: how many so far; with none no file appears.
    """

    def __init__(self, path: Path, film: VideoInfo, rate: Fraction, encoder: Encoder) -> None:
        """rate: frames per second, exact. Raises UsageError if it is too high, FileError if nothing can be written."""
        check_rate(rate)
        self.frames = 0
        self._path, self._film, self._tick = path, film, 1 / rate
        self._encoder = encoder
        self._colors = ColorConverter(replace(film, color=encoder.color))
        with ExitStack() as stack, writing(path):
            part = stack.enter_context(atomic_path(path, force=True))
            # bitexact: without it the file holds a random number
            options = {"fflags": "+bitexact"}
            self._container = av.open(ffmpeg_url(part), "w", format="matroska", container_options=options)
            stack.callback(_close_quietly, self._container)
            self._stream: Any = self._container.add_stream(encoder.name, rate=rate, options=dict(encoder.options))
            if encoder.pix_fmt.startswith("yuva"):
                self._stream.metadata["alpha_mode"] = "1"
            set_up(self._stream.codec_context, encoder, film.width, film.height, rate, film.aspect)
            self._container.start_encoding()
            self._part, self._stack = part, stack.pop_all()

    def __enter__(self) -> SegmentWriter:
        return self

    def write(self, frame: Frame) -> None:
        """Add a frame of the film's size. Raises FrameError for another size, FileError if the disk is full."""
        expected = self._film.height, self._film.width
        if frame.shape[:2] != expected:
            raise FrameError(f"a frame is {frame.shape[1]}x{frame.shape[0]}; expected {expected[1]}x{expected[0]}")
        picture: Any = self._colors.to_video_frame(frame, self._encoder.pix_fmt)
        color = self._encoder.color
        picture.color_primaries, picture.color_trc = color.primaries, color.transfer
        picture.colorspace, picture.color_range = color.matrix, color.range
        picture.pts, picture.time_base = self.frames, self._tick
        with writing(self._path):
            self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with suppress(_NoFrames), self._stack, writing(self._path):
            if not self.frames:
                raise _NoFrames
            self._container.mux(self._stream.encode(None))
            self._container.close()
            check_whole(self._part, self.frames)


class _NoFrames(Exception):
    """A segment would be empty."""


def check_whole(path: Path, frames: int) -> None:
    """Raise OSError unless a file holds so many frames: a full disk goes unnoticed where FFmpeg writes last."""
    try:
        with av.open(ffmpeg_url(path)) as container:
            found = sum(1 for packet in container.demux(video=0) if packet.size)
    except (av.FFmpegError, IndexError):
        found = 0
    if found != frames:
        raise OSError(errno.EIO, f"only {found} of {frames} frames arrived on the disk")


def _close_quietly(container: Any) -> None:
    with suppress(av.FFmpegError, OSError):
        container.close()
