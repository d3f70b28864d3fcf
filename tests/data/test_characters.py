"""Rigged characters: files are read with care, poses are right, and the ground truth of drawn scenes is exact."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from animeinterp.data.characters.camera import Background, Camera, Setting
from animeinterp.data.characters.cel import MAX_BANDS
from animeinterp.data.characters.dataset import TRIPLET_SIZE, triplets
from animeinterp.data.characters.figure import change_proportions, open_figure, pose_figure
from animeinterp.data.characters.model import read_model
from animeinterp.data.characters.proportions import Proportions
from animeinterp.data.characters.scene import Actor, Look, Scene, render_scene
from animeinterp.data.characters.scene_spec import RANGES, measure_motion, sample_scene
from animeinterp.data.characters.skinning import deform, pose_nodes, slerp
from animeinterp.data.recognition import recognize
from animeinterp.data.sources import open_triplets
from animeinterp.errors import FileError
from support.glb import QUARTER, character, pack, write_character

SIZE = (96, 128)
STILL = Setting(np.zeros(3), 1, 0, 0, 0, 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_character(tmp_path_factory.mktemp("characters") / "boxes.glb")


def box_scene(file, *, motion: Setting = STILL, span: float = 0.6, **changes) -> Scene:
    """The character from the front, its height two thirds of the frame, without lines, on a smooth background."""
    figure = open_figure(file)
    colors = np.repeat(np.rint(255 * figure.colors)[:, None], MAX_BANDS, axis=1).astype(np.uint8)
    look = Look((), colors, colors[:, 0], np.zeros(4, np.float32), np.full(MAX_BANDS - 1, 2, np.float32))
    actor = {"phase": 0.0, "rate": 1.0, "position": np.zeros(3), "velocity": np.zeros(3), "yaw": 0.0, "yaw_rate": 0.0}
    actor |= {"size": 1.0, **changes}
    start = Setting(np.array([0, 0.5, 0]), 3.0, 0.0, 0.0, 0.0, 2 * SIZE[0])
    y, x = np.mgrid[:160, :200]
    image = np.stack([x, y, 200 - x], 2).astype(np.uint8)
    actors = (Actor(figure=figure, clip=figure.model.clips[0], look=look, **actor),)
    light = np.array([0, 0, 1.0])
    return Scene(actors, Camera(start, motion, SIZE), Background(image, 6.0), light, span, 0.4)


def sample(image, flow):
    y, x = np.mgrid[: flow.shape[1], : flow.shape[2]].astype(np.float32)
    return cv2.remap(image, x + flow[0], y + flow[1], cv2.INTER_LINEAR)


def away_from_edges(label, flow):
    """Where a pixel and the place that it moves to are 3 px from any edge of an image of flat colors."""
    edge = cv2.dilate(
        np.ptp(np.stack([cv2.dilate(label, np.ones((3, 3))), cv2.erode(label, np.ones((3, 3)))]), 0), None
    )
    return (cv2.dilate(edge.max(-1), np.ones((5, 5))) < 12) & np.isfinite(flow).all(0)


def near(mask):
    """The mask and the pixels beside it, which bilinear sampling mixes with it."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) > 0


def test_a_character_is_read(file):
    model = read_model(file)
    assert [len(mesh.faces) for mesh in model.meshes] == [12, 12]
    assert model.parents.tolist() == [-1, 0, -1]
    assert model.meshes[0].colors[0] == pytest.approx(np.array([200, 60, 40]) / 255, abs=1e-6)
    assert model.meshes[1].colors[0] == pytest.approx(np.array([0.05, 0.1, 0.8]) ** (1 / 2.2))
    figure = open_figure(file)
    assert figure.scale == pytest.approx(0.5)
    assert len(figure.colors) == 2


def test_poses_are_those_of_the_keyframes(file):
    model = read_model(file)
    arm, tip = model.meshes[1], np.array([0.2, 0.6, 0.5])
    lowest = arm.positions[:, 1] < 1
    for time, expected in (
        (0, (0, -1)),
        (1, (1, 0)),
        (2, (0, -1)),
        (9, (0, -1)),
        (0.5, (math.sqrt(0.5), -math.sqrt(0.5))),
    ):
        points, normals = deform(model, arm, pose_nodes(model, model.clips[0], time))
        assert points[lowest].mean(0) == pytest.approx([0.2 + expected[0], 1.6 + expected[1], 0.5], abs=1e-6)
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    points, _ = deform(model, arm, pose_nodes(model, None, 0))
    assert points[lowest].mean(0) == pytest.approx(tip)


