"""Opens Lottie animations (.json.gz) with rlottie. Needs the extra `train`."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.errors import FileError, MissingExtraError
from animeinterp.io.files import check_source
from animeinterp.io.reading import parse_json

RGBAImage = NDArray[np.uint8]  # (H, W, 4), premultiplied

_MAX_UNPACKED_BYTES = 32 << 20  # uncompressed
_MAX_SIDE = 1 << 16  # px
_MAX_FRAMES = 10**6
_MAX_RATE = 10_000  # frames per second


@dataclass(frozen=True, slots=True, eq=False)
class Animation:
    """A vector animation.

    Attributes:
        frame_rate: Frames per second.
        frames: Number of frames.
        width: Nominal width, px.
        height: Nominal height, px.
        draw: Draws a frame by its number, from 0, at (width, height) px: uint8 (height, width, 4) RGBA, premultiplied.
    """

    frame_rate: float
    frames: int
    width: int
    height: int
    draw: Callable[[int, tuple[int, int]], RGBAImage]


def list_animations(folder: Path | str) -> list[Path]:
    """List the Lottie animations (.json.gz) below a folder, sorted.

    Synfig's (.sifz) are not listed: synfig takes 1 to 3 s per frame. Raises FileError if there are none.
    """
    paths = sorted(Path(folder).rglob("*.json.gz"))
    if not paths:
        raise FileError(f"expected vector animations (.json.gz) below {folder}, found none; give their folder")
    return paths


def open_animation(path: Path | str) -> Animation:
    """Open a Lottie animation.

    Args:
        path: A gzipped Lottie file.

    Returns:
        The animation.

    Raises:
        FileError: The file is not a Lottie animation, or too large.
        MissingExtraError: rlottie is not installed.
    """
    if Path(path).suffix == ".sifz":
        raise FileError(f"expected a Lottie animation, got synfig's {path}; export it from Synfig Studio as Lottie")
    try:
        from rlottie_python.rlottie_wrapper import LottieAnimation
    except ImportError as error:
        raise MissingExtraError(
            "drawing Lottie animations needs rlottie-python; run: pip install 'animeinterp[train]'"
        ) from error
    check_source(Path(path), "a gzipped Lottie animation")
    try:
        with gzip.open(path) as file:
            data = file.read(_MAX_UNPACKED_BYTES + 1)
        if len(data) > _MAX_UNPACKED_BYTES:
            raise ValueError(f"more than {_MAX_UNPACKED_BYTES >> 20} MB unpacked")
        text = data.decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileError(f"{path} is not a gzipped Lottie animation ({error}); leave it out") from error
    parse_json(text, path, "a gzipped Lottie animation, so leave it out")
    handle: Any = LottieAnimation.from_data(text)
    frames = handle.lottie_animation_get_totalframe() if handle.animation_p else 0
    if frames < 1:
        raise FileError(f"expected a Lottie animation, rlottie finds no frames in {path}; leave it out")
    width, height = handle.lottie_animation_get_size()
    rate = handle.lottie_animation_get_framerate()
    if not (0 < rate < _MAX_RATE and 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and frames <= _MAX_FRAMES):
        raise FileError(f"expected an animation, {path} is {width}x{height}, {frames} frames at {rate:g}; leave it out")

    def draw(frame: int, size: tuple[int, int]) -> RGBAImage:
        data = handle.lottie_animation_render(frame, width=size[0], height=size[1])
        bgra = np.frombuffer(data, np.uint8).reshape(size[1], size[0], 4)
        return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)

    return Animation(rate, frames, width, height, draw)
