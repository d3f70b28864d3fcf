"""Two Matroska elements that FFmpeg's muxer cannot be given through PyAV (RFC 9559; EBML: RFC 8794).

CodecDelay: how much of an audio track precedes the film, which MP4 expresses by edit lists. DisplayWidth and
DisplayHeight: the shape of pixels, for codecs that cannot express it themselves.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream

FORMATS = ("matroska", "webm")  # FFmpeg's names of the containers of this kind
# Element identifiers.
_EBML, _DOC_TYPE = b"\x1a\x45\xdf\xa3", b"\x42\x82"
_SEGMENT, _INFO, _TIMESTAMP_SCALE = b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1"
_TRACKS, _TRACK_ENTRY, _CODEC_DELAY, _NAME = b"\x16\x54\xae\x6b", b"\xae", b"\x56\xaa", b"\x53\x6e"
_VIDEO, _DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = b"\xe0", b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
_CLUSTER, _TIMESTAMP, _SIMPLE_BLOCK = b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3"
_CRC, _VOID = b"\xbf", b"\xec"
_HEAD_BYTES = 1 << 20  # the beginning of a file, which describes its tracks
TITLE_PADDING = "." * 24  # begins the title of a video track whose display size is written afterwards


def make_delayed_template(stream: Stream, delay: Fraction) -> Stream:
    """Return a template to copy an audio stream from so that it begins before time 0; players skip that part.

    FFmpeg's muxer takes the delay from the template and PyAV cannot set it, so a file of one empty track is built.

    Args:
        stream: An audio stream of an open file.
        delay: How long before time 0 it begins, s.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        container.add_stream_from_template(stream, opaque=True)
        container.start_encoding()
    segment = dict(_split_elements(buffer.getvalue()))[_SEGMENT]
    entry = dict(_split_elements(dict(_split_elements(segment))[_TRACKS]))[_TRACK_ENTRY]
    fields = [_build_element(name, data) for name, data in _split_elements(entry) if name != _CODEC_DELAY]
    fields.append(_build_element(_CODEC_DELAY, _encode_number(round(delay * 10**9))))
    block = _build_element(_SIMPLE_BLOCK, b"\x81\0\0\x80" + bytes(8))  # the demuxer rejects a file without one
    elements = [
        _build_element(_INFO, _build_element(_TIMESTAMP_SCALE, _encode_number(10**6))),
        _build_element(_TRACKS, _build_element(_TRACK_ENTRY, b"".join(fields))),
        _build_element(_CLUSTER, _build_element(_TIMESTAMP, _encode_number(0)) + block),
    ]
    head = _build_element(_EBML, _build_element(_DOC_TYPE, b"matroska"))
    file = io.BytesIO(head + _build_element(_SEGMENT, b"".join(elements)))
    return av.open(file, mode="r", format="matroska").streams[0]


def set_display_size(path: Path, width: int, height: int) -> None:
    """Write the display size of a file's first track, whose title must begin with `TITLE_PADDING`.

    Args:
        path: The file.
        width: Display width, px.
        height: Display height, px.
    """
    with path.open("r+b") as file:
        head = file.read(_HEAD_BYTES)
        position, end = _find_element(head, [_SEGMENT, _TRACKS])
        if head[position : position + 1] == _CRC:  # it would not match any more
            head = head[:position] + _VOID + head[position + 1 :]
        first, last = _find_element(head[:end], [_TRACK_ENTRY], position)
        size = _build_element(_DISPLAY_WIDTH, _encode_number(width))
        size += _build_element(_DISPLAY_HEIGHT, _encode_number(height))
        entry = b""
        for name, data in _split_elements(head[first:last]):
            if name == _NAME:
                data = data.removeprefix(TITLE_PADDING.encode())
                if not data:
                    continue
            if name == _VIDEO:
                replaced = (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
                data = b"".join(_build_element(n, d) for n, d in _split_elements(data) if n not in replaced) + size
            entry += _build_element(name, data)
        file.seek(position)
        file.write(head[position:first] + entry + _build_void(last - first - len(entry)))


def _split_elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of consecutive elements; the last may be truncated."""
    position = 0
    while position < len(data):
        name, start, end = _read_header(data, position)
        yield name, data[start:end]
        position = end


def _read_header(data: bytes, position: int) -> tuple[bytes, int, int]:
    """Return an element's name, and where its content begins and ends."""
    length = 9 - data[position].bit_length()
    name, position = data[position : position + length], position + length
    length = 9 - data[position].bit_length()
    size = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
    unknown = size == (1 << 7 * length) - 1
    start = position + length
    return name, start, len(data) if unknown else min(start + size, len(data))


def _find_element(data: bytes, path: list[bytes], position: int = 0) -> tuple[int, int]:
    """Return where the content of an element begins and ends; `path` names it after the elements around it."""
    for target in path:
        name, start, end = _read_header(data, position)
        while name != target:
            name, start, end = _read_header(data, end)
        position = start
    return start, end


def _build_element(name: bytes, content: bytes) -> bytes:
    size = len(content)
    length = size.bit_length() // 7 + 1  # a size of all ones means unknown, so one value fewer fits
    length += size == (1 << 7 * length) - 1
    return name + ((1 << 7 * length) | size).to_bytes(length, "big") + content


def _encode_number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _build_void(size: int) -> bytes:
    """Build an element without meaning of `size` bytes, 2 or more."""
    if size < 10:
        return _VOID + bytes([0x80 | size - 2]) + bytes(size - 2)
    return _VOID + ((1 << 56) | size - 9).to_bytes(8, "big") + bytes(size - 9)
