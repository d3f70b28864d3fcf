"""Fingerprint of a source, by which a resumed run recognizes it: SHA-256 of its content.

Files up to 256 MiB are read whole. Of larger ones, 256 samples of 1 MiB, first and last included, and the time of the
last change are hashed. Names and paths do not count, except the names of a folder's frames.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.io.image_header import FORMATS

_MAX_BYTES = 1 << 28  # of a file that is read whole
_SAMPLE_BYTES = 1 << 20
_SAMPLES = _MAX_BYTES // _SAMPLE_BYTES


def fingerprint(source: Path) -> str:
    """Return the SHA-256 of a film's file, or of a folder's frames, hexadecimal.

    Args:
        source: A file or a folder.

    Raises:
        FileError: A file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not source.is_dir():
            _add_file(digest, source, _MAX_BYTES)
            return digest.hexdigest()
        paths = sorted(path for path in source.iterdir() if path.is_file() and path.suffix.lower() in FORMATS)
        is_large = sum(path.stat().st_size for path in paths) > 4 * _MAX_BYTES
        max_bytes = _MAX_BYTES // max(1, len(paths)) if is_large else _MAX_BYTES
        for path in paths:
            digest.update(os.fsencode(path.name) + b"\0")
            _add_file(digest, path, max_bytes)
    except OSError as error:
        raise FileError(f"cannot read {error.filename or source}: {error.strerror}; check its permissions") from error
    return digest.hexdigest()


def _add_file(digest: hashlib._Hash, path: Path, max_bytes: int) -> None:
    """Add the content of a file to a digest, sampled if it is larger than `max_bytes`."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(f"{size}\0".encode())
        if size <= max_bytes:
            starts, length = [0], size
        else:
            digest.update(f"{path.stat().st_mtime_ns}\0".encode())
            length = min(_SAMPLE_BYTES, max(1, max_bytes // _SAMPLES))
            starts = [(size - length) * number // (_SAMPLES - 1) for number in range(_SAMPLES)]
        for start in starts:
            file.seek(start)
            left = length
            while left and (block := file.read(min(left, _SAMPLE_BYTES))):
                digest.update(block)
                left -= len(block)
