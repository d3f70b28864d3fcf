"""A disk cache for compiled kernels that checks what it loads.

numba's own cache keeps an index and data files beside the source and unpickles their content unchecked: a truncated
file (full disk, power failure) makes every later start fail, and a manipulated file runs as code. This cache writes one
file per kernel. Its name states what the kernel was compiled from and for (source, types, processor, versions), it
begins with a hash of its content, and it is read only from a folder that no other user can write to. A file that fails
a check is ignored and the kernel is compiled again.

Folders, in order: `NUMBA_CACHE_DIR` if set, else `__pycache__` beside the source and the user's cache folder; then a
private folder among the temporary files. A kernel is read from the first folder that has it and written to the first
that accepts it. If only the temporary folder or none is left, one `CacheWarning` per process reports that.

Compilation is numba's; see `animeinterp.runtime.jit`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from animeinterp.errors import AnimeInterpError, CacheWarning
from animeinterp.io.files import atomic_path

_MAGIC = b"animeinterp kernel 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_MAX_BYTES = 64 * 2**20  # of a file; a kernel takes about 50 kB
_WRITABLE_BY_GROUP, _WRITABLE_BY_ALL = 0o020, 0o002
# numba ships no types.
_rebuild: Any = CompileResult._rebuild
_dumps: Any = dumps
_app_dirs: Any = AppDirs
_config: Any = config


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder for kernels.

    Attributes:
        folder: Its path.
        owners: User ids whose files are trusted, besides root and this user.
        group: The group id that may write there because it may also change the source; None if no group may.
    """

    folder: Path
    owners: frozenset[int] = frozenset()
    group: int | None = None

    def trusts(self, status: os.stat_result) -> bool:
        """Return whether only trusted users can have written the file or folder with this status."""
        if os.name != "posix":
            return True  # these folders are in the user's profile, which Windows protects by access lists
        if status.st_uid not in self.owners | {0, os.geteuid()} or status.st_mode & _WRITABLE_BY_ALL:
            return False
        return not status.st_mode & _WRITABLE_BY_GROUP or status.st_gid == self.group

    def is_safe(self) -> bool:
        """Return whether the folder exists, is not a link, and only trusted users can write to it."""
        try:
            status = self.folder.lstat()
        except (OSError, ValueError):
            return False
        return stat.S_ISDIR(status.st_mode) and self.trusts(status)


