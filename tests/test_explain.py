from __future__ import annotations

import numpy as np
import pytest

from animeinterp import Hint, Hints, load_interpolator
from animeinterp import explain as sheet_module
from animeinterp.config import Options
from animeinterp.explain import explain_motion
from animeinterp.flow import flow_to_color
from support.line_drawings import draw_figure
from support.stub import Blender


def sheet_of(frame0, frame1, t):
    blender = Blender()
    return explain_motion(blender, blender.motion(blender.analyze(frame0), blender.analyze(frame1)), t)


def test_no_motion_is_white_and_directions_have_the_colors_of_the_benchmark():
    flow = np.array([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], np.float32)[:, None]
    white, right, left, down, up = flow_to_color(flow, 1)[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    # Baker et al., figure 2: right is red, down yellow to orange, left cyan to blue, up violet
    assert right[0] > 240
    assert right[1:].max() < 60
    assert left[0] < 20
    assert left[1] > 150
    assert left[2] > 240
    assert down[0] > 200
    assert down[1] > 150
    assert down[2] < 20
    assert up[2] > 240
    assert up[1] < 60


def test_longer_flow_is_more_saturated_and_beyond_the_rim_darker():
    flow = np.zeros((2, 1, 3), np.float32)
    flow[0, 0] = (2, 8, 20)
    short, long, beyond = flow_to_color(flow, 10)[0].astype(int)
    assert np.ptp(short) < np.ptp(long)
    assert beyond.max() <= 192 < long.max()


def test_a_pixel_sized_flow_keeps_hue_with_length():
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    near = 255 - flow_to_color(0.5 * np.stack([np.cos(angles), np.sin(angles)])[:, None], 1).astype(float)
    far = 255 - flow_to_color(np.stack([np.cos(angles), np.sin(angles)])[:, None], 1).astype(float)
    assert np.abs(far / 2 - near).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", ["gray", "RGB", "RGBA"])
def test_sheet_is_drawn_for_every_mode(pair, mode, dtype):
    frames = []
    for frame in pair:
        deep = frame.astype(dtype) * (257 if dtype == np.uint16 else 1)
        if mode == "gray":
            deep = np.ascontiguousarray(deep[..., 0])
        if mode == "RGBA":
            deep = np.dstack([deep, np.full(deep.shape[:2], np.iinfo(dtype).max // 2, dtype)])
        frames.append(deep.astype(dtype))
    sheet = sheet_of(*frames, 0.5)
    assert sheet.dtype == np.uint8
    assert sheet.ndim == 3
    assert sheet.shape[1:] == (2400, 3)


@pytest.mark.parametrize("size", [(16, 400), (400, 16), (540, 960)])
def test_panels_stay_inside_the_sheet(size):
    frame = np.zeros((*size, 3), np.uint8)
    frame[: size[0] // 2] = 90
    sheet = sheet_of(frame, frame, 0.25)
    paper = sheet[0, 0]
    for edge in (sheet[:20], sheet[-20:], sheet[:, :20], sheet[:, -20:]):
        assert (edge == paper).all()


def test_matched_segments_share_a_color_and_the_others_are_gray(pair):
    blender = Blender()
    motion = blender.motion(blender.analyze(pair[0]), blender.analyze(pair[1]))
    colors0, colors1 = sheet_module._match_colors(motion)
    matched = motion.match01 >= 0
    assert matched.any()
    assert (~matched).any()
    assert np.array_equal(colors0[matched], colors1[motion.match01[matched]])
    assert (np.ptp(colors0[matched], axis=1) > 0).all()
    assert (np.ptp(colors0[~matched], axis=1) == 0).all()
    assert len(np.unique(colors0[matched], axis=0)) == matched.sum()


def test_every_stage_shows_its_time(pair, monkeypatch):
    said = []
    text = sheet_module.ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        sheet_module.ImageDraw.ImageDraw,
        "text",
        lambda self, at, words, *args, **kwargs: said.append(words) or text(self, at, words, *args, **kwargs),
    )
    sheet_of(*pair, 0.5)
    assert [w for w in said if w == "12 ms"], "line map"
    assert [w for w in said if w == "34 ms"], "segments"
    assert [w for w in said if w == "2 ms"], "matching"
    assert said.count("both ways 41 ms") == 2, "coarse flow"
    assert said.count("both ways 123 ms") == 2, "refined flow"
    assert sum(w.startswith("both ") and "ways" not in w for w in said) == 2, "warped frames"
    assert "24 ms" in said, "both frames' line maps in the list of stages"


def test_the_real_core_names_its_stages_as_the_sheet_does(pair):
    from animeinterp import load_interpolator

    interpolator = load_interpolator("classical", "cpu")
    motion = interpolator.motion(interpolator.analyze(pair[0]), interpolator.analyze(pair[1]))
    rows = [
        *sheet_module._analysis_rows(motion),
        *sheet_module._motion_rows(motion, 0.5, pair, {"warping": 0.1}),
    ]
    untimed = {panel.title for row in rows for panel in row if not panel.time}
    assert untimed == {"Frame 0", "Frame 1"}


def test_hints_are_drawn_with_arrows_on_the_first_frame():
    frame = np.full((200, 300, 3), 255, np.uint8)
    hints = Hints((Hint(((50.0, 50.0), (50.0, 90.0)), ((250.0, 50.0), (250.0, 90.0))),))
    first, second = (sheet_module.draw_hints(frame, hints, moving=moving) for moving in (True, False))
    marked0, marked1 = ((drawn != 255).any(2) for drawn in (first, second))
    assert marked0[50, 50]
    assert marked0[50, 150]  # an arrow
    assert marked1[70, 250]  # the line of the part
    assert not marked1[:, :200].any()
    assert not sheet_module.draw_hints(frame, Hints(), moving=True).min() < 255
    assert frame.min() == 255


def test_the_sheet_shows_the_hints_of_its_pair(pair):
    interpolator = load_interpolator("classical", "cpu")
    analyses = [interpolator.analyze(frame) for frame in pair]
    hints = Hints((Hint(((20.0, 20.0),), ((60.0, 60.0),)),))
    plain, hinted = (
        explain_motion(interpolator, interpolator.motion(*analyses, hints=given), 0.5) for given in (None, hints)
    )
    assert plain.shape[1] == hinted.shape[1]
    assert (plain[130:400] != hinted[130:400]).any()


@pytest.mark.parametrize(("mode", "is_colored"), [("off", False), ("auto", True)])
def test_line_drawings_are_shown_as_they_are_matched(mode, is_colored):
    interpolator = load_interpolator("classical", "cpu", options=Options(line_art=mode))
    analyses = [interpolator.analyze(frame) for frame in (draw_figure(), draw_figure((9, 4)))]
    sheet = explain_motion(interpolator, interpolator.motion(*analyses), 0.5)
    frame0 = sheet[130:400, 40:600].astype(int)
    assert (np.ptp(frame0, axis=2).max() > 60) == is_colored
