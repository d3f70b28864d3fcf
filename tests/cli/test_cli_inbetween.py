"""The command inbetween, and tween of many times, with a core that blends."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from animeinterp.cli import main
from animeinterp.io.images import read_image, write_image
from conftest import draw_scene
from support.stub import Blender


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """A current folder with keys A1, A3, A5 in it, and a core that blends."""
    monkeypatch.setitem(
        sys.modules, "animeinterp.loading", SimpleNamespace(load_interpolator=lambda *_, **__: Blender())
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    for number in (1, 3, 5):
        write_image(tmp_path / f"keys/A{number}.png", draw_scene(number))
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def test_a_folder_is_drawn_and_continued(keys, capsys):
    call = ["inbetween", "keys", "-o", "out", "--workers", "1", "--timing", "1/4", "--preview", "gif"]
    assert run(*call) == 0
    assert "A: 3 keys, 2 in-betweens" in capsys.readouterr().out
    quarter = np.rint(0.75 * draw_scene(1) + 0.25 * draw_scene(3).astype(np.float32))
    assert np.abs(read_image(keys / "out/A2.png", 10**6).pixels - quarter).max() <= 1
    assert (keys / "out/review/preview.gif").stat().st_size
    assert run(*call) == 2
    assert "--resume" in capsys.readouterr().err
    (keys / "out/A4.png").unlink()
    assert run(*call, "--resume") == 0
    assert "1 in-between drawn, 1 kept" in capsys.readouterr().out


def test_notes_hold_no_control_characters(keys, capsys):
    name = "\x1b[31mlayout7.png" if sys.platform != "win32" else "layout7.png"
    write_image(keys / "keys" / name, draw_scene(0))
    assert run("inbetween", "keys", "-o", "out", "--workers", "1", "--no-review") == 0
    err = capsys.readouterr().err
    assert "layout7.png is the only drawing of its layer" in err
    assert "\x1b[31m" not in err
    assert not (keys / "out/review").exists()


def test_many_times_are_shared_and_named_alike(keys, monkeypatch, capsys):
    monkeypatch.setattr("animeinterp.keys.many_times.is_many", lambda *_: False)
    assert run("tween", "keys/A1.png", "keys/A3.png", "-n", "3", "-o", "few/") == 0
    few = capsys.readouterr().out
    monkeypatch.setattr("animeinterp.keys.many_times.is_many", lambda *_: True)
    assert run("tween", "keys/A1.png", "keys/A3.png", "-n", "3", "-o", "many/", "--workers", "1") == 0
    for path in (keys / "few").iterdir():
        assert (keys / "many" / path.name).read_bytes() == path.read_bytes()
    assert len(list((keys / "many").iterdir())) == 3
    assert capsys.readouterr().out.count("doubtful") == few.count("doubtful") == 3
