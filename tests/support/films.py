"""Small films for the tests, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from conftest import draw_scene

SIZE = (96, 64)


def figure(shift: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A figure `shift` px further to the right."""
    return draw_scene(shift, size)


def make_film(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    rate: Fraction | int = 24,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[Fraction] | None = None,
    setup: Callable[[Any, Any], None] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames, uint8 or uint16 RGB, as a video.

    times: s of each frame, for a variable rate. setup: called with the container and the video stream first.
    """
    frames = list(frames)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        base = Fraction(1, 24000)
        if times is not None:
            stream.time_base = stream.codec_context.time_base = base
        if setup is not None:
            setup(container, stream)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24" if frame.dtype == np.uint8 else "rgb48le")
            picture.time_base = base if times is not None else 1 / Fraction(rate)
            picture.pts = number if times is None else int(times[number] / base)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def pictures(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Times, s, and frames, RGB, of a video."""
    with av.open(path) as container:
        return [(p.pts * p.time_base, p.to_ndarray(format="rgb24")) for p in container.decode(video=0)]


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference, of the range 0 to 255 for 8 bits."""
    return float(np.abs(first.astype(np.int32) - second).mean())
