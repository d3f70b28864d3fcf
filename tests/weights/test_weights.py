from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from animeinterp.config import PAPER
from animeinterp.errors import AnimeInterpError, FileError, WeightsError
from animeinterp.loading import load_interpolator
from animeinterp.metrics.lpips_jax import read_vgg16
from animeinterp.net.cel.model import Cel
from animeinterp.net.paper.model import AnimeInterp
from animeinterp.weights import available_models, shipped_weights
from animeinterp.weights.loading import load_weights


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def published(state: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"epoch": 49, "model_state_dict": {"module." + name: value for name, value in state.items()}}


SAVERS: dict[str, Callable[[dict[str, torch.Tensor], Path], None]] = {
    "plain.pth": torch.save,
    "published.ckpt": lambda state, path: torch.save(published(state), path),
    "tensors.safetensors": save_file,
    "old.pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("name", SAVERS)
def test_each_layout_is_read(name: str, tmp_path: Path) -> None:
    source, target = Small(), Small()
    SAVERS[name](source.state_dict(), tmp_path / name)
    assert not same(source, target)
    load_weights(target, tmp_path / name, "small")
    assert same(source, target)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_become_the_models_type(dtype: torch.dtype, tmp_path: Path) -> None:
    source, target = Small().to(dtype), Small()
    save_file(source.state_dict(), tmp_path / "half.safetensors")
    load_weights(target, tmp_path / "half.safetensors", "small")
    assert target.first.weight.dtype == torch.float32
    assert same(source.float(), target)


def test_the_published_network_is_loaded(tmp_path: Path) -> None:
    source, target = AnimeInterp(PAPER.network), AnimeInterp(PAPER.network)
    torch.save(published(source.state_dict()), tmp_path / "anime_interp_full.ckpt")
    load_weights(target, tmp_path / "anime_interp_full.ckpt", "paper")
    assert same(source, target)


def refused(path: Path, error: type[AnimeInterpError] = WeightsError) -> str:
    target = Small()
    before = [p.clone() for p in target.parameters()]
    with pytest.raises(error) as caught:
        load_weights(target, path, "small")
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert all(torch.equal(x, y) for x, y in zip(before, target.parameters(), strict=True))
    return message


def test_names_and_shapes_that_do_not_match_are_listed(tmp_path: Path) -> None:
    state = Small().state_dict()
    del state["first.bias"]
    state |= {f"extra.{i}": torch.zeros(1) for i in range(5)}
    state["second.weight"] = torch.zeros(2, 5)
    torch.save(state, tmp_path / "other.pth")
    message = refused(tmp_path / "other.pth")
    assert "expected 4 tensors, found 8; 1 missing: first.bias (4,);" in message
    assert "5 unexpected: extra.0 (1,), extra.1 (1,), extra.2 (1,) and 2 more;" in message
    assert "second.weight (2, 5) for (2, 4)" in message


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(3, 8, 3).state_dict(), tmp_path / "foreign.pth")
    assert "4 missing: first.bias (4,), first.weight (4, 3), second.bias (2,) and 1 more" in refused(
        tmp_path / "foreign.pth"
    )


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("save", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x))])
def test_a_pickle_that_would_run_something_is_refused(save: Callable[[object, Path], None], tmp_path: Path) -> None:
    state = Small().state_dict() | {"trap": Malicious(tmp_path / "victim")}
    save(state, tmp_path / "evil.ckpt")
    assert "refused" in refused(tmp_path / "evil.ckpt")
    with pytest.raises(WeightsError):
        read_vgg16(tmp_path / "evil.ckpt")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(name: str, fraction: float, tmp_path: Path) -> None:
    SAVERS[name](Small().state_dict(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(fraction * len(content))])
    refused(tmp_path / name)


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors", "noise.ckpt"])
def test_a_file_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(5000))
    refused(tmp_path / name)


@pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(3), {"first.bias": 3}, {"model_state_dict": {}}, None])
def test_a_file_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    refused(tmp_path / "odd.pth")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = Small().state_dict()
    state["second.bias"] = torch.tensor([0.0, float("nan")])
    torch.save(state, tmp_path / "nan.pth")
    assert "not finite in second.bias" in refused(tmp_path / "nan.pth")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    assert "found nothing" in refused(tmp_path / "none.pth", FileError)
    (tmp_path / "folder.pth").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.pth", FileError)


