"""The other streams of a film's file: what happens to each of them, and how its packets are read.

A stream is copied if the new container can hold it. Otherwise audio is encoded again, text subtitles are converted to
the container's codec, and anything else is dropped with a note for the user.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Disposition, Stream

from animeinterp.video.source.clock import AnyPacket, Clock, packet_time, with_positions
from animeinterp.video.source.container import demux_packets, find_video_stream, open_film

SoundAction = Literal["copy", "stretch", "drop"]
TrackAction = Literal["copy", "encode", "convert", "attach", "cover", "drop"]

# Subtitle codecs of plain text, and the one that each container holds.
_TEXT_CODECS = ("subrip", "srt", "mov_text", "webvtt", "text")
_TEXT_CODEC_OF = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_LOSSLESS_AUDIO = ("pcm_", "flac", "alac", "truehd", "mlp", "wavpack", "tta")
_COVER_FILES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
_WITHOUT_COVERS = ("webm", "mov")  # FFmpeg silently drops the covers of these
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_MAX_TEXT = 65_535  # bytes of a subtitle in MP4
_PRIMING = Fraction(1, 10)  # s; AAC needs up to 2112 samples, Opus 80 ms
_PREROLL = 30  # s read before a span, for subtitles that begin before it
_HIDDEN_PACKETS = 64  # kept before the first audible one; more than `_PRIMING` takes
# The ASS format spells its field names like this.
_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the source that the new file shows.

    Attributes:
        begin: Its begin on the source's clock, s; time 0 of the new file.
        length: Its length in the source, s; None = to the end.
        stretch: New duration by old duration.
        whole: Whether the span is the whole source.
        clock: The film's clock.
    """

    begin: Fraction
    length: Fraction | None = None
    stretch: Fraction = Fraction(1)
    whole: bool = True
    clock: Clock = field(default_factory=Clock)

    def clip(self, time: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """Return when something shown from `time` to `end` is visible in the new file.

        Args:
            time: Its begin, s after the span's begin.
            end: Its end, s after the span's begin.

        Returns:
            Begin and end in the new file, s; None if it is outside the span.
        """
        first, last = max(time, Fraction(0)), end if self.length is None else min(end, self.length)
        return None if last < first or (last == first and end > time) else (first * self.stretch, last * self.stretch)


@dataclass(frozen=True, slots=True)
class Track:
    """What happens to a stream of the source.

    Attributes:
        index: The stream's index in the source.
        action: What happens to it.
        codec: The new codec; empty if it stays.
        note: A sentence for the user; empty if there is nothing to report.
    """

    index: int
    action: TrackAction
    codec: str = ""
    note: str = ""


def plan_tracks(
    container: InputContainer, path: Path, format: str, sound: SoundAction, stretch: Fraction
) -> list[Track]:
    """Decide what happens to every stream except the film itself, in order.

    Args:
        container: The open source.
        path: Its file.
        format: FFmpeg's name of the new container.
        sound: What to do with audio.
        stretch: New duration by old duration.
    """
    film = find_video_stream(container, path)
    tracks = []
    for stream in container.streams:
        holds_chapters = stream.discard == Discard.all  # QuickTime keeps chapters in a track
        if stream.index != film.index and not holds_chapters:
            tracks.append(_plan_track(stream, format, path, sound, stretch))
    return tracks


def _plan_track(stream: Stream, format: str, path: Path, sound: SoundAction, stretch: Fraction) -> Track:
    index, fits = stream.index, _can_hold(stream, format, path)
    if isinstance(stream, av.AudioStream):
        return _plan_audio(stream, fits, format, sound, stretch)
    if is_cover(stream):
        fits = stream.name in _COVER_FILES and (fits or format == "matroska") and format not in _WITHOUT_COVERS
        return Track(index, "cover") if fits else _drop(stream, format)
    if stream.type == "attachment":
        return Track(index, "attach") if format == "matroska" else _drop(stream, format)
    if stream.type == "subtitle" and not fits and stream.name in _TEXT_CODECS:
        return Track(index, "convert", _TEXT_CODEC_OF[format])
    if stream.type == "data" and "timecode" in stream.metadata:
        return Track(index, "drop", note=f"{_describe(stream)} numbers the source's frames and is left out")
    return Track(index, "copy") if fits else _drop(stream, format)


def _plan_audio(stream: av.AudioStream, fits: bool, format: str, sound: SoundAction, stretch: Fraction) -> Track:
    if sound == "drop":
        return Track(stream.index, "drop")
    if fits and stretch == 1:
        return Track(stream.index, "copy")
    if stream.codec_context is None:  # PyAV has no decoder for it
        return _drop(stream, format)
    lossless = (stream.name or "").startswith(_LOSSLESS_AUDIO)
    codec = "libopus" if format == "webm" else "aac" if not lossless else "flac" if format == "matroska" else "alac"
    note = f"{_describe(stream)} becomes {codec.removeprefix('lib')}, because {_suffix(format)} cannot hold it"
    return Track(stream.index, "encode", codec, note if stretch == 1 else "")


def _drop(stream: Stream, format: str) -> Track:
    note = f"{_describe(stream)} is left out, because {_suffix(format)} cannot hold it; write to .mkv to keep it"
    return Track(stream.index, "drop", note=note if format != "matroska" else note.partition(";")[0])


def _suffix(format: str) -> str:
    return ".mkv" if format == "matroska" else f".{format}"


def _describe(stream: Stream) -> str:
    words = [getattr(stream, "name", None) or "unknown kind", stream.metadata.get("language", "")]
    return f"stream {stream.index} ({stream.type}, {', '.join(word for word in words if word and word != 'und')})"


def is_cover(stream: Stream) -> bool:
    """Return whether a stream is a cover image."""
    return bool(stream.disposition & Disposition.attached_pic)


def add_copied_stream(container: OutputContainer, stream: Stream) -> Stream:
    """Add a stream that takes the packets of another unchanged. Raises FFmpegError or ValueError if that is impossible.

    Args:
        container: The new file.
        stream: The source's stream.
    """
    new = container.add_stream_from_template(stream, opaque=True)
    if isinstance(stream, av.AudioStream) and isinstance(new, av.AudioStream):
        layout = stream.codec_context.layout
        if layout.name.endswith("channels"):  # an unspecified layout
            new.codec_context.layout = LAYOUTS.get(layout.nb_channels, "stereo")
    new.disposition = stream.disposition
    return new


def _can_hold(stream: Stream, format: str, path: Path) -> bool:
    """Return whether a container can hold a stream; only its muxer knows, so a file is begun in memory."""
    try:
        with av.open(io.BytesIO(), "w", format=format, container_options={"strict": "experimental"}) as container:
            new = add_copied_stream(container, stream)
            container.start_encoding()
            if stream.type in ("audio", "data"):
                packet = _first_packet(path, stream.index)
                if packet is not None:
                    packet.stream, packet.pts, packet.dts = new, 0, 0
                    container.mux_one(packet)
    except (av.FFmpegError, ValueError, OSError):
        return False
    return True


def _first_packet(path: Path, index: int) -> AnyPacket | None:
    with open_film(path) as container:
        return next(demux_stream(container, container.streams[index]), None)


def add_text_stream(container: OutputContainer, codec: str) -> Stream:
    """Add a stream for converted subtitles."""
    if codec != "mov_text":
        return container.add_mux_stream(codec)
    stream = container.add_stream("mov_text")
    stream.codec_context.subtitle_header = _ASS_HEADER  # the encoder reads the font from it
    return stream


def convert_subtitle(data: bytes, old: str | None, new: str) -> bytes:
    """Convert a subtitle's packet to another text codec.

    Args:
        data: The packet.
        old: Its codec, FFmpeg's name.
        new: The codec to convert to. Of the markup, `<b>`, `<i>` and `<u>` are kept except in mov_text.

    Returns:
        The new packet, empty if there is no text.
    """
    if old == "mov_text":  # length, text, then style boxes
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    text = data.decode("utf-8", "replace").strip("\r\n\0 ")
    text = _MARKUP.sub(
        lambda tag: tag[0] if new != "mov_text" and tag[0].strip("</>").lower() in ("b", "i", "u") else "", text
    )
    data = text.encode()[:_MAX_TEXT]
    return len(data).to_bytes(2, "big") + data if data and new == "mov_text" else data


def read_cover(path: Path, index: int) -> tuple[str, str, bytes]:
    """Return the file name, MIME type and content of a cover image."""
    packet = _first_packet(path, index)
    assert packet is not None
    name, mimetype = _COVER_FILES[packet.stream.name or ""]
    return name, mimetype, bytes(packet)


def select_packets(
    container: InputContainer, stream: Stream, span: Span
) -> Iterator[tuple[Fraction, Fraction, AnyPacket]]:
    """Yield the packets of a stream that belong to a span, with their begin and end, s after the span's begin.

    The audio packet across the span's begin is included, because decoders need it. Damaged packets are skipped.

    Args:
        container: The open source.
        stream: One of its streams.
        span: The span.
    """
    audio = stream.type == "audio"
    seek_before(container, stream, span, _PREROLL)
    begun = stream.type != "video"
    packets = _audible_packets(container, stream, span) if audio else demux_stream(container, stream, span.clock)
    for packet in packets:
        if packet.is_discard and not audio:
            continue
        stamp = packet_time(packet)
        if stamp is None:
            continue
        time = stamp - span.begin
        end = time + (packet.duration or 0) * packet.time_base
        if span.length is not None and time >= span.length:
            if audio:
                return
            continue
        begun = begun or (packet.is_keyframe and time >= 0)
        if begun and (span.whole or end > 0 or not audio):
            yield time, end, packet


def seek_before(container: InputContainer, stream: Stream, span: Span, seconds: int) -> None:
    """Seek to `seconds` before a span, unless it is the whole film or the film's clock jumps."""
    if not span.whole and not span.clock.recordings:
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int((span.begin - seconds) / time_base_of(stream)), stream=stream)


