"""Convert between the video frames of a film and RGB frames of 8 or 16 bits, in both directions.

Source frames and new frames take the same path to the output, so nothing flickers between them. swscale's fast paths
shift luma by one level and smear chroma; with exact rounding and full chroma, the round trip is off by less than 0.1
of 255 in luma and 0.5 in chroma, which is the cost of subsampling chroma twice.

Matrix: the tagged one; where a file names none, the one that players assume (`assume_matrix`). The new file keeps the
tags, so both are read alike. Matrices that swscale does not know (YCgCo, ICtCp) are replaced by the assumed one in both
directions: a film is unchanged, but RGB images of it have wrong colors.

Chroma location (`VideoInfo.uses_chroma_location`): swscale honors it when it reads, but writes to the center, because
PyAV cannot set it. For YUV targets the center is used in both directions, else chroma would move by half a pixel.

Headroom (`VideoInfo.headroom`): luma outside the limited range (16 to 235 of 8 bits) does not fit into RGB. Films that
use it are read and written as if they had the full range, which leaves 16 levels below black and 20 above white. Source
and new frames take the same path, so nothing flickers; between the two conversions contrast is 14 % lower. Films within
the range, and RGB targets, never take this path. Saturated pixels outside the range that still do not fit keep their
luma and lose some saturation.
"""

from __future__ import annotations

import re
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from animeinterp.frame import Frame
from animeinterp.video.source.info import ColorInfo, VideoInfo

_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# Codes of H.273; swscale's matrices have the same.
_BT709, _BT601_625, _BT2020 = 1, 5, 9
_IDENTITY, _UNSPECIFIED = 0, 2
_DERIVED = (12, 13)  # matrices derived from the primaries
_TRANSFERS_2020 = (14, 15, 16, 18)  # BT.2020 of 10 and 12 bits, PQ, HLG
# H.273's matrices to swscale's: 170M has the coefficients of 601, and swscale has no constant luminance.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_LUMA = {  # weights of red, green and blue in luma, by swscale's matrix
    1: (0.2126, 0.7152, 0.0722), 4: (0.3, 0.59, 0.11), 5: (0.299, 0.587, 0.114), 7: (0.212, 0.701, 0.087),
    9: (0.2627, 0.678, 0.0593),
}  # fmt: skip
_LIMITED, _FULL = 1, 2  # FFmpeg's color ranges
_BLACK, _WHITE = 16, 235  # limited range, levels of 8 bits
_TRANSITION = 4  # levels of 8 bits outside the limited range over which luma is restored
_HD_WIDTH, _HD_HEIGHT = 1280, 720  # px
# The formats of hardware, with interleaved chroma, and the planar ones of the same samples.
PLANAR_FORMATS = {"nv12": "yuv420p", "p010le": "yuv420p10le", "nv16": "yuv422p", "p210le": "yuv422p10le"}
_YUV = re.compile(r"yuv(a?)j?(\d{3})p(\d*)")

Samples = NDArray[np.unsignedinteger[Any]]


