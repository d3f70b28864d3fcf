"""Decode the frames of a film, over damaged places, with the times at which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import ThreadType

from animeinterp.video.source.clock import AnyPacket, Clock
from animeinterp.video.source.container import demux_packets, find_video_stream, open_film
from animeinterp.video.source.telecine import Fields, join_fields

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_MAX_FRAMES_PER_PACKET = 64  # a damaged packet may make a decoder produce frames without end


def decoder_pixel_limit(max_pixels: int) -> int:
    """Return the limit for decoders, px: above the limit of a film, because they count whole blocks around a frame."""
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
) -> Generator[av.VideoFrame, None, None]:
    """Yield the frames of a film in presentation order, with `pts` on the film's clock.

    Args:
        path: The file of the film.
        clock: The clock of the film.
        max_pixels: Largest frame that is decoded, px.
        lost: Called once for each frame that cannot be decoded.
        start: Time from which frames are needed, s on the film's clock; earlier frames may be skipped. None = all.
        fields: Field structure to undo, see `telecine.join_fields`; None = frames come as they are stored.
        top_first: Whether the top field comes first, see `telecine.join_fields`.
        keyframes: Whether to decode keyframes only.

    Raises:
        FileError: The film cannot be opened.
    """
    with open_film(path, decoder_pixel_limit(max_pixels)) as container:
        stream = find_video_stream(container, path)
        stream.codec_context.options = {"max_pixels": str(decoder_pixel_limit(max_pixels))}
        stream.thread_type = ThreadType.AUTO
        if keyframes:
            stream.codec_context.skip_frame = "NONKEY"
        if start is not None and clock.may_seek and stream.time_base:
            with suppress(av.FFmpegError, OverflowError):  # some containers cannot seek
                container.seek(int(start / stream.time_base), stream=stream)
        packets = clock.retime_packets(demux_packets(container, stream))
        decoder = _alpha_decoder(stream) or stream.codec_context
        frames = clock.sort_times(_decode_packets(packets, lost, decoder), stream.codec_context)
        if fields is None:
            yield from frames
        else:
            yield from join_fields(frames, stream, clock.rate, fields, top_first=top_first)


def _alpha_decoder(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """Create a decoder of VP8 or VP9 with alpha, which FFmpeg's native ones drop; None where it is not needed."""
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    name = _ALPHA_DECODERS.get(stream.name or "")
    if name is None or tags.get("alpha_mode") != "1":
        return None
    try:
        decoder = av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        return None
    decoder.options = dict(stream.codec_context.options)
    return decoder if isinstance(decoder, av.VideoCodecContext) else None


def _decode_packets(
    packets: Iterable[AnyPacket | None], lost: Callable[[], None], decoder: av.VideoCodecContext
) -> Iterator[av.VideoFrame]:
    """Yield the intact frames of packets; call `lost` for each unreadable place, failed packet and corrupt frame."""
    for packet in packets:
        try:
            frames = [] if packet is None else decoder.decode(packet)
        except av.FFmpegError:
            packet, frames = None, []
        if packet is None:
            lost()
        for frame in frames[:_MAX_FRAMES_PER_PACKET]:
            if frame.is_corrupt:
                lost()
            else:
                yield frame
