"""How long each drawing is shown: the exposures of a layer, frame by frame.

Numbers of keys that leave room count frames: `A0001, A0005, A0009` with one in-between each show every drawing for two
frames. Elsewhere drawings are shown on twos, or as a chart or a time sheet says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

ON_TWOS = 2  # frames; how most drawings of animation are shown


@dataclass(frozen=True, slots=True)
class Exposure:
    """A drawing, or nothing, that is shown for some frames.

    Attributes:
        name: The drawing's file name; None if nothing is shown.
        start: The first frame, from 0.
        length: Number of frames, at least 1.
    """

    name: str | None
    start: int
    length: int


def expose(names: Sequence[str | None], lengths: Sequence[int], start: int = 0) -> tuple[Exposure, ...]:
    """Show drawings one after the other, each for its number of frames."""
    exposures = []
    for name, length in zip(names, lengths, strict=True):
        exposures.append(Exposure(name, start, length))
        start += length
    return tuple(exposures)


def lengths_of_numbers(numbers: Sequence[int]) -> list[int]:
    """Return how long each drawing is shown if ascending numbers count frames; the last one as long as that before."""
    lengths = [following - number for number, following in pairwise(numbers)]
    return [*lengths, lengths[-1]]


def held_until(exposures: Sequence[Exposure], end: int) -> tuple[Exposure, ...]:
    """Show the last drawing until a frame."""
    *others, last = exposures
    return (*others, replace(last, length=max(last.length, end - last.start)))


def shown_at(exposures: Sequence[Exposure], frame: int) -> str | None:
    """Return the name of the drawing that is shown at a frame; None if there is none."""
    for exposure in exposures:
        if exposure.start <= frame < exposure.start + exposure.length:
            return exposure.name
    return None


def duration(layers: Sequence[Sequence[Exposure]]) -> int:
    """Return the number of frames of several layers."""
    return max((exposures[-1].start + exposures[-1].length for exposures in layers if exposures), default=0)
