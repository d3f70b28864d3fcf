"""Two drawings that a visitor works on: their motion is found once, and each frame between them drawn once.

Nothing here knows of the page.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animeinterp.errors import UsageError
from animeinterp.frame import Frame
from animeinterp.hints import Hints
from animeinterp.io.images import LoadedImage, read_pair

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator
    from animeinterp.motion import Array, Motion

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class PairLimits:
    """What a pair keeps in memory, by hand.

    Attributes:
        drawn_bytes: Drawn frames, so that a slider that goes back and forth is answered at once: 160 frames of 960x540.
    """

    drawn_bytes: int = 250_000_000


class DrawingPair:
    """Two drawings, the motion between them and the frames drawn so far.

    Attributes:
        paths: The two files.
        images: Their content, of one mode and depth.
        motion: How they move into each other; None until `match` is called.
        hints: Those that the motion is found with.
    """

    def __init__(
        self,
        paths: tuple[Path, Path],
        images: tuple[LoadedImage, LoadedImage],
        hints: Hints | None = None,
        limits: PairLimits | None = None,
    ) -> None:
        """Take two drawings.

        Args:
            paths: The files of the first and the second one.
            images: Their content, of one size, mode and depth.
            hints: Points that belong together.
            limits: What is kept in memory.
        """
        self.paths, self.images = paths, images
        self.motion: Motion | None = None
        self.hints = hints or Hints()
        self._limits = limits or PairLimits()
        self._interpolator: Interpolator | None = None
        self._drawn: OrderedDict[float, Frame] = OrderedDict()

    @classmethod
    def read(cls, paths: tuple[Path, Path], max_pixels: int) -> DrawingPair:
        """Read two files.

        Args:
            paths: The first and the second drawing.
            max_pixels: Larger ones are refused.

        Raises:
            FileError: A file cannot be read.
            FrameError: A drawing is not supported, or the sizes differ.
        """
        return cls(paths, read_pair(*paths, max_pixels))

    @property
    def name(self) -> str:
        """Name for files made of the pair: the two names without suffix."""
        return f"{self.paths[0].stem}-{self.paths[1].stem}"

    def swapped(self) -> DrawingPair:
        """Return the pair in the other order, without motion."""
        return DrawingPair(self.paths[::-1], self.images[::-1], self.hints.swapped(), self._limits)

    def match(self, interpolator: Interpolator, hints: Hints) -> Motion:
        """Find the motion with a model, and forget the frames that were drawn before.

        Args:
            interpolator: The model.
            hints: Points that belong together, px of the drawings.

        Returns:
            The motion.

        Raises:
            UsageError: The hints lie outside the drawings or contradict each other; the motion before is kept.
        """
        first, second = (image.pixels for image in self.images)
        hints.check(*first.shape[:2])
        motion = interpolator.motion(interpolator.analyze(first), interpolator.analyze(second), hints=hints or None)
        self._interpolator, self.motion, self.hints = interpolator, motion, hints
        self._drawn.clear()
        return motion

    def draw(self, t: float) -> Frame:
        """Return the frame at t in [0, 1], drawn if it was not yet; UsageError before `match`."""
        if self.motion is None or self._interpolator is None:
            raise UsageError("expected the motion of the pair first; give two drawings again")
        if t not in self._drawn:
            self._drawn[t] = self._interpolator.render(self.motion, t)
        self._drawn.move_to_end(t)
        kept = max(2, self._limits.drawn_bytes // self._drawn[t].nbytes)
        while len(self._drawn) > kept:
            self._drawn.popitem(last=False)
        return self._drawn[t]

    def confidence(self, t: float) -> Array:
        """Return how far the frame at t can be relied on, float32 (H, W) in [0, 1]; UsageError before `match`."""
        if self.motion is None or self._interpolator is None:
            raise UsageError("expected the motion of the pair first; give two drawings again")
        return self._interpolator.confidence(self.motion, t)

    def draw_stages(self, t: float) -> Frame:
        """Draw the sheet of all stages from the two drawings to the frame at t; UsageError before `match`."""
        from animeinterp.explain import explain_motion

        if self.motion is None or self._interpolator is None:
            raise UsageError("expected the motion of the pair first; give two drawings again")
        return explain_motion(self._interpolator, self.motion, t)


def order_by_number(paths: Sequence[Path]) -> list[Path]:
    """Sort files as a person numbers them: `key2` before `key10`."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in _NUMBER.split(path.name)]

    return sorted(paths, key=key)
