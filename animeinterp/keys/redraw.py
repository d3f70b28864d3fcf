"""List the in-betweens that an animator should redraw, each with a picture that marks what is wrong.

A drawing is listed if it is doubtful by `animeinterp.confidence`. Its picture is `review/redraw_NAME.png`: the drawing,
paled, with a red outline around the pixels of low confidence. A continued run keeps the images of the drawings that it
keeps, and removes those of drawings that were made anew and are good, or were redrawn by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.doubt import DrawnPair
from animeinterp.frame import Frame, RGBImage, composited
from animeinterp.io.files import make_folder
from animeinterp.io.images import write_image
from animeinterp.keys.plan import PlannedLayer, PlannedPair
from animeinterp.keys.settings import KeySettings

_INK = (224, 32, 24)  # RGB
_PALE = 0.35  # opacity of white over the drawing
_FILL = 0.45  # opacity of ink where confidence is 0
_OUTLINED = 64  # of 255: blurred lack of confidence at which the outline runs
_SMOOTHNESS = 200  # widths of that blur, its standard deviation, in the width of the drawing: no specks are outlined


def redraw_picture(review: Path, name: str) -> Path:
    """Name the picture of a drawing, in the folder of files for review."""
    return review / f"redraw_{Path(name).stem}.png"


class RedrawList:
    """Collects the doubtful drawings of a run."""

    def __init__(self, review: Path, settings: KeySettings) -> None:
        """Collect for a folder of files for review; pictures are written if the settings ask for a review."""
        self._review, self._settings = review, settings
        self._marked: set[str] = set()

    def note(self, pair: PlannedPair, drawn: DrawnPair) -> None:
        """Note the drawings of a pair and write the pictures of doubtful ones. Raises FileError."""
        for planned, frame, doubt in zip(pair.inbetweens, drawn.frames, drawn.doubts, strict=True):
            picture = redraw_picture(self._review, planned.name)
            if self._settings.resume or self._settings.force:
                picture.unlink(missing_ok=True)
            if not doubt.is_doubtful:
                continue
            self._marked.add(planned.name)
            if self._settings.review and doubt.marks is not None:
                make_folder(self._review)
                write_image(picture, mark(frame, doubt.marks), force=self._settings.force or self._settings.resume)

    def finish(self, layers: Sequence[PlannedLayer], by_hand: Collection[str]) -> tuple[str, ...]:
        """Return the names of all drawings to redraw, in order.

        Args:
            layers: The layers.
            by_hand: Names of drawings that were changed by hand, which need no redrawing.
        """
        for name in by_hand:
            redraw_picture(self._review, name).unlink(missing_ok=True)
        names = [one.name for layer in layers for pair in layer.pairs for one in pair.inbetweens]
        return tuple(name for name in names if name in self._marked or redraw_picture(self._review, name).exists())


def mark(frame: Frame, marks: NDArray[np.uint8]) -> RGBImage:
    """Mark the pixels of low confidence in a drawing.

    Args:
        frame: The drawing.
        marks: Lack of confidence, uint8 (h, w) of any size, 255 = none.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    height, width = frame.shape[:2]
    lack: Any = cv2.resize(marks, (width, height), interpolation=cv2.INTER_LINEAR)
    image = composited(frame).astype(np.float32)
    image += _PALE * (255 - image)
    image += (_FILL * lack.astype(np.float32) / 255)[..., None] * (np.array(_INK, np.float32) - image)
    page: Any = np.ascontiguousarray(np.rint(image).astype(np.uint8))
    around: Any = cv2.GaussianBlur(lack, (0, 0), max(1.0, width / _SMOOTHNESS))
    outlines, _ = cv2.findContours((around > _OUTLINED).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(page, outlines, -1, _INK, max(2, width // 320), cv2.LINE_AA)
    return np.asarray(page, np.uint8)
