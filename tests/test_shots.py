"""Drawings, holds and cuts of made films and of real clips."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from animeinterp.video.cuts import CutList, parse_cuts
from animeinterp.video.drawings import CadenceReport, drawings
from animeinterp.video.film import Shown
from animeinterp.video.reader import Reader, probe

RATE = Fraction(24)
WIDTH, HEIGHT = 320, 180


def ground(seed):
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 256, (9, 24, 3), np.uint8), (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def scene(seed, pan=0, figure=0):
    """A figure at `figure` px over a ground of which `pan` px have passed."""
    frame = ground(seed)[:, pan : pan + WIDTH].copy()
    cv2.circle(frame, (60 + figure, 90), 30, (250, 220, 40), -1)
    cv2.circle(frame, (60 + figure, 90), 30, (10, 10, 10), 3)
    cv2.line(frame, (60 + figure, 120), (60 + figure, 160), (10, 10, 10), 5)
    return frame


def noisy(frames, strength=1.5):
    random = np.random.default_rng(7)
    return [np.clip(f + random.normal(0, strength, f.shape), 0, 255).astype(np.uint8) for f in frames]


def found(frames, **options):
    """The drawings of some frames, and the report."""
    report = CadenceReport()
    shown = [Shown(k, k / RATE, frame) for k, frame in enumerate(frames)]
    return list(drawings(shown, lambda: len(frames) / RATE, report=report, **options)), report


def cuts(frames):
    return [drawing.number for drawing in found(frames)[0] if drawing.cut and drawing.number]


def test_on_twos_every_second_frame_is_a_drawing_whatever_the_noise():
    frames = [scene(1, figure=6 * (k // 2)) for k in range(24)]
    for film in (frames, noisy(frames)):
        got, report = found(film)
        assert [drawing.number for drawing in got] == list(range(0, 24, 2))
        assert (report.ones, report.twos, report.cuts) == (0, 12, 0)
        assert all(drawing.until - drawing.time == 2 / RATE for drawing in got)
        assert all(drawing.last == drawing.time + 1 / RATE for drawing in got)


def test_without_holds_every_frame_is_a_drawing():
    frames = [scene(1, figure=6 * (k // 2)) for k in range(8)]
    assert [drawing.number for drawing in found(frames, holds=False)[0]] == list(range(8))


def test_a_small_mouth_that_moves_is_a_new_drawing():
    frames = []
    for k in range(12):
        frame = scene(1)
        cv2.line(frame, (55, 95), (65, 95 + 3 * (k % 2)), (120, 20, 20), 2)
        frames.append(frame)
    assert len(found(noisy(frames, 1))[0]) == 12


def test_a_slow_pan_on_ones_is_not_thinned_out():
    frames = [scene(1, pan=2 * k, figure=-2 * k) for k in range(16)]
    got, report = found(frames)
    assert len(got) >= 15
    assert report.cuts == 0


def test_a_slow_fade_is_not_swallowed():
    frames = [(scene(1) * (1 - k / 48)).astype(np.uint8) for k in range(48)]
    got, report = found(frames)
    assert len(got) >= 8, "though a step is below the noise"
    assert report.cuts == 0


def test_hard_cuts_are_found_also_between_held_drawings():
    first, second = ([scene(seed, figure=4 * (k // 2)) for k in range(12)] for seed in (1, 2))
    assert cuts(first + second) == [12]
    assert cuts([scene(1)] * 8 + [scene(2)] * 8) == [8]


def test_a_shot_of_one_frame_has_a_cut_on_either_side():
    first, second = ([scene(seed, figure=4 * k) for k in range(8)] for seed in (1, 2))
    assert cuts([*first, scene(5), *second]) == [8, 9]


def test_fast_motion_and_whip_pans_are_no_cuts():
    assert cuts([scene(1, figure=40 * (k % 5)) for k in range(12)]) == []
    assert cuts([scene(1, pan=min(40 * k, 300)) for k in range(12)]) == []


def test_a_flash_is_never_blended_into():
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    frames = [scene(1, figure=3 * k) for k in range(8)] + [white] + [scene(1, figure=3 * k) for k in range(9, 16)]
    assert cuts(frames) == [8, 9]


def test_a_cross_fade_has_no_cut_inside():
    frames = [cv2.addWeighted(scene(1), 1 - k / 12, scene(2), k / 12, 0) for k in range(13)]
    assert cuts([scene(1)] * 4 + frames + [scene(2)] * 4) == []


def test_a_users_list_is_all_there_is():
    frames = [scene(1, figure=4 * k) for k in range(8)] + [scene(2, figure=4 * k) for k in range(8)]
    got, _ = found(frames, cuts=parse_cuts("3, 0:00.5"))
    assert [drawing.number for drawing in got if drawing.cut] == [3, 12]
    assert not any(drawing.cut for drawing in found(frames, cuts=CutList())[0])


def test_memory_stays_flat():
    """Of 300 frames no more than a handful are held at once."""
    alive = 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def frames():
        nonlocal alive
        for k in range(300):
            alive += 1
            frame = scene(1, figure=k % 100).view(Counted)
            assert alive < 24
            yield Shown(k, k / RATE, frame)

    assert sum(1 for _ in drawings(frames(), lambda: 300 / RATE)) > 250


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ("hard_cuts_5shots_24fps_tone", [36, 66, 94, 128]),
        ("popeye1936_hardcuts_24fps_tone", [31, 230]),
        ("spineboy_walk_pan_24fps_tone", []),
        ("spineboy_run_on_twos_24fps_tone", []),
    ],
)
def test_cuts_of_real_clips(clip, expected, shared):
    reader = Reader(probe(shared / "clips" / f"{clip}.mp4"))
    assert [drawing.number for drawing in drawings(reader, lambda: reader.end) if drawing.cut] == expected
