"""Detection of cuts in made and real films."""

from __future__ import annotations

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from animeinterp.video.cadence.drawings import find_drawings
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
    timed,
    view,
    walk,
    with_figure,
)

WHITE, BLACK = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (255, 0))


def cuts(frames):
    """Return the numbers of the frames that begin a shot."""
    drawings = find_drawings(timed(frames), lambda: Fraction(len(frames), RATE))
    return [drawing.number for drawing in drawings if drawing.cut]


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
