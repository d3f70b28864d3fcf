"""Line drawings are recognized, matched by strokes and drawn as lines."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import animeinterp
from animeinterp.config import Options
from animeinterp.line_art.frames import draw_line_frame, join_frames
from animeinterp.line_art.recognize import recognize
from animeinterp.line_art.strokes import trace_strokes
from animeinterp.line_art.thinning import thin
from animeinterp.metrics.chamfer import line_distance, line_map
from support.line_drawings import SIZE, draw_figure


def between(frame0, frame1, t=0.5):
    sides = [SimpleNamespace(frame=frame, lines=recognize(frame)) for frame in (frame0, frame1)]
    assert None not in [side.lines for side in sides]
    still = np.zeros((2, *frame0.shape[:2]), np.float32)
    return draw_line_frame(join_frames(sides, (still, still), "on"), frame0, t)


def ink(frame):
    return (255 - frame.astype(np.float64)).sum()


def error(drawn, truth):
    """Mean distance of lines in px."""
    lines = [line_map(np.dstack([image] * 3)) for image in (drawn, truth)]
    return line_distance(*lines) * np.hypot(*truth.shape) * truth.size / lines[1].sum()


def test_thinning_leaves_connected_lines_of_one_pixel():
    solid = draw_figure(thickness=5) < 128
    center = thin(solid)
    count = [cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] for mask in (solid, center)]
    assert count[0] == count[1]
    assert not (center & ~solid).any()
    block = cv2.filter2D(center.astype(np.uint8), cv2.CV_8U, np.ones((2, 2), np.uint8), borderType=cv2.BORDER_CONSTANT)
    assert block.max() < 4


def test_strokes_lie_in_the_middle_of_lines_and_know_their_thickness():
    canvas = np.full((60, 200), 255, np.uint8)
    canvas[27:34, 20:181] = 0
    strokes = trace_strokes((255 - canvas).astype(np.float32) / 255)
    inner = (strokes.points[:, 0] > 30) & (strokes.points[:, 0] < 170)
    assert np.abs(strokes.points[inner, 1] - 30).max() < 0.3
    assert np.abs(strokes.radius[inner] - 3.5).max() < 0.6
    assert len(strokes.edges) == len(strokes) - 1


@pytest.mark.parametrize("move", [{"shift": (30, 14)}, {"turn": 24}, {"shift": (-12, 20), "turn": -15}])
def test_lines_that_move_far_stay_lines(move):
    half = {name: tuple(v / 2 for v in value) if name == "shift" else value / 2 for name, value in move.items()}
    truth = draw_figure(**half)
    drawn = between(draw_figure(), draw_figure(**move))
    assert error(drawn, truth) < 0.35
    assert ink(drawn) == pytest.approx(ink(truth), rel=0.06)


def test_thickness_changes_evenly():
    drawn = between(draw_figure(thickness=2), draw_figure((8, 0), thickness=6))
    assert ink(drawn) == pytest.approx(ink(draw_figure((4, 0), thickness=4)), rel=0.1)


def test_static_lines_are_copied():
    frame0, frame1 = draw_figure(size=(160, 400)), draw_figure(size=(160, 400))
    frame0[:, :60], frame1[:, :60] = draw_figure()[:, 60:120], draw_figure((6, 0))[:, 60:120]
    drawn = between(frame0, frame1, 0.3)
    np.testing.assert_array_equal(drawn[:, 80:], frame0[:, 80:])
    assert not np.array_equal(drawn[:, :60], frame0[:, :60])


def test_a_line_that_only_one_drawing_has_retracts():
    frame0, frame1 = draw_figure(), draw_figure()
    cv2.line(frame1, (150, 80), (220, 80), 0, 3)
    extra = [ink(between(frame0, frame1, t)) - ink(frame0) for t in (0.25, 0.75)]
    assert 0 < extra[0] < extra[1] < ink(frame1) - ink(frame0)


def test_color_and_alpha_of_the_ink_are_kept():
    frames = []
    for figure in (draw_figure(), draw_figure((20, 6))):
        frame = np.zeros((*SIZE, 4), np.uint8)
        frame[..., :3], frame[..., 3] = (200, 30, 60), 255 - figure
        frame[frame[..., 3] == 0] = 0
        frames.append(frame)
    drawn = between(*frames)
    solid = drawn[..., 3] > 200
    assert solid.sum() > 300
    assert np.abs(drawn[solid][:, :3].astype(int) - (200, 30, 60)).max() <= 2


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_depths_agree(depth):
    gain = np.iinfo(depth).max // 255
    frames = [figure.astype(depth) * depth(gain) for figure in (draw_figure(), draw_figure((20, 6)))]
    plain = between(draw_figure(), draw_figure((20, 6)))
    drawn = between(*frames)
    assert drawn.dtype == depth
    assert np.abs(drawn.astype(int) // gain - plain).max() <= 1


def test_colored_drawings_are_not_taken_for_line_drawings():
    figure = draw_figure()
    colored = np.dstack([figure] * 3)
    cv2.floodFill(colored, None, (SIZE[1] // 2, SIZE[0] // 2), (230, 190, 160))
    assert recognize(colored) is None
    assert recognize(255 - figure) is None  # white on black
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    assert recognize(noise) is None
    assert recognize(np.full(SIZE, 255, np.uint8)) is None
    assert recognize(np.dstack([figure] * 3)) is not None


@pytest.mark.parametrize("size", [(16, 16), (17, 31)])
def test_tiny_drawings(size):
    frames = [np.full(size, 255, np.uint8) for _ in range(2)]
    frames[0][4, 3:9], frames[1][9, 5:11] = 0, 0
    assert between(*frames).shape == size


def test_the_interpolator_draws_lines_if_it_is_told_to():
    frame0, frame1 = draw_figure(), draw_figure((30, 14))
    interpolator = animeinterp.load_interpolator("classical", "cpu", options=Options(line_art="auto"))
    drawn = interpolator(frame0, frame1)
    assert error(drawn, draw_figure((15, 7))) < 0.35
    np.testing.assert_array_equal(drawn, interpolator(frame0, frame1))
    np.testing.assert_array_equal(interpolator(frame0, frame1, 0), frame0)
    np.testing.assert_array_equal(interpolator(frame0, frame1, 1), frame1)
    plain = interpolator.with_options(Options())
    assert plain.motion(plain.analyze(frame0), plain.analyze(frame1)).lines is None
