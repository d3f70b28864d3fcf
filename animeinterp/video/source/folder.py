"""Read folders of frames as films.

The headers of all frames are read before the work begins. The frames of a film may be saved in the simplest mode that
holds each (ImageMagick and optipng do so): all are widened to the richest one.
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

_DEFAULT_RATE = Fraction(24)
# Image formats in which other programs write frames, and which are not supported.
_UNSUPPORTED = (
    ".avif", ".bmp", ".cin", ".dpx", ".exr", ".gif", ".hdr", ".heic", ".jp2", ".jxl", ".ppm", ".psd", ".sgi", ".svg",
    ".tga",
)  # fmt: skip


def probe_folder(folder: Path, rate: Fraction | None, max_pixels: int) -> VideoInfo:
    """Describe a folder of frames as a film, from the headers of all frames.

    Args:
        folder: The folder.
        rate: Frames per second that the numbers in the names count; None = 24.
        max_pixels: Largest frame that is accepted, px.

    Raises:
        FileError: There are no frames, one cannot be read, they differ in size or are not one sequence.
        FrameError: A frame is too small or too large.
    """
    rate = rate or _DEFAULT_RATE
    numbering = _number_files(folder, rate)
    headers = [_check_header(path, max_pixels) for _, path in numbering.frames]
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
        film: The film, as `probe_folder` describes it.
        start: Time from which frames are needed, s; frames that end earlier are skipped.
        max_pixels: Largest frame that is accepted, px.

    Raises:
        FileError: A frame cannot be read, or has changed since the folder was described.
    """
    frames = _number_files(film.path, film.rate).frames
    ends = [number for number, _ in frames[1:]]
    for (number, path), end in zip(frames, [*ends, None], strict=True):
        if end is not None and end / film.rate <= start:
            continue
        frame = read_image(path, max_pixels).pixels
        mode = film.mode or mode_of(frame)
        if frame.shape[:2] != (film.height, film.width) or mode_of(frame) | mode != mode:
            raise FileError(f"{path} has changed since the run began; start the run again")
        frame = widened(frame, mode)
        if has_alpha(frame) and not film.alpha:  # all frames are opaque
            frame = frame[..., :3] if mode.color else frame[..., 0]
        yield TimedFrame(number, number / film.rate, frame)


def _number_files(folder: Path, rate: Fraction) -> Numbering:
    """Find the frames of a folder and number them."""
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a folder of frames") from error
    frames = [path for path in files if path.suffix.lower() in FORMATS]
    unsupported = [path for path in files if path.suffix.lower() in _UNSUPPORTED]
    if not frames:
        found = f", found {unsupported[0].name}" if unsupported else ""
        raise FileError(
            f"{folder} holds no images; expected frames as {', '.join(FORMATS)}{found}, so give another folder"
        )
    for path in unsupported:
        if in_same_sequence(path, frames[0]):
            raise FileError(f"{path} cannot be read; expected frames as {', '.join(FORMATS)}, so convert it first")
    return number_frames(frames, rate)


def _check_header(path: Path, max_pixels: int) -> Header:
    """Read the header of a frame; decode the frame where only that shows whether it is damaged."""
    header = read_header(path, max_pixels)
    if not header.complete:
        read_image(path, max_pixels)  # raises if it is damaged, before hours of work
    return header
