"""Detect holds: runs of source frames that repeat one drawing, exact or beneath codec noise and grain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from typing import TypeVar

from animeinterp.video.cadence.cut_list import CutList
from animeinterp.video.cadence.signature import (
    SIGNATURE_LIMITS,
    FrameDifference,
    FrameSignature,
    SignatureLimits,
    frame_difference,
    frame_signature,
)
from animeinterp.video.cadence.specks import SPECK_LIMITS, SpeckLimits, largest_speck, speck_limit
from animeinterp.video.source.info import TimedFrame

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Parameters of the detector of holds.

    Set by hand on films on twos and threes made of the assets; `python benchmarks/cuts.py CLIPS --assets ASSETS`
    counts wrong and missed repeats by quality of the encoding and grain.

    Attributes:
        signature: What counts as noise and as an edge.
        specks: Which small changes make a drawing.
        max_repeat: Largest `FrameDifference.peak` of a repeat.
        max_repeat_in_motion: In place of `max_repeat` beside motion: poor encodings repeat worse, but well below the
            motion around them.
        motion_fraction: Peak of a repeat per peak of the motion around it, up to `max_repeat_in_motion`.
        frames_before: Frames before whose change is the motion around a frame.
        frames_after: Frames after, likewise; the smaller of both is used.
    """

    signature: SignatureLimits = SIGNATURE_LIMITS
    specks: SpeckLimits = SPECK_LIMITS
    max_repeat: float = 1.45
    max_repeat_in_motion: float = 6.0
    motion_fraction: float = 0.35
    frames_before: int = 3
    frames_after: int = 2


HOLD_LIMITS = HoldLimits()


@dataclass(slots=True, eq=False)
class Hold:
    """A source frame with the frames that repeat it, if any.

    Attributes:
        first: The frame.
        signature: Its signature.
        change: How much it differs from the frame before it.
        last_time: Time of the last frame that repeats it, s; of the frame itself without repeats.
        last_number: Number of that frame.
        cut: Whether a shot begins with it.
    """

    first: TimedFrame
    signature: FrameSignature
    change: FrameDifference
    last_time: Fraction
    last_number: int
    cut: bool = False


def find_holds(
    frames: Iterable[TimedFrame], *, join: bool = True, cuts: CutList | None = None, limits: HoldLimits = HOLD_LIMITS
) -> Iterator[Hold]:
    """Join the frames of a film that repeat one another.

    Args:
        frames: All frames in order, RGB or RGBA of one depth.
        join: Whether repeats are joined; otherwise every frame is a hold of its own.
        cuts: The user's cuts, which are marked and end a hold; None marks none.
        limits: What counts as a repeat.

    Yields:
        The holds in order.
    """
    hold: Hold | None = None
    previous: FrameSignature | None = None
    changes_before: deque[float] = deque(maxlen=limits.frames_before)
    begins_shot = None if cuts is None else cuts.matcher()
    for single, following in with_lookahead(_single_holds(frames, limits), limits.frames_after):
        if begins_shot is not None:
            times = [
                *([hold.last_time] if hold else []),
                single.last_time,
                *(other.last_time for other in following[:1]),
            ]
            duration = min((later - earlier for earlier, later in pairwise(times)), default=Fraction(0))
            single.cut = begins_shot(single.first.number, single.first.time, duration)
        # At the end of the film only the motion before is known.
        is_complete = len(following) == limits.frames_after
        change_after = max(other.change.peak for other in following) if is_complete else float("inf")
        change_before = max(changes_before, default=float("inf"))
        if hold is None:
            hold = single
        elif join and not single.cut and _is_repeat(single, hold, previous, min(change_after, change_before), limits):
            hold.last_time, hold.last_number = single.last_time, single.last_number
        else:
            yield hold
            hold = single
        changes_before.append(single.change.peak)
        previous = single.signature
    if hold is not None:
        yield hold


def _single_holds(frames: Iterable[TimedFrame], limits: HoldLimits) -> Iterator[Hold]:
    """Make a hold of each frame, with its change from the frame before."""
    previous: FrameSignature | None = None
    for frame in frames:
        change = FrameDifference(float("inf"), float("inf"))
        if frame.after_damage and previous is not None:
            signature, change = previous, FrameDifference(0, 0)
        else:
            signature = frame_signature(frame.frame, limits.signature)
            if previous is not None:
                change = frame_difference(previous, signature, limits.signature)
        yield Hold(frame, signature, change, frame.time, frame.number)
        previous = signature


def _is_repeat(single: Hold, hold: Hold, previous: FrameSignature | None, motion: float, limits: HoldLimits) -> bool:
    """Return whether a frame repeats a hold; `motion` is the largest change on the quieter side, before or after."""
    signature = single.signature
    max_change = max(limits.max_repeat, min(limits.max_repeat_in_motion, limits.motion_fraction * motion))
    max_speck = speck_limit(motion, signature.full_gray, limits.specks)

    def has_small_speck(reference: FrameSignature) -> bool:
        return largest_speck(reference.full_gray, signature.full_gray, limits.specks) <= max_speck

    if single.change.peak > max_change or not (previous is None or has_small_speck(previous)):
        return False
    if previous is hold.signature:
        return True
    # The first frame of the hold as well, so that slow motion does not pass in small steps.
    difference = frame_difference(hold.signature, signature, limits.signature)
    return difference.peak <= max_change and has_small_speck(hold.signature)


def with_lookahead(items: Iterable[Item], count: int) -> Iterator[tuple[Item, list[Item]]]:
    """Yield each item with up to `count` items that follow it."""
    stream = iter(items)
    window = deque(islice(stream, count + 1))
    while window:
        yield window.popleft(), list(window)
        window.extend(islice(stream, 1))
