"""Folders of frames as films: what they are, and their frames one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.frame import Frame, channels, describe, has_alpha
from animeinterp.picture import FORMATS, read_picture
from animeinterp.video.film import Film, Shown

FOLDER_RATE = Fraction(24)


def probe_folder(folder: Path, rate: Fraction | None, max_pixels: int) -> Film:
    """Describe a folder of frames as a film.

    Args:
        folder: The folder.
        rate: Frames per second; None = 24.
        max_pixels: Larger frames are refused.

    Raises:
        FileError: There are no frames, or one cannot be read.
        FrameError: A frame cannot be worked on.
    """
    rate = rate or FOLDER_RATE
    paths = _pictures(folder)
    if not paths:
        raise FileError(f"{folder} holds no pictures; expected frames as {', '.join(FORMATS)}, so give another folder")
    frame = read_picture(paths[0], max_pixels).pixels
    height, width = frame.shape[:2]
    depth = 8 * frame.dtype.itemsize
    rgb = channels(frame) > 2
    return Film(
        path=folder,
        width=width,
        height=height,
        rate=rate,
        start=Fraction(0),
        duration=len(paths) / rate,
        frames=len(paths),
        pix_fmt=("gbrap" if has_alpha(frame) else "gbrp" if rgb else "gray") + ("16le" if depth == 16 else ""),
        depth=depth,
        alpha=has_alpha(frame),
    )


def folder_frames(film: Film, start: Fraction, max_pixels: int) -> Iterator[Shown]:
    """Yield the frames of a folder in order.

    Args:
        film: The folder, as `probe_folder` describes it.
        start: Frames that stand before this time, s, are left out.
        max_pixels: Larger frames are refused.

    Raises:
        FileError: A frame cannot be read or differs from those before.
    """
    first: Frame | None = None
    for number, path in enumerate(_pictures(film.path)):
        if (number + 1) / film.rate <= start:
            continue
        frame = read_picture(path, max_pixels).pixels
        first = frame if first is None else first
        if frame.shape != first.shape or frame.dtype != first.dtype:
            raise FileError(f"{path} is {describe(frame)}, those before are {describe(first)}; make them alike")
        yield Shown(number, number / film.rate, frame)


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in FORMATS and not path.name.startswith(".")]
    return sorted(paths, key=lambda p: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", p.name)])
