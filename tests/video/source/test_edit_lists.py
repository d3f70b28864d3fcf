"""Edit lists of MP4: what they hide is not copied, and what they play stays in step with the pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from support.muxed import add_video, decode_audio, encode_images, read_packets, read_times, remux, write_edit_lists

RATE = 48000
SECONDS = 3


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> Path:
    """3 s of pictures; the pitch of the sound, AAC, tells the time: 400 Hz and 400 Hz more each quarter of a second."""
    path = tmp_path_factory.mktemp("steps") / "steps.mp4"
    at = np.arange(SECONDS * RATE)
    wave = (0.3 * np.sin(2 * np.pi * (400 + 400 * (at // (RATE // 4))) * at / RATE)).astype(np.float32)
    with av.open(path, "w") as container:
        stream = add_video(container)
        tone = container.add_stream("aac", rate=RATE)
        tone.codec_context.layout = "mono"
        packets = list(encode_images(stream, 24 * SECONDS))
        for first in range(0, len(at), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
            packets += tone.encode(frame)
        packets += tone.encode(None)
        container.mux(sorted(packets, key=lambda p: p.dts * p.time_base))
    return path


def pitches(wave: np.ndarray) -> list[int]:
    """The pitch in the middle of each eighth of a second, Hz."""
    size = RATE // 8
    parts = [wave[first : first + size] for first in range(0, len(wave) - size // 2, size)]
    loudest = [np.abs(np.fft.rfft(part * np.hanning(len(part)))).argmax() * RATE / len(part) for part in parts]
    return [round(float(pitch) / 400) * 400 for pitch in loudest]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([[(0, 0.5), (2, 0.5)]], [400, 800, 3600, 4000]),
        ([[(1.013, 0.5)]], [2000, 2400]),
        ([[(1.25, 0.25), (0.25, 0.25), (0.25, 0.25)]], [2400, 800, 800]),
        ([[(0, 0.75)], [(0.5, 0.25), (2.25, 0.5)]], [1200, 4000, 4400]),
    ],
    ids=["two segments", "from within", "repeated", "sound alone"],
)
def test_packets_hidden_by_an_edit_list_are_not_copied(steps, tmp_path, suffix, edits, expected):
    source = write_edit_lists(steps, tmp_path / "source.mp4", *edits)
    new = remux(source, tmp_path / f"new{suffix}", count=24)
    assert pitches(decode_audio(new)) == [pitch for pitch in expected for _ in range(2)]
    packets = len(read_packets(new, 1))
    assert packets <= len(expected) / 4 * RATE / 1024 + 2 * len(edits[-1]) + 5  # 5: what decoders need to begin
    assert min(read_times(new, 1)) > -0.11
