"""The finished part of a film, kept beside the target until the whole is done.

TARGET.parts/ holds job.json, what the run is, and the film in segments of 120 frames, each a file of its own that can
be played. A segment gets its name when it is whole, so that nothing but the one in hand can be lost; a run that goes
on draws the same segments as one that was never broken off. Frames of a folder are their own segments.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from animeinterp.errors import FileError, UsageError
from animeinterp.frame import Frame, with_colour
from animeinterp.io.files import make_folder
from animeinterp.video.colour import ColourPath
from animeinterp.video.encoding import Encoder, SegmentWriter
from animeinterp.video.film import Film

SEGMENT = 120  # frames
_WAITING = 4  # frames
_JOB = "job.json"


class Parts:
    """Frames go in by `put`, in order; what was put before stays, whatever happens. A context.

    frames: how many are finished.
    """

    def __init__(self, target: Path, film: Film, rate: Fraction, encoder: Encoder | None) -> None:
        """encoder: None for a folder of frames."""
        self.folder = target.with_name(target.name + ".parts")
        self.frames = 0
        self._film, self._rate, self._encoder = film, rate, encoder
        self._queue: queue.Queue[Frame | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._dropped = threading.Event()

    def open(self, settings: Mapping[str, Any], *, resume: bool, force: bool) -> int:
        """Begin, or go on with, a run that `settings` decide; returns how many frames are finished.

        Raises UsageError if there are parts of another run, or of this one and neither `resume` nor `force`; FileError
        if the folder cannot be made.
        """
        job = self.folder / _JOB
        wanted = json.dumps(settings, indent=1, sort_keys=True, default=str)
        if self.folder.exists():
            if resume:
                if not job.is_file() or job.read_text(encoding="utf-8") != wanted:
                    raise UsageError(
                        f"{self.folder} holds parts of a run with other settings or another source; give the same "
                        "again, or --force instead of --resume to begin anew"
                    )
                self.frames = self._finished()
                return self.frames
            if not force:
                raise UsageError(
                    f"{self.folder} holds parts of an earlier run; give --resume to go on with it, or --force"
                )
            self.remove()
        make_folder(self.folder)
        _write(job, wanted)
        return 0

    def __enter__(self) -> Parts:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; a segment that is not whole is dropped."""
        self._dropped.set()
        self._end()

    def put(self, frame: Frame) -> None:
        """Add a frame. Raises what went wrong with those before, FileError for one."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(frame, timeout=0.1)
                return
            except queue.Full:
                continue

    def close(self) -> None:
        """Wait until all frames are kept, the last segment too."""
        self._end()
        if self._error is not None:
            raise self._error

    def segments(self) -> list[Path]:
        """The files of the finished segments, or frames, in order."""
        suffix = ".png" if self._encoder is None else ".mkv"
        return sorted(self.folder.glob(f"[0-9]*{suffix}"))

    def pictures(self) -> Iterator[Frame]:
        """The finished frames, read back."""
        path = ColourPath(self._film)
        for segment in self.segments():
            with av.open(segment) as container:
                for picture in container.decode(video=0):
                    yield path.to_frame(picture)

    def become(self, target: Path) -> None:
        """Make the folder itself the target: a folder of frames, complete at once."""
        try:
            self.folder.rename(target)
            (target / _JOB).unlink()
        except OSError as error:
            raise FileError(f"cannot write {target}: {error.strerror}; choose another name") from error

    def remove(self) -> None:
        """Delete the folder, if it holds nothing but what this class writes."""
        if not self.folder.exists():
            return
        for path in (*self.segments(), *self.folder.glob("*.part"), self.folder / _JOB):
            path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError as error:
            raise FileError(f"cannot remove {self.folder}: {error.strerror}; look what is in it") from error

    def _finished(self) -> int:
        segments = self.segments()
        if self._encoder is None or not segments:
            return len(segments)
        with av.open(segments[-1]) as container:
            last = sum(1 for packet in container.demux(video=0) if packet.size)
        return SEGMENT * (len(segments) - 1) + last

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=0.1)
                break
        thread.join()

    def _work(self) -> None:
        try:
            if self._encoder is None:
                self._keep_pictures()
            else:
                while self._keep_segment(self._encoder):
                    pass
        except BaseException as error:  # raised again by `put` or `close`
            self._error = error

    def _keep_pictures(self) -> None:
        from animeinterp.video.pictures import write_frame

        while (frame := self._queue.get()) is not None and not self._dropped.is_set():
            write_frame(self.folder, self.frames, frame)
            self.frames += 1

    def _keep_segment(self, encoder: Encoder) -> bool:
        """Write one segment; whether there may be another."""
        frame = self._queue.get()
        if frame is None or self._dropped.is_set():
            return False
        path = self.folder / f"{self.frames // SEGMENT:06}.mkv"
        count = 0
        with SegmentWriter(path, self._film, self._rate, encoder) as writer:
            while frame is not None:
                writer.write(with_colour(frame))
                count += 1
                if count == SEGMENT:
                    break
                frame = self._queue.get()
            if self._dropped.is_set() and count < SEGMENT:
                raise _Dropped
        self.frames += count
        return frame is not None


class _Dropped(Exception):
    """The run ended in the middle of a segment."""


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; free some space or choose another folder") from error
