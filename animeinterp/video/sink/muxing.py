"""The last step: segments become one film, with everything else that the source's file holds.

Nothing is encoded again but sound that has to be stretched or that the new file cannot hold. Time 0 is the film's first
frame; sound that begins before it stays in the file, where players leave it out (edit lists, CodecDelay).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.video.sink import matroska
from animeinterp.video.sink.audio import encoded, sound_stream
from animeinterp.video.sink.encoders import Encoder, container_of, writing
from animeinterp.video.sink.tracks import (
    Sound,
    Span,
    Track,
    add_like,
    convert_subtitle,
    cover,
    is_cover,
    plan,
    selected,
    text_stream,
)
from animeinterp.video.source.container import find_video_stream, open_film
from animeinterp.video.source.info import VideoInfo

_MATROSKA, _MP4 = ("matroska", "webm"), ("mp4", "mov")
_OPTIONS = {
    "fflags": "+bitexact",  # nothing random: the same segments give the same file
    "strict": "experimental",  # TrueHD in MP4, for one
    "max_interleave_delta": "200000",  # µs; packets come in order, none has to be waited for
}
_MP4_TAGS = {  # what MP4 has room for; anything else needs QuickTime's free tags, which fewer players show
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
    "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "episode_sort", "season_number",
    "media_type", "hd_video", "gapless_playback", "compilation", "track", "disc", "creation_time",
}  # fmt: skip
_OLD_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "timecode")
_OPUS_DELAY = Fraction(8, 100)  # s at most, which an Opus stream tells of by itself
_STATISTICS = ("bps", "number_of_", "_statistics_")  # mkvmerge's, of the old packets

Timed = tuple[Fraction, Any]  # s of the new file, packet


def check_streams(source: Path, target: Path, *, sound: Sound = "copy", stretch: Fraction = Fraction(1)) -> list[str]:
    """Sentences on what of a source's file a target will not hold as it is: ask before the long work."""
    format = container_of(target)
    with open_film(source) as container:
        planned = plan(container, source, format, sound, stretch)
        notes = [track.note for track in planned if track.note]
        free = _free_tags(container)
    if format in _MP4 and free and any(track.way == "cover" for track in planned):
        notes.append(f"tags ({', '.join(free)}) are left out, because {target.suffix} has no room beside a cover")
    return notes


def join(
    target: Path,
    segments: Sequence[Path],
    film: VideoInfo,
    rate: Fraction,
    encoder: Encoder,
    *,
    source: Path | None,
    stretch: Fraction = Fraction(1),
    sound: Sound = "copy",
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
) -> int:
    """Write the film: frame k of the segments at k / rate, and what else the source holds.

    source: the film's file; None for a folder of frames. stretch: how many times as long a second of the source takes.
    sound: `stretch` keeps it with the pictures. start, end: the span of the film that the segments show, s.
    Returns how many damaged packets of other streams had to be left out.
    Raises UsageError for sound that is to be copied and stretched; FileError for segments that do not belong together
    and for a file that cannot be written. The target appears whole or not at all; one that exists is replaced.
    """
    if sound == "copy" and stretch != 1:
        raise UsageError("sound cannot be copied into slow motion; stretch or drop it")
    if not segments:
        raise FileError(f"there is no segment to make {target} of; run it again")
    length = None if end is None else end - start
    span = Span(film.start + start, length, stretch, not start and end is None, film.clock)
    with atomic_path(target, force=True) as part, writing(target):
        return _write(part, segments, film, rate, encoder, source, sound, span)


def _write(
    path: Path,
    segments: Sequence[Path],
    film: VideoInfo,
    rate: Fraction,
    encoder: Encoder,
    source: Path | None,
    sound: Sound,
    span: Span,
) -> int:
    delay = _reordering(segments)
    with ExitStack() as stack:
        old: Any = None if source is None else stack.enter_context(open_film(source))
        out = av.open(
            ffmpeg_url(path), "w", format=encoder.container, container_options=_container_options(encoder, old)
        )
        stack.callback(_close_quietly, out)
        with open_film(segments[0]) as segment:
            display = _add_pictures(out, segment.streams.video[0], film, rate, encoder)
        pictures: Any = out.streams[0]
        packets = [_pictures(segments, pictures, rate, delay)]
        others: list[tuple[Track, Any]] = []
        if source is not None:
            _tag(pictures, find_video_stream(old, source))
            out.metadata.update(_kept(old.metadata))
            out.set_chapters(_chapters(old, film, span))
            for track in plan(old, source, encoder.container, sound, span.stretch):
                others.append((track, _add(out, old, source, track, span)))
        if display is not None:
            pictures.metadata["title"] = matroska.ROOM + pictures.metadata.get("title", "")
        out.start_encoding()
        if source is not None:
            packets += [_packets(source, track, new, span) for track, new in others if new is not None]
        lost = _mux(out, pictures, heapq.merge(*packets, key=lambda timed: timed[0]))
        out.close()
    if display is not None:
        matroska.set_display_size(path, *display)
    return lost


