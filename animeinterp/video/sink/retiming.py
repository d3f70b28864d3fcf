"""Convert the times of a source's packets to those of the new file: shifted, stretched, clipped to the span."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream

from animeinterp.video.sink import matroska
from animeinterp.video.sink.tracks import Span, Track, convert_subtitle, select_packets, time_base_of
from animeinterp.video.source.clock import AnyPacket

TimedPacket = tuple[Fraction, AnyPacket]  # s of the new file, packet


def retime_packets(
    container: InputContainer, stream: Stream, track: Track, new: Stream, span: Span
) -> Iterator[TimedPacket]:
    """Yield the packets of a stream with times of the new file; text subtitles are converted where necessary.

    Args:
        container: The open source.
        stream: One of its streams.
        track: What happens to the stream.
        new: The stream of the new file.
        span: The part of the source that the new file shows.

    Yields:
        The time in the new file, s, and the packet with times in ticks of `new`; decoding times never decrease.
    """
    yield from _make_monotonic(_retime(container, stream, track, new, span), new)


def _retime(container: InputContainer, stream: Stream, track: Track, new: Stream, span: Span) -> Iterator[TimedPacket]:
    to_matroska = new.container.format.name in matroska.FORMATS
    clock = _SampleClock(stream) if isinstance(stream, av.AudioStream) and not to_matroska else None
    tick = time_base_of(new)
    for time, end, packet in select_packets(container, stream, span):
        shown: tuple[Fraction, Fraction] | None = time * span.stretch, end * span.stretch
        if clock is not None:
            shown = clock.correct(time, end)
        elif stream.type != "audio":
            shown = span.clip(time, end)
        if shown is None:
            continue
        decoded = None if packet.dts is None else (packet.dts * packet.time_base - span.begin) * span.stretch
        if track.action == "convert":
            text = convert_subtitle(bytes(packet), stream.name, track.codec)
            if not text:
                continue
            packet = av.Packet(text)
        packet.pts, packet.duration = round(shown[0] / tick), round((shown[1] - shown[0]) / tick)
        packet.dts = packet.pts if stream.type != "video" else None if decoded is None else round(decoded / tick)
        packet.time_base, packet.stream = tick, new
        yield shown[0], packet


def _make_monotonic(packets: Iterator[TimedPacket], new: Stream) -> Iterator[TimedPacket]:
    """Yield the packets with decoding times that never decrease, because a muxer rejects them otherwise."""
    step = 0 if new.container.format.name in matroska.FORMATS else 1
    last = None
    for time, packet in packets:
        if packet.dts is not None:
            if last is not None and packet.dts < last + step:
                packet.dts = last + step
                packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
            last = packet.dts
        yield time, packet


class _SampleClock:
    """Restores audio times to the sample where a file has rounded them to its own ticks, ms in Matroska."""

    def __init__(self, stream: av.AudioStream) -> None:
        context = stream.codec_context
        size = 0 if context is None else context.frame_size
        self._step = Fraction(size, context.sample_rate) if size and context.sample_rate else None
        self._tick = time_base_of(stream)
        self._next: Fraction | None = None

    def correct(self, time: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        """Return the exact begin and end of the next packet, s, from those in the file."""
        if self._step is None:
            return time, end
        if self._next is not None and abs(time - self._next) <= self._tick:
            time = self._next
        self._next = time + self._step
        return time, self._next
