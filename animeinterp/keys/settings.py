"""Settings of a folder of keys."""

from __future__ import annotations

from dataclasses import dataclass

from animeinterp.config import Options


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What to make of a folder of keys.

    Attributes:
        count: In-betweens of each pair; None takes as many as the numbers of the keys leave room for, else 1.
        timing: A timing chart or times, see `animeinterp.keys.timing`.
        name: A pattern such as `key_%04d.png` by which all drawings are numbered anew; None keeps the keys' names.
        max_pixels: Larger keys are refused.
        force: Whether existing files are replaced.
    """

    count: int | None = None
    timing: str = "linear"
    name: str | None = None
    max_pixels: int = Options().max_pixels
    force: bool = False
