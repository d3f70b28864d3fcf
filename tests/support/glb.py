"""A small rigged character as a .glb file: a trunk, and an arm that turns at a joint in front of it."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# Corners of a unit cube about the origin, and its faces.
CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]]
)  # fmt: skip
KEYS = (0.0, 1.0, 2.0)  # s, times of the poses of the arm
QUARTER = (0.0, 0.0, 0.7071067811865476, 0.7071067811865476)  # a quarter turn about z


class Builder:
    """Collects binary data and describes it."""

    def __init__(self) -> None:
        self.binary = b""
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def add(self, values: Any, kind: str, dtype: str = "<f4") -> int:
        array = np.asarray(values, dtype)
        component = {"<f4": 5126, "<u2": 5123, "u1": 5121}[dtype]
        record = {"bufferView": self.view(array.tobytes()), "componentType": component, "count": len(array)}
        self.accessors.append(record | {"type": kind})
        return len(self.accessors) - 1


def character() -> tuple[dict[str, Any], bytes]:
    """Describe the character: the JSON document and the binary chunk. It is 2 m high and faces +z."""
    build = Builder()
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 60, 40)).save(picture, "PNG")
    texture = build.view(picture.getvalue())
    boxes = [(CUBE * (0.8, 2, 0.4) + (0, 1, 0), 0), (CUBE * (0.25, 1, 0.25) + (0.2, 1.1, 0.5), 1)]
    primitives = []
    for number, (points, joint) in enumerate(boxes):
        attributes = {
            "POSITION": build.add(points, "VEC3"),
            "TEXCOORD_0": build.add(np.full((8, 2), 0.5), "VEC2"),
            "JOINTS_0": build.add(np.tile([joint, 0, 0, 0], (8, 1)), "VEC4", "u1"),
            "WEIGHTS_0": build.add(np.tile([1, 0, 0, 0], (8, 1)), "VEC4"),
        }
        indices = build.add(CUBE_FACES.reshape(-1), "SCALAR", "<u2")
        primitives.append({"attributes": attributes, "indices": indices, "material": number})
    inverse = np.stack([np.eye(4), np.eye(4)])
    inverse[1, :3, 3] = (-0.2, -1.6, -0.5)  # the joint is at the arm's upper end
    skin = {"joints": [0, 1], "inverseBindMatrices": build.add(inverse.transpose(0, 2, 1).reshape(2, 16), "MAT4")}
    times = build.add(KEYS, "SCALAR")
    sampler = {"input": times, "output": build.add([(0, 0, 0, 1), QUARTER, (0, 0, 0, 1)], "VEC4")}
    channel = {"sampler": 0, "target": {"node": 1, "path": "rotation"}}
    content = {
        "asset": {"version": "2.0"},
        "nodes": [{"children": [1]}, {"translation": [0.2, 1.6, 0.5]}, {"mesh": 0, "skin": 0}],
        "meshes": [{"primitives": primitives}],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}},
            {"pbrMetallicRoughness": {"baseColorFactor": [0.05, 0.1, 0.8, 1]}},
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": texture, "mimeType": "image/png"}],
        "skins": [skin],
        "animations": [{"name": "turn", "channels": [channel], "samplers": [sampler]}],
        "accessors": build.accessors,
        "bufferViews": build.views,
        "buffers": [{"byteLength": len(build.binary)}],
    }
    return content, build.binary


def pack(content: Any, binary: bytes) -> bytes:
    """Pack a document and its binary chunk into a .glb file."""
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<2I", len(text), 0x4E4F534A) + text + struct.pack("<2I", len(binary), 0x004E4942) + binary
    return struct.pack("<3I", 0x46546C67, 2, 12 + len(chunks)) + chunks


def write_character(path: Path) -> Path:
    """Write the character."""
    path.write_bytes(pack(*character()))
    return path
