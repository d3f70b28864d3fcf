"""The one way between a film's pixels and the frames that are drawn on: RGB, 8 or 16 bits, and back.

Originals and new frames take the same way out, so that nothing flickers between them. FFmpeg's quick ways shift luma by
one step and smear chroma; with exact rounding and full chroma the way there and back is off by less than
0.1 of 255 in luma and 0.5 in chroma, which is what halving the chroma twice costs.

Matrix: the tagged one; where a file names none, what players assume (`assume_matrix`). The new file gets the old one's
tags, and both are read alike. Matrices that swscale does not know (YCgCo, ICtCp) are replaced by the assumed one in
both directions: a film stays as it is, but RGB images of it have wrong colors.

Chroma siting (`VideoInfo.uses_chroma_location`): swscale heeds where a source's chroma lies, but takes the center on
the way out, because PyAV cannot tell it. For YUV targets the center is taken both
ways, or chroma would move by half a pixel.

Headroom (`Film.headroom`): luma outside the limited range (16 to 235 of 8 bits) does not fit into RGB. Films that use
it are read and written as if they were of the full range, which leaves 16 levels below black and 20 above white. Shown
and drawn frames take the same way, so nothing flickers; in between, the contrast is 14 % lower. Films that keep to the
range do not take this way, and RGB targets never. Tinted pixels outside the range that still do not fit keep their luma
and lose some of their tint.
"""

from __future__ import annotations

import re
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from animeinterp.frame import Frame
from animeinterp.video.source.info import ColorInfo, VideoInfo

_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_BT709, _BT601, _BT2020 = 1, 5, 9
# H.273's code → swscale's; 170M has the numbers of 601, and swscale has no constant luminance.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_LUMA = {  # what red, green and blue add to luma, by swscale's number
    1: (0.2126, 0.7152, 0.0722), 4: (0.3, 0.59, 0.11), 5: (0.299, 0.587, 0.114), 7: (0.212, 0.701, 0.087),
    9: (0.2627, 0.678, 0.0593),
}  # fmt: skip
_BLACK, _WHITE, _GRADUAL = 16, 235, 4  # levels of 8 bits
_DERIVED = (12, 13)  # from the primaries
_IDENTITY, _UNSPECIFIED = 0, 2
_TRANSFERS_2020 = (14, 15, 16, 18)  # BT.2020 of 10 and 12 bits, PQ, HLG
_HD = 1280, 720  # px
_LIMITED, _FULL = 1, 2
_YUV = re.compile(r"yuv(a?)j?(\d{3})p(\d*)")


