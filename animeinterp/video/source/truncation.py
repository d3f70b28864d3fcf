"""Whether the end of a film's file is missing, by the size that the file itself declares.

A broken download or recording keeps the length of the whole, which is what the new film is to last. The length that a
complete file claims may be wrong and counts for nothing.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")  # Matroska's element that holds all others (RFC 9559)
_HEAD = 4096  # bytes within which it begins
_TAIL = 4096  # bytes; if all are 0, the file was laid out and never filled
_UNEVEN = 8  # times as many bytes a second may the part that is there take as the whole: it begins with a key frame


def missing_duration(path: Path, format: str, measured: Fraction, claimed: Fraction | None) -> Fraction:
    """How much of a film's pictures is missing at the end of its file, s; 0 for a file that is complete.

    Args:
        path: The file.
        format: FFmpeg's name of its container.
        measured: How long the pictures last that are there, s.
        claimed: How long they all last, as the file says, s.
    """
    if claimed is None or claimed <= measured:
        return Fraction(0)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        declared = _declared(file, format, size)
        file.seek(max(0, size - _TAIL))
        hollow = not any(file.read())
    if declared <= size and not hollow:
        return Fraction(0)
    present = Fraction(min(size, declared), max(size, declared, 1))
    return claimed - measured if hollow or claimed * present <= _UNEVEN * measured else Fraction(0)


def _declared(file: BinaryIO, format: str, size: int) -> int:
    """The size that a file declares, bytes; its real one where that is not known."""
    file.seek(0)
    head = file.read(_HEAD)
    if format.startswith("matroska"):
        at = head.find(_SEGMENT) + len(_SEGMENT)
        if at < len(_SEGMENT) or at >= len(head) or not head[at]:
            return size
        length = 9 - head[at].bit_length()
        value = int.from_bytes(head[at : at + length]) & ((1 << 7 * length) - 1)
        unknown = value == (1 << 7 * length) - 1
        return size if unknown else at + length + value
    if format == "avi":
        return 8 + int.from_bytes(head[4:8], "little")
    return _boxes(file, size) if format.startswith("mov") else size


def _boxes(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 or MOV file ends."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # 0: to the end of the file
            return size
        at += length
    return at
