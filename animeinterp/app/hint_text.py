"""Hints as lines of text and as marks on the drawings: what the page reads, writes and shows of them.

One line is one part, such as a limb; a pair of points is `x,y > x,y`, from the first drawing to the second, and pairs
of one part are separated by semicolons. Points are px of the drawing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage
from animeinterp.hints import Hint, Hints, Point

_NUMBER = r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*"
_PAIR = re.compile(f"{_NUMBER},{_NUMBER}>{_NUMBER},{_NUMBER}")
_RADIUS = 1 / 60  # of a ring, by the width of the picture: it is shown in half of a window
_COLORS = ("#d6336c", "#1c7ed6", "#2f9e44", "#f08c00", "#7048e8", "#0c8599")


def parse_hints(text: str) -> Hints:
    """Parse lines of hints.

    Args:
        text: One part a line, see the module; empty lines are left out.

    Returns:
        The hints.

    Raises:
        UsageError: A pair is not one.
    """
    hints = []
    for number, line in enumerate(text.splitlines(), 1):
        pairs = [pair for pair in line.split(";") if pair.strip()]
        found = [_PAIR.fullmatch(pair) for pair in pairs]
        for pair, match in zip(pairs, found, strict=True):
            if match is None:
                raise UsageError(f"line {number} of the hints: expected pairs such as 120,80 > 140,82, got {pair!r}")
        values = [[float(value) for value in match.groups()] for match in found if match]
        if values:
            hints.append(Hint(tuple((v[0], v[1]) for v in values), tuple((v[2], v[3]) for v in values)))
    return Hints(tuple(hints))


def format_hints(hints: Hints) -> str:
    """Write hints as `parse_hints` reads them."""
    text = ""
    for hint in hints:
        text += "\n" if text else ""
        for first, second in zip(hint.points0, hint.points1, strict=True):
            text = add_pair(text, first, second)
    return text


def add_pair(text: str, first: Point, second: Point) -> str:
    """Add a pair of points to the part of the last line."""
    pair = f"{first[0]:.0f},{first[1]:.0f} > {second[0]:.0f},{second[1]:.0f}"
    lines = text.split("\n")
    lines[-1] = f"{lines[-1]}; {pair}" if lines[-1].strip() else pair
    return "\n".join(lines)


def drop_pair(text: str) -> str:
    """Take the last pair of points out."""
    lines = text.rstrip().split("\n")
    lines[-1] = "; ".join(part.strip() for part in lines[-1].split(";")[:-1])
    return "\n".join(lines).rstrip()


def mark_points(picture: RGBImage, parts: Sequence[Sequence[Point]], pending: Point | None = None) -> RGBImage:
    """Mark points on a picture: a colored ring for each, with the number of its part; a white one for `pending`."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    radius = max(6, round(_RADIUS * image.width))
    for number, points in enumerate(parts):
        for point in points:
            _mark(draw, point, radius, _COLORS[number % len(_COLORS)], str(number + 1))
    if pending is not None:
        _mark(draw, pending, radius, "#ffffff", "?")
    return np.asarray(image)


def _mark(draw: ImageDraw.ImageDraw, point: Point, radius: int, color: str, text: str) -> None:
    """Draw one ring."""
    (x, y), edge = point, max(1, radius // 5)
    for r, width, ink in ((radius + edge, 2 * edge, "#000000"), (radius, 2 * edge, color)):
        draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=width)
    font = ImageFont.load_default(2 * radius)
    draw.text((x + 1.4 * radius, y), text, color, font, anchor="lm", stroke_width=edge, stroke_fill="#000000")
