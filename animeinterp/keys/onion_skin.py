"""Draw the onion skin of a pair: the outlines of both keys and of the drawings between them, over one another.

The first key is red and the second one blue; in-betweens have the colors between, by their time. Below them is a pale
mean of the two keys. Outlines are where a drawing changes from one pixel to the next, so that lines on white, flat
color and layers with alpha look alike.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from animeinterp.frame import RGBImage
from animeinterp.keys.chart_drawing import draw_chart
from animeinterp.keys.plan import PlannedPair
from animeinterp.keys.thumbnails import PAPER, Thumbnails

FIRST, SECOND = (208, 40, 32), (24, 84, 208)  # colors of the keys, RGB
_CHART = 64  # px of the timing chart below
_PALE = 0.22  # opacity of the mean of the keys
_KEY, _BETWEEN = 1.0, 0.6  # opacity of outlines
_CONTRAST = 96  # levels of a change that is drawn at full opacity; paper grain and JPEG blocks stay pale


def draw_onion_skin(pair: PlannedPair, drawings: Thumbnails) -> RGBImage:
    """Draw the onion skin of a pair with its timing chart.

    Args:
        pair: The pair.
        drawings: Reads its drawings.

    Returns:
        uint8 (H, W, 3) RGB, as large as the reduced drawings and the chart below.
    """
    first, second = (_on_white(drawings.read(name)) for name in pair.names)
    page = 255 + _PALE * ((first.astype(np.float32) + second) / 2 - 255)
    layers = [(_on_white(drawings.read(one.name)), float(one.t), _BETWEEN) for one in pair.inbetweens]
    for image, t, opacity in [*layers, (second, 1.0, _KEY), (first, 0.0, _KEY)]:
        color = (1 - t) * np.array(FIRST, np.float32) + t * np.array(SECOND, np.float32)
        ink = opacity * _outlines(image)[..., None]
        page = np.minimum(page, page + ink * (color - page))  # crossing lines stay visible
    sheet = Image.new("RGB", (page.shape[1], page.shape[0] + _CHART), PAPER)
    sheet.paste(Image.fromarray(np.rint(page).astype(np.uint8)))
    box = 8, page.shape[0] + 4, page.shape[1] - 8, page.shape[0] + _CHART - 4
    draw_chart(ImageDraw.Draw(sheet), box, pair, colors=(FIRST, SECOND))
    return np.asarray(sheet)


def _on_white(image: Image.Image) -> RGBImage:
    """Composite a drawing over white."""
    white = Image.new("RGBA", image.size, PAPER)
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def _outlines(image: RGBImage) -> NDArray[np.float32]:
    """Return how strongly each pixel differs from its neighbors, 0 to 1."""
    gradient: Any = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    strength: NDArray[np.float32] = np.clip(gradient.max(axis=2).astype(np.float32) / _CONTRAST, 0, 1) ** 2
    return strength
