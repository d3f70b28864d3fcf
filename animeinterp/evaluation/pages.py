"""Parts that the HTML pages share: rendering of templates, images as data URIs, and the color map of errors.

Templates are in `templates/`. A page refers to no other file: images are WebP in data URIs.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animeinterp.frame import RGBImage
from animeinterp.io.files import write_bytes
from animeinterp.io.pages import create_environment

FULL_ERROR = 64  # RGB distance, 0 to 441, that gets the brightest color of the error map
_WEBP_QUALITY = 85


class PageImage(NamedTuple):
    """An image on a page.

    Attributes:
        uri: The image as a data URI, perhaps downsampled.
        width: Original width in px.
        height: Original height in px.
    """

    uri: str
    width: int
    height: int


def write_page(target: Path, template: str, content: Mapping[str, object], *, force: bool) -> None:
    """Render a template and write the page, whole or not at all.

    Args:
        target: The HTML file.
        template: Path of the template below `templates/`.
        content: The template's variables; `full_error` and `gradient`, the key of the error map, are added.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`.
        FileError: It cannot be written.
    """
    environment = create_environment("animeinterp.evaluation")
    environment.filters["shorten"] = shorten
    environment.globals |= {"full_error": FULL_ERROR, "gradient": _error_gradient()}
    page = environment.get_template(template).render(content)
    # File names may hold lone surrogates, which UTF-8 cannot encode.
    write_bytes(target, page.encode("utf-8", "replace"), force=force)


def encode_image(image: RGBImage, longest: int, quality: int = _WEBP_QUALITY) -> PageImage:
    """Encode an image for a page, downsampled until no side exceeds a limit.

    Args:
        image: uint8 (H, W, 3) RGB.
        longest: Maximum length of a side, px.
        quality: Of WebP, 0 to 100.

    Returns:
        The image as a data URI, with its original size.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=4)
    return PageImage(f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", width, height)


def color_distance(drawn: RGBImage, true: RGBImage) -> NDArray[np.float32]:
    """Compute the Euclidean RGB distance of each pixel.

    Args:
        drawn: uint8 (H, W, 3) RGB.
        true: Of the same shape.

    Returns:
        float32 (H, W), 0 to 441.
    """
    return np.asarray(np.sqrt(((drawn.astype(np.float32) - true) ** 2).sum(axis=2)), np.float32)


def error_map(error: NDArray[np.floating]) -> RGBImage:
    """Color an error: black at 0, light yellow at `FULL_ERROR` and above, perceptually uniform.

    Args:
        error: RGB distance, (H, W), 0 to 441.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    levels = np.rint(np.minimum(error / FULL_ERROR, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _error_gradient() -> str:
    """Return the colors of `error_map` as stops of a CSS gradient."""
    stops = error_map(np.linspace(0, FULL_ERROR, 9)[None])[0]
    return ", ".join("#" + bytes(stop.tolist()).hex() for stop in stops)


def shorten(name: str, length: int) -> str:
    """Cut the middle out of a long name; the ends tell models apart.

    Args:
        name: The name.
        length: Maximum number of characters.

    Returns:
        The name, with an ellipsis if it was cut.
    """
    return name if len(name) <= length else f"{name[: length // 2]}…{name[-(length - length // 2 - 1) :]}"