def _container_options(encoder: Encoder, old: Any) -> dict[str, str]:
    if encoder.container not in _MP4:
        return _OPTIONS
    # free tags take the place of those that hold a cover
    covered = encoder.container == "mp4" and old is not None and any(is_cover(stream) for stream in old.streams)
    free = old is not None and _free_tags(old) and not covered
    return _OPTIONS | {"movflags": "+faststart" + ("+use_metadata_tags" if free else "")}


def _free_tags(old: Any) -> list[str]:
    return [name for name in _kept(old.metadata) if name.lower() not in _MP4_TAGS]


def _reordering(segments: Sequence[Path]) -> int:
    """By how many frames decoding goes ahead of showing. Raises FileError if not all segments are encoded alike."""
    depth, first = 0, None
    for path in segments:
        with open_film(path) as container:
            context = container.streams.video[0].codec_context
            like = context.name, context.width, context.height, context.pix_fmt, context.extradata
            depth = max(depth, context.reorder_depth)
        first = first or like
        if like != first:
            raise FileError(f"{path} is not encoded like {segments[0]}; begin anew, with --force instead of --resume")
    return depth


def _add_pictures(out: Any, segment: Any, film: VideoInfo, rate: Fraction, encoder: Encoder) -> tuple[int, int] | None:
    """Add the stream of the film itself; returns its size on the screen, px, where it has to be written afterwards."""
    new = out.add_stream_from_template(segment, opaque=True)
    context = new.codec_context
    new.time_base, context.framerate, context.sample_aspect_ratio = 1 / rate, rate, film.aspect
    if film.rotation:
        new.set_display_rotation(film.rotation)
    if context.name == "hevc" and encoder.container in _MP4:
        context.codec_tag = "hvc1"  # Apple's players take no other
    if "alpha_mode" in segment.metadata:
        new.metadata["alpha_mode"] = segment.metadata["alpha_mode"]
    if encoder.container in _MATROSKA and film.aspect != 1:
        return round(context.width * film.aspect), context.height
    return None


def _add(out: Any, old: Any, source: Path, track: Track, span: Span) -> Any:
    """Add a stream's like to the new file; None if it has no packets of its own there."""
    stream = old.streams[track.index]
    matroska_file = out.format.name in _MATROSKA
    if track.way == "drop":
        return None
    if track.way == "cover" and matroska_file:
        out.add_attachment(*cover(source, track.index))
        return None
    if track.way == "sound":
        new = sound_stream(out, stream, track.codec)
    elif track.way == "text":
        new = text_stream(out, track.codec)
        new.time_base = Fraction(1, 1000)
    else:
        early = _early(source, track, span) if matroska_file and stream.type == "audio" else Fraction(0)
        new = add_like(out, matroska.delayed(stream, early) if early else stream)
    _tag(new, stream)
    return None if track.way == "attach" else new


def _early(source: Path, track: Track, span: Span) -> Fraction:
    """How long before time 0 a stream of sound begins, s."""
    with open_film(source) as container:
        stream = container.streams[track.index]
        first = next(selected(container, stream, span), None)
    own = _OPUS_DELAY if stream.name == "opus" else 0
    return Fraction(0) if first is None or -first[0] <= own else -first[0]


def _tag(new: Any, old: Any) -> None:
    tags = _kept(old.metadata)
    if "name" in tags:  # QuickTime's word for a title
        tags.setdefault("title", tags.pop("name"))
    new.metadata.update(tags)
    new.disposition = int(old.disposition)


def _kept(tags: dict[str, str]) -> dict[str, str]:
    """Tags that are true of the new file too."""
    return {n: v for n, v in tags.items() if n.lower() not in _OLD_TAGS and not n.lower().startswith(_STATISTICS)}


