"""Quality, bits, options and hardware: every encoder gets its own settings, or a message before any work."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from animeinterp.errors import UsageError
from animeinterp.video.sink import codecs, encoders
from animeinterp.video.sink.encoder_options import build_options
from animeinterp.video.sink.encoder_traits import find_traits, list_option_names
from animeinterp.video.sink.encoders import check_encoding, choose_encoder
from animeinterp.video.sink.encoding import Encoding, parse_encoder_options
from animeinterp.video.sink.hardware import HardwareEncoder, explain_missing, find_hardware
from animeinterp.video.sink.muxing import FilmLayout, join_segments
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.color import PLANAR_FORMATS, ColorConverter
from animeinterp.video.source.info import ColorInfo, VideoInfo
from conftest import draw_scene

FAMILIES = ("nvenc", "qsv", "videotoolbox", "amf")
HARDWARE = [f"{codec}_{family}" for family in FAMILIES for codec in ("h264", "hevc", "av1")]
HARDWARE.remove("av1_videotoolbox")


def film(**known: Any) -> VideoInfo:
    default = {"rate": Fraction(24), "start": Fraction(0), "duration": Fraction(1), "frames": 24, "pix_fmt": "yuv420p"}
    return VideoInfo(**{"path": Path("film.mp4"), "width": 96, "height": 64} | default | known)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("libx264", {"crf": "22"}),
        ("libx265", {"crf": "23"}),
        ("libvpx-vp9", {"crf": "35"}),
        ("libsvtav1", {"crf": "31"}),
        ("libaom-av1", {"crf": "31", "b": "0"}),
        ("h264_nvenc", {"cq": "22", "rc": "vbr", "b": "0"}),
        ("av1_nvenc", {"cq": "31"}),
        ("hevc_qsv", {"global_quality": "22"}),
        ("hevc_videotoolbox", {"global_quality": str(60 * 118), "flags": "+qscale"}),
        ("h264_amf", {"rc": "cqp", "qp_i": "22", "qp_p": "22", "qp_b": "22"}),
        ("hevc_amf", {"rc": "cqp", "qp_i": "22", "qp_p": "22"}),
        ("av1_amf", {"rc": "cqp", "qp_i": "124", "qp_p": "124", "qp_b": "124"}),
    ],
)
def test_one_scale_of_quality_becomes_that_of_the_encoder(name, options):
    assert options.items() <= build_options(name, Encoding(name, quality=60)).items()


@pytest.mark.parametrize("name", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", *HARDWARE])
def test_more_quality_is_never_less_and_fits_the_encoder(name):
    scale = find_traits(name).quality
    values = [scale.convert(quality) for quality in range(101)]
    assert (values[0], values[20], values[80], values[100]) == tuple(scale.values[k] for k in (0, 1, 4, 5))
    assert values == sorted(values, reverse=values[0] > values[-1])
    assert len(set(values)) > 25
    if name in av.codecs_available:
        options = av.CodecContext.create(name, "w").supported_options
        limits = {option.name: option for option in (*options.generic, *options.private)}
        for option in scale.names:
            assert max(1, limits[option].min) <= min(values) * scale.unit <= max(values) * scale.unit
            assert max(values) * scale.unit <= limits[option].max
        assert {option for option, _ in scale.list_options(50)} <= list_option_names(name)


def test_without_quality_hardware_encodes_like_the_default():
    assert build_options("h264_nvenc", Encoding())["cq"] == "16" == build_options("libx264", Encoding())["crf"]


@pytest.mark.parametrize(
    ("name", "preset", "option", "expected"),
    [
        ("libsvtav1", "slow", "preset", "5"),
        ("libsvtav1", "10", "preset", "10"),
        ("libvpx-vp9", "veryslow", "cpu-used", "0"),
        ("libaom-av1", None, "cpu-used", "4"),
        ("h264_nvenc", "medium", "preset", "p5"),
        ("hevc_nvenc", "p7", "preset", "p7"),
        ("h264_qsv", "ultrafast", "preset", "veryfast"),
        ("av1_amf", "fast", "quality", "speed"),
        ("libx264", "slow", "preset", "slow"),
    ],
)
def test_presets_by_the_names_of_x264(name, preset, option, expected):
    assert build_options(name, Encoding(name, preset=preset))[option] == expected


@pytest.mark.parametrize(
    ("codec", "target", "bits", "pix_fmt"),
    [
        ("h264", "a.mp4", 8, "yuv420p"),
        ("h264", "a.mp4", 10, "yuv420p10le"),
        ("h265", "a.mp4", 8, "yuv420p"),
        ("h265", "a.mp4", 10, "yuv420p10le"),
        ("vp9", "a.webm", 8, "yuv420p"),
        ("av1", "a.mkv", 8, "yuv420p"),
        ("av1", "a.mkv", 10, "yuv420p10le"),
        ("prores", "a.mov", 10, "yuv422p10le"),
        ("auto", "a.webm", 10, "yuv420p10le"),
    ],
)
@pytest.mark.parametrize("range", [1, 2])
def test_8_and_10_bits_of_an_8_bit_film_decode_to_it(tmp_path, codec, target, bits, pix_fmt, range):
    of = film(color=ColorInfo(1, 1, 1, range))
    encoder = choose_encoder(Path(target), of, Encoding(codec, bits=bits, quality=None if codec == "prores" else 80))
    frames = [draw_scene(2 * k, (of.width, of.height)) for k in (0, 1, 2)]
    with SegmentWriter(tmp_path / "0.mkv", of, of.rate, encoder) as writer:
        for frame in frames:
            writer.write(frame)
    join_segments(tmp_path / target, [tmp_path / "0.mkv"], FilmLayout(of, of.rate, encoder))
    with av.open(tmp_path / target) as container:
        images = list(container.decode(video=0))
    assert [image.format.name.replace("yuvj", "yuv") for image in images] == [pix_fmt] * 3
    tags = images[0].color_primaries, images[0].color_trc, images[0].colorspace, images[0].color_range
    assert tuple(map(int, tags)) == (1, 1, 1, 1 if codec == "prores" else range)
    converter = ColorConverter(replace(of, color=encoder.color))
    for image, frame in zip(images, frames, strict=True):
        assert np.abs(converter.to_frame(image).astype(int) - frame).mean() < 3


def test_8_bits_of_a_10_bit_film():
    deep = film(pix_fmt="yuv420p10le", depth=16)
    assert choose_encoder(Path("a.mp4"), deep, Encoding(bits=8)).pix_fmt == "yuv420p"
    assert choose_encoder(Path("a.webm"), deep, Encoding(bits=8)).name == "libvpx-vp9"


@pytest.mark.parametrize("pix_fmt", PLANAR_FORMATS)
@pytest.mark.parametrize("size", [(96, 64), (94, 62)])
def test_the_formats_of_hardware_hold_the_same_samples(pix_fmt, size):
    of = film(width=size[0], height=size[1], color=ColorInfo(1, 1, 1, 2))
    frame = draw_scene(3, size)
    planar = ColorConverter(of).to_video_frame(frame, PLANAR_FORMATS[pix_fmt])
    packed = ColorConverter(of).to_video_frame(frame, pix_fmt)
    assert packed.format.name == pix_fmt
    back = packed.reformat(format=planar.format.name)
    for mine, theirs in zip(planar.planes, back.planes, strict=True):
        bytes_used = mine.width * planar.format.components[0].bits // 8 if "10" not in pix_fmt else mine.width * 2
        lines = [
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, :bytes_used]
            for plane in (mine, theirs)
        ]
        np.testing.assert_array_equal(*lines)


def test_options_of_the_user_reach_the_encoder():
    own = {"tune": "animation", "g": "50", "x264-params": "aq-mode=3"}
    options = choose_encoder(Path("a.mkv"), film(), Encoding(encoder_options=own)).options
    assert (options["tune"], options["g"], options["crf"]) == ("animation", "50", "16")
    assert options["x264-params"].endswith("aq-mode=3")
    rate = choose_encoder(Path("a.mkv"), film(), Encoding(encoder_options={"b": "1M"})).options
    assert "crf" not in rate, "it would take precedence over the bit rate"


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (Encoding(encoder_options={"tunne": "animation"}), "did you mean tune"),
        (Encoding(encoder_options={"tune": "film,animatio"}), "animation.*film,animatio"),
        (Encoding("h265", encoder_options={"tune": "animatio"}), "tune=animatio"),
        (Encoding(encoder_options={"g": "a lot"}), "refuses the encoder option g=a lot"),
        (Encoding(encoder_options={"x264-params": "aq-mode=3:nonsense=1"}), "nonsense"),
        (Encoding("h265", encoder_options={"x265-params": "nonsense=1"}), "nonsense"),
        (Encoding("av1", encoder_options={"svtav1-params": "nonsense=1"}), "nonsense"),
        (Encoding(encoder_options={"crf": "20"}), "--crf"),
        (Encoding("av1", encoder_options={"preset": "2"}), "--preset"),
        (Encoding(encoder_options={"colorspace": "bt709"}), "set by the program"),
        (Encoding(encoder_options={"stats": "log"}), "set by the program"),
        (Encoding(encoder_options={"b": "1M"}, quality=50), "contradicts quality"),
        (Encoding("h264", encoder_options={"qp": "9"}, lossless=True), "contradicts lossless"),
        (Encoding(encoder_options={"g": "1\0002"}), "printable"),
        (Encoding(quality=50, crf=20), "leave out one"),
        (Encoding(quality=50, lossless=True), "leave out one"),
        (Encoding(bits=10, lossless=True), "leave out one"),
        (Encoding(quality=101), "0 to 100"),
        (Encoding(quality=50.5), "0 to 100"),  # type: ignore[arg-type]
        (Encoding(encoder_options={"g": 50}), "printable text"),  # type: ignore[dict-item]
        (Encoding(bits=12), "8 or 10"),
        (Encoding("prores", quality=50), "no quality"),
        (Encoding("mpeg4", quality=50), "no quality"),
        (Encoding("prores", bits=8), "cannot encode 8 bits"),
        (Encoding("mpeg4", bits=10), "cannot encode 10 bits"),
        (Encoding("h264_nvenc", crf=20), "NVENC"),
        (Encoding("ffv1", bits=10), "keeps the bits"),
    ],
)
def test_mistaken_settings_are_refused_in_one_line(encoding, message):
    with pytest.raises(UsageError, match=message) as caught:
        choose_encoder(Path("a.mov" if encoding.codec == "prores" else "a.mkv"), film(), encoding)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["a.gif", "a.webp", "folder"])
@pytest.mark.parametrize("setting", [{"quality": 50}, {"bits": 8}, {"codec": "h264"}, {"encoder_options": {"g": "1"}}])
def test_targets_without_a_codec_refuse_its_settings(target, setting):
    with pytest.raises(UsageError, match="no choice of codec"):
        check_encoding(Path(target), Encoding(**setting))
    check_encoding(Path(target), Encoding(lossless=True))


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        ([], {}),
        (["g=50", "x264-params=a=1:b=2"], {"g": "50", "x264-params": "a=1:b=2"}),
        (["tune=$(reboot) `x` %s"], {"tune": "$(reboot) `x` %s"}),
    ],
)
def test_the_value_is_all_behind_the_first_equals_sign(texts, options):
    assert parse_encoder_options(texts) == options


@pytest.mark.parametrize("texts", [["g"], ["=3"], ["g="], ["g=1", "g=2"], ["g=\x1b[2J"], ["\udcff=1"], ["g=\udcff"]])
def test_other_forms_of_options_are_refused(texts):
    with pytest.raises(UsageError) as caught:
        parse_encoder_options(texts)
    assert str(caught.value).isascii()


@pytest.mark.parametrize("name", HARDWARE)
def test_missing_hardware_is_named_before_the_film_is_read(name, monkeypatch):
    monkeypatch.setattr(encoders, "_can_encode", lambda *_: False)
    encoders._check_hardware.cache_clear()
    with pytest.raises(UsageError, match=f"^{name} needs ") as caught:
        check_encoding(Path("a.mkv"), Encoding(name, quality=50))
    codec, family = name.split("_")
    assert {"nvenc": "NVIDIA", "qsv": "Intel", "videotoolbox": "Mac", "amf": "AMD"}[family] in str(caught.value)
    assert f"choose --codec {codec.replace('hevc', 'h265')} instead" in str(caught.value)


def test_the_reason_is_that_of_ffmpeg():
    hardware = find_hardware("h264_nvenc")
    assert isinstance(hardware, HardwareEncoder)
    message = explain_missing(hardware, "Driver does not support\n the API\x1b. " + "x" * 500)
    assert "Driver does not support" in message
    assert message.isprintable()
    assert len(message) < 300
    assert find_hardware("libx264") is None is find_hardware("prores_ks")


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available, reason="this build of FFmpeg has no NVENC")
def test_ffmpeg_s_own_message_is_found_each_time():
    encoders._check_hardware.cache_clear()
    messages = set()
    for _ in range(2):
        try:
            encoders._check_hardware("h264_nvenc")
        except UsageError as error:
            messages.add(str(error))
    assert len(messages) <= 1
    assert not any("no reason" in message for message in messages)


@pytest.fixture
def with_hardware(monkeypatch):
    """Every encoder of this build works, in every format that it lists."""
    monkeypatch.setattr(encoders, "_can_encode", lambda *_: True)
    encoders._check_hardware.cache_clear()
    yield
    encoders._check_hardware.cache_clear()


def choose(name: str, of: VideoInfo, **settings: Any) -> str:
    if name not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {name}")
    return choose_encoder(Path("a.mkv"), of, Encoding(name, **settings)).pix_fmt


@pytest.mark.parametrize(
    ("name", "bits", "pix_fmt"),
    [
        ("h264_nvenc", None, "yuv420p"),
        ("hevc_nvenc", 10, "p010le"),
        ("av1_nvenc", 10, "p010le"),
        ("h264_qsv", None, "nv12"),
        ("hevc_qsv", 10, "p010le"),
        ("av1_amf", 10, "p010le"),
        ("h264_amf", 8, "yuv420p"),
    ],
)
def test_hardware_gets_the_formats_that_it_has(with_hardware, name, bits, pix_fmt):
    assert choose(name, film(), bits=bits) == pix_fmt


@pytest.mark.parametrize("name", ["h264_nvenc", "h264_qsv", "h264_amf"])
def test_h264_in_hardware_has_8_bits(with_hardware, name):
    assert choose(name, film(pix_fmt="yuv420p10le", depth=16)) in ("yuv420p", "nv12")
    with pytest.raises(UsageError, match="cannot encode 10 bits"):
        choose(name, film(), bits=10)
    with pytest.raises(UsageError, match="give --quality instead"):
        choose(name, film(), crf=20)


def test_av1_falls_back_to_libaom(monkeypatch):
    assert codecs.find_codec("av1") == "libsvtav1"
    monkeypatch.setattr(codecs, "_is_in_build", lambda name: name == "libaom-av1")
    assert codecs.find_codec("av1") == "libaom-av1"
    monkeypatch.setattr(codecs, "_is_in_build", lambda name: False)
    with pytest.raises(UsageError, match="no encoder libsvtav1"):
        check_encoding(Path("a.mkv"), Encoding("av1"))