def test_rotations_take_the_shorter_arc():
    still, quarter = np.array([0, 0, 0, 1.0]), np.array(QUARTER)
    third = np.array([0, 0, math.sin(math.pi / 12), math.cos(math.pi / 12)])
    assert slerp(still, quarter, 1 / 3) == pytest.approx(third)
    assert slerp(still, -quarter, 1 / 3) == pytest.approx(third)


def damage(change):
    content, binary = character()
    content = copy.deepcopy(content)
    change(content)
    return pack(content, binary)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"glTF" + bytes(40),
        pack(*character())[:-40],
        pack([], b""),
        pack({"nodes": [{"children": [0]}]}, b""),
        damage(lambda c: c["nodes"][1].update(children=[0])),
        damage(lambda c: c["nodes"][2].update(skin=-1)),
        damage(lambda c: c["nodes"][1].update(translation=[0, "far", 0])),
        damage(lambda c: c["accessors"][0].update(count=10**9)),
        damage(lambda c: c["accessors"][0].update(byteOffset=4)),
        damage(lambda c: c["accessors"][0].update(bufferView=10**6)),
        damage(lambda c: c["bufferViews"][0].update(byteLength=20)),
        damage(lambda c: c["bufferViews"][1].update(byteOffset=-8)),
        damage(lambda c: c["skins"][0].update(joints=[0])),
        damage(lambda c: c["animations"][0]["samplers"][0].update(input=0)),
        damage(lambda c: c["animations"][0]["channels"][0]["target"].update(node=7)),
        damage(lambda c: c.update(extensionsRequired=["KHR_draco_mesh_compression"])),
        damage(lambda c: c.update(animations=[])),
        damage(lambda c: c["meshes"][0]["primitives"][0]["attributes"].pop("POSITION")),
    ],
)
def test_damaged_files_are_refused(data, tmp_path):
    path = tmp_path / "damaged.glb"
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"damaged\.glb"):
        read_model(path)


def test_flow_follows_the_surface(file):
    pan = Setting(np.array([0.1, 0.05, 0]), 0.9, 0.1, 0.02, 0.03, 1)
    drawn = render_scene(box_scene(file, motion=pan, velocity=np.array([0.2, 0, 0.1]), yaw_rate=0.3))
    for start, end, flow, occluded in (
        (drawn.frame0, drawn.frame1, drawn.flow01, drawn.occluded01),
        (drawn.frame1, drawn.frame0, drawn.flow10, drawn.occluded10),
        (drawn.frame0, drawn.truth, drawn.flow0t, drawn.occluded01),
        (drawn.frame1, drawn.truth, drawn.flow1t, drawn.occluded10),
    ):
        error = np.abs(sample(end, flow).astype(int) - start).max(-1)
        visible = ~near(occluded) & away_from_edges(start, flow)
        assert visible.mean() > 0.5
        # Few points that are visible at both ends are hidden at t.
        assert error[visible].mean() < (3 if end is drawn.truth else 1)
    assert np.linalg.norm(drawn.flow01, axis=0).max() > 8
    assert drawn.known0.all()


def test_a_turning_arm_moves_as_calculated(file):
    scene = box_scene(file, span=1.0)
    flow = render_scene(scene).flow01
    view = scene.camera.at(0)
    # A point in the middle of the arm's front, 0.5 m below its joint, turns by a quarter.
    before, after = (np.array([*place, 0.625]) / 2 for place in ((0.2, 1.1), (0.7, 1.6)))
    start, end = (view.lens.project(view.to_camera(point)) for point in (before, after))
    x, y = np.rint(start).astype(int)
    assert flow[:, y, x] == pytest.approx(end - start, abs=1.5)
    assert not render_scene(scene).flow01[:, 5, 5].any()


def test_what_is_hidden_later_is_occluded(file):
    scene = box_scene(file, span=1.0)
    drawn = render_scene(scene)
    view = scene.camera.at(0)

    def pixel(x, y, z):
        return tuple(np.rint(view.lens.project(view.to_camera(np.array([x, y, z]) / 2))).astype(int)[::-1])

    # The arm hangs in front of the trunk, then points to the right: it uncovers the trunk and hides the background.
    below, beside = pixel(0.2, 0.8, 0.625), pixel(0.7, 1.6, 0.625)
    assert not drawn.occluded01[below]
    assert drawn.occluded01[beside]
    assert not drawn.occluded01[pixel(-0.2, 1.0, 0.2)]
    assert drawn.occluded10[below]
    assert np.allclose(drawn.flow10[:, below[0], below[1]], 0)
    moved = render_scene(box_scene(file, velocity=np.array([3.0, 0, 0]), span=1.0))
    assert moved.occluded01[pixel(0, 0.5, 0.2)], "it leaves the frame"


