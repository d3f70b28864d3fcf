"""Only video containers are opened, from local files, and only up to the largest supported size."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest

from animeinterp.errors import FileError, FrameError
from animeinterp.video.source.container import open_film
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from support.films import figure, make_film

PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n",
    "list.mkv": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n",
    "concat.mkv": "ffconcat version 1.0\nfile real.ts\n",
    "concat:real.ts": "no film",
    "film.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "film.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
    "film.lua": "lavfi testsrc",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_and_scripts_are_not_films(name, tmp_path, monkeypatch):
    if os.name == "nt" and ":" in name:
        pytest.skip("Windows has no such names")
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "real.ts", [figure(k) for k in range(4)])
    (tmp_path / name).write_text(PLAYLISTS[name])
    for path in (tmp_path / name, type(tmp_path)(name)):
        with pytest.raises(FileError, match="not a film"):
            probe(path)


@pytest.mark.parametrize(
    "name", ["Re:Zero 01.mkv", "-a.mkv", "%03d.mkv", "a?b#c.mkv", "file:a.mkv", "動画.mkv", "a..."]
)
def test_ffmpeg_does_not_interpret_file_names(name, tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "real.mkv", [figure(k) for k in range(4)]).rename(tmp_path / name)
    assert probe(type(tmp_path)(name)).frames == 4


def test_inputs_that_can_be_read_only_once_are_refused(tmp_path):
    with pytest.raises(FileError, match="standard input"):
        open_film(type(tmp_path)("-"))
    with pytest.raises(FileError, match="a folder"):
        open_film(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mkv")
        with pytest.raises(FileError, match="named pipe"):
            probe(tmp_path / "pipe.mkv")


def test_a_large_size_is_refused_before_anything_is_decoded(tmp_path):
    frame = b"\x21\xf9\x04\0\x08\0\0\0\x2c" + struct.pack("<4H", 0, 0, 1, 1) + b"\0\x02\x02\x4c\x01\0"
    path = tmp_path / "a.gif"
    path.write_bytes(b"GIF89a" + struct.pack("<2H", 16000, 16000) + b"\x80\0\0" + bytes(6) + 3 * frame + b";")
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((FileError, FrameError), match="pixels"):
        probe(path)
    unit = 1 if sys.platform == "darwin" else 1024
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert used < 16000 * 16000, "a canvas has at least one byte per pixel"


def png(width, height):
    """A PNG that declares this size and holds less."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("first", [0, 2])
def test_frames_larger_than_declared_are_not_decoded(first, tmp_path):
    path = tmp_path / "a.mov"
    with av.open(path, "w") as container:
        stream = container.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        for number in range(4):
            video_frame = av.VideoFrame.from_ndarray(figure(number), format="rgb24")
            video_frame.pts, video_frame.time_base = number, Fraction(1, 24)
            for packet in stream.encode(video_frame):
                if number >= first:
                    large = av.Packet(png(12000, 12000))
                    large.pts, large.dts, large.time_base = packet.pts, packet.dts, packet.time_base
                    large.stream, large.is_keyframe = stream, True
                    packet = large
                container.mux_one(packet)
    if not first:
        with pytest.raises((FileError, FrameError)):
            probe(path)
        return
    reader = Reader(probe(path))
    shapes = {shown.frame.shape for shown in reader}
    assert shapes == {(64, 96, 3)}
    assert reader.damaged == 2


def test_unreadable_tags_do_not_matter(tmp_path):
    path = make_film(tmp_path / "a.avi", [figure(k) for k in range(4)], codec="mpeg4", setup=_titled)
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"\xff\xfe\xfd\xfc\xfb"))
    assert probe(path).frames == 4
    assert np.array_equal(next(iter(Reader(probe(path)))).frame.shape, (64, 96, 3))


def _titled(container, stream):
    container.metadata["title"] = "TITLE"
