from __future__ import annotations

from fractions import Fraction

import pytest

from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.keys.numbering import find_keys
from animeinterp.keys.planning import plan_layers
from animeinterp.keys.settings import KeySettings


@pytest.fixture
def plan(tmp_path):
    """Plan the layer of keys A0001, A0005, A0009 by a chart."""
    for number in (1, 5, 9):
        (tmp_path / f"A{number:04}.png").touch()

    def plan(text, **settings):
        path = tmp_path / "chart.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        (layer,), notes = plan_layers(find_keys([tmp_path]).layers, KeySettings(chart=path, **settings))
        return layer, notes

    return plan


def times(layer):
    return [[drawing.t for drawing in pair.inbetweens] for pair in layer.pairs]


def test_each_row_times_its_pair(plan):
    layer, notes = plan("from,to,count,timing,hold,on\nA0005,A0009,,1/8 1/2 7/8,6,1\n1,5,1,ease-in,,\n")
    assert times(layer) == [[Fraction(1, 4)], [Fraction(1, 8), Fraction(1, 2), Fraction(7, 8)]]
    shown = [(exposure.name[1:5], exposure.length) for exposure in layer.exposures]
    assert shown == [("0001", 2), ("0003", 2), ("0005", 6), ("0006", 1), ("0007", 1), ("0008", 1), ("0009", 1)]
    assert notes == ()


def test_rows_without_names_are_taken_in_order_and_empty_cells_left_to_the_settings(plan):
    layer, _ = plan("\ufeffcount;timing\n2;\n;0.5\n", timing="ease-out")
    assert times(layer) == [[Fraction(5, 9), Fraction(8, 9)], [Fraction(1, 2)]]


def test_a_row_for_no_keys_is_said(plan):
    _, notes = plan("from,to,count\nA0001,A0005,1\nA0001,A0009,4\n")
    assert notes == ("chart.csv: no keys for line 3",)


def test_the_last_drawing_of_a_layer_is_held_until_the_end_of_all(tmp_path):
    for name in ("A1.png", "A5.png", "B2.png", "B4.png"):
        (tmp_path / name).touch()
    layers, _ = plan_layers(find_keys([tmp_path]).layers, KeySettings())
    shown = [[(exposure.start, exposure.length) for exposure in layer.exposures] for layer in layers]
    assert shown == [[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], [(1, 1), (2, 1), (3, 2)]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first row names columns"),
        ("from,to,frames\n1,5,3\n", "first row names columns"),
        ("count\n1\n", "1 rows for the 2 pairs"),
        ("from,to,count\n1,5,-3\n", "line 2: count is '-3'"),
        ("from,to,count\n1,5,99999999999999999999\n", "whole number"),
        ("from,to,count\nB1,B5,3\n", "no row"),
        ("from,to,timing\n1,5,2/0\n", "times from 0 to 1"),
        ('from,to\n"1,5\n', "not CSV"),
        (b"from,to\n\xff\xfe,5\n", "not UTF-8"),
        ("from,to,count\n1,5,9999\n", "more than 500"),
    ],
)
def test_a_chart_that_is_none_is_refused(plan, text, message):
    with pytest.raises(AnimeInterpError, match=message) as caught:
        plan(text)
    assert isinstance(caught.value, FileError | UsageError)
