"""Assets and animations from untrusted sources: names of other folders, bombs, and text of another kind."""

from __future__ import annotations

import gzip
import json

import pytest
import torch

from animeinterp.data.lottie import open_animation
from animeinterp.data.synthetic.assets import load_assets
from animeinterp.errors import FileError


@pytest.mark.parametrize("name", ["../sprites/a.png", "/etc/a.png", "x/../../a.png", "sprites\\a.png", ""])
def test_assets_in_other_folders_are_refused(tmp_path, name):
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": name}]))
    with pytest.raises(FileError, match="expected plain names"):
        load_assets(tmp_path, 64, 1, 0, torch.device("cpu"))


@pytest.mark.parametrize("text", ["[5]", "5", "[" * 100_000, '[{"files": 1}]', "null"])
def test_an_invalid_manifest_is_a_one_line_error(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FileError, match="list of records"):
        load_assets(tmp_path, 64, 1, 0, torch.device("cpu"))


@pytest.mark.parametrize("data", [bytes(40 << 20), b"[" * 100_000, b"NaN", b"\xff", b""])
def test_invalid_animations_are_one_line_errors(tmp_path, data):
    pytest.importorskip("rlottie_python")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(data))
    with pytest.raises(FileError, match="Lottie animation"):
        open_animation(tmp_path / "a.json.gz")
