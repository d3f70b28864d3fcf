"""Write files whole or not at all, and take names and paths from strangers safely.

Every output of the package goes through `atomic_path`, `atomic_folder`, `write_bytes` or `write_text`: a temporary name
that cannot be guessed, created exclusively (no planted link is followed), flushed to the disk, then renamed. Without
`force` a target that appears while the work goes on is not overwritten either.

This module does not read or encode images and films; see `animeinterp.io.images` and `animeinterp.video`.
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

# Windows keeps these for devices, with any suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
_STREAMS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/.*")
_PATTERN = re.compile(r"%\d*[di]|#{2,}|\{:?\d*d?\}|\*")  # of FFmpeg and printf, of other programs, of shells
_UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def atomic_path(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield the path of a new, empty file beside `target`; it gets the name `target` when the block ends.

    If the block raises, nothing is left and `target` is untouched.

    Args:
        target: The file to write.
        force: Whether an existing `target` is replaced.

    Yields:
        The temporary path, to be opened by name and closed again within the block.

    Raises:
        UsageError: `target` exists, or has come to exist meanwhile, and not `force`.
        FileError: The system refused to create, write or rename the file.
    """
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with writing(target):
            with part.open("xb"):
                pass
            yield part
            _sync(part)
            _place(part, target, force)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new, empty folder beside `target`; it gets the name `target` when the block ends.

    If the block raises, the temporary folder is removed.

    Args:
        target: The folder to make; must not exist.

    Yields:
        The temporary folder.

    Raises:
        UsageError: `target` exists.
        FileError: The system refused to create, write or rename the folder.
    """
    _check_no_stream(target)
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with writing(target):
            part.mkdir()
            yield part
            for path in sorted(part.rglob("*")):
                if path.is_file():
                    _sync(path)
            if os.path.lexists(target):
                raise _exists(target)
            part.rename(target)
            _sync_folder(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def place(part: Path, target: Path, *, force: bool = False) -> None:
    """Give a finished file its name, flushed to the disk; both must be on one file system.

    Args:
        part: The finished file, closed.
        target: Its name.
        force: Whether an existing `target` is replaced.

    Raises:
        UsageError: `target` exists and not `force`; `part` stays.
        FileError: The system refused to rename the file.
    """
    with writing(target):
        _sync(part)
        _place(part, target, force)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(target: Path, data: bytes | memoryview, *, force: bool = False) -> None:
    """Write a file whole or not at all. Raises as `atomic_path`."""
    with atomic_path(target, force=force) as part:
        part.write_bytes(data)


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    """Write a UTF-8 text with `\\n` line ends, whole or not at all. Raises as `atomic_path`."""
    write_bytes(target, text.encode("utf-8"), force=force)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the system's errors of the block into a FileError that names `target` and says what to do."""
    try:
        yield
    except AnimeInterpError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}; {_advice(error)}") from error


def check_target(target: Path, force: bool) -> None:
    """Raise, before the long work, if a file cannot be written to `target`.

    Args:
        target: The file to write.
        force: Whether an existing file may be replaced.

    Raises:
        UsageError: The file exists and not `force`, or the name stands for a stream (`-`, `/dev/stdout`).
        FileError: The name is too long or belongs to something else, or its folder is missing or not writable.
    """
    _check_no_stream(target)
    try:
        kind = kind_of(target)
    except (FileNotFoundError, NotADirectoryError):
        kind = ""
    except (OSError, ValueError) as error:
        advice = _advice(error) if isinstance(error, OSError) else "choose another name"
        raise FileError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}; {advice}") from error
    if kind:
        raise FileError(f"{target} is {kind}; choose another name")
    if os.path.lexists(target) and not force:  # a dangling link too
        raise _exists(target)
    parent = target.parent
    if not parent.is_dir():
        raise FileError(f"cannot write {target}: {parent} is not a folder; create it or choose another")
    if not os.access(parent, os.W_OK):
        raise FileError(f"cannot write {target}: no permission to write in {parent}; choose another folder")


