"""Find out whether the end of a film's file is missing, from the size that the file declares.

A broken download or recording still declares the length of the whole film, which is the length that the new film gets.
The length that a complete file declares may be wrong and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")  # Matroska's element that holds all others (RFC 9559)
_HEAD_BYTES = 4096  # within which that element begins


@dataclass(frozen=True, slots=True)
class TruncationLimits:
    """Thresholds of files without their end.

    Chosen on films cut at several places, and on files that were allocated and never filled.

    Attributes:
        tail_bytes: Bytes at the end of a file that are all 0 if it was allocated and never filled.
        max_bitrate_ratio: Bit rate of the present part by that of the whole film, at most; a keyframe comes first.
    """

    tail_bytes: int = 4096
    max_bitrate_ratio: int = 8


LIMITS = TruncationLimits()


def missing_duration(
    path: Path, format_name: str, measured: Fraction, declared: Fraction | None, limits: TruncationLimits = LIMITS
) -> Fraction:
    """Return how much of a film's video is missing at the end of its file, s; 0 for a complete file.

    Args:
        path: The file.
        format_name: FFmpeg's name of its container.
        measured: Duration of the frames in the file, s.
        declared: Duration that the file declares for all frames, s; None if unknown.
        limits: Thresholds of files without their end.
    """
    if declared is None or declared <= measured:
        return Fraction(0)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        whole = _declared_size(file, format_name, size)
        file.seek(max(0, size - limits.tail_bytes))
        is_hollow = not any(file.read())
    if whole <= size and not is_hollow:
        return Fraction(0)
    present = Fraction(min(size, whole), max(size, whole, 1))
    is_plausible = is_hollow or declared * present <= limits.max_bitrate_ratio * measured
    return declared - measured if is_plausible else Fraction(0)


def _declared_size(file: BinaryIO, format_name: str, size: int) -> int:
    """Return the size that a file declares, bytes; its real `size` if it declares none."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if format_name.startswith("matroska"):
        offset = head.find(_SEGMENT) + len(_SEGMENT)
        if offset < len(_SEGMENT) or offset >= len(head) or not head[offset]:
            return size
        length = 9 - head[offset].bit_length()
        unknown = (1 << 7 * length) - 1
        value = int.from_bytes(head[offset : offset + length]) & unknown
        return size if value == unknown else offset + length + value
    if format_name == "avi":
        return 8 + int.from_bytes(head[4:8], "little")
    return _end_of_boxes(file, size) if format_name.startswith("mov") else size


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Return the offset at which the last box of an MP4 or MOV file ends, bytes."""
    offset = 0
    while offset < size:
        file.seek(offset)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # 0 = to the end of the file
            return size
        offset += length
    return offset
