"""Make files with audio, subtitles and other streams, and read them back."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.muxing import FilmLayout, join_segments
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from conftest import draw_scene

MS = Fraction(1, 1000)
ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
SUBTITLES = [(100, 400, "Hello <i>there</i>"), (600, 300, "Second line"), (1200, 500, "Third")]


def make_packet(stream: Any, data: bytes, time: int, length: int) -> av.Packet:
    made = av.Packet(data)
    made.pts = made.dts = time
    made.duration, made.time_base, made.stream = length, MS, stream
    return made


def add_sine(container: Any, codec: str, rate: int = 48000, pitch: float = 440) -> Any:
    stream = container.add_stream(codec, rate=rate)
    stream.codec_context.layout = "stereo"
    stream.codec_context.time_base = Fraction(1, rate)
    stream.metadata["pitch"] = str(pitch)
    return stream


def encode_sine(stream: Any, seconds: float, delay: Fraction = Fraction(0)) -> Iterator[av.Packet]:
    rate, pitch = stream.codec_context.sample_rate, float(stream.metadata.pop("pitch"))
    kind = stream.codec_context.format.name
    size = 1024
    for first in range(0, int(seconds * rate), size):
        wave = np.sin(2 * np.pi * pitch * np.arange(first, first + size) / rate) * 0.3
        both = np.stack([wave, wave]).astype(np.float32)
        samples = both if kind == "fltp" else (both.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp" if kind == "fltp" else "s16", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), first + int(delay * rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def encode_images(stream: Any, count: int, start: int = 0) -> Iterator[av.Packet]:
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(draw_scene(number % 12), format="rgb24")
        frame.pts, frame.time_base = number + start, Fraction(1, 24)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def add_video(container: Any) -> Any:
    stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 24)
    return stream


def encode_png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw_scene(0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_segments(
    folder: Path, film: VideoInfo, target: Path, *, rate: Fraction = Fraction(48), count: int = 96, **settings: Any
) -> tuple[list[Path], Any]:
    """Write segments of moving drawings, as a run leaves them; return them and their encoder."""
    quick = {"preset": "8" if target.suffix == ".webm" else "veryfast"}
    encoder = choose_encoder(target, film, Encoding(**quick | settings))
    folder.mkdir(exist_ok=True)
    paths, size = [], 40
    for first in range(0, count, size):
        paths.append(folder / f"{first:06}.mkv")
        with SegmentWriter(paths[-1], film, rate, encoder) as writer:
            for number in range(first, min(first + size, count)):
                writer.write(draw_scene(number % 24, (film.width, film.height)))
    return paths, encoder


def remux(source: Path, target: Path, **options: Any) -> Path:
    """Replace the video of a file by moving drawings; keep its other streams."""
    film = probe(source)
    rate = options.pop("rate", Fraction(48))
    settings = {name: options.pop(name) for name in ("codec", "preset", "count") if name in options}
    paths, encoder = write_segments(target.with_suffix(".parts"), film, target, rate=rate, **settings)
    assert join_segments(target, paths, FilmLayout(film, rate, encoder, source=source, **options)) == 0
    assert not list(target.parent.glob(".*.part"))
    return target


def read_packets(path: Path, index: int) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(p) for p in container.demux(container.streams[index]) if p.size]


def read_times(path: Path, index: int) -> list[Fraction]:
    with av.open(path) as container:
        return [p.pts * p.time_base for p in container.demux(container.streams[index]) if p.size]


def decode_audio(path: Path, index: int = 0) -> np.ndarray:
    """Decode an audio stream from time 0 on to one channel."""
    with av.open(path) as container:
        stream = container.streams.audio[index]
        frames = list(container.decode(stream))
        early = frames[0].pts * frames[0].time_base
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler("fltp", "mono", rate)
        wave = np.concatenate([part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)])
    silence = np.zeros(max(0, round(early * rate)), np.float32)
    return np.concatenate([silence, wave[max(0, round(-early * rate)) :]])


def measure_pitch(wave: np.ndarray, rate: int) -> float:
    """Return the loudest frequency, Hz."""
    part = wave[rate // 4 : rate // 4 + rate // 2]
    return float(np.abs(np.fft.rfft(part * np.hanning(len(part)))).argmax() * rate / len(part))


def write_edit_lists(source: Path, target: Path, *edits: list[tuple[float, float]]) -> Path:
    """Copy an MP4 and give its tracks edit lists, one for each track or one for all.

    edits: (start in the track, length), s; a start of -1 is an empty edit.
    """
    data = source.read_bytes()
    moov = dict(_boxes(data))[b"moov"]
    (scale,) = struct.unpack_from(">I", dict(_boxes(moov))[b"mvhd"], 12)
    parts, track = [], 0
    for name, content in _boxes(moov):
        if name == b"trak":
            media = dict(_boxes(dict(_boxes(content))[b"mdia"]))[b"mdhd"]
            (tick,) = struct.unpack_from(">I", media, 12)
            old = dict(_boxes(content)).get(b"edts")
            base = 0 if old is None else max(0, struct.unpack_from(">i", old, 8 + 8 + 4)[0])
            segments = edits[min(track, len(edits) - 1)]
            entries = b"".join(
                struct.pack(">IiHH", round(length * scale), -1 if start < 0 else base + round(start * tick), 1, 0)
                for start, length in segments
            )
            edit = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(segments)) + entries))
            others = [_box(n, c) for n, c in _boxes(content) if n != b"edts"]
            content, track = others[0] + edit + b"".join(others[1:]), track + 1
        parts.append(_box(name, content))
    rest = [_box(n, c) for n, c in _boxes(data) if n != b"moov"]
    target.write_bytes(b"".join(rest) + _box(b"moov", b"".join(parts)))
    return target


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + size]
        at += size


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content
