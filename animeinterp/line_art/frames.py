"""Frames of line drawings: join two, and draw the frame between them.

What is the same in both frames, with its surroundings, is copied. Strokes that move are drawn anew on the paper. Ink
that belongs to no stroke, such as smudges and the grain of the paper, is cross-faded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import LineArtMode
from animeinterp.frame import AnyFrame, Frame, from_planes
from animeinterp.line_art.drawing import cover
from animeinterp.line_art.pair import LinePair, draw_between, join_drawings
from animeinterp.line_art.recognize import LineDrawing
from animeinterp.line_art.strokes import Floats

# Fraction of strokes found again, by hand: of every second pair of the linear set, none was below 0.7.
MIN_MATCHED = 0.3
_SURROUNDINGS = 5  # px; two strokes that cross where another crossing was before are not static
_RESIDUE = 3.0  # px beyond the radius of a stroke within which ink belongs to it


class LineSide(Protocol):
    """A frame and the line drawing that was recognized in it, such as `animeinterp.motion.Analysis`."""

    @property
    def frame(self) -> Frame:
        """The frame."""

    @property
    def lines(self) -> LineDrawing | None:
        """The drawing; None if the frame is something else."""


@dataclass(frozen=True, slots=True, eq=False)
class LineMotion:
    """How two line drawings move into each other.

    Attributes:
        pair: Their strokes.
        same: Pixels that are equal in both frames, bool (H, W).
        static: Those whose surroundings are, too.
        strokes: Pixels that strokes have in either frame, bool (H, W).
    """

    pair: LinePair
    same: NDArray[np.bool_]
    static: NDArray[np.bool_]
    strokes: NDArray[np.bool_]


def join_frames(sides: tuple[LineSide, LineSide], flows: tuple[Floats, Floats], mode: LineArtMode) -> LineMotion | None:
    """Match the strokes of two line drawings.

    Args:
        sides: Two frames of one size, mode and depth, with what was recognized in them.
        flows: Flow 0→1 and 1→0 of another method, float32 (2, H, W), px: candidates for the strokes.
        mode: `auto` demands that enough strokes are found again.

    Returns:
        How they move into each other; None where they are not two line drawings, or too few strokes are found again.
    """
    drawing0, drawing1 = sides[0].lines, sides[1].lines
    if mode == "off" or drawing0 is None or drawing1 is None:
        return None
    differs = sides[0].frame != sides[1].frame
    same = ~(differs if differs.ndim == 2 else np.logical_or.reduce(differs, 2))
    around = np.ones((_SURROUNDINGS, _SURROUNDINGS), np.uint8)
    static = cv2.erode(same.astype(np.uint8), around) > 0
    strokes = np.zeros(same.shape, np.bool_)
    for drawing in (drawing0, drawing1):
        strokes |= cover(drawing.strokes, same.shape, _RESIDUE)
    pair = join_drawings(drawing0, drawing1, static, [flows])
    return LineMotion(pair, same, static, strokes) if mode == "on" or pair.matched >= MIN_MATCHED else None


def draw_line_frame(motion: LineMotion, frame0: AnyFrame, t: float) -> AnyFrame:
    """Draw the frame at a time.

    Args:
        motion: Of the two frames.
        frame0: The frame at t = 0.
        t: In (0, 1).

    Returns:
        The frame.
    """
    drawings = [half.drawing for half in motion.pair.halves]
    ink, reached = draw_between(motion.pair, t)
    paper = (1 - t) * drawings[0].paper + t * drawings[1].paper
    residue = (1 - t) * drawings[0].ink + t * drawings[1].ink
    residue[:, motion.strokes & ~motion.static] = 0
    # Of two inks in one place the stronger one is seen.
    stronger = np.abs(ink).max(axis=0) > np.abs(residue).max(axis=0)
    planes = np.where(stronger & reached, ink, residue).astype(np.float32)
    planes += paper[:, None, None].astype(np.float32)
    drawn = from_planes(planes, frame0)
    copied = (motion.static | (motion.same & ~motion.strokes)) & ~(reached & stronger)
    np.copyto(drawn, frame0, where=copied if frame0.ndim == 2 else copied[..., None])
    return drawn
