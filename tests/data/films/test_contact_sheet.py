"""The contact sheet of a data set whose files are damaged or oddly named."""

from __future__ import annotations

import json
import math

import pytest

from animeinterp.data.films.contact_sheet import escape_html, write_sheet
from animeinterp.data.films.manifest import Manifest


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": [0, 0]},
        {"image_size": [math.nan, 64]},
        {"motion_RoI": {"x": 10**400, "y": 1, "width": 60, "height": 60}},
        {"motion_RoI": {"x": math.inf, "y": 1, "width": 60, "height": 60}},
        {"motion_RoI": 5},
        {"source": {"film": "f", "time": 1e308}},
        {"source": {"film": "\ud800", "time": 1}},
        {"source": []},
        {"measured": {"displacement": "far", "occluded": 0, "ssim": []}},
        {"level": -1},
        {"level": 7},
        {"level": "easy"},
    ],
)
def test_a_damaged_card_is_named_and_does_not_end_the_sheet(tmp_path, change):
    for name in ("a", "b"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        (tmp_path / "mine_annotations" / name).mkdir(parents=True)
        (tmp_path / "mine_annotations" / name / f"{name}.jpg").write_bytes(b"jpeg")
        note = {
            "image_size": [96, 64],
            "motion_RoI": {"x": 1, "y": 1, "width": 60, "height": 60},
            "level": 1,
            "source": {"film": "f", "time": 1.0},
            "measured": {"displacement": 1.0, "occluded": 0.1, "ssim": [0.9, 0.9]},
        }
        content = json.dumps(note | (change if name == "b" else {}))
        (tmp_path / "mine_annotations" / name / f"{name}.json").write_text(content)
    (page,) = write_sheet(tmp_path / "mine")
    assert 'name="a"> a<br><small>f at 0:01.00' in page.read_text(encoding="utf-8")
    assert 'name="b"> b<br><small>its annotation or strip is damaged' in page.read_text(encoding="utf-8")


def test_names_that_are_not_unicode_still_give_a_sheet(tmp_path):
    assert escape_html("film\udcff<") == "film?&lt;"


def test_long_names_of_any_script_fit_every_file_system(tmp_path):
    label = Manifest(tmp_path / "mine", {}).label_of(tmp_path / ("\U00020000" * 60 + ".mkv"), "x")
    assert label.strip("\U00020000") == ""
    assert len(f"{label}_000000.json".encode()) < 255
