from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from animeinterp.config import PAPER
from animeinterp.net.ops.backend import torch_only
from animeinterp.net.ops.correlation import Correlation
from animeinterp.net.ops.geometry import backward_warp, pixel_grid, scale_flow, upsample_convex
from animeinterp.net.paper.rfr import HIDDEN, RFR, SepConvGRU


def maps(n: int = 2, channels: int = 16, height: int = 11, width: int = 13) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(n, channels, height, width, generator=generator) for _ in range(2)]
    flow = 4 * torch.randn(n, 2, height, width, generator=generator)
    return *features, pixel_grid(flow) + flow


def test_correlation_at_whole_pixels_is_the_scaled_inner_product_and_x_varies_slowest() -> None:
    f0, f1, _ = maps()
    positions = pixel_grid(f0).expand(2, 2, 11, 13) + torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)
    with torch.no_grad():
        found = Correlation(f0, f1, levels=1, radius=1)(positions).view(2, 3, 3, 11, 13)
    n, y, x = 1, 5, 6
    for i in range(3):
        for j in range(3):
            expected = f0[n, :, y, x] @ f1[n, :, y - 1 + j - 1, x + 2 + i - 1] / 4
            torch.testing.assert_close(found[n, i, j, y, x], expected)
    assert found[:, :, :, 0, 12].count_nonzero() == 0, "outside the frame everything is 0"


