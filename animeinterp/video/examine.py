"""What only a look at its frames tells of a film: whether its alpha is used, and whether luma leaves the limited range.

Alpha is looked for in every frame up to the first that is not opaque. Luma is looked at in the keyframes, with which
encoders begin every shot; in short films, and where keyframes are rare, in every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animeinterp.errors import UsageError
from animeinterp.frame import has_alpha
from animeinterp.video.sink.encoders import ANIMATED, Encoding, choose_encoder, container_of
from animeinterp.video.source.color import has_supported_matrix, is_rgb
from animeinterp.video.source.decoding import decode_frames
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import MAX_PIXELS
from animeinterp.video.source.reader import Reader

_FULL = 2
_OPAQUE = 255  # of 8 bits; FFmpeg makes 65280 of it in 16
_SHORT = 250  # frames; of shorter films, and for each keyframe, all are looked at
_BLACK, _WHITE = 16, 235  # of 8 bits
# Encoders overshoot at outlines by a few levels in up to 0.06 % of a clean cartoon's pixels (12 clips), by 8 in none.
_SLIGHT, _SHARE = 3, 0.001
_STRONG, _COUNT = 8, 16


def examined(
    film: VideoInfo, target: Path, encoding: Encoding, *, begin: Fraction = Fraction(0), end: Fraction | None = None
) -> VideoInfo:
    """Return the film with `alpha`, `headroom` and `uses_chroma_location` as its frames and the target need them.

    Args:
        film: As `probe` describes it.
        target: The file to write; for folders of frames and animated images nothing is looked at.
        encoding: What the user asks for.
        begin: Where the part that is read begins, s.
        end: Where it ends, s; None = with the film.

    Raises:
        UsageError: The encoding is impossible, or frames are transparent and the target cannot hold alpha.
        FileError: The film cannot be read.
    """
    if not target.suffix or container_of(target) in ANIMATED:
        return film if has_supported_matrix(film) else _with_note(film)
    opaque = replace(film, alpha=False)
    encoder = choose_encoder(target, opaque, encoding)  # refuses before the long look
    if is_rgb(encoder.pix_fmt) and not has_supported_matrix(film):
        film, opaque = _with_note(film), _with_note(opaque)
    if film.alpha:
        first = _first_transparent(film, begin, end)
        if first is None:
            film = opaque
        else:
            _check_holds_alpha(target, film, encoding, first)
    wider = replace(film, headroom=True)
    if _may_exceed_range(film) and not is_rgb(choose_encoder(target, wider, encoding).pix_fmt):
        film = wider if _exceeds_range(film, begin, end) else film
    to_yuv = _is_yuv(film) and not is_rgb(choose_encoder(target, film, encoding).pix_fmt)
    return replace(film, uses_chroma_location=False) if to_yuv else film


def _with_note(film: VideoInfo) -> VideoInfo:
    note = f"colors are approximate, because the film's matrix (code {film.color.matrix} of H.273) cannot become RGB"
    return replace(film, notes=(*film.notes, note))


def _check_holds_alpha(target: Path, film: VideoInfo, encoding: Encoding, first: Fraction) -> None:
    try:
        choose_encoder(target, film, encoding)
    except UsageError as error:
        number = round(first * film.rate)
        raise UsageError(f"{error}; frame {number}, at {float(first):.3f} s, is the first that is not opaque") from None


def _first_transparent(film: VideoInfo, begin: Fraction, end: Fraction | None) -> Fraction | None:
    """When the first frame stands that is not wholly opaque, s; None if all are."""
    for shown in Reader(film, start=begin):
        if end is not None and shown.time >= end:
            break
        frame = shown.frame
        if has_alpha(frame) and frame[..., -1].min() < (_OPAQUE if frame.dtype == np.uint8 else _OPAQUE << 8):
            return shown.time
    return None


def _is_yuv(film: VideoInfo) -> bool:
    return not (film.is_folder or film.webp or is_rgb(film.pix_fmt))


def _may_exceed_range(film: VideoInfo) -> bool:
    """Whether a film's luma could leave the limited range: not RGB, and not of the full range."""
    if not _is_yuv(film) or film.pix_fmt.startswith(("yuvj", "ya", "mono", "xyz")):
        return False
    return film.color.range != _FULL and not (film.color.range == 0 and film.pix_fmt.startswith("gray"))


def _exceeds_range(film: VideoInfo, begin: Fraction, end: Fraction | None) -> bool:
    """Whether more of a film's luma leaves the limited range than what encoders overshoot by."""
    length = (film.duration if end is None else end) - begin
    count = max(1, round(length * film.rate))
    if count > _SHORT:
        looked_at = 0
        for picture in _pictures(film, begin, end, keyframes=True):
            if _is_outside(picture):
                return True
            looked_at += 1
        if looked_at * _SHORT >= count:
            return False
    return any(_is_outside(picture) for picture in _pictures(film, begin, end))


def _pictures(film: VideoInfo, begin: Fraction, end: Fraction | None, *, keyframes: bool = False) -> Iterator[Any]:
    """Decode a span of a film, over what is damaged."""
    pictures = decode_frames(
        film.path,
        film.clock,
        max_pixels=MAX_PIXELS,
        lost=lambda: None,
        start=film.start + begin if begin else None,
        keyframes=keyframes,
    )
    for picture in pictures:
        if picture.pts is not None:
            time = picture.pts * picture.time_base - film.start
            if end is not None and time >= end:
                return
        yield picture


def _is_outside(picture: Any) -> bool:
    """Whether a picture's luma leaves the limited range."""
    if int(picture.color_range) == _FULL or picture.format.name.startswith("yuvj"):
        return False
    luma, bits = _luma(picture)
    unit = 1 << (bits - 8)
    low, high = (_BLACK - _SLIGHT) * unit, (_WHITE + _SLIGHT) * unit
    if luma.min() >= low and luma.max() <= high:
        return False
    more = (_STRONG - _SLIGHT) * unit
    slight = np.count_nonzero((luma < low) | (luma > high))
    strong = np.count_nonzero((luma < low - more) | (luma > high + more))
    return bool(slight > _SHARE * luma.size or strong >= _COUNT)


def _luma(picture: Any) -> tuple[NDArray[np.unsignedinteger[Any]], int]:
    """A picture's luma, (h, w), and its bits."""
    bits = picture.format.components[0].bits
    if not picture.format.name.startswith(("yuv", "gray")) or picture.format.name.startswith(("yuvy", "yuyv")):
        # Any matrix will do from YUV to YUV; swscale refuses some that films are tagged with.
        layout = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
        picture = picture.reformat(format=layout, src_colorspace=5, dst_colorspace=5)
    plane = picture.planes[0]
    size = 1 if bits == 8 else 2
    kind = "u1" if size == 1 else ">u2" if picture.format.name.endswith("be") else "<u2"
    values: Any = np.frombuffer(plane, kind).reshape(-1, plane.line_size // size)
    return values[: plane.height, : plane.width], bits
