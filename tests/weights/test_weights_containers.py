"""Weights from untrusted sources: bombs, false declarations, error pages, and nested checkpoints."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from animeinterp.errors import AnimeInterpError, FileError, UsageError, WeightsError
from animeinterp.training.checkpoint import export
from animeinterp.training.train import train
from animeinterp.weights.containers import check_container
from animeinterp.weights.loading import load_weights, read_state_dict
from support.training_stub import Squares, tiny, tiny_config


@pytest.fixture
def state():
    return nn.Linear(3, 4).state_dict()


def test_the_content_decides_not_the_suffix(state, tmp_path):
    torch.save(state, tmp_path / "a.safetensors")
    save_file(state, tmp_path / "a.pth")
    assert check_container(tmp_path / "a.safetensors") == "torch"
    assert check_container(tmp_path / "a.pth") == "safetensors"
    for name in ("a.safetensors", "a.pth"):
        assert read_state_dict(tmp_path / name).keys() == state.keys()


def repacked(source: Path, target: Path, **changes: bytes) -> None:
    """Compress a PyTorch file and replace the entries of these base names."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for entry in old.infolist():
            ending = entry.filename.rpartition("/")[2].replace(".", "_")
            new.writestr(entry.filename, changes.get(ending, old.read(entry)))


@pytest.mark.parametrize("entry", ["data_pkl", "version", "0"])
def test_a_small_file_that_unpacks_to_much_is_refused_unread(state, tmp_path, entry):
    torch.save(state, tmp_path / "a.pth")
    repacked(tmp_path / "a.pth", tmp_path / "bomb.pth", **{entry: bytes(40 << 20)})
    assert (tmp_path / "bomb.pth").stat().st_size < 100_000
    with pytest.raises(WeightsError, match=r"would unpack to 4\d,\d{3},\d{3}"):
        check_container(tmp_path / "bomb.pth")


def test_weights_that_were_compressed_again_are_read(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    repacked(tmp_path / "a.pth", tmp_path / "b.pth")
    assert read_state_dict(tmp_path / "b.pth").keys() == state.keys()


class Greedy:
    def __reduce__(self):
        return bytearray, (1 << 40,)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_allocates_memory_is_refused(tmp_path, new):
    torch.save({"a": Greedy()}, tmp_path / "greedy.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match=r"refused: it calls .*bytearray"):
        read_state_dict(tmp_path / "greedy.pth")


def declared(header: bytes) -> bytes:
    """Make a safetensors file with this header and 8 bytes of numbers."""
    return struct.pack("<Q", 200) + header.ljust(200) + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 0) + b"{",
        struct.pack("<Q", 200)
        + b'{"a":{"dtype":"F32","shape":[1099511627776,2],"data_offsets":[0,8]}}'.ljust(200)
        + bytes(8),
        declared(b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}'),
        struct.pack("<Q", 9000) + (b'{"a":' + b"[" * 8000).ljust(9000) + bytes(8),
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"PK\x03\x04" + bytes(3000),
        b"\x80\x02" + b"(" * 3000,
        b"",
        b"\x93NUMPY",
    ],
)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_false_declarations_and_other_files_are_one_line_errors(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("byte", range(0, 400, 7))
def test_every_damaged_byte_is_refused_or_harmless(state, tmp_path, byte):
    for save, name in ((torch.save, "a.pth"), (save_file, "a.safetensors")):
        save(state, tmp_path / name)
        content = bytearray((tmp_path / name).read_bytes())
        content[byte % len(content)] ^= 0x55
        (tmp_path / name).write_bytes(content)
        with suppress(AnimeInterpError):
            load_weights(nn.Linear(3, 4), tmp_path / name, "small")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
        lambda s: {"model": s, "args": [1]},
        lambda s: {"params": {k: torch.zeros_like(v) for k, v in s.items()}, "params_ema": s},
        lambda s: {"model": {"state_dict": {f"module.{k}": v for k, v in s.items()}}},
        lambda s: {f"module.module._orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"generator.{k}": v for k, v in s.items()}},
    ],
)
def test_nested_checkpoints_are_unwrapped(state, tmp_path, wrap):
    torch.save(wrap(state), tmp_path / "a.ckpt")
    target = nn.Linear(3, 4)
    load_weights(target, tmp_path / "a.ckpt", "small")
    assert torch.equal(target.weight, state["weight"])


def test_the_entries_of_another_checkpoint_are_listed(tmp_path):
    torch.save({"epoch": 3, "lr": [1.0], "x" * 500: {"deep": {}}}, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match=r"3 of its 3 entries are not tensors: epoch \(int\), lr \(list\)") as caught:
        read_state_dict(tmp_path / "a.ckpt")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "odd",
    [
        torch.zeros(4, 3).to_sparse(),
        torch.zeros(4, 3, device="meta"),
        torch.zeros(4, 3, dtype=torch.complex64),
    ],
)
def test_tensors_that_cannot_be_copied_are_refused(tmp_path, odd):
    torch.save({"weight": odd, "bias": torch.zeros(4)}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="not tensors"):
        load_weights(nn.Linear(3, 4), tmp_path / "odd.pth", "small")


@pytest.fixture
def checkpoint(tmp_path):
    return train(tiny_config(tmp_path / "run", steps=1), network=tiny(), sources=[(Squares(), 1.0)])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_exported_weights_follow_the_umask(checkpoint, tmp_path):
    before = os.umask(0o027)
    try:
        export(checkpoint, tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o640
    with pytest.raises(UsageError, match="--force"):
        export(checkpoint, tmp_path / "w.safetensors")
    export(checkpoint, tmp_path / "w.safetensors", force=True)


def test_a_checkpoint_that_declares_more_than_it_holds_is_refused(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["average"]["first"] = torch.zeros(1).expand(1 << 40)
    torch.save(content, tmp_path / "huge.pt")
    with pytest.raises(WeightsError, match="bytes of weights; expected"):
        export(tmp_path / "huge.pt", tmp_path / "w.safetensors")


@pytest.mark.parametrize("key", ["config", "step", "seconds", "network", "average", "optimizer"])
@pytest.mark.parametrize("value", [None, "x", -1, {"a": 5}])
def test_a_damaged_checkpoint_is_refused_or_harmless(checkpoint, tmp_path, key, value):
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, key: value}, tmp_path / "odd.pt")
    with suppress(AnimeInterpError):
        export(tmp_path / "odd.pt", tmp_path / "w.safetensors")
    config, source = tiny_config(tmp_path / "run", steps=2), [(Squares(), 1.0)]
    with suppress(AnimeInterpError):
        train(config, tmp_path / "odd.pt", network=tiny(), sources=source)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_full_disk_is_named_and_leaves_nothing(checkpoint, tmp_path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "from animeinterp.cli import main; main(sys.argv[1:])"
    )
    before = sorted(tmp_path.rglob("*"))
    arguments = ["weights", "export", str(checkpoint), "-o", str(tmp_path / "w.safetensors")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "File too large" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pickle_of_something_else_is_not_a_checkpoint(tmp_path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"format": 1}))
    with pytest.raises(WeightsError):
        export(tmp_path / "a.pt", tmp_path / "w.safetensors")
    with pytest.raises(FileError, match="is a folder"):
        export(tmp_path, tmp_path / "w.safetensors")
