from __future__ import annotations

import json
from fractions import Fraction

import pytest

from animeinterp.errors import FileError
from animeinterp.keys.exposure_sheet import to_time_sheet, write_exposure_sheet
from animeinterp.keys.numbering import find_keys
from animeinterp.keys.planning import plan_layers
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.xdts import EMPTY, IDENTIFIER, SheetColumn, TimeSheet, read_xdts, write_xdts

MARK = "SYMBOL_TICK_1"


@pytest.fixture
def plan(tmp_path):
    """Plan layers of empty files by a time sheet."""

    def plan(sheet, *names, **settings):
        for name in names:
            (tmp_path / name).touch()
        if isinstance(sheet, TimeSheet):
            write_xdts(tmp_path / "s.xdts", sheet, force=True)
        else:
            (tmp_path / "s.xdts").write_text(sheet, encoding="utf-8")
        return plan_layers(find_keys([tmp_path]).layers, KeySettings(chart=tmp_path / "s.xdts", **settings))

    return plan


def column(*cells, name="A", duration=12):
    return TimeSheet((SheetColumn(name, cells),), duration)


def drawn(layer):
    return [(pair.names[0], [(one.name, one.t) for one in pair.inbetweens]) for pair in layer.pairs]


def shown(layer):
    return [(exposure.name, exposure.start, exposure.length) for exposure in layer.exposures]


def test_a_sheet_comes_back_as_it_was_written(tmp_path):
    sheet = TimeSheet(
        (SheetColumn("A", ((0, "1"), (4, MARK), (8, "2"), (11, EMPTY))), SheetColumn("日本 b", ((0, "x1"),))), 12
    )
    write_xdts(tmp_path / "s.xdts", sheet)
    assert read_xdts(tmp_path / "s.xdts") == sheet


def test_marks_and_missing_drawings_are_drawn_between_their_keys(plan):
    cells = (0, "1"), (4, MARK), (6, "3"), (8, "4"), (10, EMPTY)
    (layer,), notes = plan(column(*cells), "A0001.png", "A0004.png", timing="ease-in")
    assert drawn(layer) == [("A0001.png", [("A0002.png", Fraction(1, 9)), ("A0003.png", Fraction(4, 9))])]
    assert shown(layer) == [
        ("A0001.png", 0, 4), ("A0002.png", 4, 2), ("A0003.png", 6, 2), ("A0004.png", 8, 2), (None, 10, 2)
    ]  # fmt: skip
    assert notes == ()


def test_drawings_may_be_called_by_layer_and_number(plan):
    (layer,), _ = plan(column((0, "A1"), (4, "A2"), (8, "a3")), "A0001.png", "A0003.png")
    assert drawn(layer) == [("A0001.png", [("A0002.png", Fraction(1, 2))])]


def test_a_drawing_that_is_shown_again_is_drawn_once_and_a_cycle_closes(plan):
    cells = (0, "1"), (2, "2"), (4, "3"), (6, "2"), (8, "1"), (10, "3")
    (layer,), _ = plan(column(*cells), "A1.png", "A3.png")
    assert [name for _, ones in drawn(layer) for name, _ in ones] == ["A2.png"]
    assert [name for name, _, _ in shown(layer)] == ["A1.png", "A2.png", "A3.png", "A2.png", "A1.png", "A3.png"]
    cells = (0, "1"), (4, MARK), (8, "3"), (12, MARK), (16, "1")
    (layer,), _ = plan(column(*cells, duration=18), "A1.png", "A3.png")
    assert drawn(layer)[1][0] == "A3.png"
    assert [one.name for one in layer.pairs[1].inbetweens] == ["A3_1.png"]


def test_a_sheet_of_keys_only_is_filled_on_twos(plan):
    cells = (0, "1"), (8, "5"), (9, "6")
    (layer,), notes = plan(column(*cells), "A1.png", "A5.png", "A6.png")
    assert [name for _, ones in drawn(layer) for name, _ in ones] == ["A2.png", "A3.png", "A4.png"]
    assert [start for _, start, _ in shown(layer)] == [0, 2, 4, 6, 8, 9]
    assert "only keys" in notes[0]


def test_what_does_not_fit_is_said(plan):
    cells = (0, "7"), (1, "1"), (3, "2"), (5, "3"), (7, "9")
    (layer, other), notes = plan(
        TimeSheet((*column(*cells).columns, SheetColumn("BG", ((0, "1"),))), 12),
        *("A1.png", "A3.png", "A5.png", "B1.png", "B3.png"),
    )
    assert [name for _, ones in drawn(layer) for name, _ in ones] == ["A2.png"]
    assert [len(pair.inbetweens) for pair in other.pairs] == [1]
    text = "\n".join(notes)
    for words in ("7 at frame 1 comes before", "9 at frame 8 comes after", "does not show A5.png", "no layer B", "BG"):
        assert words in text


def table(**changes):
    values = {
        "duration": 8,
        "fields": [{"fieldId": 0, "tracks": [{"trackNo": 0, "frames": [{"frame": -1, "data": [{"values": ["1"]}]}]}]}],
        "timeTableHeaders": [{"fieldId": 0, "names": ["A"]}],
    } | changes
    return f"{IDENTIFIER}\n{json.dumps({'timeTables': [values], 'version': 5})}"


def cell(**item):
    frames = [{"frame": 0, "data": [{"values": ["1"]}]} | item]
    return table(fields=[{"fieldId": 0, "tracks": [{"trackNo": 0, "frames": frames}]}])


def test_a_cell_before_the_first_frame_counts_as_the_first(tmp_path):
    (tmp_path / "s.xdts").write_text(table(), encoding="utf-8")
    assert read_xdts(tmp_path / "s.xdts").columns == (SheetColumn("A", ((0, "1"),)),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        IDENTIFIER,
        f"{IDENTIFIER}\n[]",
        f"{IDENTIFIER}\n{'[' * 100_000}",
        f'{IDENTIFIER}\n{{"timeTables": []}}',
        table(fields=[]),
        table(duration=10**12),
        table(timeTableHeaders=[{"fieldId": 0, "names": []}]),
        table(timeTableHeaders=[{"fieldId": 0, "names": [5]}]),
        cell(frame=1e300),
        cell(frame="1"),
        cell(data=[]),
        cell(data=[{"values": ["x" * 10_000]}]),
    ],
)
def test_a_damaged_sheet_is_refused(tmp_path, text):
    (tmp_path / "s.xdts").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match="expected a digital time sheet"):
        read_xdts(tmp_path / "s.xdts")


def test_names_of_a_sheet_lead_nowhere(plan):
    with pytest.raises(FileError, match="do not trust this file"):
        plan(column((0, "1"), (2, "../../x"), (4, "3")), "A1.png", "A3.png")


def test_results_are_exported_by_number(plan, tmp_path):
    layers, _ = plan(column((2, "1"), (4, MARK), (6, "3")), "A1.png", "A3.png")
    sheet = to_time_sheet(layers)
    assert sheet.columns[0].cells == ((0, EMPTY), (2, "1"), (4, "2"), (6, "3"), (12, EMPTY))
    write_exposure_sheet(tmp_path / "sheet.csv", layers)
    lines = (tmp_path / "sheet.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:4] == ["frame,A", "1,x", "2,", "3,A1"]
    assert len(lines) == 13
