"""Segments: short video files that are joined into the film.

Each segment has its own encoder, so the same frames give the same packets in every run.
"""

from __future__ import annotations

import errno
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av

from animeinterp.errors import FrameError
from animeinterp.frame import Frame
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.video.sink.encoders import Encoder, add_video_stream, check_rate, close_quietly, report_encoder_errors
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import VideoInfo


class SegmentWriter:
    """Writes frames into one file. A context manager: the file appears, complete, if the block raises no error.

    Attributes:
        frames: The number of frames written; with none, no file appears.
    """

    def __init__(self, path: Path, film: VideoInfo, rate: Fraction, encoder: Encoder) -> None:
        """Open the file.

        Args:
            path: The segment's file; replaced if it exists.
            film: Size, pixel aspect ratio and color of the frames.
            rate: Frames per second, exact.
            encoder: The encoder.

        Raises:
            UsageError: The rate is too high.
            FileError: The file cannot be written.
        """
        check_rate(rate)
        self.frames = 0
        self._path, self._film, self._tick = path, film, 1 / rate
        self._encoder = encoder
        self._colors = ColorConverter(replace(film, color=encoder.color))
        with ExitStack() as stack, report_encoder_errors(path):
            part = stack.enter_context(atomic_path(path, force=True))
            # bitexact: the file would hold a random number otherwise
            options = {"fflags": "+bitexact"}
            self._container = av.open(ffmpeg_url(part), "w", format="matroska", container_options=options)
            stack.callback(close_quietly, self._container)
            size = film.width, film.height
            self._stream = add_video_stream(self._container, encoder, size, rate, film.aspect)
            if encoder.pix_fmt.startswith("yuva"):
                self._stream.metadata["alpha_mode"] = "1"
            self._container.start_encoding()
            self._part, self._stack = part, stack.pop_all()

    def __enter__(self) -> SegmentWriter:
        return self

    def write(self, frame: Frame) -> None:
        """Add a frame of the film's size. Raises FrameError for another size, FileError if the disk is full."""
        expected = self._film.height, self._film.width
        if frame.shape[:2] != expected:
            raise FrameError(f"a frame is {frame.shape[1]}x{frame.shape[0]}; expected {expected[1]}x{expected[0]}")
        image = self._colors.to_video_frame(frame, self._encoder.pix_fmt)
        color = self._encoder.color
        image.color_primaries, image.color_trc = color.primaries, color.transfer
        image.colorspace, image.color_range = color.matrix, color.range
        image.pts, image.time_base = self.frames, self._tick
        with report_encoder_errors(self._path):
            self._container.mux(self._stream.encode(image))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with suppress(_NoFrames), self._stack, report_encoder_errors(self._path):
            if not self.frames:
                raise _NoFrames
            self._container.mux(self._stream.encode(None))
            self._container.close()
            check_frame_count(self._part, self.frames)


class _NoFrames(Exception):
    """The segment would be empty."""


def check_frame_count(path: Path, frames: int) -> None:
    """Raise OSError unless a file holds `frames` packets: FFmpeg does not report a disk that is full at the end."""
    try:
        with av.open(ffmpeg_url(path)) as container:
            packets = sum(1 for packet in container.demux(video=0) if packet.size)
    except (av.FFmpegError, IndexError):
        packets = 0
    if packets != frames:
        raise OSError(errno.EIO, f"only {packets} of {frames} frames were written to the disk")
