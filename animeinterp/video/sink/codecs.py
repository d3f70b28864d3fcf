"""Find FFmpeg's encoder for the user's name of a codec, or for a film if there is none."""

from __future__ import annotations

from collections.abc import Sequence

import av

from animeinterp.errors import UsageError
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.hardware import explain_missing, find_hardware
from animeinterp.video.source.hdr import is_hdr
from animeinterp.video.source.info import VideoInfo

# The encoders of a codec, best first.
_CODEC_NAMES = {
    "h264": ("libx264",), "x264": ("libx264",), "h265": ("libx265",), "x265": ("libx265",), "hevc": ("libx265",),
    "vp9": ("libvpx-vp9",), "av1": ("libsvtav1", "libaom-av1"), "prores": ("prores_ks",),
}  # fmt: skip


def choose_codec(container: str, film: VideoInfo, encoding: Encoding) -> str:
    """Choose the encoder of a film.

    Args:
        container: FFmpeg's name of the target's container.
        film: The film to encode.
        encoding: What the user requests.

    Returns:
        FFmpeg's name, also of an encoder that this build does not have.
    """
    codec = encoding.codec
    name = find_codec(_choose_default_codec(container, film, encoding) if codec == "auto" else codec)
    rgb = encoding.lossless and not film.headroom
    return "libx264rgb" if name == "libx264" and rgb else name


def _choose_default_codec(container: str, film: VideoInfo, encoding: Encoding) -> str:
    deep, lossless = film.depth == 16, encoding.lossless
    if container == "matroska" and (lossless or (film.alpha and deep)):
        return "ffv1"
    if lossless:
        return "vp9" if container == "webm" else "h264"
    if film.alpha and container != "mp4":
        return "prores" if container == "mov" else "vp9"
    if container == "webm":
        return "av1" if encoding.bits == 10 or (deep and encoding.bits is None) else "vp9"
    return "h265" if is_hdr(film) else "h264"


def find_codec(codec: str) -> str:
    """Return FFmpeg's name of an encoder for the user's name of a codec: its first one that this build has."""
    names = _CODEC_NAMES.get(codec, (codec,))
    return next((name for name in names if _is_in_build(name)), names[0])


def _is_in_build(name: str) -> bool:
    """Return whether this build of FFmpeg has an encoder."""
    try:
        return bool(av.Codec(name, "w").name)
    except (av.FFmpegError, ValueError):
        return False


def list_formats(name: str) -> Sequence[str]:
    """Return the pixel formats of an encoder, by FFmpeg's names. Raises UsageError if this build does not have it."""
    if not _is_in_build(name):
        raise UsageError(_explain_unknown(name))
    codec = av.Codec(name, "w")
    if codec.type != "video":
        raise UsageError(f"{name} encodes {codec.type}; expected a codec for video")
    return [pix_fmt.name for pix_fmt in codec.video_formats or ()]


def _explain_unknown(name: str) -> str:
    hardware = find_hardware(name)
    if hardware is not None:
        return explain_missing(hardware, None)
    if any(name in names for names in _CODEC_NAMES.values()):
        return f"this build of FFmpeg has no encoder {name}; choose another --codec"
    known = ", ".join(sorted({*_CODEC_NAMES, "ffv1"}))
    return f"expected a codec out of auto, {known}, or an FFmpeg encoder, got {name!r}"
