"""Score parts of a frame by masks of a data set: by occlusion, and at motion borders.

    DATASET_masks/NAME/occlusion.png    0, 1 or 2: the number of frames 1 and 3 in which a pixel's point is visible
    DATASET_masks/NAME/borders.png      255 within 8 px of a motion border, else 0

`animeinterp dataset linear` writes such masks. PSNR is computed on the pixels of a part. LPIPS is the mean over them of
the whole frame's map (`LpipsMetric.map`), which depends on the surroundings of a part too. A part smaller than
`MIN_PIXELS` has no scores in that triplet, and does not count in the means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.errors import FileError
from animeinterp.evaluation.scores import PartScores
from animeinterp.frame import RGBImage
from animeinterp.io.images import read_image

Parts = Mapping[str, NDArray[np.bool_]]  # bool (H, W), by the names in `scores.PARTS`

MASKS = ("occlusion", "borders")
MIN_PIXELS = 64
_MAX_PIXELS = Options().max_pixels


@runtime_checkable
class LpipsMap(Protocol):
    """A metric that has a map, such as `LpipsMetric`."""

    def map(self, drawn: RGBImage, true: RGBImage) -> NDArray[np.float32] | None:
        """Return float32 (H, W), whose mean is about LPIPS; None if the frames are too small."""
        ...


def read_masks(folder: Path, shape: tuple[int, ...]) -> Parts:
    """Read the parts of a triplet's frame 2.

    Args:
        folder: Folder of `occlusion.png` and `borders.png`.
        shape: Of the frame, (H, W, …).

    Returns:
        A mask per part, bool (H, W).

    Raises:
        FileError: A mask is missing, damaged, of another size, or has invalid values.
    """
    visible, borders = (_read(folder / f"{name}.png", shape) for name in MASKS)
    if visible.max() > 2:
        raise FileError(f"{folder / 'occlusion.png'} holds values up to {visible.max()}; expected 0, 1 and 2")
    return {**{f"seen{count}": visible == count for count in (2, 1, 0)}, "borders": borders > 0}


def score_parts(drawn: RGBImage, true: RGBImage, parts: Parts, lpips: object = None) -> dict[str, PartScores]:
    """Score each part that is large enough.

    Args:
        drawn: uint8 (H, W, 3) RGB.
        true: Of the same shape.
        parts: Masks by name, bool (H, W).
        lpips: A metric; parts have no LPIPS if it has no map.

    Returns:
        The scores by name.
    """
    distance = lpips.map(drawn, true) if isinstance(lpips, LpipsMap) else None
    squares = np.square(drawn.astype(np.float64) - true).mean(axis=2) / 255**2
    scores = {}
    for name, part in parts.items():
        if int(part.sum()) < MIN_PIXELS:
            continue
        error = float(squares[part].mean())
        psnr = math.inf if error == 0 else -10 * math.log10(error)
        scores[name] = PartScores(psnr, None if distance is None else float(distance[part].mean()))
    return scores


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an 8-bit gray mask. Raises FileError."""
    pixels = read_image(path, _MAX_PIXELS).pixels
    if pixels.dtype != np.uint8 or pixels.shape != shape[:2]:
        raise FileError(
            f"{path} is {pixels.dtype} {pixels.shape}; expected an 8-bit gray mask of {shape[1]}x{shape[0]} px"
        )
    return np.asarray(pixels, np.uint8)
