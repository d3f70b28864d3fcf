"""From a data set to weights by the command line: crops, a sheet of them, a short run, the weights."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from animeinterp.cli import main
from animeinterp.data.recognition import recognize
from animeinterp.data.sources import open_samples
from animeinterp.errors import FileError, MissingExtraError, UsageError
from animeinterp.io.images import read_image
from animeinterp.training.log import TrainingProgress
from conftest import draw_scene

RUN = """
name = "tiny"
folder = "run"
steps = 2
batch = 1
size = 32
workers = 0
device = "cpu"
log_every = 1
[[source]]
kind = "crops"
path = "crops"
"""


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments)])
    return left.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a data set of two triplets."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        place = tmp_path / "set" / name
        place.mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(place / f"frame{number}.png"), draw_scene(4 * number, (128, 80))[..., ::-1])
    return tmp_path


def test_from_a_data_set_to_weights(folder, capsys):
    assert run("dataset", "crops", "set", "-o", "crops", "-n", 3, "--size", 48) == 0
    assert [path.name for path in (folder / "crops").iterdir()] == ["00000.safetensors"]
    assert run("dataset", "crops", "set", "-o", "crops", "-n", 3, "--size", 48) == 0
    assert "0 of 1 files written" in capsys.readouterr().out
    assert run("dataset", "preview", "crops", "-o", "sheet.png", "-n", 2, "--size", 48) == 0
    (folder / "tiny.toml").write_text(RUN)
    assert run("train", "--config", "tiny.toml", "--minutes", 5) == 0
    assert (folder / "run" / "last.pt").is_file()
    streams = capsys.readouterr()
    assert "checkpoint" in streams.out
    assert streams.err == "", "no bar where there is no terminal"
    assert run("weights", "export", "run/last.pt", "-o", "w.safetensors") == 0
    assert "tiny after 2 steps" in capsys.readouterr().out
    assert run("weights", "export", "run/last.pt", "-o", "w.safetensors") == 2
    assert "--force" in capsys.readouterr().err


def test_a_sheet_of_triplets(folder):
    assert run("dataset", "preview", "set", "-o", "sheet.png", "-n", 2, "--size", 64, "--seed", 3) == 0
    assert read_image(folder / "sheet.png", 10**7).pixels.shape[0] > 2 * 64
    assert run("dataset", "preview", "set", "-o", "sheet.png") == 2


def test_samples_of_triplets_are_cut_from_the_frames(folder):
    samples = open_samples(folder / "set", "atd12k", 64).samples(3, seed=1)
    assert samples.truth.shape == (3, 3, 64, 64)
    assert samples.coarse01.shape == samples.flow10.shape == (3, 2, 64, 64)
    assert samples.confidence0.shape == samples.known1.shape == (3, 1, 64, 64)
    assert samples.known0.mean() > 0.5, "what the middle frame tells"
    whole = draw_scene(8, (128, 80))
    crop = np.rint(samples.truth[0].permute(1, 2, 0).numpy() * 255)
    found = [(y, x) for y in range(17) for x in range(65) if np.array_equal(crop, whole[y : y + 64, x : x + 64])]
    assert len(found) == 1


def test_samples_without_motion_are_refused(folder):
    for path in (folder / "set").rglob("*.png"):
        cv2.imwrite(str(path), draw_scene(0, (128, 80)))
    with pytest.raises(UsageError, match="hardly anything moves"):
        open_samples(folder / "set", "atd12k", 64).samples(1, seed=0)


def test_folders_are_recognized(folder):
    for file in ("crops/00000.safetensors", "assets/sprites/a.webp", "lottie/some/one.json.gz", "figures/a.glb"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    kinds = {name: recognize(folder / name) for name in ("crops", "assets", "set", "lottie", "figures")}
    expected = {"crops": "crops", "assets": "scenes", "set": "atd12k", "lottie": "vector", "figures": "characters"}
    assert kinds == expected
    assert recognize(folder / "set", "vector") == "vector"
    with pytest.raises(UsageError, match="expected a kind out of crops"):
        recognize(folder / "set", "films")
    with pytest.raises(UsageError, match="cannot tell what"):
        recognize(folder / "set" / "a")
    with pytest.raises(FileError, match="is not a folder"):
        recognize(folder / "nowhere")


def test_crops_need_triplets(folder, capsys):
    (folder / "assets" / "sprites").mkdir(parents=True)
    (folder / "store").mkdir()
    (folder / "store" / "00000.safetensors").touch()
    assert run("dataset", "crops", "store", "-o", "crops", "-n", 1) == 2
    assert "expected triplets" in capsys.readouterr().err
    assert run("dataset", "crops", "set", "-o", "crops", "-n", 1, "--backgrounds", "assets") == 2
    assert not (folder / "crops").exists()


def test_crops_are_labeled_at_several_times(folder):
    call = ("dataset", "crops", "set", "-o", "crops", "-n", 3, "--size", 48, "--label", "classical")
    assert run(*call, "--times", 0) == 2
    assert not (folder / "crops").exists()
    assert run(*call, "--times", 2) == 0
    times = load_file(folder / "crops" / "00000.safetensors")["t"]
    assert ((times[::2] < 0.5) & (times[1::2] > 0.5)).all()


def test_a_missing_extra_names_its_command(folder, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise MissingExtraError("drawing needs rlottie-python; run: pip install 'animeinterp[train]'")

    monkeypatch.setattr("animeinterp.data.vector.generate_triplets", fail)
    (folder / "one.json.gz").touch()
    assert run("dataset", "preview", ".", "--kind", "vector", "-o", "sheet.png") == 1
    assert "pip install 'animeinterp[train]'" in capsys.readouterr().err


def test_options_reach_training(folder, monkeypatch, capsys):
    received = {}

    def train(config, resume, minutes, report, force):
        received.update(config=config, resume=resume, minutes=minutes)
        report(TrainingProgress(1, 2, 0.5, {}, 1e-3, 1.0, 3.0, 1.0))
        return folder / "last.pt"

    monkeypatch.setitem(sys.modules, "animeinterp.training.train", SimpleNamespace(train=train))
    (folder / "tiny.toml").write_text(RUN)
    torch.save({}, folder / "old.pt")
    (folder / "crops").mkdir()
    (folder / "crops" / "00000.safetensors").touch()
    options = ("--resume", "old.pt", "--minutes", 2.5, "--out", "elsewhere")
    assert run("train", "--config", "tiny.toml", *options) == 0
    assert (str(received["resume"]), received["minutes"], received["config"].folder) == (
        "old.pt",
        2.5,
        "elsewhere",
    )
    monkeypatch.setenv("RANK", "1")
    capsys.readouterr()
    assert run("train", "--config", "tiny.toml") == 0
    assert received["config"].folder == str(folder / "run")
    assert capsys.readouterr().out == "", "only the first process prints"
