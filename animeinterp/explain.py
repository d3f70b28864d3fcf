"""One sheet of images that shows each stage of one pair, drawn from the results that the interpolator used.

Four columns, row by row: the analysis of each frame (line map, segments, matches), the motion in each direction (coarse
and refined flow, importance, warped frame), then the new frame beside the color key of the flow and the time per stage.
Flow is drawn as in the Middlebury benchmark (Baker et al. 2011): hue = direction, saturation = length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from animeinterp.flow import distinct_colors, flow_to_color
from animeinterp.frame import Frame, RGBImage, composited, describe, has_alpha, rgb8
from animeinterp.hints import Hints, Point

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator
    from animeinterp.motion import Analysis, Motion


_WIDTH, _MARGIN, _GAP, _LABEL, _COLUMNS = 2400, 40, 24, 44, 4
_CELL = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
Color = tuple[int, int, int]
_PAPER, _EDGE, _INK, _FAINT, _ACCENT = "#f7f7f9", "#c9c9d0", "#1c1c24", "#6b6b78", "#3a6ea5"


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    title: str
    image: RGBImage
    time: str = ""


def explain_motion(interpolator: Interpolator, motion: Motion, t: float) -> RGBImage:
    """Render the frame at t and draw the sheet of all stages.

    Args:
        interpolator: The one that found the motion.
        motion: The pair.
        t: In [0, 1].

    Returns:
        uint8 RGB, 2400 px wide.
    """
    started = time.perf_counter()
    warped = interpolator.warped(motion, t)
    halfway = time.perf_counter()
    result = interpolator.render(motion, t)
    seconds = {"warping": halfway - started, "rendering": time.perf_counter() - halfway}
    return explain(motion, t, warped, result, seconds)


def explain(
    motion: Motion, t: float, warped: tuple[Frame, Frame], result: Frame, seconds: Mapping[str, float]
) -> RGBImage:
    """Draw the sheet from given results.

    Args:
        motion: The pair.
        t: Time of the new frame, in [0, 1].
        warped: Each frame alone, warped to t.
        result: The new frame.
        seconds: Wall time of `warping` and `rendering`; other times are part of the motion.

    Returns:
        uint8 RGB, 2400 px wide.
    """
    rows = [
        *_analysis_rows(motion),
        *_motion_rows(motion, t, warped, seconds),
    ]
    height = _panel_height(result)
    sheet = Image.new("RGB", (_WIDTH, _sheet_height(len(rows), height)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), f"The frame at t = {t:.3g}, stage by stage", _INK, _font(44))
    stages = _stages(motion, seconds)
    summary = f"{describe(result)}, {sum(stages.values()) * 1000:,.0f} ms in all"
    draw.text((_WIDTH - _MARGIN, _MARGIN + 16), summary, _FAINT, _font(28), anchor="ra")
    top = _MARGIN + 88
    for row in rows:
        for column, panel in enumerate(row):
            _paste(sheet, panel, _MARGIN + column * (_CELL + _GAP), top, _CELL, height)
        top += _LABEL + height + _GAP
    big = _Panel(f"Result, t = {t:.3g}", _visible(result), _format_time(seconds, "rendering"))
    _paste(sheet, big, _MARGIN, top, 2 * _CELL + _GAP, 2 * height + _GAP + _LABEL)
    _draw_wheel(sheet, _MARGIN + 2 * (_CELL + _GAP), top, _flow_radius(motion))
    _draw_times(draw, _MARGIN + 3 * (_CELL + _GAP), top, stages)
    return np.asarray(sheet)


def _analysis_rows(motion: Motion) -> Iterable[list[_Panel]]:
    colors0, colors1 = _match_colors(motion)
    matched = int((motion.match01 >= 0).sum())
    hints = _hints_of(motion)
    for name, analysis, colors in (("0", motion.analysis0, colors0), ("1", motion.analysis1, colors1)):
        segments, count = analysis.segments, len(analysis.segments)
        frame, title = _visible(analysis.frame), f"Frame {name}"
        if analysis.is_line_drawing:
            frame = np.asarray(cv2.resize(analysis.working_image, frame.shape[1::-1]), np.uint8)
            title += ", shaded for matching"
        yield [
            _Panel(title, frame if hints is None else draw_hints(frame, hints, moving=name == "0")),
            _Panel("Line map", _gray(segments.fillable), _format_time(analysis.seconds, "contours")),
            _Panel(
                f"{count} segments", _fill(analysis, distinct_colors(count)), _format_time(analysis.seconds, "segments")
            ),
            _Panel(f"{matched} of {count} matched", _fill(analysis, colors), _format_time(motion.seconds, "matching")),
        ]


def draw_hints(frame: RGBImage, hints: Hints, *, moving: bool) -> RGBImage:
    """Draw the points of hints on a frame, and the lines between those of one part.

    Args:
        frame: uint8 RGB (H, W, 3).
        hints: px of the frame.
        moving: Whether it is frame 0, on which arrows show where the points go.

    Returns:
        The frame with points, of the same shape.
    """
    if not hints:
        return frame
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    unit = max(1.0, frame.shape[1] / _CELL)  # px of the frame per px of a panel
    for hint, (red, green, blue) in zip(hints, distinct_colors(len(hints) + 1)[1:].tolist(), strict=True):
        color, points = (red, green, blue), hint.points0 if moving else hint.points1
        for width, fill in ((6, _INK), (3, color)):
            draw.line([*points], fill, round(width * unit), joint="curve")
        if moving:
            for start, end in zip(hint.points0, hint.points1, strict=True):
                _draw_arrow(draw, (start, end), unit, color)
        for x, y in points:
            radius = 5 * unit
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), color, _INK, max(1, round(unit)))
    return np.asarray(image)


def _draw_arrow(draw: ImageDraw.ImageDraw, ends: tuple[Point, Point], unit: float, color: Color) -> None:
    """Draw an arrow from point to point; none where they are closer than its head."""
    (start, end), head = ends, 14 * unit
    length = math.dist(start, end)
    if length < head:
        return
    x, y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    base, side = (end[0] - head * x, end[1] - head * y), head / 2
    for width, fill in ((4, _INK), (2, color)):
        draw.line([start, base], fill, round(width * unit))
    left, right = (base[0] - side * y, base[1] + side * x), (base[0] + side * y, base[1] - side * x)
    draw.polygon([end, left, right], color, _INK)


def _hints_of(motion: Motion) -> Hints | None:
    """Return the hints that the motion follows, px of the frame."""
    if motion.inner is not None and motion.window is not None:
        inner, (rows, columns) = _hints_of(motion.inner), motion.window
        return inner and inner.moved(columns.start, rows.start)
    return None if motion.hinted is None else motion.hinted.hints


def _motion_rows(
    motion: Motion, t: float, warped: tuple[Frame, Frame], seconds: Mapping[str, float]
) -> Iterable[list[_Panel]]:
    radius = _flow_radius(motion)
    for name, direction, coarse, refined, importance, moved in (
        ("0", "0 to 1", motion.coarse01, motion.flow01, motion.importance0, warped[0]),
        ("1", "1 to 0", motion.coarse10, motion.flow10, motion.importance1, warped[1]),
    ):
        scale = refined.shape[2] / coarse.shape[2]
        yield [
            _Panel(
                f"Coarse flow {direction}",
                flow_to_color(coarse * scale, radius),
                _format_time(motion.seconds, "coarse flow", "both ways "),
            ),
            _Panel(
                f"Refined flow {direction}",
                flow_to_color(refined, radius),
                _format_time(motion.seconds, "refined flow", "both ways "),
            ),
            _Panel(
                f"Importance of frame {name}",
                _gray(np.rint(np.clip(importance, 0, 1) * 255).astype(np.uint8)),
                _format_time(motion.seconds, "importance", "both "),
            ),
            _Panel(f"Frame {name} warped to t = {t:.3g}", _visible(moved), _format_time(seconds, "warping", "both ")),
        ]


def _format_time(seconds: Mapping[str, float], stage: str, note: str = "") -> str:
    """Format the time of a stage; empty if it was not timed."""
    return f"{note}{seconds[stage] * 1000:,.0f} ms" if stage in seconds else ""


def _flow_radius(motion: Motion) -> float:
    """Choose a round number of px that covers nearly all refined flow."""
    lengths = [np.hypot(*flow).ravel() for flow in (motion.flow01, motion.flow10)]
    length = max(1.0, float(np.percentile(np.concatenate(lengths), 99.5)))
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= length)


def _match_colors(motion: Motion) -> tuple[RGBImage, RGBImage]:
    """Color the segments of both frames: the same color for a matched pair, grays for the others."""
    count0, count1 = len(motion.analysis0.segments), len(motion.analysis1.segments)
    grays = [150 + 60 * (np.arange(n) * 7 % 4)[:, None].repeat(3, 1) // 3 for n in (count0, count1)]
    colors0, colors1 = (gray.astype(np.uint8) for gray in grays)
    matched = np.flatnonzero(motion.match01 >= 0)
    colors0[matched] = colors1[motion.match01[matched]] = distinct_colors(len(matched))
    return colors0, colors1


def _fill(analysis: Analysis, colors: RGBImage) -> RGBImage:
    """Fill the segments with the given colors and darken the outlines."""
    image: RGBImage = colors[analysis.segments.labels]
    image[analysis.segments.fillable == 0] //= 3
    return image


def _gray(plane: NDArray[np.uint8]) -> RGBImage:
    return np.stack([plane] * 3, axis=2)


def _visible(frame: Frame) -> RGBImage:
    """Convert a frame for display, composited over a checkerboard if it has alpha."""
    if not has_alpha(frame):
        return rgb8(frame)
    y, x = np.indices(frame.shape[:2]) // 12
    return composited(frame, np.where((x + y) % 2, 205, 235))


def _panel_height(frame: Frame) -> int:
    """Return the height of a panel as wide as a column, at most twice its width."""
    height, width = int(frame.shape[0]), int(frame.shape[1])
    return min(round(_CELL * height / width), 2 * _CELL)


def _sheet_height(rows: int, height: int) -> int:
    bottom = max(2 * height + _GAP + 2 * _LABEL, _LABEL + _CELL)
    return 2 * _MARGIN + 88 + rows * (_LABEL + height + _GAP) + bottom


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _paste(sheet: Image.Image, panel: _Panel, left: int, top: int, width: int, height: int) -> None:
    """Draw a panel with its label above; the image is fitted into width x height."""
    draw = ImageDraw.Draw(sheet)
    draw.text((left, top + 4), panel.title, _INK, _font(28))
    draw.text((left + width, top + 8), panel.time, _FAINT, _font(24), anchor="ra")
    scale = min(width / panel.image.shape[1], height / panel.image.shape[0])
    size = (max(1, round(panel.image.shape[1] * scale)), max(1, round(panel.image.shape[0] * scale)))
    # Pixels of small images stay visible.
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    fitted = Image.fromarray(cv2.resize(panel.image, size, interpolation=interpolation).astype(np.uint8))
    x, y = left + (width - size[0]) // 2, top + _LABEL
    draw.rectangle((x - 1, y - 1, x + size[0], y + size[1]), outline=_EDGE)
    sheet.paste(fitted, (x, y))


def _draw_wheel(sheet: Image.Image, left: int, top: int, radius: float) -> None:
    """Draw the color key of the flow with its radius in px."""
    size = _CELL - 96
    axis = np.linspace(-radius, radius, size)
    flow = np.stack(np.meshgrid(axis, axis))
    disc = Image.fromarray(flow_to_color(flow, radius))
    inside = Image.fromarray(((np.hypot(*flow) <= radius) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(sheet)
    draw.text((left, top + 4), "Flow colors", _INK, _font(28))
    draw.text((left + _CELL, top + 8), f"rim = {radius:g} px", _FAINT, _font(24), anchor="ra")
    x, y = left + 48, top + _LABEL + 8
    sheet.paste(disc, (x, y), inside)
    draw.ellipse((x, y, x + size, y + size), outline=_EDGE, width=2)
    middle = (x + size // 2, y + size // 2)
    draw.line((*middle, x + size, middle[1]), _INK, 2)
    for fraction, anchor in ((0.5, "mt"), (1.0, "rt")):
        mark = middle[0] + fraction * size / 2
        draw.line((mark, middle[1] - 7, mark, middle[1] + 7), _INK, 2)
        draw.text((mark, middle[1] + 10), f"{radius * fraction:g} px", _INK, _font(24), anchor=anchor)


def _stages(motion: Motion, seconds: Mapping[str, float]) -> dict[str, float]:
    """Sum up wall time per stage of the pair, in order of execution."""
    stages: dict[str, float] = {}
    for part in (motion.analysis0.seconds, motion.analysis1.seconds, motion.seconds):
        for stage, spent in part.items():
            stages[stage] = stages.get(stage, 0.0) + spent
    stages["rendering"] = seconds.get("rendering", 0.0)  # includes its own warping
    return stages


def _draw_times(draw: ImageDraw.ImageDraw, left: int, top: int, stages: Mapping[str, float]) -> None:
    """Draw a bar for the time of each stage."""
    draw.text((left, top + 4), "Time by stage", _INK, _font(28))
    longest = max([*stages.values(), 1e-9])
    step = min(72, (_CELL - 8) // max(len(stages), 1))
    for k, (stage, spent) in enumerate(stages.items()):
        y = top + _LABEL + 8 + k * step
        draw.text((left, y), stage, _INK, _font(24))
        draw.text((left + _CELL, y), f"{spent * 1000:,.0f} ms", _FAINT, _font(24), anchor="ra")
        length = max(2, round(_CELL * spent / longest))
        draw.rectangle((left, y + 32, left + length, y + 40), fill=_ACCENT)
