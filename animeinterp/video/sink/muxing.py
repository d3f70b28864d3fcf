"""Mux a film: join its segments and add the other streams, chapters and tags of the source's file.

Nothing is encoded again except audio that is stretched or that the new container cannot hold. Time 0 is the film's
first frame. Audio that begins earlier is kept in the file, marked so that players skip it (edit lists, CodecDelay).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import atomic_path, ffmpeg_url
from animeinterp.video.sink import matroska
from animeinterp.video.sink.audio import add_audio_stream, encode_audio
from animeinterp.video.sink.encoders import Encoder, choose_container, close_quietly, report_encoder_errors
from animeinterp.video.sink.retiming import TimedPacket, retime_packets
from animeinterp.video.sink.tracks import (
    SoundAction,
    Span,
    Track,
    add_copied_stream,
    add_text_stream,
    is_cover,
    plan_tracks,
    read_cover,
    select_packets,
)
from animeinterp.video.source.container import find_video_stream, open_film
from animeinterp.video.source.info import VideoInfo

if TYPE_CHECKING:
    from av.container.core import Chapter

_MP4 = ("mp4", "mov")
_MUXER_OPTIONS = {
    "fflags": "+bitexact",  # nothing random: the same segments give the same file
    "strict": "experimental",  # needed for TrueHD in MP4, among others
    "max_interleave_delta": "200000",  # µs; the packets arrive in order, so the muxer need not wait
}
# The tags that MP4 has fields for; any other needs QuickTime's free tags, which fewer players show.
_MP4_TAGS = {
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
    "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "episode_sort", "season_number",
    "media_type", "hd_video", "gapless_playback", "compilation", "track", "disc", "creation_time",
}  # fmt: skip
# Tags that describe the source's file, not the film.
_FILE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "timecode")
_STATISTICS_TAGS = ("bps", "number_of_", "_statistics_")  # prefixes; mkvmerge's, about the source's packets
_MAX_OPUS_DELAY = Fraction(8, 100)  # s; an Opus stream declares up to this delay itself


@dataclass(frozen=True, slots=True)
class FilmLayout:
    """How segments and the source's other streams make a film.

    Attributes:
        film: The source as its file describes it.
        rate: Frames per second; frame k is shown at k / rate.
        encoder: The encoder of the segments.
        source: The file with the other streams; None for a folder of frames.
        stretch: New duration by old duration.
        sound: What to do with audio.
        start: Begin of the span of the film that the segments show, s.
        end: Its end, s; None = the film's end.
    """

    film: VideoInfo
    rate: Fraction
    encoder: Encoder
    source: Path | None = None
    stretch: Fraction = Fraction(1)
    sound: SoundAction = "copy"
    start: Fraction = Fraction(0)
    end: Fraction | None = None

    @property
    def span(self) -> Span:
        """The span on the source's clock."""
        length = None if self.end is None else self.end - self.start
        whole = not self.start and self.end is None
        return Span(self.film.start + self.start, length, self.stretch, whole, self.film.clock)


def check_streams(
    source: Path, target: Path, *, sound: SoundAction = "copy", stretch: Fraction = Fraction(1)
) -> list[str]:
    """Report what of a source's file a target cannot hold unchanged; call it before the long work.

    Args:
        source: The film's file.
        target: The new file.
        sound: What to do with audio.
        stretch: New duration by old duration.

    Returns:
        Sentences for the user.
    """
    format = choose_container(target)
    with open_film(source) as container:
        tracks = plan_tracks(container, source, format, sound, stretch)
        notes = [track.note for track in tracks if track.note]
        free = _list_free_tags(container)
    if format in _MP4 and free and any(track.action == "cover" for track in tracks):
        notes.append(f"tags ({', '.join(free)}) are left out, because {target.suffix} cannot hold them beside a cover")
    return notes


def join_segments(target: Path, segments: Sequence[Path], layout: FilmLayout) -> int:
    """Write a film: its segments, and the other streams of its source. The target appears whole or not at all.

    Args:
        target: The new file; replaced if it exists.
        segments: The segments in order.
        layout: How to make the film.

    Returns:
        The number of damaged packets of other streams that were left out.

    Raises:
        UsageError: Audio would be copied and stretched.
        FileError: The segments do not belong together, or the file cannot be written.
    """
    if layout.sound == "copy" and layout.stretch != 1:
        raise UsageError("sound cannot be copied into slow motion; stretch or drop it")
    if not segments:
        raise FileError(f"there are no segments to make {target} from; run the command again")
    with atomic_path(target, force=True) as part, report_encoder_errors(target):
        return _write(part, segments, layout)


