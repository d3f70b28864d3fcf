"""Settings of a folder of keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from animeinterp.config import Options

PaletteChoice = Literal["free", "keep"]


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What to make of a folder of keys.

    Attributes:
        count: In-betweens of each pair; None takes as many as the numbers of the keys leave room for, else 1.
        timing: A timing chart or times, see `animeinterp.keys.timing`.
        chart: A CSV file with a row for each pair, see `animeinterp.keys.chart`, or a time sheet (`.xdts`). What it
            leaves open is taken from `count` and `timing`.
        hints: A JSON file with hints for pairs of keys, see `animeinterp.hints_file`.
        on: Frames for which a drawing is shown; None follows numbers that leave room, else 2.
        name: A pattern such as `key_%04d.png` by which all drawings are numbered anew; None keeps the keys' names.
        align: Whether scanned keys are registered, see `animeinterp.keys.align`.
        palette: `keep` gives in-betweens only colors of their keys, see `animeinterp.keys.palette`; `free` any.
        rate: Frames per second of the preview.
        review: Whether onion skins, a preview, a contact sheet and exposure sheets are made, in the folder `review`.
        preview: Format of the preview, `webp` or `gif`.
        max_pixels: Larger keys are refused.
        resume: Whether drawings of an earlier run are kept, unless their keys or how they are drawn have changed.
            Drawings that were changed by hand are kept too.
        force: Whether existing files are replaced.
    """

    count: int | None = None
    timing: str = "linear"
    chart: Path | None = None
    hints: Path | None = None
    on: int | None = None
    name: str | None = None
    align: bool = False
    palette: PaletteChoice = "free"
    rate: float = 24.0
    review: bool = True
    preview: Literal["webp", "gif"] = "webp"
    max_pixels: int = Options().max_pixels
    resume: bool = False
    force: bool = False
