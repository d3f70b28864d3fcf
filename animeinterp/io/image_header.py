"""Read the headers of image files: size, mode and whether the file appears complete, without decoding pixels.

Pillow parses the headers. Where Pillow allocates memory for the declared size on opening (WebP), the size is read and
checked here first.
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

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BITS, _PNG_COLOR_TYPE = 24, 25  # byte offsets in the file
_TIFF_BITS, _TIFF_SAMPLES, _TIFF_TILE = 258, 277, (322, 323)
_TIFF_DATA = ((273, 279), (324, 325))  # offsets and lengths of strips, of tiles
_JPEG_END, _JPEG_TAIL = b"\xff\xd9", 1 << 16
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# Pillow mode → color and alpha of the frame.
_FRAME_MODES = {
    "1": (False, False), "L": (False, False), "LA": (False, True), "La": (False, True),
    "P": (True, False), "PA": (True, True), "RGB": (True, False), "RGBA": (True, True), "RGBa": (True, True),
}  # fmt: skip
_pillow_limit = threading.Lock()


@dataclass(frozen=True, slots=True)
class Header:
    """The header of an image file.

    Attributes:
        width: px, after the EXIF orientation is applied.
        height: px, after the EXIF orientation is applied.
        mode: Mode of the frame that the image is read as.
        complete: Whether the file appears complete; if not, only decoding tells whether it can be read.
    """

    width: int
    height: int
    mode: Mode
    complete: bool


def read_header(path: Path, max_pixels: int) -> Header:
    """Read the header of an image file without decoding pixels.

    Args:
        path: The file.
        max_pixels: Larger images are refused.

    Returns:
        The header.

    Raises:
        FileError: The file cannot be read.
        FrameError: Its size, mode or content is not supported.
    """
    with open_image(path, max_pixels) as (image, file):
        mode = frame_mode(image, file, path)
        complete, late_metadata = _is_complete(image, file)
        width, height = image.size
        # Pillow applies the orientation to the size of a TIFF itself.
        if image.format != "TIFF" and _orientation(image, late_metadata) in _TRANSPOSED:
            width, height = height, width
        return Header(width, height, mode, complete)


@contextmanager
def open_image(path: Path, max_pixels: int) -> Iterator[tuple[Image.Image, io.BufferedReader]]:
    """Open a file that holds one image of an allowed size; exceptions of decoders in the block become a FileError.

    Args:
        path: The file.
        max_pixels: Larger images are refused.

    Yields:
        The image, opened by Pillow and not decoded yet, and the file.

    Raises:
        FileError: The file cannot be read.
        FrameError: Its size or content is not supported.
    """
    check_source(path, "an image file")
    with report_decode_errors(path), path.open("rb") as file:
        head = file.read(32)
        if not head:
            raise FileError(f"{path} is empty; expected an image, so export it again")
        size = declared_size(head)
        if size is not None:
            check_size(*size, max_pixels, str(path))
        file.seek(0)
        image = _open(file)
        check_size(*image.size, max_pixels, str(path))
        if image.format != "JPEG" and getattr(image, "is_animated", False):
            # The pages of a TIFF are not counted, because that is slow for many pages.
            count = "several" if image.format == "TIFF" else getattr(image, "n_frames", "several")
            raise FrameError(f"{path} holds {count} images; expected one, so export the two frames you want")
        if image.format == "TIFF":
            width, height = (image.tag_v2.get(tag, 0) for tag in _TIFF_TILE)  # type: ignore[attr-defined]
            if width * height > max(max_pixels, 1 << 20):
                raise FileError(f"{path} has tiles of {width}x{height} px; expected smaller tiles, so export it again")
        yield image, file


@contextmanager
def report_decode_errors(path: Path) -> Iterator[None]:
    """Turn any exception of a decoder in the block into a FileError that names `path`."""
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
    except Exception as error:  # decoders raise many types of exceptions on damaged data
        raise FileError(f"{path} is damaged ({type(error).__name__}); export or copy it again") from error


def declared_size(head: bytes) -> tuple[int, int] | None:
    """Read the size that a PNG, GIF or WebP file declares.

    Args:
        head: The first 32 bytes of the file.

    Returns:
        Width and height, px, before the orientation is applied; None for other formats.
    """
    if head.startswith(PNG_SIGNATURE) and len(head) >= 24:
        width, height = struct.unpack_from(">2I", head, 16)
    elif head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        width, height = struct.unpack_from("<2H", head, 6)
    elif is_webp(head) and len(head) >= 30:
        return _webp_size(head)
    else:
        return None
    return width, height


def is_webp(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a WebP file."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Read width and height from the first chunk of a WebP file (RFC 9649)."""
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


