"""Measure what a quality from 0 to 100 means for each encoder: SSIM and PSNR against the source, and the size.

    python benchmarks/encoders.py FILM… [--codecs h264,h265,vp9,av1] [--qualities 0,20,40,60,80,100] [--frames 12]

The first frames of each film are encoded as `animeinterp video` does it; every fourth is compared, in 8 bits. SSIM is
1 minus the geometric mean of 1 - SSIM, so that films that are hard to encode do not decide alone. The values of
`animeinterp/video/sink/encoder_traits.py` were chosen by these figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from animeinterp.frame import Frame
from animeinterp.metrics.image import psnr, ssim
from animeinterp.video.sink.encoders import choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.segments import SegmentWriter
from animeinterp.video.source.color import ColorConverter
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader

COMPARED_STEP = 4  # frames


@dataclass(frozen=True)
class Row:
    """What an encoder makes of all films at one quality.

    Attributes:
        ssim: 1 minus the geometric mean of 1 - SSIM.
        psnr: Mean PSNR, dB.
        rate: Size by duration, kbit/s.
        seconds: CPU seconds of a frame.
    """

    ssim: float
    psnr: float
    rate: float
    seconds: float


def reduce_to_8_bits(frame: Frame) -> NDArray[np.uint8]:
    return np.right_shift(frame, 8 if frame.dtype == np.uint16 else 0).astype(np.uint8)


def measure(films: Sequence[tuple[VideoInfo, list[Frame]]], encoding: Encoding, folder: Path) -> Row:
    """Encode films, decode them and compare."""
    losses, ratios, size, duration, seconds, count = [], [], 0, 0.0, 0.0, 0
    for film, frames in films:
        path = folder / "encoded.mkv"
        encoder = choose_encoder(path, film, encoding)
        began = time.process_time()
        with SegmentWriter(path, film, film.rate, encoder) as writer:
            for frame in frames:
                writer.write(frame)
        seconds += time.process_time() - began
        size, duration, count = size + path.stat().st_size, duration + len(frames) / film.rate, count + len(frames)
        colors = ColorConverter(replace(film, color=encoder.color))
        with av.open(str(path)) as container:
            for number, image in enumerate(container.decode(video=0)):
                if number % COMPARED_STEP == 1:
                    drawn, true = reduce_to_8_bits(colors.to_frame(image)), reduce_to_8_bits(frames[number])
                    losses.append(1 - ssim(drawn, true))
                    ratios.append(psnr(drawn, true))
    loss = float(np.exp(np.mean(np.log(losses))))
    return Row(1 - loss, float(np.mean(ratios)), size * 8 / 1000 / float(duration), seconds / count)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--codecs", default="h264,h265,vp9,av1")
    parser.add_argument("--qualities", default="0,20,40,60,80,100")
    parser.add_argument("--frames", type=int, default=12)
    arguments = parser.parse_args()
    films = []
    for path in arguments.films:
        film = probe(path)
        films.append((film, [timed.frame for timed in islice(Reader(film), arguments.frames)]))
    print("| quality | codec | SSIM | PSNR, dB | kbit/s | CPU s a frame |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for quality in map(int, arguments.qualities.split(",")):
            for codec in arguments.codecs.split(","):
                row = measure(films, Encoding(codec, quality=quality), Path(folder))
                figures = f"{row.ssim:.4f} | {row.psnr:.1f} | {row.rate:.0f} | {row.seconds:.3f}"
                print(f"| {quality} | {codec} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
