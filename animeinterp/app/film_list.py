"""The films that are made: progress, stop, resume, download; below the choices of the tab "A film"."""

from __future__ import annotations

from typing import Any

import gradio as gr

from animeinterp.app.film import FilmTab, OpenFilm
from animeinterp.app.film_markup import task_name, tasks_markup
from animeinterp.app.film_paths import choose_target
from animeinterp.app.film_queue import FilmQueue, FilmTask
from animeinterp.app.page_settings import PageSettings
from animeinterp.app.sentences import EXPECTED_ERRORS, describe_error, note, warning

Updates = dict[Any, Any]  # new values by component

_TICK = 1.0  # s


class FilmList:
    """The components below the tab and what they do. Made within the page's `gr.Blocks`."""

    def __init__(self, settings: PageSettings, queue: FilmQueue, tab: FilmTab) -> None:
        """Build the list, and connect it with the tab that films come from."""
        self._settings, self._queue, self._tab = settings, queue, tab
        self.list = gr.HTML(tasks_markup([]), elem_id="film-list")
        self.chosen = gr.Dropdown([], label="Film", visible=False, elem_id="film-chosen")
        with gr.Row():
            self.stop = gr.Button("Stop", size="sm", visible=False, elem_id="film-stop")
            self.resume = gr.Button("Resume", size="sm", visible=False, elem_id="film-resume")
            self.download = gr.DownloadButton("Download", size="sm", visible=False, elem_id="film-download")
        self.timer = gr.Timer(_TICK)  # rests while nothing is made
        self.known = gr.State(0)  # films that this window lists
        light: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        state = [self.list, self.chosen, self.stop, self.resume, self.download, self.timer, self.known]
        chosen = [self.chosen, self.known]
        tab.make.click(self._make, tab.choices, [*state, tab.status], **light)
        self.timer.tick(self._update, chosen, state, **light)
        self.chosen.input(self._update, chosen, state, **light)
        self.stop.click(self._stop, chosen, state, **light)
        self.resume.click(self._resume, chosen, state, **light)

    def _make(self, film: OpenFilm | None, *chosen: str) -> Updates:
        """Put a film into the queue."""
        if film is None:
            return {}
        try:
            settings = self._tab.settings_of(film, chosen)
            taken = [task.target for task in self._queue.tasks]
            target = choose_target(film.path, self._settings.folders[0], taken, settings.suffix)
            arguments = settings.arguments()
        except EXPECTED_ERRORS as error:
            return {self._tab.status: warning(describe_error(error, [film.path]))}
        task = self._queue.add(film.path, target, arguments)
        return self._update(task_name(task), 0) | {self._tab.status: note(f"{target.name} is in the list below.")}

    def _stop(self, name: str | None, known: int) -> Updates:
        """Stop the chosen film."""
        task = self._find(name)
        if task is not None:
            self._queue.stop(task)
        return self._update(name, known)

    def _resume(self, name: str | None, known: int) -> Updates:
        """Let the chosen film go on."""
        task = self._find(name)
        if task is not None:
            self._queue.resume(task)
        return self._update(name, known)

    def _find(self, name: str | None) -> FilmTask | None:
        """Return the film of a name, or the newest."""
        tasks = self._queue.tasks
        return next((task for task in tasks if task_name(task) == name), tasks[-1] if tasks else None)

    def _update(self, name: str | None, known: int) -> Updates:
        """Show how far the films are, and what can be done with the chosen one."""
        tasks = self._queue.tasks
        task = self._find(name)
        busy = any(other.state in ("waiting", "running", "stopping") for other in tasks)
        updates: Updates = {self.list: tasks_markup(tasks), self.timer: gr.Timer(active=busy)}
        if task is None:
            return updates
        ready = None if task.download is None else str(task.download)
        if known != len(tasks):  # not while somebody chooses
            names = [task_name(other) for other in tasks]
            updates |= {self.chosen: gr.Dropdown(names, value=task_name(task), visible=len(names) > 1)}
            updates |= {self.known: len(tasks)}
        return updates | {
            self.stop: gr.Button(visible=task.state in ("waiting", "running", "stopping")),
            self.resume: gr.Button(visible=task.state in ("stopped", "failed")),
            self.download: gr.DownloadButton(value=ready, visible=ready is not None),
        }
