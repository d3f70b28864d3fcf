"""The folder beside the target that keeps the finished part of a film until the whole is done.

TARGET.parts/ holds job.json (see `animeinterp.video.sink.record`), the lock of the run that works there, and the film
in segments of 120 frames, each a file of its own that can be played; frames of a folder lie in `frames/`. A run that
goes on takes the parts that the record lists, as long as they are what was recorded, and draws the others again: the
same film comes out as from a run that was never broken off.
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
from animeinterp.video.sink.record import Part, Record, differences, fault_of, read_record

SEGMENT = 120  # frames
_JOB, _LOCK, _FRAMES, _FILM = "job.json", "lock", "frames", "film"
# Single pictures are many: the record is written every 2 s, and takes no more than a fiftieth of the time.
_RECORD_EVERY, _RECORD_SHARE = 2.0, 0.02
_OURS = re.compile(r"[0-9]{6,9}\.(mkv|png)|\.[0-9a-f]{16}\.part|film\.[a-z0-9]{1,5}")
_LONGEST_NAME = 255  # bytes


def parts_folder(target: Path) -> Path:
    """The folder that holds the parts of a target; its name is shortened where the system would not take it."""
    name = f"{target.name}.parts"
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST_NAME:
        whole = hashlib.sha256(encoded).hexdigest()[:16]
        name = f"{encoded[:200].decode('utf-8', 'ignore')}-{whole}.parts"
    return target.with_name(name)


def kept_in(target: Path) -> Path | None:
    """The folder with finished parts of a target, None where there are none."""
    folder = parts_folder(target)
    try:
        record = None if folder.is_symlink() else read_record(folder / _JOB)
    except FileError:
        return None
    return folder if record is not None and record.parts else None


class SegmentStore:
    """Finished segments, or the pictures of a folder of frames, and the record of them.

    Use: `check`, then within `opened` `add` for every part in order, and `finish`.

    folder: the store. place: where its parts lie, `folder` or a folder in it. frames: how many are finished. complete:
    whether an earlier run had placed the target already. notes: sentences on what was not as it should be.
    """

    def __init__(self, target: Path, *, pictures: bool) -> None:
        """pictures: whether the target is a folder of frames."""
        self.folder = parts_folder(target)
        self.place = self.folder / _FRAMES if pictures else self.folder
        self.frames = 0
        self.complete = False
        self.notes: list[str] = []
        self._target, self._pictures = target, pictures
        self._record = Record({})
        self._recorded = self._every = 0.0  # when the record was written last, and for how long that is enough, s
        self._held = False

    def check(self, *, resume: bool, force: bool) -> None:
        """Find out whether a run may begin, before any work.

        Raises:
            UsageError: There are parts of an earlier run and neither `resume` nor `force`, or another run is at work.
            FileError: Something else has the folder's name.
        """
        self._check_place()
        if os.path.lexists(self.folder / _LOCK):
            with self._locked():
                pass
        if not (resume or force):
            self._check_empty()

    def placed(self) -> bool:
        """Whether the target is the one that an earlier run of these parts finished."""
        record = None if self.folder.is_symlink() else read_record(self.folder / _JOB)
        if record is None or record.film is None:
            return False
        if self._pictures:
            return not self.place.exists() and not any(
                fault_of(self._target / part.name, part) for part in record.parts
            )
        try:
            return self._target.is_file() and file_sha256(self._target) == record.film
        except OSError:
            return False

    @contextmanager
    def opened(self, settings: Mapping[str, str], *, resume: bool, force: bool) -> Iterator[None]:
        """Hold the folder, and begin or go on with a run that `settings` decide. No folder stays without a part in it.

        Raises:
            UsageError: As `check`, or the parts are of a run with other settings.
            FileError: The folder cannot be made or read.
        """
        self._check_place()
        with ExitStack() as stack:
            with report_write_errors(self.folder):
                self.folder.mkdir(exist_ok=True)
            stack.callback(self._remove_folder)
            stack.enter_context(self._locked())
            self._held = True
            self._begin(dict(settings), resume, force)
            stack.callback(self._drop_if_empty)
            yield

    def next_part(self) -> Path:
        """The path of the part that begins with the next frame."""
        return self.place / self._name(self.frames)

    def add(self, path: Path, frames: int) -> None:
        """Record a finished part, the file at `next_part`. Raises FileError."""
        with report_write_errors(path):
            self._record.parts.append(Part(path.name, frames, file_sha256(path)))
        self.frames += frames
        self.save(now=not self._pictures)

    def save(self, *, now: bool) -> None:
        """Write the record, if it is to be `now` or time for it. Raises FileError."""
        began = time.monotonic()
        if now or began - self._recorded > self._every:
            self._record.write(self.folder / _JOB)
            self._recorded = time.monotonic()
            self._every = max(_RECORD_EVERY, (self._recorded - began) / _RECORD_SHARE)

    def parts(self) -> list[Path]:
        """The finished files, in order."""
        return [self.place / part.name for part in self._record.parts]

    def finish(self, make: Callable[[Path], int], *, force: bool) -> int:
        """Make the target of the parts and remove these.

        Args:
            make: Writes the whole film to a path and returns a number; not called for a folder of frames.
            force: Whether a target that exists is replaced.

        Returns:
            The number that `make` returned, 0 if it was not called.

        Raises:
            UsageError: The target has come to exist meanwhile and not `force`; all parts stay.
            FileError: The target cannot be written.
        """
        made = 0
        if not self.complete:
            film = self.place if self._pictures else self.folder / f"{_FILM}{self._target.suffix.lower()}"
            if not self._pictures:
                made = make(film)
            with report_write_errors(film):
                self._record.film = "folder" if self._pictures else file_sha256(film)
            self.save(now=True)
            self._put_in_place(film, force)
            self.complete = True
        self._remove_parts()
        return made

    def _check_place(self) -> None:
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            what = "a link" if self.folder.is_symlink() else "not a folder"
            raise FileError(f"{self.folder} is {what}; expected the folder of a run's parts, so remove it")

    def _check_empty(self) -> None:
        record = read_record(self.folder / _JOB)
        if (record is not None and record.parts) or self._named():
            raise UsageError(
                f"{self.folder} holds parts of an earlier run; give --resume to go on with it, or --force to begin anew"
            )

    def _named(self) -> list[Path]:
        """Files with names of finished parts, whatever is in them."""
        found = [path for folder in (self.folder, self.folder / _FRAMES) for path in _listed(folder)]
        return [path for path in found if _OURS.fullmatch(path.name) and not path.name.endswith(".part")]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.folder / _LOCK
        if lock.is_symlink():  # the lock is never one
            _clear(lock)
        with lock_folder(self.folder):
            yield

    def _begin(self, settings: dict[str, str], resume: bool, force: bool) -> None:
        record = read_record(self.folder / _JOB) if resume else None
        if record is None:
            if not (resume or force):
                self._check_empty()
            if resume and (os.path.lexists(self.folder / _JOB) or self._named()):
                self.notes.append(f"{self.folder / _JOB} is damaged or missing; all frames are drawn again")
        elif record.settings != settings:
            raise UsageError(
                f"{self.folder} holds parts of a run with other settings ({differences(record.settings, settings)}); "
                "give the same again, or --force instead of --resume to begin anew"
            )
        elif self.placed():
            self.complete, self._record, self.frames = True, record, record.frames
            return
        self._record = Record(settings, [] if record is None else self._believed(record))
        self.frames = self._record.frames
        self._sweep(None if record is None else {part.name for part in record.parts})
        with report_write_errors(self.place):
            self.place.mkdir(exist_ok=True)
        self.save(now=True)

    def _believed(self, record: Record) -> list[Part]:
        """The first parts of a record, up to one that is not what was recorded; says which."""
        kept: list[Part] = []
        length, frames = 1 if self._pictures else SEGMENT, 0
        for part in record.parts:
            fault = fault_of(self.place / part.name, part)
            if part.name != self._name(frames):
                fault = "is recorded out of order"
            elif part.frames > length or (part.frames < length and part is not record.parts[-1]):
                fault = f"is recorded with {part.frames} frames instead of {length}"
            if fault:
                self.notes.append(f"{self.folder.name}: {part.name} {fault}; frames from {frames} on are drawn again")
                break
            kept.append(part)
            frames += part.frames
        return kept

    def _sweep(self, recorded: set[str] | None) -> None:
        """Remove what is not believed of all that has names of ours; say so of what was never recorded."""
        if self._pictures and (self.place.is_symlink() or self.place.is_file()):
            _clear(self.place)
        kept, surplus = set(self.parts()), []
        for folder in (self.folder, self.folder / _FRAMES):
            for path in _listed(folder):
                if path in kept or not _OURS.fullmatch(path.name):
                    continue
                _clear(path)
                if recorded is not None and path.name not in recorded and path.name[0].isdigit():
                    surplus.append(path.name)
        if surplus:
            names = surplus[0] if len(surplus) == 1 else f"{surplus[0]} and {len(surplus) - 1} more"
            self.notes.append(f"{self.folder.name}: {names} not recorded in {_JOB}; removed, drawn again where needed")

    def _name(self, frames: int) -> str:
        """The name of the part that begins with a frame."""
        return f"{frames:06}.png" if self._pictures else f"{frames // SEGMENT:06}.mkv"

    def _put_in_place(self, film: Path, force: bool) -> None:
        try:
            if self._pictures:
                self._move_strangers()
            move_into_place(film, self._target, force=force)
        except UsageError as error:
            raise UsageError(
                f"{self._target} has appeared meanwhile and is not replaced; all that is finished is kept in "
                f"{self.folder}: move {self._target.name} away and give --resume"
                + ("" if self._pictures else ", or give --resume --force to replace it")
            ) from error

    def _move_strangers(self) -> None:
        """Take out of the folder of frames, before it becomes the target, what others put there."""
        known = {part.name for part in self._record.parts}
        for path in _listed(self.place):
            if path.name not in known:
                with suppress(OSError):
                    path.rename(self.folder / f"{path.name}.other")

    def _remove_parts(self) -> None:
        """Remove what is ours, the record last: until then it tells that the target is finished."""
        for folder in (self.folder / _FRAMES, self.folder):
            for path in _listed(folder):
                if _OURS.fullmatch(path.name):
                    _clear(path)
        self._forget()
        others = sorted(path.name for path in _listed(self.folder) if path.name != _LOCK)
        if others:
            self.notes.append(f"{self.folder} stays, because it holds other files ({', '.join(others[:3])})")

    def _drop_if_empty(self) -> None:
        """Remove the record of a run that finished nothing."""
        if self.frames or self.complete:
            return
        with suppress(AnimeInterpError):  # it would hide why the run ended
            for path in (*_listed(self.folder / _FRAMES), *_listed(self.folder)):
                if path.name.endswith(".part"):
                    _clear(path)
            self._forget()

    def _forget(self) -> None:
        with suppress(OSError):
            (self.folder / _FRAMES).rmdir()
        _clear(self.folder / _JOB)

    def _remove_folder(self) -> None:
        """Remove the folder if nothing is in it but the lock, which is free by now."""
        with suppress(OSError, AnimeInterpError):
            if {path.name for path in _listed(self.folder)} <= ({_LOCK} if self._held else set()):
                (self.folder / _LOCK).unlink(missing_ok=True)
                self.folder.rmdir()


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if it is not one."""
    try:
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; make it readable, or choose another name") from error


def _clear(path: Path) -> None:
    """Remove what has a name of ours, whatever it is; links are not followed. Raises FileError."""
    with report_write_errors(path):
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass
