"""Players show the colors of the new film as those of the old one, whatever the tags, the size and the range."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.video.examine import examine
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.target import plan_output
from animeinterp.video.source.color import ColorConverter, choose_matrix, is_rgb
from animeinterp.video.source.info import ColorInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from animeinterp.video.timeline import build_grid
from support.yuv_films import film, flat, planes_of, yuv_film, yuv_frame

BT601, BT709, BT2020 = 5, 1, 9


@pytest.mark.parametrize(
    ("size", "tags", "expected"),
    [
        ((720, 576), ColorInfo(), BT601),
        ((1278, 718), ColorInfo(), BT601),
        ((960, 720), ColorInfo(), BT709),
        ((1280, 536), ColorInfo(), BT709),
        ((1920, 1080), ColorInfo(5, 6, 2, 1), BT709),
        ((640, 480), ColorInfo(1, 2, 2, 1), BT709),
        ((640, 480), ColorInfo(2, 1, 2, 1), BT709),
        ((640, 480), ColorInfo(9, 2, 2, 1), BT2020),
        ((3840, 2160), ColorInfo(2, 16, 2, 1), BT2020),
        ((1920, 1080), ColorInfo(2, 18, 2, 1), BT2020),
        ((1920, 1080), ColorInfo(1, 1, 6, 1), BT601),
        ((1920, 1080), ColorInfo(9, 16, 5, 1), BT601),
        ((640, 480), ColorInfo(6, 6, 1, 1), BT709),
        ((640, 480), ColorInfo(2, 2, 4, 1), 4),
        ((640, 480), ColorInfo(2, 2, 7, 1), 7),
        ((1920, 1080), ColorInfo(9, 16, 10, 1), BT2020),
        ((1920, 1080), ColorInfo(2, 2, 0, 1), BT709),
        ((1920, 1080), ColorInfo(2, 2, 8, 1), BT709),
        ((640, 480), ColorInfo(2, 2, 14, 1), BT601),
        ((640, 480), ColorInfo(2, 2, 200, 1), BT601),
        ((640, 480), ColorInfo(1, 2, 12, 1), BT709),
    ],
)
def test_the_matrix_is_the_one_that_players_take(size, tags, expected):
    assert choose_matrix(film(width=size[0], height=size[1], color=tags)) == expected


@pytest.mark.parametrize("size", [(1280, 64), (96, 720), (96, 64)])
def test_untagged_is_read_as_the_size_says(tmp_path, size):
    planes = flat(size, (140, 90, 180), (60, 150, 100))
    tag = BT709 if max(size[0] / 1280, size[1] / 720) >= 1 else 6
    tagged, untagged = (
        next(iter(Reader(probe(yuv_film(tmp_path / f"{matrix}.mkv", [planes], color=ColorInfo(matrix=matrix)))))).frame
        for matrix in (tag, 2)
    )
    np.testing.assert_array_equal(tagged, untagged)
    gain = (1.5748, 0.4681, 0.1873) if tag == BT709 else (1.402, 0.7141, 0.3441)
    red = 255 / 219 * (140 - 16) + 255 / 224 * gain[0] * (180 - 128)
    green = 255 / 219 * (140 - 16) - 255 / 224 * (gain[1] * (180 - 128) + gain[2] * (90 - 128))
    assert untagged[16, 16, :2] == pytest.approx([red, green], abs=0.7)


@pytest.mark.parametrize(
    ("size", "tags", "side", "expected"),
    [
        ((640, 64), ColorInfo(), False, ColorInfo()),
        ((1280, 64), ColorInfo(), False, ColorInfo()),
        ((640, 64), ColorInfo(), True, ColorInfo(matrix=6)),  # players would take 1280 px for HD
        ((320, 64), ColorInfo(), True, ColorInfo()),
        ((1280, 64), ColorInfo(), True, ColorInfo()),
        ((640, 64), ColorInfo(1, 1, 2, 1), True, ColorInfo(1, 1, 2, 1)),
        ((640, 64), ColorInfo(6, 6, 6, 1), True, ColorInfo(6, 6, 6, 1)),
        ((640, 64), ColorInfo(2, 2, 0, 1), False, ColorInfo(2, 2, 6, 1)),
    ],
)
def test_the_new_film_is_read_as_the_old_one(tmp_path, size, tags, side, expected):
    old = probe(yuv_film(tmp_path / "old.mkv", [flat(size, (140, 90, 180))], color=tags))
    assert old.color == tags
    output = plan_output(
        Path("new.mp4"), old, build_grid(old.rate), Encoding(), "drop", compare="side" if side else None
    )
    assert output.encoder is not None
    assert output.encoder.color == expected
    assert choose_matrix(dataclasses.replace(output.film, color=expected, matrix_override=0)) == choose_matrix(old)


@pytest.mark.parametrize(
    ("size", "expected"), [((96, 64), 6), ((1278, 718), 6), ((1280, 64), 1), ((96, 720), 1), ((1920, 1080), 1)]
)
@pytest.mark.parametrize("known", [{"pix_fmt": "gbrp"}, {"pix_fmt": "bgra", "color": ColorInfo(1, 13, 0, 2)}])
def test_rgb_is_tagged_with_the_matrix_that_was_used(size, expected, known):
    old = film(width=size[0], height=size[1], **known)
    color = choose_encoder(Path("a.mp4"), old, Encoding()).color
    assert (color.primaries, color.matrix, color.range) == (1, expected, 1)
    assert choose_matrix(old) == choose_matrix(film(width=size[0], height=size[1], color=color))


@pytest.mark.parametrize("pix_fmt", ["gbrp", "bgra", "rgb24", "bgr0", "0rgb", "gbrap16le", "x2rgb10le", "pal8", "bgr8"])
def test_rgb_formats_are_recognized(pix_fmt):
    assert is_rgb(pix_fmt)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj444p", "gray", "ya8", "nv12", "yuva444p10le"])
def test_yuv_formats_are_not_rgb(pix_fmt):
    assert not is_rgb(pix_fmt)


@pytest.mark.parametrize("tags", [ColorInfo(range=2), ColorInfo(1, 1, 1, 2), ColorInfo(1, 1, 5, 2)])
def test_full_range_chroma_survives_the_round_trip_exactly(tags):
    levels = [(y, u, v) for y, u, v in np.random.default_rng(0).integers([90, 110, 110], [160, 146, 146], (24, 3))]
    video_frame = yuv_frame(flat((384, 32), *levels), color=tags)
    converter = ColorConverter(film(width=384, height=32, color=tags))
    back = converter.to_video_frame(converter.to_frame(video_frame), "yuv420p")
    for new, old in zip(planes_of(back), planes_of(video_frame), strict=True):
        share = old.shape[1] // 24  # chroma is interpolated between the stripes
        middle = slice(share // 2, None, share)
        np.testing.assert_array_equal(new[:, middle], old[:, middle])


def test_limited_range_gray_keeps_its_levels(tmp_path):
    ramp = np.tile(np.arange(16, 236, dtype=np.uint8), (64, 1))
    old = probe(yuv_film(tmp_path / "a.mkv", [[ramp]], "gray", ColorInfo(range=1)))
    frame = next(iter(Reader(old))).frame
    assert (frame[0, 0, 0], frame[0, -1, 0]) == (0, 255)
    luma = planes_of(ColorConverter(old).to_video_frame(frame, "yuv420p"))[0]
    np.testing.assert_array_equal(luma, ramp)
    full = probe(yuv_film(tmp_path / "b.mkv", [[ramp]], "gray", ColorInfo(range=2)))
    np.testing.assert_array_equal(next(iter(Reader(full))).frame[..., 0], ramp)


def test_chroma_keeps_its_location(tmp_path):
    """H.264's chroma is located on the left, which swscale honors only when it reads."""
    planes = flat((96, 64), (128, 128, 128))
    planes[1][:] = 80 + 2 * np.arange(48)
    planes[2][:] = 80 + 2 * np.arange(32)[:, None]
    with av.open(tmp_path / "old.mp4", "w") as container:
        stream: Any = container.add_stream("libx264", rate=12, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        video_frame = yuv_frame(planes)
        video_frame.pts, video_frame.time_base = 0, Fraction(1, 12)
        container.mux([*stream.encode(video_frame), *stream.encode(None)])
    old = probe(tmp_path / "old.mp4")
    read = examine(old, Path("new.mp4"), Encoding())
    assert (old.uses_chroma_location, read.uses_chroma_location) == (True, False)
    assert examine(old, Path("folder"), Encoding()) == old
    new = planes_of(ColorConverter(read).to_video_frame(next(iter(Reader(read))).frame, "yuv420p"))
    for plane, kept in zip(new[1:], planes[1:], strict=True):
        shift = plane[4:-4, 4:-4].astype(float) - kept[4:-4, 4:-4]
        assert abs(shift.mean()) < 0.15  # levels; half a pixel is half of one


def test_tags_that_change_within_a_film_are_honored():
    old = film(color=ColorInfo(1, 1, 1, 1))
    converter = ColorConverter(old)
    planes = flat((96, 64), (140, 90, 180))
    expected = ColorConverter(film(color=ColorInfo(6, 6, 6, 1))).to_frame(yuv_frame(planes))
    np.testing.assert_array_equal(converter.to_frame(yuv_frame(planes, color=ColorInfo(6, 6, 6, 1))), expected)
    assert np.abs(converter.to_frame(yuv_frame(planes)).astype(int) - expected).max() > 5
    full = converter.to_frame(yuv_frame(flat((96, 64), (255, 128, 128)), color=ColorInfo(1, 1, 1, 2)))
    assert full.min() == 255


LEVELS = (5, 128, 128), (60, 120, 140), (200, 128, 128), (250, 126, 131)
SCALES = {"yuv420p": 1, "yuv420p10le": 4}


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


def moving(pix_fmt: str = "yuv420p", count: int = 4) -> list[list[np.ndarray]]:
    """Stripes far outside the limited range, and a square that moves in one of them."""
    scale = SCALES[pix_fmt]
    kind = np.uint8 if scale == 1 else np.uint16
    frames = []
    for number in range(count):
        planes = flat((96, 64), *(np.array(level) * scale for level in LEVELS), kind=kind)
        planes[0][20:36, 30 + 3 * number : 40 + 3 * number] = 100 * scale
        frames.append(planes)
    return frames


@pytest.mark.parametrize(
    ("pix_fmt", "target", "asked"),
    [
        ("yuv420p", "new.mkv", Encoding("ffv1")),
        ("yuv420p10le", "new.mkv", Encoding("ffv1")),
        ("yuv420p", "new.mkv", Encoding(lossless=True)),
        ("yuv420p10le", "new.mkv", Encoding(lossless=True)),
        ("yuv420p", "new.mp4", Encoding(lossless=True)),
        ("yuv420p10le", "new.mp4", Encoding("h264", crf=0)),
        ("yuv420p", "new.mov", Encoding("prores")),
        ("yuv420p10le", "new.mov", Encoding("prores")),
        ("yuv420p", "new.webm", Encoding("vp9", lossless=True)),
        ("yuv420p10le", "new.mkv", Encoding("mpeg4")),
    ],
)
def test_luma_outside_the_range_survives_in_source_and_new_frames(tmp_path, interpolator, pix_fmt, target, asked):
    source = yuv_film(tmp_path / "old.mkv", moving(pix_fmt), pix_fmt, ColorInfo(1, 1, 1, 1))
    tally = interpolate_video(
        source, tmp_path / target, VideoOptions(encoding=asked, cuts="1000"), interpolator=interpolator
    )
    assert tally.drawn >= 3
    with av.open(tmp_path / target) as container:
        video_frames = list(container.decode(video=0))
    assert int(video_frames[0].color_range) == 1
    scale = 1 << (video_frames[0].format.components[0].bits - 8)
    allowed = scale // 4 if asked.lossless or asked.codec == "ffv1" else 3  # 1 of 1023 is swscale's
    for video_frame in video_frames:
        planes = planes_of(video_frame)
        for stripe, level in enumerate(LEVELS):
            for plane, value in zip(planes, level, strict=True):
                width = plane.shape[1] // 4
                middle = plane[2:8, stripe * width + width // 3 : stripe * width + 2 * width // 3]
                assert np.abs(middle.astype(int) - value * scale).max() <= allowed


@pytest.mark.parametrize("pix_fmt", SCALES)
@pytest.mark.parametrize("level", [(250, 120, 140), (254, 100, 128), (240, 90, 160), (2, 110, 150), (8, 140, 120)])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_tinted_luma_outside_the_range_survives_too(pix_fmt, level, matrix):
    scale = SCALES[pix_fmt]
    kind = np.uint8 if scale == 1 else np.uint16
    color = ColorInfo(matrix=matrix, range=1)
    converter = ColorConverter(film(pix_fmt=pix_fmt, color=color, headroom=True, depth=8 if scale == 1 else 16))
    video_frame = yuv_frame(flat((96, 64), np.array(level) * scale, kind=kind), pix_fmt, color)
    luma, *chroma = planes_of(converter.to_video_frame(converter.to_frame(video_frame), pix_fmt))
    assert np.abs(luma.astype(int) - level[0] * scale).max() <= scale
    for plane, value in zip(chroma, level[1:], strict=True):  # less of the tint, but none of another
        assert abs(plane[10, 10] / scale - 128) <= abs(value - 128) + 1


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
@pytest.mark.parametrize(
    "tags", [ColorInfo(2, 2, 200, 1), ColorInfo(2, 2, 3, 1), ColorInfo(22, 18, 9, 1), ColorInfo(200, 2, 6, 1)]
)
def test_tags_that_an_encoder_refuses_do_not_stop_it(codec, tags):
    encoder = choose_encoder(Path("a.mkv"), film(color=tags), Encoding(codec))
    assert encoder.pix_fmt == "yuv420p"
    assert encoder.color.matrix == (2 if tags.matrix in (3, 200) else tags.matrix)
