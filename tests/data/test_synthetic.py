from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from animeinterp.data.preview import contact_sheet, preview
from animeinterp.data.synthetic import dataset as scene_triplets
from animeinterp.data.synthetic.compositing import draw, follow, hidden, layers_of, pixel_grid
from animeinterp.data.synthetic.dataset import SceneSource, scenes_of, to_samples
from animeinterp.data.synthetic.degrade import compress, grain_tile
from animeinterp.data.synthetic.motions import STEEPEST, WAVES, Waves, draw_timing, draw_waves
from animeinterp.data.synthetic.rng import SceneRng
from animeinterp.data.synthetic.scene_spec import LayerStyles, SceneSpec, cast_scenes
from animeinterp.data.synthetic.simulated_sgm import SimulatedFlow, simulate_sgm
from animeinterp.errors import FileError, UsageError
from animeinterp.io.images import read_image
from animeinterp.net.ops.geometry import backward_warp

SIZE = (72, 96)


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """A folder of three sprites and two backgrounds, smooth inside."""
    folder = tmp_path_factory.mktemp("assets")
    y, x = np.mgrid[0:160, 0:200] / 40
    records = []
    for number in range(5):
        kind = "sprites" if number < 3 else "backgrounds"
        file = folder / kind / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        waves = [np.sin(x * (1 + c / 2) + number) * np.cos(y + c) for c in range(3)]
        picture = np.rint(127 + 100 * np.stack(waves, 2)).astype(np.uint8)
        if kind == "sprites":
            alpha = cv2.circle(np.zeros(x.shape, np.uint8), (100, 80), 70 - 10 * number, 255, -1, cv2.LINE_AA)
            picture = np.dstack([picture, alpha])
        cv2.imwrite(str(file), picture)
        records.append({"file": f"{kind}/{number}.png", "license": "CC0-1.0"})
    (folder / "manifest.json").write_text(json.dumps(records))
    return folder


@pytest.fixture(scope="module")
def clean(assets):
    return SceneSource(assets, SIZE, degraded=False)


def spread(mask, radius):
    return F.max_pool2d(mask.float(), 2 * radius + 1, 1, radius)


def away_from_edges(label, radius=3):
    label = label[:, None].float()
    return spread(label, radius) == -spread(-label, radius)


def mean_error(a, b, where):
    """Mean absolute difference of each scene, in 1/255."""
    return ((a - b).abs().mean(1, keepdim=True) * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1) * 255


def hand_made(
    textures, halves, centers, *, amplitude=0.0, opacity=(1, 1, 1), size=(64, 64), backdrop=None, turns=(0, 0)
):
    """One scene: a still background, and square layers of `halves` px about centers[layer][time]."""
    count = len(textures)
    linear = np.zeros((3, 1 + count, 2, 2))
    linear[:] = np.eye(2) * np.array([max(size) / 2, *halves])[:, None, None]
    angle = np.array([turns[0], sum(turns) / 2, turns[1]])
    spun = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear[:, 1:] = spun[:, None] @ linear[:, 1:]
    middle = np.full((3, 1, 2), [(size[1] - 1) / 2, (size[0] - 1) / 2])
    shift = np.concatenate([middle, np.array(centers, float).transpose(1, 0, 2)], 1)
    swing = amplitude * np.array([1.0, -0.4, -1.0])[:, None, None, None] * np.ones((3, 1 + count, WAVES, 2))
    swing[:, 0] = 0
    waves = Waves(swing, np.full((1 + count, WAVES, 2), [1.7, 1.1]), np.arange(2.0)[None].repeat(1 + count, 0))
    shown = np.ones((3, 1 + count))
    shown[:, 1:] = np.array(opacity)[:, None]
    rank = np.arange(1 + count)
    looks = LayerStyles(**{field: np.ones(count) for field in LayerStyles._fields})
    cast = SceneSpec(
        np.array([[0.0], [0.5], [1.0]]), 0 * rank, rank, np.concatenate([linear, shift[..., None]], -1),
        waves, shown, np.zeros(1, np.int64), np.zeros((1, 3, 4)), looks,
    )  # fmt: skip
    ground = torch.full((1, 3, *[max(size)] * 2), 0.2) if backdrop is None else backdrop
    return layers_of(cast, ground, torch.stack(textures), size)


