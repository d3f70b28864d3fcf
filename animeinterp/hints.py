"""Hints: pairs of points that belong together, by which people steer the matching of two frames.

The points of one hint lie on one part, such as a limb, in order along it: one point moves the part, two also turn it,
more bend it. Points are px of the frame, x first; (0, 0) is the middle of the upper left pixel. Hints of the kind
`segments` only tell which color segments belong together. `animeinterp.hints_file` reads and writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import dist, isfinite
from typing import Literal

from animeinterp.errors import UsageError

Point = tuple[float, float]  # x, y, px
HintKind = Literal["points", "segments"]

MAX_HINTS, MAX_POINTS = 100, 32  # of a pair of frames, of a hint
MIN_DISTANCE = 2.0  # px; two points that are closer are one, and must lead to one


@dataclass(frozen=True, slots=True)
class Hint:
    """Points of one part in both frames.

    Attributes:
        points0: Points of frame 0, x first, px, in order along the part.
        points1: The same points in frame 1.
        kind: `points` if the part moves as the points do, `segments` if they only tell which segments belong together.
        name: For messages and the sheet of stages; may be empty.
    """

    points0: tuple[Point, ...]
    points1: tuple[Point, ...]
    kind: HintKind = "points"
    name: str = ""

    def moved(self, dx: float, dy: float) -> Hint:
        """Return the hint with all points moved, px."""
        return self._mapped(1.0, 1.0, dx, dy)

    def scaled(self, sx: float, sy: float) -> Hint:
        """Return the hint for frames whose width is `sx` and whose height is `sy` times as large."""
        # Pixel centers, as images are resized.
        return self._mapped(sx, sy, (sx - 1) / 2, (sy - 1) / 2)

    def _mapped(self, sx: float, sy: float, dx: float, dy: float) -> Hint:
        points0, points1 = (
            tuple((sx * x + dx, sy * y + dy) for x, y in points) for points in (self.points0, self.points1)
        )
        return replace(self, points0=points0, points1=points1)


@dataclass(frozen=True, slots=True)
class Hints:
    """The hints of a pair of frames.

    Attributes:
        hints: One for each part.
    """

    hints: tuple[Hint, ...] = field(default=())

    def __iter__(self) -> Iterator[Hint]:
        return iter(self.hints)

    def __len__(self) -> int:
        return len(self.hints)

    def moved(self, dx: float, dy: float) -> Hints:
        """Return hints with all points moved, px."""
        return Hints(tuple(hint.moved(dx, dy) for hint in self))

    def scaled(self, sx: float, sy: float) -> Hints:
        """Return hints for frames whose width is `sx` and whose height is `sy` times as large."""
        return Hints(tuple(hint.scaled(sx, sy) for hint in self))

    def swapped(self) -> Hints:
        """Return the hints of the pair in reverse order."""
        return Hints(tuple(replace(hint, points0=hint.points1, points1=hint.points0) for hint in self))

    def inside(self, window: tuple[slice, slice]) -> Hints:
        """Return the hints for a part of the frame, its rows and columns; pairs of points outside are left out."""
        rows, columns = window
        kept = []
        for hint in self.moved(-columns.start, -rows.start):
            limits = columns.stop - columns.start - 0.5, rows.stop - rows.start - 0.5
            pairs = [
                pair
                for pair in zip(hint.points0, hint.points1, strict=True)
                if all(-0.5 <= x <= limits[0] and -0.5 <= y <= limits[1] for x, y in pair)
            ]
            if pairs:
                points0, points1 = zip(*pairs, strict=True)
                kept.append(replace(hint, points0=points0, points1=points1))
        return Hints(tuple(kept))

    def check(self, height: int, width: int) -> None:
        """Check the hints against the frames that they are for.

        Args:
            height: Of the frames, px.
            width: Of the frames, px.

        Raises:
            UsageError: A hint has no points, not as many in both frames, or too many; a point is outside the frame;
                one point leads to two points, or two lead to one.
        """
        if len(self) > MAX_HINTS:
            raise UsageError(f"expected at most {MAX_HINTS} hints, got {len(self)}; leave out those of parts at rest")
        pairs: list[tuple[str, Point, Point]] = []
        for number, hint in enumerate(self, 1):
            label = f"hint {number}" + (f" ({hint.name})" if hint.name else "")
            _check_points(hint, label, height, width)
            pairs += [(label, *pair) for pair in zip(hint.points0, hint.points1, strict=True)]
        for (label, from0, to0), (other, from1, to1) in combinations(pairs, 2):
            _check_agreement(label, other, (from0, from1), (to0, to1))


def _check_points(hint: Hint, label: str, height: int, width: int) -> None:
    """Check the number of points of a hint and where they are."""
    counts = len(hint.points0), len(hint.points1)
    if counts[0] != counts[1] or not 1 <= counts[0] <= MAX_POINTS:
        raise UsageError(
            f"{label} has {counts[0]} points of the first frame and {counts[1]} of the second; "
            f"expected as many of both, 1 to {MAX_POINTS}"
        )
    for name, points in (("first", hint.points0), ("second", hint.points1)):
        for x, y in points:
            if not (isfinite(x) and isfinite(y) and -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                raise UsageError(
                    f"{label} has the point ({x:g}, {y:g}) in the {name} frame, outside its {width}x{height} px; "
                    "points are x, y in px of the frame, from 0, 0 in the upper left corner"
                )


def _check_agreement(label: str, other: str, froms: tuple[Point, Point], tos: tuple[Point, Point]) -> None:
    """Check that two pairs of points do not contradict each other."""
    same_from, same_to = dist(*froms) < MIN_DISTANCE, dist(*tos) < MIN_DISTANCE
    if same_from == same_to:
        return
    one, two, name = (froms[0], tos, "first") if same_from else (tos[0], froms, "second")
    where = label if label == other else f"{label} and {other}"
    raise UsageError(
        f"{where} contradict: the point ({one[0]:g}, {one[1]:g}) of the {name} frame belongs to "
        f"({two[0][0]:g}, {two[0][1]:g}) and to ({two[1][0]:g}, {two[1][1]:g}); leave one of them out"
    )
