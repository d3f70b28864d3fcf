"""`cel`: what holds before training, and whatever the weights are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from animeinterp.config import CEL, CEL_FAST, CelConfig
from animeinterp.errors import FrameError
from animeinterp.net.cel.encoder import Levels
from animeinterp.net.cel.model import Cel
from animeinterp.net.classical import compose, warp
from animeinterp.net.flow_pair import CoarseFlowPair
from animeinterp.net.ops.consistency import consistency

SMALL = CelConfig(widths=(8, 8, 16), synthesis_widths=(8, 8, 16, 16), iterations=2)


def trained_like(config=SMALL, seed=0) -> Cel:
    """Weights that are nowhere zero, as after training."""
    torch.manual_seed(seed)
    network = Cel(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


def pair(height=64, width=96, shift=8, seed=0):
    """Smooth texture that moves `shift` px to the right, its middle, and its flows with confidence."""
    noise = torch.rand(1, 3, height // 4 + 1, (width + shift) // 4 + 1, generator=torch.Generator().manual_seed(seed))
    wide = F.interpolate(noise, (height, width + shift), mode="bicubic").clamp(0, 1)
    frames = [wide[..., shift - s : shift - s + width] for s in (0, shift // 2, shift)]
    flow = torch.zeros(1, 2, height, width)
    flow[:, 0] = shift
    confidence = torch.ones(1, 1, height, width)
    return frames[0], frames[1], frames[2], flow, -flow, confidence


def run(network: Cel, frame0, frame1, flow01, flow10, confidence, t=0.5):
    return network(frame0, frame1, CoarseFlowPair(flow01, flow10, confidence, confidence), torch.tensor([t]))


@pytest.mark.parametrize("size", [(64, 96), (67, 83)])  # 67: what is added to reach a multiple of 16 must not show
@pytest.mark.parametrize("upright", [False, True])
def test_untrained_it_is_the_rule_of_the_classical_preset(size, upright):
    frame0, true, frame1, flow01, flow10, _ = pair(*size)
    if upright:
        frame0, true, frame1 = (frame.transpose(2, 3) for frame in (frame0, true, frame1))
        flow01, flow10 = (flow.flip(1).transpose(2, 3) for flow in (flow01, flow10))
    importance0, importance1 = consistency(frame0, frame1, flow01, flow10), consistency(frame1, frame0, flow10, flow01)
    warped0, warped1 = warp(frame0, flow01, importance0, 0.5), warp(frame1, flow10, importance1, 0.5)
    rule = compose(frame0, frame1, warped0, warped1, 0.5)
    network = Cel(replace(SMALL, iterations=0, apply_gate=False)).eval()
    with torch.inference_mode():
        drawn = run(network, frame0, frame1, flow01, flow10, importance0).frame
    torch.testing.assert_close(drawn, rule, atol=0.01, rtol=0)
    assert (drawn - true)[..., 12:-12, 12:-12].abs().mean() < 2e-3


def test_coarse_flow_that_fits_is_kept():
    frame0, _, frame1, flow01, flow10, confidence = pair()
    network = Cel(SMALL).eval()
    with torch.no_grad():
        network.refinement.gate.bias.zero_()
        network.refinement.step.head2.bias.fill_(0.2)  # 1.6 px a step: wrong where the coarse flow is right
    for wrong, kept in ((0, True), (-5, False)):
        coarse01, coarse10 = (flow + wrong for flow in (flow01, flow10))
        with torch.inference_mode():
            found = run(network, frame0, frame1, coarse01, coarse10, confidence).flows.flow01
        changed = (found - coarse01)[..., 16:-16, 16:-16].mean()
        assert (changed < 1.4) == kept, changed


def test_untrained_refinement_leaves_the_coarse_flow():
    frame0, _, frame1, flow01, flow10, confidence = pair()
    with torch.inference_mode():
        flows = run(Cel(SMALL).eval(), frame0, frame1, flow01, flow10, confidence).flows
    inside = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(flows.flow01[inside], flow01[inside], rtol=2e-3, atol=0)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (50, 100)])
def test_frames_keep_their_size(size):
    frame0, _, frame1, flow01, flow10, confidence = (p[..., : size[0], : size[1]] for p in pair(112, 112))
    with torch.inference_mode():
        output = run(trained_like(), frame0, frame1, flow01, flow10, confidence)
    assert output.frame.shape == (1, 3, *size)
    assert output.flows.flow01.shape == (1, 2, *size)
    assert torch.isfinite(output.frame).all()


def test_swapping_the_frames_swaps_the_flows():
    frame0, _, frame1, flow01, flow10, confidence = pair()
    network = trained_like()
    with torch.inference_mode():
        there = run(network, frame0, frame1, flow01, flow10, confidence).flows
        back = run(network, frame1, frame0, flow10, flow01, confidence).flows
    torch.testing.assert_close(there.flow01, back.flow10, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(there.z0, back.z1, atol=1e-5, rtol=1e-5)


def test_large_frames_are_looked_at_small_and_drawn_large():
    frame0, _, frame1, flow01, flow10, confidence = pair(128, 192)
    plain = replace(SMALL, iterations=0, apply_gate=False)
    whole, large = (
        Cel(plain).eval(),
        Cel(replace(plain, network_pixel_fraction=1.0, network_pixel_range=(0, 64 * 96))).eval(),
    )
    with torch.inference_mode():
        assert large.encode(frame0).half.shape[-2:] == (32, 48)
        expected = run(whole, frame0, frame1, flow01, flow10, confidence).frame
        drawn = run(large, frame0, frame1, flow01, flow10, confidence).frame
    assert drawn.shape == frame0.shape
    assert (drawn - expected).square().mean().sqrt() < 0.005


def test_alpha_is_drawn_as_the_colors_are():
    frame0, _, frame1, flow01, flow10, confidence = pair()
    network = trained_like()
    with torch.inference_mode():
        network.chooser.head.weight[-12:], network.chooser.head.bias[-12:] = 0, 0  # the residual's
        levels = network.encode(frame0), network.encode(frame1)
        flows = network.flow(frame0, frame1, *levels, CoarseFlowPair(flow01, flow10, confidence, confidence))
        time = torch.tensor([0.5])
        plain = network.synthesize(frame0, frame1, *levels, flows, time)
        with_alpha = [torch.cat([frame, frame[:, :1]], 1) for frame in (frame0, frame1)]
        drawn = network.synthesize(*with_alpha, *levels, flows, time)
    torch.testing.assert_close(drawn[:, :3], plain)
    torch.testing.assert_close(drawn[:, 3], drawn[:, 0])


def test_gradients_reach_every_parameter():
    frame0, true, frame1, flow01, flow10, confidence = pair()
    network = trained_like().train()
    output = run(network, frame0, frame1, flow01 + 1.3, flow10, 0.5 * confidence, 0.4)
    assert len(output.steps01) == SMALL.iterations
    loss = (output.frame - true).square().mean()
    for flow in (*output.steps01, output.flows.flow01, *output.steps10, output.flows.flow10):
        loss = loss + flow.square().mean()
    loss.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


@pytest.mark.parametrize(("config", "budget"), [(CEL.network, 50), (CEL_FAST.network, 26)], ids=["cel", "cel-fast"])
def test_it_keeps_to_its_budget(config, budget):
    """GFLOP per new frame of 960x540, while streaming: one encoding, one pair, one synthesis."""
    frame0, _, frame1, flow01, flow10, confidence = pair(272, 480)
    network = Cel(replace(config, network_pixel_range=(0, 2_200_000))).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        levels: Levels = network.encode(frame0)
        flows = network.flow(frame0, frame1, levels, levels, CoarseFlowPair(flow01, flow10, confidence, confidence))
        network.synthesize(frame0, frame1, levels, levels, flows, torch.tensor([0.5]))
    # The counter does not know the compiled lookup: 3 levels of 10x10 inner products of 96, both ways, 4 times.
    lookups = 4 * 2 * 3 * 100 * 96 * 2 * levels.eighth[0, 0].numel()
    assert (counted.get_total_flops() + lookups) * (960 * 540) / (272 * 480) < budget * 1e9


@pytest.mark.parametrize(
    ("size", "looked_at"),
    [((270, 480), (270, 480)), ((300, 500), (279, 465)), ((540, 960), (382, 679)), ((4320, 7680), (1112, 1978))],
)
def test_it_looks_at_less_of_large_frames(size, looked_at):
    assert Cel(replace(SMALL, network_pixel_range=CelConfig().network_pixel_range)).seen_size(size) == looked_at


def test_coarse_flow_keeps_its_own_size():
    """Untrained nothing is added to it: a border of motion between two pixels stays between them."""
    frame0, _, frame1, flow01, flow10, confidence = pair(128, 192)
    flow01, flow10 = flow01.clone(), flow10.clone()
    flow01[..., 97:], flow10[..., 97:] = 0, 0
    network = Cel(replace(SMALL, iterations=0, apply_gate=False, network_pixel_range=(0, 10**6))).eval()
    with torch.inference_mode():
        flows = run(network, frame0, frame1, flow01, flow10, confidence).flows
    assert torch.equal(flows.flow01, flow01)
    assert torch.equal(flows.flow10, flow10)


def test_small_frames_are_refused():
    with pytest.raises(FrameError, match="16x16"):
        Cel(SMALL).encode(torch.zeros(1, 3, 15, 40))
