"""Examine the frames of a film: whether its alpha is used, and whether luma leaves the limited range.

Alpha is examined in every frame up to the first that is not opaque. Luma is examined in the keyframes, with which
encoders begin every shot; in short films, and where keyframes are rare, in every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from animeinterp.errors import UsageError
from animeinterp.frame import has_alpha
from animeinterp.video.sink.encoders import ANIMATED, choose_container, choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.source.clock import frame_time
from animeinterp.video.source.color import Samples, has_supported_matrix, is_rgb, view_samples
from animeinterp.video.source.decoding import decode_frames
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import MAX_PIXELS
from animeinterp.video.source.reader import Reader

_FULL_RANGE = 2  # as FFmpeg counts
_BLACK, _WHITE = 16, 235  # limits of the limited range, of 8 bits


@dataclass(frozen=True, slots=True)
class RangeLimits:
    """What counts as luma outside the limited range.

    Encoders overshoot at edges. Chosen on 12 clips of clean cartoons: they overshoot by a few levels in up to 0.06 % of
    the pixels, by 8 levels in none. Levels are of 8 bits.

    Attributes:
        overshoot: Levels outside the range that do not count.
        max_fraction: Fraction of pixels that may exceed that.
        strong_overshoot: Levels outside the range that only few pixels may exceed.
        min_strong: Number of pixels that are no longer few.
        short_film: Frames; of shorter films, and of films with longer distances between keyframes, all are examined.
    """

    overshoot: int = 3
    max_fraction: float = 0.001
    strong_overshoot: int = 8
    min_strong: int = 16
    short_film: int = 250


RANGE_LIMITS = RangeLimits()


def examine(
    film: VideoInfo, target: Path, encoding: Encoding, *, begin: Fraction = Fraction(0), end: Fraction | None = None
) -> VideoInfo:
    """Find out what of a film's color and alpha the target needs.

    Args:
        film: As `probe` describes it.
        target: The file to write; for folders of frames and animated images nothing is examined.
        encoding: The user's encoding.
        begin: Begin of the part that is read, s.
        end: Its end, s; None = the end of the film.

    Returns:
        The film with `alpha`, `headroom`, `uses_chroma_location` and, for 10 bits, `depth` set.

    Raises:
        UsageError: The encoding is invalid, or frames are transparent and the target cannot hold alpha.
        FileError: The film cannot be read.
    """
    if not target.suffix or choose_container(target) in ANIMATED:
        return film if has_supported_matrix(film) else _with_note(film)
    if encoding.bits == 10 and film.has_streams:
        film = replace(film, depth=16)  # 8-bit RGB would round luma, by half a level of 10 bits on average
    opaque = replace(film, alpha=False)
    encoder = choose_encoder(target, opaque, encoding)  # refuses before frames are read
    if is_rgb(encoder.pix_fmt) and not has_supported_matrix(film):
        film, opaque = _with_note(film), _with_note(opaque)
    if film.alpha:
        transparent = _first_transparent(film, begin, end)
        if transparent is None:
            film = opaque
        else:
            _check_holds_alpha(target, film, encoding, transparent)
    wide = replace(film, headroom=True)
    if (
        _may_exceed_range(film)
        and not is_rgb(choose_encoder(target, wide, encoding).pix_fmt)
        and _exceeds_range(film, begin, end)
    ):
        film = wide
    to_yuv = _is_yuv(film) and not is_rgb(choose_encoder(target, film, encoding).pix_fmt)
    return replace(film, uses_chroma_location=False) if to_yuv else film


def _with_note(film: VideoInfo) -> VideoInfo:
    """Note that the colors of a film are approximate."""
    note = f"colors are approximate, because the film's matrix (code {film.color.matrix} of H.273) cannot become RGB"
    return replace(film, notes=(*film.notes, note))


def _check_holds_alpha(target: Path, film: VideoInfo, encoding: Encoding, transparent: Fraction) -> None:
    """Raise UsageError if the target cannot hold alpha; `transparent` is the time of the first such frame, s."""
    try:
        choose_encoder(target, film, encoding)
    except UsageError as error:
        number, time = round(transparent * film.rate), float(transparent)
        raise UsageError(f"{error}; frame {number}, at {time:.3f} s, is the first that is not opaque") from None


def _first_transparent(film: VideoInfo, begin: Fraction, end: Fraction | None) -> Fraction | None:
    """Return the time of the first frame that is not opaque, s; None if all are."""
    for timed in Reader(film, start=begin):
        if end is not None and timed.time >= end:
            break
        frame = timed.frame
        # FFmpeg converts 255 of 8 bits to 65280 of 16.
        if has_alpha(frame) and frame[..., -1].min() < (255 if frame.dtype == np.uint8 else 255 << 8):
            return timed.time
    return None


def _is_yuv(film: VideoInfo) -> bool:
    """Return whether the frames of a film are YUV or gray."""
    return not (film.is_folder or film.webp or is_rgb(film.pix_fmt))


def _may_exceed_range(film: VideoInfo) -> bool:
    """Return whether a film's luma could leave the limited range: not RGB, and not of the full range."""
    if not _is_yuv(film) or film.pix_fmt.startswith(("yuvj", "ya", "mono", "xyz")):
        return False
    return film.color.range != _FULL_RANGE and not (film.color.range == 0 and film.pix_fmt.startswith("gray"))


