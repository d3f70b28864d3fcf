"""Write films that are not videos: a folder of frames, and animated GIF, WebP and PNG.

GIF counts time in 1/100 s, WebP in ms, PNG exactly. The time of each frame is rounded separately, so that errors do
not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.filter import Graph

from animeinterp.errors import UsageError
from animeinterp.frame import Frame, has_alpha
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.io.images import write_image
from animeinterp.video.sink.encoders import ANIMATED, choose_container, close_quietly, report_encoder_errors
from animeinterp.video.source.filters import pull_frames

_MAX_GIF_RATE = 50  # frames per second; players show frames shorter than 2/100 s ten times as long
_MAX_SIDE = {"gif": 65_535, "webp": 16_383, "apng": 2**31 - 1}  # px
_ENCODERS: dict[str, Literal["gif", "libwebp_anim", "apng"]] = {"gif": "gif", "webp": "libwebp_anim", "apng": "apng"}
# Ordered dither does not change from frame to frame, so static regions stay static.
_DITHER = "dither=bayer:bayer_scale=4:diff_mode=rectangle:alpha_threshold=128"
FrameFactory = Callable[[], Iterable[Frame]]  # returns the frames from the beginning


def write_frame(folder: Path, number: int, frame: Frame) -> None:
    """Write a frame of a folder of frames, as `000000.png` and so on. Raises FileError if it cannot be written."""
    write_image(folder / f"{number:06}.png", frame, force=True)


def check_animation(target: Path, width: int, height: int, rate: Fraction) -> None:
    """Check, before the long work, that an animated image can have this size and rate.

    Args:
        target: Its file.
        width: Width, px.
        height: Height, px.
        rate: Frames per second.

    Raises:
        UsageError: It cannot.
    """
    format = choose_container(target)
    if format not in ANIMATED:
        raise UsageError(f"expected an animated image, .gif, .webp or .apng, got {target}")
    if format == "gif" and rate > _MAX_GIF_RATE:
        raise UsageError(
            f"expected {_MAX_GIF_RATE} frames per second at most for a GIF, got {float(rate):g}; players slow down "
            f"faster ones, so give --fps {_MAX_GIF_RATE} or write to .webp or .apng"
        )
    if max(width, height) > _MAX_SIDE[format]:
        raise UsageError(f"{format} holds at most {_MAX_SIDE[format]} px a side, got {width}x{height}; write to .mkv")


def write_animation(
    target: Path, frames: FrameFactory, rate: Fraction, *, loop: bool = True, quality: int | None = None
) -> None:
    """Write an animated image: GIF, WebP or PNG by its suffix. It appears whole or not at all.

    16-bit frames become 8 bits except in PNG; alpha becomes on or off in GIF.

    Args:
        target: The file; replaced if it exists.
        frames: Returns the frames, with or without alpha, from the beginning; called more than once.
        rate: Frames per second.
        loop: Whether to repeat forever.
        quality: Quality of WebP, 0 to 100; None = lossless.

    Raises:
        UsageError: As `check_animation`; or there are no frames, or `quality` is invalid.
        FileError: The file cannot be written.
    """
    format = choose_container(target)
    if quality is not None and (format != "webp" or not 0 <= quality <= 100):
        raise UsageError(f"expected a quality from 0 to 100, and only for .webp, got {quality} for {target}")
    first = next(iter(frames()), None)
    if first is None:
        raise UsageError(f"{target} would have no frames; expected one or more")
    check_animation(target, first.shape[1], first.shape[0], rate)
    muxer_options, encoder_options = _choose_options(format, loop, quality)
    images = _apply_palette(frames, rate) if format == "gif" else _to_video_frames(frames(), rate, format)
    with atomic_path(target, force=True) as part, report_encoder_errors(target):
        container = av.open(ffmpeg_url(part), "w", format=format, container_options=muxer_options)
        try:
            stream = container.add_stream(_ENCODERS[format], rate=rate, options=encoder_options)
            head = next(images)
            stream.width, stream.height, stream.pix_fmt = head.width, head.height, head.format.name
            stream.codec_context.time_base = 1 / rate
            for image in chain([head], images):
                container.mux(stream.encode(image))
            container.mux(stream.encode(None))
            container.close()
        finally:
            close_quietly(container)


def _choose_options(format: str, loop: bool, quality: int | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options of the muxer and of the encoder."""
    if format == "gif":
        return {"loop": "0" if loop else "-1"}, {}
    if format == "apng":
        return {"plays": "0" if loop else "1"}, {"pred": "mixed"}
    return {"loop": "0" if loop else "1"}, {"lossless": "1"} if quality is None else {"quality": str(quality)}


def _to_video_frames(frames: Iterable[Frame], rate: Fraction, format: str) -> Iterator[av.VideoFrame]:
    """Yield frames in the pixel format of a container's encoder, with their times."""
    for number, frame in enumerate(frames):
        deep = frame.dtype == np.uint16
        if deep and format != "apng":
            frame, deep = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8), False
        name = ("rgba64" if deep else "rgba") if has_alpha(frame) else ("rgb48" if deep else "rgb24")
        image = av.VideoFrame.from_ndarray(np.require(frame, requirements="C"), format=name + ("le" if deep else ""))
        image = image.reformat(format=name + ("be" if deep else "") if format == "apng" else "bgra")
        image.pts, image.time_base = number, 1 / rate
        yield image


def _apply_palette(frames: FrameFactory, rate: Fraction) -> Iterator[av.VideoFrame]:
    """Yield images in one palette of 256 colors, chosen from all frames."""
    (palette,) = _run_filter(_to_video_frames(frames(), rate, "gif"), "palettegen", "")
    yield from _run_filter(_to_video_frames(frames(), rate, "gif"), "paletteuse", _DITHER, palette)


def _run_filter(
    images: Iterator[av.VideoFrame], name: str, options: str, second: av.VideoFrame | None = None
) -> Iterator[av.VideoFrame]:
    """Yield the output of a filter; `second` is a constant image for its second input."""
    graph = Graph()
    for image in images:
        if not graph.configured:
            node, sink = graph.add(name, options), graph.add("buffersink")
            for pad, template in enumerate([image] if second is None else [image, second]):
                source = graph.add_buffer(
                    width=template.width, height=template.height, format=template.format, time_base=image.time_base
                )
                source.link_to(node, 0, pad)
            node.link_to(sink)
            graph.configure()
            if second is not None:
                second.pts, second.time_base = 0, image.time_base
                graph.push(second, at=1)
                graph.push(None, at=1)
        graph.push(image, at=0)
        yield from pull_frames(graph, av.VideoFrame)
    graph.push(None, at=0)
    yield from pull_frames(graph, av.VideoFrame)
