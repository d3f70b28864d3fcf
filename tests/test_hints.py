"""Hints: files, checks, and what they change."""

from __future__ import annotations

import json

import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.hints import Hint, Hints
from animeinterp.hints_file import read_hints, write_hints

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