def _exceeds_range(film: VideoInfo, begin: Fraction, end: Fraction | None, limits: RangeLimits = RANGE_LIMITS) -> bool:
    """Return whether a film's luma leaves the limited range by more than encoders overshoot."""
    duration = (film.duration if end is None else end) - begin
    count = max(1, round(duration * film.rate))
    if count > limits.short_film:
        examined = 0
        for frame in _decode(film, begin, end, keyframes=True):
            if _is_outside(frame, limits):
                return True
            examined += 1
        if examined * limits.short_film >= count:
            return False
    return any(_is_outside(frame, limits) for frame in _decode(film, begin, end))


def _decode(
    film: VideoInfo, begin: Fraction, end: Fraction | None, *, keyframes: bool = False
) -> Iterator[av.VideoFrame]:
    """Decode a part of a film; damaged frames are left out."""
    frames = decode_frames(
        film.path,
        film.clock,
        max_pixels=MAX_PIXELS,
        lost=lambda: None,
        start=film.start + begin if begin else None,
        keyframes=keyframes,
    )
    for frame in frames:
        time = frame_time(frame)
        if end is not None and time is not None and time - film.start >= end:
            return
        yield frame


def _is_outside(frame: av.VideoFrame, limits: RangeLimits) -> bool:
    """Return whether a frame's luma leaves the limited range."""
    if int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj"):
        return False
    luma, bits = _luma(frame)
    level = 1 << (bits - 8)
    low, high = (_BLACK - limits.overshoot) * level, (_WHITE + limits.overshoot) * level
    if luma.min() >= low and luma.max() <= high:
        return False
    further = (limits.strong_overshoot - limits.overshoot) * level
    outside = np.count_nonzero((luma < low) | (luma > high))
    far_outside = np.count_nonzero((luma < low - further) | (luma > high + further))
    return bool(outside > limits.max_fraction * luma.size or far_outside >= limits.min_strong)


def _luma(frame: av.VideoFrame) -> tuple[Samples, int]:
    """Return a frame's luma, (h, w), and its number of bits."""
    bits = frame.format.components[0].bits
    if not frame.format.name.startswith(("yuv", "gray")) or frame.format.name.startswith(("yuvy", "yuyv")):
        # Any matrix will do from YUV to YUV; swscale refuses some that films are tagged with.
        layout = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
        frame = frame.reformat(format=layout, src_colorspace=5, dst_colorspace=5)
    return view_samples(frame, 0), bits
