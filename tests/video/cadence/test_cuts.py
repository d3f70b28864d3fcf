"""Cuts: a user's list, and detection in made and real films."""

from __future__ import annotations

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from animeinterp.errors import FileError, UsageError
from animeinterp.video.cadence.cut_list import CutList, parse_cuts
from animeinterp.video.cadence.drawings import find_drawings
from animeinterp.video.source.info import TimedFrame
from support.made_films import (
    HEIGHT,
    RATE,
    WIDTH,
    background,
    coded,
    decoded,
    grained,
    held,
    mix,
    shown,
    view,
    walk,
    with_figure,
)

WHITE, BLACK = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (255, 0))


def cuts(frames):
    """Return the numbers of the frames that begin a shot."""
    drawings = find_drawings(shown(frames), lambda: Fraction(len(frames), RATE))
    return [drawing.number for drawing in drawings if drawing.cut]


def first_frames(text, times):
    """Return the numbers of the frames that begin a shot by a user's list."""
    film = [TimedFrame(n, time, WHITE) for n, time in enumerate(times)]
    return [
        drawing.number for drawing in find_drawings(film, lambda: times[-1] + 1, cuts=parse_cuts(text)) if drawing.cut
    ]


# --- a user's list


@pytest.mark.parametrize(
    ("text", "frames", "times"),
    [
        ("36,66", {36, 66}, ()),
        ("36\n66 # the door opens\n\n# nothing\n", {36, 66}, ()),
        ("1:30.5", set(), (Fraction(181, 2),)),
        ("00:01:30.500, 7, 0.1s", {7}, (Fraction(1, 10), Fraction(181, 2))),
        ("100:00", set(), (6000,)),
        ("90s,90.0s", set(), (90,)),
        ("", set(), ()),
        (" \n# none\n", set(), ()),
    ],
)
def test_a_list_of_cuts_is_parsed(text, frames, times, tmp_path):
    expected = CutList(frozenset(frames), tuple(Fraction(time) for time in times))
    assert parse_cuts(text) == expected
    (tmp_path / "cuts.txt").write_text(text)
    assert parse_cuts(tmp_path / "cuts.txt") == expected
    assert parse_cuts(str(tmp_path / "cuts.txt")) == expected


@pytest.mark.parametrize("text", ["36.5", "-3", "1:75", "1:75:00", "1:2:3:4", "1:30s", "36;66", "4:", "s", "١٢"])
def test_invalid_entries_are_refused(text):
    with pytest.raises(UsageError, match=r"expected a frame's number such as 36, or a time"):
        parse_cuts(f"12,{text}")


def test_an_unreadable_list_is_named(tmp_path):
    with pytest.raises(FileError, match=r"expected a list of cuts.* at .*gone\.txt, found nothing"):
        parse_cuts(str(tmp_path / "gone.txt"))
    (tmp_path / "film.txt").write_bytes(b"\xff\xfe\x00\x93")
    with pytest.raises(FileError, match="not UTF-8 text"):
        parse_cuts(tmp_path / "film.txt")
    (tmp_path / "wrong.txt").write_text("36\nsoon")
    with pytest.raises(UsageError, match=r"wrong\.txt: 'soon' is not a cut"):
        parse_cuts(tmp_path / "wrong.txt")


def test_a_time_stands_for_the_first_frame_shown_at_most_half_a_frame_earlier():
    times = [Fraction(n, 25) for n in range(20)]
    for n in range(1, 20):
        for offset in (-0.01, 0, 0.01):
            assert first_frames(f"{n / 25 + offset:.3f}s", times) == [n]
    assert first_frames("1, 0.36s, 9", times) == [1, 9]
    uneven = [Fraction(n, 10) for n in (0, 1, 2, 9, 10)]
    assert first_frames("0.4s", uneven) == first_frames("0.9s", uneven) == [3]
    assert first_frames("0.24s,0.99s,7s", uneven) == [2, 4]


# --- detection


