"""Look at a weights file before anything in it is loaded: what kind it is, and whether its declared sizes can be true.

Needs no torch, so that a mistaken call is answered at once. Only declarations are read: the directory of a zip archive
(PyTorch's files), the opcodes of its pickle, the length of a safetensors header. `animeinterp.weights.loading` does the
loading, and decides whether the tensors fit.
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
_LARGEST = 4 << 30  # bytes of a file
_LARGEST_HEADER = 16 << 20  # bytes of a safetensors header, and of a pickle in a zip archive
# Bytes unpacked by bytes on disk: PyTorch stores its entries as they are; floats that were zipped shrink by less.
_MOST_UNPACKED, _SOME = 10, 1 << 20
_LEGACY_PICKLES = 5  # at the beginning of a file of PyTorch before 1.6
# Callables that torch's restricted unpickler permits, and that take as much memory as a number says.
_GREEDY = {"builtins bytearray", "__builtin__ bytearray"}


def check_container(path: Path) -> Container:
    """What kind of weights file this is.

    Args:
        path: The file; its content decides, not its suffix.

    Raises:
        FileError: It is missing, not an ordinary file or cannot be read.
        WeightsError: It is neither kind, or declares more than it can hold.
    """
    check_source(path, EXPECTED)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(9)
            if size > _LARGEST:
                raise WeightsError(f"{path.name} is {size / 1e9:.1f} GB, larger than any weights; give another file")
            length = int.from_bytes(head[:8], "little")
            if len(head) == 9 and head[8:] == b"{" and length <= size - 8:
                if length > _LARGEST_HEADER:
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
        raise WeightsError(f"{path.name} is a text, such as an error page or a link; download the weights themselves")
    raise WeightsError(f"{path.name} is damaged or cut short, or not {EXPECTED}; download it again")


def _check_zip(path: Path, file: IO[bytes], size: int) -> None:
    """Raise WeightsError for an archive whose entries would unpack to far more than the file."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            declared = sum(entry.file_size for entry in entries)
            if declared > _MOST_UNPACKED * size + _SOME:
                raise WeightsError(
                    f"{path.name} is {size:,} bytes but would unpack to {declared:,}, as no weights do; do not trust it"
                )
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    if entry.file_size > _LARGEST_HEADER:
                        raise WeightsError(f"{path.name} declares a pickle of {entry.file_size:,} bytes; give another")
                    with archive.open(entry) as pickle:
                        _check_pickle(path, pickle)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path.name} is damaged or cut short ({error}); download it again") from error


def _check_pickle(path: Path, file: IO[bytes]) -> None:
    """Raise WeightsError for a pickle that asks for memory by a number; what else is wrong with it, torch finds."""
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "GLOBAL" and argument in _GREEDY:
                raise WeightsError(f"{path.name} is refused: it asks for {argument}; not a plain file of tensors")
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError):
        return
