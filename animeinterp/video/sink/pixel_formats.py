"""The pixel formats in which a film can be encoded, best first."""

from __future__ import annotations

from collections.abc import Collection

import av

from animeinterp.video.source.color import PLANAR_FORMATS, is_rgb
from animeinterp.video.source.info import VideoInfo

_CHROMA_ORDERS = {"420": ("420", "422", "444"), "422": ("422", "444", "420"), "444": ("444", "422", "420")}
_SUFFIXES = {8: "", 10: "10le"}
_PACKED_FORMATS = {planar: packed for packed, planar in PLANAR_FORMATS.items()}


def list_yuv_formats(film: VideoInfo, bits: int | None = None) -> list[str]:
    """Return the YUV formats for a film, best first: its depth before another, its chroma before more or less.

    Args:
        film: The film to encode.
        bits: The only number of bits, 8 or 10; None prefers the film's and allows both.
    """
    pixels = av.VideoFormat(film.pix_fmt)
    chroma = "420"
    if not is_rgb(film.pix_fmt) and len(pixels.components) >= 3:
        across, down = pixels.chroma_width(64) < 64, pixels.chroma_height(64) < 64
        chroma = "420" if across and down else "422" if across else "444"
    depths = [bits] if bits is not None else [10, 8] if film.depth == 16 else [8, 10]
    alpha = "a" if film.alpha else ""
    return [f"yuv{alpha}{subsampling}p{_SUFFIXES[depth]}" for depth in depths for subsampling in _CHROMA_ORDERS[chroma]]


def list_rgb_formats(film: VideoInfo) -> list[str]:
    """Return the RGB formats that hold frames exactly."""
    if film.depth == 16:
        return ["gbrap16le", "rgba64be"] if film.alpha else ["gbrp16le", "rgb48be"]
    return ["bgra", "rgba", "argb", "gbrap"] if film.alpha else ["bgr0", "gbrp", "bgr24", "rgb24"]


def select_formats(preferred: Collection[str], available: Collection[str], max_bits: int | None) -> list[str]:
    """Select the formats that an encoder has; hardware has some only with interleaved chroma.

    Args:
        preferred: Formats, best first.
        available: Those of the encoder.
        max_bits: The most bits that it encodes, whatever it lists; None = no limit.
    """
    selected = []
    for pix_fmt in preferred:
        usable = [name for name in (pix_fmt, _PACKED_FORMATS.get(pix_fmt)) if name in available]
        if usable and (max_bits is None or count_bits(pix_fmt) <= max_bits):
            selected.append(usable[0])
    return [name for name in selected if name is not None]


def count_bits(pix_fmt: str) -> int:
    """Return the bits of a sample of a pixel format; 0 for frames that lie in hardware."""
    return max((component.bits for component in av.VideoFormat(pix_fmt).components), default=0)
