"""HDR10's static metadata: from FFmpeg's side data to the words that encoders take."""

from __future__ import annotations

import struct
from fractions import Fraction

from animeinterp.video.source.info import VideoInfo

_PQ, _HLG = 16, 18
_MASTERING = struct.Struct(
    "=20i2i"
)  # AVMasteringDisplayMetadata: x, y of red, green, blue, white; min, max; said or not
_LIGHT = struct.Struct("=2I")  # AVContentLightMetadata: brightest pixel, brightest frame, cd/m²


def is_hdr(film: VideoInfo) -> bool:
    """Whether a film's light goes beyond that of a usual screen."""
    return film.color.transfer in (_PQ, _HLG) or film.mastering_display is not None


def hdr_options(encoder: str, film: VideoInfo) -> list[tuple[str, str]]:
    """Options, name and value, that have an encoder write a film's metadata; none for encoders that cannot."""
    option = {"libx265": "x265-params", "libx264": "x264-params", "libsvtav1": "svtav1-params"}.get(encoder)
    if option is None:
        return []
    words = []
    screen = None if film.mastering_display is None else _screen(film.mastering_display, whole=encoder != "libsvtav1")
    if screen is not None:
        words.append(f"{'mastering-display' if encoder != 'libx265' else 'master-display'}={screen}")
    if film.content_light is not None and len(film.content_light) >= _LIGHT.size:
        name = {"libx265": "max-cll", "libx264": "cll", "libsvtav1": "content-light"}[encoder]
        words.append("{}={},{}".format(name, *_LIGHT.unpack_from(film.content_light)))
    if encoder == "libx265" and words:
        words.append("hdr10=1")
    return [(option, ":".join(words))] if words else []


def _screen(data: bytes, *, whole: bool) -> str | None:
    """The screen that a film was graded on. whole: in steps of 0.00002 and 0.0001 cd/m², as HEVC counts."""
    if len(data) < _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    values = [Fraction(a, b or 1) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    if not has_primaries or not has_luminance:
        return None

    def said(value: Fraction, steps: int) -> str:
        return str(round(value * steps)) if whole else f"{float(value):.5f}"

    red, green, blue, white = (f"({said(values[i], 50_000)},{said(values[i + 1], 50_000)})" for i in range(0, 8, 2))
    darkest, brightest = said(values[8], 10_000), said(values[9], 10_000)
    return f"G{green}B{blue}R{red}WP{white}L({brightest},{darkest})"
