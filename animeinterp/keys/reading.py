"""Read key drawings when they are needed, each in the mode of its layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from animeinterp.frame import Frame, Mode, widened
from animeinterp.io.images import LoadedImage, read_image


class KeyReader:
    """Reads keys; the last two are kept, because a key mostly belongs to two pairs.

    Attributes:
        max_pixels: Larger keys are refused.
        like: The ICC profile and the resolution of each key read, without its pixels.
    """

    def __init__(self, max_pixels: int) -> None:
        self.like: dict[Path, LoadedImage] = {}
        self.max_pixels = max_pixels
        self._kept: dict[Path, Frame] = {}

    def read(self, path: Path, mode: Mode) -> Frame:
        """Return a key in the mode of its layer; the same array as long as it is kept."""
        if path not in self._kept:
            image = read_image(path, self.max_pixels)
            frame = widened(image.pixels, mode)
            self.like[path] = replace(
                image, pixels=frame[:0], icc=image.icc if frame.ndim == image.pixels.ndim else None
            )
            self._kept = dict([*self._kept.items()][-1:]) | {path: frame}
        return self._kept[path]
