"""The color tags of a new film: the source's, so that players read both alike.

What was RGB is tagged in full. A matrix is tagged, too, where the source has none and players would assume another for
the new size. Codes are those of ITU-T H.273.
"""

from __future__ import annotations

from dataclasses import replace

from animeinterp.video.source.color import assume_matrix, choose_matrix, is_rgb, is_rgb_source
from animeinterp.video.source.info import ColorInfo, VideoInfo

_LIMITED, _FULL = 1, 2
_IDENTITY, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 6
# Primaries, transfers and matrices, without reserved codes.
_CODES = {*range(13), 22} - {0, 3}, set(range(19)) - {0, 3}, set(range(18)) - {3}


def tags_of(film: VideoInfo, name: str, pix_fmt: str) -> list[ColorInfo]:
    """Return the tags that a new file may have, best first: without reserved codes, without those few encoders know.

    Args:
        film: What is encoded.
        name: The encoder, FFmpeg's name.
        pix_fmt: What it is given, FFmpeg's name.
    """
    color = _color(film, name, pix_fmt)
    known = [
        code if code in codes else _UNSPECIFIED
        for code, codes in zip((color.primaries, color.transfer, color.matrix), _CODES, strict=True)
    ]
    color = ColorInfo(known[0], known[1], known[2], color.range)
    bare = replace(color, primaries=_UNSPECIFIED, transfer=_UNSPECIFIED)
    return [color] if bare == color else [color, bare]


def _color(film: VideoInfo, name: str, pix_fmt: str) -> ColorInfo:
    """Return the film's tags, or what must differ for the new file to be read alike."""
    color, matrix = film.color, choose_matrix(film)
    if is_rgb(pix_fmt):
        return replace(color, matrix=_IDENTITY, range=_FULL)
    tag = {5: _BT601}.get(matrix, matrix)
    if is_rgb_source(film):
        said = [_BT709 if code == _UNSPECIFIED else code for code in (color.primaries, color.transfer)]
        return ColorInfo(said[0], said[1], tag, _LIMITED)
    untagged = color.matrix == _UNSPECIFIED and matrix != assume_matrix(color, film.width, film.height)
    if untagged or color.matrix == _IDENTITY:
        color = replace(color, matrix=tag)
    if name == "prores_ks":  # has no way to say "full"
        return replace(color, range=_LIMITED)
    return replace(color, range=_FULL) if film.pix_fmt.startswith("yuvj") else color
