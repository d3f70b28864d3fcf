"""The other streams of a source's file reach the new film complete, unchanged and in sync."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.video.sink.muxing import FilmLayout, check_streams, join_segments
from animeinterp.video.source.probe import probe
from support.muxed import (
    ASS,
    MS,
    SUBTITLES,
    add_sine,
    add_video,
    decode_audio,
    encode_images,
    encode_png,
    encode_sine,
    make_packet,
    measure_pitch,
    read_packets,
    read_times,
    remux,
    write_segments,
)


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """2 s in Matroska with two of everything: sound, subtitles, chapters; a font, a cover, tags."""
    path = tmp_path_factory.mktemp("full") / "full.mkv"
    with av.open(path, "w", container_options={"fflags": "+bitexact"}) as container:
        container.metadata.update({"title": "The Film", "MY_TAG": "mine"})
        streams = [add_video(container), add_sine(container, "aac"), add_sine(container, "flac", 44100, 880)]
        subtitles = container.add_mux_stream("subrip")
        styled = container.add_stream("ass")
        styled.codec_context.subtitle_header = ASS
        for stream, language in zip([*streams, subtitles, styled], ("jpn", "eng", "jpn", "deu", "fra"), strict=True):
            stream.metadata["language"] = language
            stream.time_base = MS
        streams[2].metadata["title"] = "Commentary"
        streams[1].disposition, streams[2].disposition = 1, 8
        styled.disposition = 64
        container.add_attachment("font.ttf", "font/ttf", b"font" * 100)
        container.add_attachment("cover.png", "image/png", encode_png())
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1000, "time_base": MS, "metadata": {"title": "One"}},
                {"id": 2, "start": 1000, "end": 2000, "time_base": MS, "metadata": {"title": "Two"}},
            ]
        )
        container.start_encoding()
        texts = [make_packet(subtitles, text.encode(), time, length) for time, length, text in SUBTITLES]
        for number, (time, length, text) in enumerate(SUBTITLES):
            texts.append(make_packet(styled, f"{number},0,Default,,0,0,0,,{text}".encode(), time, length))
        packets = [*texts, *encode_images(streams[0], 48), *encode_sine(streams[1], 2), *encode_sine(streams[2], 2)]
        container.mux(sorted(packets, key=lambda p: p.dts * p.time_base))
    return path


def test_matroska_keeps_all_other_streams(full, tmp_path):
    new = remux(full, tmp_path / "new.mkv")
    with av.open(full) as a, av.open(new) as b:
        assert [s.type for s in b.streams] == [s.type for s in a.streams]
        for old, stream in zip(a.streams, b.streams, strict=True):
            assert stream.language == old.language
            assert stream.disposition == old.disposition
            if old.type in ("audio", "subtitle"):
                assert read_packets(new, stream.index) == read_packets(full, old.index)
                assert read_times(new, stream.index) == read_times(full, old.index)
                assert stream.codec_context.extradata == old.codec_context.extradata
        (font,) = b.streams.attachments
        assert (font.name, font.mimetype, font.data) == ("font.ttf", "font/ttf", b"font" * 100)
        assert [(c["start"], c["end"], c["metadata"]) for c in b.chapters()] == [
            (c["start"], c["end"], c["metadata"]) for c in a.chapters()
        ]
        assert (b.metadata["title"], b.metadata["MY_TAG"]) == ("The Film", "mine")
        assert b.streams.audio[1].metadata["title"] == "Commentary"
    assert check_streams(full, tmp_path / "new.mkv") == []


@pytest.mark.parametrize("rate", [Fraction(48), Fraction(60000, 1001), Fraction(30)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frame_k_is_shown_at_k_over_rate(full, tmp_path, suffix, rate):
    new = remux(full, tmp_path / f"new{suffix}", rate=rate, count=100)
    shown = sorted(read_times(new, 0))
    assert len(shown) == 100
    allowed = Fraction(1, 2000) if suffix == ".mkv" else 0
    assert max(abs(time - k / rate) for k, time in enumerate(shown)) <= allowed
    with av.open(new) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.has_b_frames  # the test needs reordered frames
        decoded = [p.dts for p in container.demux(stream) if p.size and p.dts is not None]
        assert all(a < b for a, b in pairwise(decoded))
        assert float(stream.average_rate) == pytest.approx(float(rate), rel=1e-5)
        if suffix != ".mkv":
            assert stream.duration * stream.time_base == 100 / rate


def test_joined_images_are_those_of_the_segments(full, tmp_path):
    new = remux(full, tmp_path / "new.mp4")
    parts = []
    for path in sorted((tmp_path / "new.parts").iterdir()):
        with av.open(path) as container:
            parts += [p.to_ndarray() for p in container.decode(video=0)]
    with av.open(new) as container:
        assert all(np.array_equal(p.to_ndarray(), q) for p, q in zip(container.decode(video=0), parts, strict=True))


def test_the_same_segments_give_the_same_file(full, tmp_path):
    first = remux(full, tmp_path / "new.mkv").read_bytes()
    (tmp_path / "again").mkdir()
    assert remux(full, tmp_path / "again" / "new.mkv").read_bytes() == first


def test_mp4_keeps_what_it_can_and_reports_the_rest(full, tmp_path):
    notes = check_streams(full, tmp_path / "new.mp4")
    assert len(notes) == 3
    assert "ssa, fra" in notes[0]
    assert "left out" in notes[0]
    assert "font.ttf" in notes[1]
    assert "MY_TAG" in notes[2]
    new = remux(full, tmp_path / "new.mp4")
    with av.open(new) as container:
        kinds = [s.name for s in container.streams if s.type != "data"]
        assert kinds == ["h264", "aac", "flac", "mov_text", "png"]
        assert [s.language for s in container.streams][:4] == ["jpn", "eng", "jpn", "deu"]
        assert [c["metadata"]["title"] for c in container.chapters()] == ["One", "Two"]
        assert container.metadata["title"] == "The Film"
        texts = [(p.pts * p.time_base, bytes(p)[2:]) for p in container.demux(container.streams[3]) if p.size > 2]
    assert texts == [(time * MS, text.replace("<i>", "").replace("</i>", "").encode()) for time, _, text in SUBTITLES]
    for index in (1, 2):
        assert read_packets(new, index) == read_packets(full, index)
    lengths = {b - a for a, b in pairwise(read_times(new, 1))}
    assert lengths == {Fraction(1024, 48000)}  # exact, not Matroska's ms


def test_mov_reports_that_it_cannot_hold_a_cover(full, tmp_path):
    notes = check_streams(full, tmp_path / "new.mov")
    assert any("png" in note and "left out" in note for note in notes)
    assert not any("MY_TAG" in note for note in notes)
    with av.open(remux(full, tmp_path / "new.mov", count=24)) as container:
        assert [s.name for s in container.streams.video] == ["h264"]
        assert container.metadata["MY_TAG"] == "mine"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_beyond_the_end_do_not_extend_the_film(tmp_path, suffix):
    source = tmp_path / "old.mkv"
    with av.open(source, "w") as container:
        stream = add_video(container)
        container.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": MS, "metadata": {"title": str(n)}}
                for n, (start, end) in enumerate([(0, 500), (500, 5000), (6000, 7000)])
            ]
        )
        container.mux(list(encode_images(stream, 24)))
    with av.open(remux(source, tmp_path / f"new{suffix}", count=48)) as container:
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()]
        assert chapters == [(0, Fraction(1, 2)), (Fraction(1, 2), pytest.approx(Fraction(1), abs=0.05))]
        assert container.duration / av.time_base == pytest.approx(1, abs=0.1)


def test_subtitles_survive_mp4_and_back(full, tmp_path):
    new = remux(remux(full, tmp_path / "new.mp4"), tmp_path / "back.mkv")
    with av.open(new) as container:
        assert [s.name for s in container.streams.subtitles] == ["srt"]
        assert [s.name for s in container.streams.video] == ["h264", "png"]
        assert not list(container.streams.data)  # QuickTime keeps chapters in a track, which is read as chapters
    assert read_packets(new, 3) == [text.replace("<i>", "").replace("</i>", "").encode() for _, _, text in SUBTITLES]
    assert read_times(new, 3) == [time * MS for time, _, _ in SUBTITLES]
    assert read_packets(new, 1) == read_packets(full, 1)


def test_webm_gets_audio_and_subtitles_that_it_can_hold(full, tmp_path):
    notes = check_streams(full, tmp_path / "new.webm")
    assert any("becomes opus" in note for note in notes)
    new = remux(full, tmp_path / "new.webm", count=48)
    with av.open(new) as container:
        assert [s.name for s in container.streams] == ["vp9", "opus", "opus", "webvtt"]
        assert [c["metadata"]["title"] for c in container.chapters()] == ["One", "Two"]
    assert read_packets(new, 3)[0] == SUBTITLES[0][2].encode()
    assert len(decode_audio(new)) == pytest.approx(2 * 48000, abs=0.03 * 48000)
    assert measure_pitch(decode_audio(new), 48000) == pytest.approx(440, abs=3)


@pytest.fixture(scope="module")
def late(tmp_path_factory) -> Path:
    """An MP4 whose audio begins 0.3 s after its video, which begins at 0.5 s."""
    path = tmp_path_factory.mktemp("late") / "late.mp4"
    with av.open(path, "w") as container:
        streams = [add_video(container), add_sine(container, "aac")]
        packets = [*encode_images(streams[0], 24, start=12), *encode_sine(streams[1], 0.7, Fraction(8, 10))]
        container.mux(sorted(packets, key=lambda p: p.dts * p.time_base))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_audio_stays_in_sync_with_the_video(late, tmp_path, suffix):
    film = probe(late)
    assert film.start == Fraction(1, 2)
    new = remux(late, tmp_path / f"new{suffix}", count=48)
    assert min(read_times(new, 0)) == 0
    assert read_packets(new, 1) == read_packets(late, 1)
    for old, time in zip(read_times(late, 1), read_times(new, 1), strict=True):
        assert abs(time - (old - film.start)) <= Fraction(1, 1000)
    onset = np.flatnonzero(np.abs(decode_audio(new)) > 0.02)[0] / 48000
    assert onset == pytest.approx(0.3, abs=0.002)


def test_audio_hidden_by_an_edit_list_is_skipped_in_matroska_too(tmp_path):
    source = simple(tmp_path / "old.mp4", "aac")
    assert read_times(source, 1)[0] < 0
    new = remux(source, tmp_path / "new.mkv", count=48)
    assert min(read_times(new, 0)) == 0
    assert read_packets(new, 1) == read_packets(source, 1)
    np.testing.assert_array_equal(decode_audio(new)[:40000], decode_audio(source)[:40000])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_slow_motion_stretches_audio_subtitles_and_chapters(full, tmp_path, suffix):
    new = remux(full, tmp_path / f"new{suffix}", stretch=Fraction(4), sound="stretch")
    with av.open(new) as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        index = container.streams.subtitles[0].index
        last = container.chapters()[1]
        assert (last["start"] * last["time_base"], last["end"] * last["time_base"]) == (4, 8)
        assert container.streams.audio[1].metadata["title"] == "Commentary" if suffix == ".mkv" else True
    wave = decode_audio(new)
    assert len(wave) / rate == pytest.approx(4 * len(decode_audio(full)) / 48000, abs=0.05)
    assert measure_pitch(wave, rate) == pytest.approx(440, abs=3)
    with av.open(new) as container:
        spoken = [p for p in container.demux(container.streams[index]) if p.size > 2]
        assert [p.pts * p.time_base for p in spoken] == [4 * time * MS for time, _, _ in SUBTITLES]
        assert [p.duration * p.time_base for p in spoken] == [4 * length * MS for _, length, _ in SUBTITLES]


def test_sound_can_be_dropped(full, tmp_path):
    new = remux(full, tmp_path / "new.mkv", stretch=Fraction(2), sound="drop")
    with av.open(new) as container:
        assert not container.streams.audio
        assert len(container.streams.subtitles) == 2
    assert check_streams(full, tmp_path / "new.mkv", sound="drop", stretch=Fraction(2)) == []


def test_sound_cannot_be_copied_into_slow_motion(full, tmp_path):
    with pytest.raises(UsageError, match="slow motion"):
        remux(full, tmp_path / "new.mkv", stretch=Fraction(2))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_preview_takes_only_its_span(full, tmp_path, suffix):
    new = remux(full, tmp_path / f"new{suffix}", start=Fraction(1, 2), end=Fraction(3, 2), count=48)
    assert min(read_times(new, 0)) == 0
    wave = decode_audio(new)
    assert len(wave) / 48000 == pytest.approx(1, abs=0.03)
    whole = decode_audio(full)[24000:]  # Matroska rounds to 1/2 ms
    assert min(np.abs(wave[4800:9600] - whole[4800 + lag : 9600 + lag]).max() for lag in range(-50, 51)) < 0.02
    with av.open(new) as container:
        index = container.streams.subtitles[0].index
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()]
        assert chapters == [(0, Fraction(1, 2)), (Fraction(1, 2), 1)]
        spoken = [p for p in container.demux(container.streams[index]) if p.size > 2]
        spans = [(p.pts * p.time_base, (p.pts + p.duration) * p.time_base) for p in spoken]
    assert spans == [(Fraction(1, 10), Fraction(4, 10)), (Fraction(7, 10), 1)]


def simple(path: Path, codec: str, setup: Callable[[Any], object] = lambda stream: None) -> Path:
    """Make one second of video with audio."""
    with av.open(path, "w") as container:
        streams = [add_video(container), add_sine(container, codec)]
        setup(streams[0])
        packets = [*encode_images(streams[0], 24), *encode_sine(streams[1], 1)]
        container.mux(sorted(packets, key=lambda p: p.dts * p.time_base))
    return path


@pytest.mark.parametrize("codec", ["pcm_s24le", "libmp3lame", "libopus", "eac3", "alac"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_many_audio_codecs_are_copied(tmp_path, codec, suffix):
    source = simple(tmp_path / f"old{'.mkv' if codec == 'pcm_s24le' else '.mov' if codec == 'alac' else '.mp4'}", codec)
    new = remux(source, tmp_path / f"new{suffix}", count=48)
    assert read_packets(new, 1) == read_packets(source, 1)
    assert min(read_times(new, 0)) == 0


def test_a_timecode_track_is_left_out(tmp_path):
    source = simple(tmp_path / "old.mov", "aac", lambda stream: stream.metadata.update(timecode="01:00:00:00"))
    assert "numbers the source's frames" in check_streams(source, tmp_path / "new.mov")[0]
    with av.open(remux(source, tmp_path / "new.mov", count=48)) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]


def test_a_real_clip_keeps_its_audio(shared, tmp_path):
    source = shared / "clips" / "glyphs_synfig_audio.mp4"
    for suffix in (".mp4", ".mkv"):
        new = remux(source, tmp_path / f"new{suffix}", count=20)
        assert read_packets(new, 1) == read_packets(source, 1)
        np.testing.assert_array_equal(decode_audio(new), decode_audio(source))
        with av.open(new) as container:
            assert container.metadata["title"] == "glyphs_2x_crf13k.mp4"


def test_damaged_audio_does_not_end_the_film(tmp_path):
    source = tmp_path / "old.ts"
    with av.open(source, "w") as container:
        streams = [add_video(container), add_sine(container, "aac")]
        packets = [*encode_images(streams[0], 48), *encode_sine(streams[1], 2)]
        container.mux(sorted(packets, key=lambda p: p.dts * p.time_base))
    whole = bytearray(source.read_bytes())
    for at in range(len(whole) * 4 // 10, len(whole) * 5 // 10, 97):
        whole[at] ^= 0x55
    source.write_bytes(whole)
    for suffix in (".mkv", ".mp4"):
        film = probe(source)
        target = tmp_path / f"new{suffix}"
        paths, encoder = write_segments(tmp_path / "parts", film, target)
        join_segments(target, paths, FilmLayout(film, Fraction(48), encoder, source=source))
        assert len(read_times(target, 0)) == 96
        assert read_times(target, 1)[-1] == pytest.approx(Fraction(2), abs=0.2)
        join_segments(
            target, paths, FilmLayout(film, Fraction(48), encoder, source=source, sound="stretch", stretch=Fraction(2))
        )
        assert len(decode_audio(target)) / 48000 == pytest.approx(4, abs=0.2)


def with_tags(stream: Any) -> None:
    stream.set_display_rotation(90)
    context = stream.codec_context
    context.sample_aspect_ratio = Fraction(4, 3)
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 14, 9, 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_rotation_pixel_aspect_ratio_and_colors_are_kept(tmp_path, suffix):
    source = tmp_path / "old.mp4"
    with av.open(source, "w") as container:
        stream = add_video(container)
        with_tags(stream)
        container.mux(list(encode_images(stream, 12)))
    film = probe(source)
    assert (film.rotation, film.aspect) == (90, Fraction(4, 3))
    new = remux(source, tmp_path / f"new{suffix}", count=24)
    again = dataclasses.replace(probe(new), path=film.path, rate=film.rate, frames=film.frames, duration=film.duration)
    assert again == film


def test_a_folder_of_frames_needs_no_source(full, tmp_path):
    film = probe(full)
    paths, encoder = write_segments(tmp_path / "parts", film, tmp_path / "new.mp4", count=10)
    join_segments(tmp_path / "new.mp4", paths, FilmLayout(film, Fraction(48), encoder))
    with av.open(tmp_path / "new.mp4") as container:
        assert len(container.streams) == 1


def test_segments_of_two_runs_are_refused(full, tmp_path):
    film = probe(full)
    target = tmp_path / "new.mp4"
    first, encoder = write_segments(tmp_path / "a", film, target, count=10)
    second, _ = write_segments(tmp_path / "b", film, target, count=10, codec="vp9", preset="8")
    with pytest.raises(FileError, match="not encoded like"):
        join_segments(target, [*first, *second], FilmLayout(film, Fraction(48), encoder, source=full))
    assert not target.exists()


def test_a_failed_write_leaves_the_old_file(full, tmp_path):
    film = probe(full)
    target = tmp_path / "new.mkv"
    target.write_bytes(b"old")
    paths, encoder = write_segments(tmp_path / "parts", film, target)
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limit[1]))  # like a full disk
    try:
        with pytest.raises(FileError, match="free some space"):
            join_segments(target, paths, FilmLayout(film, Fraction(48), encoder, source=full))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.mkv", "parts"]
    with pytest.raises(FileError, match="cannot write"):
        join_segments(tmp_path / "missing" / "new.mkv", paths, FilmLayout(film, Fraction(48), encoder, source=full))
