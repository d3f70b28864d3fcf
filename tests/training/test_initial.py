"""Initial weights: of a changed network, and of the public flow network for a part with more inputs."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from animeinterp.errors import WeightsError, WeightsWarning
from animeinterp.training.initial import flow_weights, load_initial, load_public_flow
from animeinterp.training.train import CHECKPOINT, train
from support.training_stub import Squares, Tiny, tiny, tiny_config


class Block(nn.Module):
    """The first layers of a block of the flow network, in its naming."""

    def __init__(self, channels_in: int, channels: int = 4) -> None:
        super().__init__()
        first = nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1))
        self.conv0 = nn.Sequential(first, nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1)))

    def forward(self, x):
        return self.conv0(x)


class Flowing(Tiny):
    def __init__(self, channels_in: int = 9, channels: int = 4) -> None:
        super().__init__()
        self.intermediate = nn.ModuleDict({"block0": Block(channels_in, channels)})


@pytest.fixture
def public(tmp_path) -> tuple[Block, Path]:
    """A block with 7 inputs, and the file that holds it among other networks."""
    torch.manual_seed(1)
    block = Block(7)
    tensors = {f"ifnet.block0.{name}": value for name, value in block.state_dict().items()}
    path = tmp_path / "studio.safetensors"
    save_file({**tensors, "fusionnet.weight": torch.ones(1)}, path)
    return block, path


def test_a_network_with_more_inputs_begins_as_the_public_one(public):
    block, path = public
    network = Flowing()
    before = network.matching.weight.clone()
    load_public_flow(network, path)
    inputs = torch.rand(1, 9, 8, 8)
    torch.testing.assert_close(network.intermediate["block0"](inputs), block(inputs[:, :7]))
    assert not network.intermediate["block0"].conv0[0][0].weight[:, 7:].any()
    assert torch.equal(network.matching.weight, before)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (tiny(), "has none; leave it out"),
        (Flowing(channels_in=6), "block0.conv0.0.0.weight"),
        (Flowing(channels=5), "of another shape"),
    ],
)
def test_another_flow_network_is_refused(public, network, message):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_public_flow(network, public[1])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_file_without_a_flow_network_is_refused(tmp_path):
    save_file(dict(tiny().state_dict()), tmp_path / "tiny.safetensors")
    with pytest.raises(WeightsError, match="expected the weights of studio"):
        load_public_flow(Flowing(), tmp_path / "tiny.safetensors")


def test_the_installed_weights_are_named_studio(tmp_path, monkeypatch):
    monkeypatch.setattr("animeinterp.weights.locations.studio_weights", lambda: tmp_path / "none")
    with pytest.raises(WeightsError, match="weights get studio"):
        flow_weights("studio")
    config = tiny_config(tmp_path, init_flow="studio")
    assert config.init_flow == "studio"
    assert Path(tiny_config(tmp_path, init_flow="a/studio").init_flow) == tmp_path / "a" / "studio"


def test_weights_of_a_changed_network_are_loaded_in_part(tmp_path):
    old = {name: value.clone() for name, value in tiny().state_dict().items()}
    del old["spare.bias"]
    old["synthesis.bias"] = torch.ones(5)
    old["former.weight"] = torch.ones(2)
    path = tmp_path / "old.safetensors"
    save_file(old, path)
    network = Tiny()
    kept = network.synthesis.bias.clone()
    config = tiny_config(tmp_path, init_from=str(path), init_partial=True)
    with pytest.warns(WeightsWarning, match=r"missing: spare.bias.*unexpected: former.weight.*shape: synthesis.bias"):
        load_initial(network, config)
    assert torch.equal(network.matching.weight, old["matching.weight"])
    assert torch.equal(network.synthesis.bias, kept)
    with pytest.raises(WeightsError, match=r"1 missing: spare\.bias"):
        load_initial(network, tiny_config(tmp_path, init_from=str(path)))
    save_file({"other": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match="shares no tensor"):
        load_initial(network, config)


def test_a_run_starts_from_both_files_and_resumes_without_them(public, tmp_path):
    block, path = public
    start = tmp_path / "start.safetensors"
    save_file({name: torch.full_like(value, 0.25) for name, value in Flowing().state_dict().items()}, start)
    config = tiny_config(tmp_path / "run", init_from=str(start), init_flow=str(path), init_partial=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint = train(config, minutes=0, network=Flowing(), sources=[(Squares(), 1.0)])
    started = torch.load(checkpoint, weights_only=True)["network"]
    assert (started["matching.weight"] == 0.25).all()
    assert torch.equal(started["intermediate.block0.conv0.1.0.bias"], block.conv0[1][0].bias)
    path.unlink()
    start.unlink()
    train(config, tmp_path / "run" / CHECKPOINT, minutes=0, network=Flowing(), sources=[(Squares(), 1.0)])
