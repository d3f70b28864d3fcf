"""Whole films as a user makes them: in sync, with holds and cuts in place, and never lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.errors import FileError, UsageError
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink import frame_sink, segment_store
from animeinterp.video.sink.encoding import Encoding
from conftest import draw_scene
from support.films import difference, figure, make_film, pictures

LOSSLESS = Encoding(lossless=True)


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


@pytest.fixture
def smooth(interpolator):
    def run(source, target, **options):
        return interpolate_video(source, target, VideoOptions(**options), interpolator=interpolator)

    return run


def shot(count, step=4):
    """Draw a figure that moves `step` px per frame."""
    return [draw_scene(step * k) for k in range(count)]


def lossless(path, frames, **options):
    return make_film(path, frames, codec="ffv1", pix_fmt="bgr0", **options)


def test_the_rate_is_doubled_and_source_frames_stay_exact(tmp_path, smooth):
    frames = shot(6)
    source = lossless(tmp_path / "a.mkv", frames)
    progress = smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS)
    got = pictures(tmp_path / "b.mkv")
    assert len(got) == progress.frames == 12
    assert progress.drawn == 5
    for k, (when, frame) in enumerate(got):
        assert abs(when - Fraction(k, 48)) <= Fraction(1, 2000)  # Matroska's clock
        if k % 2 == 0:
            assert np.array_equal(frame, frames[k // 2])
        elif k < 11:
            assert difference(frame, draw_scene(2 * k)) < 0.5 * difference(frames[k // 2], draw_scene(2 * k))
    assert not (tmp_path / "b.mkv.parts").exists()


def test_a_film_of_24_becomes_one_of_60_at_exact_times(tmp_path, smooth):
    source = make_film(tmp_path / "a.mp4", shot(9), rate=Fraction(24000, 1001))
    progress = smooth(source, tmp_path / "b.mp4", fps="60")
    got = pictures(tmp_path / "b.mp4")
    assert [when for when, _ in got] == [Fraction(k, 60) for k in range(len(got))]
    assert abs(len(got) / Fraction(60) - 9 * Fraction(1001, 24000)) < Fraction(1, 60)
    assert progress.frames == len(got)


def test_short_holds_become_motion_at_exact_times(tmp_path, smooth):
    """On twos drawings are at 0, 2, 4, … of 24 per second; at 48 all other frames are new and lie between them."""
    held = [frame for frame in shot(5, step=8) for _ in range(2)]
    source = lossless(tmp_path / "twos.mkv", held)
    progress = smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS)
    got = [frame for _, frame in pictures(tmp_path / "b.mkv")]
    assert (progress.ones, progress.twos) == (0, 5)
    for k in range(16):
        expected = draw_scene(2 * k)
        assert difference(got[k], expected) < 0.6 * difference(held[0], held[2]) or k % 4 == 0
        assert not np.array_equal(got[k], got[k + 1]), "no frame is repeated"
    off = smooth(source, tmp_path / "off.mkv", encoding=LOSSLESS, cadence="off")
    assert off.drawn < progress.drawn


def test_nothing_is_drawn_across_a_cut(tmp_path, smooth):
    first, second = shot(5), [255 - frame[::-1, ::-1] for frame in shot(5)]
    source = lossless(tmp_path / "cut.mkv", first + second)
    progress = smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS)
    got = [frame for _, frame in pictures(tmp_path / "b.mkv")]
    assert progress.cuts == 1
    assert np.array_equal(got[9], first[-1]), "the last drawing is held until the cut"
    assert np.array_equal(got[10], second[0])
    named = smooth(source, tmp_path / "c.mkv", encoding=LOSSLESS, cuts="2")
    got = [frame for _, frame in pictures(tmp_path / "c.mkv")]
    assert named.cuts == 1
    assert np.array_equal(got[3], first[1])
    assert not np.array_equal(got[9], first[-1]), "the list of cuts replaces detection"


def test_a_long_hold_is_kept_until_shortly_before_its_end(tmp_path, smooth):
    frames = shot(2, step=8)
    source = lossless(tmp_path / "hold.mkv", [frames[0]] * 24 + [frames[1]] * 2)
    smooth(source, tmp_path / "auto.mkv", encoding=LOSSLESS)
    smooth(source, tmp_path / "keep.mkv", encoding=LOSSLESS, cadence="keep")
    auto, keep = ([frame for _, frame in pictures(tmp_path / f"{name}.mkv")] for name in ("auto", "keep"))
    held = [np.array_equal(frame, frames[0]) for frame in auto[:48]]
    assert held[:44] == [True] * 44
    assert not any(held[45:])
    held = [np.array_equal(frame, frames[0]) for frame in keep[:48]]
    assert held == [True] * 47 + [False]


def test_slow_motion_lasts_longer_at_the_same_rate(tmp_path, smooth):
    source = make_film(tmp_path / "a.mp4", shot(6))
    progress = smooth(source, tmp_path / "b.mp4", slow="4")
    got = pictures(tmp_path / "b.mp4")
    assert progress.frames == len(got) == 24
    assert got[-1][0] == Fraction(23, 24)


def test_a_cycle_closes(tmp_path, smooth):
    frames = shot(4)
    source = lossless(tmp_path / "a.mkv", frames)
    smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS, loop=True)
    last = pictures(tmp_path / "b.mkv")[-1][1]
    assert not np.array_equal(last, frames[-1])
    assert difference(last, draw_scene(6)) < difference(frames[-1], draw_scene(6))


def test_a_preview_equals_that_part_of_the_whole(tmp_path, smooth):
    source = lossless(tmp_path / "a.mkv", shot(48, step=1))
    smooth(source, tmp_path / "whole.mkv", encoding=LOSSLESS)
    progress = smooth(source, tmp_path / "part.mkv", encoding=LOSSLESS, preview="0.5s@0:01")
    whole, part = (pictures(tmp_path / name) for name in ("whole.mkv", "part.mkv"))
    assert len(part) == progress.frames == 24
    for (_, frame), (_, expected) in zip(part, whole[48:72], strict=True):
        assert np.array_equal(frame, expected)


@pytest.mark.parametrize("cuts", ["72", "3s"])
def test_cuts_are_those_of_the_whole_film_in_a_preview(tmp_path, smooth, cuts):
    source = lossless(tmp_path / "a.mkv", shot(96, step=1))
    progress = smooth(source, tmp_path / "part.mkv", encoding=LOSSLESS, cuts=cuts, preview="0.5s@2.75")
    assert progress.cuts == 1


def test_a_comparison_shows_both(tmp_path, smooth):
    source = lossless(tmp_path / "a.mkv", shot(4))
    smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS, compare="side")
    got = [frame for _, frame in pictures(tmp_path / "b.mkv")]
    assert got[0].shape == (64, 192, 3)
    below = slice(32, None)  # the labels
    assert np.array_equal(got[1][below, :96], shot(4)[0][below])
    assert not np.array_equal(got[1][below, 96:], shot(4)[0][below])


def test_variable_rates_keep_their_timing(tmp_path, smooth):
    """Drawings are at 0, 1/8, 1/4 and 1 s: the long hold does not become motion."""
    times = [Fraction(0), Fraction(1, 8), Fraction(1, 4), Fraction(1)]
    frames = shot(4, step=8)
    source = lossless(tmp_path / "vfr.mkv", frames, times=times)
    smooth(source, tmp_path / "b.mkv", encoding=LOSSLESS, fps="16")
    got = [frame for _, frame in pictures(tmp_path / "b.mkv")]
    for when, frame in zip(times, frames, strict=True):
        assert np.array_equal(got[int(when * 16)], frame)
    assert not np.array_equal(got[1], frames[0])
    assert np.array_equal(got[10], frames[2]), "a long hold is kept"


@pytest.mark.parametrize("size", [(97, 65), (96, 65), (33, 17)])
def test_odd_sizes_keep_their_size(size, tmp_path, smooth):
    source = make_film(tmp_path / "a.mkv", [figure(k, size) for k in range(3)], pix_fmt="yuv444p")
    smooth(source, tmp_path / "b.mkv")
    assert pictures(tmp_path / "b.mkv")[0][1].shape == (size[1], size[0], 3)


def test_ten_bits_stay_ten_bits(tmp_path, smooth):
    frames = [figure(4 * k).astype(np.uint16) * 257 for k in range(3)]
    source = make_film(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="yuv420p10le")
    smooth(source, tmp_path / "b.mkv")
    with av.open(tmp_path / "b.mkv") as container:
        assert "10" in container.streams.video[0].codec_context.pix_fmt


def test_a_folder_of_frames_goes_in_and_comes_out(tmp_path, smooth):
    from animeinterp.io.images import read_image, write_image

    (tmp_path / "in").mkdir()
    frames = shot(3)
    for k, frame in enumerate(frames):
        write_image(tmp_path / "in" / f"{k}.png", frame)
    progress = smooth(tmp_path / "in", tmp_path / "out", rate="12")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == progress.frames == 6
    got = [read_image(tmp_path / "out" / name, 10**6).pixels for name in names]
    assert all(np.array_equal(got[2 * k], frame) for k, frame in enumerate(frames))


def test_a_folder_of_gray_frames_becomes_a_film(tmp_path, smooth):
    from animeinterp.io.images import write_image

    (tmp_path / "in").mkdir()
    for k, frame in enumerate(shot(3)):
        write_image(tmp_path / "in" / f"{k}.png", frame[..., 0])
    smooth(tmp_path / "in", tmp_path / "b.mkv", encoding=LOSSLESS)
    first = pictures(tmp_path / "b.mkv")[0][1]
    assert np.array_equal(first, np.repeat(shot(1)[0][..., :1], 3, axis=2))
    smooth(tmp_path / "in", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize("name", ["b.gif", "b.webp", "b.apng"])
def test_animated_images(name, tmp_path, smooth):
    source = make_film(tmp_path / "a.mp4", shot(4), rate=10)
    smooth(source, tmp_path / name)
    from PIL import Image

    with Image.open(tmp_path / name) as image:
        assert image.n_frames in (7, 8), "the last one may last twice as long"
        assert image.size == (96, 64)


def test_a_film_of_one_frame(tmp_path, smooth):
    progress = smooth(make_film(tmp_path / "a.mp4", shot(1)), tmp_path / "b.mp4")
    assert progress.drawn == 0
    assert len(pictures(tmp_path / "b.mp4")) == progress.frames == 2


def test_a_truncated_file_does_not_make_a_shorter_film(tmp_path, smooth):
    def first(container, stream):
        container.options["movflags"] = "faststart"

    source = make_film(tmp_path / "a.mp4", shot(48, step=1), options={"g": "12"}, setup=first)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    progress = smooth(source, tmp_path / "b.mp4")
    assert progress.damaged > 0
    assert len(pictures(tmp_path / "b.mp4")) == 96


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"fps": "60", "times": 2}, "one of them"),
        ({"cadence": "auto", "max_hold": -1}, "hold"),
        ({"flow_scale": 0}, "flow scale"),
        ({"slow": "2", "sound": "copy"}, "stretch or drop"),
        ({"cuts": "36,x"}, "x"),
        ({"preview": "10s@later"}, "time"),
    ],
)
def test_invalid_options_are_refused_before_any_work(options, word, tmp_path, smooth):
    source = make_film(tmp_path / "a.mp4", shot(2))
    with pytest.raises((UsageError, FileError), match=word):
        smooth(source, tmp_path / "b.mp4", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_invalid_targets_are_refused(tmp_path, smooth):
    source = make_film(tmp_path / "a.mp4", shot(2))
    invalid = (source, "the source itself"), (tmp_path / "b.xyz", "suffix"), (tmp_path / "no" / "b.mp4", "folder")
    for target, word in invalid:
        with pytest.raises((UsageError, FileError), match=word):
            smooth(source, target)
    assert source.stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_an_interrupted_run_continues_with_the_same_result(tmp_path, interpolator, monkeypatch):
    """Interrupted twenty times at random, the film is the same, packet by packet."""
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 7)
    source = make_film(tmp_path / "a.mp4", shot(30, step=2))
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    interpolate_video(source, whole, interpolator=interpolator)

    chance, stops = random.Random(5), 0
    resume = False
    while not broken.exists():
        left = chance.randint(1, 9) if stops < 20 else 1000

        def stop(progress):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

        try:
            interpolate_video(source, broken, VideoOptions(resume=resume), interpolator=interpolator, report=stop)
        except KeyboardInterrupt:
            stops += 1
            resume = (tmp_path / "broken.mp4.parts").exists()
            for segment in (tmp_path / "broken.mp4.parts").glob("*.mkv"):
                assert pictures(segment), "finished segments can be played"
    assert stops >= 6
    assert packets(whole) == packets(broken)
    assert not (tmp_path / "broken.mp4.parts").exists()


def packets(path):
    with av.open(path) as container:
        return [(p.stream_index, p.pts, p.dts, bytes(p)) for p in container.demux() if p.size]


def test_a_killed_process_loses_nothing(tmp_path):
    """After kill -9, as after a power cut, the next run continues."""
    source = make_film(tmp_path / "a.mp4", [draw_scene(k % 40) for k in range(150)])
    target = tmp_path / "b.mp4"
    command = [sys.executable, "-m", "animeinterp", "video", str(source), "-o", str(target), "--model", "classical"]
    running = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if json.loads(line)["frames"] >= 130:
            break
    running.kill()
    running.wait()
    assert not target.exists()
    assert [len(pictures(p)) for p in sorted((tmp_path / "b.mp4.parts").glob("*.mkv"))] == [120]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "120 kept" in done.stdout
    assert len(pictures(target)) == 300


def test_parts_of_a_run_with_other_settings_are_refused(tmp_path, smooth, interpolator, monkeypatch):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 2)
    source = make_film(tmp_path / "a.mp4", shot(8))

    def stop(progress):
        if progress.frames == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpolate_video(source, tmp_path / "b.mp4", interpolator=interpolator, report=stop)
    with pytest.raises(UsageError, match="other settings"):
        smooth(source, tmp_path / "b.mp4", times=3, resume=True)
    assert smooth(source, tmp_path / "b.mp4", times=3, force=True).frames == 24


def test_a_full_disk_is_reported_and_finished_segments_stay(tmp_path, interpolator, monkeypatch):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 4)
    source = make_film(tmp_path / "a.mp4", shot(12))
    write, count = frame_sink.SegmentWriter.write, 0

    def full(self, frame):
        nonlocal count
        count += 1
        if count > 10:
            raise FileError("cannot write: No space left on device; free some space")
        write(self, frame)

    monkeypatch.setattr(frame_sink.SegmentWriter, "write", full)
    with pytest.raises(FileError, match="No space"):
        interpolate_video(source, tmp_path / "b.mp4", interpolator=interpolator)
    assert not (tmp_path / "b.mp4").exists()
    monkeypatch.setattr(frame_sink.SegmentWriter, "write", write)
    progress = interpolate_video(source, tmp_path / "b.mp4", VideoOptions(resume=True), interpolator=interpolator)
    assert (progress.kept, progress.frames) == (8, 24)


def test_a_real_clip_keeps_its_sound(shared, tmp_path, interpolator):
    source = shared / "clips" / "glyphs_synfig_audio.mp4"
    options = VideoOptions(preview="0.4s@4", encoding=Encoding(preset="ultrafast"))
    interpolate_video(source, tmp_path / "b.mp4", options, interpolator=interpolator)
    with av.open(tmp_path / "b.mp4") as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.name == "aac"
        assert abs(float(sound.duration * sound.time_base) - 0.4) < 0.1
        assert Path(container.name).stat().st_size > 1000
