"""The source and the new film in one frame, each with a label, to judge one by the other."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, channels, has_alpha

Compare = Literal["side", "wipe"]
_SWEEP = 4  # s from one side to the other and back
_LINE = 2  # px
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL = 22  # px, about, of a capital at scale 1
_SHARE = 0.035  # of a frame's height that a capital takes
_SMALLEST = 9  # px; smaller letters cannot be read
_MARGIN = 2  # px, at least


def comparison_frame(
    source: Frame, new: Frame, time: Fraction, how: Compare, labels: tuple[str, str] = ("source", "new")
) -> Frame:
    """Show the source's frame and the new one.

    Args:
        source: The source's frame.
        new: The new frame, of the same size, mode and depth.
        time: s since the film began.
        how: `side` by side, or the source left of a border that `wipe`s over the frame, in 4 s to the right and back.
        labels: What is written over the source and over the new film; shortened to what fits, left out where not even
            one letter can be read.
    """
    first, second = _labeled(source, labels[0], left=True), _labeled(new, labels[1], left=how == "side")
    if how == "side":
        return np.concatenate([first, second], axis=1)
    width = source.shape[1]
    phase = time / _SWEEP % 1
    place = round(float(1 - abs(2 * phase - 1)) * width)
    frame = np.concatenate([first[:, :place], second[:, place:]], axis=1)
    frame[:, max(0, place - _LINE) : place] = np.iinfo(frame.dtype).max
    return frame


def _labeled(frame: Frame, text: str, *, left: bool) -> Frame:
    """A copy of a frame with a label in an upper corner, white with a black outline."""
    height, width = frame.shape[:2]
    drawn = _label(text, width, height)
    if drawn is None:
        return frame
    white, cover = drawn
    rows = slice(0, cover.shape[0])
    columns = slice(0, cover.shape[1]) if left else slice(width - cover.shape[1], width)
    top = np.iinfo(frame.dtype).max
    labeled: Any = frame.copy()
    part = labeled[rows, columns].reshape(*cover.shape, channels(frame)).astype(np.float64)
    weight = cover[..., None]
    part[..., : channels(frame) - has_alpha(frame)] *= 1 - weight
    part[..., : channels(frame) - has_alpha(frame)] += top * white[..., None]
    if has_alpha(frame):
        part[..., -1] = np.maximum(part[..., -1], top * cover)
    labeled[rows, columns] = np.rint(part).astype(frame.dtype).reshape(labeled[rows, columns].shape)
    return labeled  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _label(text: str, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """How much of each pixel of the corner is white, and how much is label at all, (h, w), 0 to 1.

    None if not one letter fits.
    """
    words = text.split()
    shorter = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    for one in (*shorter, text[:3], text[:1]):
        for size in range(max(round(_SHARE * height), _SMALLEST), _SMALLEST - 1, -1):
            thick = max(1, round(size / 9))
            scale, margin = size / _CAPITAL, max(_MARGIN, size // 2 if size > _SMALLEST else 0)
            (across, down), below = cv2.getTextSize(one, _FONT, scale, thick)
            box = down + below + 2 * margin, across + 2 * margin
            if box[0] > height or box[1] > width:
                continue
            place = margin, margin + down
            white = np.zeros(box, np.uint8)
            cv2.putText(white, one, place, _FONT, scale, 255, thick, cv2.LINE_AA)
            # Not drawn with a thicker pen: some fonts of OpenCV run wider then.
            outline = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thick + 1, 2 * thick + 1))
            return white / 255, np.asarray(cv2.dilate(white, outline)) / 255
    return None
