"""`cel`: what holds before training, and whatever the weights are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from animeinterp.config import CEL, CEL_FAST, CONSISTENCY, CelConfig
from animeinterp.errors import FrameError
from animeinterp.net.cel.model import Cel, importance_of
from animeinterp.net.cel.synthesis import agreement_of, draw_by_matching
from animeinterp.net.classical import compose, warp
from animeinterp.net.flow_pair import CoarseFlowPair
from animeinterp.net.ops.consistency import consistency
from animeinterp.net.ops.frame_splatting import splat_frame
from animeinterp.net.ops.intermediate_flow import MULTIPLE, IntermediateFlow, IntermediateMotion, draw_by_flow
from animeinterp.training.initial import load_public_flow

INSIDE = (..., slice(12, -12), slice(12, -12))


def trained_like(config=None, seed=0) -> Cel:
    """Weights that are nowhere zero, as after training."""
    torch.manual_seed(seed)
    network = Cel(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


def untrained(moves=(0.0, 0.0), config=None, logit=0.0) -> Cel:
    """A network whose flow is that of a pan.

    moves: x of the flow to frame 0 and to frame 1, px of the size it sees. logit: of frame 0's weight.
    """
    torch.manual_seed(0)
    network = Cel(config).eval()
    with torch.no_grad():
        for parameter in network.intermediate.parameters():
            parameter.zero_()
        bias = network.intermediate.block0.lastconv[0].bias.view(6, 4)
        bias[0], bias[2] = (move / 8 for move in moves)  # the first block sees an eighth of the size
        bias[4] = logit
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
    coarse = CoarseFlowPair(flow01, flow10, confidence, confidence)
    return network(frame0, frame1, coarse, torch.tensor([t])).frame


def rule_of_classical(frame0, frame1, flow01, flow10, t=0.5):
    """The frame of `classical`, and the importance of both flows."""
    importance0, importance1 = consistency(frame0, frame1, flow01, flow10), consistency(frame1, frame0, flow10, flow01)
    warped0, warped1 = warp(frame0, flow01, importance0, t), warp(frame1, flow10, importance1, 1 - t)
    return compose(frame0, frame1, warped0, warped1, t), CoarseFlowPair(flow01, flow10, importance0, importance1)


@pytest.mark.parametrize("size", [(64, 96), (67, 83)])  # 67: what is added to reach a multiple of 32 must not show
@pytest.mark.parametrize("upright", [False, True])
def test_untrained_it_is_the_rule_of_classical_where_both_ways_agree(size, upright):
    frame0, true, frame1, flow01, flow10, _ = pair(*size)
    network = untrained((-4, 4))
    if upright:
        frame0, true, frame1 = (frame.transpose(2, 3) for frame in (frame0, true, frame1))
        flow01, flow10 = (flow.flip(1).transpose(2, 3) for flow in (flow01, flow10))
        with torch.no_grad():
            bias = network.intermediate.block0.lastconv[0].bias.view(6, 4)
            bias.copy_(bias[[1, 0, 3, 2, 4, 5]])
    rule, coarse = rule_of_classical(frame0, frame1, flow01, flow10)
    with torch.inference_mode():
        drawn = network(frame0, frame1, coarse, torch.tensor([0.5])).frame
    torch.testing.assert_close(drawn[INSIDE], rule[INSIDE], atol=0.002, rtol=0)
    assert (drawn - true)[INSIDE].abs().mean() < 2e-3


def test_untrained_it_is_the_flow_network_where_they_do_not_agree():
    frame0, true, frame1, flow01, flow10, confidence = pair()
    with torch.inference_mode():
        # Segment matching is wrong here, and sure of itself.
        by_flow = run(untrained((-4, 4)), frame0, frame1, flow01 - 20, flow10 + 20, confidence)
        # Here the flow network is, and nothing tells which of the two is right.
        unmoved = run(untrained(), frame0, frame1, flow01, flow10, confidence)
    assert (by_flow - true)[INSIDE].abs().median() < 0.005
    fade = (frame0 + frame1) / 2
    assert (unmoved - fade)[INSIDE].abs().median() < 0.005
    assert (fade - true)[INSIDE].abs().median() > 0.05


@pytest.mark.parametrize(("t", "moves"), [(0.25, (-2, 6)), (0.75, (-6, 2))])
def test_nearer_frames_count_more_in_the_rule(t, moves):
    frame0, _, frame1, flow01, flow10, _ = pair()
    frame1 = 0.98 * frame1  # 5 levels: what is drawn shows whose color it is, and both ways still agree
    rule, coarse = rule_of_classical(frame0, frame1, flow01, flow10, t)
    with torch.inference_mode():
        drawn = untrained(moves, logit=math.log((1 - t) / t))(frame0, frame1, coarse, torch.tensor([t])).frame
    torch.testing.assert_close(drawn[INSIDE], rule[INSIDE], atol=0.002, rtol=0)


@pytest.mark.parametrize(("logit", "side"), [(9.0, 0), (-9.0, 1)])
def test_the_flow_network_weighs_its_two_frames(logit, side):
    frame0, _, frame1, flow01, flow10, confidence = pair()
    with torch.inference_mode():
        drawn = run(untrained(logit=logit), frame0, frame1, flow01 - 20, flow10 + 20, confidence)
    assert (drawn - (frame0, frame1)[side])[INSIDE].abs().median() < 0.005


@pytest.mark.parametrize(("levels", "expected"), [(0, 1.0), (6, 0.5), (12, 0.0), (40, 0.0)])
def test_agreement_falls_with_the_difference(levels, expected):
    """As in `studio`: for a wide difference the tolerance is 6 levels with a softness of 2."""
    by_matching = torch.full((1, 3, 32, 48), 0.4)
    agreement = agreement_of(by_matching, by_matching + levels / 255)
    torch.testing.assert_close(agreement, torch.full((1, 1, 32, 48), expected), atol=0.01, rtol=0)


def test_a_small_spot_of_another_color_is_a_difference():
    """The wide scale would miss it: of one pixel of 128 levels a blur of 2 px leaves 5."""
    by_matching, by_flow = torch.zeros(2, 1, 3, 32, 48).unbind(0)
    by_matching[..., 16, 24] = 0.5
    agreement = agreement_of(by_matching, by_flow)[0, 0]
    assert agreement[15:18, 23:26].max() < 0.01
    assert agreement[0, 0] > 0.94


@pytest.mark.parametrize(("logit", "expected"), [(9.0, 0.2), (0.0, 0.5), (-9.0, 0.8)])
def test_the_drawing_by_flow_weighs_both_frames(logit, expected):
    dark, light = torch.full((1, 3, 32, 48), 0.2), torch.full((1, 3, 32, 48), 0.8)
    motion = IntermediateMotion(torch.zeros(1, 4, 32, 48), torch.full((1, 1, 32, 48), logit))
    torch.testing.assert_close(draw_by_flow(dark, light, motion), torch.full_like(dark, expected), atol=1e-3, rtol=0)


def test_the_drawing_by_matching_leaves_out_what_is_not_seen():
    dark, light = torch.full((1, 3, 32, 48), 0.2), torch.full((1, 3, 32, 48), 0.8)
    flow, z, time = torch.zeros(1, 2, 32, 48), torch.zeros(1, 1, 32, 48), torch.full((1, 1, 1, 1), 0.5)
    away = flow.clone()
    away[:, 0, :, 24:] = 200  # leaves the frame
    splatted = splat_frame(dark, away, z, z.exp(), time), splat_frame(light, flow, z, z.exp(), time)
    drawn = draw_by_matching((dark, light), splatted, time)
    torch.testing.assert_close(drawn[..., :24], torch.full((1, 3, 32, 24), 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(drawn[..., 24:], light[..., 24:], atol=2e-3, rtol=0)


@pytest.mark.parametrize(("t", "moves", "side"), [(1e-9, (0, 8), 0), (1 - 1e-9, (-8, 0), 1)])
def test_at_the_times_of_the_frames_they_are_drawn(t, moves, side):
    """As float32 these times are 0 and 1."""
    frame0, _, frame1, flow01, flow10, confidence = pair()
    network = untrained(moves, logit=(9.0, -9.0)[side])
    flows = importance_of(CoarseFlowPair(flow01, flow10, confidence, confidence))
    with torch.inference_mode():
        seen = network.seen(frame0), network.seen(frame1)
        drawn = network.synthesize((frame0, frame1), seen, flows, torch.tensor([t]))
        trained = run(network, frame0, frame1, flow01, flow10, confidence, t)
    for result in (drawn, trained):
        torch.testing.assert_close(result[INSIDE], (frame0, frame1)[side][INSIDE], atol=0.005, rtol=0)


def test_static_frames_are_kept():
    frame, flow = pair()[0], torch.zeros(1, 2, 64, 96)
    with torch.inference_mode():
        drawn = run(untrained(), frame, frame, flow, flow, torch.ones(1, 1, 64, 96), t=0.3)
    torch.testing.assert_close(drawn, frame, atol=1e-5, rtol=0)


def test_the_flow_network_takes_the_public_weights(tmp_path):
    torch.manual_seed(0)
    public = IntermediateFlow().eval()
    save_file({f"ifnet.{name}": value for name, value in public.state_dict().items()}, tmp_path / "public.safetensors")
    network = Cel().eval()
    load_public_flow(network, tmp_path / "public.safetensors")
    loaded = network.intermediate.state_dict()
    assert loaded.keys() == public.state_dict().keys()
    assert all(torch.equal(loaded[name], value) for name, value in public.state_dict().items())


def test_grainy_frames_are_drawn_by_the_flow_network_alone():
    frame0, true, _, flow01, flow10, confidence = pair()
    network, time = untrained(), torch.tensor([0.5])
    flows = importance_of(CoarseFlowPair(flow01, flow10, confidence, confidence))
    with torch.inference_mode():
        seen = network.seen(frame0), network.seen(true)
        drawn = network.synthesize((frame0, true), seen, flows, time, grainy=True)
    torch.testing.assert_close(drawn, (frame0 + true) / 2, atol=0.005, rtol=0)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (50, 100)])
def test_frames_keep_their_size(size):
    frame0, _, frame1, flow01, flow10, confidence = (p[..., : size[0], : size[1]] for p in pair(112, 112))
    with torch.inference_mode():
        drawn = run(trained_like(), frame0, frame1, flow01, flow10, confidence)
    assert drawn.shape == (1, 3, *size)
    assert torch.isfinite(drawn).all()


def test_large_frames_are_looked_at_small_and_drawn_large():
    frame0, _, frame1, flow01, flow10, confidence = pair(128, 192)
    flow01, flow10 = flow01.clone(), flow10.clone()
    flow01[..., 97:], flow10[..., 97:] = 0, 0  # a border of motion between two pixels stays between them
    whole = untrained((-4, 4))
    large = untrained((-2, 2), replace(CelConfig(), network_pixel_fraction=1.0, network_pixel_range=(0, 64 * 96)))
    with torch.inference_mode():
        assert large.seen(frame0).shape[-2:] == (64, 96)
        expected = run(whole, frame0, frame1, flow01, flow10, confidence)
        drawn = run(large, frame0, frame1, flow01, flow10, confidence)
    assert drawn.shape == frame0.shape
    left = (..., slice(8, -8), slice(8, 90))
    assert (drawn - expected)[left].square().mean().sqrt() < 0.005


def test_confidence_becomes_importance_and_flow_stays_as_it_is():
    _, _, _, flow01, flow10, _ = pair()
    confidence = torch.linspace(0, 1, 64 * 96).view(1, 1, 64, 96)
    flows = importance_of(CoarseFlowPair(flow01, flow10, confidence, 1 - confidence))
    assert flows.flow01 is flow01
    assert flows.flow10 is flow10
    torch.testing.assert_close(flows.z0.exp(), confidence.clamp(min=CONSISTENCY.min_importance))
    torch.testing.assert_close(flows.z1.exp(), (1 - confidence).clamp(min=CONSISTENCY.min_importance))


def test_alpha_is_drawn_as_the_colors_are():
    frame0, _, frame1, flow01, flow10, confidence = pair()
    network = trained_like()
    with torch.inference_mode():
        seen = network.seen(frame0), network.seen(frame1)
        flows = importance_of(CoarseFlowPair(flow01, flow10, confidence, confidence))
        time = torch.tensor([0.5])
        plain = network.synthesize((frame0, frame1), seen, flows, time)
        with_alpha = tuple(torch.cat([frame, frame[:, :1]], 1) for frame in (frame0, frame1))
        drawn = network.synthesize(with_alpha, seen, flows, time)
    torch.testing.assert_close(drawn[:, :3], plain)
    torch.testing.assert_close(drawn[:, 3], drawn[:, 0])


def test_gradients_reach_every_parameter():
    frame0, true, frame1, flow01, flow10, confidence = pair()
    network = trained_like().train()
    output = network(
        frame0, frame1, CoarseFlowPair(flow01 + 1.3, flow10, 0.5 * confidence, confidence), torch.tensor([0.4])
    )
    ((output.frame - true).square().mean() + output.mixing).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_mixing_is_the_mean_deviation_of_the_candidates():
    frame, flow, sure = pair()[0], torch.zeros(1, 2, 64, 96), torch.ones(1, 1, 64, 96)
    moved = pair()
    time = torch.tensor([0.5])
    with torch.inference_mode():
        none = untrained()(frame, frame, CoarseFlowPair(flow, flow, sure, sure), time).mixing
        some = untrained()(moved[0], moved[2], CoarseFlowPair(*moved[3:5], sure, sure), time).mixing
    assert none < 1e-5
    # Nearly everywhere it is half of each frame.
    assert float(some) == pytest.approx(float((moved[0] - moved[2]).abs().mean() / 2), rel=0.05)


@pytest.mark.parametrize(("config", "budget"), [(CEL.network, 50), (CEL_FAST.network, 13)], ids=["cel", "cel-fast"])
def test_it_keeps_to_its_budget(config, budget):
    """GFLOP per new frame of 960x540, while streaming: one frame seen, one synthesis."""
    network = Cel(replace(config, network_pixel_range=(0, 10**9))).eval()
    frame, flow, confidence = torch.zeros(1, 3, 270, 480), torch.zeros(1, 2, 270, 480), torch.ones(1, 1, 270, 480)
    flows = importance_of(CoarseFlowPair(flow, flow, confidence, confidence))
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        seen = network.seen(frame)
        network.synthesize((frame, frame), (seen, seen), flows, torch.tensor([0.5]))
    # All that is counted runs at the padded size, so a smaller frame tells the cost of a large one.
    small, large = (
        math.prod(math.ceil(side / MULTIPLE) for side in network.seen_size(size)) for size in ((270, 480), (540, 960))
    )
    assert counted.get_total_flops() * large / small < budget * 1e9


@pytest.mark.parametrize(
    ("size", "looked_at"),
    [((270, 480), (270, 480)), ((300, 500), (279, 465)), ((540, 960), (382, 679)), ((4320, 7680), (1112, 1978))],
)
def test_it_looks_at_less_of_large_frames(size, looked_at):
    assert Cel(CelConfig(network_pixel_fraction=0.5)).seen_size(size) == looked_at
    assert Cel().seen_size((540, 960)) == (540, 960)


@pytest.mark.parametrize(
    ("size", "looked_at"),
    [((540, 960), (540, 960)), ((720, 1280), (540, 960)), ((1080, 1920), (540, 960)), ((2160, 3840), (1080, 1920))],
)
def test_the_default_model_looks_at_frames_at_the_scale_it_was_trained_at(size, looked_at):
    assert isinstance(CEL.network, CelConfig)
    assert Cel(CEL.network).seen_size(size) == looked_at


def test_small_frames_are_refused():
    with pytest.raises(FrameError, match="16x16"):
        Cel().seen(torch.zeros(1, 3, 15, 40))
