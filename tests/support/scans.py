"""Simulate scans of drawings: sheets of paper or a painting, peg holes, a figure, and how the sheets lay."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from animeinterp.keys.align import Placement
from support.made_films import with_figure

WIDTH, HEIGHT, MARGIN = 480, 270, 32
PAPER = np.array([244, 241, 234], np.float32)
LAY = Placement((6.3, -4.1), 0.4, (0.93, 0.92, 0.88))  # how the second sheet lay


class Scans(NamedTuple):
    """Two scans and the region of the figure, bool (H, W), in either."""

    frame0: np.ndarray
    frame1: np.ndarray
    figure: np.ndarray


def grain(seed: int, strength: float = 2.0) -> np.ndarray:
    """The texture of a sheet, wider than the frame by `MARGIN` on each side, levels."""
    random = np.random.default_rng(seed)
    shape = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    sigmas = (0.8, 2.5)
    layers = [sigma * cv2.GaussianBlur(random.normal(0, 1, shape), (0, 0), sigma) for sigma in sigmas]
    texture = np.sum(layers, axis=0)
    return (texture / texture.std() * strength)[..., None].astype(np.float32)


def paper(seed: int, strength: float = 2.0) -> np.ndarray:
    return PAPER + grain(seed, strength)


def painting(seed: int) -> np.ndarray:
    """A painted background of soft and sharp shapes."""
    random = np.random.default_rng(seed)
    shape = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    image = cv2.resize(random.integers(60, 256, (5, 9, 3), np.uint8), shape[::-1], interpolation=cv2.INTER_CUBIC)
    for _ in range(90):
        center = int(random.integers(0, shape[1])), int(random.integers(0, shape[0]))
        size, color = random.integers(4, 30, 2).tolist(), random.integers(0, 256, 3).tolist()
        cv2.ellipse(image, center, size, int(random.integers(0, 180)), 0, 360, color, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.float32)


def with_holes(sheet: np.ndarray) -> np.ndarray:
    """Punch three peg holes along the upper side."""
    sheet = sheet.copy()
    x, y = sheet.shape[1] // 2, MARGIN + 14
    cv2.circle(sheet, (x, y), 6, (30, 30, 30), -1, cv2.LINE_AA)
    for side in (-150, 150):
        cv2.rectangle(sheet, (x + side - 9, y - 4), (x + side + 9, y + 4), (30, 30, 30), -1)
    return sheet


def scan(
    sheet0: np.ndarray, sheet1: np.ndarray, lay: Placement = LAY, poses: tuple[float, float] = (0.5, 0.9)
) -> Scans:
    """Draw a figure on two sheets and scan them, the second one as it lay."""
    drawn, figures = [], []
    for sheet, pose, x in zip((sheet0, sheet1), poses, (230, 250), strict=True):
        on = with_figure(np.roll(sheet, -70, axis=0), pose, x)
        figures.append(np.any(on != np.roll(sheet, -70, axis=0), axis=2))
        drawn.append(np.roll(on, 70, axis=0))
    inner = slice(MARGIN, MARGIN + HEIGHT), slice(MARGIN, MARGIN + WIDTH)
    figure = np.roll(figures[0] | figures[1], 70, axis=0)[inner]
    matrix = lay.matrix(WIDTH, HEIGHT)
    matrix[:, 2] -= matrix[:, :2] @ np.full(2, float(MARGIN))
    laid = cv2.warpAffine(drawn[1], matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC) * np.array(lay.gain)
    frames = [np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (drawn[0][inner], laid)]
    return Scans(*frames, figure)


def corner_error(found: Placement, true: Placement) -> float:
    """How far the corners lie apart after two placements at most, px."""
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]], np.float64)
    difference = found.matrix(WIDTH, HEIGHT) - true.matrix(WIDTH, HEIGHT)
    return float(np.linalg.norm(corners @ difference.T, axis=1).max())
