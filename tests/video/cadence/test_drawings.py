"""Drawings of made and real films: holds, pans, times, and the report."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from animeinterp.video.cadence.cut_list import CutList, parse_cuts
from animeinterp.video.cadence.drawings import CadenceReport, find_drawings
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
    timed,
    view,
    walk,
    with_figure,
)


def draw(frames, **options):
    """Return the drawings of frames (arrays or TimedFrames) and the report."""
    report = CadenceReport()
    film = frames if frames and isinstance(frames[0], TimedFrame) else timed(frames)
    drawings = list(find_drawings(iter(film), lambda: Fraction(len(film), RATE), report=report, **options))
    return drawings, report


def numbers(frames, **options):
    return [drawing.number for drawing in draw(frames, **options)[0]]


# --- holds


def test_drawings_have_the_times_at_which_they_appear_and_end():
    frames = [*held(walk(2, 1), 2), *held(walk(1, 2), 3), walk(1, 3)[0]]
    drawings, report = draw(frames)
    at = [Fraction(n, RATE) for n in range(9)]
    assert [(d.number, d.time, d.last_time, d.end_time, d.cut) for d in drawings] == [
        (0, at[0], at[1], at[2], False),
        (2, at[2], at[3], at[4], False),
        (4, at[4], at[6], at[7], True),
        (7, at[7], at[7], at[8], True),
    ]
    assert all(drawing.frame is frames[drawing.number] for drawing in drawings)
    assert report == CadenceReport(frames=8, drawings=4, ones=1, twos=2, threes=1, repeats=4, cuts=2)


@pytest.mark.parametrize("crf", [16, 23, 30])
@pytest.mark.parametrize("sigma", [0, 4])
def test_repeats_are_detected_beneath_codec_noise_and_grain(crf, sigma):
    frames = [*held(walk(5, 1), 2), *held(walk(10, 1)[5:], 3)]
    expected = [*range(0, 10, 2), *range(10, 25, 3)]
    assert numbers(coded(grained(frames, sigma) if sigma else frames, crf)) == expected


@pytest.mark.parametrize("sigma", [0, 3])
def test_a_mouth_that_moves_by_a_few_pixels_makes_a_new_drawing(sigma):
    scene = cv2.resize(view(background(1)), (960, 540))
    frames = []
    for opened in (0, 0, 2, 2, 4, 4, 1, 1):
        frame = scene.copy()
        cv2.ellipse(frame, (500, 260), (10, 1 + opened), 0, 0, 360, (90, 30, 30), -1, cv2.LINE_AA)
        frames.append(frame)
    assert numbers(grained(frames, sigma) if sigma else frames) == [0, 2, 4, 6]


def test_slow_motion_is_not_a_hold():
    ball = [with_figure(view(background(2)), 0.5, 60 + 0.3 * i) for i in range(40)]
    detected = numbers(ball)
    assert max(np.diff([*detected, 40])) <= 3
    dusk = [np.rint(view(background(2)) * (1 - i / 80)).astype(np.uint8) for i in range(40)]
    assert max(np.diff([*numbers(dusk), 40])) <= 6


def test_a_frame_that_could_not_be_decoded_repeats_the_one_before():
    film = timed(walk(6, 1))
    film[3] = replace(film[3], frame=film[2].frame, after_damage=True)
    assert numbers(film) == [0, 1, 2, 4, 5]


def test_uneven_times_stay_exact():
    times = [Fraction(0), Fraction(1001, 24000), Fraction(1, 7), Fraction(3, 2)]
    film = [replace(item, time=time) for item, time in zip(timed(walk(4, 1)), times, strict=True)]
    drawings = list(find_drawings(film, lambda: Fraction(22, 7)))
    assert [drawing.time for drawing in drawings] == times
    assert [drawing.end_time for drawing in drawings] == [*times[1:], Fraction(22, 7)]


def test_without_holds_every_frame_is_a_drawing_and_cuts_are_still_found():
    drawings, report = draw(held(walk(3, 1) + walk(3, 2), 2), holds=False)
    assert [drawing.number for drawing in drawings] == list(range(12))
    assert all(drawing.last_time == drawing.time for drawing in drawings)
    assert [drawing.number for drawing in drawings if drawing.cut] == [6]
    assert (report.ones, report.repeats) == (12, 0)


def test_films_of_one_frame_and_of_none():
    drawings, report = draw(walk(1, 1))
    assert [(d.number, d.last_time, d.end_time, d.cut) for d in drawings] == [(0, 0, Fraction(1, RATE), False)]
    assert report.ones == 1
    assert draw([]) == ([], CadenceReport())


def test_a_users_cut_splits_a_hold_and_replaces_detection():
    frames = held(walk(1, 1), 6) + held(walk(1, 2), 6)
    drawings, _ = draw(frames, cuts=parse_cuts("3"))
    assert [(d.number, d.cut) for d in drawings] == [(0, False), (3, True), (6, False)]
    assert not any(d.cut for d in draw(frames, cuts=CutList())[0])


def test_the_end_is_requested_last_and_the_report_grows_with_the_drawings():
    ends = []

    def frames():
        yield from timed(walk(30, 1))
        ends.append(Fraction(30, RATE))

    report = CadenceReport()
    stream = find_drawings(frames(), lambda: ends[0], report=report)
    next(stream)
    assert (report.drawings, ends) == (1, [])
    assert [drawing.end_time for drawing in stream][-1] == Fraction(30, RATE)
    assert report.drawings == report.frames == 30


def test_memory_does_not_grow_with_the_film_and_its_holds():
    alive: weakref.WeakSet = weakref.WeakSet()
    peak = 0
    poses = walk(8, 1)

    class WeakArray(np.ndarray):
        pass

    def frames():
        nonlocal peak
        for number in range(240):
            pose = number if number < 80 else number // 40
            frame = poses[pose % 8].copy().view(WeakArray)
            alive.add(Holder(frame))
            yield TimedFrame(number, Fraction(number, RATE), frame)
            peak = max(peak, sum(holder.frame() is not None for holder in alive))

    class Holder:
        def __init__(self, frame):
            self.frame = weakref.ref(frame)
            holders.append(self)

    holders: list = []
    for _ in find_drawings(frames(), lambda: Fraction(10)):
        pass
    gc.collect()
    assert 0 < peak <= 14


# --- pans


def still_pan(steps, seed=7, **figure):
    """Move the camera over a still image with a figure in it, by these steps in px."""
    painting = background(seed)
    painting[40 : 40 + HEIGHT, 200 : 200 + WIDTH] = with_figure(painting[40 : 40 + HEIGHT, 200 : 200 + WIDTH], 0.4)
    return [view(painting, x, 40) for x in 120 + np.cumsum(steps)]


@pytest.mark.parametrize(("pan", "every"), [(1.5, 2), (3, 2), (6, 2), (3, 3)])
def test_a_figure_held_while_the_camera_pans_decides_the_drawings(pan, every):
    frames = coded(walk(13, 7, pan=pan, every=every), 20)
    drawings, report = draw(frames)
    assert [drawing.number for drawing in drawings] == list(range(0, 13, every))
    assert report.pan_repeats + report.repeats == 13 - len(drawings)
    assert all(drawing.last_time <= drawing.end_time - Fraction(1, RATE) for drawing in drawings)


@pytest.mark.parametrize("pan", [1, 2.5, 7])
def test_a_figure_on_ones_before_a_pan_loses_no_drawing(pan):
    assert numbers(coded(walk(14, 7, pan=pan), 20)) == list(range(14))


@pytest.mark.parametrize(
    "steps",
    [[3.0] * 14, [1.5] * 14, [1, 2] * 7, [0.5 * i for i in range(1, 15)], [0.5 * i for i in range(14, 0, -1)]],
    ids=["steady", "slow", "rounded", "faster", "slower"],
)
def test_a_pan_over_a_still_image_keeps_all_its_frames(steps):
    assert numbers(coded(still_pan(steps), 20)) == list(range(14))


def test_at_most_three_frames_in_a_row_are_left_out_of_a_pan():
    detected = numbers(walk(18, 7, pan=3, every=6))
    assert {0, 1, 2, 6, 7, 8, 12} <= set(detected)
    assert max(np.diff(detected)) <= 4


# --- real clips


def test_a_real_clip_on_twos(shared):
    _, report = draw(decoded(shared / "clips" / "spineboy_run_on_twos_24fps_tone.mp4", 0, 40, width=640))
    assert (report.twos, report.drawings, report.cuts) == (20, 20, 0)


def test_a_real_figure_on_twos_before_a_background_on_ones(shared):
    detected = numbers(decoded(shared / "clips" / "mecha_on_twos_bg_on_ones_24fps_tone.mp4", 0, 49))
    assert set(range(0, 49, 2)) <= set(detected)
    assert len(detected) <= 28


def test_a_real_walk_on_ones_before_a_pan(shared):
    _, report = draw(decoded(shared / "clips" / "spineboy_walk_pan_24fps_tone.mp4", 0, 40, width=640))
    assert (report.ones, report.pan_repeats, report.repeats) == (40, 0, 0)
