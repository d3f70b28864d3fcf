"""Where shots begin: found by what of the outlines is lost, or given by the user.

Two frames of one shot share most of their outlines, however fast things or the camera move; across a cut they share
few. That alone would call every step of a quick cross-fade a cut, so frames that lie between their neighbors like a
mixture of them are told apart. A flash is two cuts: nothing may be drawn between a picture and a white frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from animeinterp.errors import UsageError
from animeinterp.io.reading import read_text
from animeinterp.video.cadence.edge_matching import matched_edge_fraction
from animeinterp.video.cadence.signature import FrameSignature

AHEAD = 2  # looks after the one in question that `starts_shot` wants
BEHIND = 3  # looks before it

_LOST = 0.4  # a cut leaves less than this share of the outlines
_CHANGED = 20.0  # levels; pixels that differ by more have changed
_FEW = 0.06  # share of changed pixels, below which it is not a cut
_MOST = 0.5  # share of changed pixels, above which blank frames are of two shots
_BLANK = 0.3  # mean outline, levels per px, below which a frame shows nothing
_MIX_SHARE = 0.7  # share of the changed pixels that have to be a mixture
_MIX_ERROR, _MIX_SLACK = 8.0, 0.15  # levels, and per level of change
_MIX = (0.1, 0.9)  # how much of the later frame a mixture holds

_NUMBER = re.compile(r"[0-9]{1,9}")
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,9}(?:\.[0-9]{1,9})?)(s?)")


@dataclass(frozen=True, slots=True)
class CutList:
    """A user's own list of cuts, in place of those found.

    frames: numbers of frames that begin a shot. times: s since the first frame; each means the first frame that is not
    shown earlier, but for half a frame.
    """

    frames: frozenset[int] = frozenset()
    times: tuple[Fraction, ...] = ()

    def text(self) -> str:
        """The list as text, the same for the same cuts."""
        frames = ", ".join(str(number) for number in sorted(self.frames))
        times = ", ".join(f"{time} s" for time in self.times)
        return "; ".join(filter(None, (frames, times))) or "none"

    def follow(self) -> Callable[[int, Fraction, Fraction], bool]:
        """Asked of all frames in order, tells which begin a shot: by number, time and duration, s, known or about."""
        reached = Fraction(-1)

        def starts_shot(number: int, time: Fraction, duration: Fraction) -> bool:
            nonlocal reached
            before, reached = reached, time + duration / 2
            return number in self.frames or any(before < given <= reached for given in self.times)

        return starts_shot


def parse_cuts(source: str | Path) -> CutList:
    """A list of cuts from a text or a file, separated by commas or line breaks; `#` begins a comment.

    `36` is a frame's number, counted from 0; `1:30.5`, `00:01:30.500` and `90.5s` are times. An empty list, or the word
    `none`, means that there are no cuts. A text that is no list is taken for a file's name.
    Raises UsageError if an entry is neither, FileError if the file cannot be read.
    """
    if isinstance(source, Path):
        return _parse(read_text(source, "a list of cuts: frame numbers or times such as 36,1:30.5"), f"{source}: ")
    if source.strip().lower() == "none":
        return CutList()
    if any(character.isalpha() and character != "s" for character in source.partition("#")[0]):
        return parse_cuts(Path(source))
    return _parse(source, "")


def _parse(text: str, where: str) -> CutList:
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = [entry.strip() for line in lines for entry in line.split(",")]
    frames, times = set(), set()
    for entry in filter(None, entries):
        if _NUMBER.fullmatch(entry):
            frames.add(int(entry))
        else:
            times.add(_time(entry, where))
    return CutList(frozenset(frames), tuple(sorted(times)))


def _time(entry: str, where: str) -> Fraction:
    clock = _CLOCK.fullmatch(entry)
    if clock:
        hours, minutes, seconds, unit = clock.groups()
        past = minutes and (Fraction(seconds) >= 60 or (hours and int(minutes) >= 60))
        if not past and bool(minutes) != bool(unit):
            return (int(hours or 0) * 60 + int(minutes or 0)) * 60 + Fraction(seconds)
    raise UsageError(
        f"{where}{entry!r} is not a cut; expected a frame's number such as 36, or a time such as 1:30.5 or 90.5s"
    )


def starts_shot(before: Sequence[FrameSignature], this: FrameSignature, after: Sequence[FrameSignature]) -> bool:
    """Whether a frame is the first of a shot.

    before: looks of up to `BEHIND` frames before it, at least one, the nearest last. after: of up to `AHEAD` after it.
    Repeated frames are best left out of all of them.
    """
    if not _differ(before[-1], this):
        return False
    row = [*before, this, *after]
    at = len(before)
    # one mixed frame alone may be a cut that was smeared; two are a cross-fade or a fade
    mixed = [_is_mixture(*row[i - 1 : i + 2]) if 0 < i < len(row) - 1 else False for i in range(at - 2, at + 2)]
    return not any(a and b for a, b in pairwise(mixed))


def is_blank(look: FrameSignature) -> bool:
    """Whether a frame shows nothing: black, white or any one color."""
    return float(look.outlines.mean()) < _BLANK


def same_shot(a: FrameSignature, b: FrameSignature) -> bool:
    """Whether two frames show the same shot."""
    return not _differ(a, b)


def _differ(a: FrameSignature, b: FrameSignature) -> bool:
    if a.fine.shape != b.fine.shape:
        return True
    changed = float((cv2.absdiff(a.color, b.color).max(axis=2) > _CHANGED).mean())
    blank = is_blank(a), is_blank(b)
    if all(blank):
        return changed > _MOST
    if changed < _FEW and not any(blank):
        return False
    return matched_edge_fraction(a, b, _LOST) < _LOST


def _is_mixture(a: FrameSignature, b: FrameSignature, c: FrameSignature) -> bool:
    """Whether b is a mixture of a and c, as within a cross-fade or a fade."""
    if not a.fine.shape == b.fine.shape == c.fine.shape:
        return False
    # Blurred, so that what moves meanwhile still agrees.
    whole, part = (np.asarray(cv2.blur(side.color - a.color, (9, 9))) for side in (c, b))
    far = np.abs(whole).max(axis=2)
    changed = far > _CHANGED
    if changed.mean() < _FEW:
        return False
    share = float((whole * part)[changed].sum() / (whole * whole)[changed].sum())
    error = np.abs(part - share * whole).max(axis=2)[changed]
    return _MIX[0] < share < _MIX[1] and bool((error < _MIX_ERROR + _MIX_SLACK * far[changed]).mean() > _MIX_SHARE)
