"""Films are read with their own times, also if they are damaged."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.io.images import write_image
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import ColorInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from support.films import difference, figure, make_film

NTSC = Fraction(24000, 1001)


def figures(count, size=(96, 64)):
    return [figure(2 * k, size) for k in range(count)]


def test_a_film_is_described_and_read_in_order(tmp_path):
    path = make_film(tmp_path / "a.mp4", figures(9), rate=Fraction(24000, 1001))
    film = probe(path)
    assert (film.width, film.height, film.rate, film.frames) == (96, 64, Fraction(24000, 1001), 9)
    reader = Reader(film)
    shown = list(reader)
    assert [frame.number for frame in shown] == list(range(9))
    assert [frame.time for frame in shown] == [k * Fraction(1001, 24000) for k in range(9)]
    assert reader.end == 9 * Fraction(1001, 24000)
    assert reader.damaged == 0
    assert all(difference(frame.frame, figure(2 * k)) < 3 for k, frame in enumerate(shown))


def test_timestamps_decide_not_frame_numbers(tmp_path):
    times = [Fraction(k, 24) for k in (0, 1, 2, 5, 6, 12)]
    path = make_film(tmp_path / "vfr.mkv", figures(6), times=times)
    shown = list(Reader(probe(path)))
    # Matroska counts milliseconds.
    assert all(abs(frame.time - time) <= Fraction(1, 1000) for frame, time in zip(shown, times, strict=True))


@pytest.mark.parametrize("rate", [Fraction(24), NTSC, Fraction(60000, 1001), Fraction(25, 2), Fraction(60)])
def test_rounding_by_the_file_is_undone(rate, tmp_path):
    film = probe(make_film(tmp_path / "a.mkv", figures(50), rate=rate))
    assert film.rate == rate
    shown = list(Reader(film))
    assert [frame.time for frame in shown] == [k / rate for k in range(50)]


def test_ten_bits_stay_ten_bits(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 65535, 96).astype(np.uint16)[None, :, None], (64, 96, 3))
    path = make_film(tmp_path / "deep.mkv", [ramp] * 3, codec="ffv1", pix_fmt="yuv420p10le")
    film = probe(path)
    assert film.depth == 16
    frame = next(iter(Reader(film))).frame
    assert frame.dtype == np.uint16
    assert len(np.unique(frame[32, :, 1])) > 90, "8 bits would do as well for 96 steps of a ramp over 256"
    assert difference(frame, ramp) < 200


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gbrp"])
@pytest.mark.parametrize("color", [ColorInfo(), ColorInfo(1, 1, 1, 1), ColorInfo(9, 16, 9, 1), ColorInfo(6, 6, 5, 2)])
def test_the_round_trip_through_rgb_is_nearly_lossless(pix_fmt, color, tmp_path):
    """The limit is half a level of 255; source and new frames take the same path to the output."""
    video_frame = av.VideoFrame.from_ndarray(figure(5, (160, 96)), format="rgb24").reformat(format=pix_fmt)
    if pix_fmt != "gbrp":
        video_frame.color_range = color.range or 1
    film = replace(
        probe(make_film(tmp_path / "a.mkv", figures(2, (160, 96)))),
        pix_fmt=pix_fmt,
        color=color,
        depth=16 if "10" in pix_fmt else 8,
    )
    converter = ColorConverter(film)
    back = converter.to_video_frame(converter.to_frame(video_frame), pix_fmt)
    kind, step = (np.uint16, 4) if "10" in pix_fmt else (np.uint8, 1)
    samples = [
        np.concatenate([np.frombuffer(p, kind).reshape(p.height, -1)[:, : p.width].ravel() for p in planes.planes])
        for planes in (back, video_frame)
    ]
    assert difference(*samples) < 0.5 * step


def test_a_missing_end_is_counted_and_the_duration_kept(tmp_path):
    path = make_film(tmp_path / "a.mp4", figures(48), options={"g": "12"}, setup=_moov_first)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    film = probe(path)
    reader = Reader(film)
    shown = list(reader)
    assert 5 < len(shown) < 44
    assert reader.end == 2, "the film keeps its length"
    assert reader.damaged == 48 - len(shown)


def _moov_first(container, stream):
    container.options["movflags"] = "faststart"


def test_damage_in_the_middle_is_counted_and_the_rest_is_read(tmp_path):
    path = make_film(tmp_path / "a.mkv", figures(48), options={"g": "8", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(np.random.default_rng(0).integers(0, 256, 400, np.uint8))
    path.write_bytes(data)
    reader = Reader(probe(path))
    shown = list(reader)
    assert abs(reader.end - 2) <= Fraction(1, 500)
    assert shown[-1].time > Fraction(15, 8), "frames after the damage are read"
    assert reader.damaged == 48 - len(shown) > 0
    assert any(frame.after_damage for frame in shown)


@pytest.mark.parametrize("content", [b"", b"no film at all", bytes(5000)])
def test_files_that_are_not_films_are_refused(content, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(FileError, match="not a film"):
        probe(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileError, match="nothing"):
        probe(tmp_path / "none.mp4")


def test_audio_alone_is_not_a_film(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(FileError, match="no video"):
        probe(path)


def test_a_film_of_no_frames_is_refused(tmp_path):
    path = tmp_path / "empty.mkv"
    make_film(path, figures(1))
    data = path.read_bytes()
    cluster = data.index(bytes.fromhex("1F43B675"))
    path.write_bytes(data[:cluster])
    with pytest.raises(FileError, match=r"not a film|no decodable frame"):
        probe(path)


def test_a_film_of_one_frame_is_read(tmp_path):
    film = probe(make_film(tmp_path / "one.mp4", figures(1)))
    reader = Reader(film)
    assert len(list(reader)) == 1
    assert reader.end == Fraction(1, 24)


def test_interlaced_films_are_refused_with_advice_or_deinterlaced(tmp_path):
    def interlaced(container, stream):
        stream.codec_context.options = {"x264-params": "tff=1"}

    path = make_film(
        tmp_path / "i.mkv", figures(16), options={"x264-params": "tff=1:fake-interlaced=0"}, setup=interlaced
    )
    with pytest.raises(UsageError, match="--deinterlace"):
        probe(path)
    shown = list(Reader(probe(path, deinterlace=True), deinterlace=True))
    assert len(shown) == 16
    assert [frame.time for frame in shown] == sorted(frame.time for frame in shown)


def test_a_folder_is_a_film_in_the_order_of_its_numbers(tmp_path):
    for number in (8, 9, 10):
        write_image(tmp_path / f"f{number}.png", figure(number))
    film = probe(tmp_path, rate=Fraction(12))
    assert (film.rate, film.frames, film.duration) == (12, 3, Fraction(1, 4))
    shown = list(Reader(film))
    assert [frame.time for frame in shown] == [0, Fraction(1, 12), Fraction(1, 6)]
    assert all(np.array_equal(frame.frame, figure(k)) for frame, k in zip(shown, (8, 9, 10), strict=True))


def test_folders_without_frames_or_of_mixed_sizes_are_refused(tmp_path):
    with pytest.raises(FileError, match="no images"):
        probe(tmp_path)
    write_image(tmp_path / "1.png", figure(0))
    write_image(tmp_path / "2.png", figure(0, (96, 80)))
    with pytest.raises(FileError, match="make them alike"):
        probe(tmp_path)


def test_a_rate_for_a_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="of its own"):
        probe(make_film(tmp_path / "a.mp4", figures(2)), rate=Fraction(12))


def test_a_preview_does_not_read_from_the_beginning(tmp_path):
    path = make_film(tmp_path / "a.mp4", figures(96), options={"g": "12"})
    shown = list(Reader(probe(path), start=Fraction(3)))
    assert Fraction(1) < shown[0].time <= 2
    assert shown[-1].time == Fraction(95, 24)
