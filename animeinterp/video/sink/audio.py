"""Encode audio again: stretched with the video, or because the new container cannot hold its codec."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from animeinterp.video.sink.tracks import LAYOUTS, Span, demux_stream, seek_before, time_base_of
from animeinterp.video.source.clock import AnyPacket
from animeinterp.video.source.filters import pull_frames

# Sample rates of encoders that do not accept any.
_RATES = {"libopus": (48000,), "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)}
_BIT_RATE = 96_000  # bit/s per channel, for lossy codecs
_PREROLL = 1  # s read before a span, so that the decoder has started
_PAD = 1  # s of silence after the end, because atempo drops some of the last samples


def add_audio_stream(container: OutputContainer, stream: av.AudioStream, codec: str) -> av.AudioStream:
    """Add a stream to encode audio into, with the source's sample rate and channels as far as the codec allows.

    Args:
        container: The new file.
        stream: The source's stream.
        codec: FFmpeg's name of the encoder.
    """
    old = stream.codec_context
    rates = _RATES.get(codec, (old.sample_rate,))
    rate = old.sample_rate if old.sample_rate in rates else 48000
    new = container.add_stream(codec, rate=rate)
    assert isinstance(new, av.AudioStream)
    context = new.codec_context
    context.layout = LAYOUTS.get(old.layout.nb_channels, "stereo")
    context.time_base = Fraction(1, rate)
    if codec in ("flac", "alac"):
        context.format = ("s32" if old.format.bytes > 2 else "s16") + ("p" if codec == "alac" else "")
    else:
        context.bit_rate = _BIT_RATE * context.layout.nb_channels
    return new


def encode_audio(
    container: InputContainer, stream: av.AudioStream, new: av.AudioStream, span: Span
) -> Iterator[AnyPacket]:
    """Encode a span of a stream, `span.stretch` times as long at the same pitch.

    Gaps and audio that cannot be decoded become silence, so that the rest stays in sync.

    Args:
        container: The open source.
        stream: Its audio stream.
        new: The stream to encode into, see `add_audio_stream`.
        span: The span.

    Yields:
        The encoded packets.
    """
    seek_before(container, stream, span, _PREROLL)
    graph, end = None, Fraction(0)
    shift = round(span.begin / time_base_of(stream))
    for frame in _decode(container, stream, span):
        if frame.pts is None or frame.time_base is None:
            continue
        graph = graph or _build_graph(frame, new, span)
        frame.pts -= shift
        time = frame.pts * frame.time_base
        if span.length is not None and time >= span.length:
            break
        end = max(end, time + Fraction(frame.samples, frame.sample_rate))
        graph.push(frame)
        for stretched in pull_frames(graph, av.AudioFrame):
            yield from new.encode(stretched)
    if graph is not None:
        end = end if span.length is None else min(end, span.length)
        graph.push(None)
        for stretched in pull_frames(graph, av.AudioFrame):
            trimmed = _trim(stretched, end * span.stretch)
            if trimmed is not None:
                yield from new.encode(trimmed)
    yield from new.encode(None)


def _trim(frame: av.AudioFrame, end: Fraction) -> av.AudioFrame | None:
    """Return the part of a frame before `end`, s; None if nothing is left."""
    count = round(end * frame.sample_rate) - (frame.pts or 0)
    if count >= frame.samples:
        return frame
    if count <= 0:
        return None
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    samples = frame.to_ndarray()[:, : count * channels]
    trimmed = av.AudioFrame.from_ndarray(samples, frame.format.name, frame.layout.name)
    trimmed.sample_rate, trimmed.pts, trimmed.time_base = frame.sample_rate, frame.pts, frame.time_base
    return trimmed


def _build_graph(frame: av.AudioFrame, new: av.AudioStream, span: Span) -> Graph:
    """Build the filters: fill gaps from time 0 on, change the tempo, convert to the encoder's format."""
    context = new.codec_context
    graph = Graph()
    chain = [
        graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
        ),
        graph.add("aresample", "async=1:first_pts=0:min_hard_comp=0.05"),
        graph.add("apad", f"pad_dur={_PAD}"),
    ]
    tempo = 1 / span.stretch
    # Each filter halves or doubles at most, because atempo skips samples beyond that.
    count = math.ceil(abs(math.log2(tempo)) - 1e-9)
    chain += [graph.add("atempo", repr(float(tempo) ** (1 / count))) for _ in range(count)]
    options = f"{context.format.name}:sample_rates={context.sample_rate}:channel_layouts={context.layout.name}"
    chain += [graph.add("aformat", f"sample_fmts={options}"), graph.add("abuffersink")]
    graph.link_nodes(*chain).configure()
    return graph


def _decode(container: InputContainer, stream: av.AudioStream, span: Span) -> Iterator[av.AudioFrame]:
    """Decode a stream, skipping packets that cannot be decoded."""
    for packet in demux_stream(container, stream, span.clock):
        try:
            yield from stream.codec_context.decode(packet)
        except av.FFmpegError:
            continue
    try:
        yield from stream.codec_context.decode(None)
    except av.FFmpegError:
        return
