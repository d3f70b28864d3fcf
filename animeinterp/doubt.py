"""What is drawn between two frames, and how doubtful it is: the results of workers, without torch.

`animeinterp.confidence` measures doubt; this module names what is done with it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame

# `none`: nothing is measured. `pairs`: once per pair, in the middle. `hold`: likewise, and the nearer frame is shown
# in place of every frame of a doubtful pair. `drawings`: every drawing, with a map of the doubtful ones.
Judging = Literal["none", "pairs", "hold", "drawings"]

# Two frames of larger doubt show different scenes. With `cel-fast` it is 0.10 at most in 27 development triplets, 0.48
# at least between as many pairs of frames of different triplets.
SCENE_DOUBT = 0.3


class Doubt(NamedTuple):
    """How doubtful a drawing is.

    Attributes:
        value: Mean lack of confidence, in [0, 1].
        is_doubtful: Whether that is above the threshold.
        marks: Lack of confidence, uint8 (h, w), 255 = none, at a reduced size; None if not asked for, or if good.
    """

    value: float
    is_doubtful: bool
    marks: NDArray[np.uint8] | None = None


class DrawnPair(NamedTuple):
    """What was drawn between two frames.

    Attributes:
        frames: The new frames, or frames held in their place.
        doubts: Of each of them; empty if nothing was measured.
    """

    frames: list[Frame]
    doubts: list[Doubt]
