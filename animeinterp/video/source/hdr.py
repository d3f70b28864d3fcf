"""HDR10's static metadata: convert FFmpeg's side data to the options of encoders."""

from __future__ import annotations

import struct
from fractions import Fraction

from animeinterp.video.source.info import VideoInfo

_PQ, _HLG = 16, 18  # transfer characteristics of H.273
# AVMasteringDisplayMetadata: x, y of red, green, blue, white; min and max luminance, cd/m²; which of both are set
_MASTERING_DISPLAY = struct.Struct("=20i2i")
_CONTENT_LIGHT = struct.Struct("=2I")  # AVContentLightMetadata: brightest pixel, brightest frame average, cd/m²


def is_hdr(film: VideoInfo) -> bool:
    """Whether a film has high dynamic range: by its transfer characteristics or its mastering display."""
    return film.color.transfer in (_PQ, _HLG) or film.mastering_display is not None


def hdr_options(encoder: str, film: VideoInfo) -> list[tuple[str, str]]:
    """Return the options with which an encoder writes a film's HDR10 metadata.

    Args:
        encoder: FFmpeg's name of the encoder.
        film: The film; its `mastering_display` and `content_light` are converted.

    Returns:
        Names and values of options; empty for encoders that cannot write the metadata.
    """
    option = {"libx265": "x265-params", "libx264": "x264-params", "libsvtav1": "svtav1-params"}.get(encoder)
    if option is None:
        return []
    params = []
    data = film.mastering_display
    display = None if data is None else _format_display(data, whole=encoder != "libsvtav1")
    if display is not None:
        params.append(f"{'mastering-display' if encoder != 'libx265' else 'master-display'}={display}")
    if film.content_light is not None and len(film.content_light) >= _CONTENT_LIGHT.size:
        name = {"libx265": "max-cll", "libx264": "cll", "libsvtav1": "content-light"}[encoder]
        params.append("{}={},{}".format(name, *_CONTENT_LIGHT.unpack_from(film.content_light)))
    if encoder == "libx265" and params:
        params.append("hdr10=1")
    return [(option, ":".join(params))] if params else []


def _format_display(data: bytes, *, whole: bool) -> str | None:
    """Format the mastering display; `whole` counts in HEVC's steps of 0.00002 (x, y) and 0.0001 cd/m²."""
    if len(data) < _MASTERING_DISPLAY.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING_DISPLAY.unpack_from(data)
    values = [Fraction(a, b or 1) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    if not has_primaries or not has_luminance:
        return None

    def number(value: Fraction, steps: int) -> str:
        """Format one number, in `steps` per unit."""
        return str(round(value * steps)) if whole else f"{float(value):.5f}"

    points = (f"({number(x, 50_000)},{number(y, 50_000)})" for x, y in zip(values[:8:2], values[1:8:2], strict=True))
    red, green, blue, white = points
    darkest, brightest = number(values[8], 10_000), number(values[9], 10_000)
    return f"G{green}B{blue}R{red}WP{white}L({brightest},{darkest})"
