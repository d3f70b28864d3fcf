"""Training crops: cutting, the store on disk, order and augmentation."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from animeinterp import load_interpolator
from animeinterp.data import crop_store, crops
from animeinterp.data.crop_store import CropStore, flip_crop, reverse_crop
from animeinterp.data.crops import cut_crops, write_crops
from animeinterp.data.types import Triplet
from animeinterp.errors import FileError, UsageError
from conftest import draw_scene

SHIFT = (3, -2)  # px, x and y


def moving_triplet() -> Triplet:
    return Triplet(*(draw_scene(shift, (160, 112)) for shift in (0, 4, 8)), 0.5)


def shifted_triplet() -> Triplet:
    """A random image, shifted, with its true flow everywhere."""
    pattern = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    frames = [np.roll(pattern, (k * SHIFT[1], k * SHIFT[0]), (0, 1)) for k in range(3)]
    flow = np.broadcast_to(2 * np.array(SHIFT, np.float32)[:, None, None], (2, 96, 96))
    return Triplet(*frames, 0.5, flow, -flow, np.ones((96, 96), np.bool_), np.ones((96, 96), np.bool_))


def source(seeds):
    while True:
        yield moving_triplet()


def nothing(seeds):
    static = draw_scene(0, (160, 112))
    return [Triplet(static, static, static, 0.5)]


def numbered_store(folder: Path, counts: tuple[int, ...] = (5, 4, 3), side: int = 12) -> CropStore:
    """Crops that differ only in t: crop k has t = (k + 1) / 100."""
    first = 0
    for index, count in enumerate(counts):
        t = (first + np.arange(count, dtype=np.float32) + 1) / 100
        shape = (side, side)
        arrays = {
            "frames": np.full((count, 3, 3, *shape), 100, np.uint8),
            "t": t,
            "coarse": np.ones((count, 2, 2, *shape), np.float16),
            "trust": np.full((count, 2, *shape), 255, np.uint8),
        }
        save_file(arrays, folder / f"{index:05}.safetensors")
        first += count
    return CropStore(folder)


def numbers(batch) -> list[int]:
    t = batch.t.numpy()
    return [round(100 * min(float(v), 1 - float(v))) for v in t]


def test_crops_are_parts_of_the_whole_frame_and_its_flow():
    triplet = moving_triplet()
    cut = cut_crops(triplet, np.random.default_rng(0), size=64, count=3)
    interpolator = load_interpolator("classical", "cpu")
    motion = interpolator.motion(interpolator.analyze(triplet.frame0), interpolator.analyze(triplet.frame1))
    assert 1 <= len(cut["t"]) <= 3
    assert cut["frames"].shape[1:] == (3, 3, 64, 64)
    assert cut["coarse"].shape[1:] == (2, 2, 64, 64)
    assert cut["trust"].dtype == np.uint8
    assert cut["trust"].min() >= 1
    whole = triplet.frame0.transpose(2, 0, 1)
    for frames, coarse in zip(cut["frames"], cut["coarse"], strict=True):
        assert (frames[0] != frames[2]).any()
        places = [
            (y, x) for y in range(49) for x in range(97) if np.array_equal(whole[:, y : y + 64, x : x + 64], frames[0])
        ]
        assert any(
            np.array_equal(motion.flow01[:, y : y + 64, x : x + 64].astype(np.float16), coarse[0]) for y, x in places
        )


def test_no_crops_are_cut_where_nothing_moves():
    cut = cut_crops(nothing(())[0], np.random.default_rng(0), size=64)
    assert {len(array) for array in cut.values()} == {0}


def test_frames_smaller_than_a_crop_are_refused():
    with pytest.raises(UsageError, match="ask for smaller crops"):
        cut_crops(moving_triplet(), np.random.default_rng(0), size=128)


def test_an_interrupted_store_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CROPS_PER_SHARD", 3)
    whole = list(write_crops(tmp_path / "whole", source, 2, size=64, seed=7))
    assert [path.name for path in whole] == ["00000.safetensors", "00001.safetensors"]
    list(write_crops(tmp_path / "broken", source, 1, size=64, seed=7))
    later = list(write_crops(tmp_path / "broken", source, 2, size=64, seed=7))
    assert [path.name for path in later] == ["00001.safetensors"]
    first, second = load_file(whole[1]), load_file(later[0])
    assert len(first["t"]) == 3
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not list((tmp_path / "broken").glob("*.part"))


def test_a_source_without_motion_is_refused(tmp_path):
    with pytest.raises(UsageError, match="something moves"):
        list(write_crops(tmp_path, nothing, 1, size=64))


@pytest.mark.parametrize("changes", [(m, u, t) for m in (0, 1) for u in (0, 1) for t in (0, 1)])
def test_flipped_flow_points_to_the_same_colors(changes):
    cut = cut_crops(shifted_triplet(), np.random.default_rng(0), size=64, count=1)
    flipped = flip_crop({name: array[0] for name, array in cut.items()}, *(bool(c) for c in changes))
    for crop in (flipped, reverse_crop(flipped)):
        dx, dy = crop["flow"][0, :, 0, 0].astype(int)
        inner = np.s_[:, 8:-8, 8:-8]
        warped = np.roll(crop["frames"][0], (dy, dx), (1, 2))
        assert np.array_equal(warped[inner], crop["frames"][2][inner])


def test_true_flow_reaches_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(crop_store, "NOISY_FRACTION", 0)
    cut = cut_crops(shifted_triplet(), np.random.default_rng(0), size=64, count=2)
    save_file({name: np.ascontiguousarray(array) for name, array in cut.items()}, tmp_path / "00000.safetensors")
    batch = CropStore(tmp_path).batch(0, 8, size=48)
    for frame0, frame1, flow in zip(batch.frame0, batch.frame1, batch.flow01, strict=True):
        dx, dy = (int(v) for v in flow[:, 0, 0])
        warped = torch.roll(frame0, (dy, dx), (1, 2))
        torch.testing.assert_close(warped[:, 8:-8, 8:-8], frame1[:, 8:-8, 8:-8])
    assert bool(batch.known0.eq(1).all())
    assert torch.equal(batch.flow01, -batch.flow10)


def test_batches_have_the_documented_shapes(tmp_path):
    batch = numbered_store(tmp_path).batch(0, 4, size=8)
    sizes = {name: tuple(tensor.shape) for name, tensor in batch._asdict().items()}
    assert sizes["frame0"] == sizes["frame1"] == sizes["truth"] == (4, 3, 8, 8)
    assert sizes["coarse01"] == sizes["flow10"] == (4, 2, 8, 8)
    assert sizes["confidence0"] == sizes["known1"] == (4, 1, 8, 8)
    assert sizes["t"] == (4,)
    assert {tensor.dtype for tensor in batch} == {torch.float32}
    assert not batch.known0.any()
    assert 0 <= float(batch.frame0.min()) <= float(batch.frame0.max()) <= 1


def test_every_crop_occurs_once_per_epoch(tmp_path):
    store = numbered_store(tmp_path)
    assert len(store) == 12
    epochs = [[n for step in range(first, first + 4) for n in numbers(store.batch(step, 3, 8))] for first in (0, 4)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(1, 13))] * 2
    assert epochs[0] != epochs[1]


def test_a_later_start_gives_the_same_batches(tmp_path):
    store = numbered_store(tmp_path)
    plain = list(islice(store.batches(5, 8, seed=1), 6))
    later = list(islice(store.batches(5, 8, seed=1, start=3), 3))
    for first, second in zip(plain[3:], later, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = next(store.batches(5, 8, seed=2))
    assert not torch.equal(other.t, plain[0].t)


def test_ranks_share_no_crop_of_an_epoch(tmp_path):
    store = numbered_store(tmp_path)
    parts = [[n for b in islice(store.batches(3, 8, rank=r, world=2), 2) for n in numbers(b)] for r in (0, 1)]
    assert sorted(parts[0] + parts[1]) == list(range(1, 13))


def test_damaged_stores_are_refused(tmp_path):
    with pytest.raises(FileError, match="found none"):
        CropStore(tmp_path)
    (tmp_path / "00000.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FileError, match="delete it"):
        CropStore(tmp_path)


def test_a_size_beyond_the_crops_is_refused(tmp_path):
    with pytest.raises(UsageError, match="write larger crops"):
        numbered_store(tmp_path).batch(0, 1, size=16)


def test_noise_is_added_to_the_inputs_only(tmp_path, monkeypatch):
    monkeypatch.setattr(crop_store, "NOISY_FRACTION", 1)
    batch = numbered_store(tmp_path).batch(0, 12, size=8)
    assert bool((batch.truth == batch.truth[..., :1, :1]).all())
    assert not bool((batch.frame0 == batch.truth).all())
