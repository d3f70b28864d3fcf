"""Fixed mattes around a moving picture: bars, frames, corners; and ground that a figure must cover."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.inbetween import Inbetweener
from animeinterp.mattes import find_window, moving_hull
from support.made_films import background, coded, view

HEIGHT, WIDTH = 108, 192
PAINTING = background(3)


@pytest.fixture(scope="module")
def classical():
    return load_interpolator("classical", "cpu")


def picture(x, y, height=HEIGHT, width=WIDTH):
    return view(PAINTING, 100 + x, 30 + y)[:height, :width]


def within(bars, color, x, y):
    """A picture that pans inside bars of so many px: top, bottom, left, right."""
    top, bottom, left, right = bars
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    frame[:] = color
    size = HEIGHT - top - bottom, WIDTH - left - right
    frame[top : HEIGHT - bottom, left : WIDTH - right] = picture(x, y, *size)
    return frame


def pan(bars=(14, 14, 0, 0), color=0, steps=((0, 0), (3, 4), (6, 8))):
    """The first, middle and last frame, and where the bars are."""
    matte = np.ones((HEIGHT, WIDTH), bool)
    matte[bars[0] : HEIGHT - bars[1], bars[2] : WIDTH - bars[3]] = False
    return *(within(bars, color, *step) for step in steps), matte


def error(drawn, true):
    return float(np.mean((drawn.astype(float) - true) ** 2))


@pytest.mark.parametrize(
    ("bars", "color"),
    [
        ((14, 14, 0, 0), 0),
        ((0, 0, 24, 24), 0),
        ((14, 14, 24, 24), 0),
        ((20, 0, 0, 0), 0),
        ((5, 18, 9, 30), (180, 20, 40)),
        ((14, 14, 0, 0), 255),
        ((1, 1, 1, 1), 0),
    ],
    ids=["letterbox", "pillarbox", "windowbox", "one bar", "uneven red", "white", "1 px"],
)
@pytest.mark.parametrize("t", [0.04, 0.5, 0.96])
def test_nothing_spills_into_bars(classical, bars, color, t):
    first, _, last, matte = pan(bars, color)
    assert np.array_equal(classical(first, last, t)[matte], first[matte])


def test_the_three_steps_agree_with_the_call_and_flow_has_the_size_of_the_frame(classical):
    first, _, last, matte = pan()
    motion = classical.motion(classical.analyze(first), classical.analyze(last))
    assert motion.inner is not None
    assert motion.flow01.shape == (2, HEIGHT, WIDTH)
    assert not motion.flow01[:, matte].any()
    assert np.array_equal(classical.render(motion, 0.5), classical(first, last, 0.5))
    warped = classical.warped(motion, 0.5)
    assert all(np.array_equal(side[matte], first[matte]) for side in warped)


def test_a_picture_that_pans_under_bars_is_drawn_as_if_the_image_ended_there(classical):
    first, _, last, _ = pan()
    rows = slice(14, HEIGHT - 14)
    alone = classical(first[rows].copy(), last[rows].copy(), 0.5)
    assert np.array_equal(classical(first, last, 0.5)[rows], alone)


@pytest.mark.parametrize("kind", ["gradient", "texture", "rounded", "iris"])
def test_nothing_spills_into_frames_of_other_shapes(classical, kind):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    surround = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shape = np.zeros((HEIGHT, WIDTH), np.uint8)
    if kind in ("gradient", "texture"):
        shape[12:-12, 16:-16] = 1
        surround[..., 0], surround[..., 1] = x, 2 * y
        if kind == "texture":
            surround = np.random.default_rng(0).integers(0, 256, surround.shape, np.uint8)
    elif kind == "iris":
        cv2.circle(shape, (96, 54), 46, (1,), -1)
    else:
        cv2.rectangle(shape, (20, 0), (WIDTH - 21, HEIGHT), (1,), -1)
        cv2.rectangle(shape, (0, 20), (WIDTH, HEIGHT - 21), (1,), -1)
        for center in ((20, 20), (WIDTH - 21, 20), (20, HEIGHT - 21), (WIDTH - 21, HEIGHT - 21)):
            cv2.circle(shape, center, 20, (1,), -1)
    first, last = (np.where(shape[..., None] == 1, picture(*step), surround) for step in ((0, 0), (6, 8)))
    drawn = classical(first, last, 0.5)
    beyond = cv2.dilate(shape, np.ones((3, 3), np.uint8)) == 0  # the hull's rim is a pixel wide
    assert np.array_equal(drawn[beyond], first[beyond])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_invisible_colors_under_transparent_bars_stay_out(classical, dtype):
    first, _, last, matte = pan()
    garbage = np.random.default_rng(0).integers(0, 256, (2, *first.shape), np.uint8)
    scale = 257 if dtype == np.uint16 else 1
    alpha = np.where(matte, 0, 255).astype(np.uint8)
    first, last = (
        np.dstack([np.where(matte[..., None], noise, side), alpha]).astype(dtype) * dtype(scale)
        for side, noise in zip((first, last), garbage, strict=True)
    )
    assert not classical(first, last, 0.5)[matte][:, 3].any()


@pytest.mark.parametrize("crf", [18, 28])
@pytest.mark.parametrize("bar", [29, 32])
def test_bars_that_a_codec_has_soiled_are_bars(crf, bar):
    frames = []
    for i in range(4):
        painting = cv2.resize(PAINTING, None, fx=2, fy=2)
        frame = np.zeros((216, 384, 3), np.uint8)
        frame[bar:-bar] = painting[60 + 6 * i :, 200 + 4 * i :][: 216 - 2 * bar, :384]
        frames.append(frame)
    first, *_, last = coded(frames, crf)
    rows, columns = find_window(first, last)
    assert (abs(rows.start - bar) <= 2, abs(216 - rows.stop - bar) <= 2, columns) == (True, True, slice(0, 384))


def test_bars_with_noise_of_their_own_do_not_take_in_the_picture(classical):
    first, _, last, matte = pan()
    noise = np.random.default_rng(0).integers(0, 3, (2, *first.shape), np.uint8)
    first, last = (np.where(matte[..., None], grain, side) for side, grain in zip((first, last), noise, strict=True))
    assert classical(first, last, 0.5)[matte].max() <= 2


def test_a_figure_covers_the_still_ground_between_its_places(classical):
    def frame(x):
        ground = np.full((HEIGHT, WIDTH, 3), (120, 170, 200), np.uint8)
        cv2.circle(ground, (x, 54), 14, (10, 10, 10), -1, cv2.LINE_AA)
        return cv2.circle(ground, (x, 54), 11, (220, 60, 50), -1, cv2.LINE_AA)

    first, true, last = frame(50), frame(66), frame(82)
    assert find_window(first, last) is None
    drawn = classical(first, last, 0.5)
    assert error(drawn, true) < 0.1 * error(first, true)
    between = (first == last).all(2) & (first != true).any(2)
    assert np.abs(drawn[between].astype(int) - true[between]).mean() < 12


def test_dark_sky_beside_black_bars_moves_with_its_roofs(classical):
    def frame(shift):
        scene = within((14, 14, 0, 0), 0, shift, 0)
        roofs = 34 + 10 * np.abs(np.sin((np.arange(WIDTH) + shift) / 15)) - shift
        scene[np.arange(HEIGHT)[:, None] < roofs] = 0
        return scene

    first, true, last = frame(0), frame(4), frame(8)
    drawn = classical(first, last, 0.5)
    assert error(drawn, true) < 0.2 * min(error(first, true), error(last, true))
    assert not drawn[:14].any()


def test_the_hull_holds_every_place_on_the_way():
    first, last = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
    first[10:14, 10:14], last[40:44, 60:64] = 200, 200
    hull = moving_hull(first, last)
    assert all(hull[10 + 30 * i // 10 : 14 + 30 * i // 10, 10 + 5 * i : 14 + 5 * i].all() for i in range(11))
    assert not hull[10:14, 60:].any()
    assert not moving_hull(first, first).any()


@pytest.mark.parametrize("size", [(16, 16), (20, 40)])
def test_what_is_too_small_to_be_cut_out_stays_clean_all_the_same(classical, size):
    first, last = (np.zeros((*size, 3), np.uint8) for _ in range(2))
    inner = slice(4, size[0] - 4), slice(0, size[1])
    for frame, x in ((first, 0), (last, 2)):
        frame[inner] = picture(x, 0)[inner]
    drawn = classical(first, last, 0.5)
    assert not drawn[:4].any()
    assert not drawn[-4:].any()


def test_films_keep_their_bars_and_analyze_each_picture_once(classical, monkeypatch):
    frames = [within((14, 14, 0, 0), 0, 3 * i, 4 * i) for i in range(5)]
    sizes = []
    analyze = type(classical).analyze
    monkeypatch.setattr(
        type(classical), "analyze", lambda self, f, *a, **k: sizes.append(f.shape[:2]) or analyze(self, f, *a, **k)
    )
    inbetweener = Inbetweener(classical)
    drawn = [inbetweener.draw(frames[2 * i], frames[2 * i + 2], [0.5])[0] for i in (0, 1)]
    assert sizes == [(HEIGHT - 28, WIDTH)] * 3
    for k in (0, 1):
        assert not drawn[k][:14].any()
        assert not drawn[k][-14:].any()
        assert error(drawn[k], frames[2 * k + 1]) < 0.2 * error(frames[2 * k], frames[2 * k + 1])


@pytest.mark.parametrize("shift", [(30, 0), (0, 30), (3, 0), (3, 3), (20, 20)])
@pytest.mark.parametrize("textured", [False, True])
def test_a_shape_that_slides_over_still_ground_is_no_picture_within_a_matte(shift, textured):
    ground = np.full((270, 480, 3), (200, 210, 220), np.uint8)
    if textured:
        noise = np.random.default_rng(0).integers(0, 255, ground.shape).astype(np.uint8)
        ground = cv2.GaussianBlur(noise, (0, 0), 3)

    def frame(x, y):
        drawn = ground.copy()
        drawn[y : y + 205, x : x + 400] = (180, 60, 40)
        drawn[y + 20 : y + 60, x + 30 : x + 200] = (240, 240, 230)
        return drawn

    assert find_window(frame(20, 25), frame(20 + shift[0], 25 + shift[1])) is None
