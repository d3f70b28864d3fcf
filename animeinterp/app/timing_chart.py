"""Draw an animator's timing chart as SVG: a line from one drawing to the next with a mark for each in-between."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_WIDTH, _HEIGHT, _MARGIN, _LINE = 320, 58, 14, 26  # units of the drawing


def chart_svg(times: Sequence[Fraction]) -> str:
    """Draw the chart of some times in [0, 1] as SVG markup, with a text for screen readers."""
    length = _WIDTH - 2 * _MARGIN
    words = ", ".join(f"{float(t):.2f}" for t in times)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="In-betweens at {words}">'
        f'<line x1="{_MARGIN}" y1="{_LINE}" x2="{_WIDTH - _MARGIN}" y2="{_LINE}"/>'
    ]
    for t, name, half in ((Fraction(0), "1", 13), *((t, "", 7) for t in times), (Fraction(1), "2", 13)):
        x = _MARGIN + float(t) * length
        parts.append(f'<line x1="{x:.1f}" y1="{_LINE - half}" x2="{x:.1f}" y2="{_LINE + half}"/>')
        if name:
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 4}" text-anchor="middle">{name}</text>')
    return "".join([*parts, "</svg>"])
