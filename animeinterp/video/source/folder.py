"""Folders of frames as films: what they are, and their frames one by one.

The headers of all frames are read before the work. Frames of one film may be saved in the poorest mode that holds each
(ImageMagick and optipng do so): all are widened to the richest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import reduce
from operator import or_
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.frame import has_alpha, mode_of, widened
from animeinterp.io.image_header import FORMATS, Header, read_header
from animeinterp.io.images import read_image
from animeinterp.video.source.info import TimedFrame, VideoInfo
from animeinterp.video.source.numbering import Numbering, in_same_sequence, number_frames

FOLDER_RATE = Fraction(24)
# Pictures that other programs write as frames and that are not read here.
_UNREAD = (
    ".avif", ".bmp", ".cin", ".dpx", ".exr", ".gif", ".hdr", ".heic", ".jp2", ".jxl", ".ppm", ".psd", ".sgi", ".svg",
    ".tga",
)  # fmt: skip


def probe_folder(folder: Path, rate: Fraction | None, max_pixels: int) -> VideoInfo:
    """Describe a folder of frames as a film, by the headers of all of them.

    Args:
        folder: The folder.
        rate: Frames per second that the numbers in the names count; None = 24.
        max_pixels: Larger frames are refused.

    Raises:
        FileError: There are no frames, one cannot be read, they differ in size or are not one sequence.
        FrameError: A frame is too small or too large.
    """
    rate = rate or FOLDER_RATE
    numbering = _numbering(folder, rate)
    headers = [_header(path, max_pixels) for _, path in numbering.frames]
    first = headers[0]
    for header, (_, path) in zip(headers, numbering.frames, strict=True):
        if (header.width, header.height) != (first.width, first.height):
            raise FileError(
                f"{path} is {header.width}x{header.height}, but {numbering.frames[0][1].name} is "
                f"{first.width}x{first.height}; expected frames of one size, so make them alike"
            )
    mode = reduce(or_, (header.mode for header in headers))
    name = "gbrap" if mode.alpha else "gbrp" if mode.color else "gray"
    return VideoInfo(
        path=folder,
        width=first.width,
        height=first.height,
        rate=rate,
        start=Fraction(0),
        duration=numbering.length / rate,
        frames=numbering.length,
        pix_fmt=name + ("16le" if mode.depth == 16 else ""),
        depth=mode.depth,
        alpha=mode.alpha,
        notes=numbering.notes,
        mode=mode,
    )


def read_folder_frames(film: VideoInfo, start: Fraction, max_pixels: int) -> Iterator[TimedFrame]:
    """Yield the frames of a folder in order, all of one mode.

    Args:
        film: The folder, as `probe_folder` describes it.
        start: Frames that stand before this time, s, are left out.
        max_pixels: Larger frames are refused.

    Raises:
        FileError: A frame cannot be read, or has changed since the folder was described.
    """
    frames = _numbering(film.path, film.rate).frames
    ends = [place for place, _ in frames[1:]]
    for (place, path), end in zip(frames, [*ends, None], strict=True):
        if end is not None and end / film.rate <= start:
            continue
        frame = read_image(path, max_pixels).pixels
        mode = film.mode or mode_of(frame)
        if frame.shape[:2] != (film.height, film.width) or mode_of(frame) | mode != mode:
            raise FileError(f"{path} has changed since the run began; begin anew")
        frame = widened(frame, mode)
        if has_alpha(frame) and not film.alpha:  # all of them are opaque
            frame = frame[..., :3] if mode.color else frame[..., 0]
        yield TimedFrame(place, place / film.rate, frame)


def _numbering(folder: Path, rate: Fraction) -> Numbering:
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a folder of frames") from error
    frames = [path for path in files if path.suffix.lower() in FORMATS]
    unread = [path for path in files if path.suffix.lower() in _UNREAD]
    if not frames:
        found = f", found {unread[0].name}" if unread else ""
        raise FileError(
            f"{folder} holds no pictures; expected frames as {', '.join(FORMATS)}{found}, so give another folder"
        )
    for path in unread:
        if in_same_sequence(path, frames[0]):
            raise FileError(f"{path} cannot be read; expected frames as {', '.join(FORMATS)}, so convert it first")
    return number_frames(frames, rate)


def _header(path: Path, max_pixels: int) -> Header:
    header = read_header(path, max_pixels)
    if not header.complete:
        read_image(path, max_pixels)  # raises if it is damaged, now and not after hours
    return header
