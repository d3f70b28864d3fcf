"""Triplets of vector animation, with a generated Lottie animation."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from animeinterp.data.difficulty import classify_motion, is_between, measure_displacement
from animeinterp.data.lottie import list_animations, open_animation
from animeinterp.data.vector import Layer, Pose, Scene, _composite, draw_scene, generate_triplets
from animeinterp.errors import FileError, MissingExtraError

ORANGE, BACKGROUND = (255, 128, 0), (10, 20, 30)


def write_lottie(path: Path, color: tuple[int, int, int] = ORANGE, opacity: int = 100) -> Path:
    """A box of 20x20 px in a image of 100x100 that moves from x = 20 to x = 80 in 30 frames, at 60 a second."""
    static = {"a": 0, "k": 0}
    shape = {
        "ty": "gr",
        "it": [
            {"ty": "rc", "p": {"a": 0, "k": [0, 0]}, "s": {"a": 0, "k": [20, 20]}, "r": static},
            {"ty": "fl", "c": {"a": 0, "k": [*(v / 255 for v in color), 1]}, "o": {"a": 0, "k": opacity}, "r": 1},
            {
                "ty": "tr",
                "p": {"a": 0, "k": [0, 0]},
                "a": {"a": 0, "k": [0, 0]},
                "s": {"a": 0, "k": [100, 100]},
                "r": static,
                "o": {"a": 0, "k": 100},
            },
        ],
    }
    ease = {"i": {"x": [1], "y": [1]}, "o": {"x": [0], "y": [0]}}
    path_keys = [{"t": 0, "s": [20, 50, 0], "e": [80, 50, 0], **ease}, {"t": 30, "s": [80, 50, 0]}]
    motion = {
        "p": {"a": 1, "k": path_keys},
        "a": {"a": 0, "k": [0, 0, 0]},
        "s": {"a": 0, "k": [100, 100, 100]},
        "r": static,
        "o": {"a": 0, "k": 100},
    }
    layer = {"ty": 4, "ks": motion, "shapes": [shape], "ip": 0, "op": 31, "st": 0, "ind": 1, "sr": 1, "bm": 0}
    document = {"v": "5.5.0", "fr": 60, "ip": 0, "op": 31, "w": 100, "h": 100, "layers": [layer], "assets": []}
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return path


@pytest.fixture
def box(tmp_path):
    pytest.importorskip("rlottie_python", reason="drawing Lottie animations needs the extra `train`")
    return open_animation(write_lottie(tmp_path / "box.json.gz"))


STATIC_CAMERA = Pose(0, 0, 1, 0)


def plain_scene(box, gap: int = 0, camera: Pose = STATIC_CAMERA) -> Scene:
    """The box, its image 100 px wide in the middle of 200x150."""
    pose = Pose(100, 75, 100, 0)
    background = np.full((150, 200, 3), BACKGROUND, np.uint8)
    return Scene((200, 150), background, (Layer(box, 0, gap, pose, pose, (0, 1, 2)),), camera, 1.0)


def render(animation, frame, size):
    """A frame of an animation on the background color."""
    background = np.broadcast_to(np.array(BACKGROUND, np.uint8), (size[1], size[0], 3))
    return _composite(background, animation.draw(frame, size))


def box_center(image: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero(image[..., 0] > 130)
    return x.mean() + 0.5, y.mean() + 0.5


def panned(shift: int) -> np.ndarray:
    """A window of 320x200 px on a checkered background, moved by `shift` px."""
    cells = np.random.default_rng(0).integers(0, 200, (5, 10, 3), np.uint8)
    return np.ascontiguousarray(np.kron(cells, np.ones((40, 40, 1), np.uint8))[:, 60 - shift : 380 - shift])


def test_an_animation_is_drawn_in_its_colors_and_place(box):
    assert (box.frames, box.frame_rate, box.width, box.height) == (32, 60, 100, 100)
    image = render(box, 0, (100, 100))
    assert tuple(image[50, 20]) == ORANGE
    assert tuple(image[5, 5]) == BACKGROUND
    assert box_center(image) == pytest.approx((20, 50), abs=0.6)
    assert box_center(render(box, 15, (200, 200))) == pytest.approx((100, 100), abs=1.1)


def test_half_transparent_colors_mix_with_the_ground(tmp_path, box):
    half = open_animation(write_lottie(tmp_path / "half.json.gz", opacity=50))
    image = render(half, 0, (100, 100))
    assert image[50, 20] == pytest.approx([(a + b) / 2 for a, b in zip(ORANGE, BACKGROUND, strict=True)], abs=2)


def test_a_scene_plays_and_its_camera_moves(box):
    scene = plain_scene(box, gap=20)
    first, middle, last = (draw_scene(scene, time) for time in (Fraction(0), Fraction(1, 2), Fraction(1)))
    assert first.shape == (150, 200, 3)
    places = [box_center(image)[0] for image in (first, middle, last)]
    assert places == pytest.approx([70, 90, 110], abs=0.6)
    moved = plain_scene(box, camera=Pose(12, 5, 1, 0))
    assert box_center(draw_scene(moved, Fraction(1))) == pytest.approx((82, 80), abs=0.6)
    assert box_center(draw_scene(moved, Fraction(1, 2))) == pytest.approx((76, 77.5), abs=0.6)
    zoomed = plain_scene(box, camera=Pose(0, 0, 1.5, 0))
    assert box_center(draw_scene(zoomed, Fraction(1))) == pytest.approx((55, 75), abs=0.6)


def test_the_ground_moves_with_the_camera_by_its_depth(box):
    background = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    scene = replace(plain_scene(box), background=background, layers=(), camera=Pose(8, 0, 1, 0))
    for depth, shift in ((1.0, 8), (0.5, 4)):
        moved = draw_scene(replace(scene, depth=depth), Fraction(1))
        assert np.array_equal(moved[:, shift:], background[:, :-shift])


def test_triplets_depend_only_on_the_seed(box, tmp_path):
    first, again, other = (next(generate_triplets(tmp_path, seed, levels={"easy": 1})) for seed in (1, 1, 2))
    assert first.t == again.t
    assert all(np.array_equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not np.array_equal(first.frame0, other.frame0)
    for triplet in (first, other):
        assert triplet.frame0.dtype == np.uint8
        assert triplet.frame0.shape == triplet.truth.shape == triplet.frame1.shape
        assert min(triplet.frame0.shape[:2]) >= 288
        assert 0 < triplet.t < 1
        assert not np.array_equal(triplet.frame0, triplet.frame1)


def test_the_shared_animations_can_be_drawn(shared):
    pytest.importorskip("rlottie_python")
    paths = list_animations(shared / "train_vector")
    assert len(paths) > 400
    animation = open_animation(paths[0])
    assert animation.draw(0, (64, 64))[..., 3].any()


@pytest.mark.parametrize(("shift", "level"), [(4, "easy"), (20, "medium"), (36, "hard")])
def test_levels_follow_the_displacement(shift, level):
    assert classify_motion(*measure_displacement(panned(0), panned(shift))) == level


def test_displacement_is_in_px_of_the_full_size():
    far, _ = measure_displacement(panned(0), panned(6))
    half = [np.ascontiguousarray(panned(shift)[::2, ::2]) for shift in (0, 6)]
    assert far == pytest.approx(6, abs=1.5)
    assert measure_displacement(half[0], half[1], 0.5)[0] == pytest.approx(far, abs=1.5)


def test_in_betweens_are_recognized():
    assert is_between(panned(0), panned(10), panned(20))
    assert not is_between(panned(0), 255 - panned(10), panned(20))
    assert not is_between(panned(0), panned(20), panned(0))


def test_missing_rlottie_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rlottie_python.rlottie_wrapper", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'animeinterp\[train\]'"):
        open_animation(write_lottie(tmp_path / "box.json.gz"))


def test_files_that_are_not_animations(tmp_path, box):
    with pytest.raises(FileError, match="found none"):
        list_animations(tmp_path / "nowhere")
    (tmp_path / "bad.json.gz").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="is not a gzipped Lottie animation"):
        open_animation(tmp_path / "bad.json.gz")
    (tmp_path / "empty.json.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(FileError, match="no frames"):
        open_animation(tmp_path / "empty.json.gz")
    with pytest.raises(FileError, match="Synfig Studio"):
        open_animation(tmp_path / "scene.sifz")
