"""What should be redrawn is listed, with a picture that marks where, until it is redrawn."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.io.images import read_image, write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.redraw import mark
from animeinterp.keys.settings import KeySettings
from conftest import draw_scene
from support.stub import Blender


@pytest.fixture
def run(tmp_path):
    """Draw the keys A1, A3, A5 into one folder; the second pair changes much."""
    (tmp_path / "keys").mkdir()
    for number, shift in ((1, 0), (3, 0), (5, 20)):
        frame = draw_scene(shift)
        frame[0, 0] = number
        write_image(tmp_path / f"keys/A{number}.png", frame)

    def run(**settings):
        settings = KeySettings(**({"resume": True} | settings))
        return draw_keys([tmp_path / "keys"], tmp_path / "out", settings, model=Blender(), workers=1).redraw

    return run


def test_doubtful_drawings_are_listed_and_marked(run, tmp_path):
    assert run() == ("A4.png",)
    pictures = list((tmp_path / "out" / "review").glob("redraw_*"))
    assert [path.name for path in pictures] == ["redraw_A4.png"]
    picture = read_image(pictures[0], 10**6).pixels.astype(int)
    redness = picture[..., 0] - picture[..., 1]
    differs = (draw_scene(0) != draw_scene(20)).any(2)
    assert redness[differs].mean() > 60 + redness[~differs].mean()


def test_a_continued_run_lists_them_until_they_are_redrawn(run, tmp_path):
    run()
    assert run() == ("A4.png",)
    write_image(tmp_path / "out" / "A4.png", draw_scene(9), force=True)
    assert run() == ()
    assert not list((tmp_path / "out" / "review").glob("redraw_*"))


def test_a_drawing_that_is_good_by_now_loses_its_picture(run, tmp_path):
    run()
    write_image(tmp_path / "keys/A5.png", draw_scene(0), force=True)
    assert run() == ()
    assert not list((tmp_path / "out" / "review").glob("redraw_*"))


def test_without_a_review_they_are_listed_only(run, tmp_path):
    assert run(review=False) == ("A4.png",)
    assert not (tmp_path / "out" / "review").exists()


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint16), (4, np.uint16)])
def test_every_mode_is_marked_over_white(channels, dtype):
    frame = np.zeros((40, 60, channels), dtype)
    marks = np.zeros((20, 30), np.uint8)
    marks[5:10, 5:15] = 255
    picture = mark(frame[..., 0] if channels == 1 else frame, marks)
    assert (picture.shape, picture.dtype) == ((40, 60, 3), np.uint8)
    assert picture[15, 20, 0] > picture[15, 20, 1] + 60
    corner = picture[-1, -1]
    assert corner.min() == corner.max() == (255 if channels in (2, 4) else 89)
