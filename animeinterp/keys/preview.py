"""Make the animated preview: all layers in their exposures, with the timing chart of what is shown below.

Layers are composited in order, from the bottom; one without alpha, a background, lies below all others. Several without
alpha would hide each other, so layers are put side by side instead; layers of different sizes too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from animeinterp.errors import FileError
from animeinterp.io.files import atomic_path
from animeinterp.keys.chart_drawing import Place, draw_chart, places, shorten
from animeinterp.keys.exposures import duration, shown_at
from animeinterp.keys.plan import PlannedLayer
from animeinterp.keys.thumbnails import FAINT, INK, PAPER, Thumbnails, checkerboard, font

_CHART = 56  # px of the row of each layer
_LABEL = 132  # px of the name of the drawing beside its chart
_MIN_WIDTH = 320  # px
_MAX_CHARTS = 4  # layers whose charts are shown
_TRANSPARENT = 128  # alpha of a pixel through which those below are seen
_WEBP = {"quality": 80, "method": 4}


def write_preview(
    target: Path, layers: Sequence[PlannedLayer], drawings: Thumbnails, rate: float, *, force: bool = False
) -> None:
    """Write the preview as an animated WebP or GIF, which repeats forever.

    Args:
        target: The file; its suffix selects the format.
        layers: The layers.
        drawings: Reads their drawings.
        rate: Frames per second.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`.
        FileError: A drawing cannot be read, or the file cannot be written.
    """
    format = target.suffix.lower().removeprefix(".")
    lengths = _lengths(layers)
    times = [round(1000 * frame / rate, -1 if format == "gif" else 0) for frame in _starts(lengths)]
    durations = [max(1, int(end - start)) for start, end in pairwise(times)]
    images = _draw_frames(layers, drawings, lengths)
    first = next(images)
    options = _WEBP if format == "webp" else {"optimize": False, "disposal": 1}
    with atomic_path(target, force=force) as part:
        try:
            first.save(part, format.upper(), save_all=True, append_images=images, duration=durations, loop=0, **options)
        except (ValueError, OSError) as error:
            raise FileError(f"cannot write {target}: {error}; free some space, or leave out the preview") from error


def _lengths(layers: Sequence[PlannedLayer]) -> list[int]:
    """Return the frames for which each image is shown: what the layers show changes between them."""
    end = duration([layer.exposures for layer in layers])
    starts = sorted({exposure.start for layer in layers for exposure in layer.exposures} | {0})
    return [after - start for start, after in zip(starts, [*starts[1:], end], strict=True)]


def _starts(lengths: Sequence[int]) -> list[int]:
    """Return the first frame of each image, and the end."""
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return starts


def _draw_frames(layers: Sequence[PlannedLayer], drawings: Thumbnails, lengths: Sequence[int]) -> Iterator[Image.Image]:
    """Draw what is shown, image by image."""
    known = [places(layer) for layer in layers]
    first = [drawings.read(layer.drawings[0]) for layer in layers]
    sizes = [image.size for image in first]
    opaque = [np.asarray(image.getchannel("A")).min() >= _TRANSPARENT for image in first]
    stacked = sum(opaque) <= 1 and len(set(sizes)) == 1
    order = sorted(range(len(layers)), key=lambda index: not opaque[index])  # from the bottom
    starts = _starts(lengths)
    for frame in starts[:-1]:
        names = [shown_at(layer.exposures, frame) for layer in layers]
        images = [None if name is None else drawings.read(name) for name in names]
        picture = _stack([images[index] for index in order], sizes[0]) if stacked else _put_side_by_side(images, sizes)
        shown = [(name, None if name is None else place.get(name)) for name, place in zip(names, known, strict=True)]
        yield _add_charts(picture, shown, f"{frame + 1}/{starts[-1]}")


def _stack(images: Sequence[Image.Image | None], size: tuple[int, int]) -> Image.Image:
    """Composite layers over a checkerboard."""
    picture = checkerboard(size)
    for image in images:
        if image is not None:
            picture = Image.alpha_composite(picture, image)
    return picture.convert("RGB")


def _put_side_by_side(images: Sequence[Image.Image | None], sizes: Sequence[tuple[int, int]]) -> Image.Image:
    """Put layers side by side, reduced so that the row is not much larger than one drawing."""
    scale = 1 / len(sizes) ** 0.5
    small = [(max(1, round(width * scale)), max(1, round(height * scale))) for width, height in sizes]
    row = Image.new("RGB", (sum(width for width, _ in small), max(height for _, height in small)), PAPER)
    left = 0
    for image, size in zip(images, small, strict=True):
        picture = checkerboard(size)
        if image is not None:
            picture = Image.alpha_composite(picture, image.resize(size, Image.Resampling.BOX))
        row.paste(picture.convert("RGB"), (left, 0))
        left += size[0]
    return row


def _add_charts(picture: Image.Image, shown: Sequence[tuple[str | None, Place | None]], frame: str) -> Image.Image:
    """Add the number of the frame, and for each layer the name of its drawing and its timing chart."""
    width = max(picture.width, _MIN_WIDTH)
    rows = min(len(shown), _MAX_CHARTS)
    image = Image.new("RGB", (width, picture.height + rows * _CHART), PAPER)
    image.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(image)
    for row, (name, place) in enumerate(shown[:rows]):
        top = picture.height + row * _CHART
        text = "-" if name is None else shorten(Path(name).stem, _LABEL - 16, 20)
        draw.text((8, top + 8), text, INK, font(20, (name or "").isascii()))
        if row == 0:
            draw.text((8, top + 34), frame, FAINT, font(14))
        if place is not None:
            draw_chart(draw, (_LABEL, top + 4, width - 8, top + _CHART - 6), place.pair, place.t)
    return image
