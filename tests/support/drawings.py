"""Small random drawings and line maps for the segmentation tests, and the golden frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st

_HERE = Path(__file__).parents[1]
_SHARED = _HERE.parents[1] / "shared" / "golden" / "sgm"
_ELSEWHERE = ("lottie_guitar_001_d1", "synfig_saha45_001_d3")


def _golden_cases():
    paths = [_HERE / "golden" / "sgm" / f"{name}.npz" for name in ("draw_easy", "draw_hard")]
    for path in paths + [_SHARED / f"{name}.npz" for name in _ELSEWHERE]:
        absent = pytest.mark.skipif(not path.exists(), reason=f"needs {path.name} in ../shared/golden/sgm")
        for index in (0, 1):
            yield pytest.param(path, index, id=f"{path.stem}-{index}", marks=absent)


golden_frames = pytest.mark.parametrize(("golden", "index"), list(_golden_cases()))


def _shape(random, smallest=16):
    return tuple(int(side) for side in random.integers(smallest, 65, 2))


def draw(seed: int) -> np.ndarray:
    """A frame of 16 to 64 px a side: shapes with outlines, blurred or blocky paint, gradients, noise."""
    random = np.random.default_rng(seed)
    height, width = _shape(random)
    kind = seed % 5
    if kind == 0:
        return random.integers(0, 256, (height, width, 3), np.uint8)
    if kind == 1:
        coarse = random.integers(0, 256, (*random.integers(2, 12, 2), 3), np.uint8)
        return cv2.resize(coarse, (width, height), interpolation=int(random.integers(0, 3)))
    if kind == 2:
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        return cv2.GaussianBlur(noise, (0, 0), random.uniform(0.5, 4)) // 8 * 8
    if kind == 3:
        return random.integers(0, 256, 4, np.uint8)[random.integers(0, 4, (height, width, 1))].repeat(3, 2)
    frame = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(random.integers(1, 12)):
        start, end = (tuple(int(v) for v in random.integers(0, 64, 2)) for _ in range(2))
        color = tuple(int(v) for v in random.integers(0, 256, 3))
        if random.random() < 0.5:
            cv2.circle(frame, start, int(random.integers(1, 25)), color, -1, cv2.LINE_AA)
            cv2.circle(frame, start, int(random.integers(1, 25)), (0, 0, 0), 1, cv2.LINE_AA)
        else:
            cv2.line(frame, start, end, (0, 0, 0), int(random.integers(1, 4)), cv2.LINE_AA)
    return frame


def draw_lines(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """A line map (255 fillable, 0 line): scribbles, blobs, broken grids, speckle, all line or none."""
    random = np.random.default_rng(seed)
    kind = seed % 5
    lines = np.zeros(shape, np.uint8)
    if kind == 0:
        lines = random.random(shape) < random.uniform(0.02, 0.7)
    elif kind == 1:
        noise = cv2.GaussianBlur(random.normal(0, 1, shape), (0, 0), random.uniform(0.6, 3))
        lines = noise > random.uniform(-0.15, 0.1)
    elif kind == 2:
        for _ in range(random.integers(1, 14)):
            start, end = (tuple(int(v) for v in random.integers(0, 64, 2)) for _ in range(2))
            cv2.line(lines, start, end, 1, int(random.integers(1, 3)))
    elif kind == 3:
        lines[:: random.integers(1, 9)] = 1
        lines[:, :: random.integers(1, 9)] = 1
        lines &= (random.random(shape) > random.uniform(0, 0.3)).astype(np.uint8)
    elif random.random() < 0.5:
        lines[:] = 1
    return np.where(lines, 0, 255).astype(np.uint8)


def draw_labels(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """A label map of speckle or blocks, labels in several parts, 0 among them."""
    random = np.random.default_rng(seed)
    count = random.integers(1, 30)
    if seed % 2:
        return random.integers(0, count + 1, shape, np.int32)
    blocks = random.integers(0, count + 1, (shape[0] // 3 + 1, shape[1] // 3 + 1), np.int32)
    return np.kron(blocks, np.ones((3, 3), np.int32))[: shape[0], : shape[1]].copy()


_seeds = st.integers(0, 10**6)


def drawings():
    return _seeds.map(draw)


def line_maps():
    return _seeds.map(lambda seed: draw_lines(seed, _shape(np.random.default_rng(seed + 1))))


def painted_label_maps():
    """Pairs of a label map and a frame of its size."""

    def pair(seed):
        frame = draw(seed)
        return draw_labels(seed + 7, frame.shape[:2]), frame

    return _seeds.map(pair)