def _chapters(old: Any, film: VideoInfo, span: Span) -> list[Any]:
    """The source's chapters up to its end: those beyond it would make an MP4 longer than all else in it."""
    ends = [film.start + film.duration]
    if old.duration is not None:
        ends.append(Fraction((old.start_time or 0) + old.duration, av.time_base))
    length = max(ends) - span.begin
    span = replace(span, length=length if span.length is None else min(span.length, length))
    chapters = []
    for chapter in old.chapters():
        tick = chapter["time_base"]
        seen = span.clip(chapter["start"] * tick - span.begin, chapter["end"] * tick - span.begin)
        if seen is not None:
            chapters.append(chapter | {"start": round(seen[0] / tick), "end": round(seen[1] / tick)})
    return chapters


def _pictures(segments: Sequence[Path], new: Any, rate: Fraction, delay: int) -> Iterator[Timed]:
    """The segments' packets, counted in frames: what Matroska has rounded to ms becomes exact."""
    first = 0
    for path in segments:
        count = 0
        with open_film(path) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                if packet.pts is None:
                    raise FileError(f"{path} is damaged; delete it and those behind it, then give --resume")
                packet.pts = first + round(packet.pts * packet.time_base * rate)
                packet.dts, packet.duration = first + count - delay, 1
                packet.time_base, packet.stream = 1 / rate, new
                yield packet.dts / rate, packet
                count += 1
        first += count


def _packets(source: Path, track: Track, new: Any, span: Span) -> Iterator[Timed]:
    """What a stream of the source gives to the new file."""
    if track.way == "cover":
        packet = av.Packet(cover(source, track.index)[2])
        packet.pts = packet.dts = 0
        packet.stream, packet.is_keyframe = new, True
        yield Fraction(0), packet
        return
    with open_film(source) as container:
        stream = container.streams[track.index]
        if track.way == "sound":
            for packet in encoded(container, stream, new, span):
                yield packet.dts * packet.time_base, packet
        else:
            yield from _rising(_retimed(container, stream, track, new, span), new)


def _retimed(container: Any, stream: Any, track: Track, new: Any, span: Span) -> Iterator[Timed]:
    """Packets with times of the new file, in s and in ticks of the new stream."""
    clock = _Clock(stream) if stream.type == "audio" and new.container.format.name not in _MATROSKA else None
    tick = new.time_base
    for time, end, packet in selected(container, stream, span):
        seen: tuple[Fraction, Fraction] | None = time * span.stretch, end * span.stretch
        if clock is not None:
            seen = clock.exact(time, end)
        elif stream.type != "audio":
            seen = span.clip(time, end)
        if seen is None:
            continue
        decoded = None if packet.dts is None else (packet.dts * packet.time_base - span.begin) * span.stretch
        if track.way == "text":
            words = convert_subtitle(bytes(packet), stream.name, track.codec)
            if not words:
                continue
            packet = av.Packet(words)
        packet.pts, packet.duration = round(seen[0] / tick), round((seen[1] - seen[0]) / tick)
        packet.dts = packet.pts if stream.type != "video" else None if decoded is None else round(decoded / tick)
        packet.time_base, packet.stream = tick, new
        yield seen[0], packet


def _rising(timed: Iterator[Timed], new: Any) -> Iterator[Timed]:
    """The same, without steps back in decoding time, which a muxer would refuse."""
    step = 0 if new.container.format.name in _MATROSKA else 1
    last = None
    for time, packet in timed:
        if packet.dts is not None:
            if last is not None and packet.dts < last + step:
                packet.dts = last + step
                packet.pts = max(packet.pts, packet.dts)
            last = packet.dts
        yield time, packet


class _Clock:
    """Times of sound to the sample, where a file has rounded them to its own ticks, ms in Matroska."""

    def __init__(self, stream: Any) -> None:
        context = stream.codec_context
        size = 0 if context is None else context.frame_size
        self._step = Fraction(size, context.sample_rate) if size and context.sample_rate else None
        self._tick = stream.time_base
        self._next: Fraction | None = None

    def exact(self, time: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        """When a packet begins and ends, s, given what the file says."""
        if self._step is None:
            return time, end
        if self._next is not None and abs(time - self._next) <= self._tick:
            time = self._next
        self._next = time + self._step
        return time, self._next


def _mux(out: Any, pictures: Any, packets: Iterable[Timed]) -> int:
    """Write packets; returns how many of other streams the muxer would not take."""
    lost = 0
    for _, packet in packets:
        own = packet.stream_index == pictures.index
        try:
            out.mux_one(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if own:
                raise
            lost += 1
    return lost


def _close_quietly(out: Any) -> None:
    with suppress(av.FFmpegError, OSError):
        out.close()
