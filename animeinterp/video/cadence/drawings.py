"""Reduce source frames to drawings: join repeats, mark cuts, leave out frames that a pan alone makes.

    frames ─► holds: repeats joined ─► cuts marked ─► frames that a pan alone makes left out ─► drawings

Each stage looks a few frames or holds ahead and keeps nothing else, so memory stays flat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from animeinterp.frame import Frame
from animeinterp.video.cadence.cut_list import CutList
from animeinterp.video.cadence.cuts import CUT_LIMITS, FRAMES_AFTER, FRAMES_BEFORE, CutLimits, starts_shot
from animeinterp.video.cadence.holds import HOLD_LIMITS, Hold, HoldLimits, find_holds, with_lookahead
from animeinterp.video.cadence.pans import PAN_LIMITS, PanLimits, count_pan_repeats
from animeinterp.video.cadence.signature import FrameSignature
from animeinterp.video.source.info import TimedFrame


@dataclass(frozen=True, slots=True)
class CadenceLimits:
    """Parameters of the detectors that find drawings.

    Attributes:
        holds: Which frames repeat a drawing.
        cuts: Where shots begin.
        pans: Which frames a pan alone makes.
    """

    holds: HoldLimits = HOLD_LIMITS
    cuts: CutLimits = CUT_LIMITS
    pans: PanLimits = PAN_LIMITS


CADENCE_LIMITS = CadenceLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One drawing of a film.

    Attributes:
        number: Of its first source frame, from 0.
        time: When it appears, s.
        last_time: Time of the last source frame that repeats it, s; `time` without repeats.
        end_time: When the next drawing appears or the film ends, s.
        frame: Its first source frame.
        cut: Whether a shot begins with it, so that no frame may be drawn between it and the one before.
    """

    number: int
    time: Fraction
    last_time: Fraction
    end_time: Fraction
    frame: Frame
    cut: bool


@dataclass(slots=True)
class CadenceReport:
    """Counts of what was detected, up to the last drawing that was yielded.

    Attributes:
        frames: Source frames.
        drawings: Drawings.
        ones: Drawings that last one source frame.
        twos: Two source frames.
        threes: Three.
        longer: More.
        repeats: Source frames that repeat a drawing.
        pan_repeats: Source frames that a pan alone makes.
        cuts: Shots, without the first.
    """

    frames: int = 0
    drawings: int = 0
    ones: int = 0
    twos: int = 0
    threes: int = 0
    longer: int = 0
    repeats: int = 0
    pan_repeats: int = 0
    cuts: int = 0

    def add(self, hold: Hold, duration: int) -> None:
        """Count the drawing of a hold, which lasts `duration` source frames."""
        repeats = hold.last_number - hold.first.number
        self.cuts += hold.cut and self.drawings > 0
        self.frames += duration
        self.drawings += 1
        self.repeats += repeats
        self.pan_repeats += duration - 1 - repeats
        self.ones += duration == 1
        self.twos += duration == 2
        self.threes += duration == 3
        self.longer += duration > 3


def find_drawings(
    frames: Iterable[TimedFrame],
    end: Callable[[], Fraction],
    *,
    holds: bool = True,
    cuts: CutList | None = None,
    report: CadenceReport | None = None,
    limits: CadenceLimits = CADENCE_LIMITS,
) -> Iterator[Drawing]:
    """Find the drawings of a film.

    Args:
        frames: All frames in order, RGB or RGBA of one depth.
        end: Returns when the film ends, s; called after the last frame.
        holds: Whether to detect repeats; otherwise every frame is a drawing.
        cuts: The user's cuts; None detects them.
        report: Updated with every drawing.
        limits: Parameters of the detectors.

    Yields:
        The drawings in order.
    """
    report = CadenceReport() if report is None else report
    stages = find_holds(frames, join=holds, cuts=cuts, limits=limits.holds)
    if cuts is None:
        stages = _mark_cuts(stages, limits.cuts)
    if holds:
        stages = _drop_pan_repeats(stages, limits.pans)
    for hold, following in with_lookahead(stages, 1):
        first = hold.first
        end_time = following[0].first.time if following else end()
        end_number = following[0].first.number if following else hold.last_number + 1
        report.add(hold, end_number - first.number)
        yield Drawing(first.number, first.time, hold.last_time, end_time, first.frame, hold.cut)


def _mark_cuts(holds: Iterable[Hold], limits: CutLimits) -> Iterator[Hold]:
    """Mark the holds that begin a shot."""
    before: deque[FrameSignature] = deque(maxlen=FRAMES_BEFORE)
    for hold, following in with_lookahead(holds, FRAMES_AFTER):
        if before:
            hold.cut = starts_shot(before, hold.signature, [other.signature for other in following], limits)
        before.append(hold.signature)
        yield hold


def _drop_pan_repeats(holds: Iterable[Hold], limits: PanLimits) -> Iterator[Hold]:
    """Leave out the holds that a pan alone makes while the figure is held."""
    skip = 0
    for hold, following in with_lookahead(holds, limits.max_repeats + 1):
        if skip:
            skip -= 1
            continue
        skip = _count_repeats_in_pan(hold, following, limits)
        yield hold


def _count_repeats_in_pan(hold: Hold, following: list[Hold], limits: PanLimits) -> int:
    """Count the holds after `hold` that a pan alone makes of it."""
    counts, largest_change = [], 0.0
    candidates = [hold]
    for other in following:
        if other.cut:
            break
        if len(candidates) > 1 and largest_change < limits.max_repeat_change * other.change.mean_excess:
            counts.append(len(candidates) - 1)
        candidates.append(other)
        if other.last_time > other.first.time:
            break  # a pan moves on with every frame
        largest_change = max(largest_change, other.change.mean_excess)
    if not counts:
        return 0
    signatures = [candidate.signature for candidate in candidates]
    return count_pan_repeats(signatures, [candidate.first.number for candidate in candidates], counts, limits)
