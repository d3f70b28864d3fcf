"""The folder beside the target that keeps the finished part of a film until the film is complete.

TARGET.parts/ holds `job.json` (see `animeinterp.video.sink.job_record`), the lock of the running process, and the film
in segments of 120 frames, each a playable file; the images of a folder of frames are in `frames/`. A resumed run keeps
the recorded parts whose files are unchanged and draws the others again, so the film is the same as from an
uninterrupted run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.io.files import file_sha256, lock_folder, move_into_place, report_write_errors
from animeinterp.video.sink.job_record import JobRecord, Part, describe_differences, find_fault, read_record

SEGMENT_FRAMES = 120
_JOB, _LOCK, _FRAMES, _FILM = "job.json", "lock", "frames", "film"
# Images are many, so for them the record is written every 2 s and takes at most a fiftieth of the time.
_SAVE_INTERVAL, _SAVE_TIME_FRACTION = 2.0, 0.02
_OWN_NAMES = re.compile(r"[0-9]{6,9}\.(mkv|png)|\.[0-9a-f]{16}\.part|film\.[a-z0-9]{1,5}")
_MAX_NAME = 255  # bytes of a file name


def find_finished_parts(target: Path) -> Path | None:
    """Return the folder with the finished parts of a target, None if there are none."""
    folder = _locate_store(target)
    try:
        record = None if folder.is_symlink() else read_record(folder / _JOB)
    except FileError:
        return None
    return folder if record is not None and record.parts else None


def count_finished_frames(target: Path) -> int:
    """Return how many frames of a target an interrupted run has finished, by its record."""
    folder = find_finished_parts(target)
    record = None if folder is None else read_record(folder / _JOB)
    return 0 if record is None else record.frames


class SegmentStore:
    """The finished segments, or images of a folder of frames, and their record.

    Call `check` first; within `opened`, write each part to `next_part` and `add` it; then `finish`.

    Attributes:
        folder: The store's folder.
        part_folder: The folder of the parts: `folder`, or `frames` in it for images.
        frames: The number of finished frames.
        complete: Whether an earlier run already completed the target.
        notes: Sentences for the user about files that were damaged, missing or unexpected.
    """

    def __init__(self, target: Path, *, images: bool) -> None:
        """Describe the store of a target; nothing is read or written yet.

        Args:
            target: The film's file or folder of frames.
            images: Whether the target is a folder of frames.
        """
        self.folder = _locate_store(target)
        self.part_folder = self.folder / _FRAMES if images else self.folder
        self.frames = 0
        self.complete = False
        self.notes: list[str] = []
        self._target, self._images = target, images
        self._record = JobRecord({})
        self._saved_at = self._save_interval = 0.0  # s
        self._holds_lock = False

    def check(self, *, resume: bool, force: bool) -> None:
        """Check that a run may begin, before any work.

        Args:
            resume: Whether the run resumes an earlier one.
            force: Whether the parts of an earlier run may be discarded.

        Raises:
            UsageError: There are parts of an earlier run and neither `resume` nor `force`, or another run is active.
            FileError: The folder's name belongs to something else.
        """
        self._check_folder()
        if os.path.lexists(self.folder / _LOCK):
            with self._locked():
                pass
        if not (resume or force):
            self._check_empty()

    def is_target_complete(self) -> bool:
        """Return whether the target exists and is the one that an earlier run of these parts completed."""
        record = None if self.folder.is_symlink() else read_record(self.folder / _JOB)
        if record is None or record.film is None:
            return False
        if self._images:
            return not self.part_folder.exists() and not any(
                find_fault(self._target / part.name, part) for part in record.parts
            )
        try:
            return self._target.is_file() and file_sha256(self._target) == record.film
        except OSError:
            return False

    @contextmanager
    def opened(self, settings: Mapping[str, str], *, resume: bool, force: bool) -> Iterator[None]:
        """Lock the folder and begin or resume a run; afterwards the folder is removed if it holds no part.

        Args:
            settings: Every setting that determines the film.
            resume: Whether to keep the parts of an earlier run.
            force: Whether the parts of an earlier run may be discarded.

        Raises:
            UsageError: As `check`, or the parts belong to a run with other settings.
            FileError: The folder cannot be created or read.
        """
        self._check_folder()
        with ExitStack() as stack:
            with report_write_errors(self.folder):
                self.folder.mkdir(exist_ok=True)
            stack.callback(self._remove_folder)
            stack.enter_context(self._locked())
            self._holds_lock = True
            self._begin(dict(settings), resume, force)
            stack.callback(self._remove_if_empty)
            yield

    def next_part(self) -> Path:
        """Return the path of the part that begins with the next frame."""
        return self.part_folder / self._name_part(self.frames)

    def add(self, path: Path, frames: int) -> None:
        """Record a finished part, the file at `next_part`. Raises FileError."""
        with report_write_errors(path):
            self._record.parts.append(Part(path.name, frames, file_sha256(path)))
        self.frames += frames
        self.save(now=not self._images)

    def save(self, *, now: bool) -> None:
        """Write the record, `now` or only if the last time is long enough ago. Raises FileError."""
        began = time.monotonic()
        if now or began - self._saved_at > self._save_interval:
            self._record.write(self.folder / _JOB)
            self._saved_at = time.monotonic()
            self._save_interval = max(_SAVE_INTERVAL, (self._saved_at - began) / _SAVE_TIME_FRACTION)

    def list_parts(self) -> list[Path]:
        """Return the finished files in order."""
        return [self.part_folder / part.name for part in self._record.parts]

    def finish(self, make: Callable[[Path], int], *, force: bool) -> int:
        """Make the target from the parts and remove them.

        Args:
            make: Writes the complete film to a path and returns a number; not called for a folder of frames.
            force: Whether an existing target is replaced.

        Returns:
            The number that `make` returned, 0 if it was not called.

        Raises:
            UsageError: The target was created in the meantime and not `force`; all parts stay.
            FileError: The target cannot be written.
        """
        result = 0
        if not self.complete:
            film = self.part_folder if self._images else self.folder / f"{_FILM}{self._target.suffix.lower()}"
            if not self._images:
                result = make(film)
            with report_write_errors(film):
                self._record.film = "folder" if self._images else file_sha256(film)
            self.save(now=True)
            self._place_target(film, force)
            self.complete = True
        self._remove_parts()
        return result

    def _check_folder(self) -> None:
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            kind = "a link" if self.folder.is_symlink() else "not a folder"
            raise FileError(f"{self.folder} is {kind}; expected a folder for the parts of a run, so remove it")

    def _check_empty(self) -> None:
        record = read_record(self.folder / _JOB)
        if (record is not None and record.parts) or self._has_parts():
            raise UsageError(
                f"{self.folder} holds parts of an earlier run; give --resume to continue it, or --force to start over"
            )

    def _list_own_files(self) -> list[Path]:
        """Return the files named like parts or temporary files, whatever their content."""
        paths = [*_list_folder(self.folder), *_list_folder(self.folder / _FRAMES)]
        return [path for path in paths if _OWN_NAMES.fullmatch(path.name)]

    def _has_parts(self) -> bool:
        return any(path.suffix != ".part" for path in self._list_own_files())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.folder / _LOCK
        if lock.is_symlink():  # this program never creates the lock as a link
            _remove(lock)
        with lock_folder(self.folder):
            yield

    def _begin(self, settings: dict[str, str], resume: bool, force: bool) -> None:
        record = read_record(self.folder / _JOB) if resume else None
        if record is None:
            if not (resume or force):
                self._check_empty()
            if resume and (os.path.lexists(self.folder / _JOB) or self._has_parts()):
                self.notes.append(f"{self.folder / _JOB} is damaged or missing; all frames are drawn again")
        elif record.settings != settings:
            raise UsageError(
                f"{self.folder} holds parts of a run with other settings "
                f"({describe_differences(record.settings, settings)}); give the same settings, or --force instead of "
                "--resume to start over"
            )
        elif self.is_target_complete():
            self.complete, self._record, self.frames = True, record, record.frames
            return
        self._record = JobRecord(settings, [] if record is None else self._verify_parts(record))
        self.frames = self._record.frames
        self._remove_unverified(None if record is None else {part.name for part in record.parts})
        with report_write_errors(self.part_folder):
            self.part_folder.mkdir(exist_ok=True)
        self.save(now=True)

    def _verify_parts(self, record: JobRecord) -> list[Part]:
        """Return the recorded parts before the first faulty one, and note the fault."""
        verified: list[Part] = []
        length, frames = 1 if self._images else SEGMENT_FRAMES, 0
        for part in record.parts:
            fault = find_fault(self.part_folder / part.name, part)
            if part.name != self._name_part(frames):
                fault = "is recorded out of order"
            elif part.frames > length or (part.frames < length and part is not record.parts[-1]):
                fault = f"is recorded with {part.frames} frames instead of {length}"
            if fault:
                self.notes.append(f"{self.folder.name}: {part.name} {fault}; frames from {frames} on are drawn again")
                break
            verified.append(part)
            frames += part.frames
        return verified

    def _remove_unverified(self, recorded: set[str] | None) -> None:
        """Remove files named like ours that are not verified parts, and note those that were never recorded."""
        if self._images and (self.part_folder.is_symlink() or self.part_folder.is_file()):
            _remove(self.part_folder)
        verified, surplus = set(self.list_parts()), []
        for path in self._list_own_files():
            if path not in verified:
                _remove(path)
                if recorded is not None and path.name not in recorded and path.name[0].isdigit():
                    surplus.append(path.name)
        if surplus:
            names = surplus[0] if len(surplus) == 1 else f"{surplus[0]} and {len(surplus) - 1} more"
            self.notes.append(f"{self.folder.name}: {names} not recorded in {_JOB}; removed, drawn again where needed")

    def _name_part(self, frames: int) -> str:
        """Return the name of the part that begins with a frame."""
        return f"{frames:06}.png" if self._images else f"{frames // SEGMENT_FRAMES:06}.mkv"

    def _place_target(self, film: Path, force: bool) -> None:
        try:
            if self._images:
                self._move_foreign_files()
            move_into_place(film, self._target, force=force)
        except UsageError as error:
            raise UsageError(
                f"{self._target} was created in the meantime and is not replaced; the finished frames are kept in "
                f"{self.folder}: move {self._target.name} away and give --resume"
                + ("" if self._images else ", or give --resume --force to replace it")
            ) from error

    def _move_foreign_files(self) -> None:
        """Move files of others out of the folder of frames before it becomes the target."""
        recorded = {part.name for part in self._record.parts}
        for path in _list_folder(self.part_folder):
            if path.name not in recorded:
                with suppress(OSError):
                    path.rename(self.folder / f"{path.name}.other")

    def _remove_parts(self) -> None:
        """Remove our files, the record last because it shows that the target is complete."""
        for path in self._list_own_files():
            _remove(path)
        self._remove_record()
        others = sorted(path.name for path in _list_folder(self.folder) if path.name != _LOCK)
        if others:
            self.notes.append(f"{self.folder} is not removed, because it holds other files ({', '.join(others[:3])})")

    def _remove_if_empty(self) -> None:
        """Remove the record of a run that finished nothing."""
        if self.frames or self.complete:
            return
        with suppress(AnimeInterpError):  # it would hide the error that ended the run
            for path in (*_list_folder(self.folder / _FRAMES), *_list_folder(self.folder)):
                if path.name.endswith(".part"):
                    _remove(path)
            self._remove_record()

    def _remove_record(self) -> None:
        with suppress(OSError):
            (self.folder / _FRAMES).rmdir()
        _remove(self.folder / _JOB)

    def _remove_folder(self) -> None:
        """Remove the folder if it holds nothing but our lock, which is released by now."""
        with suppress(OSError, AnimeInterpError):
            if {path.name for path in _list_folder(self.folder)} <= ({_LOCK} if self._holds_lock else set()):
                (self.folder / _LOCK).unlink(missing_ok=True)
                self.folder.rmdir()


def _locate_store(target: Path) -> Path:
    """Return the folder for a target's parts; a name too long for the file system is shortened."""
    name = f"{target.name}.parts"
    encoded = os.fsencode(name)
    if len(encoded) > _MAX_NAME:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        name = f"{encoded[:200].decode('utf-8', 'ignore')}-{digest}.parts"
    return target.with_name(name)


def _list_folder(folder: Path) -> list[Path]:
    """Return the entries of a folder; none if it is not a folder."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; make it readable, or choose another name") from error


def _remove(path: Path) -> None:
    """Remove a file, link or folder without following links. Raises FileError."""
    with report_write_errors(path):
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass
