"""From source frames to drawings: repeats are left out, shots told apart, and each drawing knows when the next appears.

    frames ─► stills: repeats dropped ─► cuts marked ─► frames that a pan alone makes dropped ─► drawings

Every stage looks a few frames or stills ahead and keeps nothing else, so that memory stays flat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from typing import TypeVar

from animeinterp.frame import Frame
from animeinterp.video.cadence.cuts import AHEAD, BEHIND, CutList, is_blank, same_shot, starts_shot
from animeinterp.video.cadence.pans import count_pan_repeats
from animeinterp.video.cadence.signature import FrameDifference, FrameSignature, frame_difference, frame_signature
from animeinterp.video.cadence.specks import largest_speck, speck_limit
from animeinterp.video.source.info import TimedFrame

Item = TypeVar("Item")

_SAME = 1.45  # change, see looks: below it a frame repeats the one before
# Poor encodings repeat worse than that, but still well below the motion around them.
_POOR, _POOR_SHARE = 6.0, 0.35
_AROUND_BEHIND, _AROUND_AHEAD = 3, 2  # frames
_LONGEST_SLIDE = 3  # frames that a pan alone makes, between two drawings
_SLID_SHARE = 0.95  # of the change to the next drawing, at most, that a pan alone makes
_FLASH = Fraction(1, 10)  # s; longer is no flash


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One drawing of a film.

    number: of the source frame in which it first stands. time: s, when it appears. last: s, time of the last source
    frame that repeats it; `time` itself if none does. until: s, when the next drawing appears or the film ends.
    frame: its first source frame. cut: a shot begins with it: nothing may be drawn between it and the one before.
    """

    number: int
    time: Fraction
    last: Fraction
    until: Fraction
    frame: Frame
    cut: bool


