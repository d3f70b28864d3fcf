"""The command that opens the page in the browser: app."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from animeinterp.cli.drawing import check_model_options
from animeinterp.cli.terminal import DEFAULTS, Device, MaxPixels, Model, err, out
from animeinterp.config import DEFAULT_PRESET, Options


def app(
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            readable=False,
            help="A folder whose films may be opened by path; may be repeated. New films go to the first one.",
            show_default="the current folder",
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port.", show_default="the first free one from 7860")
    ] = None,
    share_on: Annotated[
        str | None,
        typer.Option("--share-on", metavar="HOST", help="Answer to other machines too, on this address; 0.0.0.0: all."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    max_upload: Annotated[float, typer.Option("--max-upload", min=0.001, help="Largest accepted file, GB.")] = 4.0,
    model: Model = "default",
    device: Device = "auto",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
) -> None:
    """Open a page in the browser: two drawings, a film, the models.

    It needs no network, and answers on this machine only, unless --share-on is given. It has no passwords: whoever
    reaches the address may use it. Ctrl-C ends it; uploaded files are removed then. Needs Gradio,
    the extra `app`.
    """
    from animeinterp.app.page_settings import PageSettings
    from animeinterp.app.serving import check_extra, private_folder, resolve_folders, served_page

    check_extra()
    check_model_options(model, None, None, device, "auto")
    folders = resolve_folders(folder or [Path.cwd()])
    preset = DEFAULT_PRESET if model == "default" else model
    with private_folder() as uploads, out.status("starting the page"):
        settings = PageSettings(
            folders=folders,
            uploads=uploads,
            host=share_on or "127.0.0.1",
            port=port,
            model=preset,
            device=device,
            options=Options(max_pixels=max_pixels),
            max_upload=round(max_upload * 1e9),
        )
        with served_page(settings) as url:
            _announce(url, share_on, browser)
            threading.Event().wait()


def _announce(url: str, share_on: str | None, browser: bool) -> None:
    """Print the address, and open it."""
    if share_on is not None:
        err.print("note: whoever reaches this address may use the page and this machine", markup=False)
    out.print(f"page       {url} (Ctrl-C ends it)", markup=False)
    if browser:
        webbrowser.open(url)
