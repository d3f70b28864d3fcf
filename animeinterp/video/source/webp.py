"""Animated WebP as a film. FFmpeg cannot read it; Pillow (libwebp) can.

The chunks of the file (RFC 9649) say size, times and alpha before any frame is decoded; frames are decoded one by one.
Times are the file's, ms. A frame of 0 ms stands for 100 ms, as browsers show it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from animeinterp.errors import FileError
from animeinterp.frame import check_size
from animeinterp.io.image_header import declared_size, is_webp, report_decode_errors, without_pillow_limit
from animeinterp.video.source.info import TimedFrame, VideoInfo

_ALPHA = 0x10  # flag in VP8X
_SKIPPED = 100  # ms, of a frame that lasts 0 ms
_LONGEST = 60_000  # ms; what stands longer by its file is a damaged or hostile one
_EVEN = 1  # ms by which times of a regular clock are rounded
_LONGER = Fraction(21, 20)  # by which the shortest frame may be, for the same reason
_RATES = (
    *map(Fraction, (8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60)),
    *(Fraction(k * 1000, 1001) for k in (24, 30, 60)),
)


@dataclass(frozen=True, slots=True)
class _Animation:
    """What the chunks say. lengths: of each frame, ms."""

    width: int
    height: int
    alpha: bool
    lengths: tuple[int, ...]
    notes: tuple[str, ...]


_WHOLE = tuple(map(Fraction, range(1, 121)))


def is_webp_file(path: Path) -> bool:
    """Whether a file is WebP, by its first bytes. Raises FileError if it cannot be read."""
    with report_decode_errors(path), path.open("rb") as file:
        return is_webp(file.read(12))


def probe_webp(path: Path, max_pixels: int) -> VideoInfo:
    """Describe an animated WebP as a film.

    Raises:
        FileError: It is a still picture, damaged or cut short.
        FrameError: It is too small or too large.
    """
    found = _read_chunks(path, max_pixels)
    rate = _rate(found.lengths)
    return VideoInfo(
        path=path,
        width=found.width,
        height=found.height,
        rate=rate,
        start=Fraction(0),
        duration=_regular(sum(found.lengths), rate),
        frames=len(found.lengths),
        pix_fmt="gbrap" if found.alpha else "gbrp",
        alpha=found.alpha,
        notes=found.notes,
        webp=True,
    )


def read_webp_frames(
    film: VideoInfo, start: Fraction, max_pixels: int, lost: Callable[[int], None]
) -> Iterator[TimedFrame]:
    """Yield the frames of an animated WebP, RGB or RGBA, 8 bits.

    Args:
        film: As `probe_webp` describes it.
        start: Frames that end before this time, s, are left out.
        max_pixels: As for `probe_webp`.
        lost: Told how many frames could not be decoded; those are the last ones.

    Raises:
        FileError: Not one frame can be decoded.
    """
    lengths = _read_chunks(film.path, max_pixels).lengths
    ends = [_regular(ms, film.rate) for ms in accumulate(lengths)]
    with report_decode_errors(film.path), film.path.open("rb") as file, without_pillow_limit():
        image = Image.open(file, formats=["WEBP"])
    for number, (begin, end) in enumerate(zip([Fraction(0), *ends], ends, strict=False)):
        try:
            image.seek(number)
            image.load()
        except Exception as error:  # decoders raise anything at all on damaged data
            if not number:
                raise FileError(f"{film.path}: no frame could be decoded; give another file") from error
            lost(len(lengths) - number)
            return
        if end > start:
            yield TimedFrame(number, begin, np.array(image.convert("RGBA" if film.alpha else "RGB")))


def _read_chunks(path: Path, max_pixels: int) -> _Animation:
    with report_decode_errors(path), path.open("rb") as file:
        head = file.read(32)
        size = declared_size(head)
        if size is None:
            raise FileError(f"{path} is damaged: it declares no size; export or copy it again")
        check_size(*size, max_pixels, str(path))
        lengths = _lengths(file, path) if head[12:16] == b"VP8X" else []
    if not lengths:
        raise FileError(
            f"{path} is a still picture; expected a film, an animated WebP or a folder of frames, so give one of these"
        )
    capped = [min(ms, _LONGEST) or _SKIPPED for ms in lengths]
    notes = (f"{path} has frames of up to {max(lengths) / 1000:g} s; {_LONGEST // 1000} s are shown",)
    return _Animation(*size, bool(head[20] & _ALPHA), tuple(capped), notes if max(lengths) > _LONGEST else ())


def _lengths(file: BinaryIO, path: Path) -> list[int]:
    """How long the frames stand, ms; none for a still picture. Raises FileError if the file is cut short."""
    lengths: list[int] = []
    length = os.fstat(file.fileno()).st_size
    file.seek(4)
    end = min(length, 8 + int.from_bytes(file.read(4), "little"))
    place = 12
    while place + 8 <= end:
        file.seek(place)
        chunk = file.read(24)
        size = int.from_bytes(chunk[4:8], "little")
        if chunk[:4] == b"ANMF":
            if place + 8 + size > length:
                raise FileError(f"{path} is cut short after {len(lengths)} frames; export or copy it again")
            lengths.append(int.from_bytes(chunk[20:23], "little"))
        place += 8 + size + size % 2
    return lengths


def _rate(lengths: tuple[int, ...]) -> Fraction:
    """Frames per second of the slowest usual clock that all times stand on to the ms; else that of the shortest frame.

    Encoders join frames that are alike, so that some are multiples of the clock's interval.
    """
    shortest = Fraction(1000, min(lengths))
    average = Fraction(1000 * len(lengths), sum(lengths))
    times = list(accumulate(lengths[:-1]))  # when a frame appears; the end is rounded once more
    for rate in (*sorted({average, shortest, *_RATES}), *_WHOLE):
        if average <= rate <= shortest * _LONGER and all(
            abs(ms - round(ms * rate / 1000) * 1000 / rate) <= _EVEN for ms in times
        ):
            return rate
    return shortest


def _regular(ms: int, rate: Fraction) -> Fraction:
    """A time, s, without the rounding to ms if it stands on the clock."""
    time = Fraction(ms, 1000)
    regular = round(time * rate) / rate
    return regular if abs(time - regular) <= Fraction(2 * _EVEN, 1000) else time
