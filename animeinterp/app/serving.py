"""Serve the page until the block ends: on this machine only, without network, in a private folder that is removed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from animeinterp.errors import AnimeInterpError, FileError, MissingExtraError, UsageError
from animeinterp.io.files import is_link, lock_folder

if TYPE_CHECKING:
    from animeinterp.app.page_settings import PageSettings

INSTALL = "pip install 'animeinterp[app]'"
_FOLDER = "animeinterp-page-"
_STARTING = 60.0  # s; a younger folder may be that of a page that is about to lock it
_SESSIONS = 16  # pairs of drawings that are kept at most


def check_extra() -> None:
    """Raise MissingExtraError if Gradio is not installed."""
    if find_spec("gradio") is None:
        raise MissingExtraError(f"the page needs Gradio, which is not installed; {INSTALL}")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it with everything in it at the end.

    Those that killed pages left behind are removed first.
    """
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER)).resolve()
    _remove_left_behind(folder.parent)
    try:
        with lock_folder(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    """Remove the folders of pages that run no more. Those of other users cannot be locked, and stay."""
    for folder in parent.glob(f"{_FOLDER}*"):
        with suppress(AnimeInterpError, OSError):
            if is_link(folder) or time.time() - folder.stat().st_mtime < _STARTING:
                continue
            with lock_folder(folder):
                pass
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served_page(settings: PageSettings) -> Iterator[str]:
    """Serve the page until the block ends.

    Args:
        settings: What it is started with.

    Yields:
        Its address.

    Raises:
        MissingExtraError: Gradio is not installed.
        UsageError: The address or the port cannot be used.
    """
    check_extra()
    # Read by Gradio when it is imported and when components are made.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(settings.uploads)
    from animeinterp.app.film_queue import FilmQueue
    from animeinterp.app.page import build_page
    from animeinterp.app.theme import CSS, build_theme, head_markup

    queue = FilmQueue(settings.uploads / "films")
    page = build_page(settings, queue)
    try:
        _, url, _ = page.queue(default_concurrency_limit=4).launch(
            server_name=settings.host,
            server_port=settings.port,
            share=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            strict_cors=True,
            max_file_size=settings.max_upload,
            state_session_capacity=_SESSIONS,
            allowed_paths=[],
            theme=build_theme(),
            css_paths=[CSS],
            head=head_markup(),
        )
    except OSError as error:
        queue.close()
        place = f"{settings.host}:{settings.port or 'any port'}"
        raise UsageError(f"cannot serve the page on {place} ({error}); give another --port or --share-on") from error
    try:
        yield url
    finally:
        queue.close()
        page.close(verbose=False)


def resolve_folders(folders: list[Path]) -> tuple[Path, ...]:
    """Return the folders without links and `..`; FileError if one is not a folder."""
    for folder in folders:
        if not folder.is_dir():
            raise FileError(f"{folder} is not a folder; give one whose films may be opened by path")
    return tuple(folder.resolve() for folder in folders)
