from __future__ import annotations

import errno
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.io.images import LoadedImage, read_image, write_image

LIMIT = 1_000_000
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RNG = np.random.default_rng(7)
TAIL = {"gray": (), "gray+alpha": (2,), "RGB": (3,), "RGBA": (4,)}


def noise(mode: str, dtype: type = np.uint8, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, (*size, *TAIL[mode]), dtype, endpoint=True)


LOSSLESS = [
    *((suffix, mode, np.uint8) for suffix in (".png", ".tif") for mode in TAIL),
    *((".webp", mode, np.uint8) for mode in ("RGB", "RGBA")),
    *((".png", mode, np.uint16) for mode in TAIL),
    # 16-bit gray + alpha TIFF is written, but neither Pillow nor OpenCV reads it
    *((".tiff", mode, np.uint16) for mode in ("gray", "RGB", "RGBA")),
]
CODERS = [
    (".png", np.uint8),
    (".png", np.uint16),
    (".tif", np.uint8),
    (".tif", np.uint16),
    (".jpg", np.uint8),
    (".webp", np.uint8),
]


@pytest.mark.parametrize(("suffix", "mode", "dtype"), LOSSLESS)
def test_depth_mode_profile_and_resolution_are_kept(tmp_path, mode, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    frame = noise(mode, dtype)
    write_image(path, frame, LoadedImage(frame, "PNG", ICC, (150.0, 150.0)))
    back = read_image(path, LIMIT)
    assert back.pixels.dtype == dtype
    assert np.array_equal(back.pixels, frame)
    assert back.icc == ICC
    if suffix != ".webp":  # has no place for it
        assert back.dpi == pytest.approx((150, 150), rel=1e-3)


def test_sixteen_bit_png_is_read_by_pillow(tmp_path):
    frame = noise("RGB", np.uint16)
    write_image(tmp_path / "a.png", frame, LoadedImage(frame, "PNG", ICC))
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.info["icc_profile"] == ICC
        assert np.array_equal(np.array(image), frame >> 8)  # Pillow keeps the high byte


def test_sixteen_bit_gray_alpha_tiff_is_read_by_tifffile(tmp_path):
    frame = noise("gray+alpha", np.uint16)
    write_image(tmp_path / "a.tif", frame)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), frame)


def test_jpeg_is_nearly_the_same(tmp_path):
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :16] = (250, 30, 30)
    frame[:, 16:] = (30, 30, 250)
    write_image(tmp_path / "a.jpg", frame, LoadedImage(frame, "PNG", ICC))
    back = read_image(tmp_path / "a.jpg", LIMIT)
    assert back.icc == ICC
    # 4:2:0 would smear these two colors into each other
    assert np.abs(back.pixels.astype(int) - frame).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "deep"), [(".png", False), (".png", True), (".tif", False), (".tif", True)])
def test_camera_orientation_is_applied(tmp_path, orientation, suffix, deep):
    dtype = np.uint16 if deep else np.uint8
    stored = noise("RGB", dtype)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        write_image(path, stored)
        exif = Image.Exif()
        exif[274] = orientation
        data, block = path.read_bytes(), exif.tobytes().removeprefix(b"Exif\0\0")
        path.write_bytes(data[:33] + png_chunk(b"eXIf", block) + data[33:])
    # EXIF 2.3, tag 274: which edge of the scene row 0 and column 0 are
    first_row, first_column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    upright = read_image(path, LIMIT).pixels
    edge = {"top": upright[0], "bottom": upright[-1], "left": upright[:, 0], "right": upright[:, -1]}[first_row]
    along = edge[::-1] if first_column in ("right", "bottom") else edge
    assert np.array_equal(along, stored[0])


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_palettes_become_colors(tmp_path):
    image = Image.fromarray(noise("RGB")).quantize(8)
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", LIMIT).pixels, np.array(image.convert("RGB")))
    image.save(tmp_path / "b.png", transparency=3)
    pixels = read_image(tmp_path / "b.png", LIMIT).pixels
    assert np.array_equal(pixels[..., 3] == 0, np.array(image) == 3)


def test_one_bit_becomes_gray(tmp_path):
    frame = noise("gray") > 127
    Image.fromarray(frame).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", LIMIT).pixels, frame * np.uint8(255))


@pytest.mark.parametrize("mode", ["gray", "RGB"])
def test_key_color_becomes_alpha(tmp_path, mode):
    frame = noise(mode)
    key = frame[2, 3].tolist()
    Image.fromarray(frame).save(tmp_path / "a.png", transparency=tuple(key) if mode == "RGB" else key)
    pixels = read_image(tmp_path / "a.png", LIMIT).pixels
    assert pixels[2, 3, -1] == 0
    assert (pixels[..., -1] == 255).mean() > 0.9


