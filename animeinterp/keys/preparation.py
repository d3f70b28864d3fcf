"""What is done to keys before their in-betweens are drawn, and to the in-betweens after.

    prepare: registration of scans (`align`)  →  drawing  →  finish: paper kept still, registration undone, palette kept

Keys that need none of it pass through unchanged, as the same arrays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import SupportsFloat, get_args

from animeinterp.errors import UsageError
from animeinterp.frame import Frame, copied
from animeinterp.keys.align import Placement, find_placement
from animeinterp.keys.palette import Palette, find_palette, snap_colors
from animeinterp.keys.paper import Paper, find_paper
from animeinterp.keys.registration import RegisteredPair, register_pair
from animeinterp.keys.settings import PaletteChoice
from animeinterp.pairs import HintedPair


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPair:
    """Two keys, ready to be drawn between.

    Attributes:
        keys: As they were read.
        registered: The frames to draw between.
        paper: The paper they share.
        palette: The palette of the keys; None where colors are free.
    """

    keys: tuple[Frame, Frame]
    registered: RegisteredPair[Frame]
    paper: Paper
    palette: Palette | None

    def finish(self, drawn: Frame, t: float) -> Frame:
        """Finish the in-between at time t: of the size of the canvas before, of the keys after."""
        if t in (0, 1):
            return copied(self.keys[round(t)])
        registered, paper = self.registered, self.paper
        if registered.margin or registered.placement.brightens:
            drawn = registered.place(drawn, t)
            if paper.noise:
                sides = registered.place(paper.frame0, t), registered.place(paper.frame1, t)
                paper = replace(paper, frame0=sides[0], frame1=sides[1])
        if paper.noise:
            drawn = paper.keep(drawn, t)
        return drawn if self.palette is None else snap_colors(drawn, self.palette)


def prepare_pair(frame0: Frame, frame1: Frame, *, align: bool = False, palette: PaletteChoice = "free") -> PreparedPair:
    """Prepare two keys.

    Args:
        frame0: The key before, see `animeinterp.frame`.
        frame1: The key, of its size, mode and depth.
        align: Whether position, angle and brightness of the key are brought to those of the key before.
        palette: `keep` gives in-betweens only colors of the keys, anti-aliasing aside.

    Returns:
        The frames to draw between, and what to do with the in-betweens.
    """
    keys = frame0, frame1
    placement = find_placement(frame0, frame1) if align else Placement()
    registered = register_pair(frame0, frame1, placement)
    paper = find_paper(registered.frame0, registered.frame1, keys)
    return PreparedPair(keys, registered, paper, find_palette(keys) if palette == "keep" else None)


class PairPreparer:
    """Prepares pairs, and finishes what was drawn between them, in the same order.

    Attributes:
        notes: What was done, a sentence for each pair that it was done to.
    """

    def __init__(self, *, align: bool, palette: PaletteChoice) -> None:
        """Prepare by these settings, see `prepare_pair`. Raises UsageError for an unknown palette."""
        if palette not in get_args(PaletteChoice):
            raise UsageError(f"expected the palette (--palette) free or keep, got {palette!r}")
        self.notes: list[str] = []
        self._align, self._palette = align, palette
        self._last: PreparedPair | None = None
        self._waiting: deque[tuple[PreparedPair, Sequence[SupportsFloat]]] = deque()

    def prepare(self, name: str, pair: HintedPair) -> HintedPair:
        """Prepare a pair; `name` is what notes call it. A pair drawn in parts is prepared once."""
        frame0, frame1, times, hints = pair
        prepared = self._last
        if prepared is None or prepared.keys[0] is not frame0 or prepared.keys[1] is not frame1:
            prepared = self._last = prepare_pair(frame0, frame1, align=self._align, palette=self._palette)
            if self._align:
                self.notes.append(f"{name}: {prepared.registered.placement.describe()}")
            if prepared.palette is not None and prepared.palette.declined:
                self.notes.append(f"{name}: colors are not kept to a palette: {prepared.palette.declined}")
        self._waiting.append((prepared, times))
        registered = prepared.registered
        moved = None if hints is None else registered.register_hints(hints)
        return registered.frame0, registered.frame1, times, moved

    def finish(self, frames: Sequence[Frame]) -> list[Frame]:
        """Finish what was drawn between the first pair that is not finished yet."""
        pair, times = self._waiting.popleft()
        return [pair.finish(frame, float(t)) for frame, t in zip(frames, times, strict=True)]