class KernelCache:
    """The cache of one kernel, with the interface that numba's dispatchers call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Cache the compiled versions of `function`, one for each signature."""
        self._function = function
        self._source = Path(function.__code__.co_filename)
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The first folder tried, for numba's statistics."""
        return str(next(_places(self._source.parent)).folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel for these argument types, None if no trusted file has it."""
        if not self._enabled:
            return None
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        for place in _places(self._source.parent):
            payload = _read(place, self._name(key), key)
            if payload is None:
                continue
            try:
                return _rebuild(target_context, *pickle.loads(payload))
            except Exception:  # written by a library that differs in a way the key does not cover
                continue
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled kernel, if it can be cached and a folder accepts it."""
        if not self._enabled or data.library.has_dynamic_globals or any(not loop.can_cache for loop in data.lifted):
            return
        key = self._key(sig, data.codegen)
        payload: bytes = _dumps(data._reduce())
        _WRITER.write(self._source.parent, self._name(key), _seal(key, payload))

    def enable(self) -> None:
        """Resume reading and writing."""
        self._enabled = True

    def disable(self) -> None:
        """Stop reading and writing."""
        self._enabled = False

    def flush(self) -> None:
        """Do nothing: a changed source changes the file name, so old kernels are never loaded."""

    def _key(self, sig: Any, codegen: Any) -> bytes:
        """Return everything that determines the compiled code and the machine it runs on."""
        python = sys.implementation.cache_tag, sys.version_info[:2], getattr(sys, "abiflags", ""), sys.platform
        versions = numba.__version__, np.__version__
        code = self._function.__code__
        compiled_from = (
            self._function.__module__,  # numba imports it when it loads the kernel
            _hash_source(self._source),
            hashlib.sha256(code.co_code).hexdigest(),
            code.co_firstlineno,
        )
        return repr((python, versions, codegen.magic_tuple(), compiled_from, repr(sig))).encode()

    def _name(self, key: bytes) -> str:
        function = self._function.__qualname__.replace("<", "").replace(">", "")
        return f"{self._source.stem}.{function}.{hashlib.sha256(key).hexdigest()[:16]}.nbc"


class _Writer:
    """Writes kernels; a folder that failed once is not tried again, and the user is warned once."""

    def __init__(self) -> None:
        self._failures: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._warned = False

    def write(self, source_folder: Path, name: str, content: bytes) -> None:
        with self._lock:
            for place in _places(source_folder):
                if place.folder in self._failures:
                    continue
                reason = _write(place, name, content)
                if reason is None:
                    return
                self._failures[place.folder] = reason
            folder = _temporary_folder(create=True)
            written = folder is not None and _write(_Place(folder), name, content) is None
            self._warn(folder if written else None)

    def _warn(self, temporary: Path | None) -> None:
        if self._warned:
            return
        self._warned = True
        failures = "; ".join(f"{folder}: {reason}" for folder, reason in self._failures.items())
        effect = "each start compiles again, about 30 s" if temporary is None else f"it is kept in {temporary} instead"
        warnings.warn(
            f"compiled code cannot be kept ({failures}); {effect}; set NUMBA_CACHE_DIR to a folder of yours",
            CacheWarning,
            stacklevel=2,
        )


_WRITER = _Writer()


def _places(source_folder: Path) -> Iterator[_Place]:
    """Yield the folders for the kernels of a source folder, best first; the temporary one last, if it exists."""
    if _config.CACHE_DIR:
        yield _Place(Path(_config.CACHE_DIR) / "animeinterp")
    else:
        yield _pycache(source_folder)
        user = Path(_app_dirs("animeinterp", appauthor=False).user_cache_dir)
        if user.is_absolute():  # not absolute if the user has no home folder
            yield _Place(user / "kernels")
    temporary = _temporary_folder(create=False)
    if temporary is not None:
        yield _Place(temporary)


def _pycache(source_folder: Path) -> _Place:
    """Return `__pycache__`, trusted as the source is: whoever may change one may change the other."""
    folder = source_folder / "__pycache__"
    try:
        source = source_folder.stat()
    except OSError:
        return _Place(folder)
    shared = source.st_mode & _WRITABLE_BY_GROUP
    return _Place(folder, frozenset({source.st_uid}), source.st_gid if shared else None)


def _temporary_folder(*, create: bool) -> Path | None:
    """Return this user's private folder among the temporary files, None if there is none.

    Its owner and mode are checked, because another user could create a folder of that name first.
    """
    user = os.geteuid() if os.name == "posix" else "user"
    prefix = f"animeinterp-kernels-{user}-"
    try:
        parent = Path(tempfile.gettempdir())
        for folder in sorted(parent.glob(f"{prefix}*")):
            if _is_private(folder):
                return folder
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent)) if create else None
    except OSError:
        return None


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    if os.name != "posix":
        return folder.resolve().is_relative_to(Path.home().resolve())
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _read(place: _Place, name: str, key: bytes) -> bytes | None:
    """Return the payload of a kernel's file, None if it is missing, damaged or not trusted."""
    if not place.is_safe():
        return None
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(place.folder / name, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES or not place.trusts(status):
                return None
            content = file.read(_MAX_BYTES)
    except OSError:
        return None
    payload = content[len(_MAGIC) + _DIGEST_BYTES :]
    return payload if content == _seal(key, payload) else None


def _seal(key: bytes, payload: bytes) -> bytes:
    """Return the content of a kernel's file: a magic line, a hash of key and payload, the payload."""
    return _MAGIC + hashlib.sha256(key + payload).digest() + payload


def _write(place: _Place, name: str, content: bytes) -> str | None:
    """Write a kernel's file; return the reason if that failed, None otherwise."""
    try:
        place.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not place.is_safe():
            return "other users can write there"
        with atomic_path(place.folder / name, force=True) as part:
            part.write_bytes(content)
    except AnimeInterpError as error:
        return getattr(error.__cause__, "strerror", None) or str(error)
    except OSError as error:
        return error.strerror or str(error)
    return None


@cache
def _hash_source(source: Path) -> str:
    """Return the SHA-256 of a source file, an empty string if it cannot be read."""
    try:
        return hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError:
        return ""
