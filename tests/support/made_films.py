"""Make films for the tests of cuts and drawings: a painted background, a panning camera, a figure in poses."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from animeinterp.video.source.info import TimedFrame

WIDTH, HEIGHT = 192, 108
RATE = 24


def timed(frames: Sequence[np.ndarray]) -> list[TimedFrame]:
    return [TimedFrame(number, Fraction(number, RATE), frame) for number, frame in enumerate(frames)]


def background(seed: int) -> np.ndarray:
    """Paint a background, 960x200 px, of soft and sharp shapes."""
    random = np.random.default_rng(seed)
    painting = cv2.resize(random.integers(60, 256, (5, 20, 3), np.uint8), (960, 200), interpolation=cv2.INTER_CUBIC)
    for _ in range(70):
        center, size = (int(random.integers(0, 960)), int(random.integers(0, 200))), random.integers(4, 26, 2).tolist()
        cv2.ellipse(
            painting, center, size, int(random.integers(0, 180)), 0, 360, random.integers(0, 256, 3).tolist(), -1
        )
    return cv2.GaussianBlur(painting, (0, 0), 0.8)


def view(painting: np.ndarray, x: float = 0, y: float = 0, size: float = 1) -> np.ndarray:
    """Cut the camera's view, (x, y) px from the upper left corner, out of a painting."""
    motion = np.array([[size, 0, -x], [0, size, -y]], np.float32)
    return cv2.warpAffine(painting, motion, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def with_figure(frame: np.ndarray, pose: float, x: float = 90, color: Sequence[int] = (220, 60, 50)) -> np.ndarray:
    """Draw a figure before a frame, its limbs at an angle of `pose` radians."""
    frame = frame.copy()
    body = np.array([x, 58])
    for angle, length in ((pose, 34), (-pose, 34), (pose + 2.4, 30), (2.4 - pose, 30)):
        end = body + length * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(frame, _fixed(body), _fixed(end), (20, 20, 30), 8, cv2.LINE_AA, 4)
        cv2.line(frame, _fixed(body), _fixed(end), color, 4, cv2.LINE_AA, 4)
    cv2.circle(frame, _fixed(body), 15 * 16, (20, 20, 30), -1, cv2.LINE_AA, 4)
    cv2.circle(frame, _fixed(body), 13 * 16, color, -1, cv2.LINE_AA, 4)
    return frame


def walk(count: int, seed: int = 0, pan: float = 0, every: int = 1, color: Sequence[int] = (220, 60, 50)) -> list:
    """Draw a figure that changes its pose every `every` frames, while the camera pans by `pan` px a frame."""
    painting = background(seed)
    return [with_figure(view(painting, i * pan), 0.55 * (i // every), color=color) for i in range(count)]


def held(frames: Sequence[np.ndarray], times: int) -> list[np.ndarray]:
    return [frame for frame in frames for _ in range(times)]


def mix(before: Sequence[np.ndarray], after: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Cross-fade two shots over `count` frames."""
    weights = [(i + 1) / (count + 1) for i in range(count)]
    pairs = zip(before[-count:], after[:count], weights, strict=True)
    mixed = [cv2.addWeighted(a, 1 - weight, b, weight, 0) for a, b, weight in pairs]
    return [*before[:-count], *mixed, *after[count:]]


def grained(frames: Sequence[np.ndarray], sigma: float, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    noise = (random.normal(0, sigma, frame.shape[:2])[..., None] for frame in frames)
    return [np.clip(frame + grain, 0, 255).astype(np.uint8) for frame, grain in zip(frames, noise, strict=True)]


def coded(frames: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """Encode frames by x264 and decode them again."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    return decoded(file)


def decoded(source: Path | io.BytesIO, begin: int = 0, end: int = 10**9, width: int | None = None) -> list[np.ndarray]:
    """Decode the RGB frames from `begin` to before `end`, scaled to a width."""
    frames = []
    with av.open(source if isinstance(source, io.BytesIO) else str(source)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= end:
                break
            if number >= begin:
                height = None if width is None else frame.height * width // frame.width
                frames.append(frame.to_ndarray(format="rgb24", width=width, height=height))
    return frames


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Convert a point to 16ths of a pixel, OpenCV's fixed point."""
    x, y = (int(value) for value in np.rint(point * 16))
    return x, y
