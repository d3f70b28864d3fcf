"""Find and read frames that were drawn before, by this package or by another program.

    FOLDER/NAME.png            one file per triplet
    FOLDER/NAME/frame2.png     one folder per triplet, as the published code writes them
    FOLDER/NAME/out.png

NAME is the triplet's folder in the data set. The suffix is .png, .jpg, .jpeg or .webp; exactly one file per triplet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.frame import rgb8
from animeinterp.io.images import read_image

FindFrame = Callable[[str, str], Path | None]  # model and triplet → the drawn frame; None if it was not kept

EXPECTED = "NAME.png, NAME/frame2.png or NAME/out.png (or .jpg, .jpeg, .webp)"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_MAX_PIXELS = Options().max_pixels


def check_predictions(folder: Path, triplets: Iterable[str]) -> None:
    """Check that a folder holds a frame for at least one triplet.

    Args:
        folder: The folder.
        triplets: Names of the triplets.

    Raises:
        FileError: The folder does not exist.
        UsageError: It has no frame for any of the triplets.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected another program's frames as {EXPECTED}")
    if not any(_candidates(folder, name) for name in triplets):
        raise UsageError(f"{folder} has no frame for any triplet of the data set; expected {EXPECTED}")


def find_prediction(folder: Path, triplet: str) -> Path:
    """Find the file of a triplet.

    Args:
        folder: The program's frames.
        triplet: Name of the triplet.

    Returns:
        Its path.

    Raises:
        FileError: There is no such file, or more than one.
    """
    paths = _candidates(folder, triplet)
    if not paths:
        raise FileError(f"{folder} has no frame for {triplet}; expected {EXPECTED}")
    if len(paths) > 1:
        raise FileError(f"{folder} has {paths[0]} and {paths[1]}; expected one, so remove the other")
    return paths[0]


def read_prediction(folder: Path, triplet: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read another program's frame.

    Args:
        folder: The program's frames.
        triplet: Name of the triplet.
        shape: Of the true frame, (H, W, 3).

    Returns:
        The frame, uint8 (H, W, 3) RGB.

    Raises:
        FileError: There is no such file, more than one, or it is damaged.
        FrameError: The frame has another size.
    """
    return read_drawn(find_prediction(folder, triplet), shape)


def read_drawn(path: Path | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a drawn frame.

    Args:
        path: The file; None if the frame was not kept.
        shape: Of the true frame, (H, W, 3).

    Returns:
        The frame, uint8 (H, W, 3) RGB.

    Raises:
        FileError: The frame was not kept or cannot be read.
        FrameError: The frame has another size.
    """
    if path is None:
        raise FileError("the drawn frame was not kept, so there is nothing to compare")
    frame = rgb8(read_image(path, _MAX_PIXELS).pixels)
    if frame.shape != shape:
        size, expected = (f"{width}x{height}" for height, width, *_ in (frame.shape, shape))
        raise FrameError(f"{path} is {size}; expected the true frame's {expected}, so draw it again at that size")
    return frame


def _candidates(folder: Path, triplet: str) -> list[Path]:
    """Return the files that could be a triplet's frame."""
    stems = (folder / triplet, folder / triplet / "frame2", folder / triplet / "out")
    paths = (stem.with_name(stem.name + suffix) for stem in stems for suffix in _SUFFIXES)
    return [path for path in paths if path.is_file()]
