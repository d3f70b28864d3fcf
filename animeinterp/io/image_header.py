"""Headers of picture files: size, mode and whether the file seems complete, without decoding pixels.

Pillow reads the headers; sizes that make a decoder allocate memory when it is opened (WebP) are read here first.
"""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from animeinterp.errors import AnimeInterpError, FileError, FrameError
from animeinterp.frame import Mode, check_size
from animeinterp.io.files import check_source

FORMATS = {".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}

_PNG, _PNG_BITS, _PNG_COLOR_TYPE = b"\x89PNG\r\n\x1a\n", 24, 25  # signature; bytes of the file
_TIFF_BITS, _TIFF_SAMPLES, _TIFF_TILE = 258, 277, (322, 323)
_TIFF_DATA = ((273, 279), (324, 325))  # where strips and tiles lie, and how long they are
_JPEG_END, _JPEG_TAIL = b"\xff\xd9", 1 << 16
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# What a picture of a Pillow mode is read as: color, alpha.
_READ_AS = {
    "1": (False, False), "L": (False, False), "LA": (False, True), "La": (False, True),
    "P": (True, False), "PA": (True, True), "RGB": (True, False), "RGBA": (True, True), "RGBa": (True, True),
}  # fmt: skip
_pillow_limit = threading.Lock()


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself.

    Attributes:
        width, height: px, upright.
        mode: Of the frame that it is read as.
        complete: Whether the file seems to go on to its end; if not, only decoding it tells whether it can be read.
    """

    width: int
    height: int
    mode: Mode
    complete: bool


def read_header(path: Path, max_pixels: int) -> Header:
    """Read what a picture file says of itself; no pixel is decoded.

    Args:
        path: The file.
        max_pixels: Larger pictures are refused.

    Raises:
        FileError: The file cannot be read.
        FrameError: Its size, mode or content is not supported.
    """
    with opened(path, max_pixels) as (image, file):
        mode = mode_in(image, file, path)
        complete, late = _complete(image, file)
        width, height = image.size
        # Pillow has set the size of TIFFs upright already.
        if image.format != "TIFF" and _orientation(image, late) in _TURNED:
            width, height = height, width
        return Header(width, height, mode, complete)


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[tuple[Image.Image, io.BufferedReader]]:
    """Yield a picture file that holds one picture of an allowed size, opened by Pillow, and the file itself.

    What decoders raise in the block becomes a FileError. Raises as `read_header`.
    """
    check_source(path, "a picture file")
    with one_line_errors(path), path.open("rb") as file:
        head = file.read(32)
        if not head:
            raise FileError(f"{path} is empty; expected a picture, so export it again")
        size = declared_size(head)
        if size is not None:
            check_size(*size, max_pixels, str(path))
        file.seek(0)
        image = _open(file)
        check_size(*image.size, max_pixels, str(path))
        if image.format != "JPEG" and getattr(image, "is_animated", False):
            # Pages of a TIFF are not counted: that takes long where there are many.
            count = "several" if image.format == "TIFF" else getattr(image, "n_frames", "several")
            raise FrameError(f"{path} holds {count} pictures; expected one, so export the two frames you want")
        if image.format == "TIFF":
            across, down = (image.tag_v2.get(tag, 0) for tag in _TIFF_TILE)  # type: ignore[attr-defined]
            if across * down > max(max_pixels, 1 << 20):
                raise FileError(f"{path} is stored in tiles of {across}x{down}; expected smaller, so export it again")
        yield image, file


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn whatever decoders raise in the block into a FileError that names `path`."""
    try:
        yield
    except (AnimeInterpError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise FileError(
            f"{path} is not an image that can be read; expected PNG, WebP, TIFF or JPEG, so convert it first"
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise FileError(f"cannot read {path}: {error.strerror}") from error
        raise FileError(f"{path} is damaged or cut short ({error}); export or copy it again") from error
    except Exception as error:  # decoders raise anything at all on damaged data
        raise FileError(f"{path} is damaged ({type(error).__name__}); export or copy it again") from error


def declared_size(head: bytes) -> tuple[int, int] | None:
    """Read the size that the first 32 bytes of a PNG, GIF or WebP file declare.

    Returns:
        Width and height, px, as stored; None for other formats.
    """
    if head.startswith(_PNG) and len(head) >= 24:
        width, height = struct.unpack_from(">2I", head, 16)
    elif head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        width, height = struct.unpack_from("<2H", head, 6)
    elif is_webp(head) and len(head) >= 30:
        return _webp_size(head)
    else:
        return None
    return width, height


def is_webp(head: bytes) -> bool:
    """Whether a file that begins so is WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Width and height by the first chunk (RFC 9649)."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<2H", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def bits_in(image: Image.Image, file: io.BufferedReader) -> int:
    """Bits per sample as the file has them; Pillow's mode hides it."""
    if image.format == "PNG":
        file.seek(_PNG_BITS)
        return file.read(1)[0]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    return 8


def png_color_type(file: io.BufferedReader) -> int:
    """The color type of a PNG: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha."""
    file.seek(_PNG_COLOR_TYPE)
    return file.read(1)[0]


def mode_in(image: Image.Image, file: io.BufferedReader, path: Path) -> Mode:
    """The mode of the frame that a picture is read as. Raises FrameError if there is none."""
    transparent = "transparency" in image.info
    if bits_in(image, file) == 16:
        if image.format == "PNG":
            kind = png_color_type(file)
            return Mode(bool(kind & 2), bool(kind & 4) or transparent, 16)
        samples = image.tag_v2.get(_TIFF_SAMPLES, 1)  # type: ignore[attr-defined]
        return Mode(samples > 2, samples in (2, 4), 16)
    if image.mode not in _READ_AS:
        raise FrameError(
            f"{path} is in {image.mode}; expected 8- or 16-bit gray, RGB or RGBA, so convert it to RGB first"
        )
    color, alpha = _READ_AS[image.mode]
    return Mode(color, alpha or transparent, 8)


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Lift Pillow's limit on sizes, which is a constant of the module, below what max_pixels may admit."""
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _open(file: io.BufferedReader) -> Image.Image:
    with without_pillow_limit():
        image = Image.open(file, formats=sorted(set(FORMATS.values())))
    if image.format == "MPO":  # a JPEG with further pictures behind it, from cameras
        image.format = "JPEG"
    return image


def _orientation(image: Image.Image, late: bool) -> int:
    """EXIF's orientation. late: whether a PNG has metadata behind its pixels, which have to be decoded then."""
    told = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
    if image.format == "PNG" and not late and not any(key in image.info for key in told):
        return 1
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _complete(image: Image.Image, file: io.BufferedReader) -> tuple[bool, bool]:
    """Whether a file goes on to its end, and whether a PNG has metadata behind its pixels."""
    length = os.fstat(file.fileno()).st_size
    if image.format == "PNG":
        return _png_complete(file)
    if image.format == "WEBP":
        file.seek(4)
        return 8 + int.from_bytes(file.read(4), "little") <= length, False
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        ends = [
            place + size
            for places, sizes in _TIFF_DATA
            for place, size in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False)
        ]
        return bool(ends) and max(ends) <= length, False
    file.seek(max(0, length - _JPEG_TAIL))
    return _JPEG_END in file.read(), False


def _png_complete(file: io.BufferedReader) -> tuple[bool, bool]:
    """Go from chunk to chunk (ISO/IEC 15948)."""
    pixels = late = False
    file.seek(len(_PNG))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return True, late
        pixels = pixels or kind == b"IDAT"
        late = late or (pixels and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"))
        file.seek(length + 4, os.SEEK_CUR)
    return False, late
