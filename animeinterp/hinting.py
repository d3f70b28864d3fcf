"""Joins hints with the analyses of two frames: which segments they match, which flow they replace, and arcs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import AnyFrame
from animeinterp.hints import Hint, Hints
from animeinterp.motion import Analysis, Array, HintedMotion, Motion
from animeinterp.net.ops.moving_targets import mark_moving_targets
from animeinterp.segment_matching import SegmentMatches
from animeinterp.sgm.hinted_flow import Direction, SegmentPair, adjust_importance, replace_by_hints, segments_at
from animeinterp.sgm.part_motion import PartPoints, bend, pose_between

Flows = tuple[Array, Array]

_SWEEP_TIMES = tuple(k / 12 for k in range(1, 12))  # at which the way of a part is looked at
_SWEEP_MARGIN = 9  # px


class Guided(NamedTuple):
    """What follows from hints.

    Attributes:
        matches: With the coarse flow of the hinted parts.
        flows: Flow 0→1 and 1→0 at working size, with that of the hinted parts.
        hinted: Which pixels follow hints.
    """

    matches: SegmentMatches
    flows: Flows
    hinted: HintedMotion


def matches_of_hints(hints: Hints, analysis0: Analysis, analysis1: Analysis) -> list[tuple[int, int]]:
    """Return the segments of frame 0 and frame 1 that hints say belong together.

    Args:
        hints: px of the frame.
        analysis0: Frame 0.
        analysis1: Frame 1.

    Returns:
        Pairs of segments, each once.

    Raises:
        UsageError: The hints do not fit the frames, see `Hints.check`.
    """
    hints.check(*analysis0.frame.shape[:2])
    pairs: dict[tuple[int, int], None] = {}
    for hint in hints:
        pairs |= dict.fromkeys(_segment_pairs(_at_working_size(hint, analysis0), analysis0, analysis1))
    return list(pairs)


def follow_hints(
    hints: Hints, analysis0: Analysis, analysis1: Analysis, matches: SegmentMatches, flows: Flows
) -> Guided:
    """Replace the flow of the parts that are hinted at.

    Args:
        hints: px of the frame.
        analysis0: Frame 0.
        analysis1: Frame 1.
        matches: Of both frames.
        flows: Flow 0→1 and 1→0 that matching found, float32 (2, h, w), px at working size.

    Returns:
        What follows from the hints.
    """
    parts: list[PartPoints | SegmentPair] = []
    full: list[PartPoints | None] = []
    for hint in hints:
        small = _at_working_size(hint, analysis0)
        if hint.kind == "points":
            parts.append(_points_of(small))
            full.append(_points_of(hint))
        else:
            pairs = dict.fromkeys(_segment_pairs(small, analysis0, analysis1))
            parts += [SegmentPair(*pair) for pair in pairs]
            full += [None] * len(pairs)
    image0, image1 = analysis0.working_image, analysis1.working_image
    segments0, segments1 = analysis0.segments, analysis1.segments
    forward = Direction(image0, image1, segments0, segments1, flows[0])
    backward = Direction(image1, image0, segments1, segments0, flows[1])
    first, second = replace_by_hints((forward, backward), parts)
    size = analysis0.frame.shape[:2]
    part0, part1 = (_labels_at(part.part, size) for part in (first, second))
    hinted = HintedMotion(hints, tuple(full), part0, part1)
    coarse01, coarse10 = (
        replace(coarse, flow=np.where(part.part >= 0, part.flow, coarse.flow))
        for coarse, part in ((matches.coarse01, first), (matches.coarse10, second))
    )
    return Guided(replace(matches, coarse01=coarse01, coarse10=coarse10), (first.flow, second.flow), hinted)


def trust_hints(importances: Flows, hinted: HintedMotion | None, working_width: int) -> Flows:
    """Adjust the importance of both frames to what hints tell, see `sgm.hinted_flow.adjust_importance`."""
    if hinted is None:
        return importances
    masks, scale = (hinted.part0 >= 0, hinted.part1 >= 0), hinted.part0.shape[1] / working_width
    return adjust_importance(importances[0], masks, scale), adjust_importance(importances[1], masks[::-1], scale)


def follow_arcs(motion: Motion[AnyFrame], t: float) -> Motion[AnyFrame]:
    """Return the motion whose flow, a fraction t of it, leads hinted pixels to where they are at t on their arcs.

    Args:
        motion: The pair.
        t: In (0, 1).

    Returns:
        The motion for this time; `motion` itself without hints.
    """
    hinted = motion.hinted
    if hinted is None:
        return motion
    backward = tuple(None if part is None else part.swapped() for part in hinted.parts)
    flow01 = _bent(motion.flow01, hinted.part0, hinted.parts, t)
    flow10 = _bent(motion.flow10, hinted.part1, backward, 1 - t)
    return replace(motion, flow01=flow01, flow10=flow10)


def reached_by_arcs(motion: Motion[AnyFrame]) -> Motion[AnyFrame]:
    """Return the motion with what hinted parts pass marked as moving: arcs leave the hull of what differs."""
    if motion.hinted is None:
        return motion
    swept = (motion.hinted.part0 >= 0) | (motion.hinted.part1 >= 0)
    for t in _SWEEP_TIMES:
        bent = follow_arcs(motion, t)
        mark_moving_targets(np.where(motion.hinted.part0 >= 0, bent.flow01, 0), t, swept)
        mark_moving_targets(np.where(motion.hinted.part1 >= 0, bent.flow10, 0), 1 - t, swept)
    side = 2 * _SWEEP_MARGIN + 1
    grown = cv2.dilate(swept.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return replace(motion, moving=motion.moving | grown)


def _bent(flow: Array, part_of: NDArray[np.int16], parts: tuple[PartPoints | None, ...], t: float) -> Array:
    """Return flow, a fraction t of which leads each pixel of a part to where the part is at t."""
    bent = flow.copy()
    for index, points in enumerate(parts):
        if points is None or len(points.source) == 1:
            continue
        rows, columns = np.nonzero(part_of == index)
        places = columns + 1j * rows
        posed = bend(PartPoints(points.source, pose_between(points, t)), places)
        # What refinement has changed is done by t.
        moved = (
            flow[0, rows, columns]
            + 1j * flow[1, rows, columns]
            + (posed - places) / t
            - (bend(points, places) - places)
        )
        bent[0, rows, columns], bent[1, rows, columns] = moved.real, moved.imag
    return bent


def _at_working_size(hint: Hint, analysis: Analysis) -> Hint:
    height, width = analysis.frame.shape[:2]
    small_height, small_width = analysis.working_image.shape[:2]
    return hint.scaled(small_width / width, small_height / height)


def _segment_pairs(hint: Hint, analysis0: Analysis, analysis1: Analysis) -> list[tuple[int, int]]:
    """Return the segments that the points of a hint, at working size, lie in."""
    first = segments_at(analysis0.segments, np.array(hint.points0))
    second = segments_at(analysis1.segments, np.array(hint.points1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _points_of(hint: Hint) -> PartPoints:
    return PartPoints(np.array(hint.points0, np.float64), np.array(hint.points1, np.float64))


def _labels_at(labels: NDArray[np.int16], size: tuple[int, ...]) -> NDArray[np.int16]:
    if labels.shape == size[:2]:
        return labels
    return np.asarray(cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), np.int16)
