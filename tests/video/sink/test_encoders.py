"""The encoder fits film, file and request; segments are complete, repeatable and tagged."""

from __future__ import annotations

import dataclasses
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.muxing import FilmLayout, join_segments
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import ColorInfo, VideoInfo
from conftest import draw_scene

RATE = Fraction(48000, 1001)
SCREEN = struct.pack(
    "=22i",
    *(34000, 50000, 16000, 50000, 13250, 50000, 34500, 50000, 7500, 50000, 3000, 50000, 15635, 50000, 16450, 50000),
    *(50, 10000, 10_000_000, 10000, 1, 1),
)
LIGHT = struct.pack("=2I", 1000, 400)
HDR = {
    "pix_fmt": "yuv420p10le",
    "depth": 16,
    "color": ColorInfo(9, 16, 9, 1),
    "mastering_display": SCREEN,
    "content_light": LIGHT,
}


def film(**known: Any) -> VideoInfo:
    default = {"rate": Fraction(24), "start": Fraction(0), "duration": Fraction(1), "frames": 24, "pix_fmt": "yuv420p"}
    return VideoInfo(**{"path": Path("film.mp4"), "width": 96, "height": 64} | default | known)


def drawings(of: VideoInfo, count: int = 8) -> list[np.ndarray]:
    frames = []
    for number in range(count):
        frame = draw_scene(number * 2, (of.width, of.height))
        if of.alpha:
            mask = np.linspace(0, 255, of.height).astype(np.uint8)[:, None, None]
            frame = np.concatenate([frame, np.broadcast_to(mask, (of.height, of.width, 1))], axis=2)
        frames.append(frame.astype(np.uint16) * 257 + number if of.depth == 16 else frame)
    return frames


def write_segment(path: Path, of: VideoInfo, target: str, encoding: Encoding | None = None) -> tuple[Any, list[Any]]:
    """Write a segment; return its encoder and its decoded images."""
    encoder = choose_encoder(Path(target), of, encoding or Encoding())
    with SegmentWriter(path, of, RATE, encoder) as writer:
        for frame in drawings(of):
            writer.write(frame)
    return encoder, decode(path)


def decode(path: Path) -> list[Any]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        if stream.name != "vp9":
            return list(container.decode(stream))
        decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own leaves out alpha
        return [p for packet in container.demux(stream) for p in decoder.decode(packet if packet.size else None)]


@pytest.mark.parametrize(
    ("target", "known", "name", "pix_fmt"),
    [
        ("a.mp4", {}, "libx264", "yuv420p"),
        ("a.mov", {"pix_fmt": "yuv422p10le", "depth": 16}, "libx264", "yuv422p10le"),
        ("a.mkv", {"pix_fmt": "yuv444p"}, "libx264", "yuv444p"),
        ("a.mkv", {"pix_fmt": "yuv420p12le", "depth": 16}, "libx264", "yuv420p10le"),
        ("a.mp4", {"pix_fmt": "gbrp"}, "libx264", "yuv420p"),
        ("a.mp4", {"pix_fmt": "gray"}, "libx264", "yuv420p"),
        ("a.mp4", {"width": 95, "height": 63}, "libx264", "yuv444p"),
        ("a.webm", {"width": 95, "height": 63}, "libvpx-vp9", "yuv420p"),
        ("a.webm", {"pix_fmt": "yuv420p10le", "depth": 16}, "libsvtav1", "yuv420p10le"),
        ("a.mp4", HDR, "libx265", "yuv420p10le"),
        ("a.webm", {"pix_fmt": "yuva420p", "alpha": True}, "libvpx-vp9", "yuva420p"),
        ("a.mkv", {"pix_fmt": "yuva420p", "alpha": True}, "libvpx-vp9", "yuva420p"),
        ("a.mov", {"pix_fmt": "gbrap", "alpha": True}, "prores_ks", "yuva444p10le"),
        ("a.gif", {}, "ffv1", "bgr0"),
        ("a.webp", {"pix_fmt": "gbrap", "alpha": True}, "ffv1", "bgra"),
    ],
)
def test_the_properties_of_the_film_are_kept(tmp_path, target, known, name, pix_fmt):
    encoder, images = write_segment(tmp_path / "0.mkv", film(**known), target)
    assert (encoder.name, encoder.pix_fmt) == (name, pix_fmt)
    assert len(images) == 8
    converter = ColorConverter(dataclasses.replace(film(**known), color=encoder.color))
    largest = 65535 if film(**known).depth == 16 else 255
    for image, frame in zip(images, drawings(film(**known)), strict=True):
        assert np.abs(converter.to_frame(image).astype(int) - frame).mean() < 0.015 * largest


