"""A fence that pans by most of its period moves as one; matching alone would move it back to the nearest picket."""

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


def scene(pan: tuple[float, float], *, fence: bool = True, stones: bool = True, figure: float = 300) -> RGBImage:
    """Draw a fence, grass and stones, panned with subpixel accuracy, and a figure at rest before them."""
    image = np.full((SIZE[1], SIZE[0], 3), (120, 200, 120), np.uint8)

    def box(x: float, y: float, width: float, height: float, color: tuple[int, ...], moves: bool = True) -> None:
        dx, dy = pan if moves else (0, 0)
        corners = [(x + dx, y + dy), (x + dx + width, y + dy + height)]
        first, second = (tuple(round(16 * v) for v in corner) for corner in corners)
        cv2.rectangle(image, first, second, color, -1, cv2.LINE_AA, 4)

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
    return image


def estimate(frame: RGBImage, other: RGBImage) -> NDArray[np.float32] | None:
    return estimate_periodic_pan(frame, other, segment(frame, "western"), segment(other, "western"))


@pytest.mark.parametrize("pan", [(-50, 0), (50, 0), (-55.5, -6.25), (20, 3), (0, 0)])
def test_finds_the_pan_of_a_fence(pan: tuple[float, float]) -> None:
    estimated = estimate(scene((0, 0)), scene(pan))
    assert estimated is not None
    assert np.abs(estimated - pan).max() < 1.5


def test_scales_with_the_image() -> None:
    large = [cv2.resize(scene(pan), None, fx=2.5, fy=2.5) for pan in ((0, 0), (-50, 4))]
    estimated = estimate(*(np.asarray(image, np.uint8) for image in large))
    assert estimated is not None
    assert np.abs(estimated - (-125, 10)).max() < 3


def test_finds_no_pan_where_nothing_is_periodic() -> None:
    assert estimate(scene((0, 0), fence=False), scene((-50, 0), fence=False)) is None
    flat = np.full((100, 100, 3), 90, np.uint8)
    assert estimate(flat, flat) is None
    assert estimate(flat[:16, :16], flat[:16, :16]) is None
    assert estimate(scene((0, 0)), np.zeros_like(scene((0, 0)))) is None


def test_takes_the_shorter_pan_where_nothing_decides() -> None:
    estimated = estimate(scene((0, 0), stones=False), scene((-55, 0), stones=False))
    assert estimated is not None
    assert np.abs(estimated - (PERIOD - 55, 0)).max() < 1.5


def test_the_fence_moves_with_the_stone() -> None:
    pan = (-50, 0)
    frame, other = scene((0, 0)), scene(pan)
    segments = segment(frame, "western")
    direction = PairDirection(
        frame,
        other,
        segments,
        CoarseFlow(np.zeros((2, *frame.shape[:2]), np.float32), np.zeros(len(segments), np.float32)),
    )
    fence = (frame == (90, 60, 50)).all(axis=2)
    fence[:, :120] = False  # no evidence where it leaves the frame or is behind the figure
    fence[:, 300:460] = False

    def panned_fraction(flow: NDArray[np.float32]) -> float:
        return float((np.hypot(flow[0] - pan[0], flow[1] - pan[1]) < 1.5)[fence].mean())

    alone = select_flow_per_segment(direction)
    estimated = estimate(frame, other)
    together = select_flow_per_segment(direction, estimated)
    assert panned_fraction(alone) < 0.2
    assert panned_fraction(together) > 0.95
    # The figure does not move with it.
    figure = (frame == (60, 70, 160)).all(axis=2)
    assert (np.abs(together - alone)[:, figure].max(axis=0) < 0.1).mean() > 0.95
