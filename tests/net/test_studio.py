"""`studio` as a whole, with seeded weights for its heavy network: joining, grain, and properties of any weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from animeinterp.builder import build_network
from animeinterp.config import PRESETS, Options
from animeinterp.data.synthetic.degrade import grain_tile
from animeinterp.interpolator import Interpolator
from animeinterp.net.ops.grain import GRAIN_LIMITS, is_grainy
from animeinterp.net.studio.restoration import CLEAN, join, restore
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.contours import compute_line_map
from animeinterp.sgm.flow_fusion import PairDirection, select_flow_per_segment
from animeinterp.sgm.segments import resolve_style, segment_between_lines


@pytest.fixture(scope="module")
def studio() -> Interpolator:
    torch.manual_seed(0)
    network = build_network(PRESETS["studio"].network)
    assert network is not None
    return Interpolator(PRESETS["studio"], Options(precision="fp32"), network.eval().requires_grad_(False))


def plain(level: float, height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.full((1, 3, height, width), level)


def test_cel_is_used_where_the_drawings_agree():
    torch.manual_seed(1)
    cel = plain(0.5) + 0.05 * (torch.rand(1, 3, 64, 96) - 0.5)
    joined = restore(cel, plain(0.5), plain(0.5))
    assert (joined - cel).abs().max() < 0.003  # levels of 255: 0.7


def test_gmfss_is_used_where_the_drawings_disagree():
    gmfss = plain(0.5)
    cel, rife = gmfss.clone(), gmfss.clone()
    cel[..., :40], rife[..., :40] = 0.9, 0.1
    joined = restore(cel, rife, gmfss)
    assert (joined[..., :24] - gmfss[..., :24]).abs().max() < 1e-3


def test_a_speck_of_cel_is_removed():
    gmfss = plain(0.5)
    cel = gmfss.clone()
    cel[..., 30:33, 40:44] = 0
    assert (restore(cel, gmfss, gmfss) - gmfss).abs().max() < 0.1


def test_no_new_color_appears():
    torch.manual_seed(2)
    drawings = [torch.rand(1, 3, 40, 40) for _ in range(3)]
    joined = restore(*drawings)
    assert (joined <= torch.stack(drawings).amax(0) + 1e-6).all()
    assert (joined >= torch.stack(drawings).amin(0) - 1e-6).all()


def test_drawings_of_the_smallest_size_are_joined():
    assert join(plain(0.2, 16, 16), plain(0.8, 16, 16), CLEAN).shape == (1, 3, 16, 16)


def test_grainy_film_leaves_out_cel_and_the_checkerboard():
    board = (-1.0) ** torch.arange(64)[:, None] * (-1.0) ** torch.arange(96)
    rife = plain(0.5) + 0.01 * board
    joined = restore(plain(0.51), rife, plain(0.5), grainy=True)
    assert (joined - 0.5)[..., 8:-8, 8:-8].abs().max() < 5e-4
    assert (restore(plain(0.51), rife, plain(0.5)) - 0.5).abs().max() > 5e-3


def textured_ramp(texture: float) -> torch.Tensor:
    """Draw a gray ramp with texture of a standard deviation in levels."""
    ramp = torch.linspace(0.2, 0.8, 160).expand(1, 3, 120, 160)
    return ramp + texture / 255 * grain_tile(3)[None, None, :120, :160]


@pytest.mark.parametrize(("texture", "grain", "expected"), [(0, 1.2, True), (1.2, 0, False), (0, 0, False)])
def test_grain_is_detail_that_two_frames_do_not_share(texture, grain, expected):
    frame = textured_ramp(texture)
    noise = [grain / 255 * grain_tile(seed)[None, None, :120, :160] for seed in (5, 6)]
    zero = torch.zeros(1, 2, 120, 160)
    assert is_grainy(frame + noise[0], frame + noise[1], zero) is expected


def test_large_frames_are_examined_in_their_middle():
    frame = textured_ramp(0)
    noise = [1.2 / 255 * grain_tile(seed)[None, None, :120, :160] for seed in (5, 6)]
    middle = torch.zeros(1, 1, 120, 160)
    middle[..., 30:90, 40:120] = 1
    zero, limits = torch.zeros(1, 2, 120, 160), replace(GRAIN_LIMITS, pixels=60 * 80, min_pixels=1000)
    assert is_grainy(frame + middle * noise[0], frame + middle * noise[1], zero, limits)
    assert not is_grainy(frame + (1 - middle) * noise[0], frame + (1 - middle) * noise[1], zero, limits)


def test_texture_that_moves_is_not_grain():
    frame = textured_ramp(1.2)
    moved = torch.roll(frame, 3, 3)
    flow = torch.zeros(1, 2, 120, 160)
    flow[:, 0] = 3
    assert not is_grainy(frame, moved, flow)


def test_a_segment_takes_the_proposed_flow_that_fits_it():
    frame, other = np.full((96, 128, 3), 255, np.uint8), np.full((96, 128, 3), 255, np.uint8)
    for image, left in ((frame, 8), (other, 88)):  # beyond the reach of DIS
        image[30:60, left : left + 30] = 0
        image[33:57, left + 3 : left + 27] = (200, 40, 40)
    style = resolve_style(frame, "auto")
    segments = segment_between_lines(frame, compute_line_map(frame, style), style)
    no_flow = CoarseFlow(np.zeros((2, 96, 128), np.float32), np.zeros(len(segments), np.float32))
    proposed = np.zeros((2, 96, 128), np.float32)
    proposed[0, 30:60, 8:38] = 80
    direction = PairDirection(frame, other, segments, no_flow)
    assert abs(select_flow_per_segment(direction)[0, 45, 22] - 80) > 10
    assert select_flow_per_segment(direction, proposed=proposed)[0, 45, 22] == 80


@pytest.mark.parametrize("shape", [(16, 16), (17, 40, 4), (33, 21, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_size_mode_and_depth(studio, shape, dtype):
    maximum = np.iinfo(dtype).max
    frame0 = np.random.default_rng(0).integers(0, maximum, shape, dtype, endpoint=True)
    frame1 = np.roll(frame0, 2, 1)
    new = studio(frame0, frame1, 0.3)
    assert new.shape == shape
    assert new.dtype == dtype
    assert np.array_equal(studio(frame0, frame1, 0), frame0)
    assert np.array_equal(studio(frame0, frame1, 1), frame1)
    assert np.array_equal(studio(frame0, frame0, 0.5), frame0)


def test_static_pixels_stay_and_rendering_is_deterministic(studio):
    frame0 = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
    frame1 = frame0.copy()
    frame1[20:40, 30:60] = 255 - frame1[20:40, 30:60]
    motion = studio.motion(studio.analyze(frame0), studio.analyze(frame1))
    assert motion.proposed is not None
    first, second = studio.render(motion, 0.5), studio.render(motion, 0.5)
    assert np.array_equal(first, second)
    outside = ~motion.moving
    assert outside.any()
    assert np.array_equal(first[outside], frame0[outside])
