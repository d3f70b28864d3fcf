"""The tab "Two drawings": drop them, look between them, download the in-betweens."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from animeinterp.app.downloads import make_files
from animeinterp.app.drawing_pair import DrawingPair, order_by_number
from animeinterp.app.hint_editor import HintEditor
from animeinterp.app.hint_text import format_hints, parse_hints
from animeinterp.app.loaded_models import LoadedModels, usable_models
from animeinterp.app.page_settings import PageSettings
from animeinterp.app.pictures import onion_skin, shown_file, tint_doubt
from animeinterp.app.sentences import EXPECTED_ERRORS, describe_error, note, warning
from animeinterp.app.timing_chart import chart_svg
from animeinterp.demo import FRAME0, FRAME1
from animeinterp.errors import UsageError
from animeinterp.io.image_header import FORMATS
from animeinterp.keys.timing import CHARTS, choose_times

Updates = dict[Any, Any]  # new values by component

_VIEWS = ("In-between", "Onion skin", "Doubt")
_EMPTY = "Drop two drawings of one size: the first and the second key."
_SESSION = 12 * 3600  # s, after which an abandoned pair is forgotten
_PROGRESS = gr.Progress()  # Gradio finds it by the default of a parameter, and passes one of the visitor's


class TwoDrawingsTab:
    """The components of the tab and what they do. Made within the page's `gr.Blocks`."""

    def __init__(self, settings: PageSettings, models: LoadedModels) -> None:
        """Build the tab.

        Args:
            settings: Of the page.
            models: Those that draw.
        """
        self._settings, self._models = settings, models
        self.pair = gr.State(None, time_to_live=_SESSION)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self._build_choices()
            with gr.Column(scale=2, min_width=300):
                self._build_viewer()
        self._build_results()
        self._connect()

    def _build_choices(self) -> None:
        """Build what the visitor gives."""
        self.files = gr.File(
            label="Two drawings (PNG, WebP, TIFF or JPEG)",
            file_count="multiple",
            file_types=list(FORMATS),
            allow_reordering=True,
            height=150,
            elem_id="drawings",
        )
        with gr.Row():
            self.example = gr.Button("Try the example", size="sm", elem_id="example")
            self.swap = gr.Button("Swap the order", size="sm", interactive=False, elem_id="swap")
        self.model = gr.Dropdown(usable_models(), value=self._settings.model, label="Model", elem_id="model")
        self.count = gr.Slider(1, 12, value=3, step=1, label="In-betweens", buttons=[], elem_id="count")
        self.timing = gr.Dropdown(
            list(CHARTS),
            value="linear",
            label="Timing",
            info="A chart, or times such as 1/8, 1/2, 7/8",
            allow_custom_value=True,
            elem_id="timing",
        )
        self.chart = gr.HTML(chart_svg(choose_times("linear", 3)))
        self.draw = gr.Button("Draw the in-betweens", variant="primary", interactive=False, elem_id="draw")

    def _build_viewer(self) -> None:
        """Build what shows the pair."""
        self.status = gr.HTML(note(_EMPTY), elem_id="status")
        with gr.Tabs():
            with gr.Tab("Drawing"):
                self.view = gr.Radio(
                    list(_VIEWS), value=_VIEWS[0], label="Show", show_label=False, container=False, elem_id="view"
                )
                self.viewer = gr.Image(
                    label="Drawing",
                    show_label=False,
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="viewer",
                    elem_classes="viewer",
                    alt_text="The drawing at the chosen time",
                )
                self.t = gr.Slider(
                    0,
                    1,
                    value=0.5,
                    step=0.01,
                    label="Time, from 0 (the first drawing) to 1 (the second)",
                    buttons=[],
                    elem_id="time",
                )
            with gr.Tab("Hints"):
                self.hints = HintEditor(self.pair, self._settings.uploads / "shown")
            with gr.Tab("Stages", elem_id="stages-tab") as self.stages_tab:
                self.stages = gr.Image(
                    label="Every stage on one sheet",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id="stages",
                    alt_text="Line maps, segments, matches, flow and the frame at the chosen time",
                )

    def _build_results(self) -> None:
        """Build what appears when in-betweens are drawn."""
        with gr.Row(visible=False, elem_id="results") as self.results:
            with gr.Column(scale=1, min_width=300):
                self.animation = gr.Image(
                    label="Animation",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="animation",
                    alt_text="The drawings one after another",
                )
                with gr.Row():
                    labels = ("ZIP", "GIF", "WebP", "Sheet")
                    self.downloads = [gr.DownloadButton(label, size="sm", min_width=70) for label in labels]
            with gr.Column(scale=2, min_width=300):
                self.gallery = gr.Gallery(
                    label="Drawings", columns=3, height="auto", object_fit="contain", buttons=[], elem_id="gallery"
                )

    def _connect(self) -> None:
        """Connect the components with what they do. Heavy work of all visitors is done one by one."""
        heavy: dict[str, Any] = {"concurrency_id": "draw", "concurrency_limit": 1, "api_visibility": "private"}
        seen = [self.pair, self.view, self.t]
        picture = [self.viewer, self.status]
        editor = [self.hints.text, self.hints.pending, *self.hints.pictures, self.hints.status]
        shown = [self.pair, self.status, self.viewer, self.draw, self.swap, self.results, *editor]
        given = [self.files, self.model, self.view, self.t]
        again = [self.pair, *given[1:], self.hints.text]
        on_status: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": self.status}
        self.files.change(self._load, given, shown, **heavy, **on_status)
        self.example.click(lambda: [str(FRAME0), str(FRAME1)], None, self.files, api_visibility="private")
        self.swap.click(self._swap, [self.pair, *given[1:]], shown, **heavy, **on_status)
        self.model.change(self._rematch, again, shown, **heavy, **on_status)
        self.hints.apply.click(self._rematch, again, shown, **heavy, **on_status)
        # `input` follows the slider while it moves; of many positions only the last is drawn.
        self.t.input(self._show, seen, picture, trigger_mode="always_last", show_progress="hidden", **heavy)
        self.t.change(self._show, seen, picture, trigger_mode="always_last", show_progress="hidden", **heavy)
        self.view.change(self._show, seen, picture, show_progress="hidden", **heavy)
        chart = [self.count, self.timing]
        for changed in (self.count.change, self.timing.change):
            changed(
                _describe_timing, chart, [self.chart, self.status], show_progress="hidden", api_visibility="private"
            )
        results = [self.results, self.animation, self.gallery, *self.downloads, self.status]
        self.draw.click(self._draw, [self.pair, *chart], results, **heavy, show_progress_on=self.status)
        self.stages_tab.select(self._draw_stages, [self.pair, self.t], [self.stages, self.status], **heavy)

    def _load(self, files: list[str] | None, model: str, view: str, t: float) -> Iterator[Updates]:
        """Read the two drawings, show them at once, then find their motion."""
        nothing: Updates = {self.pair: None, self.viewer: None, self.draw: _off(), self.swap: _off()}
        nothing |= {self.results: gr.Row(visible=False), **self.hints.show(None, "")}
        paths = order_by_number([Path(file) for file in files or ()])
        if len(paths) < 2:
            yield nothing | {self.status: note("Add the second drawing." if paths else _EMPTY)}
            return
        try:
            pair = DrawingPair.read((paths[0], paths[1]), self._settings.options.max_pixels)
        except EXPECTED_ERRORS as error:
            yield nothing | {self.status: warning(describe_error(error, paths))}
            return
        yield nothing | {self.viewer: self._picture(onion_skin(*(image.pixels for image in pair.images)))}
        more = f" {len(paths) - 2} more are left out; for a folder use animeinterp inbetween." if len(paths) > 2 else ""
        yield self._matched(pair, model, view, t, "", more)

    def _swap(self, pair: DrawingPair | None, model: str, view: str, t: float) -> Updates:
        """Take the drawings in the other order, hints too."""
        if pair is None:
            return {}
        swapped = pair.swapped()
        return self._matched(swapped, model, view, t, format_hints(swapped.hints))

    def _rematch(self, pair: DrawingPair | None, model: str, view: str, t: float, hints: str) -> Updates:
        """Find the motion with another model or other hints."""
        return {} if pair is None else self._matched(pair, model, view, t, hints)

    def _matched(self, pair: DrawingPair, model: str, view: str, t: float, hints: str, more: str = "") -> Updates:
        """Find the motion of a pair and show it."""
        updates: Updates = {self.pair: pair, self.draw: _on(), self.swap: _on(), self.results: gr.Row(visible=False)}
        updates |= self.hints.show(pair, hints)
        try:
            pair.match(self._models.get(model), parse_hints(hints))
            updates[self.viewer] = self._picture_of(pair, view, t)
        except EXPECTED_ERRORS as error:
            failed = warning(describe_error(error, pair.paths))
            return updates | {self.draw: _on() if pair.motion else _off(), self.status: failed}
        names = f"{pair.paths[0].name} → {pair.paths[1].name}, drawn by {model}"
        hinted = f" with {len(pair.hints)} hint{'' if len(pair.hints) == 1 else 's'}" if pair.hints else ""
        return updates | {self.status: note(f"{names}{hinted}.{more}")}

    def _show(self, pair: DrawingPair | None, view: str, t: float) -> Updates:
        """Show the pair at another time or in another way."""
        if pair is None or pair.motion is None:
            return {self.viewer: None, self.status: note(_EMPTY)}
        try:
            return {self.viewer: self._picture_of(pair, view, t)}
        except EXPECTED_ERRORS as error:
            return {self.status: warning(describe_error(error, pair.paths))}

    def _picture_of(self, pair: DrawingPair, view: str, t: float) -> str:
        """Return the file of what a view shows."""
        if view == "Onion skin":
            return self._picture(onion_skin(*(image.pixels for image in pair.images)))
        if view == "Doubt":
            return self._picture(tint_doubt(pair.draw(t), pair.confidence(t)))
        return self._picture(pair.draw(t))

    def _picture(self, frame: Any) -> str:
        """Return the file of a frame for the browser."""
        return shown_file(frame, self._settings.uploads / "shown")

    def _draw(self, pair: DrawingPair | None, count: int, timing: str, progress: gr.Progress = _PROGRESS) -> Updates:
        """Draw all in-betweens and make the files for download."""
        if pair is None:
            return {self.status: note(_EMPTY)}
        folder = Path(tempfile.mkdtemp(dir=self._settings.uploads))
        try:
            times = choose_times(timing, None if _names_times(timing) else count)
            files = make_files(pair, times, folder, progress)
        except EXPECTED_ERRORS as error:
            return {self.status: warning(describe_error(error, pair.paths))}
        captions = ["first", *(f"t = {float(t):.2f}" for t in times), "second"]
        updates: Updates = {
            self.results: gr.Row(visible=True),
            self.animation: str(files.webp),
            self.gallery: [(self._picture(frame), name) for frame, name in zip(files.frames, captions, strict=True)],
            self.status: note(f"{len(times)} in-between{'' if len(times) == 1 else 's'} drawn; files are below."),
        }
        paths = (files.archive, files.gif, files.webp, files.sheet)
        return updates | {button: str(path) for button, path in zip(self.downloads, paths, strict=True)}

    def _draw_stages(self, pair: DrawingPair | None, t: float) -> Updates:
        """Draw the sheet of stages."""
        if pair is None or pair.motion is None:
            return {self.stages: None, self.status: note(_EMPTY)}
        try:
            return {self.stages: self._picture(pair.draw_stages(t))}
        except EXPECTED_ERRORS as error:
            return {self.status: warning(describe_error(error, pair.paths))}


def _on() -> gr.Button:
    """Return the update that switches a button on."""
    return gr.Button(interactive=True)


def _off() -> gr.Button:
    """Return the update that switches a button off."""
    return gr.Button(interactive=False)


def _names_times(timing: str) -> bool:
    """Tell whether a timing names the times themselves."""
    return timing not in CHARTS


def _describe_timing(count: int, timing: str) -> tuple[Any, Any]:
    """Draw the chart of a timing, or say what is wrong with it."""
    try:
        times = choose_times(timing, None if _names_times(timing) else count)
    except UsageError as error:
        return gr.skip(), warning(describe_error(error))
    return chart_svg(times), gr.skip()
