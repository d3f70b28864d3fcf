"""Describe a film before its frames are read: size, frame rate, duration, pixel format, color.

Declared sizes are checked before anything is decoded. Durations are measured; what a file declares is used only where
its end is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.container import InputContainer

from animeinterp.config import Options
from animeinterp.errors import FileError, UsageError
from animeinterp.frame import check_size
from animeinterp.video.source.clock import Clock, frame_time
from animeinterp.video.source.container import find_video_stream, open_film
from animeinterp.video.source.decoding import decode_frames, decoder_pixel_limit
from animeinterp.video.source.folder import probe_folder
from animeinterp.video.source.geometry import read_orientation, read_side_data
from animeinterp.video.source.info import ColorInfo, VideoInfo
from animeinterp.video.source.rates import snap_time
from animeinterp.video.source.scan import read_clock
from animeinterp.video.source.telecine import FIELD_ADVICE, FieldCount, joined_rate
from animeinterp.video.source.truncation import missing_duration
from animeinterp.video.source.webp import is_webp_file, probe_webp

MAX_PIXELS = Options().max_pixels
_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class FieldSampling:
    """Which frames of a film are searched for fields, and which films may have fields.

    Chosen on telecined films with still openings and on films that are telecined in parts;
    `tests/video/source/test_telecine.py` holds them.

    Attributes:
        flagged_frames: First frames, most of which must be flagged as interlaced in an interlaced film.
        opening_frames: Moving frames searched at the beginning.
        later_frames: Moving frames searched at each of three later positions.
        max_frames: Frames read for each of these searches, at most.
        min_duration: Duration from which later positions are searched, s.
        telecine_rates: Frame rates between which fields are telecined, frames per second: 3:2 makes 30 of 24.
        max_lines: Height above which films have no fields, px.
        max_rate: Frame rate above which films have no fields, frames per second.
        run_period: Distance between the runs that are searched while a film is read, frames.
        run_frames: Length of each run, frames.
    """

    flagged_frames: int = 12
    opening_frames: int = 24
    later_frames: int = 12
    max_frames: int = 60
    min_duration: int = 10
    telecine_rates: tuple[int, int] = (29, 31)
    max_lines: int = 1152
    max_rate: int = 31
    run_period: int = 120
    run_frames: int = 12


SAMPLING = FieldSampling()


def probe(
    path: Path, *, rate: Fraction | None = None, deinterlace: bool = False, max_pixels: int = MAX_PIXELS
) -> VideoInfo:
    """Describe a film.

    Args:
        path: A file, or a folder of frames.
        rate: Frame rate of a folder, frames per second; None = 24.
        deinterlace: Whether whole frames are to be made of fields.
        max_pixels: Largest frame that is accepted, px.

    Raises:
        FileError: The film cannot be read or holds no frames.
        UsageError: A file is given a rate, or frames hold fields of two times and `deinterlace` is False.
        FrameError: The film is too small or too large.
    """
    if path.is_dir():
        return probe_folder(path, rate, max_pixels)
    if rate is not None:
        raise UsageError(f"{path} has a frame rate of its own; leave out the one for folders of frames")
    if path.is_file() and is_webp_file(path):
        return probe_webp(path, max_pixels)
    with open_film(path, decoder_pixel_limit(max_pixels)) as container:
        stream = find_video_stream(container, path)
        if stream.codec_context.width and stream.codec_context.height:
            check_size(stream.codec_context.width, stream.codec_context.height, max_pixels, str(path))
        declared = _declared_duration(container, stream)
        clock = read_clock(container, stream, path)
        frames = decode_frames(path, clock, max_pixels=max_pixels, lost=lambda: None)
        first = list(islice(frames, SAMPLING.flagged_frames))
        if not first:
            raise FileError(f"{path} holds no decodable frame of up to {max_pixels:,} pixels; give another file")
        check_size(first[0].width, first[0].height, max_pixels, str(path))
        film = _describe(path, stream, first[0], clock, declared)
        count = _count_fields(film, chain(first, frames), max_pixels) if may_have_fields(film) else FieldCount()
    fields = count.classify()
    if fields == "telecined" and not SAMPLING.telecine_rates[0] < film.rate < SAMPLING.telecine_rates[1]:
        fields = "shifted"
    if not deinterlace:
        if 2 * sum(frame.interlaced_frame for frame in first) > len(first):
            fields = "interlaced"
        if fields != "progressive":
            raise UsageError(f"{path} {FIELD_ADVICE[fields]}")
    return replace(film, fields=fields, top_first=count.top_first, rate=joined_rate(film.rate, fields))


def may_have_fields(film: VideoInfo) -> bool:
    """Whether a film has a size and a frame rate at which frames may consist of fields."""
    return film.has_streams and film.height <= SAMPLING.max_lines and film.rate <= SAMPLING.max_rate


def _count_fields(film: VideoInfo, frames: Iterable[av.VideoFrame], max_pixels: int) -> FieldCount:
    """Count fields in the first frames, and at later positions, because openings may be still."""
    count = FieldCount()
    count.add_run(islice(frames, SAMPLING.max_frames), SAMPLING.opening_frames)
    if film.clock.may_seek and film.duration > SAMPLING.min_duration:
        for quarter in (1, 2, 3):
            start = film.start + film.duration * quarter / 4
            later = decode_frames(film.path, film.clock, max_pixels=max_pixels, lost=lambda: None, start=start)
            with closing(later):
                count.add_run(islice(later, SAMPLING.max_frames), SAMPLING.later_frames)
    return count


def _describe(
    path: Path, stream: av.VideoStream, first: av.VideoFrame, clock: Clock, declared: Fraction | None
) -> VideoInfo:
    """Describe a film by its stream and its first frame."""
    start = frame_time(first) or Fraction(0)
    measured = snap_time(max(clock.end - start, 1 / clock.rate), clock.rate, clock.tick)
    missing = missing_duration(path, stream.container.format.name, measured, None if clock.recordings else declared)
    rotation, mirrored = read_orientation(first)
    side_data = read_side_data(first)
    tags = (int(code) for code in (first.color_primaries, first.color_trc, first.colorspace, first.color_range))
    jumps = f"the clock jumps {len(clock.recordings) - 1} times; the parts are joined without a gap"
    return VideoInfo(
        path=path,
        width=first.width,
        height=first.height,
        rate=clock.rate,
        start=start,
        duration=measured + missing if missing > 1 / clock.rate else measured,
        frames=clock.frames,
        pix_fmt=first.format.name,
        depth=16 if first.format.components[0].bits > 8 else 8,
        alpha=any(component.is_alpha for component in first.format.components),
        color=ColorInfo(*tags),
        aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation=rotation,
        mirrored=mirrored,
        mastering_display=side_data.get("MASTERING_DISPLAY_METADATA"),
        content_light=side_data.get("CONTENT_LIGHT_LEVEL"),
        notes=(jumps,) if clock.recordings else (),
        clock=clock,
    )


def _declared_duration(container: InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Return the duration of the video that a file declares, s; None for formats that only estimate it."""
    name = container.format.name
    if name.startswith("matroska"):
        match = _DURATION.match(stream.metadata.get("DURATION", ""))
        if match is None:
            return None
        hours, minutes, seconds = (Fraction(part) for part in match.groups())
        # The tag holds the end time.
        start = Fraction((stream.start_time or 0) * (stream.time_base or 0))
        return 3600 * hours + 60 * minutes + seconds - max(start, Fraction(0))
    if name.startswith(("mov", "avi")) and stream.duration is not None and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return None
