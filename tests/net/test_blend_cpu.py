"""`cel`'s compiled way on the CPU, judged by the torch operations that define it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from animeinterp.config import CelConfig
from animeinterp.net.cel import blend_cpu
from animeinterp.net.cel.blend_cpu import blend_fused
from animeinterp.net.cel.model import Cel
from animeinterp.net.cel.synthesis import BlendPrediction, blend_frames, confidence_of
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.ops.frame_splatting import splat_frame, splat_frame_plain
from animeinterp.net.ops.intermediate_flow import IntermediateMotion
from animeinterp.net.ops.moving_targets import mark_moving_targets
from animeinterp.net.ops.splatting import splat


def network_for(**changed) -> Cel:
    """A network with flow of some px."""
    torch.manual_seed(0)
    network = Cel(replace(CelConfig(), network_pixel_range=(0, 10**6), **changed)).eval().requires_grad_(False)
    for block in (network.intermediate.block1, network.intermediate.block3):
        block.lastconv[0].weight.normal_(std=0.3)
    return network


def scene(size=(37, 53), channels=3, n=1, seed=1):
    """Two frames and flows that tear holes, collide, leave the frame and partly lead nowhere."""
    generator = torch.Generator().manual_seed(seed)
    frames = [torch.rand(n, channels, *size, generator=generator) for _ in range(2)]
    flows, z = [], []
    for _ in range(2):
        smooth = F.interpolate(torch.randn(n, 2, 4, 5, generator=generator), size, mode="bilinear")
        flow = 6 * smooth + 0.2 * torch.randn(n, 2, *size, generator=generator)
        flow[..., :12, 20:] += torch.tensor([60.0, -25.0]).view(1, 2, 1, 1)
        flow[..., 20:26, :10] = 0
        flow[:, :, 5, 5], flow[:, 0, 30, 30] = float("nan"), 1e9
        flows.append(flow)
        z.append(2 * torch.randn(n, 1, *size, generator=generator) - 2)
        z[-1][..., 3:6, 3:6] -= 200  # further below the largest than the splat tells apart
    return frames, FlowPair(*flows, *z)


def both_ways(network, frames, flows, t, where=None):
    """The frame at t by CPU kernels, then by torch operations, which run where gradients are recorded."""
    with torch.no_grad():
        seen = tuple(network.seen(frame[:, :3]) for frame in frames)
        compiled = network.synthesize(tuple(frames), seen, flows, t, where)
    assert torch.is_grad_enabled()
    return compiled, network.synthesize(tuple(frames), seen, flows, t, where)


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("channels", [3, 4])
def test_both_ways_draw_the_same(channels, share):
    frames, flows = scene(channels=channels)
    compiled, plain = both_ways(network_for(network_pixel_fraction=share), frames, flows, torch.tensor([0.3]))
    assert compiled.shape == plain.shape == (1, channels, 37, 53)
    torch.testing.assert_close(compiled, plain, atol=5e-5, rtol=0)
    fade = 0.7 * frames[0] + 0.3 * frames[1]
    assert (plain - fade).abs().mean() > 0.05, "nothing but a cross-fade would hide most differences"


@pytest.mark.parametrize("size", [(37, 53), (19, 27)])
@pytest.mark.parametrize("band", [5, 64])
def test_every_candidate_is_blended_as_by_torch(size, band, monkeypatch):
    """Random weights: those of a network agree with segment matching nowhere in `scene`."""
    monkeypatch.setattr(blend_cpu, "_BAND", band)  # motion leads across several bands of 5 rows
    frames, flows = scene(channels=4)
    generator = torch.Generator().manual_seed(2)
    agreement, share = (2 * torch.rand(1, 1, *size, generator=generator) - 0.5 for _ in range(2))
    flow = 4 * torch.randn(1, 4, *size, generator=generator)
    prediction = BlendPrediction(agreement.clamp(0, 1), share.clamp(0, 1), flow)
    time = torch.full((1, 1, 1, 1), 0.3)
    with torch.no_grad():
        compiled = blend_fused(tuple(frames), flows, time, prediction)
    splatted = (
        splat_frame_plain(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), time),
        splat_frame_plain(frames[1], flows.flow10, flows.z1, confidence_of(flows.z1), 1 - time),
    )
    plain, mixing = blend_frames(tuple(frames), splatted, time, prediction.resized((37, 53)))
    torch.testing.assert_close(compiled, plain, atol=5e-5, rtol=0)
    assert mixing > 0.05


def test_both_ways_take_a_batch_with_a_time_each():
    frames, flows = scene(n=2)
    network = network_for(network_pixel_fraction=0.25)
    compiled, plain = both_ways(network, frames, flows, torch.tensor([0.3, 0.8]))
    torch.testing.assert_close(compiled, plain, atol=5e-5, rtol=0)
    second = FlowPair(*(planes[1:] for planes in flows[:4]))
    alone, _ = both_ways(network, [frame[1:] for frame in frames], second, torch.tensor([0.8]))
    torch.testing.assert_close(compiled[1:], alone, atol=5e-5, rtol=0)


@pytest.mark.parametrize(("mode", "channels"), [("softmax", 4), ("average", 4), ("softmax", 3), ("softmax", 1)])
def test_what_arrives_is_the_same_to_the_last_bits(mode, channels):
    frames, flows = scene(channels=channels, n=2)
    share = torch.tensor([0.3, 0.8]).view(2, 1, 1, 1)
    with torch.no_grad():
        compiled = splat_frame(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), share, mode)
    plain = splat_frame_plain(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), share, mode)
    assert 50 < (plain.density == 0).sum() < plain.density.numel() / 2
    for name in ("image", "motion", "density"):
        assert torch.equal(getattr(compiled, name), getattr(plain, name)), name
    for name in ("confidence", "motion_coherence"):
        torch.testing.assert_close(getattr(compiled, name), getattr(plain, name), atol=1e-6, rtol=1e-6)


def test_pixels_that_are_not_asked_for_change_no_other():
    frames, flows = scene()
    where = torch.rand(1, 1, 37, 53, generator=torch.Generator().manual_seed(3)) < 0.4
    network, t = network_for(network_pixel_fraction=0.25), torch.tensor([0.3])
    some, all_of_it = (both_ways(network, frames, flows, t, asked)[0] for asked in (where, None))
    asked = where.expand_as(some)
    assert torch.equal(some[asked], all_of_it[asked])
    assert torch.equal(some[~asked], frames[0][~asked])


def test_what_the_intermediate_flow_moves_is_drawn_too():
    frames, flows = scene()
    network, t = network_for(), torch.tensor([0.3])
    wanted = torch.zeros(1, 1, 37, 53, dtype=torch.bool)
    moves = torch.zeros(1, 4, 64, 64)  # the network sees the frames padded to multiples of 32
    moves[..., 12:18, 20:30] = 3
    network.intermediate.forward = lambda *_: IntermediateMotion(moves, torch.zeros(1, 1, 64, 64))
    everywhere = torch.ones_like(wanted)
    for grad in (False, True):  # by CPU kernels, then by torch operations
        with torch.set_grad_enabled(grad):
            seen = tuple(network.seen(frame) for frame in frames)
            whole = network.synthesize(tuple(frames), seen, flows, t, everywhere)
            drawn = network.synthesize(tuple(frames), seen, flows, t, wanted, everywhere)
            nothing = network.synthesize(tuple(frames), seen, flows, t, wanted)
        moved = drawn != frames[0]
        assert moved[..., 12:18, 20:30].float().mean() > 0.99
        torch.testing.assert_close(drawn[..., 12:18, 20:30], whole[..., 12:18, 20:30])
        moved[..., 11:19, 19:31] = False
        assert not moved.any()
        assert torch.equal(nothing, frames[0])


def test_the_network_sees_only_what_is_around_the_wanted_pixels():
    """Outside the wanted pixels nothing moves, as in a film: then what is cut away changes little."""
    small, flows = scene(size=(200, 330))
    frame0, frame1 = (F.interpolate(frame[..., :25, :41], (200, 330), mode="bicubic") for frame in small)
    where = torch.zeros(1, 1, 200, 330, dtype=torch.bool)
    where[..., 90:100, 150:170] = True
    frames = frame0, torch.where(where, frame1, frame0)
    flows = flows._replace(flow01=(flows.flow01 * where).nan_to_num(), flow10=(flows.flow10 * where).nan_to_num())
    torch.manual_seed(0)
    network, t = Cel().eval().requires_grad_(False), torch.tensor([0.3])
    for parameter in network.intermediate.block0.parameters():
        parameter.zero_()  # untrained, it answers noise to any scene, and sees all of it
    looked = []
    network.intermediate.register_forward_pre_hook(lambda _, given: looked.append(tuple(given[0].shape[-2:])))
    some, all_of_it = (both_ways(network, frames, flows, t, asked)[0] for asked in (where, None))
    # One cell of 32 px, and two on each side of it.
    assert looked == 2 * [(160, 160)] + 2 * [(224, 352)]
    asked = where.expand_as(some)
    torch.testing.assert_close(some[asked], all_of_it[asked], atol=0.05, rtol=0)
    assert (some - all_of_it)[asked].abs().mean() < 0.03 * (all_of_it - frame0)[asked].abs().mean()


def test_flow_that_leads_nowhere_spreads_no_further():
    """A pixel whose flow is NaN or 1e9 px is drawn nowhere, as one that leaves the frame."""
    frames, flows = scene()
    network, t = network_for(network_pixel_fraction=0.25), torch.tensor([0.3])
    for drawn in both_ways(network, frames, flows, t):
        assert torch.isfinite(drawn).all()
    nowhere = ~(flows.flow01.abs().amax(1, keepdim=True) < 1e6)
    assert nowhere.sum() == 2
    gone = torch.where(nowhere, 1e4, flows.flow01)
    drawn, expected = (both_ways(network, frames, flows._replace(flow01=flow), t) for flow in (flows.flow01, gone))
    assert torch.equal(drawn[0], expected[0])
    assert torch.equal(drawn[1], expected[1])


def test_results_do_not_depend_on_threads():
    frames, flows = scene(size=(61, 40))
    network, threads = network_for(network_pixel_fraction=0.25), torch.get_num_threads()
    share = torch.full((1, 1, 1, 1), 0.3)
    drawn, arrived, marked = [], [], []
    try:
        with torch.no_grad():
            seen = tuple(network.seen(frame) for frame in frames)
            for count in (1, 3):
                torch.set_num_threads(count)
                arrived.append(splat_frame(frames[0], flows.flow01, flows.z0, confidence_of(flows.z0), share))
                drawn.append(network.synthesize(tuple(frames), seen, flows, torch.tensor([0.3])))
                marked.append(np.zeros((61, 40), np.bool_))
                mark_moving_targets(flows.flow01[0].numpy(), 0.3, marked[-1])
    finally:
        torch.set_num_threads(threads)
    for one, three in zip(arrived[0][:5], arrived[1][:5], strict=True):
        assert torch.equal(one, three)
    assert torch.equal(drawn[0], drawn[1])
    assert np.array_equal(marked[0], marked[1])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_marked_are_the_pixels_on_which_a_moving_one_lands(share):
    flow = scene()[1].flow01[0].clone()
    flow[:, 10:15] = flow[:, 10:15].round()  # lands on one pixel, not on four
    moving = (torch.hypot(*flow) > 0.5).float()[None, None]
    landed = splat(moving, np.float32(share) * flow[None], mode="sum").warped[0, 0] > 0
    marked = np.zeros(landed.shape, np.bool_)
    mark_moving_targets(flow.numpy(), share, marked)
    assert 0 < marked.sum() < marked.size
    assert np.array_equal(marked, landed.numpy())
