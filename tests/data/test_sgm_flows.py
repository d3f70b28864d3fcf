"""SGM flows on disk: the published layout, independence of the number of workers, and errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from animeinterp.cli import main
from animeinterp.data.atd12k import list_triplets
from animeinterp.data.layout import flows_folder
from animeinterp.data.sgm_flows import FlowSettings, compute_flows, write_flows
from animeinterp.errors import UsageError
from conftest import draw_scene

SHIFT = 6  # px from frame 1 to frame 3
NAMES = ("guide_flo13.npy", "guide_flo31.npy")


def make_set(folder: Path, names: str = "ab") -> Path:
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for frame in (1, 2, 3):
            frame_image = draw_scene(number + (frame - 1) * SHIFT // 2, (144, 96))
            cv2.imwrite(str(folder / name / f"frame{frame}.png"), frame_image[..., ::-1])
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as exit_info:
        main([*map(str, arguments)])
    return exit_info.value.code


def test_files_are_as_published_and_point_from_frame_1_to_frame_3(tmp_path):
    data = make_set(tmp_path / "test_2k_540p")
    assert run("dataset", "flows", data) == 0
    forward, backward = (np.load(tmp_path / "test_2k_pre_calc_sgm_flows" / "a" / name) for name in NAMES)
    assert forward.shape == backward.shape == (2, 96, 144)
    assert forward.dtype == backward.dtype == np.float32
    box = np.s_[28:44, 80:92]  # inside the moving box in both frames
    np.testing.assert_allclose(forward[0][box].mean(), SHIFT, atol=0.5)
    np.testing.assert_allclose(backward[0][box].mean(), -SHIFT, atol=0.5)
    np.testing.assert_allclose(forward[1][box].mean(), 0, atol=0.5)


def test_workers_do_not_change_the_flows(tmp_path):
    files = list_triplets(make_set(tmp_path / "set", "abc"))
    for workers in (1, 2):
        assert [done.written for done in write_flows(files, tmp_path / str(workers), workers=workers)] == [True] * 3
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert len(content(tmp_path / "1")) == 6


def test_existing_flows_are_kept_and_temporary_files_removed(tmp_path):
    files, target = list_triplets(make_set(tmp_path / "set")), tmp_path / "flows"
    assert [done.written for done in write_flows(files[:1], target)] == [True]
    (target / ".0123456789abcdef.part").mkdir()
    (target / "a" / NAMES[0]).write_bytes(b"existing")
    assert [done.written for done in write_flows(files, target)] == [False, True]
    assert (target / "a" / NAMES[0]).read_bytes() == b"existing"
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"]


def test_a_damaged_triplet_is_listed_and_the_others_are_written(tmp_path, capsys):
    data = make_set(tmp_path / "set")
    (data / "a" / "frame3.png").write_bytes(b"not an image")
    assert run("dataset", "flows", data, "--deformation", "quick") == 1
    output = capsys.readouterr()
    assert "1 written" in output.out
    assert "skipped a: " in output.err
    assert "1 of 2 triplets" in output.err
    assert sorted(path.name for path in flows_folder(data).iterdir()) == ["b"]


def test_flows_of_other_settings_are_not_mixed(tmp_path):
    files = list_triplets(make_set(tmp_path / "set", "a"))
    list(write_flows(files, tmp_path / "flows"))
    with pytest.raises(UsageError, match="other settings"):
        list(write_flows(files, tmp_path / "flows", FlowSettings("quick")))
    (tmp_path / "published" / "a").mkdir(parents=True)
    with pytest.raises(UsageError, match="other things"):
        list(write_flows(files, tmp_path / "published"))


def test_the_published_deformation_is_the_default():
    frames = draw_scene(0, (144, 96)), cv2.resize(draw_scene(SHIFT, (144, 96))[:, 10:], (144, 96))
    flows = {name: compute_flows(*frames, FlowSettings(name))[0] for name in ("published", "quick")}
    assert np.array_equal(compute_flows(*frames, FlowSettings())[0], flows["published"])
    assert not np.array_equal(flows["published"], flows["quick"])
