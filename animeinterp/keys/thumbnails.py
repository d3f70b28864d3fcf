"""Reduced drawings for previews and sheets: RGBA of 8 bits, read once as long as there is room."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFont

from animeinterp.frame import has_alpha, rgb8, with_color
from animeinterp.io.images import read_image

PAPER, INK, FAINT, KEY_COLOR = "#ffffff", "#1c1c24", "#6b6b78", "#c8342b"
# Fonts of Linux, macOS and Windows, those with Chinese, Japanese and Korean first.
_SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "YuGothM.ttc", "msyh.ttc", "malgun.ttf"),
    *("NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf"),
)
_ROOM = 1 << 28  # bytes of reduced drawings that are kept
_CHECKER, _CHECKER_SIZE = ((245, 245, 247), (228, 228, 232)), 12


class Thumbnails:
    """Reads the drawings of a folder at a reduced size."""

    def __init__(self, folder: Path, max_side: int, max_pixels: int) -> None:
        """Prepare.

        Args:
            folder: The folder.
            max_side: Width and height of reduced drawings, at most, px; smaller drawings keep their size.
            max_pixels: Larger files are refused.
        """
        self._folder, self._max_side, self._max_pixels = folder, max_side, max_pixels
        self._kept: dict[str, Image.Image] = {}

    def read(self, name: str) -> Image.Image:
        """Return a drawing as RGBA. Raises FileError if it cannot be read."""
        if name not in self._kept:
            image = self._reduce(name)
            if (len(self._kept) + 1) * image.width * image.height * 4 > _ROOM:
                self._kept.clear()
            self._kept[name] = image
        return self._kept[name]

    def _reduce(self, name: str) -> Image.Image:
        """Read and reduce a drawing; colors are averaged premultiplied."""
        frame = with_color(read_image(self._folder / name, self._max_pixels).pixels)
        height, width = frame.shape[:2]
        scale = min(1.0, self._max_side / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if not has_alpha(frame):
            return Image.fromarray(cv2.resize(rgb8(frame), size, interpolation=cv2.INTER_AREA)).convert("RGBA")
        levels = float(np.iinfo(frame.dtype).max)
        planes = frame.astype(np.float32) / levels
        planes[..., :3] *= planes[..., 3:]
        planes = np.asarray(cv2.resize(planes, size, interpolation=cv2.INTER_AREA))
        planes[..., :3] /= np.maximum(planes[..., 3:], 1 / 512)
        return Image.fromarray(np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8))


def checkerboard(size: tuple[int, int]) -> Image.Image:
    """Return an opaque checkerboard of a size (width, height), which shows what is transparent."""
    y, x = np.indices((size[1], size[0])) // _CHECKER_SIZE
    return Image.fromarray(np.asarray(_CHECKER, np.uint8)[(x + y) % 2]).convert("RGBA")


@cache
def font(size: int, plain: bool = True) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font: Pillow's own, which is there on every system, or one of the system that has more than ASCII."""
    if not plain:
        for name in _SYSTEM_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)