def test_true_flow_turns_frames_into_each_other(clean):
    scenes = clean.scenes(16, seed=1)
    for frame, other, flow, occluded, label in (
        (scenes.frame0, scenes.frame1, scenes.flow01, scenes.occluded01, scenes.label0),
        (scenes.frame1, scenes.frame0, scenes.flow10, scenes.occluded10, scenes.label1),
    ):
        where = (spread(occluded, 3) == 0) & away_from_edges(label)
        assert where.float().mean() > 0.3
        assert mean_error(backward_warp(other, flow), frame, where).max() < 2
        # what is hidden shows something else: the mask is not just large
        assert mean_error(backward_warp(other, flow), frame, occluded > 0).mean() > 10
    for frame, flow, occluded, label in (
        (scenes.frame0, scenes.flow0t, scenes.occluded01, scenes.label0),
        (scenes.frame1, scenes.flow1t, scenes.occluded10, scenes.label1),
    ):
        where = (spread(occluded, 3) == 0) & away_from_edges(label)
        # few things pass before a pixel that is seen at both ends
        assert mean_error(backward_warp(scenes.truth, flow), frame, where).mean() < 2
    assert scenes.flow01.norm(dim=1).amax((1, 2)).median() > 3


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("start", [0, 2])
def test_flow_is_exact_for_deformed_layers(start, time):
    along = (torch.arange(64) + 0.5) / 64
    y, x = torch.meshgrid(along, along, indexing="ij")
    ramp = torch.stack([x, y, 0 * x, torch.ones_like(x)])  # color is place in the texture
    steepness = STEEPEST / WAVES / np.hypot(1.7, 1.1) / np.sqrt(2)
    layers = hand_made(
        [ramp], [20], [[(31, 36), (37, 31), (44, 36)]], amplitude=steepness, size=(72, 80), turns=(-0.3, 0.4)
    )
    (frame, label), (other, _) = draw(layers, start, (72, 80)), draw(layers, time, (72, 80))
    (points,) = follow(layers, label, start, (time,))
    seen = ~hidden(layers, label, points, time)[:, None] & away_from_edges(label, 2) & (label[:, None] == 1)
    flow = points - pixel_grid((0, 72, 0, 80), label.device)
    there = backward_warp(other, flow)
    # the warp's bilinear sampling of the edge of the other frame does not count
    seen &= backward_warp(spread(draw(layers, time, (72, 80))[1][:, None] == 0, 1), flow) == 0
    assert seen.float().mean() > 0.1
    assert ((there - frame)[:, :2].abs() * 40 * seen).max() < 0.05  # px: the texture is 40 px wide
    if start == time:
        assert flow.abs().max() < 1e-3


def test_occlusion_of_a_square_before_a_wall():
    square = torch.ones(4, 20, 20)
    layers = hand_made([square], [10], [[(21.5, 31.5), (26.5, 31.5), (31.5, 31.5)]])
    scenes = scenes_of(layers, torch.tensor([0.5]), (64, 64))
    box = torch.zeros(64, 64, dtype=torch.int64)
    box[22:42, 12:32] = 1
    assert torch.equal(scenes.label0[0], box)
    assert torch.equal(scenes.label1[0], box.roll(10, 1))
    covered = torch.zeros(64, 64)
    covered[22:42, 32:42] = 1
    assert torch.equal(scenes.occluded01[0, 0], covered)
    assert torch.equal(scenes.occluded10[0, 0], covered.roll(-20, 1))
    moved = torch.stack([10.0 * box, 0 * box])
    assert torch.allclose(scenes.flow01[0], moved, atol=1e-4)
    assert torch.allclose(scenes.flow0t[0], moved / 2, atol=1e-4)
    assert torch.allclose(scenes.flow10[0], -moved.roll(10, 2), atol=1e-4)
    assert torch.allclose(scenes.flow1t[0], -moved.roll(10, 2) / 2, atol=1e-4)
    assert torch.equal(scenes.truth[0], scenes.frame0[0].roll(5, 2))
    assert bool(scenes.known0.all())


def test_what_leaves_or_vanishes_is_occluded():
    square = torch.ones(4, 20, 20)
    away = [[(31.5, 31.5), (45.5, 31.5), (61.5, 31.5)]]
    scenes = scenes_of(hand_made([square], [10], away), torch.tensor([0.5]), (64, 64))
    assert scenes.occluded01[0, 0, 30, 40] == 1  # lands at x = 70
    assert scenes.occluded01[0, 0, 30, 25] == 0
    scenes = scenes_of(
        hand_made([square], [10], [[(31.5, 31.5)] * 3], opacity=(1, 1, 0)), torch.tensor([0.5]), (64, 64)
    )
    box = scenes.label0[0] == 1
    assert int(box.sum()) == 400
    assert torch.equal(scenes.occluded01[0, 0] > 0, box)
    assert torch.equal(scenes.known0[0, 0] == 0, box)
    assert int(scenes.label1.sum()) == 0
    # frame 1 shows the wall alone, which the square covers in frame 0
    assert torch.equal(scenes.occluded10[0, 0] > 0, box)
    assert bool(scenes.known1.all())


