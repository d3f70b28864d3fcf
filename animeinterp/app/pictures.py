"""Images as the page shows them: 8 bits, no larger than a screen; onion skin and doubt, which need no more drawings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame, RGBImage, composited
from animeinterp.io.files import make_folder, write_bytes

_MAX_SIDE = 1600  # px; what a window shows of a drawing at most
_DOUBT_STRENGTH = 0.9  # opacity of the red where nothing can be relied on
_FIRST_TINT, _SECOND_TINT = np.array([214, 60, 60], np.float32), np.array([30, 110, 214], np.float32)


def shown_file(frame: Frame, folder: Path) -> str:
    """Write a frame for the browser: a PNG of at most 1600 px a side, named by its content.

    Args:
        frame: The frame; alpha is kept.
        folder: Where the page keeps such files.

    Returns:
        The path.
    """
    make_folder(folder)
    if frame.dtype == np.uint16:
        frame = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
    frame = fitted(frame.astype(np.uint8, copy=False))
    path = folder / f"{hashlib.sha256(frame.tobytes()).hexdigest()[:24]}-{frame.shape[1]}.png"
    if not path.exists():
        ok, data = cv2.imencode(".png", _as_opencv(frame), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not ok:
            raise ValueError("OpenCV cannot encode a PNG")
        write_bytes(path, data.tobytes(), force=True)
    return str(path)


def fitted(image: NDArray[np.uint8], side: int = _MAX_SIDE) -> NDArray[np.uint8]:
    """Make an image smaller, if it has more than `side` px on its longer side."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)).astype(np.uint8)


def _as_opencv(frame: Frame) -> Frame:
    """Return the channels in OpenCV's order; gray with alpha becomes color with alpha."""
    if frame.ndim == 2:
        return frame
    ordered: Frame = frame[..., {2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[frame.shape[2]]]
    return ordered


def onion_skin(first: Frame, second: Frame) -> RGBImage:
    """Lay two drawings over each other: the first in red, the second in blue, where they agree gray."""
    strengths = [
        (1 - cv2.cvtColor(composited(frame), cv2.COLOR_RGB2GRAY) / np.float32(255)) for frame in (first, second)
    ]
    paper = np.full((*first.shape[:2], 3), 255, np.float32)
    for strength, tint in zip(strengths, (_FIRST_TINT, _SECOND_TINT), strict=True):
        paper *= 1 - strength[..., None] * (1 - tint / 255)
    image: RGBImage = np.rint(paper).astype(np.uint8)
    return image


def tint_doubt(frame: Frame, confidence: NDArray[np.float32]) -> RGBImage:
    """Show where a drawing is doubtful: gray where it can be relied on, red where it cannot.

    Args:
        frame: The drawing.
        confidence: float32 (H, W) in [0, 1], see `animeinterp.confidence`.

    Returns:
        uint8 RGB.
    """
    gray = cv2.cvtColor(composited(frame), cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    doubt = (1 - confidence)[..., None] * _DOUBT_STRENGTH
    image: RGBImage = np.rint(gray * (1 - doubt) + _FIRST_TINT * doubt).astype(np.uint8)
    return image