@pytest.mark.parametrize(
    ("target", "known", "codec"),
    [
        ("a.mkv", {}, "auto"),
        ("a.mkv", {"alpha": True}, "auto"),
        ("a.mkv", {"depth": 16}, "auto"),
        ("a.mkv", {"depth": 16, "alpha": True}, "ffv1"),
        ("a.mp4", {}, "auto"),
        ("a.mp4", {"width": 95, "height": 63}, "h265"),
        ("a.webm", {}, "auto"),
        ("a.gif", {"color": ColorInfo(1, 1, 1, 1)}, "auto"),
    ],
)
def test_lossless_is_lossless(tmp_path, target, known, codec):
    of = film(**known)
    _, images = write_segment(tmp_path / "0.mkv", of, target, Encoding(codec, lossless=not target.endswith("gif")))
    converter = ColorConverter(of)
    for image, frame in zip(images, drawings(of), strict=True):
        np.testing.assert_array_equal(converter.to_frame(image), frame)


@pytest.mark.parametrize(
    ("target", "codec"),
    [("a.mp4", "h264"), ("a.mp4", "hevc"), ("a.webm", "vp9"), ("a.mkv", "av1"), ("a.mov", "prores")],
)
def test_the_same_frames_give_the_same_file(tmp_path, target, codec):
    # At this width, 6 blocks, x264's packets differed between runs on CPUs with AVX-512.
    files = set()
    for number in range(6):
        write_segment(tmp_path / f"{number}.mkv", film(), target, Encoding(codec))
        files.add((tmp_path / f"{number}.mkv").read_bytes())
    assert len(files) == 1
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("target", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("codec", ["auto", "h264"])
def test_hdr10_is_kept_to_the_end(tmp_path, target, codec):
    of = film(**HDR)
    encoder, _ = write_segment(tmp_path / "0.mkv", of, target, Encoding(codec))
    join_segments(tmp_path / target, [tmp_path / "0.mkv"], FilmLayout(of, RATE, encoder))
    with av.open(tmp_path / target) as container:
        image = next(container.decode(video=0))
        side = {data.type.name: bytes(data) for data in image.side_data}
        assert container.streams.video[0].codec_context.codec_tag in ("hvc1", "avc1", "[0][0][0][0]", "\0\0\0\0")
    tags = image.color_primaries, image.color_trc, image.colorspace, image.color_range
    assert tuple(map(int, tags)) == (9, 16, 9, 1)
    assert side["CONTENT_LIGHT_LEVEL"] == LIGHT
    assert side["MASTERING_DISPLAY_METADATA"] == SCREEN


def test_alpha_is_kept_to_the_end(tmp_path):
    of = film(pix_fmt="yuva420p", alpha=True)
    encoder, _ = write_segment(tmp_path / "0.mkv", of, "a.webm")
    join_segments(tmp_path / "a.webm", [tmp_path / "0.mkv"], FilmLayout(of, RATE, encoder))
    for image, frame in zip(decode(tmp_path / "a.webm"), drawings(of), strict=True):
        assert np.abs(ColorConverter(of).to_frame(image)[..., 3].astype(int) - frame[..., 3]).mean() < 1.5


@pytest.mark.parametrize("color", [ColorInfo(1, 1, 1, 1), ColorInfo(1, 13, 5, 2), ColorInfo(9, 14, 9, 1), ColorInfo()])
def test_color_tags_are_those_of_the_film(tmp_path, color):
    _, images = write_segment(tmp_path / "0.mkv", film(color=color), "a.mp4")
    first = images[0]
    tags = first.color_primaries, first.color_trc, first.colorspace, first.color_range
    assert ColorInfo(*map(int, tags)) == color


def test_rgb_sources_are_tagged_as_players_expect(tmp_path):
    encoder, _ = write_segment(tmp_path / "0.mkv", film(pix_fmt="gbrp"), "a.mp4")
    assert encoder.color == ColorInfo(1, 1, 6, 1)


@pytest.mark.parametrize(
    ("target", "known", "encoding", "message"),
    [
        ("a.avi", {}, {}, "suffix"),
        ("a", {}, {}, "suffix"),
        ("a.mp4", {"alpha": True}, {}, "alpha"),
        ("a.mkv", {"alpha": True}, {"codec": "h264"}, "alpha"),
        ("a.webm", {}, {"codec": "h264"}, "webm"),
        ("a.mp4", {}, {"codec": "prores"}, "mp4"),
        ("a.mkv", {}, {"codec": "libnothing"}, "libnothing"),
        ("a.mkv", {}, {"codec": "aac"}, "audio"),
        ("a.mkv", {}, {"crf": 52}, "0 to 51"),
        ("a.mkv", {}, {"preset": "quick"}, "medium"),
        ("a.mkv", {}, {"codec": "ffv1", "crf": 9}, "no crf"),
        ("a.mkv", {}, {"codec": "ffv1", "preset": "fast"}, "no preset"),
        ("a.mkv", {}, {"codec": "mpeg4", "crf": 9}, "no crf"),
        ("a.mkv", {}, {"lossless": True, "crf": 9}, "leave out one"),
        ("a.mkv", {}, {"codec": "av1", "lossless": True}, "not lossless"),
        ("a.mp4", {"depth": 16}, {"lossless": True}, "ffv1"),
        ("a.gif", {}, {"codec": "h264"}, "no choice"),
        ("a.mkv", {"width": 20000}, {"codec": "h264"}, "20000x64"),
        ("a.mkv", {}, {"codec": "dnxhd"}, "dnxhd"),
    ],
)
def test_invalid_requests_are_refused_before_the_work(target, known, encoding, message):
    with pytest.raises(UsageError, match=message) as caught:
        choose_encoder(Path(target), film(**known), Encoding(**encoding))
    assert "\n" not in str(caught.value)


def test_options_reach_the_encoder():
    encoder = choose_encoder(Path("a.mkv"), film(), Encoding("libx264", 30, "veryfast"))
    assert (encoder.options["crf"], encoder.options["preset"]) == ("30", "veryfast")
    assert choose_encoder(Path("a.mkv"), film(), Encoding("vp9", preset="5")).options["cpu-used"] == "5"


def test_a_segment_appears_when_it_is_complete(tmp_path):
    encoder = choose_encoder(Path("a.mp4"), film(), Encoding())
    with SegmentWriter(tmp_path / "0.mkv", film(), RATE, encoder) as writer:
        for frame in drawings(film()):
            writer.write(frame)
            assert not (tmp_path / "0.mkv").exists()
    assert writer.frames == 8
    assert [p.name for p in tmp_path.iterdir()] == ["0.mkv"]
    with av.open(tmp_path / "0.mkv") as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(float(RATE), rel=1e-6)


def write_and_interrupt(path: Path, frame: np.ndarray) -> None:
    with SegmentWriter(path, film(), RATE, choose_encoder(Path("a.mp4"), film(), Encoding())) as writer:
        writer.write(frame)
        raise KeyboardInterrupt


def test_an_interrupted_segment_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(tmp_path / "0.mkv", draw_scene(0))
    with pytest.raises(FrameError, match="96x64"):
        write_and_interrupt(tmp_path / "0.mkv", draw_scene(0, (64, 64)))
    with SegmentWriter(tmp_path / "0.mkv", film(), RATE, choose_encoder(Path("a.mp4"), film(), Encoding())):
        pass
    assert not list(tmp_path.iterdir())


def write_all(path: Path, frames: list[np.ndarray], encoder: Any) -> None:
    with SegmentWriter(path, film(), RATE, encoder) as writer:
        for frame in frames:
            writer.write(frame)


def test_a_full_disk_is_reported_in_one_line(tmp_path):
    encoder = choose_encoder(Path("a.mkv"), film(), Encoding("ffv1"))
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limit[1]))
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    try:
        with pytest.raises(FileError, match="free some space"):
            write_all(tmp_path / "0.mkv", [noise] * 20, encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="cannot write"):
        SegmentWriter(tmp_path / "missing" / "0.mkv", film(), RATE, encoder)
