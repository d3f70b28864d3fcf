"""The color tags of a new film: those of the source, so that players display both alike.

RGB sources are tagged completely. A matrix is also tagged if the source has none and players would assume another one
for the new size. Codes are those of ITU-T H.273.
"""

from __future__ import annotations

from dataclasses import replace

from animeinterp.video.source.color import assume_matrix, choose_matrix, is_rgb, is_rgb_source
from animeinterp.video.source.info import ColorInfo, VideoInfo

_LIMITED, _FULL = 1, 2  # ranges
_IDENTITY, _BT709, _UNSPECIFIED, _BT470BG, _BT601 = 0, 1, 2, 5, 6
# The codes of H.273, without the reserved ones.
_PRIMARIES = {*range(13), 22} - {0, 3}
_TRANSFERS = {*range(19)} - {0, 3}
_MATRICES = {*range(18)} - {3}


def choose_tags(film: VideoInfo, encoder: str, pix_fmt: str) -> list[ColorInfo]:
    """Return the tags that a new file may have, best first.

    Args:
        film: The film to encode.
        encoder: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format that is encoded.

    Returns:
        The tags without reserved codes; then without primaries and transfer, which some encoders reject.
    """
    color = _choose_color(film, encoder, pix_fmt)
    primaries = color.primaries if color.primaries in _PRIMARIES else _UNSPECIFIED
    transfer = color.transfer if color.transfer in _TRANSFERS else _UNSPECIFIED
    matrix = color.matrix if color.matrix in _MATRICES else _UNSPECIFIED
    color = ColorInfo(primaries, transfer, matrix, color.range)
    reduced = replace(color, primaries=_UNSPECIFIED, transfer=_UNSPECIFIED)
    return [color] if reduced == color else [color, reduced]


def _choose_color(film: VideoInfo, encoder: str, pix_fmt: str) -> ColorInfo:
    """Return the film's tags, changed where the new file would be displayed differently otherwise."""
    color, matrix = film.color, choose_matrix(film)
    if is_rgb(pix_fmt):
        return replace(color, matrix=_IDENTITY, range=_FULL)
    tag = _BT601 if matrix == _BT470BG else matrix
    if is_rgb_source(film):
        primaries = _BT709 if color.primaries == _UNSPECIFIED else color.primaries
        transfer = _BT709 if color.transfer == _UNSPECIFIED else color.transfer
        return ColorInfo(primaries, transfer, tag, _LIMITED)
    untagged = color.matrix == _UNSPECIFIED and matrix != assume_matrix(color, film.width, film.height)
    if untagged or color.matrix == _IDENTITY:
        color = replace(color, matrix=tag)
    if encoder == "prores_ks":  # cannot declare the full range
        return replace(color, range=_LIMITED)
    return replace(color, range=_FULL) if film.pix_fmt.startswith("yuvj") else color