def films():
    """Yield made films: name, frames, cuts."""
    one, two = walk(24, 1), walk(24, 2)
    panorama = background(3)
    pan = [view(panorama, 60 * i) for i in range(14)]
    leaps = [with_figure(view(background(4)), 0.5, x) for x in (40, 150, 60, 130, 30, 160, 95, 40)]
    color = np.full((HEIGHT, WIDTH, 3), (120, 170, 200), np.uint8)
    flat = [with_figure(color, 0.3 * i, color=(240, 220, 60)) for i in range(8)]
    box = cv2.rectangle(color.copy(), (20, 20), (70, 95), (70, 40, 110), -1)
    zoom = [view(background(5), 96 * s - 96, 54 * s - 54, s) for s in 1.06 ** np.arange(16)]
    yield "hard cut", one[:12] + two[:12], [12]
    yield "held on twos", held(one[:6] + two[:6], 2), [12]
    yield "between two stills", [one[0]] * 9 + [two[0]] * 9, [9]
    yield "between grainy stills", grained([one[0]] * 9 + [two[0]] * 9, 6), [9]
    yield "single frame", [*one[:8], panorama[:HEIGHT, 500 : 500 + WIDTH], *one[8:16]], [8, 9]
    yield "single frames", [*one[:8], *(view(background(seed)) for seed in (6, 7, 8)), *two[:8]], [8, 9, 10, 11]
    yield "white flash", [*one[:8], WHITE, *one[9:18]], [8, 9]
    yield "long white flash", [*one[:8], WHITE, WHITE, *one[10:18]], [8, 10]
    yield "black between", [*one[:8], *[BLACK] * 8, *two[:8]], [8, 16]
    yield "black to white", [BLACK] * 6 + [WHITE] * 6, [6]
    yield "same colors", [*flat, *[box] * 8], [8]
    yield "cross-fade", mix(one, two, 8), []
    yield "quick cross-fade", mix(one, two, 3), []
    yield "fade to black", mix(one, [BLACK] * 24, 8), []
    yield "fade from white", mix([WHITE] * 12, one, 10), []
    yield "whip pan", pan, []
    yield "leaps", leaps, []
    yield "zoom", zoom, []
    yield "static", [one[0]] * 12, []


@pytest.mark.parametrize(("frames", "expected"), [pytest.param(f, e, id=name) for name, f, e in films()])
def test_cuts_of_made_films(frames, expected):
    assert cuts(frames) == expected


def test_cuts_are_detected_in_poor_encodings():
    frames = coded(walk(10, 1, pan=3) + walk(10, 2) + [WHITE] + walk(10, 2), 34)
    assert cuts(frames) == [10, 20, 21]


def test_flashes_and_short_shots_are_cuts():
    one, other = walk(24, 1), view(background(6))
    frames = [*one[:8], WHITE, *one[8:16], other, other, *one[16:], BLACK, *walk(8, 2), other, *walk(8, 3)]
    assert len(cuts(frames)) == 8


def test_cuts_do_not_depend_on_depth_and_alpha():
    frames = walk(6, 1) + walk(6, 2)
    deep = [frame.astype(np.uint16) * 257 for frame in frames]
    alpha = [np.dstack([frame, np.full(frame.shape[:2], 65535, np.uint16)]) for frame in deep]
    assert cuts(frames) == cuts(deep) == cuts(alpha) == [6]
    gray = [frame[..., 1] for frame in frames]
    assert cuts(gray) == [6]


@pytest.mark.parametrize(
    ("clip", "begin", "end", "expected"),
    [
        ("hard_cuts_5shots_24fps_tone", 24, 140, [36, 66, 94, 128]),
        ("popeye1936_hardcuts_24fps_tone", 20, 60, [31]),
        ("popeye1936_hardcuts_24fps_tone", 214, 240, [230]),
        ("glyphs_synfig_audio", 90, 135, [105]),
        ("mecha_on_twos_bg_on_ones_24fps_tone", 0, 40, []),
        ("spineboy_run_on_twos_24fps_tone", 0, 40, []),
        ("spineboy_walk_pan_24fps_tone", 0, 40, []),
    ],
)
def test_cuts_of_real_clips(shared, clip, begin, end, expected):
    frames = decoded(shared / "clips" / f"{clip}.mp4", begin, end, width=480)
    # a bird appears on white at 107 of glyphs: both answers are accepted
    detected = {begin + number for number in cuts(frames)} - ({107} if "glyphs" in clip else set())
    assert sorted(detected) == expected


def test_triplets_are_one_shot_and_two_titles_are_two(shared):
    entries = json.loads((shared / "bench" / "dev_manifest.json").read_text())[::5]
    folder = shared / "bench" / "dev"
    pairs = [
        [
            np.array(Image.open(folder / entry["name"] / f"frame{i}.webp").convert("RGB").resize((320, 180)))
            for i in (1, 3)
        ]
        for entry in entries
    ]
    for a, b in pairs:
        assert cuts([a] * 2 + [b] * 2) == []
    for (a, _), (b, _), entry, next_entry in zip(pairs, pairs[1:], entries, entries[1:], strict=False):
        if entry["title"] != next_entry["title"] and entry["background"] != next_entry["background"]:
            assert cuts([a] * 2 + [b] * 2) == [2]
