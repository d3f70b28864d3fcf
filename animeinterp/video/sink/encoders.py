"""How a film is encoded: the encoder that fits film, file and wish. `animeinterp.video.sink.segments` writes with it.

Kept of the film where the encoder can: subsampling of chroma, 10 bits, alpha, color tags, HDR10's static metadata, the
shape of pixels. Numbers of threads are fixed, so that the same frames give the same packets in every run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2

from animeinterp.errors import FileError, UsageError
from animeinterp.io import files
from animeinterp.video.sink.color_tags import tags_of
from animeinterp.video.source.color import is_rgb
from animeinterp.video.source.hdr import hdr_options, is_hdr
from animeinterp.video.source.info import ColorInfo, VideoInfo

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".gif": "gif", ".webp": "webp", ".apng": "apng", ".png": "apng",
}  # fmt: skip
ANIMATED = ("gif", "webp", "apng")
_NAMES = {
    "h264": "libx264", "x264": "libx264", "h265": "libx265", "x265": "libx265", "hevc": "libx265",
    "vp9": "libvpx-vp9", "av1": "libsvtav1", "prores": "prores_ks",
}  # fmt: skip
_THREADS = "8"  # x264's packets depend on their number; and so a run may go on where there are more cores
_AVX512 = 256  # OpenCV's number for what x264 means by it
_UNKNOWN = -1
_MAX_RATE = 500  # per second; segments count in ms
_USUAL_RATE = Fraction(24)  # per second


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the user asks for.

    codec: auto, h264, h265 (hevc), vp9, av1, ffv1, prores or an FFmpeg encoder's name. crf: quality as the encoder
    counts it, less is better. preset: its own name or number for how hard it tries. lossless: frames come back bit by
    bit.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    lossless: bool = False


@dataclass(frozen=True, slots=True)
class Encoder:
    """What encodes a film. name: FFmpeg's. container: FFmpeg's name of the target's format; one of `ANIMATED` is made
    of lossless segments. pix_fmt: FFmpeg's name. color: tags. options: FFmpeg's.
    """

    name: str
    container: str
    pix_fmt: str
    color: ColorInfo
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Kind:
    """An encoder's ways. crf: the usual one, None = it has no such thing; up to max_crf. preset: the usual one, out of
    `presets` (None = any), called `preset_option`. lossless: options for it; None = it cannot.
    """

    crf: int | None = None
    max_crf: int = 63
    preset: str | None = None
    presets: tuple[str, ...] | None = ()
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    lossless: tuple[tuple[str, str], ...] | None = None


_X26 = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_STEPS = tuple(str(step) for step in range(14))
_KINDS = {
    "libx264": _Kind(16, 51, "medium", _X26, lossless=(("qp", "0"),)),
    "libx264rgb": _Kind(16, 51, "medium", _X26, lossless=(("qp", "0"),)),
    "libx265": _Kind(
        18, 51, "medium", _X26,
        options=(("x265-params", "log-level=none:frame-threads=2"),), lossless=(("x265-params", "lossless=1"),),
    ),
    "libvpx-vp9": _Kind(
        24, 63, "2", _STEPS[:9], "cpu-used", (("row-mt", "1"), ("tile-columns", "2")), (("lossless", "1"),)
    ),
    "libsvtav1": _Kind(24, 63, "6", _STEPS),
    "ffv1": _Kind(options=(("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")), lossless=()),
    "prores_ks": _Kind(options=(("vendor", "apl0"),)),
}  # fmt: skip


def container_of(target: Path) -> str:
    """FFmpeg's name of the format that a target's suffix stands for. Raises UsageError for others."""
    try:
        return CONTAINERS[target.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise UsageError(f"{target} has no known suffix; expected one of {known}, or a folder without any") from None


def choose_encoder(target: Path, film: VideoInfo, encoding: Encoding, rate: Fraction = _USUAL_RATE) -> Encoder:
    """The encoder for a film. Raises UsageError for what cannot be: asked before the long work.

    rate: frames per second of the new film. A frame is encoded to see whether all goes together.

    Animated pictures (`ANIMATED`) are encoded from segments without loss, see `animeinterp.video.sink.animated`. Sizes
    that do not divide by two keep all their chroma (4:4:4) where an encoder cannot halve it.
    """
    container = container_of(target)
    check_rate(rate)
    encoding = _asked(encoding, container)
    name = _encoder_name(encoding, container, film)
    available = _formats(name)
    options = _options(name, encoding, film)
    bitwise = (encoding.lossless or name == "ffv1") and not film.headroom
    wishes = _rgb_pixels(film) if bitwise else [*_wishes(film), *_rgb_pixels(film)]
    fitting = [wish for wish in wishes if wish in available]
    if not fitting:
        raise UsageError(_no_pixels(name, film, encoding))
    muxer = "matroska" if container in ANIMATED else container
    encoders = [
        Encoder(name, container, pix_fmt, color, _of_pixels(name, pix_fmt, options))
        for pix_fmt in fitting
        for color in tags_of(film, name, pix_fmt)
    ]
    for encoder in encoders:
        if _works(encoder, muxer, film.width, film.height, rate):
            return encoder
    raise UsageError(_why_not(encoders[0], muxer, film, encoding, rate))


def check_rate(rate: Fraction) -> None:
    """Raise UsageError if segments cannot hold so many frames per second."""
    if rate > _MAX_RATE:
        raise UsageError(f"expected {_MAX_RATE} frames per second at most, got {float(rate):g}; ask for fewer")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system say of a file that cannot be written into a FileError."""
    with files.report_write_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise FileError(
                f"cannot write {path}: {error.strerror}; choose another --codec or write to .mkv"
            ) from error


def _asked(encoding: Encoding, container: str) -> Encoding:
    if container in ANIMATED:
        if encoding.codec != "auto":
            raise UsageError(f"{container} has no choice of codecs, got {encoding.codec!r}; leave out --codec")
        return Encoding(lossless=True)
    if encoding.lossless and encoding.crf is not None:
        raise UsageError(f"lossless has no quality to choose, got crf {encoding.crf}; leave out one of the two")
    return encoding


def _encoder_name(encoding: Encoding, container: str, film: VideoInfo) -> str:
    name = _NAMES.get(encoding.codec, encoding.codec)
    if name == "auto":
        name = _usual(container, film, encoding.lossless)
    rgb = encoding.lossless and not film.headroom
    return "libx264rgb" if name == "libx264" and rgb else name


def _usual(container: str, film: VideoInfo, lossless: bool) -> str:
    deep = film.depth == 16
    if container in ANIMATED or (container == "matroska" and (lossless or (film.alpha and deep))):
        return "ffv1"
    if lossless:
        return "libvpx-vp9" if container == "webm" else "libx264"
    if film.alpha and container != "mp4":
        return "prores_ks" if container == "mov" else "libvpx-vp9"
    if container == "webm":
        return "libsvtav1" if deep else "libvpx-vp9"
    return "libx265" if is_hdr(film) else "libx264"


def _formats(name: str) -> Sequence[str]:
    try:
        codec = av.Codec(name, "w")
    except (av.FFmpegError, ValueError):
        known = ", ".join(sorted({*_NAMES, "ffv1"}))
        raise UsageError(f"expected a codec out of auto, {known}, or an FFmpeg encoder, got {name!r}") from None
    if codec.type != "video":
        raise UsageError(f"{name} encodes {codec.type}; expected a codec for video")
    return [pixels.name for pixels in codec.video_formats or ()]


def _check_asked(name: str, kind: _Kind, encoding: Encoding) -> None:
    if encoding.lossless and kind.lossless is None:
        raise UsageError(f"{name} is not lossless; choose --codec ffv1, h264, h265 or vp9, or leave out --lossless")
    if encoding.crf is not None and (kind.crf is None or not 0 <= encoding.crf <= kind.max_crf):
        expected = "no crf" if kind.crf is None else f"a crf from 0 to {kind.max_crf}"
        raise UsageError(f"expected {expected} for {name}, got {encoding.crf}; change it or leave it out")
    if encoding.preset is not None and kind.presets is not None and encoding.preset not in kind.presets:
        expected = f"a preset out of {', '.join(kind.presets)}" if kind.presets else "no preset"
        raise UsageError(f"expected {expected} for {name}, got {encoding.preset!r}; change it or leave it out")


def _kind(name: str) -> _Kind:
    if name in _KINDS:
        return _KINDS[name]
    known = {option.name for option in av.CodecContext.create(name, "w").supported_options.private}
    return _Kind(_UNKNOWN if "crf" in known else None, presets=None if "preset" in known else ())


def _options(name: str, encoding: Encoding, film: VideoInfo) -> dict[str, str]:
    kind = _kind(name)
    _check_asked(name, kind, encoding)
    options = {"threads": _THREADS} | dict(kind.options)
    crf = kind.crf if encoding.crf is None else encoding.crf
    if crf not in (None, _UNKNOWN) and not encoding.lossless:
        options["crf"] = str(crf)
    preset = encoding.preset or kind.preset
    if preset is not None:
        options[kind.preset_option] = preset
    more = [*hdr_options(name, film), *((kind.lossless or ()) if encoding.lossless else ())]
    if name in ("libx264", "libx264rgb") and cv2.checkHardwareSupport(_AVX512):
        # x264's lookahead reads memory that it never wrote there: no two runs gave the same packets
        more.append(("x264-params", "asm=AVX2"))
    for option, value in more:
        options[option] = f"{options[option]}:{value}" if option in options else value
    return options


