"""Synthetic scenes: their ground truth is exact, and they depend on seed and index only."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from animeinterp.data.preview import draw_sheet, write_preview
from animeinterp.data.synthetic.compositing import build_layers, find_hidden, follow_points, render
from animeinterp.data.synthetic.dataset import TRIPLET_SIZE, SceneSource, render_scenes, to_batch, triplets
from animeinterp.data.synthetic.degrade import compress, grain_tile
from animeinterp.data.synthetic.motions import MAX_STEEPNESS, WAVES, Waves, sample_timing, sample_waves
from animeinterp.data.synthetic.rng import SceneRng
from animeinterp.data.synthetic.scene_spec import LayerStyles, SceneSpec, sample_scenes
from animeinterp.data.synthetic.simulated_sgm import SimulatedFlow, simulate_sgm
from animeinterp.errors import FileError, UsageError
from animeinterp.io.images import read_image
from animeinterp.net.ops.geometry import backward_warp, pixel_grid

SIZE = (72, 96)


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """An assets folder with three sprites and two backgrounds, smooth inside."""
    folder = tmp_path_factory.mktemp("assets")
    y, x = np.mgrid[0:160, 0:200] / 40
    records = []
    for number in range(5):
        kind = "sprites" if number < 3 else "backgrounds"
        file = folder / kind / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        waves = [np.sin(x * (1 + c / 2) + number) * np.cos(y + c) for c in range(3)]
        image = np.rint(127 + 100 * np.stack(waves, 2)).astype(np.uint8)
        if kind == "sprites":
            alpha = cv2.circle(np.zeros(x.shape, np.uint8), (100, 80), 70 - 10 * number, 255, -1, cv2.LINE_AA)
            image = np.dstack([image, alpha])
        cv2.imwrite(str(file), image)
        records.append({"file": f"{kind}/{number}.png", "license": "CC0-1.0"})
    (folder / "manifest.json").write_text(json.dumps(records))
    return folder


@pytest.fixture(scope="module")
def clean(assets):
    return SceneSource(assets, SIZE, degraded=False)


def dilate(mask, radius):
    return F.max_pool2d(mask.float(), 2 * radius + 1, 1, radius)


def away_from_edges(label, radius=3):
    label = label[:, None].float()
    return dilate(label, radius) == -dilate(-label, radius)


def mean_error(a, b, where):
    """Mean absolute difference of each scene within the mask, in 1/255."""
    return ((a - b).abs().mean(1, keepdim=True) * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1) * 255


def hand_made(
    textures, halves, centers, *, amplitude=0.0, opacity=(1, 1, 1), size=(64, 64), background=None, turns=(0, 0)
):
    """One scene: a static background, and square layers of half side `halves`, px, about centers[layer][time]."""
    count = len(textures)
    linear = np.zeros((3, 1 + count, 2, 2))
    linear[:] = np.eye(2) * np.array([max(size) / 2, *halves])[:, None, None]
    angle = np.array([turns[0], sum(turns) / 2, turns[1]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear[:, 1:] = rotation[:, None] @ linear[:, 1:]
    middle = np.full((3, 1, 2), [(size[1] - 1) / 2, (size[0] - 1) / 2])
    shift = np.concatenate([middle, np.array(centers, float).transpose(1, 0, 2)], 1)
    amplitudes = amplitude * np.array([1.0, -0.4, -1.0])[:, None, None, None] * np.ones((3, 1 + count, WAVES, 2))
    amplitudes[:, 0] = 0
    waves = Waves(amplitudes, np.full((1 + count, WAVES, 2), [1.7, 1.1]), np.arange(2.0)[None].repeat(1 + count, 0))
    opacities = np.ones((3, 1 + count))
    opacities[:, 1:] = np.array(opacity)[:, None]
    rank = np.arange(1 + count)
    styles = LayerStyles(**{field: np.ones(count) for field in LayerStyles._fields})
    spec = SceneSpec(
        times=np.array([[0.0], [0.5], [1.0]]), scene=0 * rank, rank=rank,
        to_frame=np.concatenate([linear, shift[..., None]], -1), waves=waves, opacity=opacities,
        background=np.zeros(1, np.int64), background_color=np.zeros((1, 3, 4)), styles=styles,
    )  # fmt: skip
    background = torch.full((1, 3, *[max(size)] * 2), 0.2) if background is None else background
    return build_layers(spec, background, torch.stack(textures), size)


def test_true_flow_warps_one_frame_to_the_other(clean):
    scenes = clean.scenes(16, seed=1)
    for frame, other, flow, occluded, label in (
        (scenes.frame0, scenes.frame1, scenes.flow01, scenes.occluded01, scenes.label0),
        (scenes.frame1, scenes.frame0, scenes.flow10, scenes.occluded10, scenes.label1),
    ):
        where = (dilate(occluded, 3) == 0) & away_from_edges(label)
        assert where.float().mean() > 0.3
        assert mean_error(backward_warp(other, flow), frame, where).max() < 2
        # Occluded points differ: the mask is not just large.
        assert mean_error(backward_warp(other, flow), frame, occluded > 0).mean() > 10
    for frame, flow, occluded, label in (
        (scenes.frame0, scenes.flow0t, scenes.occluded01, scenes.label0),
        (scenes.frame1, scenes.flow1t, scenes.occluded10, scenes.label1),
    ):
        where = (dilate(occluded, 3) == 0) & away_from_edges(label)
        # Few layers pass in front of a point that is visible at both ends.
        assert mean_error(backward_warp(scenes.truth, flow), frame, where).mean() < 2
    assert scenes.flow01.norm(dim=1).amax((1, 2)).median() > 3


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("start", [0, 2])
def test_flow_is_exact_for_deformed_layers(start, time):
    along = (torch.arange(64) + 0.5) / 64
    y, x = torch.meshgrid(along, along, indexing="ij")
    ramp = torch.stack([x, y, 0 * x, torch.ones_like(x)])  # the color is the position in the texture
    steepness = MAX_STEEPNESS / WAVES / np.hypot(1.7, 1.1) / np.sqrt(2)
    layers = hand_made(
        [ramp], [20], [[(31, 36), (37, 31), (44, 36)]], amplitude=steepness, size=(72, 80), turns=(-0.3, 0.4)
    )
    (frame, label), (other, _) = render(layers, start, (72, 80)), render(layers, time, (72, 80))
    (points,) = follow_points(layers, label, start, (time,))
    visible = ~find_hidden(layers, label, points, time)[:, None] & away_from_edges(label, 2) & (label[:, None] == 1)
    flow = points - pixel_grid(frame)
    warped = backward_warp(other, flow)
    # Ignore where bilinear sampling reaches the layer's edge in the other frame.
    visible &= backward_warp(dilate(render(layers, time, (72, 80))[1][:, None] == 0, 1), flow) == 0
    assert visible.float().mean() > 0.1
    assert ((warped - frame)[:, :2].abs() * 40 * visible).max() < 0.05  # px: the texture is 40 px wide
    if start == time:
        assert flow.abs().max() < 1e-3


def test_a_square_occludes_the_wall_behind_it():
    square = torch.ones(4, 20, 20)
    layers = hand_made([square], [10], [[(21.5, 31.5), (26.5, 31.5), (31.5, 31.5)]])
    scenes = render_scenes(layers, torch.tensor([0.5]), (64, 64))
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


def test_points_that_leave_or_vanish_are_occluded():
    square = torch.ones(4, 20, 20)
    away = [[(31.5, 31.5), (45.5, 31.5), (61.5, 31.5)]]
    scenes = render_scenes(hand_made([square], [10], away), torch.tensor([0.5]), (64, 64))
    assert scenes.occluded01[0, 0, 30, 40] == 1  # lands at x = 70
    assert scenes.occluded01[0, 0, 30, 25] == 0
    scenes = render_scenes(
        hand_made([square], [10], [[(31.5, 31.5)] * 3], opacity=(1, 1, 0)), torch.tensor([0.5]), (64, 64)
    )
    box = scenes.label0[0] == 1
    assert int(box.sum()) == 400
    assert torch.equal(scenes.occluded01[0, 0] > 0, box)
    assert torch.equal(scenes.known0[0, 0] == 0, box)
    assert int(scenes.label1.sum()) == 0
    # Frame 1 shows only the wall, which the square covers in frame 0.
    assert torch.equal(scenes.occluded10[0, 0] > 0, box)
    assert bool(scenes.known1.all())


def test_the_layer_in_front_is_visible():
    square = torch.ones(4, 20, 20)
    centers = [[(31.5, 31.5)] * 3, [(21.5, 31.5), (26.5, 31.5), (31.5, 31.5)]]
    scenes = render_scenes(hand_made([square, 0.5 * square], [10, 10], centers), torch.tensor([0.5]), (64, 64))
    assert scenes.label0[0, 30, 25] == 2
    assert scenes.label0[0, 30, 35] == 1
    assert scenes.occluded01[0, 0, 30, 35] == 1
    assert torch.allclose(scenes.frame1[0, :, 30, 31], torch.tensor(0.5 + 0.5 * 1.0))
    assert scenes.occluded10[0, 0, 30, 31] == 0


def test_waves_are_invertible():
    waves = sample_waves(SceneRng(3, range(50)), np.array([[0.0], [0.5], [1.0]]).repeat(50, 1)[..., None], 1.0, 1)
    slope = np.linalg.norm(waves.amplitude, axis=-1) * np.linalg.norm(waves.frequency, axis=-1)
    assert 0.2 < slope.sum(-1).max() <= MAX_STEEPNESS + 1e-9


def test_timing_starts_at_0_and_ends_at_1():
    rng = SceneRng(0, range(300))
    times = np.stack([np.zeros(300), np.full(300, 0.5), np.ones(300)])
    along = sample_timing(rng, times)
    assert np.allclose(along[0], 0)
    assert np.allclose(along[2], 1)
    middle = along[1]
    assert 0.5 < (np.abs(middle - 0.5) < 1e-9).mean() < 0.95
    assert middle.min() < 0.4
    assert middle.max() > 0.6


def test_paths_are_mostly_short():
    spec = sample_scenes(SceneRng(2, range(200)), (256, 256), 10, 10)
    assert 0.4 < (spec.times[1] == 0.5).mean() < 0.6
    assert spec.times[1].min() >= 0.1
    assert spec.times[1].max() <= 0.9
    centers = spec.to_frame[..., 2]
    moved = np.linalg.norm(centers[2] - centers[0], axis=-1) / 256
    assert np.median(moved) < 0.06
    assert 0.2 < np.percentile(moved, 99) < 0.5
    assert np.bincount(spec.rank)[0] == 200


def test_a_scene_depends_on_seed_and_index_only(assets, clean):
    source = SceneSource(assets, SIZE)
    together = source.scenes(4, seed=7)
    for index in (0, 3):
        for name, alone in source.scenes(1, seed=7, start=index)._asdict().items():
            assert torch.equal(alone[0], getattr(together, name)[index]), name
    assert torch.equal(together.truth, SceneSource(assets, SIZE).scenes(4, seed=7).truth)
    assert not torch.equal(together.frame0, source.scenes(4, seed=8).frame0)
    # Only the input frames are degraded.
    assert torch.equal(together.truth, clean.scenes(4, seed=7).truth)


def test_batches_start_at_any_number_and_differ_by_rank(clean):
    first, second = itertools.islice(clean.batches(2, 48, 5, start=0, rank=0, world=2), 2)
    (again,) = itertools.islice(clean.batches(2, 48, 5, start=1, rank=0, world=2), 1)
    (other,) = itertools.islice(clean.batches(2, 48, 5, start=1, rank=1, world=2), 1)
    assert first.frame0.shape == (2, 3, 48, 48)
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert not torch.equal(again.frame0, other.frame0)
    assert not torch.equal(first.frame0, second.frame0)


def test_confident_simulated_flow_is_close_to_the_true_flow(clean):
    scenes = clean.scenes(24, seed=2)
    coarse_flow = simulate_sgm(scenes, torch.Generator().manual_seed(0))
    again = simulate_sgm(scenes, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(coarse_flow, again, strict=True))
    given = coarse_flow.confidence0.amax((1, 2, 3)) > 0
    assert 0.2 < given.float().mean() < 0.8
    for coarse, confidence, flow, occluded in (
        (coarse_flow.coarse01, coarse_flow.confidence0, scenes.flow01, scenes.occluded01),
        (coarse_flow.coarse10, coarse_flow.confidence1, scenes.flow10, scenes.occluded10),
    ):
        assert not coarse[(confidence == 0).expand_as(coarse)].any()
        assert float(confidence.max()) <= 1
        moving = (flow.norm(dim=1, keepdim=True) > 4) & (confidence > 0.7) & (occluded == 0)
        error = (coarse - flow).norm(dim=1, keepdim=True)[moving].median()
        assert error < 0.3 * flow.norm(dim=1, keepdim=True)[moving].median()


def test_samples_have_the_ground_truth_of_the_scenes(clean):
    scenes = clean.scenes(2, seed=4)
    scenes = scenes._replace(known0=scenes.known0 * 0)
    zeros = torch.zeros_like(scenes.flow01)
    samples = to_batch(scenes, SimulatedFlow(zeros, zeros, zeros[:, :1], zeros[:, :1]))
    assert torch.equal(samples.truth, scenes.truth)
    assert torch.equal(samples.flow10, scenes.flow10)
    assert not samples.flow01.any()
    for name, tensor in samples._asdict().items():
        assert tensor.dtype == torch.float32, name
        assert torch.isfinite(tensor).all(), name


def test_the_loss_of_compression_depends_on_the_steps():
    frame = grain_tile(0)[None, None, :50, :70].expand(2, 3, -1, -1) * 0.05 + 0.5
    flat, corner = np.array([False, True]), np.array([[3, 5], [0, 7]])
    fine = compress(frame, np.array([0.01, 0.01]), flat, corner)
    coarse = compress(frame, np.array([2.0, 2.0]), flat, corner)
    assert fine.shape == frame.shape
    assert (fine - frame).abs().max() < 0.02
    assert (coarse - frame).abs().mean() > 0.02
    assert (coarse.mean() - frame.mean()).abs() < 0.01


def test_a_preview_has_one_row_per_sample(clean, tmp_path):
    assert draw_sheet(clean.scenes(2, seed=0)).shape[1] > 7 * SIZE[1]
    write_preview(clean, tmp_path / "sheet.png", count=3)
    sheet = read_image(tmp_path / "sheet.png", 10_000_000).pixels
    assert sheet.shape[0] > 3 * SIZE[0]
    assert sheet.shape[1] > 6 * SIZE[1]
    with pytest.raises(UsageError, match="exists"):
        write_preview(clean, tmp_path / "sheet.png")


def test_scenes_without_assets():
    scenes = SceneSource(None, 64).scenes(3, seed=0)
    assert scenes.frame0.shape == (3, 3, 64, 64)
    assert float(scenes.frame0.std()) > 0.05


def test_invalid_calls_are_rejected(assets, tmp_path):
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
    selected = [r for r in records if "sprites" in r["file"]][:40:5] + [
        r for r in records if "backgrounds" in r["file"]
    ][:4]
    for record in selected:
        copy = tmp_path / record["file"]
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((shared / "assets" / record["file"]).read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(selected))
    scenes = SceneSource(tmp_path, 128, degraded=False).scenes(8, seed=3)
    where = (dilate(scenes.occluded01, 3) == 0) & away_from_edges(scenes.label0)
    error = mean_error(backward_warp(scenes.frame1, scenes.flow01), scenes.frame0, where)
    # Painted backgrounds have detail that resampling twice between the frames does not preserve.
    assert error.mean() < 2
    assert error.max() < 6


def test_triplets_have_the_true_flow():
    first, again, other = (next(triplets(None, seeds)) for seeds in ((1, 2), (1, 2), (1, 3)))
    assert first.frame0.shape == (*TRIPLET_SIZE, 3)
    assert first.frame0.dtype == np.uint8
    assert np.array_equal(first.truth, again.truth)
    assert not np.array_equal(first.truth, other.truth)
    assert first.flow01.shape == (2, *TRIPLET_SIZE)
    assert not first.flow01[:, ~first.known0].any()
