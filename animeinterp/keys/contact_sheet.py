"""Draw the contact sheet: every drawing of every layer in order, keys framed, with name, time and exposure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from animeinterp.frame import RGBImage
from animeinterp.keys.chart_drawing import Place, places, shorten
from animeinterp.keys.plan import PlannedLayer
from animeinterp.keys.thumbnails import FAINT, INK, KEY_COLOR, PAPER, Thumbnails, checkerboard, font

_COLUMNS, _CELL, _GAP, _MARGIN = 6, 256, 16, 24  # px but for the columns
_HEADING, _LABEL = 44, 26  # px
_MIN_CELL = 64  # px
_MAX_HEIGHT = 16_000  # px; many drawings are shown smaller


def draw_contact_sheet(layers: Sequence[PlannedLayer], drawings: Thumbnails) -> RGBImage:
    """Draw the contact sheet.

    Args:
        layers: The layers.
        drawings: Reads their drawings.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    ratios = [_ratio(drawings.read(layer.drawings[0])) for layer in layers]
    columns, cell = _COLUMNS, _CELL
    while (height := _height(layers, ratios, columns, cell)) > _MAX_HEIGHT and cell > _MIN_CELL:
        columns, cell = round(columns * 1.5), round(cell / 1.5)
    width = 2 * _MARGIN + columns * (cell + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, top = ImageDraw.Draw(sheet), _MARGIN
    for layer, ratio in zip(layers, ratios, strict=True):
        made = len(layer.drawings) - len(layer.keys)
        title = f"{layer.name}: {len(layer.keys)} keys, {made} in-betweens"
        draw.text((_MARGIN, top), shorten(title, width - 2 * _MARGIN, 26), INK, font(26, title.isascii()))
        top += _HEADING
        size = cell, max(1, round(cell * ratio))
        known, lengths = places(layer), dict.fromkeys(layer.drawings, 0)
        for exposure in layer.exposures:
            if exposure.name is not None:
                lengths[exposure.name] += exposure.length
        for number, name in enumerate(layer.drawings):
            left = _MARGIN + number % columns * (cell + _GAP)
            y = top + number // columns * (size[1] + _LABEL + _GAP)
            _paste(sheet, drawings.read(name), (left, y), size)
            _label(draw, name, (known.get(name), lengths[name]), (left, y), size)
        top += -(-len(layer.drawings) // columns) * (size[1] + _LABEL + _GAP) + _GAP
    return np.asarray(sheet)


def _ratio(image: Image.Image) -> float:
    """Return height by width, at most 2."""
    return min(2.0, image.height / image.width)


def _height(layers: Sequence[PlannedLayer], ratios: Sequence[float], columns: int, cell: int) -> int:
    """Return the height of the sheet, px."""
    height = 2 * _MARGIN
    for layer, ratio in zip(layers, ratios, strict=True):
        rows = -(-len(layer.drawings) // columns)
        height += _HEADING + rows * (max(1, round(cell * ratio)) + _LABEL + _GAP) + _GAP
    return height


def _paste(sheet: Image.Image, image: Image.Image, place: tuple[int, int], size: tuple[int, int]) -> None:
    """Fit a drawing into a cell."""
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    picture = Image.alpha_composite(checkerboard(fitted.size), fitted)
    sheet.paste(picture.convert("RGB"), (place[0] + (size[0] - fitted.width) // 2, place[1]))


def _label(
    draw: ImageDraw.ImageDraw,
    name: str,
    shown: tuple[Place | None, int],
    place: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Draw the frame of a cell, and below it name, time and number of frames."""
    found, frames = shown
    is_key = found is None or found.is_key
    left, top = place
    color, width = (KEY_COLOR, 3) if is_key else ("#c9c9d0", 1)
    draw.rectangle(
        (left - width, top - width, left + size[0] + width - 1, top + size[1] + width - 1), None, color, width
    )
    parts = [] if found is None or is_key else [f"t {found.t:.3g}"]
    details = " · ".join([*parts, f"{frames} f"])
    face = font(15)
    draw.text((left + size[0], top + size[1] + 6), details, FAINT, face, anchor="ra")
    room = size[0] - round(face.getlength(details)) - 8
    draw.text(
        (left, top + size[1] + 6),
        shorten(Path(name).stem, room, 15),
        KEY_COLOR if is_key else INK,
        font(15, name.isascii()),
    )
