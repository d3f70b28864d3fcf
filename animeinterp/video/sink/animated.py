"""Films that are no streams: a folder of frames, and animated GIF, WebP and PNG.

Each counts time in its own way: GIF in 1/100 s, WebP in ms, PNG exactly. Every frame's time is rounded by itself, so
that none of them drifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from animeinterp.errors import UsageError
from animeinterp.frame import Frame, has_alpha
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.io.images import write_image
from animeinterp.video.sink.encoders import ANIMATED, container_of, writing
from animeinterp.video.source.filters import pull_frames

_GIF_RATE = 50  # per second; players show what stands for less than 2/100 s ten times as long
_LARGEST = {"gif": 65_535, "webp": 16_383, "apng": 2**31 - 1}  # px
_ENCODERS = {"gif": "gif", "webp": "libwebp_anim", "apng": "apng"}
# ordered dither stays in place from frame to frame, so that still parts stay still
_DITHER = "dither=bayer:bayer_scale=4:diff_mode=rectangle:alpha_threshold=128"


def write_frame(folder: Path, number: int, frame: Frame) -> None:
    """Write one frame of a folder of frames, as 000000.png and so on. Raises FileError if it cannot be written."""
    write_image(folder / f"{number:06}.png", frame, force=True)


def check_animation(target: Path, width: int, height: int, rate: Fraction) -> None:
    """Raise UsageError unless an animated picture can have this size, px, and rate, per second: before the work."""
    format = container_of(target)
    if format not in ANIMATED:
        raise UsageError(f"expected an animated picture, .gif, .webp or .apng, got {target}")
    if format == "gif" and rate > _GIF_RATE:
        raise UsageError(
            f"expected {_GIF_RATE} frames per second at most for a GIF, got {float(rate):g}; players slow down what is "
            f"faster, so give --fps {_GIF_RATE} or write to .webp or .apng"
        )
    if max(width, height) > _LARGEST[format]:
        raise UsageError(f"{format} holds at most {_LARGEST[format]} px a side, got {width}x{height}; write to .mkv")


def animate(
    target: Path,
    frames: Callable[[], Iterable[Frame]],
    rate: Fraction,
    *,
    loop: bool = True,
    quality: int | None = None,
) -> None:
    """Write an animated picture, by its suffix GIF, WebP or PNG.

    frames: gives the frames, RGB or with alpha, from the beginning; called twice for GIF, whose 256 colors are chosen
    from all frames. rate: per second. loop: play for ever. quality: of WebP, 0 to 100, None = lossless.
    16 bits become 8 but in PNG; alpha becomes yes or no in GIF.
    Raises UsageError as `check_animation`; FileError if the file cannot be written. It appears whole or not at all.
    """
    format = container_of(target)
    if quality is not None and (format != "webp" or not 0 <= quality <= 100):
        raise UsageError(f"expected a quality from 0 to 100, and for .webp alone, got {quality} for {target}")
    first = next(iter(frames()), None)
    if first is None:
        raise UsageError(f"{target} would have no frames; expected one or more")
    check_animation(target, first.shape[1], first.shape[0], rate)
    with atomic_path(target, force=True) as part, writing(target):
        _write(part, format, frames, rate, _options(format, loop, quality))


def _options(format: str, loop: bool, quality: int | None) -> tuple[dict[str, str], dict[str, str]]:
    """The muxer's and the encoder's."""
    if format == "gif":
        return {"loop": "0" if loop else "-1"}, {}
    if format == "apng":
        return {"plays": "0" if loop else "1"}, {"pred": "mixed"}
    lossy = {} if quality is None else {"quality": str(quality)}
    return {"loop": "0" if loop else "1"}, lossy or {"lossless": "1"}


def _write(
    part: Path,
    format: str,
    frames: Callable[[], Iterable[Frame]],
    rate: Fraction,
    options: tuple[dict[str, str], dict[str, str]],
) -> None:
    container = av.open(ffmpeg_url(part), "w", format=format, container_options=options[0])
    try:
        stream: Any = None
        for picture in _paletted(frames, rate) if format == "gif" else _pictures(frames(), rate, format):
            if stream is None:
                stream = container.add_stream(_ENCODERS[format], rate=rate, options=options[1])
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, picture.format.name
                stream.codec_context.time_base = 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        container.close()
    finally:
        with suppress(av.FFmpegError, OSError):
            container.close()


def _pictures(frames: Iterable[Frame], rate: Fraction, format: str) -> Iterator[Any]:
    """Frames as the encoder of a format takes them, with their times."""
    for number, frame in enumerate(frames):
        deep = frame.dtype == np.uint16
        if deep and format != "apng":
            frame, deep = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8), False
        name = ("rgba64" if deep else "rgba") if has_alpha(frame) else ("rgb48" if deep else "rgb24")
        values: Any = np.ascontiguousarray(frame)
        picture: Any = av.VideoFrame.from_ndarray(values, format=name + ("le" if deep else ""))
        picture = picture.reformat(format=name + ("be" if deep else "") if format == "apng" else "bgra")
        picture.pts, picture.time_base = number, 1 / rate
        yield picture


def _paletted(frames: Callable[[], Iterable[Frame]], rate: Fraction) -> Iterator[Any]:
    """Pictures of 256 colors, the same for all."""
    (palette,) = _filtered(_pictures(frames(), rate, "gif"), "palettegen")
    yield from _filtered(_pictures(frames(), rate, "gif"), f"paletteuse={_DITHER}", palette)


def _filtered(pictures: Iterator[Any], words: str, second: Any = None) -> Iterator[Any]:
    """What a filter makes of pictures. second: a picture for its second input."""
    graph: Any = None
    name, _, options = words.partition("=")
    for picture in pictures:
        if graph is None:
            graph = av.filter.Graph()
            made, sink = graph.add(name, options), graph.add("buffersink")
            for pad, template in enumerate([picture] if second is None else [picture, second]):
                source = graph.add_buffer(
                    width=template.width, height=template.height, format=template.format, time_base=picture.time_base
                )
                source.link_to(made, 0, pad)
            made.link_to(sink)
            graph.configure()
            if second is not None:
                second.pts, second.time_base = 0, picture.time_base
                graph.push(second, at=1)
                graph.push(None, at=1)
        graph.push(picture, at=0)
        yield from pull_frames(graph)
    graph.push(None, at=0)
    yield from pull_frames(graph)