def time_base_of(stream: Stream) -> Fraction:
    """Return a stream's time base, s; every stream of an open file has one."""
    assert stream.time_base is not None
    return stream.time_base


def _audible_packets(container: InputContainer, stream: Stream, span: Span) -> Iterator[AnyPacket]:
    """Yield an audio stream's packets without those that an edit list hides.

    Hidden packets immediately before the first audible one are kept, because decoders start with them.
    """
    priming: deque[AnyPacket] = deque(maxlen=_HIDDEN_PACKETS)
    begun = False
    for packet in demux_stream(container, stream, span.clock):
        if packet.is_discard:
            if not begun:
                priming.append(packet)
            continue
        if not begun:
            begun, first = True, packet_time(packet)
            for hidden in priming:
                stamp = packet_time(hidden)
                if first is not None and stamp is not None and first - _PRIMING <= stamp < first:
                    yield hidden
        yield packet


def demux_stream(container: InputContainer, stream: Stream, clock: Clock | None = None) -> Iterator[AnyPacket]:
    """Yield a stream's packets, skipping damaged ones.

    Args:
        container: The open source.
        stream: One of its streams.
        clock: The film's clock; the packets' times are converted to it if given.
    """
    for packet, position in with_positions(demux_packets(container, stream)):
        yield packet if clock is None else clock.shift_packet(packet, position)
