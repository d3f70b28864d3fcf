"""The sub-tab "Hints": click a point in one drawing and the same point in the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from animeinterp.app.drawing_pair import DrawingPair
from animeinterp.app.hint_text import add_pair, drop_pair, mark_points, parse_hints
from animeinterp.app.pictures import fitted, shown_file
from animeinterp.app.sentences import describe_error, note, warning
from animeinterp.errors import UsageError
from animeinterp.frame import composited
from animeinterp.hints import Hints, Point

Updates = dict[Any, Any]  # new values by component
Pending = tuple[int, Point]  # the drawing that was clicked, 0 or 1, and the point, px of the drawing

_ADVICE = "Click a point in one drawing, then the same point in the other. Two points of a part also turn it."


class HintEditor:
    """The components of the sub-tab and what they do. Made within the page's `gr.Blocks`."""

    def __init__(self, pair: gr.State, folder: Path) -> None:
        """Build the sub-tab.

        Args:
            pair: The pair of drawings that the visitor works on.
            folder: Where the page keeps what it shows.
        """
        self._folder = folder
        self.pending = gr.State(None)
        self.status = gr.HTML(note(_ADVICE), elem_id="hints-status")
        with gr.Row():
            self.pictures = [self._build_picture(name) for name in ("First", "Second")]
        self.text = gr.Textbox(
            label="Hints: one part a line, x,y > x,y from the first drawing to the second",
            lines=2,
            max_lines=8,
            elem_id="hints",
        )
        with gr.Row():
            self.apply = gr.Button("Use the hints", variant="primary", size="sm", elem_id="hints-apply")
            part = gr.Button("Next part", size="sm", elem_id="hints-part")
            undo = gr.Button("Undo", size="sm", elem_id="hints-undo")
            clear = gr.Button("Clear", size="sm", elem_id="hints-clear")
        light: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        edited = [self.text, self.pending, *self.pictures, self.status]
        for side, picture in enumerate(self.pictures):
            picture.select(self._clicker(side), [pair, self.text, self.pending], edited, **light)
        self.text.blur(self.show, [pair, self.text], edited, **light)
        part.click(lambda text: f"{text.rstrip()}\n" if text.strip() else "", self.text, self.text, **light)
        undo.click(lambda pair, text: self.show(pair, drop_pair(text)), [pair, self.text], edited, **light)
        clear.click(lambda pair: self.show(pair, ""), pair, edited, **light)

    def _build_picture(self, name: str) -> gr.Image:
        """Build the picture of a drawing to click on."""
        return gr.Image(
            label=f"{name} drawing",
            interactive=False,
            buttons=[],
            min_width=240,
            elem_id=f"hints-{name.lower()}",
            alt_text=f"{name} drawing; click a point, or write points below",
        )

    def show(self, pair: DrawingPair | None, text: str, pending: Pending | None = None) -> Updates:
        """Show the drawings with the points of a text."""
        updates: Updates = {self.text: text, self.pending: pending, self.status: note(_ADVICE)}
        if pair is None:
            return updates | dict.fromkeys(self.pictures)
        hints = Hints()
        try:
            hints = parse_hints(text)
        except UsageError as error:
            updates[self.status] = warning(describe_error(error))
        for side, picture in enumerate(self.pictures):
            image = fitted(composited(pair.images[side].pixels))
            scale = image.shape[1] / pair.images[side].pixels.shape[1]
            parts = [hint.points1 if side else hint.points0 for hint in hints.scaled(scale, scale)]
            waiting = None
            if pending is not None and pending[0] == side:
                waiting = pending[1][0] * scale, pending[1][1] * scale
            updates[picture] = shown_file(mark_points(image, parts, waiting), self._folder)
        return updates

    def _clicker(self, side: int) -> Callable[..., Updates]:
        """Return what a click on a drawing does."""

        def click(pair: DrawingPair | None, text: str, pending: Pending | None, chosen: gr.SelectData) -> Updates:
            if pair is None or not isinstance(chosen.index, list | tuple):
                return {self.status: note(_ADVICE)}
            pixels = pair.images[side].pixels
            scale = pixels.shape[1] / fitted(composited(pixels)).shape[1]
            point = float(chosen.index[0]) * scale, float(chosen.index[1]) * scale
            if pending is None or pending[0] == side:
                return self.show(pair, text, (side, point))
            first, second = (point, pending[1]) if side == 0 else (pending[1], point)
            return self.show(pair, add_pair(text, first, second))

        return click