def _bit_depth(image: Image.Image, file: io.BufferedReader) -> int:
    """Return the bits per sample of the file, which Pillow's mode does not tell."""
    if image.format == "PNG":
        file.seek(_PNG_BITS)
        return file.read(1)[0]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    return 8


def png_color_type(file: io.BufferedReader) -> int:
    """Return the color type of a PNG: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha."""
    file.seek(_PNG_COLOR_TYPE)
    return file.read(1)[0]


def frame_mode(image: Image.Image, file: io.BufferedReader, path: Path) -> Mode:
    """Return the mode of the frame that an image is read as.

    Args:
        image: The image, opened by Pillow.
        file: Its open file.
        path: Its name, for messages.

    Returns:
        Color, alpha and depth of the frame.

    Raises:
        FrameError: The image has another color model or depth.
    """
    transparent = "transparency" in image.info
    if _bit_depth(image, file) == 16:
        if image.format == "PNG":
            color_type = png_color_type(file)
            return Mode(bool(color_type & 2), bool(color_type & 4) or transparent, 16)
        samples = image.tag_v2.get(_TIFF_SAMPLES, 1)  # type: ignore[attr-defined]
        return Mode(samples > 2, samples in (2, 4), 16)
    if image.mode not in _FRAME_MODES:
        raise FrameError(
            f"{path} is in {image.mode}; expected 8- or 16-bit gray, RGB or RGBA, so convert it to RGB first"
        )
    color, alpha = _FRAME_MODES[image.mode]
    return Mode(color, alpha or transparent, 8)


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Lift Pillow's own size limit, a module constant that may be below `max_pixels`, while the block runs."""
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _open(file: io.BufferedReader) -> Image.Image:
    """Open an image of one of `FORMATS` with Pillow."""
    with without_pillow_limit():
        image = Image.open(file, formats=sorted(set(FORMATS.values())))
    if image.format == "MPO":  # a JPEG with further images after it, written by cameras
        image.format = "JPEG"
    return image


def _orientation(image: Image.Image, late_metadata: bool) -> int:
    """Return the EXIF orientation; `late_metadata` is metadata after the pixels of a PNG, which decodes them."""
    sources = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
    if image.format == "PNG" and not late_metadata and not any(key in image.info for key in sources):
        return 1
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _is_complete(image: Image.Image, file: io.BufferedReader) -> tuple[bool, bool]:
    """Return whether a file extends to its declared end, and whether a PNG has metadata after its pixels."""
    length = os.fstat(file.fileno()).st_size
    if image.format == "PNG":
        return _is_png_complete(file)
    if image.format == "WEBP":
        file.seek(4)
        return 8 + int.from_bytes(file.read(4), "little") <= length, False
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        ends = [
            offset + size
            for offsets, sizes in _TIFF_DATA
            for offset, size in zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
        ]
        return bool(ends) and max(ends) <= length, False
    file.seek(max(0, length - _JPEG_TAIL))
    return _JPEG_END in file.read(), False


def _is_png_complete(file: io.BufferedReader) -> tuple[bool, bool]:
    """Walk the chunks of a PNG (ISO/IEC 15948); returns as `_is_complete`."""
    pixels = late_metadata = False
    file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return True, late_metadata
        pixels = pixels or kind == b"IDAT"
        late_metadata = late_metadata or (pixels and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"))
        file.seek(length + 4, os.SEEK_CUR)
    return False, late_metadata