def flax_vgg16() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    layers = {
        f"Conv_{i}": {"kernel": np.full((3, 3, a, b), i, np.float32), "bias": np.zeros(b, np.float32)}
        for i, (a, b) in enumerate(pairwise(widths))
    }
    return {"VGG16_0": layers}


def test_the_flax_pickle_becomes_torchvisions_layout(tmp_path: Path) -> None:
    content = flax_vgg16()
    content["VGG16_0"]["Conv_0"]["kernel"] = np.arange(1728, dtype=np.float32).reshape(3, 3, 3, 64)
    (tmp_path / "vgg16.ckpt").write_bytes(pickle.dumps(content))
    state = read_vgg16(tmp_path / "vgg16.ckpt")
    assert len(state) == 26
    assert state["features.28.weight"].unique().tolist() == [12]
    assert state["features.0.weight"].shape == (64, 3, 3, 3)
    assert state["features.0.weight"][5, 2, 1, 0] == content["VGG16_0"]["Conv_0"]["kernel"][1, 0, 2, 5]

    del content["VGG16_0"]["Conv_7"]
    (tmp_path / "vgg16.ckpt").write_bytes(pickle.dumps(content))
    with pytest.raises(WeightsError, match="Conv_7"):
        read_vgg16(tmp_path / "vgg16.ckpt")
    with pytest.raises(FileError):
        read_vgg16(tmp_path / "none.ckpt")


def test_models_are_listed_without_torch() -> None:
    code = "import sys, animeinterp.weights as w; w.available_models(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "model", [model for model in available_models() if model.shipped], ids=lambda model: model.name
)
def test_shipped_weights_are_those_of_their_record(model) -> None:
    path = shipped_weights(model.name)
    assert path is not None
    assert path.stat().st_size == model.size <= 16 * 10**6
    assert hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
    frames = [np.full((32, 48, 3), 200, np.uint8) for _ in "ab"]
    frames[0][8:24, 8:24] = frames[1][8:24, 16:32] = 30
    drawn = load_interpolator(model.name, "cpu")(*frames, 0.5)
    assert np.abs(drawn[:, 12:28].astype(int)[8:24].mean() - 30) < 25, "the square stands in the middle"


def test_a_flipped_byte_of_shipped_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest bit of one weight: only the SHA-256 shows it."""
    shipped = shipped_weights("cel")
    assert shipped is not None
    monkeypatch.setattr("animeinterp.weights.records.FOLDER", tmp_path)
    content = bytearray(shipped.read_bytes())
    (tmp_path / shipped.name).write_bytes(content)
    load_interpolator("cel", "cpu")
    content[-2] ^= 1
    (tmp_path / shipped.name).write_bytes(content)
    for preset in ("cel", "cel-fast"):
        with pytest.raises(WeightsError, match=r"cel\.safetensors is not the file .*; install animeinterp again"):
            load_interpolator(preset, "cpu")
    changed = (tmp_path / shipped.name).rename(tmp_path / "mine.safetensors")
    load_interpolator("cel", "cpu", weights=changed)


def test_shipped_weights_come_with_the_notices_of_what_they_were_trained_from() -> None:
    text = (shipped_weights("cel") or Path()).with_name("cel-NOTICES.txt").read_text(encoding="utf-8")
    for line in ("Copyright (c) 2021 hzwer", "Copyright (c) 2023 HolyWu", "github.com/hzwer/Practical-RIFE"):
        assert line in text
    assert "Permission is hereby granted, free of charge" in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text
    parts = {name.partition(".")[0] for name in Cel().state_dict()}
    assert parts == {"intermediate"}, "the notice says that all of it is RIFE's"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "animeinterp/weights/cel-NOTICES.txt" in project["license-files"]


def test_every_record_names_a_license_and_the_kind_of_its_scores() -> None:
    models = available_models()
    assert {"classical", "paper"} <= {model.name for model in models}
    assert len({model.name for model in models}) == len(models)
    for model in models:
        assert model.summary
        assert model.license
        assert model.training_data
        assert not model.shipped or (model.sha256 and model.size)
    paper = next(model for model in models if model.name == "paper")
    assert {score.source for score in paper.scores} == {"published"}
    assert max(score.value for score in paper.scores) == 29.68