def _of_pixels(name: str, pix_fmt: str, options: dict[str, str]) -> dict[str, str]:
    if name != "prores_ks":
        return options
    full = pix_fmt.startswith(("yuv444", "yuva444"))
    return options | {"profile": "4444" if full else "hq"} | ({"alpha_bits": "16"} if "yuva" in pix_fmt else {})


def _wishes(film: VideoInfo) -> list[str]:
    """Pixels that keep most of the film's, best first: depth, then chroma, in full before less."""
    pixels = av.VideoFormat(film.pix_fmt)
    chroma = "420"
    if not is_rgb(film.pix_fmt) and len(pixels.components) >= 3:
        across, down = pixels.chroma_width(64) < 64, pixels.chroma_height(64) < 64
        chroma = "420" if across and down else "422" if across else "444"
    others = {"420": ("420", "422", "444"), "422": ("422", "444", "420"), "444": ("444", "422", "420")}[chroma]
    depths = ("10le", "") if film.depth == 16 else ("", "10le")
    return [f"yuv{'a' if film.alpha else ''}{subsampling}p{depth}" for depth in depths for subsampling in others]


def _rgb_pixels(film: VideoInfo) -> list[str]:
    """Pixels that hold frames bit by bit."""
    if film.depth == 16:
        return ["gbrap16le", "rgba64be"] if film.alpha else ["gbrp16le", "rgb48be"]
    return ["bgra", "rgba", "argb", "gbrap"] if film.alpha else ["bgr0", "gbrp", "bgr24", "rgb24"]


def _no_pixels(name: str, film: VideoInfo, encoding: Encoding) -> str:
    if film.alpha:
        return (
            f"{name} holds no alpha, which this film has; write to .mov, .webm or .mkv, or choose vp9, prores or ffv1"
        )
    if encoding.lossless and film.depth == 16:
        return f"{name} cannot hold more than 8 bits without loss; choose --codec ffv1 and write to .mkv"
    return f"{name} takes no pixels that this film could be kept in ({film.pix_fmt}); choose another --codec"


def set_up(context: Any, encoder: Encoder, width: int, height: int, rate: Fraction, aspect: Fraction) -> None:
    """Give an encoder's context what it encodes: size, px; frames per second; width of a pixel by its height."""
    if encoder.name == "libsvtav1":
        # it takes no other word, and writes to stderr otherwise; 1 = errors
        os.environ.setdefault("SVT_LOG", "1")
    context.width, context.height, context.pix_fmt = width, height, encoder.pix_fmt
    context.time_base, context.framerate = 1 / rate, rate
    context.color_primaries, context.color_trc = encoder.color.primaries, encoder.color.transfer
    context.colorspace, context.color_range = encoder.color.matrix, encoder.color.range
    context.sample_aspect_ratio = aspect


def _works(encoder: Encoder, muxer: str, width: int, height: int, rate: Fraction) -> bool:
    """Whether such a file can be begun and a picture encoded; only encoder and muxer know all of their limits."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer, container_options={"strict": "experimental"}) as container:
            stream: Any = container.add_stream(encoder.name, rate=rate, options=dict(encoder.options))
            set_up(stream.codec_context, encoder, width, height, rate, Fraction(1))
            container.start_encoding()
            picture = av.VideoFrame(width, height, encoder.pix_fmt)
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            picture.pts, picture.time_base = 0, 1 / rate
            stream.encode(picture)
            stream.encode(None)
    except (av.FFmpegError, OSError, ValueError, OverflowError):
        return False
    return True


def _why_not(encoder: Encoder, muxer: str, film: VideoInfo, encoding: Encoding, rate: Fraction) -> str:
    name = encoder.name
    if _works(encoder, "matroska", film.width, film.height, rate):
        return f".{muxer} cannot hold what {name} makes; choose another --codec, or write to .mkv"
    if _works(encoder, "matroska", film.width, film.height, _USUAL_RATE):
        return f"{name} cannot encode {float(rate):g} frames per second; choose another --fps, or --codec h264"
    if _works(encoder, "matroska", 128, 128, rate):
        return f"{name} cannot encode {film.width}x{film.height}; choose --codec h264, vp9 or ffv1"
    asked = f"preset {encoding.preset}, crf {encoding.crf}, {encoder.pix_fmt}"
    return (
        f"{name} does not start with these settings ({asked}); leave them out, choose another --codec, or write to .mkv"
    )
