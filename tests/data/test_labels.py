"""Labels of training crops: drawings of a model at known times in place of the true frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from animeinterp import load_interpolator
from animeinterp.data.crop_store import CropStore
from animeinterp.data.crops import cut_crops, write_crops
from animeinterp.data.labels import Labels, choose_times
from animeinterp.data.types import Triplet
from conftest import draw_scene

LABELS = Labels("classical", times=3)


def triplet() -> Triplet:
    return Triplet(*(draw_scene(shift, (160, 112)) for shift in (0, 4, 8)), 0.5)


def source(seeds):
    while True:
        yield triplet()


def cut(labels: Labels | None, given: Triplet | None = None, seed: int = 0):
    return cut_crops(given or triplet(), np.random.default_rng(seed), size=64, count=2, labels=labels)


def test_every_crop_occurs_with_a_drawing_at_each_time():
    plain, labeled = cut(None), cut(LABELS)
    count = len(plain["t"])
    assert count >= 1
    assert len(labeled["t"]) == 3 * count
    assert np.array_equal(labeled["coarse"][::3], plain["coarse"])
    interpolator, frames = load_interpolator("classical", "cpu"), triplet()
    for index in range(3 * count):
        frame0, label, frame1 = labeled["frames"][index]
        assert np.array_equal(frame0, plain["frames"][index // 3, 0])
        assert np.array_equal(frame1, plain["frames"][index // 3, 2])
        drawn = interpolator(frames.frame0, frames.frame1, float(labeled["t"][index])).transpose(2, 0, 1)
        windows = np.lib.stride_tricks.sliding_window_view(drawn, (3, 64, 64))
        assert (windows == label).all((-3, -2, -1)).any(), "cut from the whole drawing"
        assert (label != plain["frames"][index // 3, 1]).any()


@pytest.mark.parametrize("count", [1, 3, 8])
def test_times_are_spread_over_the_middle(count):
    rng = np.random.default_rng(0)
    times = np.array([choose_times(count, rng) for _ in range(50)])
    edges = np.linspace(0.1, 0.9, count + 1)
    assert times.dtype == np.float32
    assert (times >= edges[:-1].astype(np.float32)).all()
    assert (times <= edges[1:].astype(np.float32)).all()
    assert times.std(0).min() > 0.1 / count, "at random within each part"


def test_crops_are_dropped_where_the_model_is_clearly_wrong():
    frames = triplet()
    assert len(cut(LABELS)["t"]) > 0
    assert len(cut(LABELS, frames._replace(truth=255 - frames.truth))["t"]) == 0, "far from the true frame"
    faded = cv2.addWeighted(frames.frame0, 0.5, frames.frame1, 0.5, 0)
    assert len(cut(LABELS, frames._replace(truth=faded))["t"]) == 0, "no better than a cross-fade"


def test_nothing_is_labeled_where_nothing_moves():
    still = draw_scene(0, (160, 112))
    labeled = cut(LABELS, Triplet(still, still, still, 0.5))
    assert {len(array) for array in labeled.values()} == {0}


def test_a_store_of_labels_depends_on_its_seed_only(tmp_path, monkeypatch):
    monkeypatch.setattr("animeinterp.data.crops.CROPS_PER_SHARD", 4)
    first, again, other = (
        load_file(next(write_crops(tmp_path / name, source, 1, size=64, seed=seed, labels=LABELS)))
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert len(first["t"]) == 4
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["t"], other["t"])


def test_batches_of_labels_have_no_known_flow(tmp_path):
    save_file({name: np.ascontiguousarray(array) for name, array in cut(LABELS).items()}, tmp_path / "0.safetensors")
    batch = CropStore(tmp_path).batch(0, 3, size=48)
    assert not batch.known0.any()
    assert not batch.flow10.any()
    assert batch.coarse01.any()
    assert batch.truth.std() > 0
