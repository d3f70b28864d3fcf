"""Dense flow without weights: pieces choose well, and trust falls where motion cannot be confirmed."""

import numpy as np
from conftest import draw_scene

from animeinterp.sgm.dense import Direction, backward_warp, color_error, dis_flow, fuse, importance
from animeinterp.sgm.guidance import Guidance
from animeinterp.sgm.pieces import segment


def test_backward_warp_by_a_whole_shift_is_exact():
    frame = draw_scene(0)
    flow = np.zeros((2, 64, 96), np.float32)
    flow[0], flow[1] = 5, -3
    np.testing.assert_array_equal(backward_warp(frame, flow)[3:, :-5], frame[:-3, 5:])
    assert color_error(frame, frame, np.zeros_like(flow)).max() == 0


def test_dis_leaves_its_start_alone():
    frames = draw_scene(0), draw_scene(3)
    start = np.ones((2, 64, 96), np.float32)
    dis_flow(*frames, start=start)
    assert (start == 1).all()


def test_a_matched_piece_takes_its_guidance_when_dis_is_lost():
    size, jump = (320, 200), 70
    frame, other = draw_scene(0, size), draw_scene(jump, size)
    pieces = segment(frame, "japanese")
    disc = pieces.labels[100, 106]
    confidence = np.zeros(len(pieces), np.float32)
    confidence[disc] = 1
    flow = np.zeros((2, 200, 320), np.float32)
    flow[0][pieces.labels == disc] = jump
    inside = pieces.labels == disc
    assert np.abs(dis_flow(frame, other)[0][inside] - jump).mean() > 10
    fused = fuse(Direction(frame, other, pieces, Guidance(flow, confidence)))
    assert np.abs(fused[0][inside] - jump).mean() < 1


def test_importance_is_high_where_flow_returns_and_low_where_it_does_not():
    frame = draw_scene(0)
    pieces = segment(frame, "japanese")
    direction = Direction(frame, frame, pieces, Guidance(np.zeros((2, 64, 96), np.float32), np.zeros(len(pieces))))
    still = np.zeros((2, 64, 96), np.float32)
    np.testing.assert_allclose(importance(direction, still, still), 1, atol=1e-3)
    back = still.copy()
    back[0, :, 48:] = 20
    trust = importance(direction, still, back)
    assert trust[:, :48].min() > 0.99
    assert trust[:, 48:].max() < 0.2
