"""Losses on features of VGG-16, with random weights: values, squares, gradients, and when they count in a run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from animeinterp.metrics.lpips import load_vgg_lpips
from animeinterp.training.perceptual import PerceptualLosses, crop_squares, gram_distance
from animeinterp.training.train import LOG, compute_losses, mixing_ramp, run_network, train
from support.training_stub import Squares, squares, tiny, tiny_config
from support.vgg16_file import write_vgg16


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    return write_vgg16(tmp_path_factory.mktemp("vgg") / "vgg16.ckpt")


@pytest.fixture(scope="module")
def lpips(vgg16):
    return load_vgg_lpips(vgg16)


def test_the_gram_distance_equals_a_plain_restatement():
    features, expected = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    values = []
    for drawn, true in zip(features.double().numpy(), expected.double().numpy(), strict=True):
        grams = [np.einsum("ihw,jhw->ij", image, image) / (4 * 5 * 3) for image in (drawn, true)]
        values.append(((grams[0] - grams[1]) ** 2).sum() / (grams[1] ** 2).sum())
    assert float(gram_distance(features, expected)) == pytest.approx(np.mean(values), rel=1e-4)
    moved = expected.roll(2, 3)
    assert float(gram_distance(moved, expected)) < 1e-10, "where features are does not matter"


def test_one_pass_gives_both_losses(lpips):
    both = PerceptualLosses(lpips, 0, ("lpips", "gram"))
    samples = squares(2, 32, np.random.default_rng(0))
    passes = []
    hook = lpips.network.register_forward_hook(lambda *_: passes.append(torch.is_grad_enabled()))
    prediction = samples.frame0.clone().requires_grad_()
    losses = both(prediction, samples.truth)
    hook.remove()
    assert passes == [True, False], "of the prediction, and of the truth without gradient"
    assert losses["lpips"].detach() == pytest.approx(float(lpips(samples.frame0, samples.truth)), rel=1e-5)
    sum(losses.values()).backward()
    assert torch.isfinite(prediction.grad).all()
    assert prediction.grad.any()
    assert losses["gram"].detach() > 1e-4
    assert all(float(value) < 1e-8 for value in both(samples.truth, samples.truth).values())
    with torch.autocast("cpu", torch.bfloat16):
        fast = both(samples.frame0, samples.truth)
    assert fast["gram"].dtype == fast["lpips"].dtype == torch.float32
    assert float(fast["gram"]) == pytest.approx(float(losses["gram"].detach()), rel=0.1)


def test_only_what_is_asked_for_is_computed(lpips):
    samples = squares(1, 32, np.random.default_rng(0))
    assert list(PerceptualLosses(lpips, 16, ("gram",))(samples.frame0, samples.truth)) == ["gram"]


def test_squares_are_cut_at_the_same_random_place_of_each_sample():
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    image = (100 * rows + columns).expand(6, 1, -1, -1)
    even = torch.ones(6, 24, 32)
    torch.manual_seed(0)
    first, second = crop_squares((image, -image), 8, even)
    assert first.shape == (6, 1, 8, 8)
    assert torch.equal(first, -second)
    corners = first[:, 0, 0, 0]
    assert len(corners.unique()) > 3
    steps = first - corners.view(-1, 1, 1, 1)
    assert torch.equal(steps, (image[:1, :, :8, :8]).expand(6, -1, -1, -1))
    torch.manual_seed(0)
    assert torch.equal(crop_squares((image,), 8, even)[0], first)
    assert crop_squares((image,), 0, even)[0] is image
    assert crop_squares((image,), 24, even)[0] is image


def test_squares_are_cut_where_the_weights_are():
    image = torch.zeros(400, 1, 24, 32)
    weights = torch.zeros(400, 24, 32)
    image[..., 8:16, 16:24], weights[..., 8:16, 16:24] = 1, 3
    image[..., :8, :8], weights[..., :8, :8] = 2, 1
    torch.manual_seed(0)
    (cut,) = crop_squares((image,), 8, weights)
    heavy, light = ((cut == value).all(3).all(2).float().mean() for value in (1, 2))
    assert 0.65 < heavy < 0.85
    assert heavy + light > 0.99
    (unweighted,) = crop_squares((image,), 8, torch.zeros_like(weights))
    assert (unweighted == 0).all(3).all(2).float().mean() > 0.7, "without any error everywhere alike"


def test_perceptual_losses_start_at_a_step(tmp_path, vgg16):
    loss = {"lpips": 0.1, "gram": 0.1, "mixing": 0.5, "perceptual_from": 2, "perceptual_size": 16, "vgg": str(vgg16)}
    config = tiny_config(tmp_path, steps=4, log_every=1, loss=loss, precision="bf16")
    train(config, network=tiny(), sources=[(Squares(), 1.0)])
    with (tmp_path / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("lpips", "gram"):
        assert [bool(row[name]) for row in rows] == [False, False, True, True]
    assert all(row["mixing"] for row in rows), "its value is logged from the beginning"


def test_the_weight_of_mixing_grows_to_the_last_step():
    config = tiny_config(Path(), steps=11, loss={"perceptual_from": 5, "mixing": 2.0})
    assert [mixing_ramp(config, step) for step in (0, 5, 8, 10, 20)] == pytest.approx([0, 0, 0.6, 1, 1])
    samples = squares(1, 32, np.random.default_rng(0))
    output = run_network(tiny(), samples)._replace(mixing=torch.tensor(3.0))
    total, parts = compute_losses(config.loss, output, samples, ramp=0.25)
    without, _ = compute_losses(config.loss, output, samples, ramp=0.0)
    assert float(parts["mixing"]) == 3
    assert float((total - without).detach()) == pytest.approx(2 * 0.25 * 3, rel=1e-4)