def test_outlines_stay_within_the_figure(file):
    scene = box_scene(file)
    actor = scene.actors[0]
    style = np.array([4, 0, 0, 0], np.float32)
    look = replace(actor.look, style=style, lines=np.zeros_like(actor.look.lines))
    outlined = replace(scene, actors=(replace(actor, look=look),))
    plain, drawn = render_scene(scene).frame0, render_scene(outlined).frame0
    changed = (plain != drawn).any(-1)
    behind = scene.background.draw(scene.camera.at(0), scene.camera.at(0), SIZE)
    assert changed.any()
    assert (plain[changed] != behind[changed]).any(-1).all()
    assert (drawn[changed].max(-1) == 0).any()


def test_scenes_move_as_far_as_asked(file):
    figures = [open_figure(file)]
    motions = []
    for seed in range(12):
        scene = sample_scene(np.random.default_rng(seed), figures, SIZE, np.zeros((160, 200, 3), np.uint8))
        motions.append(measure_motion(scene))
        assert RANGES.span[0] <= scene.span <= RANGES.span[1]
        assert RANGES.t[0] <= scene.t <= RANGES.t[1]
    assert max(motions) > 5 * min(motions) > 0


def test_triplets_depend_only_on_the_seeds(file):
    first, again, other = (next(open_triplets(file.parent, "characters")(seeds)) for seeds in ((1, 2), (1, 2), (1, 3)))
    assert first.frame0.shape == first.truth.shape == (*TRIPLET_SIZE, 3)
    assert first.frame0.dtype == np.uint8
    assert first.flow01.shape == (2, *TRIPLET_SIZE)
    assert first.flow01.dtype == np.float32
    assert first.t == again.t
    for name in ("frame0", "truth", "frame1", "flow01", "flow10", "known0", "known1"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert not np.array_equal(first.frame0, other.frame0)
    second = next(itertools.islice(triplets(file.parent, (1, 2)), 1, None))
    assert not np.array_equal(first.frame0, second.frame0)


def test_folders_of_characters(file, tmp_path):
    assert recognize(file.parent) == "characters"
    with pytest.raises(FileError, match=r"characters \(.glb\) in"):
        next(triplets(tmp_path, (0,)))
    with pytest.raises(FileError, match="images for backgrounds"):
        next(triplets(file.parent, (0,), tmp_path))


def test_the_shared_characters_can_be_drawn(shared):
    folder = shared / "assets3d"
    if not folder.is_dir():
        pytest.skip(f"no characters at {folder}")
    for path in sorted(folder.glob("*.glb")):
        scene = box_scene(path, span=0.2, phase=0.5)
        drawn = render_scene(scene)
        error, change = (
            np.abs(image.astype(int) - drawn.frame0).max(-1)
            for image in (sample(drawn.frame1, drawn.flow01), drawn.frame1)
        )
        moving = ~near(drawn.occluded01) & (np.linalg.norm(drawn.flow01, axis=0) > 1)
        assert moving.mean() > 0.01
        # Regions are a few px wide here, and mix with their neighbors.
        assert error[moving].mean() < 0.5 * change[moving].mean()


def test_proportions_change_limbs_and_keep_joints(file):
    content, binary = character()
    content["nodes"][0]["name"], content["nodes"][1]["name"] = "spine", "upperarm.r"
    path = file.parent / "named"
    path.mkdir()
    (path / "named.glb").write_bytes(pack(content, binary))
    figure = open_figure(path / "named.glb")
    longer = change_proportions(figure, Proportions(arms=2, torso=1.5))
    points, normals = (pose / longer.scale for pose in pose_figure(longer, None, 0))
    normals = normals * longer.scale
    trunk, arm = points[:8], points[8:]
    assert np.ptp(trunk, axis=0) == pytest.approx([0.8, 3, 0.4])
    assert np.ptp(arm, axis=0) == pytest.approx([0.25, 2, 0.25])
    # The arm hangs from its joint, which has moved up with the trunk.
    assert arm[:, 1].max() == pytest.approx(1.6 * 1.5)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    assert open_figure(path / "named.glb").factors.max() == 1
