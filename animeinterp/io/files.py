"""Write files completely or not at all, and check names and paths that come from users and untrusted files.

Every output of the package goes through `atomic_path`, `atomic_folder`, `write_bytes` or `write_text`. They write to a
temporary name that cannot be guessed and that is created exclusively, so that no planted link is followed, flush the
data to disk, and rename it. Without `force`, a target that another program creates in the meantime is not replaced.

This module does not encode or decode images and films; see `animeinterp.io.images` and `animeinterp.video`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from animeinterp.errors import AnimeInterpError, FileError, UsageError

# Windows reserves these names for devices, with any suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part")
_STREAMS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/.*")
_PATTERN = re.compile(r"%\d*[di]|#{2,}|\{:?\d*d?\}|\*")  # of FFmpeg and printf, of other programs, of shells
_FSYNC_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)
_FILE_TYPES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def atomic_path(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield the path of a new, empty temporary file beside `target`, and rename it to `target` at the end.

    If the block raises, the temporary file is removed and `target` is unchanged.

    Args:
        target: The file to write.
        force: Whether an existing `target` is replaced.

    Yields:
        The temporary path, to be opened by name and closed again within the block.

    Raises:
        UsageError: `target` exists, or was created in the meantime, and not `force`.
        FileError: The operating system refused to create, write or rename the file.
    """
    part = _temporary_path(target)
    try:
        with report_write_errors(target):
            with part.open("xb"):
                pass
            yield part
            _sync(part)
            _rename(part, target, force)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new, empty temporary folder beside `target`, and rename it to `target` at the end.

    If the block raises, the temporary folder is removed.

    Args:
        target: The folder to make; must not exist.

    Yields:
        The temporary folder.

    Raises:
        UsageError: `target` exists.
        FileError: The operating system refused to create, write or rename the folder.
    """
    _check_not_stream(target)
    part = _temporary_path(target)
    try:
        with report_write_errors(target):
            part.mkdir()
            yield part
            for path in sorted(part.rglob("*")):
                if path.is_file():
                    _sync(path)
            _rename(part, target, force=False)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_into_place(part: Path, target: Path, *, force: bool = False) -> None:
    """Rename a finished file or folder; both paths must be on one file system.

    Args:
        part: The closed file, which is flushed to disk first; or a folder of files that were flushed already.
        target: Its final name.
        force: Whether an existing file is replaced; a folder is never replaced.

    Raises:
        UsageError: `target` exists and may not be replaced; `part` is unchanged.
        FileError: The operating system refused to rename it.
    """
    with report_write_errors(target):
        if not part.is_dir():
            _sync(part)
        _rename(part, target, force)


def write_bytes(target: Path, data: bytes | memoryview, *, force: bool = False) -> None:
    """Write a file completely or not at all. Raises as `atomic_path`."""
    with atomic_path(target, force=force) as part:
        part.write_bytes(data)


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    r"""Write UTF-8 text with `\n` line ends, completely or not at all. Raises as `atomic_path`."""
    write_bytes(target, text.encode("utf-8"), force=force)


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def report_write_errors(target: Path) -> Iterator[None]:
    """Turn an OSError of the block into a FileError that names `target` and tells what to do."""
    try:
        yield
    except AnimeInterpError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}; {_advise(error)}") from error


def check_target(target: Path, force: bool) -> None:
    """Check that a file can be written to `target`; called before the long work.

    Args:
        target: The file to write.
        force: Whether an existing file may be replaced.

    Raises:
        UsageError: The file exists and not `force`, or the name is that of a stream (`-`, `/dev/stdout`).
        FileError: The name is too long or is not that of a file, or its folder is missing or not writable.
    """
    _check_not_stream(target)
    try:
        kind = special_type(target)
    except (FileNotFoundError, NotADirectoryError):
        kind = ""
    except (OSError, ValueError) as error:
        advice = _advise(error) if isinstance(error, OSError) else "choose another name"
        raise FileError(f"cannot write {target}: {_reason(error)}; {advice}") from error
    if kind:
        raise FileError(f"{target} is {kind}; choose another name")
    if os.path.lexists(target) and not force:  # True for a dangling link too
        raise _exists(target)
    parent = target.parent
    if not parent.is_dir():
        raise FileError(f"cannot write {target}: {parent} is not a folder; create it or choose another")
    if not os.access(parent, os.W_OK):
        raise FileError(f"cannot write {target}: no permission to write in {parent}; choose another folder")


def check_folder(path: Path, advice: str = "choose another name") -> None:
    """Raise FileError with this advice if `path` exists and is not a folder."""
    if path.exists() and not path.is_dir():
        raise FileError(f"{path} is not a folder; {advice}")


def is_free(folder: Path) -> bool:
    """Return whether a folder is missing, or holds at most the lock file of a killed run."""
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and all(path.name == "lock" for path in folder.iterdir())


def check_no_pattern(target: Path, advice: str) -> None:
    """Check that a file name is not a pattern of names, such as FFmpeg's `seq_%04d.png`: patterns are not expanded.

    Args:
        target: The file to write.
        advice: What to give instead; the message appends the name without the pattern.

    Raises UsageError for a pattern.
    """
    stem, *rest = _PATTERN.split(target.name)
    if rest:
        raise UsageError(f"{target} is a pattern of names; {advice} {stem.strip('_-. ') or 'frames'}")


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless it exists. Raises FileError, and UsageError for the name of a stream."""
    _check_not_stream(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {path}: {error.strerror}; choose another") from error


def special_type(path: Path) -> str:
    """Name the type of a path that is not a regular file (`a folder`, `a named pipe`, …); empty for a regular file.

    Follows links. Raises OSError if the path does not exist or cannot be examined.
    """
    mode = path.stat().st_mode
    unknown = "" if stat.S_ISREG(mode) else "not an ordinary file"
    return next((name for is_type, name in _FILE_TYPES if is_type(mode)), unknown)


def check_source(path: Path, expected: str) -> None:
    """Check that `path` is a regular file, which can be opened more than once.

    Args:
        path: The file to read.
        expected: What was expected, for messages, such as `an image file`.

    Raises:
        FileError: It is missing, is not a regular file or cannot be examined.
    """
    try:
        kind = special_type(path)
    except FileNotFoundError:
        raise FileError(f"expected {expected} at {path}, found nothing; check the name") from None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {_reason(error)}; expected {expected}") from error
    if kind == "a named pipe":
        raise FileError(f"{path} is a named pipe, which can be read only once; save it as a file first")
    if kind:
        raise FileError(f"{path} is {kind}; expected {expected}")


def check_name(name: object, origin: str) -> str:
    """Check that a name that was read from a file is a single path component on every operating system.

    Args:
        name: The name as it was read.
        origin: The file it was read from, for messages.

    Returns:
        The name.

    Raises:
        FileError: The name is not a string, is empty, leads to another folder (`..`, `/`, `C:`) or is reserved.
    """
    if (
        not isinstance(name, str)
        or not name.strip(". ")
        or name != name.rstrip(". ")
        or _FORBIDDEN.search(name)
        or _RESERVED.fullmatch(name)
        or len(name.encode("utf-8", "surrogatepass")) > 255
    ):
        excerpt = repr(name)[:100]
        raise FileError(
            f"{origin} names {excerpt}; expected plain names without / \\ : or .., so do not trust this file"
        )
    return name


def ffmpeg_url(path: Path) -> str:
    """Return the URL by which FFmpeg opens a path, so that a colon in it (`Re:Zero.mkv`) does not name a protocol."""
    return f"file:{path}"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder for this process until the block ends.

    The lock is the file `lock` in the folder; the operating system releases it when the process dies. Temporary files
    that killed runs left in the folder, which must exist, are removed first.

    Raises:
        UsageError: Another process holds the lock.
        FileError: The lock file cannot be created.
    """
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder} is in use by another run; wait for it to end, or write to another name") from None
    except (OSError, NotImplementedError) as error:  # some network drives have no locks
        raise FileError(f"cannot lock {folder}: {_reason(error)}; choose another folder") from error
    try:
        remove_temporary_files(folder)
        yield
    finally:
        # Before the release, because filelock checks that the locked file still exists. Windows refuses and keeps it.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def remove_temporary_files(folder: Path) -> None:
    """Remove what `atomic_path` and `atomic_folder` of killed runs left in a locked folder. Raises FileError."""
    with report_write_errors(folder):
        for path in folder.glob(".*.part"):
            if _TEMPORARY.fullmatch(path.name):
                if path.is_dir() and not is_link(path):
                    shutil.rmtree(path)
                else:
                    path.unlink()


def is_link(path: Path) -> bool:
    """Return whether a path is a symbolic link or a Windows junction, whose content belongs to another folder."""
    return path.is_symlink() or (hasattr(path, "is_junction") and path.is_junction())


def _temporary_path(target: Path) -> Path:
    """Return an unguessable name beside `target`."""
    return target.with_name(f".{secrets.token_hex(8)}.part")


def _check_not_stream(target: Path) -> None:
    """Raise UsageError for the name of a stream."""
    if str(target) == "-" or _STREAMS.fullmatch(target.absolute().as_posix()):
        raise UsageError(f"cannot write to {target}: pipes and standard output are not supported; give a file name")


def _exists(target: Path) -> UsageError:
    """Return the error for a target that exists."""
    return UsageError(f"{target} exists already; choose another name or give --force to overwrite it")


def _rename(part: Path, target: Path, force: bool) -> None:
    """Give a finished file or folder its name."""
    if part.is_dir():
        if os.path.lexists(target):
            raise _exists(target)
        part.rename(target)
    elif force:
        part.replace(target)
    else:
        try:
            # A hard link, because renaming overwrites on POSIX systems.
            os.link(part, target)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without hard links (FAT, some network drives)
            try:
                with target.open("xb"):
                    pass
            except FileExistsError:
                raise _exists(target) from None
            part.replace(target)
        else:
            part.unlink()
    _sync_folder(target.parent)


def _sync(path: Path) -> None:
    """Flush a file to disk. It is opened for writing, because Windows does not flush files opened for reading."""
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _FSYNC_UNSUPPORTED:
                raise


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk where possible; Windows cannot open folders and does not need it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: Exception) -> object:
    """Return the operating system's text for an error, or the error itself."""
    return getattr(error, "strerror", None) or error


def _advise(error: OSError) -> str:
    """Return what the user can do about a failed write."""
    if error.errno == errno.ENAMETOOLONG:
        return "choose a shorter name"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose another folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "its folder was moved or removed; make it again or choose another"
    return "free some space or choose another folder"
