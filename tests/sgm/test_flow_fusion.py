"""Each segment takes its best candidate flow, and importance falls where motion cannot be confirmed."""

import cv2
import numpy as np
import pytest

from animeinterp.flow import compute_color_error, dis_flow
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.flow_fusion import FUSION, PairDirection, _pixel_cost, compute_importance, select_flow_per_segment
from animeinterp.sgm.segments import segment
from conftest import draw_scene


def test_errors_are_capped_and_fixed_outside_the_frame():
    random = np.random.default_rng(0)
    frame, other = random.integers(0, 256, (2, 40, 50, 3), np.uint8)
    flow = random.normal(0, 9, (2, 40, 50)).astype(np.float32)
    x, y = flow[0] + np.arange(50), flow[1] + np.arange(40)[:, None]
    outside = (x < -0.5) | (x > 49.5) | (y < -0.5) | (y > 39.5)
    error = np.where(outside, 30, np.minimum(compute_color_error(frame, other, flow), 60)).astype(np.float32)
    np.testing.assert_allclose(
        _pixel_cost(frame, other, flow, FUSION), cv2.GaussianBlur(error, (0, 0), FUSION.blur), atol=1e-3
    )


@pytest.mark.parametrize("shift", [3, 25])
def test_each_segment_takes_the_candidate_that_fits_it_best(shift):
    size = (320, 200)
    frame, other = draw_scene(0, size), draw_scene(shift, size)
    segments = segment(frame, "japanese")
    random = np.random.default_rng(0)
    confidence = (random.random(len(segments)) < 0.5).astype(np.float32)
    coarse = CoarseFlow(random.normal(shift, 9, (2, 200, 320)).astype(np.float32), confidence)
    fused = select_flow_per_segment(PairDirection(frame, other, segments, coarse))

    unguided = dis_flow(frame, other)
    matched = np.where(confidence[segments.labels] > 0, coarse.flow, unguided)
    camera = np.broadcast_to(np.median(unguided[:, ::2, ::2], axis=(1, 2))[:, None, None], unguided.shape)
    candidates = [unguided, matched, dis_flow(frame, other, matched), camera.astype(np.float32)]
    errors = [_pixel_cost(frame, other, flow, FUSION) for flow in candidates]
    chosen = set()
    for index in range(len(segments)):
        inside = segments.labels == index
        best = int(np.argmin([error[inside].mean(dtype=np.float64) for error in errors]))
        np.testing.assert_array_equal(fused[:, inside], candidates[best][:, inside])
        chosen.add(best)
    assert len(chosen) > 1


def test_a_matched_segment_takes_its_coarse_flow_where_dis_fails():
    size, jump = (320, 200), 70
    frame, other = draw_scene(0, size), draw_scene(jump, size)
    segments = segment(frame, "japanese")
    disc = segments.labels[100, 106]
    confidence = np.zeros(len(segments), np.float32)
    confidence[disc] = 1
    flow = np.zeros((2, 200, 320), np.float32)
    flow[0][segments.labels == disc] = jump
    inside = segments.labels == disc
    assert np.abs(dis_flow(frame, other)[0][inside] - jump).mean() > 10
    fused = select_flow_per_segment(PairDirection(frame, other, segments, CoarseFlow(flow, confidence)))
    assert np.abs(fused[0][inside] - jump).mean() < 1


def test_importance_is_high_where_both_flows_agree():
    frame = draw_scene(0)
    zero = np.zeros((2, 64, 96), np.float32)
    np.testing.assert_allclose(compute_importance(frame, frame, zero, zero), 1, atol=1e-3)
    reverse_flow = zero.copy()
    reverse_flow[0, :, 48:] = 20
    importance = compute_importance(frame, frame, zero, reverse_flow)
    assert importance[:, :48].min() > 0.99
    assert importance[:, 48:].max() < 0.2