def _write(path: Path, segments: Sequence[Path], layout: FilmLayout) -> int:
    source, encoder, span = layout.source, layout.encoder, layout.span
    delay = _find_reorder_depth(segments)
    with ExitStack() as stack:
        old: InputContainer | None = None if source is None else stack.enter_context(open_film(source))
        options = _choose_muxer_options(encoder, old)
        out = av.open(ffmpeg_url(path), "w", format=encoder.container, container_options=options)
        stack.callback(close_quietly, out)
        with open_film(segments[0]) as segment:
            video, display = _add_video(out, segment.streams.video[0], layout)
        packets = [_read_segments(segments, video, layout.rate, delay)]
        added: list[tuple[Track, Stream]] = []
        if source is not None and old is not None:
            _copy_tags(video, find_video_stream(old, source))
            out.metadata.update(_select_tags(old.metadata))
            out.set_chapters(_clip_chapters(old, layout.film, span))
            for track in plan_tracks(old, source, encoder.container, layout.sound, span.stretch):
                new = _add_track(out, old, source, track, span)
                if new is not None:
                    added.append((track, new))
        if display is not None:
            video.metadata["title"] = matroska.TITLE_PADDING + video.metadata.get("title", "")
        out.start_encoding()
        if source is not None:
            packets += [_read_track(source, track, new, span) for track, new in added]
        lost = _mux(out, video, heapq.merge(*packets, key=lambda timed: timed[0]))
        out.close()
    if display is not None:
        matroska.set_display_size(path, *display)
    return lost


def _choose_muxer_options(encoder: Encoder, old: InputContainer | None) -> dict[str, str]:
    if encoder.container not in _MP4:
        return _MUXER_OPTIONS
    # Free tags and a cover exclude each other.
    covered = encoder.container == "mp4" and old is not None and any(is_cover(stream) for stream in old.streams)
    free = old is not None and _list_free_tags(old) and not covered
    return _MUXER_OPTIONS | {"movflags": "+faststart" + ("+use_metadata_tags" if free else "")}


def _list_free_tags(old: InputContainer) -> list[str]:
    return [name for name in _select_tags(old.metadata) if name.lower() not in _MP4_TAGS]


def _find_reorder_depth(segments: Sequence[Path]) -> int:
    """Return by how many frames decoding precedes display. Raises FileError unless all segments are encoded alike."""
    depth, first = 0, None
    for path in segments:
        with open_film(path) as container:
            context = container.streams.video[0].codec_context
            properties = context.name, context.width, context.height, context.pix_fmt, context.extradata
            depth = max(depth, context.reorder_depth)
        first = first or properties
        if properties != first:
            raise FileError(f"{path} is not encoded like {segments[0]}; start over with --force instead of --resume")
    return depth


def _add_video(
    out: OutputContainer, segment: av.VideoStream, layout: FilmLayout
) -> tuple[av.VideoStream, tuple[int, int] | None]:
    """Add the film's own stream; also return its display size, px, if that has to be written afterwards."""
    film, format = layout.film, layout.encoder.container
    new = out.add_stream_from_template(segment, opaque=True)
    context = new.codec_context
    context.framerate, context.sample_aspect_ratio = layout.rate, film.aspect
    new.time_base = 1 / layout.rate
    if film.rotation:
        new.set_display_rotation(film.rotation)
    if context.name == "hevc" and format in _MP4:
        context.codec_tag = "hvc1"  # the only one that Apple's players accept
    if "alpha_mode" in segment.metadata:
        new.metadata["alpha_mode"] = segment.metadata["alpha_mode"]
    if format in matroska.FORMATS and film.aspect != 1:
        return new, (round(context.width * film.aspect), context.height)
    return new, None


