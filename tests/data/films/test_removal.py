"""A data set from an untrusted source cannot cause anything but triplets to be deleted."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest

from animeinterp.data.films.build import build, prune
from animeinterp.data.films.select import BuildOptions
from animeinterp.data.layout import annotations_folder, flows_folder, manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import lock_folder


def write_manifest(folder, triplets, **more):
    film = {"file": "a.mkv", "fingerprint": "x", "finished": True, "triplets": triplets}
    content = {"kind": "animeinterp triplets 1", "options": {}, "films": {"a": film}, "rejected": []}
    manifest_path(folder).write_text(json.dumps({**content, **more}))


def write_triplet(folder, name):
    for place, files in (
        (folder, ("frame1.png", "frame2.png", "frame3.png")),
        (annotations_folder(folder), (f"{name}.json", f"{name}.jpg")),
        (flows_folder(folder), ("guide_flo13.npy", "guide_flo31.npy")),
    ):
        (place / name).mkdir(parents=True)
        for file in files:
            (place / name / file).touch()


@pytest.fixture
def mine(tmp_path):
    """A data set of one triplet, beside a folder that must not be touched."""
    (tmp_path / "precious" / "photos").mkdir(parents=True)
    (tmp_path / "precious" / "photos" / "a.jpg").touch()
    folder = tmp_path / "mine"
    write_triplet(folder, "a_000000")
    write_manifest(folder, ["a_000000"])
    return folder


def everything(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))


def listed(tmp_path, *names):
    path = tmp_path / "rejected.txt"
    path.write_text("\n".join(names), encoding="utf-8")
    return path


def test_only_the_triplet_is_deleted(mine, tmp_path):
    before = everything(tmp_path)
    assert prune(mine, listed(tmp_path, "a_000000")) == 1
    gone = [name for name in before if "a_000000" in name]
    assert len(gone) == 10
    assert set(before) - set(gone) <= set(everything(tmp_path))


@pytest.mark.parametrize("where", ["triplets", "rejected", "films"])
@pytest.mark.parametrize(
    "name", ["../precious", "{tmp}/precious", ".", "..", "", "a/../../precious", "..\\precious", "C:precious", "a\x00"]
)
def test_names_that_lead_to_other_folders_are_refused(mine, tmp_path, name, where):
    name = name.replace("{tmp}", str(tmp_path))
    more = {"triplets": {}, "rejected": {"rejected": [name]}}
    more["films"] = {"films": {name: {"file": "a", "fingerprint": "x", "triplets": []}}}
    write_manifest(mine, ["a_000000", *([name] if where == "triplets" else [])], **more[where])
    rejected = listed(tmp_path, "a_000000", name)
    before = everything(tmp_path)
    with pytest.raises(FileError, match="expected plain names"):
        prune(mine, rejected)
    with pytest.raises(FileError, match="expected plain names"):
        build([], mine, BuildOptions(), force=True)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("place", ["mine", "mine_annotations", "mine_pre_calc_sgm_flows"])
@pytest.mark.parametrize("strange", ["letter.txt", "frame1.png/deeper.txt", "a_000000.json.bak", "frame4.png"])
def test_folders_with_other_files_are_not_changed(mine, tmp_path, place, strange):
    if strange.startswith("frame1.png") and place == "mine":
        (mine / "a_000000" / "frame1.png").unlink()
    path = tmp_path / place / "a_000000" / strange
    path.parent.mkdir(exist_ok=True)
    path.touch()
    before = everything(tmp_path)
    manifest = manifest_path(mine).read_bytes()
    rejected = listed(tmp_path, "a_000000")
    with pytest.raises(UsageError, match="is not part of a triplet"):
        prune(mine, rejected)
    with pytest.raises(UsageError, match="is not part of a triplet"):
        build([], mine, BuildOptions(), force=True)
    rejected.unlink()
    assert everything(tmp_path) == before
    assert manifest_path(mine).read_bytes() == manifest


def test_a_plain_name_of_a_folder_that_holds_no_triplet_is_refused(mine, tmp_path):
    (mine / "holiday").mkdir()
    (mine / "holiday" / "b.jpg").touch()
    write_manifest(mine, ["holiday"])
    with pytest.raises(UsageError, match=r"b\.jpg is not part of a triplet"):
        prune(mine, listed(tmp_path, "holiday"))
    assert (mine / "holiday" / "b.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("place", ["mine", "mine_annotations", "mine_pre_calc_sgm_flows"])
def test_a_link_is_deleted_without_its_target(mine, tmp_path, place):
    outside = tmp_path / "outside"
    (tmp_path / place / "a_000000").rename(outside)
    (tmp_path / place / "a_000000").symlink_to(outside)
    before = sorted(outside.iterdir())
    for again in ("prune", "force"):
        if again == "prune":
            prune(mine, listed(tmp_path, "a_000000"))
        else:
            build([], mine, BuildOptions(), force=True)
        assert not (tmp_path / place / "a_000000").is_symlink()
        assert sorted(outside.iterdir()) == before
        (tmp_path / place / "a_000000").symlink_to(outside)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("place", ["mine_annotations", "mine_pre_calc_sgm_flows"])
def test_nothing_behind_a_linked_folder_is_deleted(mine, tmp_path, place):
    (tmp_path / place).rename(tmp_path / "outside")
    (tmp_path / place).symlink_to(tmp_path / "outside")
    before = everything(tmp_path)
    rejected = listed(tmp_path, "a_000000")
    for call in (lambda: prune(mine, rejected), lambda: build([], mine, BuildOptions(), force=True)):
        with pytest.raises(UsageError, match="is a link"):
            call()
    rejected.unlink()
    assert everything(tmp_path) == before


def test_names_are_compared_after_unicode_normalization(tmp_path):
    folder = tmp_path / "mine"
    composed = unicodedata.normalize("NFC", "é_000000")
    write_triplet(folder, composed)
    write_manifest(folder, [composed])
    assert prune(folder, listed(tmp_path, unicodedata.normalize("NFD", composed))) == 1
    assert not (folder / composed).exists()


@pytest.mark.parametrize(
    "film",
    [
        {"triplets": 5},
        {"triplets": None},
        {"triplets": "a_000000"},
        {"zzz": 1},
        {"file": 5},
        {"file": None},
        {"fingerprint": []},
        {"drawings": -1},
        {"drawings": 1.5},
        {"shots": "many"},
        {"left_out": 5},
        {"left_out": {"x": None}},
        {"finished": "yes"},
        5,
        [],
        None,
    ],
)
def test_a_damaged_manifest_is_a_file_error(mine, tmp_path, film):
    whole = {"file": "a.mkv", "fingerprint": "x", "finished": True, "triplets": ["a_000000"]}
    write_manifest(mine, [], films={"a": {**whole, **film} if isinstance(film, dict) else film})
    for call in (
        lambda: prune(mine, listed(tmp_path, "a_000000")),
        lambda: build([], mine, BuildOptions()),
        lambda: build([], mine, BuildOptions(), force=True),
    ):
        with pytest.raises(FileError, match=r"mine_manifest\.json is damaged"):
            call()


@pytest.mark.parametrize(
    "more", [{"rejected": [5, "a"]}, {"rejected": "a"}, {"films": []}, {"options": 5}, {"kind": [1]}, {"kind": None}]
)
def test_a_manifest_of_another_kind_is_a_file_error(mine, tmp_path, more):
    write_manifest(mine, ["a_000000"], **more)
    with pytest.raises(FileError, match=r"damaged|names 5"):
        prune(mine, listed(tmp_path, "a_000000"))


def test_a_data_set_in_use_is_refused(mine, tmp_path):
    rejected = listed(tmp_path, "a_000000")
    with lock_folder(mine):
        for call in (lambda: prune(mine, rejected), lambda: build([], mine, BuildOptions(), force=True)):
            with pytest.raises(UsageError, match="in use by another run"):
                call()
    assert (mine / "a_000000" / "frame1.png").exists()


def test_missing_films_create_no_folders(tmp_path):
    with pytest.raises(FileError, match=r"found nothing at .*nope\.mkv"):
        build([tmp_path / "nope.mkv"], tmp_path / "mine", BuildOptions())
    assert list(tmp_path.iterdir()) == []
