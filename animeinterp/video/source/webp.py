"""Read animated WebP as a film. FFmpeg cannot read it; Pillow (libwebp) can.

The chunks of the file (RFC 9649) give size, durations and alpha before any frame is decoded; frames are decoded one by
one. A frame of 0 ms is shown for 100 ms, as browsers do.
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
from animeinterp.video.source.rates import snap_time

_ALPHA_FLAG = 0x10  # in VP8X
_ZERO_DURATION_MS = 100  # of a frame whose declared duration is 0
_MAX_DURATION_MS = 60_000  # of a frame; the file is damaged or hostile if it declares more
_ROUNDING_MS = 1  # by which times of a regular clock are off, at most
_TICK = Fraction(2 * _ROUNDING_MS, 1000)  # s, in which times snap to the clock: sums are rounded once more
_MAX_SHORTENING = Fraction(21, 20)  # of the shortest frame, for the same reason
_COMMON_RATES = (
    *map(Fraction, (8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60)),
    *(Fraction(k * 1000, 1001) for k in (24, 30, 60)),
)
_WHOLE_RATES = tuple(map(Fraction, range(1, 121)))


@dataclass(frozen=True, slots=True)
class _Animation:
    """What the chunks declare; durations of the frames in ms."""

    width: int
    height: int
    alpha: bool
    durations: tuple[int, ...]
    notes: tuple[str, ...]


def is_webp_file(path: Path) -> bool:
    """Whether a file is WebP, by its first bytes.

    Raises:
        FileError: The file cannot be read.
    """
    with report_decode_errors(path), path.open("rb") as file:
        return is_webp(file.read(12))


def probe_webp(path: Path, max_pixels: int) -> VideoInfo:
    """Describe an animated WebP as a film.

    Args:
        path: The file.
        max_pixels: Largest frame that is accepted, px.

    Raises:
        FileError: The file is a still image, damaged or truncated.
        FrameError: The image is too small or too large.
    """
    animation = _read_chunks(path, max_pixels)
    rate = _estimate_rate(animation.durations)
    return VideoInfo(
        path=path,
        width=animation.width,
        height=animation.height,
        rate=rate,
        start=Fraction(0),
        duration=snap_time(Fraction(sum(animation.durations), 1000), rate, _TICK),
        frames=len(animation.durations),
        pix_fmt="gbrap" if animation.alpha else "gbrp",
        alpha=animation.alpha,
        notes=animation.notes,
        webp=True,
    )


def read_webp_frames(
    film: VideoInfo, start: Fraction, max_pixels: int, lost: Callable[[int], None]
) -> Iterator[TimedFrame]:
    """Yield the frames of an animated WebP, uint8 RGB or RGBA.

    Args:
        film: The film, as `probe_webp` describes it.
        start: Time from which frames are needed, s; frames that end earlier are skipped.
        max_pixels: Largest frame that is accepted, px.
        lost: Called with the number of frames at the end that cannot be decoded.

    Raises:
        FileError: No frame can be decoded.
    """
    durations = _read_chunks(film.path, max_pixels).durations
    ends = [snap_time(Fraction(ms, 1000), film.rate, _TICK) for ms in accumulate(durations)]
    with report_decode_errors(film.path), film.path.open("rb") as file, without_pillow_limit():
        image = Image.open(file, formats=["WEBP"])
    for number, (begin, end) in enumerate(zip([Fraction(0), *ends], ends, strict=False)):
        try:
            image.seek(number)
            image.load()
        except Exception as error:  # decoders raise errors of any type on damaged data
            if not number:
                raise FileError(f"{film.path}: no frame could be decoded; give another file") from error
            lost(len(durations) - number)
            return
        if end > start:
            yield TimedFrame(number, begin, np.array(image.convert("RGBA" if film.alpha else "RGB")))


def _read_chunks(path: Path, max_pixels: int) -> _Animation:
    """Read the declared size, alpha and durations of an animation."""
    with report_decode_errors(path), path.open("rb") as file:
        head = file.read(32)
        size = declared_size(head)
        if size is None:
            raise FileError(f"{path} is damaged: it declares no size; export or copy it again")
        check_size(*size, max_pixels, str(path))
        durations = _read_durations(file, path) if head[12:16] == b"VP8X" else []
    if not durations:
        raise FileError(
            f"{path} is a still image; expected a film, an animated WebP or a folder of frames, so give one of these"
        )
    limited = tuple(min(ms, _MAX_DURATION_MS) or _ZERO_DURATION_MS for ms in durations)
    note = f"{path} has frames of up to {max(durations) / 1000:g} s; they are shown for {_MAX_DURATION_MS // 1000} s"
    notes = (note,) if max(durations) > _MAX_DURATION_MS else ()
    return _Animation(*size, bool(head[20] & _ALPHA_FLAG), limited, notes)


def _read_durations(file: BinaryIO, path: Path) -> list[int]:
    """Read the durations of the frames, ms; empty for a still image. Raises FileError if the file is truncated."""
    durations: list[int] = []
    length = os.fstat(file.fileno()).st_size
    file.seek(4)
    end = min(length, 8 + int.from_bytes(file.read(4), "little"))
    offset = 12
    while offset + 8 <= end:
        file.seek(offset)
        chunk = file.read(24)
        size = int.from_bytes(chunk[4:8], "little")
        if chunk[:4] == b"ANMF":
            if offset + 8 + size > length:
                raise FileError(f"{path} is truncated after {len(durations)} frames; export or copy it again")
            durations.append(int.from_bytes(chunk[20:23], "little"))
        offset += 8 + size + size % 2
    return durations


def _estimate_rate(durations: tuple[int, ...]) -> Fraction:
    """Return the rate of the slowest common clock that all times keep to 1 ms, else that of the shortest frame.

    Encoders merge equal frames, so that some durations are multiples of the clock's interval.
    """
    shortest = Fraction(1000, min(durations))
    average = Fraction(1000 * len(durations), sum(durations))
    times = list(accumulate(durations[:-1]))  # when frames appear; the end is rounded separately
    for rate in (*sorted({average, shortest, *_COMMON_RATES}), *_WHOLE_RATES):
        if average <= rate <= shortest * _MAX_SHORTENING and all(
            abs(ms - round(ms * rate / 1000) * 1000 / rate) <= _ROUNDING_MS for ms in times
        ):
            return rate
    return shortest
