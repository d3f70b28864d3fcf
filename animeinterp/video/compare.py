"""The source and the new film in one picture, to judge one by the other."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np

from animeinterp.frame import Frame

Compare = Literal["side", "wipe"]
_SWEEP = 4  # s from one side to the other and back
_LINE = 2  # px


def beside(source: Frame, new: Frame, time: Fraction, how: Compare) -> Frame:
    """The source's frame and the new one: `side` by side, or the source left of a border that `wipe`s over the picture.

    time: s since the film began; the border takes 4 s from left to right and back.
    """
    if how == "side":
        return np.concatenate([source, new], axis=1)
    width = source.shape[1]
    phase = time / _SWEEP % 1
    place = round(float(1 - abs(2 * phase - 1)) * width)
    frame = np.concatenate([source[:, :place], new[:, place:]], axis=1)
    frame[:, max(0, place - _LINE) : place] = np.iinfo(frame.dtype).max
    return frame
