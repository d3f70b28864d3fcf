"""Films and frames with given YUV samples, and films with alpha."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from animeinterp.video.source.info import ColorInfo, VideoInfo

UNTAGGED = ColorInfo()
Planes = Sequence[np.ndarray]


def flat(size: tuple[int, int], *levels: Sequence[int], kind: Any = np.uint8) -> list[np.ndarray]:
    """Vertical stripes of Y, Cb, Cr with chroma of half the size, (h, w) each."""
    width, height = size
    edges = np.linspace(0, width, len(levels) + 1).astype(int)
    planes = [np.empty((height, width), kind), *(np.empty((height // 2, width // 2), kind) for _ in range(2))]
    for (first, last), level in zip(pairwise(edges), levels, strict=True):
        for plane, value, share in zip(planes, level, (1, 2, 2), strict=True):
            plane[:, first // share : last // share] = value
    return planes


def yuv_frame(planes: Planes, pix_fmt: str = "yuv420p", color: ColorInfo = UNTAGGED) -> av.VideoFrame:
    video_frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for plane, values in zip(video_frame.planes, planes, strict=False):
        samples = np.frombuffer(plane, values.dtype).reshape(-1, plane.line_size // values.itemsize)
        samples[: values.shape[0], : values.shape[1]] = values
    video_frame.color_primaries, video_frame.color_trc = color.primaries, color.transfer
    video_frame.colorspace, video_frame.color_range = color.matrix, color.range
    return video_frame


def planes_of(video_frame: av.VideoFrame) -> list[np.ndarray]:
    kind = np.uint8 if video_frame.format.components[0].bits == 8 else np.uint16
    size = np.dtype(kind).itemsize
    return [
        np.frombuffer(plane, kind).reshape(-1, plane.line_size // size)[: plane.height, : plane.width].copy()
        for plane in video_frame.planes
    ]


def yuv_film(
    path: Path, frames: Sequence[Planes], pix_fmt: str = "yuv420p", color: ColorInfo = UNTAGGED, **options: str
) -> Path:
    """A film, FFV1, of exactly these numbers and tags."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("ffv1", rate=12, options=options)
        stream.height, stream.width = frames[0][0].shape
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace, context.color_range = color.matrix, color.range
        for number, planes in enumerate(frames):
            video_frame = yuv_frame(planes, pix_fmt, color)
            video_frame.pts, video_frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(video_frame))
        container.mux(stream.encode(None))
    return path


def film(**known: Any) -> VideoInfo:
    usual = {"rate": Fraction(24), "start": Fraction(0), "duration": Fraction(1), "frames": 24, "pix_fmt": "yuv420p"}
    return VideoInfo(**{"path": Path("film.mkv"), "width": 96, "height": 64} | usual | known)


def rgba_film(path: Path, transparent: Sequence[int] = ()) -> Path:
    """Six frames with alpha, opaque but for one pixel of those that are transparent."""
    with av.open(path, "w") as container:
        pix_fmt, codec = {
            ".mkv": ("bgra", "ffv1"),
            ".mov": ("yuva444p10le", "prores_ks"),
            ".webm": ("yuva420p", "libvpx-vp9"),
        }[path.suffix]
        stream: Any = container.add_stream(codec, rate=12)
        if path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        for number in range(6):
            frame = np.full((64, 96, 4), 255, np.uint8)
            frame[10:30, 10 + 4 * number : 30 + 4 * number, :3] = 60
            if number in transparent:
                frame[40:56, 40:56, 3] = 0
            video_frame = av.VideoFrame.from_ndarray(frame, format="rgba")
            video_frame.pts, video_frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(video_frame))
        container.mux(stream.encode(None))
    return path
