"""How players show the frames of a film: turned, mirrored, with pixels that are not square; and frames made so.

Conventions: a film is turned by `Film.rotation` degrees counterclockwise, then, if `Film.mirrored`, mirrored left to
right. `Film.aspect` is the width of a stored pixel by its height.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from math import atan2, degrees
from typing import Any

import cv2
import numpy as np

from animeinterp.frame import Frame, from_planes, has_alpha, to_planes
from animeinterp.video.source.info import VideoInfo


def read_orientation(picture: Any) -> tuple[int, bool]:
    """Read how players turn a decoded picture, from its display matrix.

    Args:
        picture: PyAV's frame.

    Returns:
        Degrees counterclockwise, and whether it is mirrored left to right afterwards.
    """
    for data in picture.side_data:
        if str(data.type).endswith("DISPLAYMATRIX") and len(bytes(data)) == 36:
            # x' = a x + c y, y' = b x + d y, as FFmpeg's libavutil/display.h has it
            a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
            mirrored = a * d - b * c < 0
            return round(degrees(-atan2(b, -a if mirrored else a))), mirrored
    return int(picture.rotation), False


def describe_upright(film: VideoInfo, *, square: bool = True) -> VideoInfo:
    """Describe a film whose frames are as `make_upright` makes them."""
    sideways = round(film.rotation / 90) % 2 == 1
    width, height = (film.height, film.width) if sideways else (film.width, film.height)
    aspect = 1 / film.aspect if sideways else film.aspect
    if square:
        (width, height), aspect = _square_size(width, height, aspect), Fraction(1)
    return replace(film, width=width, height=height, aspect=aspect, rotation=0, mirrored=False)


def make_upright(frame: Frame, film: VideoInfo, *, square: bool = True) -> Frame:
    """Make a frame as players show it.

    Args:
        frame: As stored.
        film: Says how it is shown; rotations are rounded to quarter turns.
        square: Whether pixels are made square: the shorter side of a pixel is stretched, so that nothing is lost.

    Returns:
        A frame of the same mode and depth, of the size that `describe_upright` says.
    """
    quarters = round(film.rotation / 90) % 4
    shown: Any = np.rot90(frame, quarters)
    if film.mirrored:
        shown = np.fliplr(shown)
    shown = np.ascontiguousarray(shown)
    if not square:
        return shown  # type: ignore[no-any-return]
    size = _square_size(shown.shape[1], shown.shape[0], 1 / film.aspect if quarters % 2 else film.aspect)
    return _resized(shown, size)


def _square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    """A frame made larger, to (width, height); colors are averaged premultiplied."""
    if size == (frame.shape[1], frame.shape[0]):
        return frame
    if not has_alpha(frame):
        larger: Any = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
        return larger  # type: ignore[no-any-return]
    planes = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC) for plane in to_planes(frame)])
    return from_planes(planes, np.empty((size[1], size[0], frame.shape[2]), frame.dtype))
