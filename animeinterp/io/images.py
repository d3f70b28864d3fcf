"""Read image files (PNG, WebP, TIFF, JPEG) into frames, and write frames as image files.

Kept: size, mode (gray, gray + alpha, RGB, RGBA), depth (8 or 16 bits), ICC profile and resolution. Converted, because
new frames have new colors: palettes to RGB or RGBA, 1-bit images to 8-bit gray, a transparent key color to alpha. The
EXIF orientation is applied. Refused: CMYK and other color models, floating point, animations and several pages.

Pillow reads the headers and 8-bit pixels. It has no 16-bit color, so OpenCV decodes 16-bit files; tifffile and a PNG
encoder in this module write them, because OpenCV drops ICC profiles in TIFF and has no gray + alpha.
docs/image-files.md compares the libraries.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image

from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.frame import MAX_SIDE, Frame, Mode, channels, describe, has_alpha, mode_of, widened
from animeinterp.io.files import check_target, write_bytes
from animeinterp.io.image_header import FORMATS, PNG_SIGNATURE, frame_mode, open_image, png_color_type, read_header

_EXPANDED = {"1": "L", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
_TIFF_PHOTOMETRIC, _TIFF_PLANAR, _TIFF_EXTRA_SAMPLES = 262, 284, 338
_PNG_COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels
_METERS_PER_INCH = 0.0254
_MAX_SIDE_OF_FORMAT = {"WEBP": 16_383}  # px
# EXIF orientation → the operation that turns the stored pixels upright.
_TO_UPRIGHT: dict[int, Callable[[Frame], Frame]] = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.fliplr(a), 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.fliplr(a), -1),
    8: lambda a: np.rot90(a, 1),
}


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """The content of an image file.

    Attributes:
        pixels: The frame, upright, see `animeinterp.frame`.
        format: `PNG`, `WEBP`, `TIFF` or `JPEG`.
        icc: The ICC profile, if any.
        dpi: Resolution in x and y, pixels per inch, if known.
    """

    pixels: Frame
    format: str
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


def read_image(path: Path, max_pixels: int) -> LoadedImage:
    """Read an image file.

    Args:
        path: The file.
        max_pixels: Larger images are refused by their header, before pixels are decoded.

    Returns:
        The frame with its metadata.

    Raises:
        FileError: The file cannot be read.
        FrameError: Its size, mode or content is not supported.
    """
    with open_image(path, max_pixels) as (image, file):
        deep = frame_mode(image, file, path).depth == 16
        pixels = _read_16bit(image, file, path) if deep else _read_8bit(image)
        return LoadedImage(pixels, str(image.format), image.info.get("icc_profile") or None, _dpi(image))


def read_pair(path0: Path, path1: Path, max_pixels: int) -> tuple[LoadedImage, LoadedImage]:
    """Read two images of one size and convert both to the richer mode and depth of the two.

    Args:
        path0: The first file.
        path1: The second file.
        max_pixels: Larger images are refused.

    Returns:
        Two images of one size, mode and depth. If one of them was gray and became RGB, its ICC profile, a profile for
        gray, is replaced by that of the other.

    Raises:
        FileError: A file cannot be read.
        FrameError: The size or mode of one is not supported, or the sizes differ.
    """
    headers = [read_header(path, max_pixels) for path in (path0, path1)]
    sizes = [f"{header.width}x{header.height}" for header in headers]
    if sizes[0] != sizes[1]:
        raise FrameError(f"{path0} is {sizes[0]} but {path1} is {sizes[1]}; expected the same size, so make them alike")
    first, second = (read_image(path, max_pixels) for path in (path0, path1))
    mode = mode_of(first.pixels) | mode_of(second.pixels)
    return _widen(first, mode, second), _widen(second, mode, first)


def check_image_target(path: Path, frame: Frame, force: bool) -> None:
    """Check that a frame can be written to `path`; called before the long work.

    Args:
        path: The file to write; its suffix selects the format.
        frame: A frame of the size, mode and depth to write.
        force: Whether an existing file may be replaced.

    Raises:
        UsageError: The suffix is unknown, the format cannot hold the frame, or the file exists and not `force`.
        FileError: The folder is missing or not writable.
    """
    check_target(path, force)
    check_image_format(path, frame)


def check_image_format(path: Path, frame: Frame) -> None:
    """Check that the format of a file name can hold a frame, wherever it is written; arguments as `check_image_target`.

    Raises:
        UsageError: The suffix is unknown, or the format cannot hold the frame.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path} has no known image suffix; expected one of {', '.join(FORMATS)}")
    max_side = _MAX_SIDE_OF_FORMAT.get(FORMATS[suffix], MAX_SIDE)
    if max(frame.shape[:2]) > max_side:
        raise UsageError(
            f"{suffix} holds at most {max_side:,} px a side, but the frames are {describe(frame)}; write to PNG or TIFF"
        )
    if FORMATS[suffix] == "JPEG" and has_alpha(frame):
        raise UsageError(f"JPEG holds no alpha, but the frames are {describe(frame)}; write to PNG, WebP or TIFF")
    if FORMATS[suffix] in ("JPEG", "WEBP") and frame.dtype == np.uint16:
        raise UsageError(f"{suffix} holds 8 bits, but the frames are {describe(frame)}; write to PNG or TIFF")


def check_rgb_target(path: Path, force: bool) -> None:
    """Check that an 8-bit RGB image, such as a sheet, can be written to `path`. Raises as `check_image_target`."""
    check_image_target(path, np.zeros((1, 1, 3), np.uint8), force)


