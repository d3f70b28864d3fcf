"""ATD-12K's layout: listing, reading, errors, and the RoI at other frame sizes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from animeinterp.data.atd12k import (
    Annotation,
    Region,
    TripletFiles,
    list_triplets,
    read_annotation,
    read_flows,
    read_triplet,
    shuffle_triplets,
)
from animeinterp.errors import FileError, FrameError, UsageError
from conftest import draw_scene

ANNOTATION = {
    "image_size": [192, 128],
    "motion_RoI": {"x": 30, "y": 21, "width": 101, "height": 80},
    "level": 1,
    "general_motion_type": ["translation", "deformation"],
    "behavior": "walking",
}


def write_triplet(folder, suffix=".png", size=(96, 64)):
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        frame = draw_scene(4 * number, size)
        cv2.imwrite(str(folder / f"frame{number}{suffix}"), frame[..., ::-1])


@pytest.fixture
def dataset(tmp_path):
    """test_2k_540p with b (png, annotated) and a (jpg, not annotated), with files of the system in it."""
    write_triplet(tmp_path / "test_2k_540p" / "b")
    write_triplet(tmp_path / "test_2k_540p" / "a", ".JPG")
    (tmp_path / "test_2k_540p" / ".DS_Store").touch()
    (tmp_path / "test_2k_540p" / "b" / "Thumbs.db").touch()
    (tmp_path / "test_2k_540p" / "__MACOSX").mkdir()
    notes = tmp_path / "test_2k_annotations" / "b"
    notes.mkdir(parents=True)
    (notes / "b.json").write_text(json.dumps(ANNOTATION))
    return tmp_path / "test_2k_540p"


def test_triplets_are_found_with_the_annotations_beside_them(dataset):
    a, b = list_triplets(dataset)
    assert a == TripletFiles("a", dataset / "a", None)
    assert b == TripletFiles("b", dataset / "b", dataset.parent / "test_2k_annotations" / "b" / "b.json")


def test_annotations_may_be_in_another_folder(dataset):
    (dataset.parent / "test_2k_annotations").rename(dataset.parent / "notes")
    assert list_triplets(dataset)[1].annotation is None
    assert list_triplets(dataset, dataset.parent / "notes")[1].annotation is not None
    with pytest.raises(FileError, match=r"NAME/NAME\.json"):
        list_triplets(dataset, dataset.parent / "nowhere")


def test_the_second_frame_is_the_truth(dataset):
    triplet = read_triplet(list_triplets(dataset)[1])
    for frame, number in ((triplet.frame0, 1), (triplet.truth, 2), (triplet.frame1, 3)):
        assert np.array_equal(frame, draw_scene(4 * number))
    assert triplet.t == 0.5


def test_jpeg_and_gray_frames_are_read(dataset):
    assert read_triplet(list_triplets(dataset)[0]).truth.shape == (64, 96, 3)
    for number in (1, 2, 3):
        cv2.imwrite(str(dataset / "b" / f"frame{number}.png"), draw_scene(number)[..., 0])
    assert np.array_equal(read_triplet(list_triplets(dataset)[1]).truth, draw_scene(2)[..., [0, 0, 0]])


def test_missing_ambiguous_and_mismatched_frames_are_errors(dataset):
    (dataset / "a" / "frame2.JPG").unlink()
    a, b = list_triplets(dataset)
    with pytest.raises(FileError, match=r"no frame2; expected NAME/frame1\.png"):
        read_triplet(a)
    cv2.imwrite(str(dataset / "b" / "frame3.png"), draw_scene(0, (90, 64)))
    with pytest.raises(FrameError, match="96x64, 96x64, 90x64; expected one size"):
        read_triplet(b)
    (dataset / "b" / "frame3.webp").touch()
    with pytest.raises(FileError, match=r"frame3\.png and frame3\.webp; expected one"):
        read_triplet(b)


def test_other_layouts_are_refused_with_the_expected_one(dataset):
    with pytest.raises(UsageError, match=r"expected NAME/frame1.png.*test_2k_540p in it looks like one"):
        list_triplets(dataset.parent)
    with pytest.raises(UsageError, match="holds no triplets"):
        list_triplets(dataset / "a")
    with pytest.raises(FileError, match="not a folder; expected a data set"):
        list_triplets(dataset / "nowhere")


def test_annotation_is_read(dataset):
    annotation = read_annotation(list_triplets(dataset)[1].annotation)
    assert annotation == Annotation((192, 128), (30, 21, 101, 80), 1, ("translation", "deformation"), ("walking",))


@pytest.mark.parametrize(
    "change",
    [
        {"level": 3},
        {"level": "hard"},
        {"level": None},
        {"image_size": [0, 128]},
        {"image_size": [192]},
        {"motion_RoI": [1, 2, 3, 4]},
        {"motion_RoI": {"x": 1}},
        {"motion_RoI": {"x": float("nan"), "y": 1, "width": 1, "height": 1}},
        {"motion_RoI": {"x": 10**400, "y": 1, "width": 1, "height": 1}},
        {"motion_RoI": {"x": 1e308, "y": 1, "width": 1, "height": 1}},
        {"motion_RoI": {"x": True, "y": 1, "width": 1, "height": 1}},
        {"image_size": [10**400, 128]},
        {"image_size": [1e-320, 128]},
        {"image_size": [1e-5, 128]},
        {"image_size": 5},
        {"level": 10**400},
        {"level": -1},
        {"level": 0.5},
        {"level": True},
        {"behavior": 5},
        {"behavior": "\ud800"},
    ],
)
def test_invalid_annotations_are_refused(tmp_path, change):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ANNOTATION | change))
    with pytest.raises(FileError, match="expected JSON with image_size"):
        read_annotation(path)


def test_files_that_are_not_annotations_are_refused(tmp_path):
    for text in ("", "[]", "{", "3", "[" * 100_000, "1" * 5000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(FileError, match=r"(is not an annotation|is damaged) \(.*expected JSON with image_size"):
            read_annotation(tmp_path / "a.json")
    with pytest.raises(FileError, match="found nothing"):
        read_annotation(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("image", "roi", "frame", "expected"),
    [
        ((960, 540), (273, 72, 567, 422), (960, 540), (273, 72, 567, 422)),
        ((1920, 1080), (271, 73, 801, 601), (960, 540), (135, 36, 400, 300)),  # halves, rounded down
        ((1280, 720), (400, 99, 404, 402), (960, 540), (300, 74, 303, 301)),  # 74.25 and 301.5 rounded down
        ((960, 540), (100, 10, 50, 40), (1280, 720), (133, 13, 66, 53)),  # larger: 133.3, 13.3, 66.7, 53.3
        ((960, 540), (900, 500, 100, 100), (960, 540), (900, 500, 60, 40)),  # clipped at the edge of the frame
        ((960, 540), (-10, -20, 50, 60), (960, 540), (0, 0, 40, 40)),
    ],
)
def test_the_roi_is_scaled_and_rounded_down(image, roi, frame, expected):
    assert Annotation(image, roi, 0).roi(*frame) == Region(*expected)


def test_roi_outside_the_frame_is_refused():
    with pytest.raises(FrameError, match="outside the frame"):
        Annotation((960, 540), (960, 0, 10, 10), 0).roi(960, 540)


def test_a_region_is_cut_out():
    frame = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(Region(2, 1, 4, 3).crop(frame), frame[1:4, 2:6])


def write_flows(folder, flows=None):
    folder.mkdir(parents=True)
    for k, name in enumerate(("guide_flo13.npy", "guide_flo31.npy")):
        np.save(folder / name, np.full((2, 54, 96), k + 0.5) if flows is None else flows[k])
    return folder


@pytest.mark.parametrize("name", ["test_2k_pre_calc_sgm_flows", "test_2k_540p_pre_calc_sgm_flows"])
def test_flows_are_found_beside_the_data_set_or_where_given(dataset, name, monkeypatch):
    folder = write_flows(dataset.parent / name / "b").parent
    monkeypatch.chdir(dataset)  # where `.` has no name
    for data in (dataset, Path()):
        assert [one.flows and one.flows.absolute() for one in list_triplets(data)] == [None, folder / "b"]
    folder.rename(dataset.parent / "elsewhere")
    assert [one.flows for one in list_triplets(dataset)] == [None, None]
    assert list_triplets(dataset, flows=dataset.parent / "elsewhere")[1].flows == dataset.parent / "elsewhere" / "b"
    for wrong, error in ((dataset.parent / "nowhere", FileError), (dataset / "b", UsageError)):
        with pytest.raises(error, match=r"expected flows as NAME/guide_flo13\.npy and guide_flo31\.npy"):
            list_triplets(dataset, flows=wrong)


def test_published_flows_in_double_precision_are_read(tmp_path):
    forward, backward = read_flows(write_flows(tmp_path / "a"))
    assert forward.dtype == backward.dtype == np.float32
    assert forward.shape == (2, 54, 96)
    assert (forward[1, 5, 7], backward[0, 5, 7]) == (0.5, 1.5)


FLOW = np.zeros((2, 6, 8), np.float32)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (FLOW.transpose(1, 2, 0), r"holds float32 \(6, 8, 2\); expected a float array \(2, height, width\)"),
        (FLOW.astype(np.int32), "int32"),
        (FLOW[0], r"float32 \(6, 8\)"),
        (np.full_like(FLOW, np.nan), "not finite"),
        (np.full(FLOW.shape, 1e300), "not finite"),
        (FLOW[:, :5], r"\(2, 6, 8\) and \(2, 5, 8\); expected one shape"),
        (np.array([{"a": 1}], object), "damaged or not a .npy"),
    ],
)
def test_arrays_that_are_not_flows_are_refused(tmp_path, flow, message):
    with pytest.raises(FileError, match=message):
        read_flows(write_flows(tmp_path / "a", (FLOW, flow)))


def test_files_that_are_not_flows_are_refused(tmp_path):
    folder = write_flows(tmp_path / "a")
    path = folder / "guide_flo31.npy"
    whole = path.read_bytes()
    huge = whole.replace(b"(2, 54, 96), }" + b" " * 6, b"(2, 5400000, 96), }"[: 14 + 6].ljust(20))
    assert huge != whole
    for content in (b"", b"text", whole[:60], whole[:-1], huge, b"\x93NUMPY" + bytes(200)):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"not a \.npy file; expected a float array"):
            read_flows(folder)
    np.savez(folder / "b.npz", FLOW)
    (folder / "b.npz").rename(path)
    with pytest.raises(FileError, match="archive"):
        read_flows(folder)
    path.unlink()
    with pytest.raises(FileError, match="found nothing"):
        read_flows(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200,
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -1, 8)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0, 8)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 9223372036854775807, 8)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 10000000000000000000000000, 8)}",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 6, 8)}",
        b"{'descr': '<f999', 'fortran_order': False, 'shape': (2, 6, 8)}",
        b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 6, 8)}",
        b"{'descr': '<f4', 'fortran_order': 5, 'shape': 'x'}",
        b"{'shape': (2, 6, 8)}",
        b"(" * 90 + b")" * 90,
        b"\x00" * 50,
    ],
)
def test_false_headers_are_refused(tmp_path, header):
    folder = write_flows(tmp_path / "a")
    header = header.ljust(245) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(4 * FLOW.size)
    (folder / "guide_flo31.npy").write_bytes(content)
    with pytest.raises(FileError, match="expected a float array"):
        read_flows(folder)


def test_damaged_flows_are_refused_or_read(tmp_path):
    folder = write_flows(tmp_path / "a")
    path = folder / "guide_flo31.npy"
    whole = path.read_bytes()
    for place in range(140):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        with suppress(FileError):
            read_flows(folder)


def test_an_unreadable_folder_is_an_error(dataset, monkeypatch):
    listing = Path.iterdir

    def closed(path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", closed)
    first, second = list_triplets(dataset)
    with pytest.raises(FileError, match="Permission denied"):
        read_triplet(first)
    assert read_triplet(second)


def test_as_a_source_it_yields_every_triplet_once_per_epoch(dataset):
    def drawn(seeds):
        stream = shuffle_triplets(dataset, seeds)
        return [next(stream).truth.tobytes() for _ in range(6)]

    orders = [drawn((0, shard)) for shard in range(8)]
    assert all(len(set(order[k : k + 2])) == 2 for order in orders for k in (0, 2, 4))
    assert len({tuple(order) for order in orders}) > 1
    assert drawn((0, 3)) == orders[3]


def test_the_development_set_is_in_this_layout(shared):
    files = list_triplets(shared / "bench" / "dev")
    assert len(files) == 80
    annotations = [read_annotation(one.annotation) for one in files]
    assert [sum(a.level == level for a in annotations) for level in range(3)] == [25, 25, 30]
    assert read_triplet(files[0]).truth.shape == (540, 960, 3)