class ColorConverter:
    """Convert the frames of one film in both directions. Not thread-safe."""

    def __init__(self, film: VideoInfo) -> None:
        """Prepare the conversion.

        Args:
            film: The film; its color, depth and alpha decide.
        """
        self._film = film
        self._matrix = choose_matrix(film)
        self._rgb = ("gbrap" if film.alpha else "gbrp") + ("16le" if film.depth == 16 else "")
        self._writer, self._reader = VideoReformatter(), VideoReformatter()

    def to_frame(self, video_frame: av.VideoFrame) -> Frame:
        """Convert a decoded frame to RGB. The frame's own tags take precedence: they may change within a film.

        Args:
            video_frame: A frame of the film.

        Returns:
            uint8 or uint16 (H, W, 3), or (H, W, 4) with alpha, of the film's depth.
        """
        film, full = self._film, self._is_full(video_frame)
        expanded = full or not film.headroom
        if video_frame.format.name.startswith("gray") and not full and not film.alpha:
            return self._convert_gray(video_frame, expanded)
        matrix = _MATRICES.get(int(video_frame.colorspace), self._matrix)
        converted = self._reader.reformat(
            video_frame if film.uses_chroma_location else _without_chroma_location(video_frame),
            format=self._rgb,
            interpolation=_EXACT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_FULL if full or not expanded else _LIMITED,
            dst_color_range=_FULL,
        )
        frame = cast(Frame, np.ascontiguousarray(converted.to_ndarray()))
        if film.headroom and expanded:
            frame = _compress_range(frame)
        elif film.headroom and _YUV.match(video_frame.format.name):
            _restore_luma(frame, video_frame, matrix)
        return frame

    def to_video_frame(self, frame: Frame, pix_fmt: str) -> av.VideoFrame:
        """Convert an RGB frame to a video frame.

        Args:
            frame: uint8 or uint16 (H, W, 3 or 4), of the film's depth; alpha that the film does not have is dropped.
            pix_fmt: FFmpeg's name of the pixel format.
        """
        if pix_fmt in PLANAR_FORMATS:
            return _interleave_chroma(self.to_video_frame(frame, PLANAR_FORMATS[pix_fmt]), pix_fmt)
        values = cast(Frame, np.ascontiguousarray(frame[..., : 4 if self._film.alpha else 3]))
        full = self._film.color.range == _FULL or pix_fmt.startswith("yuvj")
        if _YUV.match(pix_fmt) and (full or self._film.headroom):
            return self._to_full_range(values, pix_fmt, headroom=not full)
        video_frame = av.VideoFrame.from_ndarray(values, format=self._rgb)
        if pix_fmt == self._rgb:
            return video_frame
        if is_rgb(pix_fmt):
            return self._writer.reformat(video_frame, format=pix_fmt, interpolation=_EXACT)
        return self._reformat(video_frame, pix_fmt, full=full)

    def _to_full_range(self, frame: Frame, pix_fmt: str, *, headroom: bool) -> av.VideoFrame:
        """Convert a frame to YUV of the full range by way of 16 bits, because swscale truncates chroma of 8 bits."""
        video_frame = av.VideoFrame(frame.shape[1], frame.shape[0], pix_fmt)
        bits = video_frame.format.components[0].bits
        if self._film.depth == 16:
            # swscale shifts to 16 bits when it reads, but multiplies by 257 / 256 when it writes.
            color = np.rint(frame[..., :3] * np.float32(256 / 257)).astype(np.uint16)
            frame = cast(Frame, np.concatenate([color, frame[..., 3:]], axis=2))
            gain = 2.0 ** (bits - 16)
        else:
            gain = 2.0 ** (bits - 8) / 257 if headroom else ((1 << bits) - 1) / 65535
        alpha, subsampling, _ = _YUV.findall(pix_fmt)[0]
        wide = av.VideoFrame.from_ndarray(frame, format=self._rgb)
        wide = self._reformat(wide, f"yuv{alpha}{subsampling}p16le", full=True)
        _round_planes(video_frame, wide, gain)
        return video_frame

    def _reformat(self, video_frame: av.VideoFrame, pix_fmt: str, *, full: bool) -> av.VideoFrame:
        """Convert RGB of the full range to YUV with the film's matrix."""
        return self._writer.reformat(
            video_frame,
            format=pix_fmt,
            interpolation=_EXACT,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=_FULL,
            dst_color_range=_FULL if full else _LIMITED,
        )

    def _is_full(self, video_frame: av.VideoFrame) -> bool:
        """Whether the samples of a frame use their full range."""
        name = video_frame.format.name
        if is_rgb(name) or name.startswith("yuvj"):
            return True
        range = int(video_frame.color_range) or self._film.color.range
        return range == _FULL or (range == 0 and name.startswith(("gray", "ya")))

    def _convert_gray(self, video_frame: av.VideoFrame, expanded: bool) -> Frame:
        """Convert gray of the limited range, which swscale always takes for the full one."""
        name = "gray16le" if self._film.depth == 16 else "gray"
        gray = cast(Frame, self._reader.reformat(video_frame, format=name).to_ndarray())
        if expanded:
            bits, top = video_frame.format.components[0].bits, np.iinfo(gray.dtype).max
            unit = float(top) / ((1 << bits) - 1) * (1 << (bits - 8))
            levels = (gray.astype(np.float32) - _BLACK * unit) * (top / ((_WHITE - _BLACK) * unit))
            gray = np.clip(np.rint(levels), 0, top).astype(gray.dtype)
        return cast(Frame, np.repeat(gray[..., None], 3, axis=2))


def is_rgb(pix_fmt: str) -> bool:
    """Whether a pixel format, by FFmpeg's name, is red, green and blue, or a palette of them."""
    pixels = av.VideoFormat(pix_fmt)
    return pixels.is_rgb or pixels.has_palette


def is_rgb_source(film: VideoInfo) -> bool:
    """Whether a film's frames have no matrix, because they are RGB or gray images of the full range."""
    is_gray = film.pix_fmt.startswith(("gray", "ya", "mono")) and film.color.matrix == _IDENTITY
    return is_gray or is_rgb(film.pix_fmt) or film.is_folder


def choose_matrix(film: VideoInfo) -> int:
    """Return the matrix between a film's YUV and RGB, also for YUV made of an RGB film.

    Args:
        film: The film; `matrix_override` takes precedence over its tags.

    Returns:
        swscale's number of the matrix.
    """
    color = film.color
    if film.matrix_override:
        return film.matrix_override
    if is_rgb_source(film):
        # The primaries do not decide here: those of sRGB are BT.709's at any size.
        is_wide = color.primaries == _BT2020 or color.transfer in _TRANSFERS_2020
        return assume_matrix(color if is_wide else ColorInfo(), film.width, film.height)
    return _MATRICES.get(color.matrix) or assume_matrix(color, film.width, film.height)


def has_supported_matrix(film: VideoInfo) -> bool:
    """Whether RGB images of a film have its colors: not with matrices unknown to swscale, such as YCgCo."""
    supported = {_IDENTITY, _UNSPECIFIED, *_DERIVED, *_MATRICES}
    return is_rgb_source(film) or film.color.matrix in supported or film.pix_fmt.startswith("gray")