def check_no_pattern(target: Path, advice: str) -> None:
    """Raise UsageError for a pattern of names, such as FFmpeg's `seq_%04d.png`, which is not filled in.

    Args:
        target: The file to write.
        advice: What to give instead; ends before a name that is like this one, without the pattern.
    """
    begin, *rest = _PATTERN.split(target.name)
    if rest:
        raise UsageError(f"{target} is a pattern of names; {advice} {begin.strip('_-. ') or 'frames'}")


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it exists.

    Raises:
        UsageError: The name stands for a stream (`-`, `/dev/stdout`).
        FileError: The folder cannot be made.
    """
    _check_no_stream(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {path}: {error.strerror}; choose another") from error


def kind_of(path: Path) -> str:
    """What a path is in words if it is not an ordinary file (`a folder`, `a named pipe`, …); empty if it is one.

    Follows links. Raises OSError if it does not exist or cannot be looked at.
    """
    mode = path.stat().st_mode
    return next((name for test, name in _KINDS if test(mode)), "" if stat.S_ISREG(mode) else "not an ordinary file")


def check_source(path: Path, expected: str) -> None:
    """Raise FileError unless `path` is an ordinary file that can be opened more than once.

    Args:
        path: The file to read.
        expected: What messages ask for, such as `a picture file`.
    """
    try:
        kind = kind_of(path)
    except FileNotFoundError:
        raise FileError(f"expected {expected} at {path}, found nothing; check the name") from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {path}: {said}; expected {expected}") from error
    if kind == "a named pipe":
        raise FileError(f"{path} is a named pipe, which can be read only once; save it as a file first")
    if kind:
        raise FileError(f"{path} is {kind}; expected {expected}")


def check_name(name: object, origin: str) -> str:
    """The name, if it is one plain component of a path on every system; for names that are read from files.

    Args:
        name: The name as it was read.
        origin: Where it was read, for the message.

    Raises:
        FileError: The name is not a text, is empty, leads to another folder (`..`, `/`, `C:`) or is reserved.
    """
    if (
        not isinstance(name, str)
        or not name.strip(". ")
        or name != name.rstrip(". ")
        or _FORBIDDEN.search(name)
        or _RESERVED.fullmatch(name)
        or len(name.encode("utf-8", "surrogatepass")) > 255
    ):
        shown = repr(name)[:100]
        raise FileError(f"{origin} names {shown}; expected plain names without / \\ : or .., so do not trust this file")
    return name


def ffmpeg_url(path: Path) -> str:
    """The path as FFmpeg opens it: a colon in the name (`Re:Zero.mkv`, `concat:a.mkv`) is no protocol then."""
    return f"file:{path}"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this process until the block ends, or the process does.

    The lock is the file `lock` in the folder; the system releases it when the process dies. What remains of killed
    runs, temporary files of `atomic_path` and `atomic_folder`, is removed first.

    Raises:
        UsageError: Another process holds it.
        FileError: The lock file cannot be created.
    """
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder} is in use by another run; wait for it to end, or write to another name") from None
    except (OSError, NotImplementedError) as error:  # some network drives have no locks
        said = getattr(error, "strerror", None) or error
        raise FileError(f"cannot lock {folder}: {said}; choose another folder") from error
    try:
        remove_parts(folder)
        yield
    finally:
        # Before the release: filelock checks that the file it has locked is still there. Windows refuses, and keeps it.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def remove_parts(folder: Path) -> None:
    """Remove the temporary files and folders of killed runs from a folder that is locked. Raises FileError."""
    with writing(folder):
        for path in folder.glob(".*.part"):
            if _PART.fullmatch(path.name):
                if path.is_dir() and not is_link(path):
                    shutil.rmtree(path)
                else:
                    path.unlink()


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link or, on Windows, a junction: removing what is in it would reach elsewhere."""
    return path.is_symlink() or (hasattr(path, "is_junction") and path.is_junction())


def _check_no_stream(target: Path) -> None:
    if str(target) == "-" or _STREAMS.fullmatch(target.absolute().as_posix()):
        raise UsageError(f"cannot write to {target}: pipes and standard output are not supported; give a file name")


def _exists(target: Path) -> UsageError:
    return UsageError(f"{target} exists already; choose another name or give --force to overwrite it")


def _place(part: Path, target: Path, force: bool) -> None:
    """Give a finished file its name."""
    if force:
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
    """Flush a file to the disk. Opened for writing: Windows refuses to flush what is open for reading only."""
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _UNSYNCABLE:
                raise


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries where the system can; Windows cannot open folders, and needs not."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _advice(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "choose a shorter name"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose another folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "its folder was moved or removed; make it again or choose another"
    return "free some space or choose another folder"


def sha256(path: Path) -> str:
    """Of a file's content, hexadecimal. Raises FileError."""
    check_source(path, "a file of weights")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}; expected a file of weights") from error
