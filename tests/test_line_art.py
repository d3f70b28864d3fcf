"""Line drawings are recognized, seen shaded, and drawn as lines."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

import animeinterp
from animeinterp.config import PRESETS, Options
from animeinterp.frame import to_planes
from animeinterp.interpolator import Interpolator
from animeinterp.line_art import shade_lines
from animeinterp.metrics.chamfer import line_distance, line_map
from support.line_drawings import SIZE, draw_figure


@pytest.fixture(scope="module")
def interpolator():
    return animeinterp.load_interpolator("classical", "cpu")


def shade(frame):
    return shade_lines(to_planes(frame), frame.ndim == 3 and frame.shape[2] in (2, 4))


def on_layer(figure):
    """Draw a figure in red ink on a transparent layer."""
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[..., :3], layer[..., 3] = (200, 30, 60), 255 - figure
    layer[layer[..., 3] == 0] = 0
    return layer


def ink(frame):
    return (255 - frame.astype(np.float64)).sum()


def error(drawn, truth):
    """Mean distance of lines in px."""
    lines = [line_map(np.dstack([image] * 3)) for image in (drawn, truth)]
    return line_distance(*lines) * np.hypot(*truth.shape) * truth.size / lines[1].sum()


def test_lines_are_shown_as_they_are_and_every_place_by_its_distance_to_them():
    figure = draw_figure()
    shaded = shade(figure)
    np.testing.assert_array_equal(shaded[..., 0], figure)
    distance = cv2.distanceTransform((figure > 127).astype(np.uint8), cv2.DIST_L2, 5)
    for channel in (1, 2):
        order = np.argsort(distance, axis=None)
        assert (np.diff(shaded[..., channel].ravel()[order][distance.ravel()[order] > 2].astype(int)) >= 0).all()
    assert len(np.unique(shaded[distance > 4], axis=0)) > 20


@pytest.mark.parametrize("move", [{"shift": (30, 14)}, {"shift": (50, 0)}, {"shift": (-12, 20), "turn": -15}])
def test_lines_that_move_far_stay_lines(interpolator, move):
    half = {name: tuple(v / 2 for v in value) if name == "shift" else value / 2 for name, value in move.items()}
    truth = draw_figure(**half)
    drawn = interpolator(draw_figure(), draw_figure(**move))
    assert error(drawn, truth) < 0.1
    assert ink(drawn) == pytest.approx(ink(truth), rel=0.03)


def test_line_drawings_may_be_taken_for_any_other_frame(interpolator):
    plain = interpolator.with_options(Options(line_art="off"))
    drawn = plain(draw_figure(), draw_figure((50, 0)))
    assert error(drawn, draw_figure((25, 0))) > 0.5


def test_the_published_method_shades_nothing():
    published = Interpolator(replace(PRESETS["classical"], sgm=PRESETS["paper"].sgm))
    assert not published.analyze(draw_figure()).is_line_drawing


def test_color_and_alpha_of_the_ink_are_kept(interpolator):
    drawn = interpolator(on_layer(draw_figure()), on_layer(draw_figure((30, 14))))
    solid = drawn[..., 3] > 200
    assert np.abs(drawn[solid][:, :3].astype(int) - (200, 30, 60)).max() <= 2
    assert error(255 - drawn[..., 3], draw_figure((15, 7))) < 0.1


def test_layers_depths_and_colors_are_seen_alike():
    figure = draw_figure()
    expected = shade(figure)
    for frame in (np.dstack([figure] * 3), figure.astype(np.uint16) * 257, on_layer(figure)):
        assert np.abs(shade(frame).astype(int) - expected).max() <= 1


def test_the_paper_of_scans_may_be_uneven_and_rough():
    figure = draw_figure()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    uneven = (50 + 0.75 * figure) * (1 - 0.15 * x * y / figure.size)
    scan = np.rint(uneven + np.random.default_rng(0).normal(0, 2, SIZE)).clip(0, 255).astype(np.uint8)
    shaded = shade(scan)
    assert ((shaded[..., 0] < 128) == (figure < 128)).mean() > 0.995
    assert np.abs(shaded.astype(int) - shade(figure))[..., 1:].mean() < 12


def test_other_frames_are_not_taken_for_line_drawings():
    figure = draw_figure()
    colored = np.dstack([figure] * 3)
    cv2.floodFill(colored, None, (SIZE[1] // 2, SIZE[0] // 2), (230, 190, 160))
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    blank, hidden = np.full(SIZE, 255, np.uint8), np.zeros((*SIZE, 4), np.uint8)
    for frame in (colored, 255 - figure, noise, blank, hidden):  # 255 - figure: white on black
        assert shade(frame) is None


def test_a_drawing_and_another_frame_are_seen_alike(interpolator):
    figure = draw_figure()
    filled = figure.copy()
    cv2.floodFill(filled, None, (SIZE[1] // 2, SIZE[0] // 2), 150)
    analyses = [interpolator.analyze(frame) for frame in (figure, filled)]
    assert [analysis.is_line_drawing for analysis in analyses] == [True, False]
    for first, second in (analyses, analyses[::-1]):
        motion = interpolator.motion(first, second)
        assert not motion.analysis0.is_line_drawing
        assert not motion.analysis1.is_line_drawing


@pytest.mark.parametrize("preset", ["cel", "classical"])
@pytest.mark.parametrize("size", [(16, 16), (17, 31)])
def test_tiny_drawings(preset, size):
    frames = [np.full(size, 255, np.uint8) for _ in range(2)]
    frames[0][4, 3:9], frames[1][9, 5:11] = 0, 0
    tiny = animeinterp.load_interpolator(preset, "cpu")
    assert tiny.analyze(frames[0]).is_line_drawing
    drawn = tiny(*frames)
    assert drawn.shape == size
    np.testing.assert_array_equal(tiny(*frames), drawn)
    np.testing.assert_array_equal(tiny(*frames, 0), frames[0])
    np.testing.assert_array_equal(tiny(*frames, 1), frames[1])
