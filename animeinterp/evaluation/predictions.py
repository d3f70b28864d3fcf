"""Frames that another program drew, so that it can be compared without being installed here.

    FOLDER/NAME.png            one file per triplet
    FOLDER/NAME/frame2.png     one folder per triplet, as the published code writes them
    FOLDER/NAME/out.png

NAME is the triplet's folder in the data set. Any of .png, .jpg, .jpeg and .webp will do; of each triplet exactly one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.frame import rgb8
from animeinterp.io.images import read_image

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_MAX_PIXELS = Options().max_pixels
EXPECTED = "NAME.png, NAME/frame2.png or NAME/out.png (or .jpg, .jpeg, .webp)"


def check_predictions(folder: Path, triplets: Iterable[str]) -> None:
    """Raise FileError if there is no such folder, UsageError if it has no frame for any of the triplets."""
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected another program's frames as {EXPECTED}")
    if not any(_candidates(folder, name) for name in triplets):
        raise UsageError(f"{folder} has no frame for any triplet of the data set; expected {EXPECTED}")


def find_prediction(folder: Path, triplet: str) -> Path:
    """The file of a triplet. Raises FileError if there is none, or more than one."""
    found = _candidates(folder, triplet)
    if not found:
        raise FileError(f"{folder} has no frame for {triplet}; expected {EXPECTED}")
    if len(found) > 1:
        raise FileError(f"{folder} has {found[0]} and {found[1]}; expected one, so take the other out")
    return found[0]


def read_prediction(folder: Path, triplet: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Another program's frame for a triplet, uint8 (H, W, 3) RGB.

    shape: of the true frame. Raises FileError as `find_prediction` and if it is damaged, FrameError for another size.
    """
    path = find_prediction(folder, triplet)
    frame = rgb8(read_image(path, _MAX_PIXELS).pixels)
    if frame.shape != shape:
        sizes = [f"{size[1]}x{size[0]}" for size in (frame.shape, shape)]
        raise FrameError(f"{path} is {sizes[0]}, but the true frame is {sizes[1]}; have it drawn at that size")
    return frame


def read_drawn(path: Path | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A frame that was drawn and scored before, uint8 (H, W, 3) RGB.

    Args:
        path: where it lies; None if it was not kept.
        shape: of the true frame.

    Raises:
        FileError: if it was not kept or cannot be read.
        FrameError: if it has another size.
    """
    if path is None:
        raise FileError("the drawn frame was not kept, so there is nothing to compare")
    frame = rgb8(read_image(path, _MAX_PIXELS).pixels)
    if frame.shape != shape:
        sizes = [f"{size[1]}x{size[0]}" for size in (frame.shape, shape)]
        raise FrameError(f"{path} is {sizes[0]}; expected the true frame's {sizes[1]}, so draw it again")
    return frame


def _candidates(folder: Path, triplet: str) -> list[Path]:
    stems = (folder / triplet, folder / triplet / "frame2", folder / triplet / "out")
    paths = (stem.with_name(stem.name + suffix) for stem in stems for suffix in _SUFFIXES)
    return [path for path in paths if path.is_file()]
