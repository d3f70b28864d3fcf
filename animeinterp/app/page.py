"""Put the page together: a title and one tab for each kind of work."""

from __future__ import annotations

import gradio as gr

from animeinterp.app.film import FilmTab
from animeinterp.app.film_list import FilmList
from animeinterp.app.film_queue import FilmQueue
from animeinterp.app.loaded_models import LoadedModels
from animeinterp.app.model_list import ModelList
from animeinterp.app.page_settings import PageSettings
from animeinterp.app.two_drawings import TwoDrawingsTab

_TITLE = (
    '<header class="title"><h1>AnimeInterp</h1><p>Draws the frames between two frames of 2D animation.</p></header>'
)
# s: how often uploads are removed while the page runs, and how old they are then. Films may take days.
_CLEANING = (3600, 7 * 24 * 3600)


def build_page(settings: PageSettings, queue: FilmQueue) -> gr.Blocks:
    """Build the page.

    Args:
        settings: What it is started with.
        queue: Makes the films.

    Returns:
        The page, not served yet.
    """
    models = LoadedModels(settings.device, settings.options)
    page = gr.Blocks(title="AnimeInterp", analytics_enabled=False, delete_cache=_CLEANING, fill_width=True)
    with page:
        gr.HTML(_TITLE)
        with gr.Tabs():
            with gr.Tab("Two drawings"):
                drawings = TwoDrawingsTab(settings, models)
            with gr.Tab("A film"):
                film = FilmTab(settings)
                FilmList(settings, queue, film)
            with gr.Tab("Models"):
                ModelList(settings, models, [drawings.model, film.model])
    return page