def _add_track(out: OutputContainer, old: InputContainer, source: Path, track: Track, span: Span) -> Stream | None:
    """Add a stream of the source to the new file; return None if no packets have to be written to it."""
    stream = old.streams[track.index]
    to_matroska = out.format.name in matroska.FORMATS
    if track.action == "drop":
        return None
    if track.action == "cover" and to_matroska:
        name, mimetype, content = read_cover(source, track.index)
        out.add_attachment(name, mimetype, content)
        return None
    new: Stream
    if track.action == "encode" and isinstance(stream, av.AudioStream):
        new = add_audio_stream(out, stream, track.codec)
    elif track.action == "convert":
        new = add_text_stream(out, track.codec)
        new.time_base = Fraction(1, 1000)
    else:
        delay = _find_delay(source, track, span) if to_matroska and stream.type == "audio" else Fraction(0)
        new = add_copied_stream(out, matroska.make_delayed_template(stream, delay) if delay else stream)
    _copy_tags(new, stream)
    return None if track.action == "attach" else new


def _find_delay(source: Path, track: Track, span: Span) -> Fraction:
    """Return how long before time 0 an audio stream begins, s; 0 if the stream declares it itself."""
    with open_film(source) as container:
        stream = container.streams[track.index]
        first = next(select_packets(container, stream, span), None)
        declared = _MAX_OPUS_DELAY if stream.name == "opus" else 0
    return Fraction(0) if first is None or -first[0] <= declared else -first[0]


def _copy_tags(new: Stream, old: Stream) -> None:
    tags = _select_tags(old.metadata)
    if "name" in tags:  # QuickTime's name for the title
        tags.setdefault("title", tags.pop("name"))
    new.metadata.update(tags)
    new.disposition = old.disposition


def _select_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that also apply to the new file."""
    names = [n for n in tags if n.lower() not in _FILE_TAGS and not n.lower().startswith(_STATISTICS_TAGS)]
    return {name: tags[name] for name in names}


def _clip_chapters(old: InputContainer, film: VideoInfo, span: Span) -> list[Chapter]:
    """Return the source's chapters up to its end; later ones would extend the duration of an MP4."""
    ends = [film.start + film.duration]
    if old.duration is not None:
        ends.append(Fraction((old.start_time or 0) + old.duration, av.time_base))
    length = max(ends) - span.begin
    span = replace(span, length=length if span.length is None else min(span.length, length))
    chapters: list[Chapter] = []
    for chapter in old.chapters():
        tick = chapter["time_base"]
        assert tick is not None
        visible = span.clip(chapter["start"] * tick - span.begin, chapter["end"] * tick - span.begin)
        if visible is not None:
            begin, end = visible
            chapters.append({**chapter, "start": round(begin / tick), "end": round(end / tick)})
    return chapters


def _read_segments(segments: Sequence[Path], new: Stream, rate: Fraction, delay: int) -> Iterator[TimedPacket]:
    """Yield the segments' packets with exact times, counted in frames, because Matroska rounds times to ms."""
    first = 0
    for path in segments:
        count = 0
        with open_film(path) as container:
            stream: Stream = container.streams.video[0]
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.pts is None:
                    raise FileError(f"{path} is damaged; delete it and the segments after it, then give --resume")
                packet.pts = first + round(packet.pts * packet.time_base * rate)
                packet.dts, packet.duration = first + count - delay, 1
                packet.time_base, packet.stream = 1 / rate, new
                yield packet.dts / rate, packet
                count += 1
        first += count


def _read_track(source: Path, track: Track, new: Stream, span: Span) -> Iterator[TimedPacket]:
    """Yield the packets that a stream of the source contributes to the new file."""
    if track.action == "cover":
        packet = av.Packet(read_cover(source, track.index)[2])
        packet.pts = packet.dts = 0
        packet.stream, packet.is_keyframe = new, True
        yield Fraction(0), packet
        return
    with open_film(source) as container:
        stream = container.streams[track.index]
        if isinstance(stream, av.AudioStream) and isinstance(new, av.AudioStream) and track.action == "encode":
            for packet in encode_audio(container, stream, new, span):
                yield (packet.dts or 0) * packet.time_base, packet
        else:
            yield from retime_packets(container, stream, track, new, span)


def _mux(out: OutputContainer, video: Stream, packets: Iterable[TimedPacket]) -> int:
    """Write packets; return how many of other streams the muxer rejected."""
    lost = 0
    for _, packet in packets:
        own = packet.stream_index == video.index
        try:
            out.mux_one(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if own:
                raise
            lost += 1
    return lost
