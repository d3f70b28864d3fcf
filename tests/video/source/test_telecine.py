"""Frames that join fields of two times are found without flags, and the frames of the film are restored."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from animeinterp.cli import main
from animeinterp.errors import UsageError
from animeinterp.video.cadence.drawings import find_drawings
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from animeinterp.video.source.telecine import FieldCount
from support.made_films import background, held, with_figure

WIDTH, HEIGHT = 384, 216
NTSC = Fraction(30000, 1001)


def scene(count, seed=1):
    """A figure that moves on ones before a pan, as planes of yuv420p, (324, 384)."""
    panorama = cv2.resize(background(seed), None, fx=2, fy=2)
    frames = []
    for k in range(count):
        small = with_figure(np.zeros((108, 192, 3), np.uint8), 0.3 * k, 60 + 2 * k % 60)
        figure = cv2.resize(small, (WIDTH, HEIGHT))
        frame = panorama[40 : 40 + HEIGHT, 3 * k : 3 * k + WIDTH].copy()
        frame[figure.any(2)] = figure[figure.any(2)]
        frames.append(planes(frame))
    return frames


def planes(frame):
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").to_ndarray(format="yuv420p")


def weave(top, bottom):
    """A frame of the top field of one frame and the bottom field of another, in each plane."""
    woven, edge = top.copy(), HEIGHT
    woven[1:edge:2] = bottom[1:edge:2]
    for begin in (HEIGHT, HEIGHT + HEIGHT // 4):  # chroma, two of its lines in each line of the array
        size = (HEIGHT // 2, WIDTH // 2)
        part = slice(begin, begin + HEIGHT // 4)
        chroma, other = woven[part].reshape(size), bottom[part].reshape(size)
        chroma[1::2] = other[1::2]
    return woven


def pulled_down(frames, pattern=(2, 3), top_first=True):
    """Frames, each shown for the numbers of fields of `pattern` in turn."""
    fields = [frame for k, frame in enumerate(frames) for _ in range(pattern[k % len(pattern)])]
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [weave(a, b) if top_first else weave(b, a) for a, b in pairs]


def shifted(frames):
    return [weave(a, b) for a, b in pairwise(frames)]


def interlaced(frames):
    return [weave(a, b) for a, b in zip(frames[::2], frames[1::2], strict=False)]


def scrolled(count, step):
    """Lines of small text that move up."""
    page = np.zeros((HEIGHT + 20 * count, WIDTH, 3), np.uint8)
    for line in range(0, len(page), 12):
        cv2.putText(page, "drawn by many hands", (20, line), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (230,) * 3, 1)
    return [planes(page[step * k : step * k + HEIGHT]) for k in range(count)]


def blinds(count, step, period):
    rows = np.arange(HEIGHT)[:, None, None]
    stripes = [np.where((rows + step * k) // (period // 2) % 2, 200, 40) for k in range(count)]
    return [planes(np.broadcast_to(stripe, (HEIGHT, WIDTH, 3)).astype(np.uint8)) for stripe in stripes]


def dithered(count):
    threshold = np.tile(np.array([[0, 2], [3, 1]]) * 16, (HEIGHT // 2, WIDTH // 2))
    frames = []
    for frame in scene(count):
        frame[:HEIGHT] = (frame[:HEIGHT].astype(int) + threshold).clip(0, 255) // 64 * 64
        frames.append(frame)
    return frames


def write(path, frames, rate=NTSC, crf=16):
    options = {"crf": str(crf), "preset": "veryfast", "g": "48"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def difference(a, b):
    return float(np.abs(a.frame.astype(int) - b.frame).mean())


def classify(frames):
    count = FieldCount()
    count.add_run(av.VideoFrame.from_ndarray(frame, format="yuv420p") for frame in frames)
    return count.classify(), count.top_first


# --- detection


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (pulled_down(scene(24)), ("telecined", True)),
        (pulled_down(scene(24), top_first=False), ("telecined", False)),
        (pulled_down(scene(24), (2, 3, 3, 2)), ("telecined", True)),
        (pulled_down(held(scene(12), 2)), ("telecined", True)),
        (shifted(scene(20)), ("shifted", True)),
        (shifted(held(scene(10), 2)), ("shifted", True)),
        (interlaced(scene(40)), ("interlaced", True)),
    ],
    ids=["3:2", "bottom first", "2:3:3:2", "3:2 of twos", "2:2", "2:2 of twos", "interlaced"],
)
def test_fields_of_two_times_are_found(frames, expected):
    assert classify(frames) == expected


@pytest.mark.parametrize(
    "frames",
    [
        scene(24),
        held(scene(12), 2),
        scrolled(24, 1),
        scrolled(24, 2),
        scrolled(24, 3),
        blinds(24, 1, 2),
        blinds(24, 1, 4),
        blinds(24, 3, 8),
        dithered(24),
        scene(1) * 24,
    ],
    ids=["ones", "twos", "text 1", "text 2", "text 3", "lines", "blinds", "wide blinds", "dither", "still"],
)
def test_progressive_films_are_left_alone(frames):
    assert classify(frames)[0] == "progressive"


@pytest.mark.parametrize("crf", [18, 30])
def test_telecine_is_found_through_compression(tmp_path, crf):
    with pytest.raises(UsageError, match=r"is telecined: .*--deinterlace"):
        probe(write(tmp_path / "t.mkv", pulled_down(scene(24)), crf=crf))
    assert probe(write(tmp_path / "p.mkv", scene(24), crf=crf)).fields == "progressive"


# --- restoration


@pytest.mark.parametrize(("top_first", "crf"), [(True, 1), (False, 1), (True, 16)])
def test_telecined_frames_are_restored(tmp_path, top_first, crf):
    original = scene(40)
    path = write(tmp_path / "t.mkv", pulled_down(original, top_first=top_first), crf=crf)
    film = probe(path, deinterlace=True)
    assert (film.fields, film.rate) == ("telecined", Fraction(24000, 1001))
    shown = list(Reader(film, deinterlace=True))
    assert len(shown) == 40
    steps = {b.time - a.time for a, b in pairwise(shown)}
    assert steps == {1 / film.rate}
    expected = list(Reader(probe(write(tmp_path / "p.mkv", original, film.rate, crf=1))))
    assert [item.time for item in shown] == [item.time for item in expected]
    assert max(map(difference, shown, expected)) < 3 < 5 < difference(*expected[:2])


def test_shifted_fields_are_joined_again(tmp_path):
    original = scene(24)
    path = write(tmp_path / "p.mkv", shifted(original), Fraction(25), crf=1)
    with pytest.raises(UsageError, match="joins fields of two frames"):
        probe(path)
    film = probe(path, deinterlace=True)
    assert (film.fields, film.rate) == ("shifted", 25)
    expected = list(Reader(probe(write(tmp_path / "o.mkv", original, Fraction(25), crf=1))))
    assert max(map(difference, Reader(film, deinterlace=True), expected)) < 1.5 < 5 < difference(*expected[:2])


def test_telecine_behind_a_still_opening_is_found(tmp_path):
    opening = scene(1) * 320
    with pytest.raises(UsageError, match="is telecined"):
        probe(write(tmp_path / "t.mkv", [*opening, *pulled_down(scene(120))]))


def test_telecine_that_only_reading_finds_is_said(tmp_path):
    path = write(tmp_path / "t.mkv", [*scene(1) * 118, *pulled_down(scene(30)), *scene(1) * 20])
    film = probe(path)
    reader = Reader(film)
    assert len(list(reader)) == film.frames
    assert reader.fields.classify() == "telecined"


def test_the_command_says_what_to_do_and_does_it(tmp_path, capsys):
    path = write(tmp_path / "t.mkv", pulled_down(scene(12)))
    call = ["video", str(path), "-o", str(tmp_path / "out.mkv"), "--model", "classical"]
    with pytest.raises(SystemExit) as left:
        main(call)
    assert left.value.code == 2
    assert "--deinterlace" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))
    with pytest.raises(SystemExit) as left:
        main([*call, "--deinterlace", "--times", "1"])
    assert left.value.code == 0
    made = probe(tmp_path / "out.mkv")
    assert (made.rate, made.frames) == (Fraction(24000, 1001), 12)


@pytest.mark.parametrize("pattern", [(2, 3), (1, 1, 1, 2)], ids=["24 in 60", "24 in 30"])
def test_repeated_frames_make_no_fields_and_the_right_drawings(tmp_path, pattern):
    frames = [frame for k, frame in enumerate(scene(12)) for _ in range(pattern[k % len(pattern)])]
    film = probe(write(tmp_path / "r.mkv", frames, Fraction(60 if len(pattern) == 2 else 30)))
    assert film.fields == "progressive"
    reader = Reader(film)
    assert len(list(find_drawings(iter(reader), lambda: reader.end))) == 12
