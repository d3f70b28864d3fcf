"""The one way between a film's pixels and the frames that are drawn on: RGB, 8 or 16 bits, and back.

Originals and new frames take the same way out, so that nothing flickers between them. FFmpeg's quick ways shift luma by
one step and smear chroma; with exact rounding and full chroma the way there and back is off by less than
0.1 of 255 in luma and 0.5 in chroma, which is what halving the chroma twice costs. (Of films of the full range,
which are rare, swscale's chroma is off by up to 1.)
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from animeinterp.frame import Frame
from animeinterp.video.film import Colour, Film

_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# What swscale knows; of others it takes 601's, there and back alike.
_MATRICES = (1, 4, 5, 7, 9)
_LIMITED, _FULL = 1, 2


class ColourPath:
    """Both ways, for one film. Not to be shared by threads."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._rgb = ("gbrap" if film.alpha else "gbrp") + ("16le" if film.depth == 16 else "")
        self._out, self._in = VideoReformatter(), VideoReformatter()

    def to_frame(self, picture: av.VideoFrame) -> Frame:
        """A decoded picture → (H, W, 3) RGB, or (H, W, 4) with alpha, of the film's depth."""
        matrix = _matrix(self._film.colour)
        converted = self._in.reformat(
            picture,
            format=self._rgb,
            interpolation=_EXACT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=self._film.colour.range or None,
            dst_color_range=_FULL,
        )
        frame: Any = converted.to_ndarray()
        return np.ascontiguousarray(frame)

    def to_picture(self, frame: Frame, pix_fmt: str) -> av.VideoFrame:
        """A frame → a picture of the given pixels, tagged with the film's colours."""
        colour = self._film.colour
        values: Any = np.ascontiguousarray(frame)
        picture = av.VideoFrame.from_ndarray(values, format=self._rgb)
        if not _is_rgb(pix_fmt):
            matrix = _matrix(colour)
            full = colour.range == _FULL or pix_fmt.startswith("yuvj")
            picture = self._out.reformat(
                picture,
                format=pix_fmt,
                interpolation=_EXACT,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                src_color_range=_FULL,
                dst_color_range=_FULL if full else _LIMITED,
            )
        elif pix_fmt != self._rgb:
            picture = self._out.reformat(picture, format=pix_fmt, interpolation=_EXACT)
        return picture


def _matrix(colour: Colour) -> int:
    return colour.matrix if colour.matrix in _MATRICES else 5


def _is_rgb(pix_fmt: str) -> bool:
    return pix_fmt.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "pal8"))
