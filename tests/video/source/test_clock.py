"""Frames are shown at the right times, whatever the container declares: each one once, none for hours."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.muxing import FilmLayout, join_segments
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.clock import Clock
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from support.films import difference, figure, make_film, pictures

B_FRAMES = {"bf": "3", "crf": "10"}


def figures(count, first=0):
    return [figure(2 * k + first) for k in range(count)]


def read(path):
    film = probe(path)
    reader = Reader(film)
    return film, reader, list(reader)


def retimed(source, target, change, **options):
    """Copy the video of a film; `change` is called with each packet and its number."""
    with av.open(source) as old, av.open(target, "w", **options) as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for number, packet in enumerate(old.demux(video=0)):
            if packet.size:
                change(packet, number)
                packet.stream = stream
                new.mux_one(packet)
    return target


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "libx264"), ("a.avi", "mpeg4"), ("a.h264", "libx264")])
def test_containers_without_presentation_times_keep_every_frame(name, codec, tmp_path):
    path = make_film(tmp_path / name, figures(24), codec=codec, options=B_FRAMES if codec == "libx264" else {"bf": "2"})
    film, reader, shown = read(path)
    assert (film.rate, film.frames, reader.end, reader.damaged, reader.dropped) == (24, 24, 1, 0, 0)
    assert [frame.time for frame in shown] == [Fraction(k, 24) for k in range(24)]
    assert all(difference(frame.frame, figure(2 * k)) < 6 for k, frame in enumerate(shown))


def test_times_in_decoding_order_are_sorted(tmp_path):
    source = make_film(tmp_path / "a.mkv", figures(24), options=B_FRAMES)

    def change(packet, number):
        packet.pts = packet.dts = round(number * 1000 / 24)

    _, reader, shown = read(retimed(source, tmp_path / "b.mkv", change))
    assert [frame.time for frame in shown] == [Fraction(k, 24) for k in range(24)]
    assert all(difference(frame.frame, figure(2 * k)) < 6 for k, frame in enumerate(shown))
    assert reader.dropped == 0


def test_repeated_times_move_to_the_next_gap_or_are_counted(tmp_path):
    source = make_film(tmp_path / "a.mkv", figures(24), options={"bf": "0"})

    def repeat(packet, number):
        if number == 10:
            packet.pts = packet.dts = round(9 * 1000 / 24)

    _, reader, shown = read(retimed(source, tmp_path / "b.mkv", repeat))
    assert (len(shown), reader.dropped) == (24, 0)

    def late(packet, number):
        packet.pts = packet.dts = round((number - (number > 9)) * 1000 / 24)

    _, reader, shown = read(retimed(source, tmp_path / "c.mkv", late))
    assert (len(shown), reader.dropped) == (23, 1)


def offset(seconds):
    def setup(container, stream):
        container.options["output_ts_offset"] = str(seconds)

    return setup


@pytest.mark.parametrize("offsets", [(0, 1000), (1000, 0), (0, 0), (0, 30, 12, 1000), (0, 95000)])
def test_joined_recordings_follow_each_other(offsets, tmp_path):
    parts = [
        make_film(tmp_path / f"{n}.ts", figures(12), setup=offset(seconds)).read_bytes()
        for n, seconds in enumerate(offsets)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    film, reader, shown = read(path)
    count = 12 * len(offsets)
    assert (film.rate, film.frames, film.duration, reader.end) == (24, count, Fraction(count, 24), Fraction(count, 24))
    assert [frame.time for frame in shown] == [Fraction(k, 24) for k in range(count)]
    assert any("jumps" in note for note in film.notes)


def film_with_audio(path, times, silent=(0, 0)):
    """Write a film with frames at `times`, s, and audio that pauses between the two times `silent`."""
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=24, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 24)
        audio = container.add_stream("mp2", rate=48000)
        packets = []
        for number, time in enumerate(times):
            video_frame = av.VideoFrame.from_ndarray(figure(2 * number), format="rgb24")
            video_frame.pts, video_frame.time_base = round(time * 24), Fraction(1, 24)
            packets += video.encode(video_frame)
        packets += video.encode(None)
        for start in range(0, round(48000 * (times[-1] + 1)), 1152):
            if silent[0] < start / 48000 < silent[1]:
                continue
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            packets += audio.encode(frame)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux_one(packet)
    return path


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_a_long_hold_is_kept_while_audio_continues(name, tmp_path):
    times = [k / 24 for k in range(12)] + [15 + k / 24 for k in range(12)]
    film, _, shown = read(film_with_audio(tmp_path / name, times))
    assert abs(film.duration - Fraction(31, 2)) < Fraction(1, 100)
    assert shown[12].time == 15
    film, _, _ = read(film_with_audio(tmp_path / f"jump_{name}", times, silent=(0.6, 15)))
    assert film.duration == 1


def test_a_pause_without_audio_is_kept_where_clocks_do_not_jump(tmp_path):
    times = [Fraction(k, 24) for k in (*range(12), *range(600, 612))]
    film, _, shown = read(make_film(tmp_path / "a.mkv", figures(24), times=times))
    assert (film.rate, shown[12].time) == (24, 25)


def test_audio_follows_the_frames_over_a_jump(tmp_path):
    times = [k / 24 for k in range(24)]
    one = film_with_audio(tmp_path / "one.ts", times).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one + one)
    film = probe(path)
    encoder = choose_encoder(tmp_path / "new.mkv", film, Encoding())
    segment = tmp_path / "0.mkv"
    with SegmentWriter(segment, film, film.rate, encoder) as writer:
        for shown in Reader(film):
            writer.write(shown.frame)
    join_segments(tmp_path / "new.mkv", [segment], FilmLayout(film, film.rate, encoder, source=path))
    with av.open(tmp_path / "new.mkv") as container:
        audio_times = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
    assert audio_times == sorted(audio_times)
    assert 2.8 < max(audio_times) < 3.1, "audio of the second recording starts with its frames"
    assert film.duration == 2


def test_a_declared_duration_is_measured(tmp_path):
    path = make_film(tmp_path / "a.mkv", figures(24))
    data = path.read_bytes()
    at = data.rindex(b"00:00:01.0")
    path.write_bytes(data[:at] + b"99:59:59.0" + data[at + 10 :])
    film, reader, shown = read(path)
    assert (film.duration, reader.end, len(shown), reader.damaged) == (1, 1, 24, 0)
    data = bytearray(make_film(tmp_path / "a.mp4", figures(24)).read_bytes())
    for box in (b"mvhd", b"mdhd"):
        at = data.index(box) + 20
        data[at : at + 4] = struct.pack(">I", 2**31)
    (tmp_path / "a.mp4").write_bytes(data)
    assert probe(tmp_path / "a.mp4").duration == 1


def test_the_last_frame_is_not_shown_for_hours(tmp_path):
    def change(packet, number):
        packet.duration = 10**9 if number == 23 else packet.duration

    source = make_film(tmp_path / "a.mp4", figures(24), options={"bf": "0"})
    film, reader, _ = read(retimed(source, tmp_path / "b.mp4", change))
    assert (film.duration, reader.end) == (1, 1)


def test_the_codecs_rate_replaces_a_clock_of_minutes_per_frame(tmp_path):
    path = make_film(tmp_path / "a.mp4", figures(24), options={"bf": "0"}, setup=_without_edits)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 16
    data[at : at + 4] = struct.pack(">I", 1)
    path.write_bytes(data)
    film, reader, shown = read(path)
    assert (film.rate, film.duration, reader.end, len(shown), reader.damaged) == (24, 1, 1, 24, 0)


def _without_edits(container, stream):
    container.options["use_editlist"] = "0"


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_a_late_first_frame_does_not_change_the_duration(suffix, tmp_path):
    times = [2 + Fraction(k, 24) for k in range(24)]
    film, reader, shown = read(make_film(tmp_path / f"a.{suffix}", figures(24), times=times))
    assert (film.duration, reader.end, len(shown), reader.damaged) == (1, 1, 24, 0)


def test_a_hold_in_an_animated_png_does_not_change_its_rate(tmp_path):
    times = [Fraction(k, 24) for k in (*range(12), *range(36, 48))]
    film, _, shown = read(make_film(tmp_path / "a.apng", figures(24), times=times, codec="apng", pix_fmt="rgb24"))
    assert film.rate == 24
    assert [frame.time for frame in shown] == times


def test_a_steady_clock_changes_nothing(tmp_path):
    film = probe(make_film(tmp_path / "a.mkv", figures(8), options=B_FRAMES))
    assert film.clock.may_seek
    assert Clock().may_seek
    assert len(pictures(film.path)) == film.clock.frames
