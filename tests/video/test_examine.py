"""Headroom, alpha and matrices are found by examining the frames of a film."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animeinterp import load_interpolator
from animeinterp.errors import UsageError
from animeinterp.video.examine import examine
from animeinterp.video.job import interpolate_video
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.source.color import ColorConverter, view_samples
from animeinterp.video.source.info import ColorInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from support.yuv_films import flat, rgba_film, yuv_film


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


def test_a_film_within_the_range_has_no_headroom(tmp_path):
    planes = flat((96, 64), (16, 128, 128), (60, 120, 140), (235, 128, 128))
    planes[0][::32, ::48] = 11  # what encoders do at outlines
    old = probe(yuv_film(tmp_path / "a.mkv", [planes] * 3, color=ColorInfo(1, 1, 1, 1)))
    assert not examine(old, Path("new.mp4"), Encoding()).headroom


@pytest.mark.parametrize(
    ("level", "color", "pix_fmt", "expected"),
    [
        (246, ColorInfo(), "yuv420p", True),
        (6, ColorInfo(1, 1, 1, 1), "yuv420p", True),
        (246, ColorInfo(1, 1, 1, 2), "yuv420p", False),
        (246, ColorInfo(range=1), "gray", True),
        (246, ColorInfo(), "gray", False),
    ],
)
def test_films_outside_the_range_get_headroom(tmp_path, level, color, pix_fmt, expected):
    usual, planes = flat((96, 64), (100, 120, 140)), flat((96, 64), (100, 120, 140))
    planes[0][10:15, 10:15] = level  # in one frame alone, and not the first
    source = yuv_film(tmp_path / "a.mkv", [usual, usual, planes, usual], pix_fmt, color)
    assert examine(probe(source), Path("new.mp4"), Encoding()).headroom is expected
    assert not examine(probe(source), Path("new.gif"), Encoding()).headroom
    assert not examine(probe(source), Path("folder"), Encoding()).headroom
    if expected:
        assert examine(probe(source), Path("new.mkv"), Encoding("ffv1"), end=Fraction(1, 6)).headroom is False


def test_luma_of_an_8_bit_film_is_the_same_in_10_bits(tmp_path):
    size = (96, 64)
    luma = np.tile(np.arange(60, 60 + 64, dtype=np.uint8)[:, None], (1, 96))
    planes = [luma, *(np.full((32, 48), level, np.uint8) for level in (122, 133))]
    source = probe(yuv_film(tmp_path / "a.mkv", [planes] * 2, color=ColorInfo(1, 1, 1, 1)))
    errors = {}
    for bits in (None, 10):
        film = examine(source, Path("new.mkv"), Encoding(bits=bits))
        assert (film.width, film.height, film.depth) == (*size, 16 if bits == 10 else 8)
        frame = next(iter(Reader(film))).frame
        new = view_samples(ColorConverter(film).to_video_frame(frame, "yuv420p10le"), 0)
        errors[bits] = np.abs(new.astype(int) - 4 * luma.astype(int)).mean()
    assert errors[10] < 0.05 < 0.2 < errors[None]


def test_long_films_are_examined_by_their_keyframes(tmp_path):
    usual, bright = flat((32, 32), (100, 120, 140)), flat((32, 32), (250, 120, 140))
    frames = [bright if 500 <= number < 510 else usual for number in range(600)]
    for distance in ("10", "600"):
        source = yuv_film(tmp_path / f"{distance}.mkv", frames, level="3", g=distance)
        assert examine(probe(source), Path("new.mp4"), Encoding()).headroom


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".webm"])
def test_opaque_alpha_is_no_alpha(tmp_path, suffix, interpolator):
    old = probe(rgba_film(tmp_path / f"old{suffix}"))
    assert old.alpha
    for target in ("new.mp4", "new.mkv", "new.webm"):
        assert not examine(old, Path(target), Encoding()).alpha
    assert examine(old, Path("new.webp"), Encoding()).alpha
    interpolate_video(old.path, tmp_path / "new.mp4", interpolator=interpolator)
    new = probe(tmp_path / "new.mp4")
    assert (new.alpha, new.frames) == (False, 12)


@pytest.mark.parametrize(("alpha", "expected"), [(65280, False), (65278, True)])
def test_opaque_in_16_bits_is_255_in_8(tmp_path, alpha, expected):
    frame = np.full((64, 96, 4), alpha, np.uint16)
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("ffv1", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "gbrap16le"
        video_frame = av.VideoFrame.from_ndarray(frame, format="gbrap16le")
        video_frame.pts, video_frame.time_base = 0, Fraction(1, 12)
        container.mux([*stream.encode(video_frame), *stream.encode(None)])
    assert examine(probe(path), Path("new.mkv"), Encoding()).alpha is expected


@pytest.mark.parametrize(("matrix", "expected"), [(8, 1), (14, 1), (1, 0), (2, 0), (10, 0), (0, 0)])
def test_a_note_names_a_matrix_that_cannot_become_rgb(tmp_path, matrix, expected):
    old = probe(yuv_film(tmp_path / "a.mkv", [flat((96, 64), (140, 90, 180))], color=ColorInfo(matrix=matrix)))
    assert len(examine(old, Path("new.gif"), Encoding()).notes) == expected
    assert len(examine(old, Path("new.mkv"), Encoding(lossless=True)).notes) == expected
    assert len(examine(old, Path("new.mp4"), Encoding()).notes) == 0


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".webm"])
def test_the_first_transparent_frame_is_named(tmp_path, suffix):
    old = probe(rgba_film(tmp_path / f"old{suffix}", transparent=[5]))
    with pytest.raises(UsageError, match=r"alpha.*frame 5, at 0\.417 s"):
        examine(old, Path("new.mp4"), Encoding())
    assert examine(old, Path("new.webm"), Encoding()).alpha
    assert not examine(old, Path("new.mp4"), Encoding(), end=Fraction(5, 12)).alpha


def test_an_unknown_encoder_is_refused_before_the_film_is_examined(tmp_path):
    old = dataclasses.replace(probe(rgba_film(tmp_path / "old.mkv")), path=tmp_path / "gone.mkv")
    with pytest.raises(UsageError, match="libnothing"):
        examine(old, Path("new.mp4"), Encoding("libnothing"))