class ColorConverter:
    """Both ways, for one film. Not to be shared by threads."""

    def __init__(self, film: VideoInfo) -> None:
        self._film = film
        self._matrix = choose_matrix(film)
        self._rgb = ("gbrap" if film.alpha else "gbrp") + ("16le" if film.depth == 16 else "")
        self._out, self._in = VideoReformatter(), VideoReformatter()

    def to_frame(self, picture: av.VideoFrame) -> Frame:
        """Convert a decoded picture to (H, W, 3) RGB, or (H, W, 4) with alpha, of the film's depth.

        Tags of the picture's own take precedence: they may change within a film.
        """
        full = self._is_full(picture)
        expanded = full or not self._film.headroom
        if picture.format.name.startswith("gray") and not full and not self._film.alpha:
            return self._of_gray(picture, expanded)
        matrix = _MATRICES.get(int(picture.colorspace), self._matrix)
        converted = self._in.reformat(
            picture if self._film.uses_chroma_location else _unsited(picture),
            format=self._rgb,
            interpolation=_EXACT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_FULL if full or not expanded else _LIMITED,
            dst_color_range=_FULL,
        )
        values: Any = np.ascontiguousarray(converted.to_ndarray())
        frame: Frame = values
        if self._film.headroom and expanded:
            frame = _into_limited_range(frame)
        elif self._film.headroom and _YUV.match(picture.format.name):
            _keep_luma(frame, picture, matrix)
        return frame

    def to_video_frame(self, frame: Frame, pix_fmt: str) -> av.VideoFrame:
        """Convert a frame to a picture of the given pixels. Alpha that the film does not have is left out."""
        values: Any = np.ascontiguousarray(frame[..., : 4 if self._film.alpha else 3])
        full = self._film.color.range == _FULL or pix_fmt.startswith("yuvj")
        if _YUV.match(pix_fmt) and (full or self._film.headroom):
            return self._to_full_range(values, pix_fmt, headroom=not full)
        picture = av.VideoFrame.from_ndarray(values, format=self._rgb)
        if is_rgb(pix_fmt):
            same = pix_fmt == self._rgb
            return picture if same else self._out.reformat(picture, format=pix_fmt, interpolation=_EXACT)
        return self._reformat_out(picture, pix_fmt, full=full)

    def _to_full_range(self, frame: Any, pix_fmt: str, *, headroom: bool) -> av.VideoFrame:
        """Convert a frame to YUV of the full range by way of 16 bits, because swscale truncates chroma of 8."""
        picture = av.VideoFrame(frame.shape[1], frame.shape[0], pix_fmt)
        bits = picture.format.components[0].bits
        if self._film.depth == 16:
            # swscale shifts to 16 bits on the way in, but multiplies by 257 / 256 on the way out
            color = np.rint(frame[..., :3] * np.float32(256 / 257)).astype(np.uint16)
            frame = np.concatenate([color, frame[..., 3:]], axis=2)
            gain = 2.0 ** (bits - 16)
        else:
            gain = 2.0 ** (bits - 8) / 257 if headroom else ((1 << bits) - 1) / 65535
        wide = av.VideoFrame.from_ndarray(frame, format=self._rgb)
        parts: Any = _YUV.match(pix_fmt)
        _round_into(picture, self._reformat_out(wide, f"yuv{parts[1]}{parts[2]}p16le", full=True), gain)
        return picture

    def _reformat_out(self, picture: av.VideoFrame, pix_fmt: str, *, full: bool) -> av.VideoFrame:
        return self._out.reformat(
            picture,
            format=pix_fmt,
            interpolation=_EXACT,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=_FULL,
            dst_color_range=_FULL if full else _LIMITED,
        )

    def _is_full(self, picture: av.VideoFrame) -> bool:
        """Whether a picture's numbers use their full range."""
        name = picture.format.name
        if is_rgb(name) or name.startswith("yuvj"):
            return True
        range = int(picture.color_range) or self._film.color.range
        return range == _FULL or (range == 0 and name.startswith(("gray", "ya")))

    def _of_gray(self, picture: av.VideoFrame, expanded: bool) -> Frame:
        """Convert gray of the limited range, which swscale always takes for the full one."""
        deep = self._film.depth == 16
        gray: Any = self._in.reformat(picture, format="gray16le" if deep else "gray").to_ndarray()
        if expanded:
            bits = picture.format.components[0].bits
            unit = float(np.iinfo(gray.dtype).max) / ((1 << bits) - 1) * (1 << (bits - 8))
            levels = (gray.astype(np.float32) - 16 * unit) * (np.iinfo(gray.dtype).max / (219 * unit))
            gray = np.clip(np.rint(levels), 0, np.iinfo(gray.dtype).max).astype(gray.dtype)
        return np.repeat(gray[..., None], 3, axis=2)


def is_rgb(pix_fmt: str) -> bool:
    """Whether pixels of this name are red, green and blue."""
    pixels = av.VideoFormat(pix_fmt)
    return pixels.is_rgb or pixels.has_palette


def is_rgb_source(film: VideoInfo) -> bool:
    """Whether a film's frames have no matrix, because they are RGB, or gray images of the full range."""
    gray = film.pix_fmt.startswith(("gray", "ya", "mono")) and film.color.matrix == _IDENTITY
    return gray or is_rgb(film.pix_fmt) or film.is_folder


def choose_matrix(film: VideoInfo) -> int:
    """Return the matrix, as swscale numbers it, between a film's YUV and RGB, also of YUV that is made of RGB."""
    color = film.color
    if film.matrix_override:
        return film.matrix_override
    if is_rgb_source(film):
        # Primaries say nothing here: those of sRGB are BT.709's, at any size.
        wide = color.primaries == _BT2020 or color.transfer in _TRANSFERS_2020
        return assume_matrix(color if wide else ColorInfo(), film.width, film.height)
    return _MATRICES.get(color.matrix) or assume_matrix(color, film.width, film.height)


def has_supported_matrix(film: VideoInfo) -> bool:
    """Whether RGB images of a film have its colors: not with matrices that swscale does not know, such as YCgCo."""
    readable = {_IDENTITY, _UNSPECIFIED, *_DERIVED, *_MATRICES}
    return is_rgb_source(film) or film.color.matrix in readable or film.pix_fmt.startswith("gray")


