"""Recognize line drawings: thin ink on flat, light paper or on nothing.

The paper is the commonest color of a drawing, or transparency; ink is what differs from it. In a line drawing most of
the area is paper, and hardly any ink lies deeper than in a thick line. Fills, shading, grain and pictures fail one of
both. A figure in flat color on white paper is not a line drawing; one whose fills are the paper is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.config import LineArtMode
from animeinterp.frame import Frame, has_alpha, to_planes
from animeinterp.line_art.strokes import REFERENCE_PIXELS, Floats, Strokes, trace_strokes


@dataclass(frozen=True, slots=True)
class LineArtLimits:
    """What counts as a line drawing.

    By hand. No frame of the linear set and of the development set passes, nor every eighth frame of six films
    (a drawn one among them), nor figures of the training scenes on white.

    Attributes:
        paper: Difference from the paper up to which a pixel is paper, as a fraction of the range.
        min_paper: Smallest fraction of the pixels that are paper.
        min_light: Smallest mean of the channels of opaque paper, as a fraction of the range.
        thick: Half the thickness of the thickest line, px at 960x540.
        max_deep: Largest fraction of the ink that lies in what is thicker.
        min_ink: Smallest fraction of the pixels that are ink.
    """

    paper: float = 0.05
    min_paper: float = 0.7
    min_light: float = 0.6
    thick: float = 8.0
    max_deep: float = 0.15
    min_ink: float = 0.0005


LIMITS = LineArtLimits()


@dataclass(frozen=True, slots=True, eq=False)
class LineDrawing:
    """A line drawing.

    Attributes:
        paper: Color of the paper, float32 (C,) as planes of a frame; zeros if it is transparent.
        ink: Planes of the frame less the paper, float32 (C, H, W).
        strokes: Its strokes.
    """

    paper: Floats
    ink: Floats
    strokes: Strokes


@dataclass(frozen=True, slots=True)
class InkMeasures:
    """What decides whether a frame is a line drawing.

    Attributes:
        paper: Fraction of the pixels that are paper.
        light: Mean of the channels of the paper, as a fraction of the range; 1 if it is transparent.
        ink: Fraction of the pixels that are ink.
        deep: Fraction of the ink that lies in what is thicker than a line.
    """

    paper: float
    light: float
    ink: float
    deep: float

    def pass_limits(self, limits: LineArtLimits) -> bool:
        """Tell whether these are those of a line drawing."""
        return (
            self.paper >= limits.min_paper
            and self.light >= limits.min_light
            and self.ink >= limits.min_ink
            and self.deep <= limits.max_deep
        )


def recognize(frame: Frame, mode: LineArtMode = "auto", limits: LineArtLimits = LIMITS) -> LineDrawing | None:
    """Recognize a line drawing.

    Args:
        frame: Any frame, see `animeinterp.frame`.
        mode: `on` takes any frame that has ink for one, `off` none.
        limits: What counts as one.

    Returns:
        The drawing; None if the frame is something else.
    """
    if mode == "off":
        return None
    planes = to_planes(frame)
    paper = find_paper(frame, planes)
    ink = planes - paper[:, None, None]
    difference = np.abs(ink).max(axis=0)
    measures = measure_ink(difference, paper, has_alpha(frame), limits)
    if not (measures.ink > 0 if mode == "on" else measures.pass_limits(limits)):
        return None
    full = float(np.percentile(difference[difference > limits.paper], 95))
    strokes = trace_strokes(np.minimum(difference / np.float32(full), 1))
    return LineDrawing(paper, ink, strokes) if len(strokes) else None


def find_paper(frame: Frame, planes: Floats) -> Floats:
    """Find the color of the paper: the commonest level of each channel, or zeros if most pixels are transparent.

    Args:
        frame: The frame.
        planes: The same, as of `animeinterp.frame.to_planes`.

    Returns:
        float32 (C,), premultiplied.
    """
    if has_alpha(frame) and np.count_nonzero(planes[-1] == 0) * 2 > planes[-1].size:
        return np.zeros(len(planes), np.float32)
    levels = [np.bincount(np.rint(plane.ravel() * 255).astype(np.int64), minlength=256).argmax() for plane in planes]
    near = [plane[np.abs(plane - level / 255) < 1 / 255] for plane, level in zip(planes, levels, strict=True)]
    return np.array([np.median(values) for values in near], np.float32)


def measure_ink(difference: Floats, paper: Floats, alpha: bool, limits: LineArtLimits = LIMITS) -> InkMeasures:
    """Measure paper and ink.

    Args:
        difference: Difference from the paper in the channel that differs most, float32 (H, W).
        paper: float32 (C,).
        alpha: Whether the last channel is alpha.
        limits: What counts as paper and as thick.

    Returns:
        The measures.
    """
    ink: NDArray[np.bool_] = difference > limits.paper
    share = float(ink.mean())
    transparent = alpha and not paper.any()
    light = 1.0 if transparent else float(paper[: len(paper) - alpha].mean())
    deep = 0.0
    if 0 < share <= 1 - limits.min_paper:
        radius = max(1, round(limits.thick * max(1.0, (ink.size / REFERENCE_PIXELS) ** 0.5)))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        opened = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_OPEN, disc)
        deep = float(np.count_nonzero(opened) / np.count_nonzero(ink))
    return InkMeasures(1 - share, light, share, deep)
