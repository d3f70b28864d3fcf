"""Detect cuts: the first frames of shots.

Two frames of one shot share most of their edges, however fast objects or the camera move; across a cut they share few
(see `edge_matching`). That alone would make every step of a quick cross-fade a cut, so frames that are a mixture of
their neighbors are recognized. A flash makes two cuts: no frame may be drawn between a drawing and a white frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from animeinterp.video.cadence.edge_matching import EDGE_MATCH_LIMITS, EdgeMatchLimits, matched_edge_fraction
from animeinterp.video.cadence.signature import FrameSignature

FRAMES_BEFORE = 3  # signatures before the frame that `starts_shot` uses
FRAMES_AFTER = 2  # and after it


@dataclass(frozen=True, slots=True)
class CutLimits:
    """Parameters of the detector of cuts.

    Set by hand on the clips, pairs and made films of `benchmarks/cuts.py`; `python benchmarks/cuts.py CLIPS --pairs
    PAIRS --assets ASSETS` measures precision and recall on them.

    Attributes:
        min_matched_edges: Matched fraction of edges below which two frames are of two shots.
        edges: What counts as a match.
        color_change: Levels above which a pixel has changed.
        min_changed: Fraction of changed pixels below which there is no cut, nor a cross-fade.
        max_blank_changed: Fraction of changed pixels above which two blank frames are of two shots.
        blank_edges: Mean edge strength below which a frame is blank, levels/px.
        mixture_fraction: Fraction of the changed pixels that must agree with a mixture of the neighbors.
        mixture_error: Levels by which they may deviate from the mixture.
        mixture_error_per_change: Further levels per level of change.
        min_mixture: Least weight of the later neighbor in a mixture.
        max_mixture: Its greatest weight.
    """

    min_matched_edges: float = 0.4
    edges: EdgeMatchLimits = EDGE_MATCH_LIMITS
    color_change: float = 20.0
    min_changed: float = 0.06
    max_blank_changed: float = 0.5
    blank_edges: float = 0.3
    mixture_fraction: float = 0.7
    mixture_error: float = 8.0
    mixture_error_per_change: float = 0.15
    min_mixture: float = 0.1
    max_mixture: float = 0.9


CUT_LIMITS = CutLimits()


def starts_shot(
    before: Sequence[FrameSignature],
    frame: FrameSignature,
    after: Sequence[FrameSignature],
    limits: CutLimits = CUT_LIMITS,
) -> bool:
    """Decide whether a frame is the first of a shot.

    Args:
        before: Signatures of up to `FRAMES_BEFORE` frames before it, at least one, in order. Leave out repeats.
        frame: Signature of the frame.
        after: Of up to `FRAMES_AFTER` frames after it, likewise.
        limits: What counts as a cut.

    Returns:
        Whether it is.
    """
    if _same_shot(before[-1], frame, limits):
        return False
    frames = [*before, frame, *after]
    # One mixture alone may be a cut that a codec has smeared; two in a row are a cross-fade or a fade.
    mixtures = [
        0 < i < len(frames) - 1 and _is_mixture(frames[i - 1], frames[i], frames[i + 1], limits)
        for i in range(len(before) - 2, len(before) + 2)
    ]
    return not any(first and second for first, second in pairwise(mixtures))


def _same_shot(a: FrameSignature, b: FrameSignature, limits: CutLimits) -> bool:
    """Return whether two frames belong to one shot; frames of two sizes do not."""
    if a.fine.shape != b.fine.shape:
        return False
    changed = float((cv2.absdiff(a.coarse, b.coarse).max(axis=2) > limits.color_change).mean())
    blank = [float(frame.edges.mean()) < limits.blank_edges for frame in (a, b)]
    if all(blank):
        return changed <= limits.max_blank_changed
    if changed < limits.min_changed and not any(blank):
        return True
    matched = matched_edge_fraction(a, b, limits.min_matched_edges, limits.edges)
    return matched >= limits.min_matched_edges


def _is_mixture(a: FrameSignature, b: FrameSignature, c: FrameSignature, limits: CutLimits) -> bool:
    """Return whether `b` is a mixture of `a` and `c`, as in a cross-fade or a fade."""
    if not a.fine.shape == b.fine.shape == c.fine.shape:
        return False
    # Blurred, so that what moves meanwhile still agrees.
    a_to_c, a_to_b = (np.asarray(cv2.blur(frame.coarse - a.coarse, (9, 9))) for frame in (c, b))
    change = np.abs(a_to_c).max(axis=2)
    changed = change > limits.color_change
    if changed.mean() < limits.min_changed:
        return False
    weight = float((a_to_c * a_to_b)[changed].sum() / (a_to_c * a_to_c)[changed].sum())
    error = np.abs(a_to_b - weight * a_to_c).max(axis=2)[changed]
    max_error = limits.mixture_error + limits.mixture_error_per_change * change[changed]
    agrees = bool((error < max_error).mean() > limits.mixture_fraction)
    return agrees and limits.min_mixture < weight < limits.max_mixture
