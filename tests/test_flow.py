"""Flow on the CPU: warping, chaining, color error and DIS."""

from __future__ import annotations

import cv2
import numpy as np

from animeinterp.flow import DisSettings, backward_warp, chain_flows, compute_color_error, create_dis, dis_flow
from conftest import draw_scene


def constant_flow(x: float, y: float, height: int = 64, width: int = 96):
    return np.broadcast_to(np.array([[[x]], [[y]]], np.float32), (2, height, width))


def test_backward_warp_by_a_whole_shift_is_exact():
    frame = draw_scene(0)
    warped = backward_warp(frame, constant_flow(5, -3))
    np.testing.assert_array_equal(warped[3:, :-5], frame[:-3, 5:])
    assert compute_color_error(frame, frame, constant_flow(0, 0)).max() == 0


def test_borders_of_backward_warp():
    plane = np.full((64, 96), 7, np.float32)
    assert (backward_warp(plane, constant_flow(200, 0)) == 7).all()
    assert not backward_warp(plane, constant_flow(200, 0), outside="zeros").any()


def test_chained_flows_add_up_and_opposite_flows_cancel():
    np.testing.assert_array_equal(chain_flows(constant_flow(2, 1), constant_flow(3, -4)), constant_flow(5, -3))
    assert not chain_flows(constant_flow(2, 1), constant_flow(-2, -1)).any()


def test_color_error_is_the_mean_over_the_channels():
    random = np.random.default_rng(0)
    frame, other = random.integers(0, 256, (2, 40, 50, 3), np.uint8)
    flow = random.normal(0, 9, (2, 40, 50)).astype(np.float32)
    difference = np.abs(backward_warp(other, flow).astype(int) - frame)
    np.testing.assert_array_equal(compute_color_error(frame, other, flow), difference.mean(axis=2, dtype=np.float32))


def test_dis_does_not_change_its_initial_flow():
    frames = draw_scene(0), draw_scene(3)
    start = np.ones((2, 64, 96), np.float32)
    dis_flow(*frames, start=start)
    assert (start == 1).all()


def test_dis_settings_override_the_preset():
    gray0, gray1 = (cv2.cvtColor(draw_scene(shift), cv2.COLOR_RGB2GRAY) for shift in (0, 3))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(0)
    dis.setVariationalRefinementIterations(3)
    dis.setGradientDescentIterations(20)
    dis.setPatchStride(5)
    settings = DisSettings("fast", 0, variational_iterations=3, descent_iterations=20, patch_stride=5)
    flow = create_dis(settings)(gray0, gray1, None)
    np.testing.assert_array_equal(flow, dis.calc(gray0, gray1, None))
    assert (flow != create_dis(DisSettings("fast"))(gray0, gray1, None)).any()
