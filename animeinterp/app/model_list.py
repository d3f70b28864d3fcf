"""The tab "Models": what each model is, its license and size, its speed on this machine, and fetching `studio`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from html import escape
from time import perf_counter
from typing import Any

import gradio as gr

from animeinterp.app.loaded_models import LoadedModels, usable_models
from animeinterp.app.page_settings import PageSettings
from animeinterp.app.sentences import EXPECTED_ERRORS, describe_error, note, warning
from animeinterp.demo import FRAME0, FRAME1
from animeinterp.io.images import read_pair
from animeinterp.weights import ModelRecord, available_models

Updates = dict[Any, Any]  # new values by component

_REFRESH = 0.5  # s


class ModelList:
    """The components of the tab and what they do. Made within the page's `gr.Blocks`."""

    def __init__(self, settings: PageSettings, models: LoadedModels, choices: list[gr.Dropdown]) -> None:
        """Build the tab.

        Args:
            settings: Of the page.
            models: Those that draw.
            choices: The lists of models in the other tabs, which `studio` joins when it has been fetched.
        """
        self._settings, self._models, self._choices = settings, models, choices
        self.status = gr.HTML(note(""), elem_id="models-status")
        self.cards = gr.HTML(_cards({}), elem_id="models")
        with gr.Row():
            self.measure = gr.Button("Measure the speed here", size="sm", elem_id="models-measure")
            missing = "studio" not in usable_models()
            self.get = gr.Button("Get studio (103 MB)", size="sm", visible=missing, elem_id="models-get")
        shown: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.measure.click(
            self._measure, None, [self.cards, self.status], concurrency_id="draw", concurrency_limit=1, **shown
        )
        self.get.click(self._get, None, [self.status, self.cards, self.get, *choices], **shown)

    def _measure(self) -> Iterator[Updates]:
        """Draw the example with each model on this machine."""
        seconds: dict[str, float] = {}
        first, second = read_pair(FRAME0, FRAME1, self._settings.options.max_pixels)
        for name in usable_models():
            yield {self.status: note(f"Drawing with {name} …")}
            try:
                interpolator = self._models.get(name)
                for _ in range(2):  # the first time code is compiled
                    began = perf_counter()
                    interpolator(first.pixels, second.pixels)
                    seconds[name] = perf_counter() - began
            except EXPECTED_ERRORS as error:
                yield {self.status: warning(describe_error(error))}
                continue
            yield {self.cards: _cards(seconds)}
        yield {self.status: note("Measured: one frame of 960x540 between two new drawings.")}

    def _get(self) -> Iterator[Updates]:
        """Fetch the weights of `studio`."""
        from animeinterp.weights.studio import get_studio

        steps, errors = ["looking for the weights"], []

        def fetch() -> None:
            try:
                get_studio(report=steps.append)
            except EXPECTED_ERRORS as error:
                errors.append(error)

        thread = threading.Thread(target=fetch, daemon=True)
        thread.start()
        told = ""
        while thread.is_alive():
            thread.join(_REFRESH)
            if steps[-1] != told:
                told = steps[-1]
                yield {self.status: note(f"{told[:1].upper()}{told[1:]} …")}
        if errors:
            yield {self.status: warning(describe_error(errors[0]))}
            return
        lists = {choice: gr.Dropdown(choices=usable_models()) for choice in self._choices}
        yield {
            self.status: note("studio is ready."),
            self.cards: _cards({}),
            self.get: gr.Button(visible=False),
        } | lists


def _cards(seconds: dict[str, float]) -> str:
    """Describe every model; `seconds` is the time of a frame by model, as far as measured."""
    usable = set(usable_models())
    return f'<div class="cards">{"".join(_card(record, usable, seconds) for record in available_models())}</div>'


def _card(record: ModelRecord, usable: set[str], seconds: dict[str, float]) -> str:
    """Describe one model."""
    size = f"{record.size / 1e6:.0f} MB" if record.size else "given by path" if record.file else "none"
    facts = {
        "On this machine": "yes" if record.name in usable else "no",
        "Weights": size,
        "License": record.license or "none needed",
        "Origin": record.origin,
        "Speed here": f"{seconds[record.name]:.1f} s for a frame" if record.name in seconds else "not measured",
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    summary = escape(record.summary.replace("`", ""))
    return f'<section><h3>{escape(record.name)}</h3><p>{summary}</p><dl class="facts">{items}</dl></section>'
