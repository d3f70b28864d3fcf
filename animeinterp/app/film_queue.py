"""The films that the page makes: one at a time, in order; each can be stopped and resumed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from animeinterp.app.film_process import FilmProcess
from animeinterp.app.sentences import describe_error
from animeinterp.errors import AnimeInterpError
from animeinterp.io.files import make_folder

State = Literal["waiting", "running", "stopping", "stopped", "finished", "failed"]


@dataclass(slots=True, eq=False)
class FilmTask:
    """A film to make.

    Attributes:
        number: From 1.
        source: The film.
        target: The file to make.
        arguments: Options of `animeinterp video`.
        state: What becomes of it.
        progress: Its last progress, see `animeinterp.video.progress`.
        message: Why it failed.
        download: The finished film among the page's own files; None before.
    """

    number: int
    source: Path
    target: Path
    arguments: tuple[str, ...]
    state: State = "waiting"
    progress: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    download: Path | None = None


class FilmQueue:
    """Makes films one after another, each in a process, in a thread of its own."""

    def __init__(self, downloads: Path) -> None:
        """Make an empty queue.

        Args:
            downloads: Folder for finished films to be downloaded from.
        """
        self.tasks: list[FilmTask] = []
        self._downloads = downloads
        self._changed = threading.Condition()
        self._process: FilmProcess | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="films", daemon=True)
        self._thread.start()

    def add(self, source: Path, target: Path, arguments: Sequence[str]) -> FilmTask:
        """Add a film at the end."""
        with self._changed:
            task = FilmTask(len(self.tasks) + 1, source, target, tuple(arguments))
            self.tasks.append(task)
            self._changed.notify_all()
        return task

    def stop(self, task: FilmTask) -> None:
        """Stop a film that waits or runs; what is finished is kept."""
        with self._changed:
            if task.state == "waiting":
                task.state = "stopped"
            elif task.state == "running":
                task.state = "stopping"
                if self._process is not None:
                    self._process.stop()

    def resume(self, task: FilmTask) -> None:
        """Let a film that was stopped or failed go on where it ended, after those that wait."""
        with self._changed:
            if task.state in ("stopped", "failed"):
                task.state, task.message = "waiting", ""
                if "--resume" not in task.arguments:
                    task.arguments += ("--resume",)
                self._changed.notify_all()

    def close(self) -> None:
        """Stop the film that runs, and take no other."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            process = self._process
        if process is not None:
            process.close()
        self._thread.join(15)

    def _work(self) -> None:
        """Make the films that wait."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting() is not None)
                task = self._waiting()
                if self._closed or task is None:
                    return
                task.state = "running"
                self._process = FilmProcess(task.source, task.target, task.arguments)
            self._make(task, self._process)
            with self._changed:
                self._process = None

    def _waiting(self) -> FilmTask | None:
        """Return the next film."""
        return next((task for task in self.tasks if task.state == "waiting"), None)

    def _make(self, task: FilmTask, process: FilmProcess) -> None:
        """Follow a film to its end."""
        try:
            for progress in process.progress():
                task.progress = progress
            if process.stopped:
                task.state = "stopped"
                return
            task.download = self._offer(task)
            task.state = "finished"
        except (AnimeInterpError, OSError) as error:
            task.state, task.message = "failed", describe_error(error, [task.source, task.target])

    def _offer(self, task: FilmTask) -> Path | None:
        """Put a finished film where it can be downloaded from: a second name of the file, or a copy of it."""
        if task.target.is_dir():
            return None
        folder = self._downloads / f"film{task.number}"
        make_folder(folder)
        path = folder / task.target.name
        try:
            os.link(task.target, path)
        except OSError:  # another disk, or a file system without hard links
            shutil.copyfile(task.target, path)
        return path
