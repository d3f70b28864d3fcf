"""Contact sheets of data sets with damaged files or unusual names."""

from __future__ import annotations

import json
import math

import pytest

from animeinterp.data.films.contact_sheet import render_page, write_sheet
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
def test_a_damaged_annotation_is_named_and_the_sheet_is_written(tmp_path, change):
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


def test_names_that_are_not_unicode_are_escaped(tmp_path):
    folder = tmp_path / "film\udcff<"
    page = render_page(folder, [tmp_path / "page.html"], 0, [])
    assert b"<title>film?&lt;</title>" in page


def test_long_names_of_any_script_fit_every_file_system(tmp_path):
    label = Manifest(tmp_path / "mine", {}).choose_label(tmp_path / ("\U00020000" * 60 + ".mkv"), "x")
    assert label.strip("\U00020000") == ""
    assert len(f"{label}_000000.json".encode()) < 255
