"""Line drawings: recognized, and shaded for matching and for the network.

In a drawing of lines everything between the lines has one color, so matching and flow find nothing there to hold on
to. Shaded by the distance to the nearest line, every place looks different. Only what is seen is shaded: frames are
drawn with the pixels of the drawings.

A line drawing is thin ink on light paper or on nothing. The paper is what is left where thin dark shapes are closed; it
may be uneven, as that of scans is. Ink is what differs from it. Most of the area is paper, and hardly any ink lies
deeper than in a thick line. Fills, shading and pictures fail one of these. A figure in flat color on white paper is not
a line drawing; one whose fills are the paper is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import RGBImage

Floats = NDArray[np.float32]

_REFERENCE_PIXELS = 960 * 540
# Distances over which the second and the third channel become lighter, px at 960x540 and below; larger frames have
# proportionally longer ones. Of twelve sets of distances for one to three channels these leave the smallest line
# Chamfer distance on the lines of the linear set (benchmarks/line_art.py). The first channel shows the lines as they
# are; with all three shaded, lines get thicker.
_DISTANCES = (2.0, 8.0)
_SMALL_PIXELS = 40_000  # of the reduced image in which paper is looked for
_CLOSING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))  # px of that image: 47 px at 960x540
_PAPER_SIGMA = 4.0  # px of that image
_SAMPLED_FRACTION = 0.9  # of `min_paper`: a sample of the pixels scatters


@dataclass(frozen=True, slots=True)
class LineArtLimits:
    """What counts as a line drawing.

    By hand. Of lines extracted from the frames of the linear set and of the development set all pass but those of one
    triplet of fog, and so do the first of each triplet as uneven, grainy scans. No frame of these sets or of drawn film
    passes.

    Attributes:
        paper: Difference from the paper up to which a pixel is paper, as a fraction of the range.
        min_paper: Smallest fraction of the pixels that are paper.
        min_light: Smallest lightness of paper, as a fraction of the range; its 2nd percentile.
        max_uneven: Largest difference of the 2nd and 98th percentiles of each channel of the paper.
        thick: Half the thickness of the thickest line, px at 960x540.
        max_deep: Largest fraction of the ink that lies in what is thicker.
        min_ink: Smallest fraction of the pixels that are ink.
    """

    paper: float = 0.05
    min_paper: float = 0.7
    min_light: float = 0.6
    max_uneven: float = 0.2
    thick: float = 8.0
    max_deep: float = 0.15
    min_ink: float = 0.0005


LIMITS = LineArtLimits()


def shade_lines(planes: Floats, alpha: bool, limits: LineArtLimits = LIMITS) -> RGBImage | None:
    """Shade a line drawing by the distance to its lines.

    Args:
        planes: A frame as planes, float32 (C, H, W) in [0, 1], see `animeinterp.frame.to_planes`.
        alpha: Whether the last of them is alpha.
        limits: What counts as a line drawing.

    Returns:
        Black lines on white, uint8 (H, W, 3); the second and the third channel become lighter away from the lines.
        None if the frame is not a line drawing.
    """
    strength = _find_ink(planes, alpha, limits)
    if strength is None:
        return None
    ink = strength > limits.paper
    if not _is_thin(ink, limits):
        return None
    full = float(np.percentile(strength[ink], 95))
    light = 1 - np.minimum(strength / full, 1)
    distance = cv2.distanceTransform((light > 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    shaded = [light, *(np.minimum(light, 1 - np.exp(-distance / (_unit(ink) * reach))) for reach in _DISTANCES)]
    return np.ascontiguousarray(np.rint(255 * np.stack(shaded, axis=2)).astype(np.uint8))


def _find_ink(planes: Floats, alpha: bool, limits: LineArtLimits) -> Floats | None:
    """Measure the ink at each pixel, float32 (H, W); None if there is no light, nearly even paper."""
    if alpha and np.count_nonzero(planes[-1] == 0) * 2 > planes[-1].size:
        return np.asarray(planes[-1], np.float32)
    height, width = planes.shape[1:]
    scale = min(1.0, (_SMALL_PIXELS / (height * width)) ** 0.5)
    step = max(1, int(1 / scale))
    if not _is_mostly_light(planes[: len(planes) - alpha, ::step, ::step], limits):
        return None  # nearly all frames of films end here
    colors = planes[:-1] + (1 - planes[-1]) if alpha else planes
    size = max(1, round(width * scale)), max(1, round(height * scale))
    papers = [_close(np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))) for plane in colors]
    low, high = np.percentile(papers, [2, 98], axis=(1, 2))
    if low.mean() < limits.min_light or (high - low).max() > limits.max_uneven:
        return None
    strength: Floats = np.zeros((height, width), np.float32)
    for plane, paper in zip(colors, papers, strict=True):
        whole = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
        np.maximum(strength, np.abs(plane - whole), out=strength)
    return strength


def _is_mostly_light(sample: Floats, limits: LineArtLimits) -> bool:
    """Tell whether most of a sample of the pixels have about the same lightness, which is light."""
    lightness = sample.mean(0)
    middle = np.median(lightness)
    return bool(
        middle >= limits.min_light
        and (np.abs(lightness - middle) <= limits.max_uneven).mean() >= _SAMPLED_FRACTION * limits.min_paper
    )


def _close(plane: Floats) -> Floats:
    """Close what is darker than its surroundings and thin."""
    closed = cv2.morphologyEx(plane, cv2.MORPH_CLOSE, _CLOSING)
    return np.asarray(cv2.GaussianBlur(closed, (0, 0), _PAPER_SIGMA))


def _unit(ink: NDArray[np.bool_]) -> float:
    """Return the px of a frame per px at 960x540; 1 in smaller frames."""
    return max(1.0, float((ink.size / _REFERENCE_PIXELS) ** 0.5))


def _is_thin(ink: NDArray[np.bool_], limits: LineArtLimits) -> bool:
    """Tell whether there is ink, not much of it, and hardly any of it deeper than in a thick line."""
    count = np.count_nonzero(ink)
    if not limits.min_ink * ink.size <= count <= (1 - limits.min_paper) * ink.size:
        return False
    radius = limits.thick * _unit(ink)
    # An opening by a disc: what lies within its radius of the deep pixels. The border of the frame ends no ink.
    framed = cv2.copyMakeBorder(ink.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    core = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1] > radius
    if not core.any():
        return True
    away = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return bool(np.count_nonzero(ink & (away <= radius)) <= limits.max_deep * count)