@pytest.mark.parametrize("small", [0, 1024])
@pytest.mark.parametrize(("height", "width"), [(11, 13), (16, 8), (2, 2), (3, 7), (1, 9)])
def test_compiled_lookups_equal_the_volume(
    height: int, width: int, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("animeinterp.net.ops.correlation._SMALL", small)
    f0, f1, positions = maps(height=height, width=width)
    f0, f1 = f0.clone().requires_grad_(), f1.clone().requires_grad_()
    whole = Correlation(f0, f1, levels=4, radius=4)(positions.clone().requires_grad_())
    compiled = Correlation(f0, f1, levels=4, radius=4)(positions)
    assert compiled.shape == (2, 4 * 81, height, width)
    torch.testing.assert_close(compiled, whole, rtol=1e-4, atol=2e-5)
    pull = torch.randn(whole.shape, generator=torch.Generator().manual_seed(3))
    for found, expected in zip(*(torch.autograd.grad(out, (f0, f1), pull) for out in (compiled, whole)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 2000, 10000])
def test_chunked_lookup_equals_the_whole(chunk: int) -> None:
    f0, f1, positions = maps()
    # Positions with a gradient, and other devices than the CPU, go through the volume.
    positions = positions.clone().requires_grad_()
    whole = Correlation(f0, f1, levels=4, radius=4)(positions)
    parts = Correlation(f0, f1, levels=4, radius=4, chunk=chunk)(positions)
    torch.testing.assert_close(parts, whole)


def test_lookup_survives_positions_far_away_or_not_finite() -> None:
    f0, f1, positions = maps()
    with torch.no_grad():
        correlation = Correlation(f0, f1, levels=4, radius=4)
        expected = correlation(positions)
        for bad in (float("nan"), float("inf"), 1e30, -1e30):
            positions[0, :, 3, 4] = bad
            found = correlation(positions)
            assert found[0, :, 3, 4].count_nonzero() == 0
            assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_lookup_keeps_for_the_next_changes_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    f0, f1, positions = maps()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        correlation = Correlation(f0, f1, levels=3, radius=2)
        for step in (0.0, 0.2, 1.0, 4.0, 0.0, 30.0, 30.0, 0.5):
            positions = positions + step * torch.randn(positions.shape, generator=generator)
            positions[1, :, 2] = float("nan") if step == 4 else 3.25
            found = correlation(positions)
            assert torch.equal(found, Correlation(f0, f1, levels=3, radius=2)(positions))
            with torch_only():
                expected = Correlation(f0, f1, levels=3, radius=2)(positions.nan_to_num(1e4))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gru_with_context_worked_out_once_is_the_gru() -> None:
    torch.manual_seed(0)
    gru = SepConvGRU()
    hidden, context, motion = (torch.randn(1, 128, 6, 7) for _ in range(3))
    found = gru(hidden, motion, gru.cache_context(context))
    for i in ("1", "2"):
        everything = torch.cat([hidden, context, motion], 1)
        update = torch.sigmoid(getattr(gru, "convz" + i)(everything))
        reset = torch.sigmoid(getattr(gru, "convr" + i)(everything))
        candidate = torch.tanh(getattr(gru, "convq" + i)(torch.cat([reset * hidden, context, motion], 1)))
        hidden = (1 - update) * hidden + update * candidate
    torch.testing.assert_close(found, hidden, rtol=1e-4, atol=1e-6)


def test_convex_upsampling_of_a_mask_that_picks_the_center_repeats_the_flow() -> None:
    flow = torch.randn(2, 2, 3, 4)
    mask = torch.full((2, 9, 64, 3, 4), -100.0)
    mask[:, 4] = 100
    fine = upsample_convex(flow, mask.view(2, 576, 3, 4))
    expected = 8 * flow.repeat_interleave(8, 2).repeat_interleave(8, 3)
    torch.testing.assert_close(fine, expected)


def test_convex_upsampling_weighs_the_neighbors_by_the_mask() -> None:
    flow, mask = torch.randn(2, 2, 3, 4), torch.randn(2, 9 * 64, 3, 4)
    fine = upsample_convex(flow, mask)
    shares = mask.view(2, 9, 8, 8, 3, 4).softmax(1)
    neighbors = F.unfold(8 * flow, 3, padding=1).view(2, 2, 9, 3, 4)
    expected = torch.einsum("nkyxhw,nckhw->nchywx", shares, neighbors).reshape(2, 2, 24, 32)
    torch.testing.assert_close(fine, expected)
    torch.testing.assert_close(upsample_convex(flow, mask.to(memory_format=torch.channels_last)), expected)


def test_convex_upsampling_places_subpixels_by_row_and_column() -> None:
    flow = torch.zeros(1, 2, 3, 3)
    flow[0, 0, 1, 2] = 1  # the right neighbor of the center
    mask = torch.full((1, 9, 8, 8, 3, 3), -100.0)
    mask[:, 4] = 0
    mask[0, 4, 2, 7], mask[0, 5, 2, 7] = -100, 100  # subpixel (row 2, column 7) looks right
    fine = upsample_convex(flow, mask.view(1, 576, 3, 3))
    assert fine[0, 0, 8 + 2, 8 + 7] == 8
    assert fine[0, 0, 8 + 7, 8 + 2] < 1e-6


def test_scaled_flow_is_the_same_motion() -> None:
    flow = torch.tensor([6.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    for mode in ("nearest", "bilinear"):
        small = scale_flow(flow, (5, 10), mode)
        torch.testing.assert_close(small, torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 5, 10))
    assert scale_flow(flow, (20, 30)) is flow


def test_backward_warp_by_whole_pixels_is_an_exact_shift() -> None:
    image = torch.rand(1, 3, 5, 6)
    flow = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    warped = backward_warp(image, flow)
    torch.testing.assert_close(warped[..., :-1, :-2], image[..., 1:, 2:])
    torch.testing.assert_close(warped[..., -1, :], torch.zeros(1, 3, 6))
    torch.testing.assert_close(backward_warp(image, 0 * flow), image)


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    rfr = RFR(PAPER.network)
    frames = torch.rand(2, 3, 32, 40) * 2 - 1
    with torch.no_grad():
        features = rfr.encode(frames)
    coarse = torch.randn(1, 2, 32, 40)
    small = torch.nn.functional.interpolate(frames, (4, 5), mode="bilinear")
    return {
        "features0": features[:1], "features1": features[1:],
        "small0": small[:1], "small1": small[1:], "coarse": coarse,
    }  # fmt: skip


def test_the_gate_lies_in_0_to_1_and_scales_the_coarse_flow_only_where_applied(
    inputs: dict[str, torch.Tensor],
) -> None:
    torch.manual_seed(2)
    rfr = RFR(replace(PAPER.network, iterations=1))
    start = scale_flow(inputs["coarse"], (4, 5))
    with torch.no_grad():
        rfr.attention2.conv3.bias.fill_(2)
        gate = rfr.gate(inputs["small0"], inputs["small1"], start)
        assert 0 < gate.min() < gate.max() <= 1
        raw = rfr(**inputs)
        rfr.config = replace(PAPER.network, iterations=1, apply_gate=True)
        gated = rfr(**inputs)
    assert not torch.allclose(raw, gated, atol=1e-3)


def test_without_iterations_that_move_it_the_coarse_flow_enters_as_often_as_configured(
    inputs: dict[str, torch.Tensor],
) -> None:
    rfr = RFR(replace(PAPER.network, iterations=1))
    for layer in (rfr.update_block.flow_head.conv2, rfr.update_block.mask[2]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    inputs = {**inputs, "coarse": torch.full((1, 2, 32, 40), 3.0)}
    for times in (1, 2):
        rfr.config = replace(PAPER.network, iterations=1, coarse_flow_added=times)
        with torch.no_grad():
            flow = rfr(**inputs)
        torch.testing.assert_close(flow[..., 8:-8, 8:-8], torch.full((1, 2, 16, 24), 3.0 * times))


def test_gradients_reach_every_parameter_of_the_gated_network(inputs: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(3)
    rfr = RFR(replace(PAPER.network, iterations=2, apply_gate=True, coarse_flow_added=1))
    frames = torch.rand(2, 3, 32, 40) * 2 - 1
    features = rfr.encode(frames)
    flow = rfr(features[:1], features[1:], inputs["small0"], inputs["small1"], inputs["coarse"])
    flow.square().mean().backward()
    without = [name for name, p in rfr.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert features.shape[1] // 2 == HIDDEN
