"""Images with absurd declarations, sides too long for a format, or names too long: one-line errors before the work."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from animeinterp.cli import main
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.frame import MAX_SIDE
from animeinterp.io.image_header import read_header
from animeinterp.io.images import check_image_target, read_image, write_image
from support.films import figure

LIMIT = 40_000_000
BOMB = zlib.compress(bytes(64 << 20), 9)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 64, height: int = 64, extra: bytes = b"", behind: bytes = b"") -> bytes:
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(64 * (1 + 3 * 64)))
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", pixels), behind, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(changes: dict[int, int], pages: int = 1) -> bytes:
    """Make a gray 64x64 TIFF with changed or additional tags."""
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 64, 279: 4096} | changes
    size = 2 + 12 * len(tags) + 4
    data = b"II*\0" + struct.pack("<I", 8 + 4096) + bytes(4096)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    for page in range(pages):
        following = 0 if page == pages - 1 else 8 + 4096 + (page + 1) * size
        data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return data


def webp(side: int) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new("RGBA", (64, 64), (shade, 0, 0, 9)) for shade in (0, 99)]
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:])
    data = bytearray(buffer.getvalue())
    data[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(data)


DECLARATIONS = {
    "wide.png": (png(2_500_000, 16), "at most 32,766 px a side"),
    "tall.png": (png(16, 2_500_000), "at most 32,766 px a side"),
    "profile.png": (png(extra=chunk(b"iCCP", b"a\0\0" + BOMB)), "damaged"),
    "text.png": (png(extra=chunk(b"zTXt", b"a\0\0" + BOMB)), "damaged"),
    "behind.png": (png(behind=chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB)), "damaged"),
    "frames.png": (png(extra=chunk(b"acTL", struct.pack(">2I", 2**31 - 1, 0))), "holds 2147483648 images"),
    "wide.tif": (tiff({256: 2**32 - 1}), "at most 32,766 px a side"),
    "samples.tif": (tiff({277: 65535}), "not an image that can be read"),
    "tiles.tif": (tiff({322: 65520, 323: 65520, 324: 8, 325: 99}), "tiles of 65520x65520 px"),
    "pages.tif": (tiff({}, pages=300), "holds several images"),
    "canvas.webp": (webp(16_383), "268,402,689 pixels; the limit is 40,000,000"),
    "square.webp": (webp(1 << 24), "at most 32,766 px a side"),
    "film.gif": (b"GIF89a" + struct.pack("<2H", 65535, 65535) + b"\0\0\0;", "65535x65535"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", DECLARATIONS)
def test_declared_sizes_are_checked_before_memory_is_allocated(tmp_path, name):
    data, message = DECLARATIONS[name]
    (tmp_path / name).write_bytes(data)
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (read_header, read_image):
        with pytest.raises(AnimeInterpError, match=message):
            read(tmp_path / name, LIMIT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "in KiB"


def test_the_unchanged_files_are_read(tmp_path):
    """The files that the declarations above are changed from are valid."""
    for name, data in (("a.png", png()), ("a.tif", tiff({}))):
        (tmp_path / name).write_bytes(data)
        assert read_image(tmp_path / name, LIMIT).pixels.shape[:2] == (64, 64)


@pytest.mark.parametrize("size", [(MAX_SIDE, 16), (16, MAX_SIDE)])
def test_the_longest_sides_are_supported(tmp_path, size):
    width, height = size
    for number in range(2):
        frame = np.full((height, width, 3), 200, np.uint8)
        frame[height // 4 + number : height // 2, width // 4 + number : width // 2] = (30, 90, 200)
        write_image(tmp_path / f"{number}.png", frame)
    assert leave("tween", tmp_path / "0.png", tmp_path / "1.png", "-o", tmp_path / "m.png", "--model", "classical") == 0


@pytest.mark.parametrize("size", [(16_384, 16), (16, 16_384)])
def test_a_frame_too_large_for_a_format_is_refused_before_the_work(tmp_path, size):
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    with pytest.raises(UsageError, match="holds at most 16,383 px a side"):
        check_image_target(tmp_path / "a.webp", frame, force=False)
    check_image_target(tmp_path / "a.png", frame, force=False)


def test_an_error_of_an_encoder_is_a_one_line_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("encoding error 5")

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(FileError, match=r"cannot be written as WEBP \(encoding error 5\)"):
        write_image(tmp_path / "a.webp", figure(0))


@pytest.mark.parametrize(
    ("target", "count"), [("x" * 251 + ".png", 2), ("x" * 252 + ".png", 1), (None, 1), ("y" * 300 + "/", 1)]
)
def test_names_that_are_too_long_are_refused_before_the_work(tmp_path, capsys, monkeypatch, target, count):
    monkeypatch.chdir(tmp_path)
    for letter in "ab":
        write_image(tmp_path / f"{letter * 200}.png", figure(0))
    before = sorted(tmp_path.iterdir())
    more = () if target is None else ("-o", target)
    assert leave("tween", "a" * 200 + ".png", "b" * 200 + ".png", "-n", count, *more, "--model", "classical") in (1, 2)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "too long" in message
    assert "unexpected" not in message
    assert sorted(tmp_path.iterdir()) == before


def leave(*arguments) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    return int(left.value.code)
