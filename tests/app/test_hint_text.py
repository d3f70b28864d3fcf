"""Hints as lines of text."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.app.hint_text import add_pair, drop_pair, format_hints, mark_points, parse_hints
from animeinterp.errors import UsageError


def test_points_become_lines_and_lines_hints():
    text = add_pair(add_pair("", (1.4, 2), (3, 4)), (5, 6), (7, 8))
    assert text == "1,2 > 3,4; 5,6 > 7,8"
    (hint,) = parse_hints(text)
    assert hint.points0 == ((1, 2), (5, 6))
    assert hint.points1 == ((3, 4), (7, 8))
    two = parse_hints(add_pair(text + "\n", (9, 9), (9, 9)))
    assert len(two) == 2
    assert parse_hints(format_hints(two)) == two
    assert drop_pair(text) == "1,2 > 3,4"
    assert drop_pair("1,2 > 3,4") == ""


@pytest.mark.parametrize("text", ["1,2", "1,2 > 3", "a,b > c,d", "1,2 > 3,4 5,6 > 7,8", "-1,2 > 3,4"])
def test_what_is_no_pair_is_said(text):
    with pytest.raises(UsageError, match="line 1 of the hints"):
        parse_hints(text)


def test_marks_are_drawn_where_the_points_are():
    marked = mark_points(np.zeros((64, 96, 3), np.uint8), [[(40, 30)]], (80, 50))
    assert marked[21:40, 31:50].any()
    assert marked[41:60, 71:90].max() == 255
