"""Keep compiled kernels on disk, where numba's own cache is too trusting.

numba keeps an index and data files beside the source and unpickles whatever it finds there: a file cut short by a full
disk or a power failure stops every later start, and a changed one runs as code. Here each kernel is one file whose name
says what it was compiled from and for (source, types, processor, versions), whose first bytes are a hash of the rest,
and which is read only from a folder that nobody else can write to. Whatever does not fit is compiled again.

Places, in order: `NUMBA_CACHE_DIR` if set, else `__pycache__` beside the source and the user's cache folder; then a
private folder among the temporary files. Each kernel is read from the first place that has it and written to the first
that takes it. If only the temporary folder or none is left, a `CacheWarning` says so, once per process.

Compilation itself is numba's; see `animeinterp.runtime.jit`.
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
_MAX_BYTES = 64 * 2**20  # a kernel has some 50 kB
_WRITABLE_BY_GROUP, _WRITABLE_BY_ALL = 0o020, 0o002
# These carry no types.
_rebuild: Any = CompileResult._rebuild
_dumps: Any = dumps
_app_dirs: Any = AppDirs
_config: Any = config


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder for kernels.

    folder: where. owners: users whose files are believed, besides root and this user. group: the group that may write
    there because it may change the source as well; None if no group may.
    """

    folder: Path
    owners: frozenset[int] = frozenset()
    group: int | None = None

    def trusts(self, status: os.stat_result) -> bool:
        """Whether only users who are believed can have written what has this status."""
        if os.name != "posix":
            return True  # these folders lie in the user's profile; Windows guards it by access lists
        if status.st_uid not in self.owners | {0, os.geteuid()} or status.st_mode & _WRITABLE_BY_ALL:
            return False
        return not status.st_mode & _WRITABLE_BY_GROUP or status.st_gid == self.group

    def is_safe(self) -> bool:
        """Whether the folder exists, is no link, and only users who are believed can write to it."""
        try:
            status = self.folder.lstat()
        except (OSError, ValueError):
            return False
        return stat.S_ISDIR(status.st_mode) and self.trusts(status)


class KernelCache:
    """The cache of one kernel, in the shape in which numba's dispatchers call it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._source = Path(function.__code__.co_filename)
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The first folder that is tried, for numba's statistics."""
        return str(next(_places(self._source.parent)).folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for these argument types, None if there is none that can be believed."""
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
            except Exception:  # written by a library that differs in ways that the key does not tell
                continue
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if it can be kept and there is a place for it."""
        if not self._enabled or data.library.has_dynamic_globals or any(not one.can_cache for one in data.lifted):
            return
        key = self._key(sig, data.codegen)
        payload: bytes = _dumps(data._reduce())
        _STORE.write(self._source.parent, self._name(key), _sealed(key, payload))

    def enable(self) -> None:
        """Read and write from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Forget nothing: the names of the files tell old kernels from new ones."""

    def _key(self, sig: Any, codegen: Any) -> bytes:
        """All that decides what the compiled code does and where it runs."""
        python = sys.implementation.cache_tag, sys.version_info[:2], getattr(sys, "abiflags", ""), sys.platform
        versions = numba.__version__, np.__version__
        code = self._function.__code__
        compiled_from = (
            self._function.__module__,  # numba imports it again when it loads
            _source_stamp(self._source),
            hashlib.sha256(code.co_code).hexdigest(),
            code.co_firstlineno,
        )
        return repr((python, versions, codegen.magic_tuple(), compiled_from, repr(sig))).encode()

    def _name(self, key: bytes) -> str:
        function = self._function.__qualname__.replace("<", "").replace(">", "")
        return f"{self._source.stem}.{function}.{hashlib.sha256(key).hexdigest()[:16]}.nbc"


class _Store:
    """Where kernels are written: places that refused once are not tried again, and the user is told once."""

    def __init__(self) -> None:
        self._refused: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._told = False

    def write(self, source_folder: Path, name: str, content: bytes) -> None:
        with self._lock:
            for place in _places(source_folder):
                if place.folder in self._refused:
                    continue
                reason = _write(place, name, content)
                if reason is None:
                    return
                self._refused[place.folder] = reason
            folder = _temporary(create=True)
            kept = folder is not None and _write(_Place(folder), name, content) is None
            self._tell(folder if kept else None)

    def _tell(self, temporary: Path | None) -> None:
        if self._told:
            return
        self._told = True
        where = "; ".join(f"{folder}: {reason}" for folder, reason in self._refused.items())
        then = "each start compiles anew, about 30 s" if temporary is None else f"it is kept in {temporary} instead"
        warnings.warn(
            f"compiled code cannot be kept ({where}); {then}; set NUMBA_CACHE_DIR to a folder of yours",
            CacheWarning,
            stacklevel=2,
        )


_STORE = _Store()


def _places(source_folder: Path) -> Iterator[_Place]:
    """The places for kernels of a folder of sources, best first; the temporary one last, if it exists already."""
    if _config.CACHE_DIR:
        yield _Place(Path(_config.CACHE_DIR) / "animeinterp")
    else:
        yield _beside(source_folder)
        user = Path(_app_dirs("animeinterp", appauthor=False).user_cache_dir)
        if user.is_absolute():  # not so without a home
            yield _Place(user / "kernels")
    temporary = _temporary(create=False)
    if temporary is not None:
        yield _Place(temporary)


def _beside(source_folder: Path) -> _Place:
    """`__pycache__`, believed as far as the source is: who may change that one may change the other."""
    folder = source_folder / "__pycache__"
    try:
        source = source_folder.stat()
    except OSError:
        return _Place(folder)
    shared = source.st_mode & _WRITABLE_BY_GROUP
    return _Place(folder, frozenset({source.st_uid}), source.st_gid if shared else None)


def _temporary(*, create: bool) -> Path | None:
    """This user's private folder among the temporary files.

    Found by its owner and mode, not by its name alone, which anybody could take beforehand.
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
    """The payload of a kernel's file, None if it is missing, damaged, foreign or not to be believed."""
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
    return payload if content == _sealed(key, payload) else None


def _sealed(key: bytes, payload: bytes) -> bytes:
    """The content of a kernel's file: a hash of key and payload before the payload."""
    return _MAGIC + hashlib.sha256(key + payload).digest() + payload


def _write(place: _Place, name: str, content: bytes) -> str | None:
    """Write a kernel's file; the reason if it cannot be written."""
    try:
        place.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not place.is_safe():
            return "others can write there"
        with atomic_path(place.folder / name, force=True) as part:
            part.write_bytes(content)
    except AnimeInterpError as error:
        return getattr(error.__cause__, "strerror", None) or str(error)
    except OSError as error:
        return error.strerror or str(error)
    return None


@cache
def _source_stamp(source: Path) -> str:
    """A hash of the source; empty if it was installed without."""
    try:
        return hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError:
        return ""
