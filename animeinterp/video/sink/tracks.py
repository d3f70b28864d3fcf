"""What is in a film's file beside its pictures, and which way each of it takes into the new file."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from animeinterp.video.source.clock import Clock, with_positions
from animeinterp.video.source.container import demux_packets, find_video_stream, open_film

Sound = Literal["copy", "stretch", "drop"]
TrackAction = Literal["copy", "sound", "text", "attach", "cover", "drop"]

# what carries nothing but words, and what each kind of file holds them in
_WORDS = ("subrip", "srt", "mov_text", "webvtt", "text")
_WORDS_IN = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_LOSSLESS_SOUND = ("pcm_", "flac", "alac", "truehd", "mlp", "wavpack", "tta")
_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
_COVERLESS = ("webm", "mov")  # FFmpeg writes covers of MP4 alone, and says nothing
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_PRIMING = Fraction(1, 10)  # s; AAC needs up to 2112 samples, Opus 80 ms
_PREROLL = 30  # s read before a span, for subtitles that reach into it
_HEADER = b"""[Script Info]
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
    """Which time of the source becomes the new file's. begin: on the source's clock, s, what becomes 0. length: s of
    it, None = to its end. stretch: how many times as long it takes in the new file. whole: whether that is all. clock:
    the film's.
    """

    begin: Fraction
    length: Fraction | None = None
    stretch: Fraction = Fraction(1)
    whole: bool = True
    clock: Clock = field(default_factory=Clock)

    def clip(self, time: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """Where (s of the new file) what stands from time to end (s after `begin`) is seen; None if nowhere."""
        first, last = max(time, Fraction(0)), end if self.length is None else min(end, self.length)
        return None if last < first or (last == first and end > time) else (first * self.stretch, last * self.stretch)


@dataclass(frozen=True, slots=True)
class Track:
    """A stream's way. index: in the source. codec: what it becomes, "" if it stays. note: for the user, "" if none."""

    index: int
    way: TrackAction
    codec: str = ""
    note: str = ""


def plan(container: Any, path: Path, format: str, sound: Sound, stretch: Fraction) -> list[Track]:
    """The way of every stream of an open source but the film's, in order. format: FFmpeg's name of the target's."""
    film = find_video_stream(container, path)
    tracks = []
    for stream in container.streams:
        chapters = stream.discard == av.stream.Discard.all  # QuickTime has them as a track
        if stream.index != film.index and not chapters:
            tracks.append(_way(stream, format, path, sound, stretch))
    return tracks


def _way(stream: Any, format: str, path: Path, sound: Sound, stretch: Fraction) -> Track:
    index, fits = stream.index, _fits(stream, format, path)
    if stream.type == "audio":
        return _way_of_sound(stream, fits, format, sound, stretch)
    if is_cover(stream):
        known = stream.name in _COVERS and (fits or format == "matroska") and format not in _COVERLESS
        return Track(index, "cover") if known else _dropped(stream, format)
    if stream.type == "attachment":
        return Track(index, "attach") if format == "matroska" else _dropped(stream, format)
    if stream.type == "subtitle" and not fits and stream.name in _WORDS:
        return Track(index, "text", _WORDS_IN[format])
    if stream.type == "data" and "timecode" in stream.metadata:
        return Track(index, "drop", note=f"{_called(stream)} counts the old frames and is left out")
    return Track(index, "copy") if fits else _dropped(stream, format)


def _way_of_sound(stream: Any, fits: bool, format: str, sound: Sound, stretch: Fraction) -> Track:
    if sound == "drop":
        return Track(stream.index, "drop")
    if fits and stretch == 1:
        return Track(stream.index, "copy")
    if stream.codec_context is None:
        return _dropped(stream, format)
    lossless = stream.name.startswith(_LOSSLESS_SOUND)
    codec = "libopus" if format == "webm" else "aac" if not lossless else "flac" if format == "matroska" else "alac"
    note = f"{_called(stream)} becomes {codec.removeprefix('lib')}, because {_ending(format)} cannot hold it"
    return Track(stream.index, "sound", codec, note if stretch == 1 else "")


def _dropped(stream: Any, format: str) -> Track:
    note = f"{_called(stream)} is left out, because {_ending(format)} cannot hold it; write to .mkv to keep it"
    return Track(stream.index, "drop", note=note if format != "matroska" else note.partition(";")[0])


def _ending(format: str) -> str:
    return ".mkv" if format == "matroska" else f".{format}"


def _called(stream: Any) -> str:
    words = [getattr(stream, "name", None) or "unknown kind", stream.metadata.get("language", "")]
    return f"stream {stream.index} ({stream.type}, {', '.join(word for word in words if word and word != 'und')})"


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture of the film instead of one in it."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def add_like(container: Any, stream: Any) -> Any:
    """A new stream that takes an old one's packets as they are. Raises FFmpegError or ValueError where none can be."""
    new = container.add_stream_from_template(stream, opaque=True)
    if stream.type == "audio" and stream.codec_context.layout.name.endswith("channels"):  # which they are is not said
        new.codec_context.layout = LAYOUTS.get(stream.codec_context.layout.nb_channels, "stereo")
    new.disposition = int(stream.disposition)
    return new


def _fits(stream: Any, format: str, path: Path) -> bool:
    """Whether a format holds a stream: only its muxer knows, so it is asked to make a file."""
    try:
        with av.open(io.BytesIO(), "w", format=format, container_options={"strict": "experimental"}) as container:
            new = add_like(container, stream)
            container.start_encoding()
            if stream.type in ("audio", "data"):
                packet = _first(path, stream.index)
                if packet is not None:
                    packet.stream, packet.pts, packet.dts = new, 0, 0
                    container.mux_one(packet)
    except (av.FFmpegError, ValueError, OSError):
        return False
    return True


def _first(path: Path, index: int) -> Any:
    with open_film(path) as container:
        return next(demuxed(container, container.streams[index]), None)


def text_stream(container: Any, codec: str) -> Any:
    """A new stream of words."""
    if codec != "mov_text":
        return container.add_mux_stream(codec)
    stream = container.add_stream(codec)
    stream.codec_context.subtitle_header = _HEADER  # it has to say in which letters
    return stream


def convert_subtitle(data: bytes, old: str, new: str) -> bytes:
    """A subtitle's words as another codec writes them; b"" where there are none. Of markup, <b>, <i>, <u> may stay."""
    if old == "mov_text":  # length, words, then boxes of style
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    text = data.decode("utf-8", "replace").strip("\r\n\0 ")
    text = _TAG.sub(
        lambda tag: tag[0] if new != "mov_text" and tag[0].strip("</>").lower() in ("b", "i", "u") else "", text
    )
    data = text.encode()[:65535]
    return len(data).to_bytes(2, "big") + data if data and new == "mov_text" else data


def cover(path: Path, index: int) -> tuple[str, str, bytes]:
    """File name, kind and content of an attached picture."""
    packet = _first(path, index)
    return (*_COVERS[packet.stream.name], bytes(packet))


def selected(container: Any, stream: Any, span: Span) -> Iterator[tuple[Fraction, Fraction, Any]]:
    """Packets of an open source that belong to a span: time and end, s after the span's begin, and the packet.

    Of sound the packet on the edge comes too, as decoders need it. What cannot be read is left out.
    """
    if not span.whole and not span.clock.recordings:
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int((span.begin - _PREROLL) / stream.time_base), stream=stream)
    heard = stream.type == "audio"
    begun = stream.type != "video"
    for packet in _audible(container, stream, span) if heard else demuxed(container, stream, span.clock):
        if packet.is_discard and not heard:
            continue
        stamp = _stamp(packet)
        if stamp is None:
            continue
        time = stamp - span.begin
        end = time + (packet.duration or 0) * packet.time_base
        if span.length is not None and time >= span.length:
            if heard:
                return
            continue
        begun = begun or (packet.is_keyframe and time >= 0)
        if begun and (span.whole or end > 0 or not heard):
            yield time, end, packet


def _audible(container: Any, stream: Any, span: Span) -> Iterator[Any]:
    """A sound stream's packets without those that an edit list hides.

    Hidden packets right before the first audible one stay, because decoders start with them; they have times before it.
    """
    priming: deque[Any] = deque(maxlen=64)
    begun = False
    for packet in demuxed(container, stream, span.clock):
        if packet.is_discard:
            if not begun:
                priming.append(packet)
            continue
        if not begun:
            begun, first = True, _stamp(packet)
            for hidden in priming:
                stamp = _stamp(hidden)
                if first is not None and stamp is not None and first - _PRIMING <= stamp < first:
                    yield hidden
        yield packet


def _stamp(packet: Any) -> Fraction | None:
    """When a packet is presented, s on its file's clock."""
    stamp = packet.dts if packet.pts is None else packet.pts
    return None if stamp is None else Fraction(stamp * packet.time_base)


def demuxed(container: Any, stream: Any, clock: Clock | None = None) -> Iterator[Any]:
    """A stream's packets, over what is damaged, with times of the film's clock if that is given."""
    for packet, position in with_positions(demux_packets(container, stream)):
        yield packet if clock is None else clock.shift_packet(packet, position)