def test_the_layer_in_front_wins():
    square = torch.ones(4, 20, 20)
    centers = [[(31.5, 31.5)] * 3, [(21.5, 31.5), (26.5, 31.5), (31.5, 31.5)]]
    scenes = scenes_of(hand_made([square, 0.5 * square], [10, 10], centers), torch.tensor([0.5]), (64, 64))
    assert scenes.label0[0, 30, 25] == 2
    assert scenes.label0[0, 30, 35] == 1
    assert scenes.occluded01[0, 0, 30, 35] == 1
    assert torch.allclose(scenes.frame1[0, :, 30, 31], torch.tensor(0.5 + 0.5 * 1.0))
    assert scenes.occluded10[0, 0, 30, 31] == 0


def test_waves_can_be_inverted():
    waves = draw_waves(SceneRng(3, range(50)), np.array([[0.0], [0.5], [1.0]]).repeat(50, 1)[..., None], 1.0, 1)
    slope = np.linalg.norm(waves.amplitude, axis=-1) * np.linalg.norm(waves.frequency, axis=-1)
    assert 0.2 < slope.sum(-1).max() <= STEEPEST + 1e-9


def test_timing_starts_and_ends_where_it_should():
    dice = SceneRng(0, range(300))
    times = np.stack([np.zeros(300), np.full(300, 0.5), np.ones(300)])
    along = draw_timing(dice, times)
    assert np.allclose(along[0], 0)
    assert np.allclose(along[2], 1)
    middle = along[1]
    assert 0.5 < (np.abs(middle - 0.5) < 1e-9).mean() < 0.95
    assert middle.min() < 0.4
    assert middle.max() > 0.6


def test_paths_are_mostly_short_and_never_longer_than_they_should():
    cast = cast_scenes(SceneRng(2, range(200)), (256, 256), 10, 10)
    assert 0.4 < (cast.times[1] == 0.5).mean() < 0.6
    assert cast.times[1].min() >= 0.1
    assert cast.times[1].max() <= 0.9
    centers = cast.to_frame[..., 2]
    moved = np.linalg.norm(centers[2] - centers[0], axis=-1) / 256
    assert np.median(moved) < 0.06
    assert 0.2 < np.percentile(moved, 99) < 0.5
    assert np.bincount(cast.rank)[0] == 200


def test_a_scene_depends_on_seed_and_index_alone(assets, clean):
    source = SceneSource(assets, SIZE)
    together = source.scenes(4, seed=7)
    for index in (0, 3):
        for name, alone in source.scenes(1, seed=7, start=index)._asdict().items():
            assert torch.equal(alone[0], getattr(together, name)[index]), name
    assert torch.equal(together.truth, SceneSource(assets, SIZE).scenes(4, seed=7).truth)
    assert not torch.equal(together.frame0, source.scenes(4, seed=8).frame0)
    # only the frames that go in are degraded
    assert torch.equal(together.truth, clean.scenes(4, seed=7).truth)


def test_batches_go_on_where_they_stopped_and_differ_by_rank(clean):
    first, second = itertools.islice(clean.batches(2, 48, 5, start=0, rank=0, world=2), 2)
    (again,) = itertools.islice(clean.batches(2, 48, 5, start=1, rank=0, world=2), 1)
    (other,) = itertools.islice(clean.batches(2, 48, 5, start=1, rank=1, world=2), 1)
    assert first.frame0.shape == (2, 3, 48, 48)
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert not torch.equal(again.frame0, other.frame0)
    assert not torch.equal(first.frame0, second.frame0)


def test_imitated_guidance_is_near_the_truth_where_it_is_trusted(clean):
    scenes = clean.scenes(24, seed=2)
    guidance = simulate_sgm(scenes, torch.Generator().manual_seed(0))
    again = simulate_sgm(scenes, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(guidance, again, strict=True))
    given = guidance.confidence0.amax((1, 2, 3)) > 0
    assert 0.2 < given.float().mean() < 0.8
    for coarse, trust, flow, occluded in (
        (guidance.coarse01, guidance.confidence0, scenes.flow01, scenes.occluded01),
        (guidance.coarse10, guidance.confidence1, scenes.flow10, scenes.occluded10),
    ):
        assert not coarse[(trust == 0).expand_as(coarse)].any()
        assert float(trust.max()) <= 1
        moving = (flow.norm(dim=1, keepdim=True) > 4) & (trust > 0.7) & (occluded == 0)
        error = (coarse - flow).norm(dim=1, keepdim=True)[moving].median()
        assert error < 0.3 * flow.norm(dim=1, keepdim=True)[moving].median()


