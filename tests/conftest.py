"""Pictures and a pair of frames that several tests draw on."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference data at {SHARED}")
    return SHARED


def draw_scene(shift: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A drawing: an outlined disc and a box on a flat ground, moved `shift` px to the right. uint8 RGB."""
    width, height = size
    frame = np.full((height, width, 3), (200, 220, 240), np.uint8)
    cv2.rectangle(frame, (0, height * 3 // 4), (width, height), (120, 180, 90), -1)
    for color, thickness in (((230, 90, 60), -1), ((20, 20, 30), 2)):
        cv2.circle(frame, (width // 3 + shift, height // 2), height // 5, color, thickness)
    for color, thickness in (((250, 210, 70), -1), ((20, 20, 30), 2)):
        cv2.rectangle(
            frame,
            (width // 2 + shift, height // 4),
            (width * 2 // 3 + shift, height // 2),
            color,
            thickness,
        )
    return frame


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two small frames, 96x64, of a figure that moves 8 px to the right."""
    return draw_scene(0), draw_scene(8)


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal():
    """A run in the background inherits ignored signals (`nohup`, `&` in a script); tests send them, to children too."""
    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            before[number] = signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