def assume_matrix(color: ColorInfo, width: int, height: int) -> int:
    """Return the matrix that players assume where a file names none that they know.

    It is BT.2020 or BT.709 by primaries or transfer, else BT.709 from 1280 px width or 720 px height, else BT.601.

    Args:
        color: Tags of the file.
        width: Width of the film, px.
        height: Height of the film, px.

    Returns:
        swscale's number of the matrix.
    """
    if color.primaries == _BT2020 or color.transfer in _TRANSFERS_2020:
        return _BT2020
    if _BT709 in (color.primaries, color.transfer) or width >= _HD_WIDTH or height >= _HD_HEIGHT:
        return _BT709
    return _BT601_625


def _without_chroma_location(video_frame: av.VideoFrame) -> av.VideoFrame:
    """Copy planar YUV without its chroma location; return other formats unchanged."""
    if not _YUV.match(video_frame.format.name):
        return video_frame
    copy = av.VideoFrame(video_frame.width, video_frame.height, video_frame.format.name)
    for index in range(len(copy.planes)):
        view_samples(copy, index)[:] = view_samples(video_frame, index)
    return copy


def _restore_luma(frame: Frame, video_frame: av.VideoFrame, matrix: int) -> None:
    """Restore the luma of saturated pixels outside the limited range where a channel was clipped, by white or black.

    Args:
        frame: (H, W, 3 or 4) with headroom; changed in place.
        video_frame: The planar YUV from which it was converted.
        matrix: swscale's number of the matrix between the two.
    """
    top = int(np.iinfo(frame.dtype).max)
    level = (top + 1) // 256
    bits = video_frame.format.components[0].bits
    luma = view_samples(video_frame, 0).astype(np.float32) * (level / (1 << (bits - 8)))
    outside = np.maximum(_BLACK * level - luma, luma - _WHITE * level)
    color = frame[..., :3]
    clipped = np.nonzero((outside > 0) & ((color.min(axis=2) == 0) | (color.max(axis=2) >= top - level + 1)))
    if not clipped[0].size:
        return
    values = color[clipped].astype(np.float32)
    current = values @ np.array(_LUMA[matrix], np.float32)
    # The transition is gradual, so that grain around the limit makes no steps.
    target = current + np.minimum(outside[clipped] / (_TRANSITION * level), 1) * (luma[clipped] - current)
    white = np.maximum(target - current, 0) / np.maximum(top - current, 1)
    black = np.minimum(target / np.maximum(current, 1), 1)
    values = values * black[:, None]
    values += (top - values) * white[:, None]
    color[clipped] = np.clip(np.rint(values), 0, top).astype(frame.dtype)


def _compress_range(frame: Frame) -> Frame:
    """Scale true RGB to the levels of frames with headroom: black at 16 of 255, white at 235; alpha is unchanged."""
    top = int(np.iinfo(frame.dtype).max)
    color = np.rint(frame[..., :3].astype(np.float32) * (219 / 255) + top * (16 / 255)).astype(frame.dtype)
    return cast(Frame, np.concatenate([color, frame[..., 3:]], axis=2))


def _round_planes(video_frame: av.VideoFrame, wide: av.VideoFrame, gain: float) -> None:
    """Round 16-bit YUV to a frame of fewer bits, `gain` codes for each of the 16-bit ones; chroma keeps its center."""
    bits = video_frame.format.components[0].bits
    largest = (1 << bits) - 1
    for index in range(len(wide.planes)):
        values = view_samples(wide, index).astype(np.float32)
        if index in (1, 2):
            values = (values - (1 << 15)) * gain + (1 << (bits - 1))
        else:
            values *= gain if index == 0 else max(gain, largest / 65535)  # opaque alpha stays opaque
        samples = view_samples(video_frame, index)
        samples[:] = np.clip(np.rint(values), 0, largest).astype(samples.dtype)


def _interleave_chroma(planar: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """Convert planar YUV to a format of the same samples with interleaved chroma."""
    luma, blue, red = (view_samples(planar, index) for index in range(3))
    packed = av.VideoFrame(planar.width, planar.height, pix_fmt)
    # 10 bits are the upper ones of 16.
    shift = 6 if luma.dtype.itemsize == 2 else 0
    for plane, samples in zip(packed.planes, (luma, np.stack([blue, red], axis=2).reshape(len(blue), -1)), strict=True):
        lines = np.zeros((plane.height, plane.line_size // luma.dtype.itemsize), luma.dtype)
        lines[:, : samples.shape[1]] = samples << shift
        plane.update(lines.tobytes())
    return packed


def view_samples(video_frame: av.VideoFrame, plane_index: int) -> Samples:
    """View the samples of a plane of YUV or gray.

    Args:
        video_frame: The frame that owns the samples.
        plane_index: Number of the plane; 0 = luma.

    Returns:
        uint8, or 16 bits in the byte order of the frame, (h, w).
    """
    plane, pixels = video_frame.planes[plane_index], video_frame.format
    dtype = np.dtype("u1" if pixels.components[0].bits == 8 else ">u2" if pixels.name.endswith("be") else "<u2")
    samples: Samples = np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return samples[: plane.height, : plane.width]
