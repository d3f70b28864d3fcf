"""Two things that a Matroska file can say and FFmpeg's muxer cannot be told through PyAV (RFC 9559, EBML: RFC 8794).

How much of a track lies before the film begins (CodecDelay), as edit lists of MP4 say it; and the shape of pixels where
the codec itself has no words for it (DisplayWidth).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

_EBML, _SEGMENT, _INFO, _TRACKS, _ENTRY = (
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67",
    b"\x15\x49\xa9\x66",
    b"\x16\x54\xae\x6b",
    b"\xae",
)
_CLUSTER, _TIMESTAMP, _BLOCK, _SCALE = b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3", b"\x2a\xd7\xb1"
_DELAY, _NAME, _VIDEO, _CRC, _VOID = b"\x56\xaa", b"\x53\x6e", b"\xe0", b"\xbf", b"\xec"
_WIDTH, _HEIGHT, _UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
_HEAD = 1 << 20  # bytes of a file in which its tracks are described
ROOM = "." * 24  # begins a video track's title where its display size is to be written afterwards


def delayed(stream: Any, delay: Fraction) -> Any:
    """A stream to copy another from which begins `delay` s before time 0: players leave that much out.

    stream: of sound, from a file that is open. FFmpeg's muxer takes the delay from the template, and PyAV cannot set
    it; so a file of one empty track is made that has it.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        container.add_stream_from_template(stream, opaque=True)
        container.start_encoding()
    entry = dict(_elements(dict(_elements(dict(_elements(buffer.getvalue()))[_SEGMENT]))[_TRACKS]))[_ENTRY]
    parts = [_element(name, data) for name, data in _elements(entry) if name != _DELAY]
    parts.append(_element(_DELAY, _number(round(delay * 10**9))))
    block = _element(_BLOCK, b"\x81\0\0\x80" + bytes(8))  # the demuxer takes no file without one
    segment = [
        _element(_INFO, _element(_SCALE, _number(10**6))),
        _element(_TRACKS, _element(_ENTRY, b"".join(parts))),
        _element(_CLUSTER, _element(_TIMESTAMP, _number(0)) + block),
    ]
    head = _element(_EBML, _element(b"\x42\x82", b"matroska"))
    return av.open(io.BytesIO(head + _element(_SEGMENT, b"".join(segment))), format="matroska").streams[0]


def set_display_size(path: Path, width: int, height: int) -> None:
    """Write at which size, px, the first track of a file is to be shown. Its title has to begin with `ROOM`."""
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        at, end = _find(head, [_SEGMENT, _TRACKS])
        if head[at : at + 1] == _CRC:  # it will not fit any more
            head = head[:at] + _VOID + head[at + 1 :]
        first, last = _find(head[:end], [_ENTRY], at)
        size = _element(_WIDTH, _number(width)) + _element(_HEIGHT, _number(height))
        new = b""
        for name, data in _elements(head[first:last]):
            if name == _NAME:
                data = data.removeprefix(ROOM.encode())
                if not data:
                    continue
            if name == _VIDEO:
                kept = [_element(n, d) for n, d in _elements(data) if n not in (_WIDTH, _HEIGHT, _UNIT)]
                data = b"".join(kept) + size
            new += _element(name, data)
        file.seek(at)
        file.write(head[at:first] + new + _void(last - first - len(new)))


def _elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the elements in a row; the last may be cut short."""
    at = 0
    while at < len(data):
        name, start, end = _header(data, at)
        yield name, data[start:end]
        at = end


def _header(data: bytes, at: int) -> tuple[bytes, int, int]:
    """An element's name, and where its content begins and ends."""
    long = 9 - data[at].bit_length()
    name, at = data[at : at + long], at + long
    long = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + long], "big") & ((1 << 7 * long) - 1)
    unknown = size == (1 << 7 * long) - 1
    return name, at + long, len(data) if unknown else min(at + long + size, len(data))


def _find(data: bytes, names: list[bytes], at: int = 0) -> tuple[int, int]:
    """Where the content of the first element called names[-1] begins and ends, inside names[-2] and so on."""
    for wanted in names:
        name, start, end = _header(data, at)
        while name != wanted:
            name, start, end = _header(data, end)
        at = start
    return start, end


def _element(name: bytes, content: bytes) -> bytes:
    size = len(content)
    long = size.bit_length() // 7 + 1  # all bits of a size set = unknown, so one value fewer fits
    long += size == (1 << 7 * long) - 1
    return name + ((1 << 7 * long) | size).to_bytes(long, "big") + content


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _void(size: int) -> bytes:
    """Nothing, `size` bytes of it, 2 or more."""
    if size < 10:
        return _VOID + bytes([0x80 | size - 2]) + bytes(size - 2)
    return _VOID + ((1 << 56) | size - 9).to_bytes(8, "big") + bytes(size - 9)
