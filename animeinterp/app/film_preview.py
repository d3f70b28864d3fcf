"""A preview: five seconds of the new film with the source beside it, in one video that the page divides by a border."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from time import monotonic

from animeinterp.app.film_process import FilmProcess
from animeinterp.io.files import make_folder

_SECONDS = 5
_REFRESH = 0.4  # s
_SERVED = "gradio_api/file="  # where Gradio serves the page's own files


def preview_markup(
    source: Path, arguments: Sequence[str], start: float, folder: Path
) -> Iterator[tuple[float, str | None]]:
    """Make a preview.

    Args:
        source: The film.
        arguments: Options of `animeinterp video`.
        start: Where it begins, s.
        folder: The page's own files.

    Yields:
        The finished fraction without markup, then 1 with the markup that shows the preview.

    Raises:
        AnimeInterpError: It cannot be made.
    """
    previews = folder / "previews"
    make_folder(previews)
    target = previews / f"{secrets.token_hex(8)}.mp4"
    part = [f"--preview={_SECONDS}s@{start:g}", "--compare=side", "--codec=h264"]
    process, told = FilmProcess(source, target, [*arguments, *part]), 0.0
    try:
        for progress in process.progress():
            if monotonic() - told > _REFRESH:
                told = monotonic()
                yield progress["frames"] / max(1, progress["total"]), None
    finally:
        process.close()
    yield 1.0, f'<before-after src="{_SERVED}{escape(target.as_posix())}"></before-after>'
