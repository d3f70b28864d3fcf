"""Show the source and the new film in one frame, each with a label."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, channels, has_alpha

Compare = Literal["side", "wipe"]
_WIPE_PERIOD = 4  # s, from the left side to the right and back
_BORDER_WIDTH = 2  # px
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_UNIT_LETTER = 22  # px, height of a capital letter at scale 1, about
_LETTER_FRACTION = 0.035  # of the frame's height
_MIN_LETTER = 9  # px; smaller letters cannot be read
_MIN_MARGIN = 2  # px


def comparison_frame(
    source: Frame, new: Frame, time: Fraction, how: Compare, labels: tuple[str, str] = ("source", "new")
) -> Frame:
    """Show a source frame and a new frame in one.

    Args:
        source: The source frame.
        new: The new frame, of the same size, mode and depth.
        time: Time since the film began, s.
        how: `side` by side; or `wipe`, the source left of a border that moves to the right and back within 4 s.
        labels: Texts over the source and over the new frame; shortened to what fits, left out if no letter does.

    Returns:
        A frame of the same height, mode and depth; twice as wide for `side`.
    """
    first, second = _labeled(source, labels[0], left=True), _labeled(new, labels[1], left=how == "side")
    if how == "side":
        return np.concatenate([first, second], axis=1)
    width = source.shape[1]
    phase = time / _WIPE_PERIOD % 1
    border = round(float(1 - abs(2 * phase - 1)) * width)
    frame = np.concatenate([first[:, :border], second[:, border:]], axis=1)
    frame[:, max(0, border - _BORDER_WIDTH) : border] = np.iinfo(frame.dtype).max
    return frame


def _labeled(frame: Frame, text: str, *, left: bool) -> Frame:
    """Copy a frame with a label in an upper corner, white with a black outline."""
    height, width = frame.shape[:2]
    label = _render_label(text, width, height)
    if label is None:
        return frame
    white, cover = label
    rows = slice(0, cover.shape[0])
    columns = slice(0, cover.shape[1]) if left else slice(width - cover.shape[1], width)
    full_scale = np.iinfo(frame.dtype).max
    labeled: Any = frame.copy()
    corner = labeled[rows, columns].reshape(*cover.shape, channels(frame)).astype(np.float64)
    color = corner[..., : channels(frame) - has_alpha(frame)]
    color *= 1 - cover[..., None]
    color += full_scale * white[..., None]
    if has_alpha(frame):
        corner[..., -1] = np.maximum(corner[..., -1], full_scale * cover)
    labeled[rows, columns] = np.rint(corner).astype(frame.dtype).reshape(labeled[rows, columns].shape)
    return labeled  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _render_label(text: str, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Render a label for a frame's corner: the white part and the part with the outline, (h, w) in [0, 1].

    The text is shortened until it fits; None if no letter does.
    """
    words = text.split()
    shortened = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    for label in (*shortened, text[:3], text[:1]):
        for letter in range(max(round(_LETTER_FRACTION * height), _MIN_LETTER), _MIN_LETTER - 1, -1):
            thickness = max(1, round(letter / 9))
            scale = letter / _UNIT_LETTER
            margin = max(_MIN_MARGIN, letter // 2 if letter > _MIN_LETTER else 0)
            (text_width, text_height), below_baseline = cv2.getTextSize(label, _FONT, scale, thickness)
            size = text_height + below_baseline + 2 * margin, text_width + 2 * margin
            if size[0] > height or size[1] > width:
                continue
            white = np.zeros(size, np.uint8)
            cv2.putText(white, label, (margin, margin + text_height), _FONT, scale, 255, thickness, cv2.LINE_AA)
            # Dilated instead of written with a thicker pen: some fonts of OpenCV become wider then.
            outline = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
            return white / 255, np.asarray(cv2.dilate(white, outline)) / 255
    return None
