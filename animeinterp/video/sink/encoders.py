"""Choose the encoder of a film; `animeinterp.video.sink.segments` writes with it.

Kept from the source where the encoder can: chroma subsampling, 10 bits, alpha, color tags, HDR10's static metadata,
the pixel aspect ratio. The number of threads is fixed, so the same frames give the same packets in every run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.container import OutputContainer

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import report_write_errors
from animeinterp.video.sink.color_tags import choose_tags
from animeinterp.video.source.color import is_rgb
from animeinterp.video.source.hdr import hdr_options, is_hdr
from animeinterp.video.source.info import ColorInfo, VideoInfo

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".gif": "gif", ".webp": "webp", ".apng": "apng", ".png": "apng",
}  # fmt: skip
ANIMATED = ("gif", "webp", "apng")
_CODEC_NAMES = {
    "h264": "libx264", "x264": "libx264", "h265": "libx265", "x265": "libx265", "hevc": "libx265",
    "vp9": "libvpx-vp9", "av1": "libsvtav1", "prores": "prores_ks",
}  # fmt: skip
_THREADS = "8"  # fixed, because x264's packets depend on it and a run may be resumed on a machine with more cores
_AVX512 = 256  # OpenCV's number for the instruction set that x264 calls AVX-512
_OWN_DEFAULT = -1  # leave the quality to an encoder that this module does not list
_MAX_RATE = 500  # frames per second; segments count time in ms
_DEFAULT_RATE = Fraction(24)  # frames per second


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding that the user requests.

    Attributes:
        codec: auto, h264, h265 (hevc), vp9, av1, ffv1, prores or FFmpeg's name of an encoder.
        crf: Quality on the encoder's scale, lower is better; None = the default.
        preset: The encoder's own name or number for its effort; None = the default.
        lossless: Whether frames must be decoded bit by bit as they were.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    lossless: bool = False


@dataclass(frozen=True, slots=True)
class Encoder:
    """The encoder of a film.

    Attributes:
        name: FFmpeg's name.
        container: FFmpeg's name of the target's container; one of `ANIMATED` is made from lossless segments.
        pix_fmt: FFmpeg's name of the pixel format.
        color: The color tags.
        options: FFmpeg's options.
    """

    name: str
    container: str
    pix_fmt: str
    color: ColorInfo
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class _EncoderTraits:
    """The options of an encoder.

    Attributes:
        crf: The default quality; None if it has no such option.
        max_crf: The largest value of crf.
        preset: The default preset.
        presets: The valid presets; None = any.
        preset_option: The name of the option for the preset.
        options: Options that are always set.
        lossless: Options for lossless encoding; None if it is impossible.
    """

    crf: int | None = None
    max_crf: int = 63
    preset: str | None = None
    presets: tuple[str, ...] | None = ()
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    lossless: tuple[tuple[str, str], ...] | None = None


# Of x264 and x265.
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_NUMBERED_PRESETS = tuple(str(step) for step in range(14))
_X264 = _EncoderTraits(16, 51, "medium", _PRESETS, lossless=(("qp", "0"),))
_TRAITS = {
    "libx264": _X264,
    "libx264rgb": _X264,
    "libx265": _EncoderTraits(
        18, 51, "medium", _PRESETS,
        options=(("x265-params", "log-level=none:frame-threads=2"),), lossless=(("x265-params", "lossless=1"),),
    ),
    "libvpx-vp9": _EncoderTraits(
        24, 63, "2", _NUMBERED_PRESETS[:9], preset_option="cpu-used",
        options=(("row-mt", "1"), ("tile-columns", "2")), lossless=(("lossless", "1"),),
    ),
    "libsvtav1": _EncoderTraits(24, 63, "6", _NUMBERED_PRESETS),
    "ffv1": _EncoderTraits(options=(("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")), lossless=()),
    "prores_ks": _EncoderTraits(options=(("vendor", "apl0"),)),
}  # fmt: skip


def choose_container(target: Path) -> str:
    """Return FFmpeg's name of the container for a target's suffix. Raises UsageError for an unknown suffix."""
    try:
        return CONTAINERS[target.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise UsageError(f"{target} has no known suffix; expected one of {known}, or a folder without any") from None


def choose_encoder(target: Path, film: VideoInfo, encoding: Encoding, rate: Fraction = _DEFAULT_RATE) -> Encoder:
    """Choose the encoder of a film, and encode one image to check that all settings work together.

    Animated images (`ANIMATED`) are made from lossless segments, see `animeinterp.video.sink.animated`. Odd sizes keep
    full chroma (4:4:4) if the encoder cannot halve it.

    Args:
        target: The new file.
        film: The film to encode.
        encoding: What the user requests.
        rate: Frames per second of the new film.

    Returns:
        The encoder.

    Raises:
        UsageError: No encoder fits film, file and request.
    """
    container = choose_container(target)
    check_rate(rate)
    encoding = _resolve_encoding(encoding, container)
    name = _choose_codec(encoding, container, film)
    available = _list_formats(name)
    options = _build_options(name, encoding, film)
    exact = (encoding.lossless or name == "ffv1") and not film.headroom
    preferred = _list_rgb_formats(film) if exact else [*_list_yuv_formats(film), *_list_rgb_formats(film)]
    usable = [pix_fmt for pix_fmt in preferred if pix_fmt in available]
    if not usable:
        raise UsageError(_explain_no_format(name, film, encoding))
    muxer = "matroska" if container in ANIMATED else container
    encoders = [
        Encoder(name, container, pix_fmt, color, _add_format_options(name, pix_fmt, options))
        for pix_fmt in usable
        for color in choose_tags(film, name, pix_fmt)
    ]
    for encoder in encoders:
        if _can_encode(encoder, muxer, (film.width, film.height), rate):
            return encoder
    raise UsageError(_explain_failure(encoders[0], muxer, film, encoding, rate))


def check_rate(rate: Fraction) -> None:
    """Raise UsageError if segments cannot hold `rate` frames per second."""
    if rate > _MAX_RATE:
        raise UsageError(f"expected {_MAX_RATE} frames per second at most, got {float(rate):g}; choose fewer")


@contextmanager
def report_encoder_errors(path: Path) -> Iterator[None]:
    """Turn errors of FFmpeg and the operating system while writing `path` into a FileError."""
    with report_write_errors(path):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise FileError(
                f"cannot write {path}: {error.strerror}; choose another --codec or write to .mkv"
            ) from error


def close_quietly(container: OutputContainer) -> None:
    """Close a container whose file is complete or will be discarded; ignore errors."""
    with suppress(av.FFmpegError, OSError):
        container.close()


def add_video_stream(
    container: OutputContainer, encoder: Encoder, size: tuple[int, int], rate: Fraction, aspect: Fraction
) -> av.VideoStream:
    """Add a stream that is encoded by `encoder`.

    Args:
        container: The new file.
        encoder: The encoder.
        size: Width and height, px.
        rate: Frames per second.
        aspect: Width of a pixel by its height.
    """
    stream = container.add_stream(encoder.name, rate=rate, options=dict(encoder.options))
    assert isinstance(stream, av.VideoStream)
    if encoder.name == "libsvtav1":
        # SVT-AV1 writes to stderr unless this is set; 1 = errors only.
        os.environ.setdefault("SVT_LOG", "1")
    context, color = stream.codec_context, encoder.color
    (context.width, context.height), context.pix_fmt = size, encoder.pix_fmt
    context.time_base, context.framerate = 1 / rate, rate
    context.color_primaries, context.color_trc = color.primaries, color.transfer
    context.colorspace, context.color_range = color.matrix, color.range
    context.sample_aspect_ratio = aspect
    return stream


def _resolve_encoding(encoding: Encoding, container: str) -> Encoding:
    if container in ANIMATED:
        if encoding.codec != "auto":
            raise UsageError(f"{container} has no choice of codecs, got {encoding.codec!r}; leave out --codec")
        return Encoding(lossless=True)
    if encoding.lossless and encoding.crf is not None:
        raise UsageError(f"lossless has no quality to choose, got crf {encoding.crf}; leave out one of the two")
    return encoding


def _choose_codec(encoding: Encoding, container: str, film: VideoInfo) -> str:
    name = _CODEC_NAMES.get(encoding.codec, encoding.codec)
    if name == "auto":
        name = _choose_default_codec(container, film, encoding.lossless)
    rgb = encoding.lossless and not film.headroom
    return "libx264rgb" if name == "libx264" and rgb else name


def _choose_default_codec(container: str, film: VideoInfo, lossless: bool) -> str:
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


def _list_formats(name: str) -> Sequence[str]:
    """Return the pixel formats of an encoder."""
    try:
        codec = av.Codec(name, "w")
    except (av.FFmpegError, ValueError):
        known = ", ".join(sorted({*_CODEC_NAMES, "ffv1"}))
        raise UsageError(f"expected a codec out of auto, {known}, or an FFmpeg encoder, got {name!r}") from None
    if codec.type != "video":
        raise UsageError(f"{name} encodes {codec.type}; expected a codec for video")
    return [pix_fmt.name for pix_fmt in codec.video_formats or ()]


def _check_encoding(name: str, traits: _EncoderTraits, encoding: Encoding) -> None:
    if encoding.lossless and traits.lossless is None:
        raise UsageError(f"{name} is not lossless; choose --codec ffv1, h264, h265 or vp9, or leave out --lossless")
    if encoding.crf is not None and (traits.crf is None or not 0 <= encoding.crf <= traits.max_crf):
        expected = "no crf" if traits.crf is None else f"a crf from 0 to {traits.max_crf}"
        raise UsageError(f"expected {expected} for {name}, got {encoding.crf}; change it or leave it out")
    if encoding.preset is not None and traits.presets is not None and encoding.preset not in traits.presets:
        expected = f"a preset out of {', '.join(traits.presets)}" if traits.presets else "no preset"
        raise UsageError(f"expected {expected} for {name}, got {encoding.preset!r}; change it or leave it out")


def _find_traits(name: str) -> _EncoderTraits:
    if name in _TRAITS:
        return _TRAITS[name]
    known = {option.name for option in av.CodecContext.create(name, "w").supported_options.private}
    return _EncoderTraits(_OWN_DEFAULT if "crf" in known else None, presets=None if "preset" in known else ())


def _build_options(name: str, encoding: Encoding, film: VideoInfo) -> dict[str, str]:
    traits = _find_traits(name)
    _check_encoding(name, traits, encoding)
    options = {"threads": _THREADS} | dict(traits.options)
    crf = traits.crf if encoding.crf is None else encoding.crf
    if crf not in (None, _OWN_DEFAULT) and not encoding.lossless:
        options["crf"] = str(crf)
    preset = encoding.preset or traits.preset
    if preset is not None:
        options[traits.preset_option] = preset
    more = [*hdr_options(name, film), *((traits.lossless or ()) if encoding.lossless else ())]
    if name in ("libx264", "libx264rgb") and cv2.checkHardwareSupport(_AVX512):
        # With AVX-512, x264's lookahead reads uninitialized memory, so no two runs give the same packets.
        more.append(("x264-params", "asm=AVX2"))
    for option, value in more:
        options[option] = f"{options[option]}:{value}" if option in options else value
    return options


def _add_format_options(name: str, pix_fmt: str, options: dict[str, str]) -> dict[str, str]:
    if name != "prores_ks":
        return options
    full = pix_fmt.startswith(("yuv444", "yuva444"))
    return options | {"profile": "4444" if full else "hq"} | ({"alpha_bits": "16"} if "yuva" in pix_fmt else {})


def _list_yuv_formats(film: VideoInfo) -> list[str]:
    """Return the YUV formats for a film, best first: its depth before another, its chroma before more or less."""
    pixels = av.VideoFormat(film.pix_fmt)
    chroma = "420"
    if not is_rgb(film.pix_fmt) and len(pixels.components) >= 3:
        across, down = pixels.chroma_width(64) < 64, pixels.chroma_height(64) < 64
        chroma = "420" if across and down else "422" if across else "444"
    order = {"420": ("420", "422", "444"), "422": ("422", "444", "420"), "444": ("444", "422", "420")}[chroma]
    depths = ("10le", "") if film.depth == 16 else ("", "10le")
    return [f"yuv{'a' if film.alpha else ''}{subsampling}p{depth}" for depth in depths for subsampling in order]


def _list_rgb_formats(film: VideoInfo) -> list[str]:
    """Return the RGB formats that hold frames exactly."""
    if film.depth == 16:
        return ["gbrap16le", "rgba64be"] if film.alpha else ["gbrp16le", "rgb48be"]
    return ["bgra", "rgba", "argb", "gbrap"] if film.alpha else ["bgr0", "gbrp", "bgr24", "rgb24"]


def _explain_no_format(name: str, film: VideoInfo, encoding: Encoding) -> str:
    if film.alpha:
        return f"{name} cannot hold this film's alpha; write to .mov, .webm or .mkv, or choose vp9, prores or ffv1"
    if encoding.lossless and film.depth == 16:
        return f"{name} cannot hold more than 8 bits without loss; choose --codec ffv1 and write to .mkv"
    return f"{name} has no pixel format for this film ({film.pix_fmt}); choose another --codec"


def _can_encode(encoder: Encoder, muxer: str, size: tuple[int, int], rate: Fraction) -> bool:
    """Encode one image in memory, because only encoder and muxer know their limits."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer, container_options={"strict": "experimental"}) as container:
            stream = add_video_stream(container, encoder, size, rate, Fraction(1))
            container.start_encoding()
            image = av.VideoFrame(*size, encoder.pix_fmt)
            for plane in image.planes:
                plane.update(bytes(plane.buffer_size))
            image.pts, image.time_base = 0, 1 / rate
            stream.encode(image)
            stream.encode(None)
    except (av.FFmpegError, OSError, ValueError, OverflowError):
        return False
    return True


def _explain_failure(encoder: Encoder, muxer: str, film: VideoInfo, encoding: Encoding, rate: Fraction) -> str:
    name, size = encoder.name, (film.width, film.height)
    if _can_encode(encoder, "matroska", size, rate):
        return f".{muxer} cannot hold the output of {name}; choose another --codec, or write to .mkv"
    if _can_encode(encoder, "matroska", size, _DEFAULT_RATE):
        return f"{name} cannot encode {float(rate):g} frames per second; choose another --fps, or --codec h264"
    if _can_encode(encoder, "matroska", (128, 128), rate):
        return f"{name} cannot encode {film.width}x{film.height}; choose --codec h264, vp9 or ffv1"
    settings = f"preset {encoding.preset}, crf {encoding.crf}, {encoder.pix_fmt}"
    return (
        f"{name} does not start with these settings ({settings}); leave them out, choose another --codec, or write to "
        ".mkv"
    )
