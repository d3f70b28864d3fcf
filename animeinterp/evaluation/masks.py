"""Scores within masks of frame 2, where a data set has them: by occlusion and at motion borders.

    DATASET_masks/NAME/occlusion.png    0, 1 or 2: by how many of frames 1 and 3 a pixel's point is seen
    DATASET_masks/NAME/borders.png      255 within 8 px of a motion border, else 0

as `animeinterp dataset linear` writes them. PSNR is of the pixels of a part. LPIPS is the mean over them of the map of
the whole frame (`animeinterp.metrics.lpips.LpipsMetric.map`): the network sees what surrounds a part. One of
fewer than `LEAST` pixels of a triplet has no scores there and does not count in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.errors import FileError
from animeinterp.frame import RGBImage
from animeinterp.io.images import read_image
from animeinterp.io.reading import finite_number

Parts = Mapping[str, NDArray[np.bool_]]
PARTS = ("seen2", "seen1", "seen0", "borders")  # as the CSV's columns begin
PART_COLUMNS = tuple(f"{part}_{measure}" for part in PARTS for measure in ("psnr", "lpips"))
LEAST = 64  # px
MASKS = ("occlusion", "borders")
_MAX_PIXELS = Options().max_pixels
_FAR = 1e9


@runtime_checkable
class Mapped(Protocol):
    """What tells where two frames look different."""

    def map(self, drawn: RGBImage, true: RGBImage) -> NDArray[np.float32] | None:
        """Float32 (H, W), whose mean is about LPIPS; None for frames that are too small."""
        ...


@dataclass(frozen=True, slots=True)
class PartScores:
    """Of the pixels of a part, or means of such. psnr: dB. lpips: None where it was not measured."""

    psnr: float
    lpips: float | None = None


def read_masks(folder: Path, shape: tuple[int, ...]) -> Parts:
    """The parts of a triplet's frame 2, bool (H, W), by name; see `PARTS`.

    Args:
        folder: Of `occlusion.png` and `borders.png`.
        shape: Of the frame, (H, W, …).

    Raises:
        FileError: A mask is missing, damaged, of another size, or holds other values.
    """
    seen, borders = (_read(folder / f"{name}.png", shape) for name in MASKS)
    if seen.max() > 2:
        raise FileError(f"{folder / 'occlusion.png'} holds values up to {seen.max()}; expected 0, 1 and 2")
    return {**{f"seen{times}": seen == times for times in (2, 1, 0)}, "borders": borders > 0}


def score_parts(drawn: RGBImage, true: RGBImage, parts: Parts, lpips: object = None) -> dict[str, PartScores]:
    """The scores of each part that is large enough.

    Args:
        drawn: uint8 (H, W, 3) RGB.
        true: of the same shape.
        parts: bool (H, W), by name.
        lpips: see `Mapped`; without a map there is no LPIPS of parts.
    """
    perceived = lpips.map(drawn, true) if isinstance(lpips, Mapped) else None
    squares = np.square(drawn.astype(np.float64) - true).mean(axis=2) / 255**2
    scores = {}
    for name, part in parts.items():
        if int(part.sum()) < LEAST:
            continue
        error = float(squares[part].mean())
        psnr = math.inf if error == 0 else -10 * math.log10(error)
        scores[name] = PartScores(psnr, None if perceived is None else float(perceived[part].mean()))
    return scores


def mean_parts(scores: Sequence[Mapping[str, PartScores]]) -> dict[str, PartScores]:
    """The means over triplets, of each part over those that have it; PSNR is a mean of dB."""
    means = {}
    for part in PARTS:
        known = [some[part] for some in scores if part in some]
        perceived = [one.lpips for one in known if one.lpips is not None]
        if known:
            psnr = float(np.mean([one.psnr for one in known]))
            means[part] = PartScores(psnr, float(np.mean(perceived)) if perceived else None)
    return means


def part_cells(scores: Mapping[str, PartScores]) -> tuple[float | None, ...]:
    """The values of `PART_COLUMNS`, None for what is not known."""
    found = (scores.get(part) for part in PARTS)
    return tuple(value for one in found for value in ((one.psnr, one.lpips) if one else (None, None)))


def parts_of(known: Mapping[str, str]) -> dict[str, PartScores]:
    """The scores of a row of the CSV, whose empty cells are left out. Raises ValueError for values out of range."""
    found = {}
    for part in PARTS:
        if f"{part}_psnr" in known:
            psnr, lpips = float(known[f"{part}_psnr"]), known.get(f"{part}_lpips")
            if psnr != math.inf:  # of equal pixels
                psnr = finite_number(psnr, "psnr", -_FAR, _FAR)
            found[part] = PartScores(psnr, None if lpips is None else finite_number(float(lpips), "lpips", 0, _FAR))
    return found


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    pixels = read_image(path, _MAX_PIXELS).pixels
    if pixels.dtype != np.uint8 or pixels.shape != shape[:2]:
        raise FileError(
            f"{path} is {pixels.dtype} {pixels.shape}; expected an 8-bit gray mask of {shape[1]}x{shape[0]} px"
        )
    return np.asarray(pixels, np.uint8)