def test_samples_carry_what_scenes_know(clean):
    scenes = clean.scenes(2, seed=4)
    scenes = scenes._replace(known0=scenes.known0 * 0)
    zeros = torch.zeros_like(scenes.flow01)
    samples = to_samples(scenes, SimulatedFlow(zeros, zeros, zeros[:, :1], zeros[:, :1]))
    assert torch.equal(samples.truth, scenes.truth)
    assert torch.equal(samples.flow10, scenes.flow10)
    assert not samples.flow01.any()
    for name, tensor in samples._asdict().items():
        assert tensor.dtype == torch.float32, name
        assert torch.isfinite(tensor).all(), name


def test_compression_loses_little_or_much_as_asked():
    frame = grain_tile(0)[None, None, :50, :70].expand(2, 3, -1, -1) * 0.05 + 0.5
    flat, corner = np.array([False, True]), np.array([[3, 5], [0, 7]])
    fine = compress(frame, np.array([0.01, 0.01]), flat, corner)
    coarse = compress(frame, np.array([2.0, 2.0]), flat, corner)
    assert fine.shape == frame.shape
    assert (fine - frame).abs().max() < 0.02
    assert (coarse - frame).abs().mean() > 0.02
    assert (coarse.mean() - frame.mean()).abs() < 0.01


def test_preview_draws_one_row_for_each_sample(clean, tmp_path):
    assert contact_sheet(clean.scenes(2, seed=0)).shape[1] > 7 * SIZE[1]
    preview(clean, tmp_path / "sheet.png", count=3)
    sheet = read_image(tmp_path / "sheet.png", 10_000_000).pixels
    assert sheet.shape[0] > 3 * SIZE[0]
    assert sheet.shape[1] > 6 * SIZE[1]
    with pytest.raises(UsageError, match="exists"):
        preview(clean, tmp_path / "sheet.png")


def test_scenes_without_assets():
    scenes = SceneSource(None, 64).scenes(3, seed=0)
    assert scenes.frame0.shape == (3, 3, 64, 64)
    assert float(scenes.frame0.std()) > 0.05


def test_wrong_calls_are_refused(assets, tmp_path):
    with pytest.raises(UsageError, match="at least 32x32"):
        SceneSource(assets, 16).scenes(1, seed=0)
    with pytest.raises(FileError, match="manifest"):
        SceneSource(tmp_path, 64)
    (tmp_path / "manifest.json").write_text('[{"file": "sprites/none.png"}]')
    with pytest.raises(FileError, match="cannot read"):
        SceneSource(tmp_path, 64)
    (tmp_path / "manifest.json").write_text('["sprites/none.png"]')
    with pytest.raises(FileError, match="`file`"):
        SceneSource(tmp_path, 64)


def test_scenes_of_the_shared_assets(shared, tmp_path):
    records = json.loads((shared / "assets" / "manifest.json").read_text())
    few = [r for r in records if "sprites" in r["file"]][:40:5] + [r for r in records if "backgrounds" in r["file"]][:4]
    for record in few:
        copy = tmp_path / record["file"]
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((shared / "assets" / record["file"]).read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(few))
    scenes = SceneSource(tmp_path, 128, degraded=False).scenes(8, seed=3)
    where = (spread(scenes.occluded01, 3) == 0) & away_from_edges(scenes.label0)
    error = mean_error(backward_warp(scenes.frame1, scenes.flow01), scenes.frame0, where)
    # painted backgrounds are rougher than the two resamplings between the frames can keep
    assert error.mean() < 2
    assert error.max() < 6


def test_scenes_come_as_triplets_with_true_flow():
    first, again, other = (next(scene_triplets.triplets(None, seeds)) for seeds in ((1, 2), (1, 2), (1, 3)))
    assert first.frame0.shape == (*scene_triplets.SIZE, 3)
    assert first.frame0.dtype == np.uint8
    assert np.array_equal(first.truth, again.truth)
    assert not np.array_equal(first.truth, other.truth)
    assert first.flow01.shape == (2, *scene_triplets.SIZE)
    assert not first.flow01[:, ~first.known0].any()
