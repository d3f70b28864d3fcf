"""Recognize a weights file and check its declared sizes before anything in it is loaded.

Only declarations are read: the directory of a zip archive (PyTorch's files), the opcodes of its pickle, the length of a
safetensors header. This module needs no torch, so that a mistaken call is refused at once. It does not load tensors;
`animeinterp.weights.loading` does, and checks that they fit the model.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO, Literal

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.files import check_source

Container = Literal["safetensors", "torch"]

EXPECTED = "a weights file (.safetensors, .pth, .pt, .ckpt)"
_MAX_FILE = 4 << 30  # bytes
_MAX_HEADER = 16 << 20  # bytes of a safetensors header, and of a pickle in a zip archive
# A zip archive may unpack to this many times its size, plus a margin in bytes. PyTorch does not compress its entries,
# and compressed floats shrink by less.
_MAX_UNPACK_RATIO, _UNPACK_MARGIN = 10, 1 << 20
_LEGACY_PICKLES = 5  # at the beginning of a file of PyTorch before 1.6
# Callables that torch's restricted unpickler permits and that allocate as much memory as their argument.
_ALLOCATORS = {"builtins bytearray", "__builtin__ bytearray"}


def check_container(path: Path) -> Container:
    """Recognize the kind of a weights file by its content and check its declared sizes.

    Args:
        path: The file; its suffix is ignored.

    Returns:
        The kind.

    Raises:
        FileError: It is missing, not a regular file or cannot be read.
        WeightsError: It is of neither kind, or declares more than it can hold.
    """
    check_source(path, EXPECTED)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(9)
            if size > _MAX_FILE:
                raise WeightsError(f"{path.name} is {size / 1e9:.1f} GB, larger than any weights; give another file")
            length = int.from_bytes(head[:8], "little")
            if len(head) == 9 and head[8:] == b"{" and length <= size - 8:
                if length > _MAX_HEADER:
                    raise WeightsError(f"{path.name} declares a header of {length:,} bytes; give another file")
                return "safetensors"
            file.seek(0)
            if head[:4] == b"PK\x03\x04":
                _check_zip(path, file, size)
                return "torch"
            if head[:1] == b"\x80":
                for _ in range(_LEGACY_PICKLES):
                    _check_pickle(path, file)
                return "torch"
    except (FileError, WeightsError):
        raise
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}; expected {EXPECTED}") from error
    if head.isascii() and head.strip().isascii() and head.strip()[:1] in (b"<", b"v", b"{"):
        raise WeightsError(f"{path.name} is text, such as an error page or a link; download the weights themselves")
    raise WeightsError(f"{path.name} is damaged or cut short, or not {EXPECTED}; download it again")


def _check_zip(path: Path, file: IO[bytes], size: int) -> None:
    """Raise WeightsError for an archive whose entries would unpack to much more than the file."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            declared = sum(entry.file_size for entry in entries)
            if declared > _MAX_UNPACK_RATIO * size + _UNPACK_MARGIN:
                raise WeightsError(
                    f"{path.name} is {size:,} bytes but would unpack to {declared:,}, unlike weights; do not trust it"
                )
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    if entry.file_size > _MAX_HEADER:
                        raise WeightsError(f"{path.name} declares a pickle of {entry.file_size:,} bytes; give another")
                    with archive.open(entry) as pickle:
                        _check_pickle(path, pickle)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path.name} is damaged or cut short ({error}); download it again") from error


def _check_pickle(path: Path, file: IO[bytes]) -> None:
    """Raise WeightsError for a pickle that allocates memory by a number; torch reports other faults."""
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "GLOBAL" and argument in _ALLOCATORS:
                raise WeightsError(f"{path.name} is refused: it calls {argument}; expected a plain file of tensors")
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError):
        return
