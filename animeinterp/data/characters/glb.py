"""Reads the container of glTF 2.0 in its binary form (.glb): the JSON document, the binary chunk and its accessors.

Reference: Khronos glTF 2.0 specification, sections 3.6 (binary data storage) and 4 (GLB). Files come from strangers:
every offset, count and index is checked before it is used, and all damage raises one of Python's errors of value, type
or key, which `animeinterp.data.characters.model` turns into a FileError. Not read: external buffers, sparse accessors
and compression extensions.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animeinterp.frame import RGBImage
from animeinterp.io.image_header import without_pillow_limit
from animeinterp.io.reading import describe_error, parse_json

MAX_ELEMENTS = 4 << 20  # of one accessor
MAX_NUMBER = 1e6  # of coordinates, scales and times
MAX_TEXTURE_PIXELS = 32 << 20
_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENTS: dict[int, str] = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_ARRAYS = (
    "accessors", "animations", "bufferViews", "images", "materials", "meshes", "nodes", "skins", "textures",
)  # fmt: skip
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A .glb file.

    Attributes:
        arrays: The top-level arrays of objects of the JSON document.
        binary: The binary chunk.
    """

    arrays: dict[str, list[dict[str, Any]]]
    binary: memoryview

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return a top-level array of objects, empty if it is absent."""
        return self.arrays.get(name, [])

    def item(self, name: str, index: object) -> dict[str, Any]:
        """Return an object of a top-level array by its checked index."""
        items = self.items(name)
        return items[as_index(index, len(items), name)]

    def numbers(self, accessor: object, width: int) -> Floats:
        """Read an accessor as finite float64 (count, width); normalized integers become fractions."""
        record = self.item("accessors", accessor)
        raw = self._elements(record, width)
        values = raw.astype(np.float64)
        if raw.dtype.kind in "iu" and record.get("normalized") is True:
            values = np.maximum(values / np.iinfo(raw.dtype).max, -1)
        if not (np.abs(values) <= MAX_NUMBER).all():
            raise ValueError("an accessor holds infinite or huge numbers")
        return values

    def indices(self, accessor: object, width: int, limit: int) -> Ints:
        """Read an accessor as int64 (count, width), each number below `limit`."""
        raw = self._elements(self.item("accessors", accessor), width)
        if raw.dtype.kind != "u":
            raise ValueError("indices are not unsigned integers")
        values = raw.astype(np.int64)
        if values.size and int(values.max()) >= limit:
            raise ValueError(f"an index is not below {limit}")
        return values

    def view(self, index: object) -> tuple[memoryview, int]:
        """Return the bytes of a buffer view, and its stride, 0 if its elements are packed."""
        record = self.item("bufferViews", index)
        if record.get("buffer", 0) != 0:
            raise ValueError("data is outside the file")
        start, length, stride = (as_count(record.get(key, 0)) for key in ("byteOffset", "byteLength", "byteStride"))
        if start + length > len(self.binary):
            raise ValueError("a buffer view ends behind the file")
        return self.binary[start : start + length], stride

    def image(self, index: object) -> RGBImage:
        """Decode an embedded image, uint8 (H, W, 3) RGB."""
        data, _ = self.view(self.item("images", index)["bufferView"])
        try:
            with without_pillow_limit(), Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_TEXTURE_PIXELS:
                    raise ValueError(f"a texture is {image.width}x{image.height} px")
                return np.asarray(image.convert("RGB"), np.uint8)
        except Exception as error:  # decoders raise many types of exceptions on damaged data
            raise ValueError(f"a texture cannot be decoded, {describe_error(error)}") from error

    def _elements(self, record: dict[str, Any], width: int) -> NDArray[Any]:
        if "sparse" in record or "bufferView" not in record:
            raise ValueError("a sparse accessor")
        if _WIDTHS[record["type"]] != width:
            raise ValueError(f"expected {width} components, got {record['type']}")
        dtype = np.dtype(_COMPONENTS[record["componentType"]])
        count, start = as_count(record["count"], MAX_ELEMENTS), as_count(record.get("byteOffset", 0))
        data, stride = self.view(record["bufferView"])
        size = dtype.itemsize * width
        stride = stride or size
        if stride < size or (count and start + stride * (count - 1) + size > len(data)):
            raise ValueError("an accessor ends behind its buffer view")
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))


def parse_glb(data: bytes, origin: str, expected: str) -> Document:
    """Split a .glb file into its chunks.

    Args:
        data: The file.
        origin: Its name, for messages.
        expected: What was expected, for messages.

    Returns:
        The document.

    Raises:
        FileError: The JSON chunk is not JSON.
        ValueError: The container is damaged, of another version, or needs an extension.
    """
    if len(data) < 20 or struct.unpack_from("<2I", data) != (_MAGIC, _VERSION):
        raise ValueError("not glTF 2.0 in binary form")
    chunks: dict[int, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        length, kind = struct.unpack_from("<2I", data, position)
        if position + 8 + length > len(data):
            raise ValueError("a chunk is truncated")
        chunks.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 8 + length
    text = chunks.get(_JSON_CHUNK, b"").decode("utf-8")
    content = parse_json(text, origin, expected)
    if not isinstance(content, dict):
        raise TypeError("the document is not an object")
    if content.get("extensionsRequired"):
        raise ValueError(f"it needs the extensions {content['extensionsRequired']}")
    arrays = {name: as_objects(content[name], name) for name in _ARRAYS if name in content}
    return Document(arrays, memoryview(chunks.get(_BINARY_CHUNK, b"")))


def as_index(value: object, count: int, name: str) -> int:
    """Check that a parsed value is an index of an array of `count` items."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise ValueError(f"{str(value)[:20]} is not one of {count} {name}")
    return value


def as_count(value: object, limit: int = 1 << 40) -> int:
    """Check that a parsed value is an integer from 0 to `limit`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise ValueError(f"{str(value)[:20]} is not a number from 0 to {limit}")
    return value


def as_objects(value: object, name: str) -> list[dict[str, Any]]:
    """Check that a parsed value is a list of objects."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError(f"{name} is not a list of objects")
    return value


def as_vector(value: object, length: int) -> Floats:
    """Check that a parsed value is a list of `length` numbers of moderate size."""
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"expected {length} numbers")
    if not all(isinstance(number, int | float) and abs(number) <= MAX_NUMBER for number in value):
        raise ValueError("a number is missing or too large")
    return np.array(value, np.float64)
