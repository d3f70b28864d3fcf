"""A fence that pans by most of its period: matching alone takes it back to the nearest picket."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from animeinterp.frame import RGBImage
from animeinterp.sgm.coarse_flow import CoarseFlow
from animeinterp.sgm.flow_fusion import PairDirection, select_flow_per_segment
from animeinterp.sgm.periodic_pan import estimate_periodic_pan
from animeinterp.sgm.segments import segment

PERIOD = 80
SIZE = (640, 360)


def scene(slide: tuple[float, float], *, fence: bool = True, stones: bool = True, figure: float = 300) -> RGBImage:
    """A fence before grass and a stone, slid, and a figure that stands before them. Drawn smoothly at parts of a px."""
    picture = np.full((SIZE[1], SIZE[0], 3), (120, 200, 120), np.uint8)

    def box(x: float, y: float, width: float, height: float, color: tuple[int, ...], moves: bool = True) -> None:
        dx, dy = slide if moves else (0, 0)
        corners = [(x + dx, y + dy), (x + dx + width, y + dy + height)]
        first, second = (tuple(round(16 * v) for v in corner) for corner in corners)
        cv2.rectangle(picture, first, second, color, -1, cv2.LINE_AA, 4)

    box(-400, 220, 1500, 300, (190, 160, 120))
    if fence:
        for x in range(-5 * PERIOD, 14 * PERIOD, PERIOD):
            box(x, 90, 24, 150, (90, 60, 50))
        box(-400, 120, 1500, 12, (110, 80, 60))
    if stones:
        box(130, 270, 60, 40, (80, 80, 110))
        box(470, 40, 50, 30, (230, 230, 240))
    box(figure, 60, 90, 260, (60, 70, 160), moves=False)
    box(figure + 20, 80, 50, 40, (240, 200, 170), moves=False)
    return picture


def found_slide(frame: RGBImage, other: RGBImage) -> NDArray[np.float32] | None:
    return estimate_periodic_pan(frame, other, segment(frame, "western"), segment(other, "western"))


@pytest.mark.parametrize("slide", [(-50, 0), (50, 0), (-55.5, -6.25), (20, 3), (0, 0)])
def test_finds_how_a_fence_slides(slide: tuple[float, float]) -> None:
    found = found_slide(scene((0, 0)), scene(slide))
    assert found is not None
    assert np.abs(found - slide).max() < 1.5


def test_scales_with_the_picture() -> None:
    large = [cv2.resize(scene(slide), None, fx=2.5, fy=2.5) for slide in ((0, 0), (-50, 4))]
    found = found_slide(*(np.asarray(picture, np.uint8) for picture in large))
    assert found is not None
    assert np.abs(found - (-125, 10)).max() < 3


def test_says_nothing_where_nothing_repeats_itself() -> None:
    assert found_slide(scene((0, 0), fence=False), scene((-50, 0), fence=False)) is None
    flat = np.full((100, 100, 3), 90, np.uint8)
    assert found_slide(flat, flat) is None
    assert found_slide(flat[:16, :16], flat[:16, :16]) is None
    assert found_slide(scene((0, 0)), np.zeros_like(scene((0, 0)))) is None


def test_takes_the_shorter_way_where_nothing_tells() -> None:
    found = found_slide(scene((0, 0), stones=False), scene((-55, 0), stones=False))
    assert found is not None
    assert np.abs(found - (PERIOD - 55, 0)).max() < 1.5


def test_the_fence_slides_with_the_stone() -> None:
    slide = (-50, 0)
    frame, other = scene((0, 0)), scene(slide)
    segments = segment(frame, "western")
    direction = PairDirection(
        frame,
        other,
        segments,
        CoarseFlow(np.zeros((2, *frame.shape[:2]), np.float32), np.zeros(len(segments), np.float32)),
    )
    fence = (frame == (90, 60, 50)).all(axis=2)
    fence[:, :120] = False  # what leaves the frame or goes behind the figure is a guess
    fence[:, 300:460] = False

    def share(flow: NDArray[np.float32]) -> float:
        return float((np.hypot(flow[0] - slide[0], flow[1] - slide[1]) < 1.5)[fence].mean())

    alone = select_flow_per_segment(direction)
    found = found_slide(frame, other)
    together = select_flow_per_segment(direction, found)
    assert share(alone) < 0.2
    assert share(together) > 0.95
    # The figure does not go with it.
    figure = (frame == (60, 70, 160)).all(axis=2)
    assert (np.abs(together - alone)[:, figure].max(axis=0) < 0.1).mean() > 0.95
