"""Sound that has to be encoded anew: stretched with the pictures, or for a file that cannot hold the old codec."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av

from animeinterp.video.sink.tracks import LAYOUTS, Span, demuxed
from animeinterp.video.source.filters import pull_frames

_RATES = {"libopus": (48000,), "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)}
_BITS = 96_000  # per second and channel, where there is loss
_SEEK = 1  # s read before a span, to be sure that decoding has begun
_PAD = 1  # s of silence behind the end, because atempo swallows some of what comes last


def sound_stream(container: Any, stream: Any, codec: str) -> Any:
    """A new stream, to be encoded, like an old one: its rate and channels as far as the codec takes them."""
    old = stream.codec_context
    rates = _RATES.get(codec, (old.sample_rate,))
    rate = old.sample_rate if old.sample_rate in rates else 48000
    new = container.add_stream(codec, rate=rate)
    context = new.codec_context
    context.layout = LAYOUTS.get(old.layout.nb_channels, "stereo")
    context.time_base = Fraction(1, rate)
    if codec in ("flac", "alac"):
        context.format = ("s32" if old.format.bytes > 2 else "s16") + ("p" if codec == "alac" else "")
    else:
        context.bit_rate = _BITS * context.layout.nb_channels
    return new


def encoded(container: Any, stream: Any, new: Any, span: Span) -> Iterator[Any]:
    """Packets of `new`, from the sound of an open source, `span.stretch` times as long and at the same pitch.

    Gaps, and what cannot be decoded, become silence, so that nothing moves.
    """
    if not span.whole and not span.clock.recordings:
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int((span.begin - _SEEK) / stream.time_base), stream=stream)
    graph, end = None, Fraction(0)
    shift = round(span.begin / stream.time_base)
    for frame in _decoded(container, stream, span):
        if frame.pts is None:
            continue
        graph = graph or _graph(frame, new, span)
        frame.pts -= shift
        time = frame.pts * frame.time_base
        if span.length is not None and time >= span.length:
            break
        end = max(end, time + Fraction(frame.samples, frame.sample_rate))
        graph.push(frame)
        for changed in pull_frames(graph):
            yield from new.encode(changed)
    if graph is not None:
        end = end if span.length is None else min(end, span.length)
        graph.push(None)
        for changed in pull_frames(graph):
            kept = _until(changed, end * span.stretch)
            if kept is not None:
                yield from new.encode(kept)
    yield from new.encode(None)


def _until(frame: Any, end: Fraction) -> Any:
    """A frame without what comes after `end`, s; None if nothing is left."""
    count = round(end * frame.sample_rate) - frame.pts
    if count >= frame.samples:
        return frame
    if count <= 0:
        return None
    wide = 1 if frame.format.is_planar else frame.layout.nb_channels
    cut = av.AudioFrame.from_ndarray(frame.to_ndarray()[:, : count * wide], frame.format.name, frame.layout.name)
    cut.sample_rate, cut.pts, cut.time_base = frame.sample_rate, frame.pts, frame.time_base
    return cut


def _graph(frame: Any, new: Any, span: Span) -> Any:
    """Filters: gaps filled from time 0 on, tempo, the encoder's format."""
    context = new.codec_context
    graph = av.filter.Graph()
    chain = [
        graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
        ),
        graph.add("aresample", "async=1:first_pts=0:min_hard_comp=0.05"),
        graph.add("apad", f"pad_dur={_PAD}"),
    ]
    tempo = 1 / span.stretch
    # one filter halves or doubles at most: beyond, atempo leaves out samples
    count = math.ceil(abs(math.log2(tempo)) - 1e-9)
    chain += [graph.add("atempo", repr(float(tempo) ** (1 / count))) for _ in range(count)]
    words = f"{context.format.name}:sample_rates={context.sample_rate}:channel_layouts={context.layout.name}"
    chain += [graph.add("aformat", f"sample_fmts={words}"), graph.add("abuffersink")]
    graph.link_nodes(*chain).configure()
    return graph


def _decoded(container: Any, stream: Any, span: Span) -> Iterator[Any]:
    for packet in demuxed(container, stream, span.clock):
        try:
            yield from stream.codec_context.decode(packet)
        except av.FFmpegError:
            continue
    try:
        yield from stream.codec_context.decode(None)
    except av.FFmpegError:
        return