@pytest.mark.parametrize("mode", ["gray", "RGB"])
def test_sixteen_bit_key_color_becomes_alpha(tmp_path, mode):
    frame = noise(mode, np.uint16)
    write_image(tmp_path / "a.png", frame)
    data = (tmp_path / "a.png").read_bytes()
    key = png_chunk(b"tRNS", np.atleast_1d(frame[2, 3]).astype(">u2").tobytes())
    (tmp_path / "a.png").write_bytes(data[:33] + key + data[33:])
    pixels = read_image(tmp_path / "a.png", LIMIT).pixels
    assert pixels[2, 3, -1] == 0
    assert np.array_equal(pixels[..., :-1].reshape(frame.shape), frame)
    assert (pixels[..., -1] == 65535).mean() > 0.9


def test_white_is_zero_and_premultiplied_tiffs(tmp_path):
    frame = noise("gray", np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - frame, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif", LIMIT).pixels, frame)
    premultiplied = np.zeros((20, 20, 4), np.uint16)
    premultiplied[...] = (1000, 500, 0, 2000)
    tifffile.imwrite(tmp_path / "b.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    assert read_image(tmp_path / "b.tif", LIMIT).pixels[0, 0].tolist() == [32768, 16384, 0, 2000]


def test_planar_sixteen_bit_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 20, 30), np.uint16), photometric="rgb", planarconfig="separate")
    with pytest.raises(FrameError, match="planar"):
        read_image(tmp_path / "a.tif", LIMIT)


@pytest.mark.parametrize("mode", ["CMYK", "F", "I"])
def test_other_color_models_are_refused(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.tif")
    Image.new(mode, (20, 20)).save(path)
    with pytest.raises(FrameError, match=f"is in {mode}; expected"):
        read_image(path, LIMIT)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_animations_and_pages_are_refused(tmp_path, suffix):
    images = [Image.fromarray(noise("RGB")) for _ in range(3)]
    images[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=images[1:])
    with pytest.raises(FrameError, match="holds several images" if suffix == ".tif" else "holds 3 images"):
        read_image(tmp_path / f"a{suffix}", LIMIT)


def test_names_in_any_script(tmp_path):
    path = tmp_path / "絵コンテ 原画①.png"
    frame = noise("RGB", np.uint16)
    write_image(path, frame)
    assert np.array_equal(read_image(path, LIMIT).pixels, frame)


def test_limit_is_read_from_the_header_and_adjustable(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, noise("RGB", size=(100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(path, 10_000).pixels.shape == (100, 100, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(FrameError, match="limit is 9,999"):
        read_image(path, 9_999)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(("suffix", "dtype"), CODERS)
def test_every_truncation_is_a_one_line_error(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    write_image(path, noise("RGB", dtype))
    whole = path.read_bytes()
    for size in range(1, len(whole) - 20, max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        with pytest.raises((FileError, FrameError)) as caught:
            read_image(path, LIMIT)
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(("suffix", "dtype"), CODERS)
def test_damage_raises_only_our_errors(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    write_image(path, noise("RGB", dtype))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        damaged[RNG.integers(0, min(200, len(whole)), 3)] = RNG.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        with suppress(FileError, FrameError):
            read_image(path, LIMIT)


@pytest.mark.parametrize(
    ("name", "mode", "dtype", "message"),
    [
        ("a.jpg", "RGBA", np.uint8, "JPEG holds no alpha"),
        ("a.jpg", "RGB", np.uint16, "8 bits"),
        ("a.webp", "RGB", np.uint16, "8 bits"),
        ("a.bmp", "RGB", np.uint8, "suffix"),
        ("a", "RGB", np.uint8, "suffix"),
    ],
)
def test_formats_that_cannot_hold_the_frame(tmp_path, name, mode, dtype, message):
    with pytest.raises(UsageError, match=message):
        write_image(tmp_path / name, noise(mode, dtype))
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unless_forced(tmp_path):
    path = tmp_path / "a.png"
    old, new = noise("RGB"), noise("RGB")
    write_image(path, old)
    with pytest.raises(UsageError, match="--force"):
        write_image(path, new)
    assert np.array_equal(read_image(path, LIMIT).pixels, old)
    write_image(path, new, force=True)
    assert np.array_equal(read_image(path, LIMIT).pixels, new)


def test_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    old = noise("RGB")
    write_image(path, old)
    fill_the_disk(monkeypatch)
    with pytest.raises(FileError, match="No space left"):
        write_image(path, noise("RGB"), force=True)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(path, LIMIT).pixels, old)


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every write fail after 100 bytes."""

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    whole = Path.open

    def open_full(self, mode="r", *args, **kwargs):
        return Full(self, mode.replace("b", "")) if mode[0] in "wx" else whole(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_full)
