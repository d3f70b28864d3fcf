"""What the pages of an evaluation have in common: text from outside, pictures as data URIs, and the map of errors."""

from __future__ import annotations

import base64
import html
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animeinterp.frame import RGBImage

QUALITY = 85  # of WebP
FULL_ERROR = 64  # Euclidean RGB distance, 0 to 441, from which on the heat map is at its brightest


def plain_text(text: str) -> str:
    """Text that can be written as UTF-8; names that are no Unicode get question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def escape(text: str) -> str:
    """Text as it may stand in HTML, between tags and in quotes; names that are no Unicode get question marks."""
    return html.escape(plain_text(text))


def uri(picture: RGBImage, longest: int, quality: int = QUALITY) -> str:
    """A picture as a data URI, made smaller until no side is longer than that."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def error_of(drawn: RGBImage, true: RGBImage) -> NDArray[np.float32]:
    """Euclidean RGB distance of each pixel, float32 (H, W), 0 to 441."""
    return np.asarray(np.sqrt(((drawn.astype(np.float32) - true) ** 2).sum(axis=2)), np.float32)


def heat(share: NDArray[np.floating]) -> RGBImage:
    """From black over purple and orange to light yellow, evenly for the eye; share: (H, W), beyond 1 as 1."""
    levels = np.rint(np.minimum(share, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def ramp() -> str:
    """The colors of `heat` as stops of a CSS gradient."""
    stops = heat(np.linspace(0, 1, 9)[None])[0]
    return ", ".join("#" + bytes(stop.tolist()).hex() for stop in stops)
