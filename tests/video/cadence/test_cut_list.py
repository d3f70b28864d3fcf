"""A user's list of cuts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.video.cadence.cut_list import CutList, parse_cuts
from animeinterp.video.cadence.drawings import find_drawings
from animeinterp.video.source.info import TimedFrame

WHITE = np.full((108, 192, 3), 255, np.uint8)


def first_frames(text, times):
    """Return the numbers of the frames that begin a shot by a user's list."""
    film = [TimedFrame(n, time, WHITE) for n, time in enumerate(times)]
    return [
        drawing.number for drawing in find_drawings(film, lambda: times[-1] + 1, cuts=parse_cuts(text)) if drawing.cut
    ]


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
