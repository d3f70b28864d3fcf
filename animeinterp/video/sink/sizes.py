"""Measure what a film will take on the disk: encode some frames, and look how much of the source are other streams."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import av

from animeinterp.frame import Frame, with_color
from animeinterp.io.files import ffmpeg_url
from animeinterp.video.sink.animated import write_animation, write_frame
from animeinterp.video.sink.encoders import ANIMATED
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.sink.target import Output
from animeinterp.video.source.container import open_film


@dataclass(frozen=True, slots=True)
class EncodedSize:
    """Bytes per frame, and what encoding one costs.

    Attributes:
        first: Bytes of the first frame of a shot or segment.
        changed: Bytes of a frame that differs from the one before.
        repeated: Bytes of a frame that repeats the one before.
        seconds: CPU time to encode a frame, s.
    """

    first: float
    changed: float
    repeated: float
    seconds: float


def measure_encoding(output: Output, sequences: Sequence[Sequence[Frame]]) -> EncodedSize:
    """Encode short sequences as the film would be, into a temporary folder.

    Args:
        output: How the target is made.
        sequences: At least one, of at least three frames in the target's layout; the last frame of each repeats the
            one before.

    Raises:
        FileError: The temporary folder cannot be written.
    """
    sizes: list[list[int]] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="animeinterp-") as name:
        for number, frames in enumerate(sequences):
            sizes.append(_encode(output, frames, Path(name), number))
    seconds = (time.process_time() - began) / sum(map(len, sizes))
    changed = [size for sequence in sizes for size in sequence[1:-1]]
    return EncodedSize(fmean(sequence[0] for sequence in sizes), fmean(changed), fmean(s[-1] for s in sizes), seconds)


def measure_other_streams(path: Path, spans: Sequence[tuple[Fraction, Fraction]]) -> float:
    """Measure how much of a film are sound and subtitles.

    Args:
        path: A video file.
        spans: Parts that are read, begin and end, s since the film's first frame.

    Returns:
        Bytes per second; 0 if they cannot be read.
    """
    total = 0
    try:
        with open_film(path) as container:
            others = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
            if not others:
                return 0.0
            offset = (container.start_time or 0) / av.time_base
            for begin, end in spans:
                container.seek(round((float(begin) + offset) * av.time_base))
                for packet in container.demux(others):
                    time_base = float(packet.time_base or 0)
                    at = None if packet.pts is None else packet.pts * time_base - offset
                    if at is not None and at >= end:
                        break
                    total += packet.size if at is not None and at >= begin else 0
    except (av.FFmpegError, IndexError):
        return 0.0
    return total / float(sum(end - begin for begin, end in spans))


def _encode(output: Output, frames: Sequence[Frame], folder: Path, number: int) -> list[int]:
    """Encode frames and return the bytes of each."""
    encoder = output.encoder
    if encoder is None:
        for index, frame in enumerate(frames):
            write_frame(folder, index, frame)
        return [(folder / f"{index:06}.png").stat().st_size for index in range(len(frames))]
    if encoder.container in ANIMATED:
        path = folder / f"{number}{output.target.suffix}"
        write_animation(path, lambda: frames, output.grid.rate)
        return [path.stat().st_size // len(frames)] * len(frames)
    path = folder / f"{number}.mkv"
    with SegmentWriter(path, output.film, output.grid.rate, encoder) as writer:
        for frame in frames:
            writer.write(with_color(frame))
    with av.open(ffmpeg_url(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [packet.size for packet in sorted(packets, key=lambda packet: packet.pts or 0)]
