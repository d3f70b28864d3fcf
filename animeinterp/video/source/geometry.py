"""How players show the frames of a film: rotated, mirrored, with non-square pixels; and frames converted to that.

Conventions: a film is rotated by `VideoInfo.rotation` degrees counterclockwise, then, if `VideoInfo.mirrored`, mirrored
left to right. `VideoInfo.aspect` is the width of a stored pixel divided by its height.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from math import atan2, degrees
from typing import cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData

from animeinterp.frame import Frame, from_planes, has_alpha, to_planes
from animeinterp.video.source.info import VideoInfo


def read_side_data(frame: av.VideoFrame) -> dict[str, bytes]:
    """Return the side data of a decoded frame, as bytes by FFmpeg's name of its type."""
    # PyAV's stubs describe a dictionary, but the frame has a sequence.
    items = cast(Iterable[SideData], frame.side_data)
    return {str(item.type).rsplit(".", 1)[-1]: bytes(item) for item in items}


def read_orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Read how players rotate and mirror a decoded frame, from its display matrix.

    Args:
        frame: A frame as it is stored.

    Returns:
        Rotation in degrees counterclockwise, and whether the frame is mirrored left to right afterwards.
    """
    matrix = read_side_data(frame).get("DISPLAYMATRIX", b"")
    if len(matrix) != 36:
        return int(frame.rotation), False
    # x' = a x + c y, y' = b x + d y; see FFmpeg's libavutil/display.h.
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    mirrored = a * d - b * c < 0
    return round(degrees(-atan2(b, -a if mirrored else a))), mirrored


def describe_upright(film: VideoInfo, *, square: bool = True) -> VideoInfo:
    """Describe a film whose frames `make_upright` has converted.

    Args:
        film: The film as it is stored.
        square: Whether pixels are made square.
    """
    is_sideways = round(film.rotation / 90) % 2 == 1
    width, height = (film.height, film.width) if is_sideways else (film.width, film.height)
    aspect = 1 / film.aspect if is_sideways else film.aspect
    if square:
        (width, height), aspect = _square_size(width, height, aspect), Fraction(1)
    return replace(film, width=width, height=height, aspect=aspect, rotation=0, mirrored=False)


def make_upright(frame: Frame, film: VideoInfo, *, square: bool = True) -> Frame:
    """Rotate, mirror and scale a frame as players show it.

    Args:
        frame: A frame as it is stored, see `animeinterp.frame`.
        film: The film; its rotation is rounded to quarter turns.
        square: Whether pixels are made square, by enlarging along their shorter side, so that no detail is lost.

    Returns:
        A frame of the same mode and depth, of the size that `describe_upright` gives.
    """
    quarters = round(film.rotation / 90) % 4
    upright = np.rot90(frame, quarters)
    upright = cast(Frame, np.ascontiguousarray(np.fliplr(upright) if film.mirrored else upright))
    if not square:
        return upright
    aspect = 1 / film.aspect if quarters % 2 else film.aspect
    return _enlarge(upright, _square_size(upright.shape[1], upright.shape[0], aspect))


def _square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Return the size, px, at which pixels are square."""
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _enlarge(frame: Frame, size: tuple[int, int]) -> Frame:
    """Enlarge a frame to (width, height), px; colors are premultiplied by alpha."""
    if size == (frame.shape[1], frame.shape[0]):
        return frame
    if not has_alpha(frame):
        return cast(Frame, cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC))
    planes = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC) for plane in to_planes(frame)])
    return from_planes(planes, np.empty((size[1], size[0], frame.shape[2]), frame.dtype))
