"""Hints: files, checks, and what they change."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.errors import FileError, UsageError
from animeinterp.hints import Hint, Hints
from animeinterp.hints_file import read_hints, read_pair_hints, write_hints

ARM = Hint(((10.0, 12.0), (40.0, 12.5)), ((12.0, 30.0), (20.0, 60.0)), name="left arm")
PAIR = Hint(((5.0, 5.0),), ((6.0, 6.0),), kind="segments")


def test_a_file_is_read_as_it_was_written(tmp_path):
    hints = Hints((ARM, PAIR))
    write_hints(tmp_path / "h.json", hints)
    assert read_hints(tmp_path / "h.json") == hints
    with pytest.raises(UsageError, match="exists"):
        write_hints(tmp_path / "h.json", hints)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected hints"),
        ('{"hints": [{"from": [[1, 2]]}]}', r"hints\.0\.to"),
        ('{"hints": [{"from": [[1, 2], [3, 4]], "to": [[1, 2]]}]}', "2 points in `from`, 1 in `to`"),
        ('{"hints": [{"from": [["1", 2]], "to": [[1, 2]]}]}', r"from\.0\.0"),
        ('{"hints": [{"from": [[1, 2, 3]], "to": [[1, 2]]}]}', r"from\.0"),
        ('{"hints": [{"from": [[1e300, 2]], "to": [[1, 2]]}]}', "100000"),
        ('{"hints": [{"from": [[NaN, 2]], "to": [[1, 2]]}]}', "NaN is not JSON"),
        ('{"hints": [{"from": [[1, 2]], "to": [[1, 2]], "kind": "magic"}]}', "kind"),
        ('{"hints": [{"from": [[1, 2]], "to": [[1, 2]], "extra": 1}]}', "extra"),
        (json.dumps({"hints": [{"from": [[1, 2]], "to": [[1, 2]]}] * 101}), "at most 100"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    file = tmp_path / "h.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=message) as error:
        read_hints(file)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("content", ['{"hints": []}', '{"pairs": [{"from": "", "to": "A", "hints": []}]}', "[1]"])
def test_other_files_are_no_hints_for_pairs(tmp_path, content):
    (tmp_path / "h.json").write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match="expected hints for pairs of keys"):
        read_pair_hints(tmp_path / "h.json")


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ([Hint(((100.0, 5.0),), ((5.0, 5.0),))], r"hint 1 has the point \(100, 5\) in the first frame, outside"),
        (
            [ARM, Hint(((5.0, 5.0),), ((5.0, -1.0),), name="leg")],
            r"hint 2 \(leg\) has the point \(5, -1\) in the second",
        ),
        ([Hint((), ())], "0 points"),
        ([Hint(((1.0, 1.0),), ())], "as many of both"),
        ([ARM, Hint(((10.0, 12.0),), ((50.0, 50.0),))], r"hint 1 \(left arm\) and hint 2 contradict"),
        ([Hint(((1.0, 1.0), (20.0, 1.0)), ((5.0, 5.0), (5.0, 5.0)))], "hint 1 contradict.* of the second frame"),
        ([PAIR] * 101, "at most 100"),
    ],
)
def test_hints_that_cannot_be_followed_say_why(hints, message):
    with pytest.raises(UsageError, match=message):
        Hints(tuple(hints)).check(height=64, width=96)


def test_hints_that_agree_pass():
    Hints((ARM, ARM, PAIR)).check(height=64, width=96)


def test_hints_follow_the_frame():
    moved = Hints((ARM, PAIR)).inside((slice(10, 64), slice(8, 96)))
    assert moved.hints == (Hint(((2.0, 2.0), (32.0, 2.5)), ((4.0, 20.0), (12.0, 50.0)), name="left arm"),)
    half = PAIR.scaled(0.5, 0.5)
    assert half.points0 == ((2.25, 2.25),)  # the middle of a pixel of twice the width
    assert Hints((ARM,)).swapped().swapped() == Hints((ARM,))


PIVOT, TIP0, TIP1 = (96, 150), (36, 90), (156, 90)  # a limb that turns by a right angle, upwards through (96, 65)
LIMB, GROUND = (200, 60, 40), (90, 140, 200)
SWING = Hints((Hint((PIVOT, TIP0), (PIVOT, TIP1), name="limb"),))


def drawing(tip):
    """A limb with an outline, from the pivot to a tip, before flat color and beside a body."""
    image = np.full((192, 192, 3), GROUND, np.uint8)
    cv2.rectangle(image, (70, 150), (122, 185), (20, 20, 20), -1)
    cv2.line(image, PIVOT, tip, (20, 20, 20), 21)
    cv2.line(image, PIVOT, tip, LIMB, 13)
    return image


@pytest.fixture(scope="module", params=["classical", "cel"])
def swing(request):
    """The interpolator and the analyses of a limb in two positions."""
    interpolator = load_interpolator(request.param, "cpu")
    return interpolator, [interpolator.analyze(drawing(tip)) for tip in (TIP0, TIP1)]


def test_a_hinted_limb_is_whole_and_on_its_arc(swing):
    interpolator, analyses = swing
    plain, hinted = (interpolator.motion(*analyses, hints=hints) for hints in (None, SWING))
    drawn = interpolator.render(hinted, 0.5)
    limb = np.abs(drawn.astype(int) - LIMB).max(2) < 40
    # Of the line through the middle of the limb at t = 0.5 nothing is missing: on the chord it would end at y = 90.
    assert limb[75:140, 96].mean() > 0.9
    without = np.abs(interpolator.render(plain, 0.5).astype(int) - LIMB).max(2) < 40
    assert without[75:140, 96].mean() < 0.85
    # Where it was, the ground is seen.
    for x, y in (TIP0, TIP1):
        assert np.abs(drawn[y - 4 : y + 4, x - 4 : x + 4].astype(int) - GROUND).max() < 40
    assert interpolator.render(hinted, 0.0).tobytes() == analyses[0].frame.tobytes()


def test_hinted_segments_match_each_other(swing):
    interpolator, analyses = swing
    matches = interpolator.match(*analyses, SWING)
    (x0, y0), (x1, y1) = TIP0, TIP1
    segment0, segment1 = analyses[0].segments.labels[y0, x0], analyses[1].segments.labels[y1, x1]
    assert matches.match01[segment0] == segment1
    assert matches.match10[segment1] == segment0


def test_no_hints_change_nothing(swing):
    interpolator, analyses = swing
    plain, empty = (interpolator.motion(*analyses, hints=hints) for hints in (None, Hints()))
    assert empty.hinted is None
    assert interpolator.render(plain, 0.5).tobytes() == interpolator.render(empty, 0.5).tobytes()


def test_segments_that_belong_together_move_onto_each_other(swing):
    interpolator, analyses = swing
    pair = Hints((Hint((TIP0,), (TIP1,), kind="segments"),))
    motion = interpolator.motion(*analyses, hints=pair)
    x, y = TIP0
    flow = motion.flow01[:, y, x]
    assert 60 < flow[0] < 180
    assert motion.hinted is not None
    assert motion.hinted.part0[y, x] == 0


def test_hints_work_inside_a_fixed_matte(swing):
    interpolator, _ = swing
    frames = []
    for tip in (TIP0, TIP1):
        frame = np.zeros((192 + 80, 192, 3), np.uint8)
        frame[40:232] = drawing(tip)
        frames.append(frame)
    boxed = interpolator(*frames, hints=SWING.moved(0, 40))
    limb = np.abs(boxed[40:232].astype(int) - LIMB).max(2) < 40
    assert limb[75:140, 96].mean() > 0.9
    assert not boxed[:40].any()


def test_hints_outside_the_frame_are_refused_before_any_work(swing):
    interpolator, analyses = swing
    with pytest.raises(UsageError, match="outside"):
        interpolator.motion(*analyses, hints=SWING.moved(1000, 0))
