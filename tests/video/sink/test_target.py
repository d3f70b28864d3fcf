"""Invalid targets of `animeinterp video`, and the default target without -o."""

from __future__ import annotations

from pathlib import Path

import pytest

from animeinterp.cli import main
from animeinterp.io.images import write_image
from animeinterp.video.film_list import default_target
from support.films import figure, make_film


def call(capsys, *arguments) -> tuple[int, str]:
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, arguments)))
    return exit_.value.code, capsys.readouterr().err


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_streams_are_refused(target, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "a.mkv", [figure(k) for k in range(3)])
    for call_ in (["video", "a.mkv"], ["video", "a.mkv", "--force"], ["demo"], ["dataset", "build", "a.mkv"]):
        code, message = call(capsys, *call_, "-o", target)
        assert (code, message.count("\n")) == (2, 1)
        assert (
            "data set" in message or f"cannot write to {target}: pipes and standard output are not supported" in message
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize(
    "name", ["seq_%04d.png", "seq_%d.png", "seq_####.png", "seq_*.png", "seq_{:04d}.png", "seq_%3d.mkv"]
)
def test_patterns_are_refused_with_advice(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "a.mkv", [figure(k) for k in range(3)])
    code, message = call(capsys, "video", "a.mkv", "-o", name)
    assert code == 2
    assert "is a pattern of names; frames are numbered automatically in a folder" in message
    assert message.rstrip().endswith("as seq")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_tween_numbers_its_frames(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", figure(0))
    code, message = call(capsys, "tween", "a.png", "b.png", "-n", 2, "-o", "mid_%02d.png")
    assert code == 2
    assert "numbered by themselves, so leave the number out" in message


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("in.mp4", "in_smooth.mp4"),
        ("in.MOV", "in_smooth.MOV"),
        ("in.avi", "in_smooth.mkv"),
        ("in.ts", "in_smooth.mkv"),
        ("in", "in_smooth.mkv"),
        ("in.v2.m2ts", "in.v2_smooth.mkv"),
        ("shot", "shot_smooth"),
        ("shot.v2", "shot_v2_smooth"),
    ],
)
def test_the_default_target_can_be_written(source, target, tmp_path):
    if source.startswith("shot"):
        (tmp_path / source).mkdir()
    assert default_target(tmp_path / source) == tmp_path / target


@pytest.mark.parametrize("source", [".", "../shot"])
def test_the_current_folder_has_a_name(source, tmp_path, monkeypatch):
    (tmp_path / "shot").mkdir()
    monkeypatch.chdir(tmp_path / "shot")
    assert default_target(Path(source)).resolve() == tmp_path / "shot_smooth"


def test_the_message_of_a_limit_names_an_option_of_video(tmp_path, capsys):
    for number in range(2):
        write_image(tmp_path / f"{number}.png", figure(number))
    code, message = call(capsys, "video", tmp_path, "-o", tmp_path / "a.mkv", "--max-pixels", 6143)
    assert code == 2
    assert "raise max_pixels (--max-pixels of" in message
    assert (
        call(capsys, "video", tmp_path, "-o", tmp_path / "a.mkv", "--max-pixels", 6144, "--model", "classical")[0] == 0
    )
