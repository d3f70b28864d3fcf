from __future__ import annotations

import pytest

from animeinterp.errors import UsageError
from animeinterp.io.images import read_image, write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.settings import KeySettings
from conftest import draw_scene
from support.stub import Blender


class Counter(Blender):
    """Counts what it renders, and fails after some drawings."""

    def __init__(self, most=100):
        self.drawn, self.most = 0, most

    def render(self, motion, t):
        if self.drawn == self.most:
            raise RuntimeError("stopped")
        self.drawn += 1
        return super().render(motion, t)


@pytest.fixture
def run(tmp_path):
    """Draw the keys A1, A3, A5 into one folder; returns the result and the number of drawings."""
    (tmp_path / "keys").mkdir()
    for number in (1, 3, 5):
        write_image(tmp_path / f"keys/A{number}.png", draw_scene(number))

    def run(most=100, **settings):
        model = Counter(most)
        values = {"review": False, "resume": True} | settings
        result = draw_keys([tmp_path / "keys"], tmp_path / "out", KeySettings(**values), model=model, workers=1)
        return result, model.drawn

    return run


def test_a_run_continues_where_it_stopped(run, tmp_path):
    with pytest.raises(RuntimeError):
        run(most=1)
    assert (tmp_path / "out" / "A2.png").exists()
    result, drawn = run()
    assert (result.kept, result.drawn, drawn) == (1, 1, 1)
    assert run()[1] == 0


def test_only_pairs_of_a_changed_key_are_drawn_again(run, tmp_path):
    run()
    before = (tmp_path / "out" / "A4.png").read_bytes()
    write_image(tmp_path / "keys/A5.png", draw_scene(9), force=True)
    result, drawn = run()
    assert (result.kept, drawn) == (1, 1)
    assert (tmp_path / "out" / "A4.png").read_bytes() != before
    assert (read_image(tmp_path / "out" / "A5.png", 10**6).pixels == draw_scene(9)).all()


def test_a_changed_key_is_drawn_again_after_an_interruption_too(run, tmp_path):
    run()
    write_image(tmp_path / "keys/A3.png", draw_scene(9), force=True)
    with pytest.raises(RuntimeError):
        run(most=1)
    result, drawn = run()
    assert (result.kept, drawn, result.notes) == (1, 1, ())
    fresh = draw_keys(
        [tmp_path / "keys"], tmp_path / "fresh", KeySettings(review=False), model=Counter(), workers=1
    ).folder
    assert [(fresh / f"A{k}.png").read_bytes() == (tmp_path / f"out/A{k}.png").read_bytes() for k in (2, 4)] == [
        True
    ] * 2


def test_other_times_are_drawn_again(run):
    run()
    assert run(timing="ease-in")[1] == 2
    assert run(timing="ease-in", on=3)[1] == 0


def test_drawings_changed_by_hand_are_kept_and_said(run, tmp_path):
    run()
    write_image(tmp_path / "out" / "A2.png", draw_scene(40), force=True)
    write_image(tmp_path / "keys/A1.png", draw_scene(2), force=True)
    result, drawn = run()
    assert drawn == 0
    assert "A2.png was changed by hand" in result.notes[0]
    assert (read_image(tmp_path / "out" / "A2.png", 10**6).pixels == draw_scene(40)).all()
    assert run(force=True, resume=False)[1] == 2


def test_drawings_that_are_not_planned_any_more_are_said(run):
    run()
    result, drawn = run(count=0)
    assert (drawn, result.kept) == (0, 0)
    assert result.notes[-1].startswith("A2.png, A4.png: drawn by an earlier call")


def test_without_resume_a_finished_folder_is_left_alone(run):
    run()
    with pytest.raises(UsageError, match="--resume"):
        run(resume=False)


def test_a_damaged_record_is_refused(run, tmp_path):
    run()
    (tmp_path / "out" / "inbetween.json").write_text('{"drawings": 3}', encoding="utf-8")
    with pytest.raises(OSError, match="damaged"):
        run()
