"""Animated WebP as a source: its own times, alpha and size; damage is found early."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from animeinterp.errors import FileError, FrameError
from animeinterp.loading import load_interpolator
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.animated import write_animation
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from conftest import draw_scene
from support.films import figure


def saved(path, lengths, *, alpha: bool = False):
    """An animated WebP without loss, its frames shown for so many ms."""
    frames = [figure(6 * number) for number in range(len(lengths))]
    if alpha:
        frames = [np.dstack([frame, np.where(frame[..., 0] > 60, 255, 0).astype(np.uint8)]) for frame in frames]
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=list(lengths),
        lossless=True,
        exact=True,
    )
    return frames


@pytest.mark.parametrize("alpha", [False, True])
def test_frames_times_and_alpha_are_the_files(tmp_path, alpha):
    lengths = (100, 250, 40, 110)
    frames = saved(tmp_path / "a.webp", lengths, alpha=alpha)
    film = probe(tmp_path / "a.webp")
    assert (film.width, film.height, film.frames) == (96, 64, 4)
    assert film.alpha >= alpha, "the flag may be set where it need not be"
    shown = list(Reader(film))
    assert [frame.time for frame in shown] == [0, Fraction(1, 10), Fraction(7, 20), Fraction(39, 100)]
    assert film.duration == Fraction(1, 2)
    for one, frame in zip(shown, frames, strict=True):
        seen = frame[..., 3:] > 0 if alpha else True
        np.testing.assert_array_equal((one.frame * seen)[..., : frame.shape[2]], frame * seen)


@pytest.mark.parametrize("rate", ["24", "24000/1001", "25", "30", "12", "60", "13"])
def test_the_written_rate_is_read(tmp_path, rate):
    # The fourth frame repeats the third: the encoder joins them.
    frames = [draw_scene(2 * shift) for shift in (0, 1, 2, 2, *range(3, 30))]
    write_animation(tmp_path / "a.webp", lambda: frames, Fraction(rate))
    film = probe(tmp_path / "a.webp")
    assert (film.rate, film.duration) == (Fraction(rate), len(frames) / Fraction(rate))
    times = [shown.time for shown in Reader(film)]
    assert times == [k / Fraction(rate) for k in range(len(frames)) if k != 3 or len(times) == len(frames)]


def test_frames_without_duration_are_shown_as_browsers_do(tmp_path):
    saved(tmp_path / "a.webp", (0, 0, 0))
    assert [shown.time for shown in Reader(probe(tmp_path / "a.webp"))] == [0, Fraction(1, 10), Fraction(1, 5)]


def test_absurd_durations_are_limited(tmp_path):
    saved(tmp_path / "a.webp", (100, 16_000_000))
    film = probe(tmp_path / "a.webp")
    assert film.duration == Fraction(601, 10)
    assert "16000 s" in film.notes[0]


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.gif", "out.webp", "out"])
def test_a_smoother_film_is_made_of_it(tmp_path, target):
    saved(tmp_path / "a.webp", (100, 100, 100))
    interpolator = load_interpolator("classical", "cpu")
    tally = interpolate_video(tmp_path / "a.webp", tmp_path / target, VideoOptions(), interpolator=interpolator)
    assert tally.frames == 6
    assert (tmp_path / target).exists()


def test_a_preview_begins_where_it_should(tmp_path):
    saved(tmp_path / "a.webp", (100, 100, 100))
    assert [shown.number for shown in Reader(probe(tmp_path / "a.webp"), start=Fraction(1, 10))] == [1, 2]


def test_still_images_are_refused(tmp_path):
    for name, options in (("a.webp", {"lossless": True}), ("b.webp", {}), ("c.webp", {"exif": b"Exif\0\0"})):
        Image.fromarray(figure(0)).save(tmp_path / name, **options)
        with pytest.raises(FileError, match="still image"):
            probe(tmp_path / name)


def test_an_impossible_size_is_refused_before_decoding(tmp_path, monkeypatch):
    saved(tmp_path / "a.webp", (100, 100))
    data = bytearray((tmp_path / "a.webp").read_bytes())
    data[24:30] = (9999).to_bytes(3, "little") * 2
    (tmp_path / "a.webp").write_bytes(data)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(FrameError, match="10000x10000"):
        probe(tmp_path / "a.webp")


def test_truncated_files_are_refused_at_once(tmp_path):
    saved(tmp_path / "a.webp", (100,) * 4)
    whole = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(whole[:-100])
    with pytest.raises(FileError, match="truncated after 3 frames"):
        probe(tmp_path / "a.webp")


@pytest.mark.parametrize("number", [0, 2])
def test_damaged_frames_are_counted_and_the_previous_one_is_held(tmp_path, number):
    saved(tmp_path / "a.webp", (100,) * 4)
    data = bytearray((tmp_path / "a.webp").read_bytes())
    place = -1
    for _ in range(number + 1):
        place = data.index(b"ANMF", place + 1)
    data[place + 38 : place + 80] = bytes(range(7, 49))
    (tmp_path / "a.webp").write_bytes(data)
    reader = Reader(probe(tmp_path / "a.webp"))
    if not number:
        with pytest.raises(FileError, match="no frame"):
            list(reader)
        return
    assert len(list(reader)) == 2
    assert (reader.damaged, reader.end) == (2, Fraction(2, 5))