def assume_matrix(color: ColorInfo, width: int, height: int) -> int:
    """Return the matrix, as swscale numbers it, that players assume where a file names none that they know.

    BT.2020 or BT.709 where the primaries or the transfer say so, BT.709 from 720 lines or 1280 px on, BT.601 below.

    Args:
        color: The file's tags.
        width: Of the film, px.
        height: Of the film, px.
    """
    if color.primaries == _BT2020 or color.transfer in _TRANSFERS_2020:
        return _BT2020
    if _BT709 in (color.primaries, color.transfer) or width >= _HD[0] or height >= _HD[1]:
        return _BT709
    return _BT601


def _unsited(picture: av.VideoFrame) -> av.VideoFrame:
    """A copy of planar YUV that does not say where its chroma lies."""
    if not _YUV.match(picture.format.name):
        return picture
    copy = av.VideoFrame(picture.width, picture.height, picture.format.name)
    planes: Any = zip(picture.planes, copy.planes, strict=True)
    for source, target in planes:
        size = min(source.line_size, target.line_size)
        rows = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)[: source.height, :size]
        np.frombuffer(target, np.uint8).reshape(-1, target.line_size)[: target.height, :size] = rows
    return copy


def _keep_luma(frame: Frame, picture: av.VideoFrame, matrix: int) -> None:
    """Restore the luma of tinted pixels outside the limited range, where a channel was clipped: mix in white or black.

    Args:
        frame: (H, W, 3 or 4) with headroom; changed in place.
        picture: What it was made of, planar YUV.
        matrix: Between the two, as swscale numbers it.
    """
    top = int(np.iinfo(frame.dtype).max)
    level = (top + 1) // 256
    bits = picture.format.components[0].bits
    codes = _samples(picture.planes[0], 1 if bits == 8 else 2).astype(np.float32)
    luma = codes * (level / (1 << (bits - 8)))
    outside = np.maximum(_BLACK * level - luma, luma - _WHITE * level)
    color = frame[..., :3]
    places = np.nonzero((outside > 0) & ((color.min(axis=2) == 0) | (color.max(axis=2) >= top - level + 1)))
    if not places[0].size:
        return
    values = color[places].astype(np.float32)
    had = values @ np.array(_LUMA[matrix], np.float32)
    # Little by little, so that grain around the limit makes no steps.
    wanted = had + np.minimum(outside[places] / (_GRADUAL * level), 1) * (luma[places] - had)
    brighter = np.maximum(wanted - had, 0) / np.maximum(top - had, 1)
    darker = np.minimum(wanted / np.maximum(had, 1), 1)
    values = values * darker[:, None]
    values += (top - values) * brighter[:, None]
    color[places] = np.clip(np.rint(values), 0, top).astype(frame.dtype)


def _into_limited_range(frame: Frame) -> Frame:
    """Bring true RGB to the levels of frames with headroom: black at 16 of 255, white at 235; alpha stays."""
    top = int(np.iinfo(frame.dtype).max)
    color = np.rint(frame[..., :3].astype(np.float32) * (219 / 255) + top * (16 / 255)).astype(frame.dtype)
    return np.concatenate([color, frame[..., 3:]], axis=2)


def _round_into(picture: av.VideoFrame, wide: av.VideoFrame, gain: float) -> None:
    """Round 16-bit YUV to a picture of fewer bits and the same subsampling; chroma keeps its center.

    gain: codes of the picture for one of the 16-bit ones.
    """
    bits = picture.format.components[0].bits
    largest = (1 << bits) - 1
    for number, (source, target) in enumerate(zip(wide.planes, picture.planes, strict=True)):
        values = _samples(source, 2).astype(np.float32)
        if number in (1, 2):
            values = (values - (1 << 15)) * gain + (1 << (bits - 1))
        else:
            values *= gain if number == 0 else max(gain, largest / 65535)  # what is opaque stays so
        samples = _samples(target, 2 if bits > 8 else 1)
        samples[:] = np.clip(np.rint(values), 0, largest).astype(samples.dtype)


def _samples(plane: Any, size: int) -> NDArray[np.unsignedinteger[Any]]:
    """A plane's samples, (h, w), as a view. size: bytes of a sample."""
    samples: Any = np.frombuffer(plane, np.uint8 if size == 1 else "<u2")
    view: NDArray[np.unsignedinteger[Any]] = samples.reshape(-1, plane.line_size // size)[: plane.height, : plane.width]
    return view
