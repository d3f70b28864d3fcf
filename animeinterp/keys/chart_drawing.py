"""Draw a timing chart as animators do: a line from key to key with a mark for each in-between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import ImageDraw

from animeinterp.keys.plan import PlannedLayer, PlannedPair
from animeinterp.keys.thumbnails import FAINT, INK, KEY_COLOR, font

Color = str | tuple[int, int, int]
_MARGIN = 8  # px beside the line


@dataclass(frozen=True, slots=True)
class Place:
    """Where a drawing lies on a chart.

    Attributes:
        pair: The pair that it belongs to; a key belongs to the one that it begins, the last key to the last one.
        t: Its time, 0 and 1 for the keys.
        is_key: Whether it is a key.
    """

    pair: PlannedPair
    t: float
    is_key: bool


def places(layer: PlannedLayer) -> dict[str, Place]:
    """Return where each drawing of a layer lies, by its name."""
    found: dict[str, Place] = {}
    for pair in layer.pairs:
        for drawing in pair.inbetweens:
            found[drawing.name] = Place(pair, float(drawing.t), False)
        found[pair.names[0]] = Place(pair, 0.0, True)
        found.setdefault(pair.names[1], Place(pair, 1.0, True))
    return found


def draw_chart(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    pair: PlannedPair,
    current: float | None = None,
    colors: tuple[Color, Color] = (KEY_COLOR, KEY_COLOR),
) -> None:
    """Draw the timing chart of a pair.

    Args:
        draw: Draws on an image.
        box: Left, top, right and bottom, px; 40 px or higher.
        pair: The pair.
        current: Time that is marked by a dot; None marks none.
        colors: Those of the two keys.
    """
    left, top, right, bottom = box
    size = max(10, min(16, (bottom - top) // 3))
    line = top + (bottom - top - size) // 2
    begin, end = left + _MARGIN, right - _MARGIN
    draw.line((begin, line, end, line), FAINT, 1)
    height = max(5, (bottom - top) // 5)
    for drawing in pair.inbetweens:
        x, reach = round(begin + float(drawing.t) * (end - begin)), round(0.6 * height)
        draw.line((x, line - reach, x, line + reach), INK, 2)
    ends = (pair.names[0], begin, left, "lb", colors[0]), (pair.names[1], end, right, "rb", colors[1])
    for text, mark, x, anchor, color in ends:
        draw.line((mark, line - height, mark, line + height), color, 2)
        name = shorten(Path(text).stem, (right - left) // 2 - 8, size)
        draw.text((x, bottom), name, color, font(size, text.isascii()), anchor)
    if current is not None:
        x = round(begin + current * (end - begin))
        draw.ellipse((x - 5, line - 5, x + 5, line + 5), INK)


def shorten(text: str, width: int, size: int) -> str:
    """Shorten a text from its beginning so that it fits into a width, px; names differ at their end."""
    face = font(size, text.isascii())
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text}"
