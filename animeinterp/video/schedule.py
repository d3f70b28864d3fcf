"""The new film frame by frame: which drawing is shown, or between which two and how far along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from animeinterp.video.cadence.drawings import Drawing
from animeinterp.video.timeline import Grid, Holds, share


@dataclass(frozen=True, slots=True, eq=False)
class Cel:
    """One frame of the new film.

    number: from 0. drawing: what is shown, or what it comes from. following: where it goes; None where the drawing
    stands. t: how far along, in (0, 1); 0 where it stands. cut: whether it stands because a new shot follows.
    """

    number: int
    drawing: Drawing
    following: Drawing | None
    t: Fraction
    cut: bool = False


def schedule(
    drawings: Iterable[Drawing], grid: Grid, holds: Holds, *, begin: int = 0, loop: bool = False
) -> Iterator[Cel]:
    """The frames of the new film from number `begin` on.

    loop: the last drawing moves into the first, as that of a cycle does.
    """
    k, first = begin, None
    stream = iter(drawings)
    drawing = next(stream, None)
    while drawing is not None:
        first = first or drawing
        following = next(stream, None)
        target = following
        if following is None and loop and first is not drawing:
            target = replace(first, time=drawing.until, cut=False)
        moves = target is not None and not target.cut
        begins = holds.begins(drawing.time, drawing.last, drawing.until)
        while grid.time(k) < drawing.until or grid.time(k) < drawing.time:
            if grid.end is not None and grid.time(k) >= grid.end:
                return
            t = share(grid.time(k), begins, drawing.until) if moves else Fraction(0)
            yield Cel(k, drawing, target if t else None, t, cut=target is not None and target.cut)
            k += 1
        drawing = following