@dataclass(slots=True)
class CadenceReport:
    """What was found in a film, as far as its drawings were given out.

    frames: of the source. drawings. ones, twos, threes, longer: drawings that stood for so many source frames. repeats:
    source frames that repeat a drawing. pan_repeats: source frames that a pan alone makes. cuts: shots that begin, the
    first
    aside. flashes: shots of at most 0.1 s that are blank or interrupt another.
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
    flashes: int = 0


@dataclass(slots=True, eq=False)
class _Still:
    """A frame that is not a repeat of the one before, and what was found about it.

    moved: how much it differs from the frame before it. last, end: time and number of the last frame that repeats it.
    """

    shown: TimedFrame
    signature: FrameSignature
    moved: FrameDifference
    last: Fraction
    end: int
    cut: bool = False


def find_drawings(
    frames: Iterable[TimedFrame],
    end: Callable[[], Fraction],
    *,
    holds: bool = True,
    cuts: CutList | None = None,
    report: CadenceReport | None = None,
) -> Iterator[Drawing]:
    """The drawings of a film, in order.

    frames: all its frames, RGB or RGBA of one depth. end: asked after the last of them, when the film ends, s. holds:
    whether repeats are left out; otherwise every frame is a drawing. cuts: a user's list, instead of those that are
    found. report: brought up to date with every drawing.
    """
    report = CadenceReport() if report is None else report
    stills = _stills(frames, holds, cuts)
    if cuts is None:
        stills = _with_cuts(stills)
    if holds:
        stills = _without_slides(stills)
    flashes = _Flashes()
    for still, after in _with_next(stills, 1):
        shown = still.shown
        until = after[0].shown.time if after else end()
        stood = (after[0].shown.number if after else still.end + 1) - shown.number
        _count(report, still, stood, flashes)
        yield Drawing(shown.number, shown.time, still.last, until, shown.frame, still.cut)


def _stills(frames: Iterable[TimedFrame], holds: bool, cuts: CutList | None) -> Iterator[_Still]:
    """The frames that are not repeats; where there are no holds, all."""
    still: _Still | None = None
    before: FrameSignature | None = None
    around: deque[float] = deque(maxlen=_AROUND_BEHIND)
    begins_shot = None if cuts is None else cuts.follow()
    for this, after in _with_next(_compared(frames), _AROUND_AHEAD):
        shown, seen, moved = this
        times = [*([still.last] if still else []), shown.time, *(other.time for other, _, _ in after[:1])]
        duration = min((b - a for a, b in pairwise(times)), default=Fraction(0))
        begins = begins_shot is not None and begins_shot(shown.number, shown.time, duration)
        ahead = max(difference.most for _, _, difference in after) if len(after) == _AROUND_AHEAD else float("inf")
        if still is not None and holds and not begins and _repeats(still, before, this, min(ahead, max(around))):
            still.last, still.end = shown.time, shown.number
        else:
            if still is not None:
                yield still
            still = _Still(shown, seen, moved, shown.time, shown.number, begins)
        around.append(moved.most)
        before = seen
    if still is not None:
        yield still


def _compared(frames: Iterable[TimedFrame]) -> Iterator[tuple[TimedFrame, FrameSignature, FrameDifference]]:
    """Each frame with its look and how much it differs from the frame before."""
    before: FrameSignature | None = None
    for shown in frames:
        if shown.after_damage and before is not None:
            yield shown, before, FrameDifference(0, 0)
            continue
        seen = frame_signature(shown.frame)
        yield shown, seen, frame_difference(before, seen) if before else FrameDifference(float("inf"), float("inf"))
        before = seen


def _repeats(
    still: _Still,
    before: FrameSignature | None,
    this: tuple[TimedFrame, FrameSignature, FrameDifference],
    around: float,
) -> bool:
    """Whether a frame repeats a still.

    before: of the frame before it. around: the largest change on the quieter side, before or after.
    """
    _, seen, moved = this
    limit, least = max(_SAME, min(_POOR, _POOR_SHARE * around)), speck_limit(around, seen.full)
    if moved.most > limit or (before is not None and largest_speck(before.full, seen.full) > least):
        return False
    if before is still.signature:
        return True
    # Against the first as well, so that slow motion does not pass in small steps.
    return (
        frame_difference(still.signature, seen).most <= limit
        and largest_speck(still.signature.full, seen.full) <= least
    )


def _with_cuts(stills: Iterable[_Still]) -> Iterator[_Still]:
    before: deque[FrameSignature] = deque(maxlen=BEHIND)
    for still, after in _with_next(stills, AHEAD):
        if before:
            still.cut = starts_shot(before, still.signature, [other.signature for other in after])
        before.append(still.signature)
        yield still


def _without_slides(stills: Iterable[_Still]) -> Iterator[_Still]:
    """The stills without those that a pan alone makes while the figure is held."""
    skip = 0
    for still, after in _with_next(stills, _LONGEST_SLIDE + 1):
        if skip:
            skip -= 1
            continue
        skip = _slid(still, after)
        yield still


def _slid(still: _Still, after: list[_Still]) -> int:
    """How many of the stills that follow are only this one, slid."""
    counts, most = [], 0.0
    row = [still]
    for other in after:
        if other.cut:
            break
        if len(row) > 1 and most < _SLID_SHARE * other.moved.all:
            counts.append(len(row) - 1)
        row.append(other)
        if other.last > other.shown.time:
            break
        most = max(most, other.moved.all)
    if not counts:
        return 0
    return count_pan_repeats([other.signature for other in row], [other.shown.number for other in row], counts)


class _Flashes:
    """Counts shots too short to be shots."""

    def __init__(self) -> None:
        self._begin: _Still | None = None  # of the shot
        self._before: _Still | None = None  # the last of the shot before it
        self._last: _Still | None = None

    def over(self, still: _Still) -> bool:
        """Whether a flash is over with this still, the next of the film."""
        found = still.cut and self._is_flash(still)
        if still.cut or self._begin is None:
            self._begin, self._before = still, self._last
        self._last = still
        return found

    def _is_flash(self, after: _Still) -> bool:
        if self._begin is None or self._before is None:
            return False
        if after.shown.time - self._begin.shown.time > _FLASH:
            return False
        return is_blank(self._begin.signature) or same_shot(self._before.signature, after.signature)


def _count(report: CadenceReport, still: _Still, stood: int, flashes: _Flashes) -> None:
    repeats = still.end - still.shown.number
    report.cuts += still.cut and report.drawings > 0
    report.flashes += flashes.over(still)
    report.frames += stood
    report.drawings += 1
    report.repeats += repeats
    report.pan_repeats += stood - 1 - repeats
    report.ones += stood == 1
    report.twos += stood == 2
    report.threes += stood == 3
    report.longer += stood > 3


def _with_next(items: Iterable[Item], count: int) -> Iterator[tuple[Item, list[Item]]]:
    """Each item with up to `count` that follow it."""
    stream = iter(items)
    window = deque(islice(stream, count + 1))
    while window:
        yield window.popleft(), list(window)
        window.extend(islice(stream, 1))