def write_image(path: Path, frame: Frame, like: LoadedImage | None = None, *, force: bool = False) -> None:
    """Write a frame completely or not at all.

    PNG, TIFF and WebP are lossless. JPEG has quality 95 and full color resolution (4:4:4).

    Args:
        path: The file to write; its suffix selects the format.
        frame: The frame, see `animeinterp.frame`.
        like: The image whose ICC profile and resolution are written too.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: As `check_image_target`.
        FileError: As `check_image_target`, or writing failed, for example because the disk is full.
    """
    check_image_target(path, frame, force)
    icc, dpi = (like.icc, like.dpi) if like else (None, None)
    write_bytes(path, _encode(frame, FORMATS[path.suffix.lower()], icc, dpi), force=force)


def _widen(image: LoadedImage, mode: Mode, other: LoadedImage) -> LoadedImage:
    """Convert an image to a richer mode."""
    becomes_color = mode.color and not mode_of(image.pixels).color
    return replace(image, pixels=widened(image.pixels, mode), icc=other.icc if becomes_color else image.icc)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution of an image, None if it is missing or absurd."""
    x, y = map(float, image.info.get("dpi", (0, 0)))
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def _read_8bit(image: Image.Image) -> Frame:
    """Decode an image of at most 8 bits with Pillow."""
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    transparent = "transparency" in image.info
    if image.mode == "P":
        image = image.convert("RGBA" if transparent else "RGB")
    elif transparent and image.mode in ("1", "L", "RGB"):
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode in _EXPANDED:
        image = image.convert(_EXPANDED[image.mode])
    return _to_upright(np.array(image), orientation)


def _read_16bit(image: Image.Image, file: io.BufferedReader, path: Path) -> Frame:
    """Decode a 16-bit PNG or TIFF with OpenCV."""
    if image.format == "PNG":
        image.load()  # detects damage for which OpenCV only prints a warning
    file.seek(0)
    pixels = _decode_with_opencv(file.read())
    if pixels is None:
        raise FileError(
            f"{path} is damaged or an unusual 16-bit file; expected plain 16-bit samples, so export it again"
        )
    if image.format == "PNG":
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return _to_upright(_png_channels(pixels, image, file), orientation)
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(_TIFF_PLANAR, 1) != 1:
        raise FrameError(f"{path} stores its channels apart (planar); expected them interleaved, so export it again")
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero
        pixels = 65535 - pixels
    if has_alpha(pixels) and tags.get(_TIFF_EXTRA_SAMPLES) == (1,):  # premultiplied
        alpha = np.maximum(pixels[..., -1:], 1).astype(np.float64)
        pixels[..., :-1] = np.minimum(np.rint(pixels[..., :-1] / alpha * 65535), 65535)
    return np.ascontiguousarray(pixels)  # OpenCV applies the orientation of a TIFF itself


def _decode_with_opencv(data: bytes) -> NDArray[np.uint16] | None:
    """Decode 16-bit samples in RGB order; None for data of another depth or damaged data."""
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        log.setLogLevel(level)
    if pixels is None or pixels.dtype != np.uint16:
        return None
    samples: NDArray[np.uint16] = pixels.view(np.uint16)
    return samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def _png_channels(pixels: Frame, image: Image.Image, file: io.BufferedReader) -> Frame:
    """Restore the channels of the PNG: OpenCV expands gray + alpha to RGBA and does not apply key colors."""
    if png_color_type(file) == _PNG_COLOR_TYPE[2]:
        return pixels[..., [0, 3]]
    key = image.info.get("transparency")
    if key is None:
        return pixels
    color = np.atleast_3d(pixels)[..., :3]
    alpha = np.where((color == np.asarray(key, np.uint16)).all(axis=2, keepdims=True), 0, 65535)
    return np.concatenate([color, alpha.astype(np.uint16)], axis=2)


def _to_upright(pixels: Frame, orientation: int) -> Frame:
    """Apply an EXIF orientation."""
    return np.ascontiguousarray(_TO_UPRIGHT.get(orientation, np.asarray)(pixels))


def _encode(frame: Frame, format: str, icc: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Encode a frame in one of the formats of `FORMATS`."""
    if format == "PNG" and frame.dtype == np.uint16:
        return _encode_png16(frame, icc, dpi)
    buffer = io.BytesIO()
    if format == "TIFF":
        tifffile.imwrite(
            buffer,
            frame,
            photometric="minisblack" if channels(frame) < 3 else "rgb",
            planarconfig="contig" if frame.ndim == 3 else None,
            extrasamples=["unassalpha"] if has_alpha(frame) else None,
            compression="zlib",
            iccprofile=icc,
            resolution=dpi,
            resolutionunit="INCH" if dpi else None,
            metadata=None,
            software=False,
        )
        return buffer.getvalue()
    options: dict[str, object] = {"icc_profile": icc}
    if dpi:
        options["dpi"] = dpi
    if format == "WEBP":
        options |= {"lossless": True, "exact": True}
    if format == "JPEG":
        options |= {"quality": 95, "subsampling": 0, "optimize": True}
    try:
        Image.fromarray(frame).save(buffer, format, **options)
    except (ValueError, OSError) as error:  # limits of the format
        raise FileError(f"{describe(frame)} cannot be written as {format} ({error}); write to PNG or TIFF") from error
    return buffer.getvalue()


def _encode_png16(frame: Frame, icc: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Encode a 16-bit PNG (ISO/IEC 15948) whose rows are differences from the row above (filter 2, Up)."""
    height, width = frame.shape[:2]
    rows = np.ascontiguousarray(frame).astype(">u2").reshape(height, -1).view(np.uint8)
    rows_above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.hstack([np.full((height, 1), 2, np.uint8), rows - rows_above])
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 16, _PNG_COLOR_TYPE[channels(frame)], 0, 0, 0))]
    if icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        chunks.append((b"pHYs", struct.pack(">2IB", *(round(value / _METERS_PER_INCH) for value in dpi), 1)))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
