"""Folders of frames: names, numbers with gaps, mixed modes; faults are found before the work begins."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from animeinterp.errors import FileError, FrameError
from animeinterp.frame import Mode, mode_of, widened
from animeinterp.io.image_header import read_header
from animeinterp.io.images import read_image, read_pair, write_image
from animeinterp.video.source.folder import probe_folder, read_folder_frames
from animeinterp.video.source.numbering import number_frames
from support.films import figure

LIMIT = 10**6
GRAY, COLOR, CLEAR, DEEP = Mode(False, False, 8), Mode(True, False, 8), Mode(True, True, 8), Mode(True, False, 16)


def places(tmp_path, *names: str, rate: int = 24) -> list[tuple[int, str]]:
    numbering = number_frames([tmp_path / name for name in names], Fraction(rate))
    return [(place, path.name) for place, path in numbering.frames]


def filled(folder, **frames: np.ndarray):
    for name, frame in frames.items():
        write_image(folder / f"{name.strip('_')}.png", frame)
    return folder


def in_mode(mode: Mode, shift: int = 0) -> np.ndarray:
    gray = np.ascontiguousarray(figure(shift)[..., 0])
    return widened(figure(shift) if mode.color else gray, mode)


@pytest.mark.parametrize(
    ("numbers", "expected", "length"),
    [
        ((1, 3, 5, 7, 13, 15), [0, 2, 4, 6, 12, 14], 16),
        ((10, 20, 30), [0, 10, 20], 30),
        ((7,), [0], 1),
        ((101, 102, 104), [0, 1, 3], 4),
        ((1, 2, 1_000_001), [0, 1, 2], 3),
        ((1_700_000_000_000, 1_700_000_090_000), [0, 1], 2),
    ],
)
def test_a_missing_number_holds_the_frame_before(tmp_path, numbers, expected, length):
    numbering = number_frames([tmp_path / f"shot_{number:04}.png" for number in numbers], Fraction(24))
    assert [place for place, _ in numbering.frames] == expected
    assert numbering.length == length
    assert len(numbering.notes) == (numbers != (7,))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("shot01_take2_0009.png", "shot01_take2_0011.png"), (0, 2)),
        (("1_x.png", "2_x.png", "4_x.png"), (0, 1, 3)),
        (("f_0001_t41.png", "f_0002_t83.png", "f_0003_t125.png"), (0, 1, 2)),
        (("a9.png", "a10.PNG", "A11.webp"), (0, 1, 2)),
        (("shot-0002.png", "shot-0001.png", "shot0000.png", "shot0001.png"), (0, 1, 2, 3)),
        (("-2.png", "-1.png", "0.png"), (0, 1, 2)),
        (("shot-0001.png", "shot-0003.png"), (0, 2)),
        (("1²0.png", "1²1.png", "1²3.png"), (0, 1, 3)),
        (("0001_key.png", "0002_between.png", "0004_key.png"), (0, 1, 3)),
        (("a.png", "b.png", "c.png"), (0, 1, 2)),
    ],
)
def test_the_number_that_varies_counts(tmp_path, names, expected):
    for order in (names, names[::-1]):
        assert places(tmp_path, *order) == list(zip(expected, names, strict=True))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("01.png", "1.png"), "both have the number 1"),
        (("1.png", "1.webp", "2.png"), "both have the number 1"),
        (("a_1.png", "a_2.png", "b_1.png"), "not of one sequence"),
        (("sc1_1.png", "sc1_2.png", "sc2_1.png", "sc2_2.png"), "not of one sequence"),
        (("0001.png", "0002.png", "cover.png"), "cover.png, which are not of one sequence"),
        (("f1.png", "f2.png", "f2 copy.png"), "not of one sequence"),
    ],
)
def test_names_that_are_not_one_sequence_are_refused(tmp_path, names, message):
    with pytest.raises(FileError, match=message):
        places(tmp_path, *names)


def test_times_follow_the_numbers_and_the_rate(tmp_path):
    filled(tmp_path, _1=figure(0), _4=figure(3), _6=figure(6))
    film = probe_folder(tmp_path, Fraction(12), LIMIT)
    assert (film.frames, film.duration, film.rate) == (6, Fraction(1, 2), 12)
    assert [(shown.number, shown.time) for shown in read_folder_frames(film, Fraction(0), LIMIT)] == [
        (0, 0),
        (3, Fraction(1, 4)),
        (5, Fraction(5, 12)),
    ]
    assert [shown.number for shown in read_folder_frames(film, Fraction(1, 3), LIMIT)] == [3, 5], "3 is still shown"


def test_other_files_are_ignored(tmp_path):
    filled(tmp_path, _1=figure(0), _2=figure(1))
    for name in ("._1.png", ".hidden.png", "Thumbs.db", "notes.txt", "reference.psd"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "3.png").mkdir()
    assert probe_folder(tmp_path, None, LIMIT).frames == 2


def test_frames_that_cannot_be_read_are_not_skipped(tmp_path):
    filled(tmp_path, _1=figure(0), _3=figure(1))
    (tmp_path / "2.exr").write_bytes(b"x")
    with pytest.raises(FileError, match=r"2\.exr cannot be read"):
        probe_folder(tmp_path, None, LIMIT)


@pytest.mark.parametrize("modes", [(GRAY, COLOR), (CLEAR, COLOR), (COLOR, DEEP), (GRAY, Mode(False, True, 8), DEEP)])
def test_mixed_modes_are_widened_to_the_richest(tmp_path, modes):
    frames = [in_mode(mode, number) for number, mode in enumerate(modes)]
    filled(tmp_path, **{f"_{number}": frame for number, frame in enumerate(frames)})
    film = probe_folder(tmp_path, None, LIMIT)
    richest = Mode(True, any(mode.alpha for mode in modes), max(mode.depth for mode in modes))
    assert film.mode == richest
    assert (film.alpha, film.depth) == (richest.alpha, richest.depth)
    for shown, frame in zip(read_folder_frames(film, Fraction(0), LIMIT), frames, strict=True):
        assert mode_of(shown.frame) == richest
        np.testing.assert_array_equal(shown.frame, widened(frame, richest))


def test_widening_changes_no_color():
    gray = np.array([[0, 1, 255]], np.uint8)
    assert widened(gray, Mode(True, True, 16))[0].tolist() == [
        [0, 0, 0, 65535],
        [257, 257, 257, 65535],
        [65535] * 4,
    ]
    assert widened(gray, GRAY) is gray


def test_palettes_and_bits_join_a_folder(tmp_path):
    image = Image.fromarray(figure(0))
    image.save(tmp_path / "1.png")
    image.convert("P").save(tmp_path / "2.png")
    image.convert("1").save(tmp_path / "3.png")
    image.convert("P").save(tmp_path / "4.png", transparency=0)
    image.save(tmp_path / "5.jpg")
    film = probe_folder(tmp_path, None, LIMIT)
    assert film.mode == CLEAR
    assert {mode_of(shown.frame) for shown in read_folder_frames(film, Fraction(0), LIMIT)} == {CLEAR}


def test_sizes_that_differ_are_refused_before_the_work(tmp_path):
    filled(tmp_path, _1=figure(0), _2=figure(0), _3=figure(0, (96, 80)))
    with pytest.raises(FileError, match=r"3\.png is 96x80, but 1\.png is 96x64"):
        probe_folder(tmp_path, None, LIMIT)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
def test_truncated_files_are_named_before_the_work(tmp_path, suffix):
    for number in range(3):
        write_image(tmp_path / f"{number}{suffix}", figure(number))
    whole = (tmp_path / f"2{suffix}").read_bytes()
    assert probe_folder(tmp_path, None, LIMIT).frames == 3
    (tmp_path / f"2{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=rf"2\{suffix} is damaged"):
        probe_folder(tmp_path, None, LIMIT)


@pytest.mark.parametrize("fault", ["empty", "text", "link", "pages", "still"])
def test_every_frame_is_checked_before_the_work(tmp_path, fault):
    filled(tmp_path, _1=figure(0), _2=figure(0))
    bad = tmp_path / "3.png"
    if fault == "link":
        bad.symlink_to(tmp_path / "gone.png")
    elif fault == "pages":
        bad = tmp_path / "3.webp"
        Image.fromarray(figure(0)).save(bad, save_all=True, append_images=[Image.fromarray(figure(5))])
    elif fault == "still":
        bad = tmp_path / "3.jpg"
        Image.new("CMYK", (96, 64)).save(bad)
    else:
        bad.write_bytes(b"" if fault == "empty" else b"not an image")
    with pytest.raises((FileError, FrameError), match=rf"{bad.stem}\{bad.suffix}"):
        probe_folder(tmp_path, None, LIMIT)


def test_no_pixel_is_decoded_to_describe_a_folder(tmp_path, monkeypatch):
    filled(tmp_path, _1=figure(0), _2=in_mode(DEEP))
    write_image(tmp_path / "3.webp", figure(0))
    monkeypatch.setattr("animeinterp.video.source.folder.read_image", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    assert probe_folder(tmp_path, None, LIMIT).mode == DEEP


def test_a_folder_without_permission_is_an_error(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(FileError, match="Permission denied; expected a folder of frames"):
        probe_folder(tmp_path, None, LIMIT)


def saved(path, image: Image.Image, **options) -> None:
    image.save(path, **options)


def test_headers_match_the_decoded_frames(tmp_path):
    """Size and mode in the header are those of the decoded frame, for every supported kind of image."""
    rgb = Image.fromarray(figure(0))
    clear = Image.fromarray(in_mode(CLEAR))
    turned = Image.Exif()
    turned[0x0112] = 6
    saved(tmp_path / "p.png", rgb.convert("P"))
    saved(tmp_path / "pa.png", rgb.convert("P"), transparency=3)
    saved(tmp_path / "one.png", rgb.convert("1"))
    saved(tmp_path / "key.png", rgb, transparency=(0, 0, 0))
    saved(tmp_path / "lkey.png", rgb.convert("L"), transparency=7)
    saved(tmp_path / "one.tif", rgb.convert("1"))
    saved(tmp_path / "p.tif", rgb.convert("P"))
    saved(tmp_path / "l.jpg", rgb.convert("L"))
    saved(tmp_path / "l.webp", rgb.convert("L"))
    saved(tmp_path / "a.webp", clear)
    saved(tmp_path / "lossless.webp", clear, lossless=True)
    saved(tmp_path / "opaque.webp", Image.fromarray(in_mode(CLEAR)), lossless=True)
    for suffix in (".png", ".webp", ".tif", ".jpg"):
        saved(tmp_path / f"turned{suffix}", rgb, exif=turned)
    for mode in (GRAY, COLOR, CLEAR, DEEP, Mode(False, True, 8), Mode(False, False, 16), Mode(True, True, 16)):
        for suffix in (".png", ".tif"):
            write_image(tmp_path / f"{mode.channels}x{mode.depth}{suffix}", in_mode(mode))
    write_image(tmp_path / "la16.png", in_mode(Mode(False, True, 16)))
    for path in sorted(tmp_path.iterdir()):
        header, frame = read_header(path, LIMIT), read_image(path, LIMIT).pixels
        assert ((header.height, header.width), header.mode) == (frame.shape[:2], mode_of(frame)), path.name
        assert header.complete, path.name


def test_pairs_are_widened_and_keep_a_profile_that_fits(tmp_path):
    from animeinterp.io.images import LoadedImage

    gray, color = in_mode(GRAY), in_mode(DEEP, 4)
    write_image(tmp_path / "a.png", gray, LoadedImage(gray, "PNG", b"of gray"))
    write_image(tmp_path / "b.png", color, LoadedImage(color, "PNG", b"of color"))
    first, second = read_pair(tmp_path / "a.png", tmp_path / "b.png", LIMIT)
    assert mode_of(first.pixels) == mode_of(second.pixels) == DEEP
    assert first.icc == second.icc == b"of color"
    write_image(tmp_path / "c.png", figure(0, (96, 80)))
    with pytest.raises(FrameError, match="expected the same size"):
        read_pair(tmp_path / "a.png", tmp_path / "c.png", LIMIT)
