"""The tab "A film": open it, see what was found, correct the cuts, preview, make it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from animeinterp.app.film_findings import FilmFindings, search_film
from animeinterp.app.film_markup import facts_markup
from animeinterp.app.film_paths import check_cuts, resolve_film
from animeinterp.app.film_preview import preview_markup
from animeinterp.app.film_settings import CODECS, CONTAINERS, HOLDS, QUALITIES, RATES, FilmSettings
from animeinterp.app.loaded_models import usable_models
from animeinterp.app.page_settings import PageSettings
from animeinterp.app.pictures import shown_file
from animeinterp.app.sentences import EXPECTED_ERRORS, describe_error, note, warning
from animeinterp.errors import UsageError
from animeinterp.video.film_list import FILM_SUFFIXES
from animeinterp.video.time_text import describe_duration

Updates = dict[Any, Any]  # new values by component

_EMPTY = "Drop a film, or open one by its path."
_FIRST_SEARCH = 60.0  # s of a film that are searched when it is opened
_ALL = 1e9  # s
_REFRESH = 0.5  # s between two updates of what was found so far
_SESSION = 24 * 3600  # s


@dataclass(slots=True)
class OpenFilm:
    """The film that a visitor works on.

    Attributes:
        path: The film.
        findings: What was found; None before.
        search: Set to end the search.
    """

    path: Path
    findings: FilmFindings | None = None
    search: threading.Event = field(default_factory=threading.Event)

    def __deepcopy__(self, memo: object) -> OpenFilm:
        """Return itself: Gradio may copy states, and events cannot be copied."""
        return self


class FilmTab:
    """The components of the tab and what they do. Made within the page's `gr.Blocks`."""

    def __init__(self, settings: PageSettings) -> None:
        """Build the tab, up to the films that are made, which `FilmList` adds below."""
        self._settings = settings
        self.film = gr.State(None, time_to_live=_SESSION)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self._build_choices()
            with gr.Column(scale=2, min_width=300):
                self._build_findings()
        self._connect()

    def _build_choices(self) -> None:
        """Build what the visitor gives."""
        self.upload = gr.File(label="A film", file_types=list(FILM_SUFFIXES), height=120, elem_id="film-upload")
        folders = ", ".join(folder.name or str(folder) for folder in self._settings.folders)
        self.path = gr.Textbox(
            label="Or its path on this machine", placeholder=f"in {folders}", max_lines=1, elem_id="film-path"
        )
        self.open = gr.Button("Open", size="sm", elem_id="film-open")
        self.rate = _build_list("Make it", RATES, "film-rate")
        self.model = gr.Dropdown(usable_models(), value=self._settings.model, label="Model", elem_id="film-model")
        self.holds = _build_list("Holds", HOLDS, "film-holds")
        with gr.Accordion("File", open=False, elem_id="film-file"):
            self.container = _build_list("Container", CONTAINERS, "film-container")
            self.codec = _build_list("Codec", CODECS, "film-codec")
            self.quality = _build_list("Quality", QUALITIES, "film-quality")
        with gr.Row():
            self.estimate = gr.Button("Estimate", size="sm", interactive=False, elem_id="film-estimate")
            self.preview = gr.Button("Preview 5 s", size="sm", interactive=False, elem_id="film-preview")
        self.start = gr.Slider(
            0, 1, value=0, step=0.5, label="Preview from, s", buttons=[], visible=False, elem_id="film-start"
        )
        self.make = gr.Button("Make the film", variant="primary", interactive=False, elem_id="film-make")

    def _build_findings(self) -> None:
        """Build what shows the film."""
        self.status = gr.HTML(note(_EMPTY), elem_id="film-status")
        self.facts = gr.HTML(elem_id="film-facts")
        self.compared = gr.HTML(elem_id="film-compared")
        with gr.Column(visible=False) as self.cut_group:
            self.pictures = gr.Gallery(
                label="Cuts: the drawing before and after each. Choose one to take it out, or back in.",
                columns=2,
                height="auto",
                allow_preview=False,
                object_fit="contain",
                buttons=[],
                elem_id="film-pictures",
            )
            self.cuts = gr.Textbox(
                label="Cuts: first frames of shots, as numbers or times", max_lines=3, elem_id="film-cuts"
            )
        with gr.Row():
            self.search_all = gr.Button("Search the whole film", size="sm", visible=False, elem_id="film-search")
            self.search_end = gr.Button("End the search", size="sm", visible=False, elem_id="film-search-end")

    def _connect(self) -> None:
        """Connect the components with what they do."""
        reads: dict[str, Any] = {"concurrency_id": "read", "concurrency_limit": 2, "api_visibility": "private"}
        light: dict[str, Any] = {"api_visibility": "private", "queue": False}
        quiet: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": self.status}
        found = [
            *(self.film, self.status, self.facts, self.cut_group, self.pictures, self.cuts, self.start, self.compared),
            *(self.estimate, self.preview, self.make, self.search_all, self.search_end),
        ]
        self.upload.upload(self._open_upload, self.upload, found, **reads, **quiet)
        for opened in (self.open.click, self.path.submit):
            opened(self._open_path, self.path, found, **reads, **quiet)
        self.search_all.click(self._search_all, self.film, found, **reads, **quiet)
        self.search_end.click(_end_search, self.film, None, **light)
        self.pictures.select(_toggle_cut, [self.film, self.cuts], self.cuts, **light)
        file = [self.container, self.codec, self.quality]
        self.choices = [self.film, self.rate, self.model, self.holds, self.cuts, *file]
        self.estimate.click(self._estimate, self.choices, self.status, **reads, **quiet)
        previewed = [self.compared, self.status]
        self.preview.click(self._preview, [self.start, *self.choices], previewed, **reads, **quiet)

    def settings_of(self, film: OpenFilm, chosen: Sequence[str]) -> FilmSettings:
        """Return the settings that the visitor chose, the values of `choices` after the film.

        Cuts go into the settings if the whole film was searched and the visitor changed them; else the run finds them.
        Raises UsageError for cuts that are none.
        """
        rate, model, holds, cuts, container, codec, quality = chosen
        corrected = film.findings is not None and film.findings.whole and check_cuts(cuts) != _cuts_of(film.findings)
        device, max_pixels = self._settings.device, self._settings.options.max_pixels
        own_cuts = cuts if corrected else None
        return FilmSettings(rate, model, holds, own_cuts, container, codec, quality, device, max_pixels)

    def _open_upload(self, upload: str | None) -> Iterator[Updates]:
        """Open a film that was dropped."""
        if upload is not None:
            yield from self._search(OpenFilm(Path(upload)), _FIRST_SEARCH)

    def _open_path(self, text: str) -> Iterator[Updates]:
        """Open a film by its path."""
        if not text.strip():
            yield {self.status: note(_EMPTY)}
            return
        try:
            path = resolve_film(text, self._settings.folders)
        except EXPECTED_ERRORS as error:
            yield self._nothing() | {self.status: warning(describe_error(error))}
            return
        yield from self._search(OpenFilm(path), _FIRST_SEARCH)

    def _search_all(self, film: OpenFilm | None) -> Iterator[Updates]:
        """Search all of a film."""
        if film is not None:
            yield from self._search(OpenFilm(film.path), _ALL)

    def _nothing(self) -> Updates:
        """Return the updates for no film."""
        off = gr.Button(interactive=False)
        hidden: Updates = {self.search_all: gr.Button(visible=False), self.search_end: gr.Button(visible=False)}
        shown = {self.film: None, self.facts: "", self.compared: "", self.cut_group: gr.Column(visible=False)}
        return shown | hidden | {self.estimate: off, self.preview: off, self.make: off}

    def _search(self, film: OpenFilm, seconds: float) -> Iterator[Updates]:
        """Search a film for drawings and cuts, in a thread, and show what is found so far."""
        yield self._nothing() | {
            self.film: film,
            self.status: note("Reading the film …"),
            self.search_end: gr.Button(visible=True),
        }
        errors: list[BaseException] = []
        max_pixels = self._settings.options.max_pixels

        def go_on(findings: FilmFindings) -> bool:
            film.findings = findings
            return not film.search.is_set()

        def search() -> None:
            try:
                film.findings = search_film(film.path, max_pixels, seconds, go_on)
            except EXPECTED_ERRORS as error:
                errors.append(error)

        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        began = monotonic()
        while thread.is_alive():
            thread.join(_REFRESH)
            if film.findings is not None and monotonic() - began > _REFRESH:
                read, length = film.findings.seconds, float(film.findings.film.duration)
                yield {self.status: note(f"Reading the film: {read:.0f} of {length:.0f} s …")}
        if errors or film.findings is None:
            sentence = describe_error(errors[0], [film.path]) if errors else "Nothing was found."
            yield self._nothing() | {self.status: warning(sentence)}
            return
        yield self._found(film, film.findings)

    def _found(self, film: OpenFilm, findings: FilmFindings) -> Updates:
        """Show what was found."""
        on, folder = gr.Button(interactive=True), self._settings.uploads / "shown"
        pictures = [(shown_file(cut.picture, folder), f"{cut.number}, {cut.time:.2f} s") for cut in findings.cuts]
        length = max(0.5, float(findings.film.duration))
        end = "" if findings.whole else " Cuts after that are found while the film is made."
        return {
            self.film: film,
            self.status: note(f"Ready.{end}"),
            self.facts: facts_markup(findings),
            self.cut_group: gr.Column(visible=findings.whole),
            self.pictures: gr.Gallery(pictures, visible=bool(pictures)),
            self.cuts: _cuts_of(findings),
            self.start: gr.Slider(0, max(0.5, length - 0.5), value=0, step=0.5, visible=length > 5),
            self.search_all: gr.Button(visible=not findings.whole),
            self.search_end: gr.Button(visible=False),
            **dict.fromkeys((self.estimate, self.preview, self.make), on),
        }

    def _estimate(self, film: OpenFilm | None, *chosen: str) -> str:
        """Estimate how long the film will take."""
        from animeinterp.pairs import ModelChoice
        from animeinterp.video.estimate import estimate_jobs
        from animeinterp.video.film_list import FilmJob, name_target

        if film is None:
            return note(_EMPTY)
        try:
            settings = self.settings_of(film, chosen)
            choice = ModelChoice(settings.model, settings.device, options=self._settings.options)
            job = FilmJob(film.path, self._settings.uploads / name_target(film.path, "_estimate", settings.suffix))
            estimate = next(iter(estimate_jobs([job], settings.options(), [choice])))
            if estimate.error is not None:
                raise UsageError(str(estimate.error))
        except EXPECTED_ERRORS as error:
            return warning(describe_error(error, [film.path]))
        time = describe_duration(estimate.presets[choice.preset].seconds)
        drawn = f"{estimate.new_frames:,} of {estimate.frames:,} frames are drawn"
        return note(f"About {time} and {estimate.size / 1e6:.1f} MB: {drawn}.")

    def _preview(self, start: float, film: OpenFilm | None, *chosen: str) -> Iterator[Updates]:
        """Make five seconds of the film, with the source beside it."""
        if film is None:
            yield {self.status: note(_EMPTY)}
            return
        try:
            arguments = self.settings_of(film, chosen).arguments(encoded=False)
            for fraction, markup in preview_markup(film.path, arguments, start, self._settings.uploads):
                if markup is None:
                    yield {self.status: note(f"Drawing the preview: {fraction:.0%} …")}
                else:
                    yield {self.compared: markup, self.status: note("Left of the border: the source.")}
        except EXPECTED_ERRORS as error:
            yield {self.status: warning(describe_error(error, [film.path]))}


def _build_list(label: str, choices: Mapping[str, object], name: str) -> gr.Dropdown:
    """Build a list of choices, of which the first is chosen."""
    return gr.Dropdown(list(choices), value=next(iter(choices)), label=label, elem_id=name)


def _cuts_of(findings: FilmFindings) -> str:
    """Return the cuts that were found as a list."""
    return ",".join(str(cut.number) for cut in findings.cuts) or "none"


def _end_search(film: OpenFilm | None) -> None:
    """End the search in a film."""
    if film is not None:
        film.search.set()


def _toggle_cut(film: OpenFilm | None, cuts: str, chosen: gr.SelectData) -> str:
    """Take the cut of a picture out of the list, or put it back."""
    if film is None or film.findings is None or not isinstance(chosen.index, int):
        return cuts
    number = str(film.findings.cuts[chosen.index].number)
    entries = [entry.strip() for entry in cuts.split(",") if entry.strip() not in ("", "none")]
    kept = [entry for entry in entries if entry != number] if number in entries else [*entries, number]
    plain = all(entry.isdecimal() for entry in kept)
    return ", ".join(sorted(kept, key=int) if plain else kept) or "none"
