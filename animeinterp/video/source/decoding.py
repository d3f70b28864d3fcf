"""Decode a film's pictures, over what is damaged, with the times at which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from animeinterp.video.source.clock import Clock
from animeinterp.video.source.container import demux_packets, find_video_stream, open_film
from animeinterp.video.source.telecine import Fields, join_fields

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_MOST = 64  # pictures of one packet; a decoder that goes on would not end


def decoder_pixel_limit(max_pixels: int) -> int:
    """The limit for decoders, px: above what is accepted, because they count whole blocks around a picture."""
    return max_pixels + max_pixels // 4 + 65536


def decode_frames(
    path: Path,
    clock: Clock,
    *,
    max_pixels: int,
    lost: Callable[[], None],
    start: Fraction | None = None,
    fields: Fields | None = None,
    top_first: bool = True,
    keyframes: bool = False,
) -> Iterator[Any]:
    """Yield the pictures of a film in the order of showing, with times of its clock as `pts`.

    Args:
        path: The film.
        clock: Its clock.
        max_pixels: Larger pictures are not decoded.
        lost: Called for each picture that cannot be decoded.
        start: Pictures before this time of the clock, s, may be left out; None = all are wanted.
        fields: What is made whole frames, see `telecine.join_fields`; None = frames come as they are stored.
        top_first: Likewise.
        keyframes: Whether all other pictures are skipped.

    Raises:
        FileError: The film cannot be opened.
    """
    with open_film(path, decoder_pixel_limit(max_pixels)) as container:
        stream = find_video_stream(container, path)
        stream.codec_context.options = {"max_pixels": str(decoder_pixel_limit(max_pixels))}
        stream.thread_type = "AUTO"
        if keyframes:
            stream.codec_context.skip_frame = "NONKEY"
        if start is not None and clock.may_seek:
            with suppress(av.FFmpegError, OverflowError):  # not every container can seek
                container.seek(int(start / stream.time_base), stream=stream)
        packets = clock.timed(demux_packets(container, stream))
        pictures = clock.in_order(_pictures(packets, lost, _alpha_decoder(stream)), stream.codec_context)
        if fields is None:
            yield from pictures
        else:
            yield from join_fields(pictures, stream, clock.rate, fields, top_first=top_first)


def _alpha_decoder(stream: Any) -> Any:
    """A decoder of VP8 or VP9 with alpha, which FFmpeg's own ones leave out; None where the stream's own will do."""
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    name = _ALPHA_DECODERS.get(stream.name)
    if name is None or tags.get("alpha_mode") != "1":
        return None
    try:
        decoder = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        return None
    decoder.options = dict(stream.codec_context.options)
    return decoder


def _pictures(packets: Iterable[Any | None], lost: Callable[[], None], decoder: Any = None) -> Iterator[Any]:
    for packet in packets:
        if packet is None:
            lost()
            continue
        try:
            pictures = packet.decode() if decoder is None else _decode(decoder, packet)
        except av.FFmpegError:
            lost()
            continue
        for picture in pictures[:_MOST]:
            if picture.is_corrupt:
                lost()
            else:
                yield picture


def _decode(decoder: Any, packet: Any) -> list[Any]:
    pictures = decoder.decode(packet if packet.size else None)
    for picture in pictures:
        picture.time_base = packet.stream.time_base
    return list(pictures)
