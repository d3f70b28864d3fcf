"""Choose the encoder of a film; `animeinterp.video.sink.segments` writes with it.

Kept from the source where the encoder can: chroma subsampling, 10 bits, alpha, color tags, HDR10's static metadata,
the pixel aspect ratio. The number of threads is fixed, so the same frames give the same packets in every run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.logging
from av.container import OutputContainer

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import report_write_errors
from animeinterp.video.sink.codecs import choose_codec, find_codec, list_formats
from animeinterp.video.sink.color_tags import choose_tags
from animeinterp.video.sink.encoder_options import build_options
from animeinterp.video.sink.encoder_traits import find_traits
from animeinterp.video.sink.encoding import Encoding, check_contradictions
from animeinterp.video.sink.hardware import explain_missing, find_hardware
from animeinterp.video.sink.pixel_formats import count_bits, list_rgb_formats, list_yuv_formats, select_formats
from animeinterp.video.source.hdr import hdr_options
from animeinterp.video.source.info import ColorInfo, VideoInfo

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".gif": "gif", ".webp": "webp", ".apng": "apng", ".png": "apng",
}  # fmt: skip
ANIMATED = ("gif", "webp", "apng")
_MAX_RATE = 500  # frames per second; segments count time in ms
_DEFAULT_RATE = Fraction(24)  # frames per second
_USUAL_SIZE = 640, 480  # px, that every encoder can encode
_IGNORED = "Error parsing option", "Unknown option", "Invalid value"  # how FFmpeg's warnings begin


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
    name = "ffv1" if container in ANIMATED else choose_codec(container, film, encoding)
    _check_codec(name, encoding)
    options = build_options(name, encoding, hdr_options(name, film))
    usable = _choose_formats(name, film, encoding)
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
            _check_parameters(encoder, encoding)
            return encoder
    raise UsageError(_explain_failure(encoders[0], muxer, film, encoding, rate))


def check_encoding(target: Path, encoding: Encoding) -> None:
    """Check an encoding before the film is known, as far as that is possible.

    Args:
        target: The new file, or a folder of frames.
        encoding: What the user requests.

    Raises:
        UsageError: The encoding is wrong for any film, or the encoder or its hardware is missing.
    """
    if not target.suffix:
        check_contradictions(encoding)
        _check_no_settings("a folder of frames", encoding)
        return
    encoding = _resolve_encoding(encoding, choose_container(target))
    if encoding.codec != "auto":
        name = find_codec(encoding.codec)
        _check_codec(name, encoding)
        build_options(name, encoding)


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
    """Return what the user requests, without contradictions; lossless for animated images."""
    check_contradictions(encoding)
    if container not in ANIMATED:
        return encoding
    _check_no_settings(container, encoding)
    return Encoding(lossless=True)


def _check_no_settings(target: str, encoding: Encoding) -> None:
    """Raise UsageError if settings are given that a kind of target does not have."""
    given = encoding.list_given()
    if given:
        raise UsageError(f"{target} has no choice of codec or quality, got {given[0]}; leave it out")


def _check_codec(name: str, encoding: Encoding) -> None:
    """Raise UsageError if an encoder or its hardware is missing, or it has not the requested bits."""
    formats = list_formats(name)
    _check_hardware(name)
    if encoding.bits is None:
        return
    if name == "ffv1":
        raise UsageError(f"ffv1 is lossless and keeps the bits of the source, got {encoding.bits} bits; leave them out")
    max_bits = find_traits(name).max_bits
    if not any(count_bits(pix_fmt) == encoding.bits <= (max_bits or encoding.bits) for pix_fmt in formats):
        others = "h265, h264 or av1" if encoding.bits > 8 else "h264, h265, vp9 or av1"
        raise UsageError(f"{name} cannot encode {encoding.bits} bits; choose --codec {others}, or leave out --bits")


@cache  # only what works; a missing driver may be installed before the next film
def _check_hardware(name: str) -> None:
    """Raise UsageError if an encoder needs hardware that is not there."""
    hardware = find_hardware(name)
    if hardware is None:
        return
    formats = list_formats(name)
    pix_fmt = next((plain for plain in ("nv12", "yuv420p") if plain in formats), formats[0])
    plain = Encoder(name, "matroska", pix_fmt, ColorInfo(), {})
    with _ffmpeg_messages() as messages:
        works = _can_encode(plain, "matroska", _USUAL_SIZE, _DEFAULT_RATE)
    if not works:
        raise UsageError(explain_missing(hardware, messages[0] if messages else ""))


@contextmanager
def _ffmpeg_messages() -> Iterator[list[str]]:
    """Collect FFmpeg's errors and warnings of this thread, which are dropped otherwise."""
    level, skips_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    messages: list[str] = []
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield messages
        messages.extend(" ".join(text.split()).rstrip(".") for _, _, text in logs)
    finally:
        av.logging.set_skip_repeated(skips_repeated)
        av.logging.set_level(level)


def _choose_formats(name: str, film: VideoInfo, encoding: Encoding) -> list[str]:
    """Return the pixel formats in which an encoder can hold a film, best first."""
    if (encoding.lossless or name == "ffv1") and not film.headroom:
        preferred = list_rgb_formats(film)
    else:
        preferred = [*list_yuv_formats(film, encoding.bits), *list_rgb_formats(film)]
    bits = encoding.bits
    preferred = [pix_fmt for pix_fmt in preferred if bits is None or count_bits(pix_fmt) == bits]
    return select_formats(preferred, list_formats(name), find_traits(name).max_bits)


def _add_format_options(name: str, pix_fmt: str, options: dict[str, str]) -> dict[str, str]:
    if name != "prores_ks":
        return options
    full = pix_fmt.startswith(("yuv444", "yuva444"))
    alpha = {"alpha_bits": "16"} if "yuva" in pix_fmt else {}
    return {"profile": "4444" if full else "hq"} | alpha | options


def _explain_no_format(name: str, film: VideoInfo, encoding: Encoding) -> str:
    bits = "" if encoding.bits is None else f" of {encoding.bits} bits"
    if film.alpha:
        return (
            f"{name} cannot hold this film's alpha{bits}; write to .mov, .webm or .mkv, or choose vp9, prores or ffv1"
        )
    if encoding.lossless and film.depth == 16:
        return f"{name} cannot hold more than 8 bits without loss; choose --codec ffv1 and write to .mkv"
    return f"{name} has no pixel format{bits} for this film ({film.pix_fmt}); choose another --codec"


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


def _check_parameters(encoder: Encoder, encoding: Encoding) -> None:
    """Raise UsageError if an encoder ignores a part of the user's options, of which FFmpeg only warns."""
    lists = [name for name in encoding.encoder_options if name.endswith("-params")]
    if not lists:
        return
    with _ffmpeg_messages() as messages:
        _can_encode(encoder, "matroska", _USUAL_SIZE, _DEFAULT_RATE)
    ignored = [message for message in messages if message.startswith(_IGNORED)]
    if ignored:
        raise UsageError(f"{encoder.name} does not understand {lists[0]}: {ignored[0]}; change or leave it out")


def _explain_failure(encoder: Encoder, muxer: str, film: VideoInfo, encoding: Encoding, rate: Fraction) -> str:
    name, size = encoder.name, (film.width, film.height)
    refused = _find_refused_option(encoder, film, encoding)
    if refused is not None:
        return refused
    if _can_encode(encoder, "matroska", size, rate):
        return f".{muxer} cannot hold the output of {name}; choose another --codec, or write to .mkv"
    if _can_encode(encoder, "matroska", size, _DEFAULT_RATE):
        return f"{name} cannot encode {float(rate):g} frames per second; choose another --fps, or --codec h264"
    if _can_encode(encoder, "matroska", _USUAL_SIZE, rate):
        return f"{name} cannot encode {film.width}x{film.height}; choose --codec h264, vp9 or ffv1"
    settings = f"preset {encoding.preset}, crf {encoding.crf}, quality {encoding.quality}, {encoder.pix_fmt}"
    with _ffmpeg_messages() as messages:
        _can_encode(encoder, muxer, size, rate)
    reason = f": {messages[0]}" if messages else ""
    return (
        f"{name} does not start with these settings ({settings}){reason}; leave them out, choose another --codec, or "
        "write to .mkv"
    )


def _find_refused_option(encoder: Encoder, film: VideoInfo, encoding: Encoding) -> str | None:
    """Return a sentence on the user's option that the encoder refuses; None if it is not one of them."""
    name, own = encoder.name, encoding.encoder_options

    def works_with(some: dict[str, str]) -> bool:
        options = build_options(name, replace(encoding, encoder_options=some), hdr_options(name, film))
        trial = replace(encoder, options=_add_format_options(name, encoder.pix_fmt, options))
        return _can_encode(trial, "matroska", (film.width, film.height), _DEFAULT_RATE)

    if not own or not works_with({}):
        return None
    for option, value in own.items():
        with _ffmpeg_messages() as messages:
            works = works_with({option: value})
        if not works:
            reason = f" ({messages[0]})" if messages else ""
            return f"{name} refuses the encoder option {option}={value}{reason}; change or leave it out"
    return f"{name} does not start with these encoder options together ({', '.join(own)}); leave some of them out"
