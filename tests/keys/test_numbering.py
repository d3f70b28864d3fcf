from __future__ import annotations

from pathlib import Path

import pytest

from animeinterp.errors import FileError, UsageError
from animeinterp.keys.numbering import find_keys


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def found(tmp_path: Path, *names: str) -> dict[str, list[str]]:
    layers = find_keys([folder_of(tmp_path, *names)]).layers
    return {layer.name: [key.path.name for key in layer.keys] for layer in layers}


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["A10.png", "A9.png", "A1.png"], {"A": ["A1.png", "A9.png", "A10.png"]}),
        (
            ["A0001.png", "B0001.png", "A0005.png", "B0003.png"],
            {"A": ["A0001.png", "A0005.png"], "B": ["B0001.png", "B0003.png"]},
        ),
        (["c01_A_0001.png", "c01_A_0003.png"], {"c01_A": ["c01_A_0001.png", "c01_A_0003.png"]}),
        (["k0001_v2.png", "k0005_v2.png"], {"k v2": ["k0001_v2.png", "k0005_v2.png"]}),
        (
            ["layer1_01.png", "layer1_05.png", "layer2_01.png", "layer2_03.png"],
            {"layer1": ["layer1_01.png", "layer1_05.png"], "layer2": ["layer2_01.png", "layer2_03.png"]},
        ),
        (["A0001.png", "A0005.png", "notes.txt", ".A0003.png"], {"A": ["A0001.png", "A0005.png"]}),
    ],
)
def test_layers_are_told_apart_and_ordered_by_number(tmp_path, names, layers):
    assert found(tmp_path, *names) == layers


def test_files_without_numbers_keep_the_given_order(tmp_path):
    folder_of(tmp_path, "stand.png", "jump.png")
    keys = find_keys([tmp_path / "stand.png", tmp_path / "jump.png"])
    assert [key.path.name for key in keys.layers[0].keys] == ["stand.png", "jump.png"]
    assert "stand.png, jump.png" in keys.notes[0]


def test_a_lone_drawing_is_left_out_and_said(tmp_path):
    keys = find_keys([folder_of(tmp_path, "A1.png", "A5.png", "layout7.png")])
    assert [layer.name for layer in keys.layers] == ["A"]
    assert "layout7.png" in keys.notes[0]


def test_one_number_twice_is_refused(tmp_path):
    with pytest.raises(FileError, match="both have the number 1"):
        find_keys([folder_of(tmp_path, "A01.png", "A1.png", "A3.png")])


def test_fewer_than_two_drawings_are_refused(tmp_path):
    with pytest.raises(UsageError, match="two or more key drawings"):
        find_keys([folder_of(tmp_path, "A1.png")])
