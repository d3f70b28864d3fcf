"""What a source is recognized by when a run goes on: SHA-256 of its content.

Files up to 256 MiB are read whole. Of larger ones 256 samples of 1 MiB, the ends among them, are read, and the time of
the last change counts too. Names and places do not count, except those of the pictures of a folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from animeinterp.errors import FileError
from animeinterp.io.image_header import FORMATS

_WHOLE = 1 << 28  # bytes
_SAMPLE = 1 << 20  # bytes
_SAMPLES = _WHOLE // _SAMPLE


def fingerprint(source: Path) -> str:
    """SHA-256 of a film's file, or of the pictures of a folder, hexadecimal.

    Raises:
        FileError: A file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not source.is_dir():
            _add(digest, source, _WHOLE)
            return digest.hexdigest()
        paths = sorted(path for path in source.iterdir() if path.is_file() and path.suffix.lower() in FORMATS)
        share = _WHOLE // max(1, len(paths)) if sum(path.stat().st_size for path in paths) > 4 * _WHOLE else _WHOLE
        for path in paths:
            digest.update(os.fsencode(path.name) + b"\0")
            _add(digest, path, share)
    except OSError as error:
        raise FileError(f"cannot read {error.filename or source}: {error.strerror}; check its permissions") from error
    return digest.hexdigest()


def _add(digest: hashlib._Hash, path: Path, most: int) -> None:
    """Add the content of a file to a digest, about `most` bytes of it, bytes."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(f"{size}\0".encode())
        if size <= most:
            starts, length = [0], size
        else:
            digest.update(f"{path.stat().st_mtime_ns}\0".encode())
            length = min(_SAMPLE, max(1, most // _SAMPLES))
            starts = [(size - length) * number // (_SAMPLES - 1) for number in range(_SAMPLES)]
        for start in starts:
            file.seek(start)
            left = length
            while left and (block := file.read(min(left, _SAMPLE))):
                digest.update(block)
                left -= len(block)
