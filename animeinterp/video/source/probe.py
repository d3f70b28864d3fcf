"""What a film is, found out before its frames are read: size, rate, length, pixels, color.

Declared sizes are checked before anything is decoded. Lengths are measured: what a file claims counts only where its
end is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

from animeinterp.config import Options
from animeinterp.errors import FileError, UsageError
from animeinterp.frame import check_size
from animeinterp.video.source.clock import Clock
from animeinterp.video.source.container import find_video_stream, open_film
from animeinterp.video.source.decoding import decode_frames, decoder_pixel_limit
from animeinterp.video.source.folder import probe_folder
from animeinterp.video.source.geometry import read_orientation
from animeinterp.video.source.info import ColorInfo, VideoInfo
from animeinterp.video.source.rates import rounding_tolerance
from animeinterp.video.source.scan import read_clock
from animeinterp.video.source.telecine import FIELD_ADVICE, FieldCount, joined_rate
from animeinterp.video.source.truncation import missing_duration
from animeinterp.video.source.webp import is_webp_file, probe_webp

MAX_PIXELS = Options().max_pixels
_LOOKED_AT = 12  # frames, to see whether a film is said to be interlaced
_OPENING, _LATER = 24, 12  # frames that move, to see whether it is without being said
_MOST = 60  # frames, to find so many
_LONG = 10  # s; in shorter films only the opening is looked at
_TELECINE_RATE = 29, 31  # frames per second; 3:2 makes 30 of 24
_FIELD_LINES, _FIELD_RATE = 1152, 31  # px, frames per second; more have no fields
_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


def probe(
    path: Path, *, rate: Fraction | None = None, deinterlace: bool = False, max_pixels: int = MAX_PIXELS
) -> VideoInfo:
    """Describe a film.

    Args:
        path: A file, or a folder of frames.
        rate: Frames per second of a folder (24).
        deinterlace: Whether its fields are to be made whole frames.
        max_pixels: Larger films are refused.

    Raises:
        FileError: The film cannot be read or holds no pictures.
        UsageError: A file is given a rate, or interlaced pictures are not to be deinterlaced.
        FrameError: It is too small or too large.
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
        claimed = _claimed(container, stream)
        clock = read_clock(container, stream, path)
        pictures = decode_frames(path, clock, max_pixels=max_pixels, lost=lambda: None)
        first = list(islice(pictures, _LOOKED_AT))
        if not first:
            limit = f"of at most {max_pixels:,} pixels"
            raise FileError(f"{path} holds not one frame {limit} that can be decoded; give another file")
        check_size(first[0].width, first[0].height, max_pixels, str(path))
        film = _describe(path, stream, first[0], clock, claimed)
        count = _count_fields(film, chain(first, pictures), max_pixels) if may_have_fields(film) else FieldCount()
    fields = count.classify()
    if fields == "telecined" and not _TELECINE_RATE[0] < film.rate < _TELECINE_RATE[1]:
        fields = "shifted"
    if not deinterlace:
        if 2 * sum(frame.interlaced_frame for frame in first) > len(first):
            fields = "interlaced"
        if fields != "progressive":
            raise UsageError(f"{path} {FIELD_ADVICE[fields]}")
    return replace(film, fields=fields, top_first=count.top_first, rate=joined_rate(film.rate, fields))


def may_have_fields(film: VideoInfo) -> bool:
    """Whether a film has a size and a rate at which frames are made of fields."""
    return film.has_streams and film.height <= _FIELD_LINES and film.rate <= _FIELD_RATE


def _count_fields(film: VideoInfo, pictures: Iterable[Any], max_pixels: int) -> FieldCount:
    """Look at the first frames, and at some later ones, because openings stand still."""
    count = FieldCount()
    count.add_run(islice(pictures, _MOST), _OPENING)
    if film.clock.may_seek and film.duration > _LONG:
        for part in (1, 2, 3):
            start = film.start + film.duration * part / 4
            later = decode_frames(film.path, film.clock, max_pixels=max_pixels, lost=lambda: None, start=start)
            with closing(later):  # type: ignore[type-var]
                count.add_run(islice(later, _MOST), _LATER)
    return count


def _describe(path: Path, stream: Any, first: Any, clock: Clock, claimed: Fraction | None) -> VideoInfo:
    start = Fraction(0) if first.pts is None else Fraction(first.pts * first.time_base)
    rotation, mirrored = read_orientation(first)
    side = {str(data.type).rsplit(".", 1)[-1]: bytes(data) for data in first.side_data}
    return VideoInfo(
        path=path,
        width=first.width,
        height=first.height,
        rate=clock.rate,
        start=start,
        duration=_duration(path, stream.container.format.name, clock, start, claimed),
        frames=clock.frames,
        pix_fmt=first.format.name,
        depth=16 if first.format.components[0].bits > 8 else 8,
        alpha=any(component.is_alpha for component in first.format.components),
        color=ColorInfo(
            *(int(c) for c in (first.color_primaries, first.color_trc, first.colorspace, first.color_range))
        ),
        aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation=rotation,
        mirrored=mirrored,
        mastering_display=side.get("MASTERING_DISPLAY_METADATA"),
        content_light=side.get("CONTENT_LIGHT_LEVEL"),
        notes=_notes(clock),
        clock=clock,
    )


def _notes(clock: Clock) -> tuple[str, ...]:
    if not clock.recordings:
        return ()
    return (f"the clock jumps {len(clock.recordings) - 1} times; what lies between is taken to follow without a gap",)


def _duration(path: Path, format: str, clock: Clock, start: Fraction, claimed: Fraction | None) -> Fraction:
    """How long the pictures last, s: as measured, or as claimed where the end of the file is missing."""
    measured = max(clock.end - start, 1 / clock.rate)
    regular = round(measured * clock.rate) / clock.rate
    if abs(measured - regular) <= rounding_tolerance(clock.rate, clock.tick):
        measured = regular
    if clock.recordings:
        return measured
    missing = missing_duration(path, format, measured, claimed)
    return measured + missing if missing > 1 / clock.rate else measured


def _claimed(container: Any, stream: Any) -> Fraction | None:
    """The length of the pictures that a file claims, s; None for files that only guess."""
    name = container.format.name
    if name.startswith("matroska"):
        found = _DURATION.match(stream.metadata.get("DURATION", ""))
        if found is None:
            return None
        hours, minutes, seconds = (Fraction(part) for part in found.groups())
        # The tag is the time of the end.
        began = Fraction((stream.start_time or 0) * (stream.time_base or 0))
        return 3600 * hours + 60 * minutes + seconds - max(began, Fraction(0))
    if name.startswith(("mov", "avi")) and stream.duration is not None and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return None
