"""The straight line, held to the promises that always hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animeinterp import Options, load_interpolator
from animeinterp.builder import build_network
from animeinterp.config import PAPER, PRESETS
from animeinterp.errors import FrameError, UsageError, WeightsError
from animeinterp.flow import backward_warp
from animeinterp.interpolator import Interpolator
from animeinterp.net.paper.model import AnimeInterp
from conftest import draw_scene


@pytest.fixture(scope="module")
def classical():
    return load_interpolator("classical", "cpu")


@pytest.fixture(scope="module")
def paper():
    torch.manual_seed(0)
    return Interpolator(PAPER, network=AnimeInterp(PAPER.network).eval().requires_grad_(False))


def as_mode(frame, channels: int, dtype):
    """The frame in another mode and depth; alpha is a soft disc."""
    height, width = frame.shape[:2]
    y, x = np.mgrid[:height, :width]
    alpha = np.clip(2 * height / 2 - 2 * np.hypot(y - height / 2, x - width / 2), 0, 255).astype(np.uint8)
    gray = frame.mean(2).astype(np.uint8)
    planes = {1: [gray], 2: [gray, alpha], 3: list(frame.transpose(2, 0, 1)), 4: [*frame.transpose(2, 0, 1), alpha]}
    stacked = np.stack(planes[channels], 2).astype(dtype)
    if dtype == np.uint16:
        stacked += 256 * stacked + np.where((stacked > 0) & (stacked < 255), 3, 0).astype(dtype)
    return stacked[..., 0] if channels == 1 else stacked


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_mode_and_depth_comes_back_as_it_is(classical, paper, channels, dtype):
    frame0, frame1 = (as_mode(draw_scene(shift), channels, dtype) for shift in (0, 8))
    for interpolator in (classical, paper):
        drawn = interpolator(frame0, frame1, 0.5)
        assert drawn.shape == frame0.shape
        assert drawn.dtype == dtype
        np.testing.assert_array_equal(interpolator(frame0, frame1, 0), frame0)
        np.testing.assert_array_equal(interpolator(frame0, frame1, 1), frame1)
        np.testing.assert_array_equal(interpolator(frame0, frame0.copy(), 0.3), frame0)


def test_what_only_the_network_finds_is_drawn_whole():
    """A disc that jumps by more than its width: between its two places both frames are equal."""
    cel, (y, x) = load_interpolator("cel", "cpu"), np.mgrid[:128, :192]
    frames = [np.full((128, 192, 3), (90, 150, 200), np.uint8) for _ in range(3)]
    for frame, center in zip(frames, (60, 80, 100), strict=True):
        frame[np.hypot(y - 64, x - center) < 14] = (200, 40, 30)
    frame0, true, frame1 = frames
    motion = cel.motion(cel.analyze(frame0), cel.analyze(frame1))
    nothing = np.zeros_like(motion.flow01)
    drawn = cel.render(replace(motion, flow01=nothing, flow10=nothing), 0.5)
    between = np.hypot(y - 64, x - 80) < 5
    assert (frame0[between] == frame1[between]).all()
    assert np.abs(drawn[between].astype(int) - true[between]).mean() < 40
    far = np.abs(x - 80) > 60
    np.testing.assert_array_equal(drawn[far], frame0[far])


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(16, 90), st.integers(16, 90), st.integers(0, 10**6))
def test_any_size_works(classical, width, height, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), np.uint8)
    drawn = classical(*noise, 0.4)
    assert drawn.shape == (height, width, 3)


@pytest.mark.parametrize("size", [(16, 16), (16, 300), (301, 17), (33, 47)])
def test_odd_sizes_work_with_the_network(paper, size):
    frame0, frame1 = (draw_scene(shift, size) for shift in (0, 3))
    assert paper(frame0, frame1, 0.5).shape == (size[1], size[0], 3)


def test_what_moved_is_halfway_and_the_rest_is_untouched(classical):
    frame0, frame1 = draw_scene(0, (240, 160)), draw_scene(16, (240, 160))
    true, drawn = draw_scene(8, (240, 160)), classical(frame0, frame1, 0.5)
    blend = (frame0.astype(int) + frame1) // 2
    assert np.abs(drawn.astype(int) - true).mean() < 0.15 * np.abs(blend - true).mean()
    ground = np.zeros((160, 240), bool)
    ground[125:] = True  # below everything that moves
    np.testing.assert_array_equal(drawn[ground], frame0[ground])


def test_flow_says_where_things_go(classical):
    frame0, frame1 = draw_scene(0, (240, 160)), draw_scene(16, (240, 160))
    motion = classical.motion(classical.analyze(frame0), classical.analyze(frame1))
    assert motion.flow01[0, 80, 80] == pytest.approx(16, abs=0.5)
    assert motion.flow01[1, 80, 80] == pytest.approx(0, abs=0.5)
    assert motion.flow10[0, 80, 96] == pytest.approx(-16, abs=0.5)
    error = np.abs(backward_warp(frame1, motion.flow01).astype(int) - frame0)
    assert error.mean() < 0.2 * np.abs(frame1.astype(int) - frame0).mean()


def test_swapping_the_frames_swaps_the_flows(classical):
    a, b = (classical.analyze(draw_scene(shift, (240, 160))) for shift in (0, 16))
    there, back = classical.motion(a, b), classical.motion(b, a)
    np.testing.assert_array_equal(there.flow01, back.flow10)
    np.testing.assert_array_equal(there.match01, back.match10)
    np.testing.assert_allclose(
        classical.render(there, 0.3).astype(int), classical.render(back, 0.7).astype(int), atol=1
    )


def test_two_runs_agree_to_the_last_bit(classical, paper):
    frame0, frame1 = draw_scene(0), draw_scene(8)
    for interpolator in (classical, paper):
        np.testing.assert_array_equal(interpolator(frame0, frame1, 0.4), interpolator(frame0, frame1, 0.4))


def test_large_frames_are_matched_small_and_drawn_large():
    frame0, frame1 = draw_scene(0, (480, 320)), draw_scene(32, (480, 320))
    interpolator = load_interpolator("classical", "cpu", options=Options(working_pixels=240 * 160))
    motion = interpolator.motion(interpolator.analyze(frame0), interpolator.analyze(frame1))
    assert motion.coarse01.shape == (2, 160, 240)
    assert motion.flow01[0, 160, 160] == pytest.approx(32, abs=1.5)
    drawn, true = interpolator.render(motion, 0.5), draw_scene(16, (480, 320))
    assert drawn.shape == frame0.shape
    assert np.abs(drawn.astype(int) - true).mean() < 0.5


def test_frames_segmented_in_two_styles_are_brought_to_one(classical):
    frame0, frame1 = draw_scene(0), draw_scene(8)
    interpolator = load_interpolator("classical", "cpu", options=Options(style="western"))
    motion = interpolator.motion(interpolator.analyze(frame0), classical.analyze(frame1))
    assert motion.analysis0.segments.style == motion.analysis1.segments.style


def test_flow_that_is_known_takes_the_place_of_matching(monkeypatch):
    preset = replace(PAPER, network=replace(PAPER.network, iterations=1))
    torch.manual_seed(0)
    paper = Interpolator(preset, network=AnimeInterp(preset.network).eval().requires_grad_(False))
    frame0, frame1 = draw_scene(0, (48, 32)), draw_scene(4, (48, 32))
    matched = paper.motion(paper.analyze(frame0), paper.analyze(frame1))
    coarse, drawn = (matched.coarse01, matched.coarse10), paper.render(matched, 0.5)
    assert coarse[0].any()

    def refuse(*_):
        raise AssertionError("nothing has to be segmented")

    monkeypatch.setattr("animeinterp.interpolator.segment_between_lines", refuse)
    np.testing.assert_array_equal(paper(frame0, frame1, 0.5, coarse), drawn)
    larger = tuple(2 * flow.repeat(2, 1).repeat(2, 2) for flow in coarse)
    analyzes = [paper.analyze(frame, segment=False) for frame in (frame0, frame1)]
    np.testing.assert_allclose(paper.motion(*analyzes, larger).coarse01, coarse[0], atol=1e-5)
    still = tuple(np.zeros_like(flow) for flow in coarse)
    assert not np.array_equal(paper.motion(*analyzes, still).flow01, matched.flow01)
    with pytest.raises(UsageError, match="segment=True"):
        paper.motion(*analyzes)


def test_flow_that_cannot_take_the_place_of_matching_is_refused(paper, classical):
    flow = np.zeros((2, 64, 96), np.float32)
    seen = [classical.analyze(draw_scene(shift), segment=False) for shift in (0, 8)]
    with pytest.raises(UsageError, match="'classical' takes no coarse flow"):
        classical.motion(*seen, (flow, flow))
    for other in (flow.astype(float), flow[0], flow.transpose(1, 2, 0)):
        with pytest.raises(UsageError, match=r"float32 \(2, h, w\)"):
            paper.motion(*seen, (flow, other))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_only_the_published_architecture_takes_coarse_flow(preset):
    interpolator = Interpolator(preset, network=build_network(preset.network))
    assert interpolator.accepts_coarse_flow == (preset.name == "paper")


def test_with_options_shares_the_parts_and_leaves_the_original_as_it_is(classical):
    frame0, frame1 = draw_scene(0), draw_scene(8)
    small = classical.with_options(Options(working_pixels=48 * 32))
    assert small.analyze(frame0).working_image.shape == (32, 48, 3)
    assert classical.analyze(frame0).working_image.shape == frame0.shape
    assert small.learned == classical.learned
    assert small(frame0, frame1).shape == frame0.shape


def test_the_sgm_step_on_its_own_is_that_of_motion(classical):
    analyses = [classical.analyze(draw_scene(shift, (240, 160))) for shift in (0, 16)]
    matches, motion = classical.match(*analyses), classical.motion(*analyses)
    np.testing.assert_array_equal(matches.match01, motion.match01)
    np.testing.assert_array_equal(matches.coarse10.flow, motion.coarse10)
    assert (matches.match01 >= 0).any()


@pytest.mark.parametrize("t", [-0.1, 1.1, float("nan"), float("inf"), "half", None])
def test_a_time_outside_the_pair_is_refused(classical, t):
    with pytest.raises(UsageError, match="from 0"):
        classical(draw_scene(0), draw_scene(8), t)


def test_frames_that_do_not_fit_are_refused(classical):
    with pytest.raises(FrameError, match="96x64"):
        classical(draw_scene(0), draw_scene(0, (80, 64)))
    with pytest.raises(FrameError, match="float32"):
        classical(draw_scene(0).astype(np.float32), draw_scene(0).astype(np.float32))
    with pytest.raises(FrameError, match="limit"):
        load_interpolator("classical", options=Options(max_pixels=1000))(draw_scene(0), draw_scene(8))


def test_what_cannot_be_built_says_why():
    with pytest.raises(UsageError, match="classical, paper"):
        load_interpolator("nonesuch")
    with pytest.raises(WeightsError, match="weights"):
        load_interpolator("paper")
    with pytest.raises(UsageError, match="no weights"):
        load_interpolator("classical", weights="some.pth")
    with pytest.raises(UsageError, match="device"):
        load_interpolator("classical", device="abacus")
