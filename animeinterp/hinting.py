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
from animeinterp.sgm.hinted_flow import HINT_LIMITS, PartPoints, SegmentPair, replace_by_hints, segments_at

Flows = tuple[Array, Array]

_MAX_TURN = 1.5 * np.pi  # radians; near a full turn the arc of a pixel that hardly moves would be very large
_MIN_TURN = 1e-3  # radians; smaller turns are straight
_SWEEP_TIMES = (0.25, 0.5, 0.75)  # at which arcs may leave the hull of what differs
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
    for hint in (_at_working_size(hint, analysis0) for hint in hints):
        if hint.kind == "points":
            parts.append(PartPoints(np.array(hint.points0), np.array(hint.points1)))
        else:
            pairs = dict.fromkeys(_segment_pairs(hint, analysis0, analysis1))
            parts += [SegmentPair(*pair) for pair in pairs]
    images = analysis0.working_image, analysis1.working_image
    segments = analysis0.segments, analysis1.segments
    first = replace_by_hints(images, segments, flows[0], parts)
    second = replace_by_hints(images[::-1], segments[::-1], flows[1], [part.swapped() for part in parts])
    size = analysis0.frame.shape[:2]
    hinted = HintedMotion(
        hints, _mask_at(first.hinted, size), _mask_at(second.hinted, size),
        _plane_at(first.turn, size), _plane_at(second.turn, size),
    )  # fmt: skip
    coarse01, coarse10 = (
        replace(coarse, flow=np.where(part.hinted, part.flow, coarse.flow))
        for coarse, part in ((matches.coarse01, first), (matches.coarse10, second))
    )
    return Guided(replace(matches, coarse01=coarse01, coarse10=coarse10), (first.flow, second.flow), hinted)


def trust_hints(importances: Flows, hinted: HintedMotion | None) -> Flows:
    """Raise the importance of pixels that follow hints, so that others do not cover them."""
    if hinted is None:
        return importances
    low = np.float32(HINT_LIMITS.importance)
    return (
        np.where(hinted.hinted0, np.maximum(importances[0], low), importances[0]),
        np.where(hinted.hinted1, np.maximum(importances[1], low), importances[1]),
    )


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
    flow01 = _bent(motion.flow01, hinted.hinted0, hinted.turn0, t)
    flow10 = _bent(motion.flow10, hinted.hinted1, hinted.turn1, 1 - t)
    return replace(motion, flow01=flow01, flow10=flow10)


def reached_by_arcs(motion: Motion[AnyFrame]) -> Motion[AnyFrame]:
    """Return the motion with what arcs reach, outside the hull of what differs, marked as moving."""
    if motion.hinted is None:
        return motion
    swept = np.zeros(motion.moving.shape, np.bool_)
    for t in _SWEEP_TIMES:
        bent = follow_arcs(motion, t)
        mark_moving_targets(np.where(motion.hinted.hinted0, bent.flow01, 0), t, swept)
        mark_moving_targets(np.where(motion.hinted.hinted1, bent.flow10, 0), 1 - t, swept)
    side = 2 * _SWEEP_MARGIN + 1
    grown = cv2.dilate(swept.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return replace(motion, moving=motion.moving | grown)


def _bent(flow: Array, hinted: NDArray[np.bool_], turn: Array, t: float) -> Array:
    """Return flow, a fraction t of which leads each pixel to where it is at t on its arc."""
    selected = hinted & (np.abs(turn) > _MIN_TURN)
    if not selected.any():
        return flow
    angle = np.clip(turn[selected].astype(np.float64), -_MAX_TURN, _MAX_TURN)
    # A pixel at p turns around c by p → c + exp(i angle) (p - c), which is the flow for the whole angle.
    factor = (np.exp(1j * angle * t) - 1) / (np.exp(1j * angle) - 1) / t
    moved = (flow[0][selected] + 1j * flow[1][selected]) * factor
    bent = flow.copy()
    bent[0][selected], bent[1][selected] = moved.real, moved.imag
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


def _mask_at(mask: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.bool_]:
    return _plane_at(mask.astype(np.float32), size) >= 0.5


def _plane_at(plane: Array, size: tuple[int, ...]) -> Array:
    if plane.shape == size[:2]:
        return plane
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
