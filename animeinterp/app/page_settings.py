"""What the page is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from animeinterp.config import DEFAULT_PRESET, Options

_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What the page is started with.

    Attributes:
        folders: Folders whose films may be opened by path; the first one receives new films.
        uploads: Folder of uploads and of files to download, removed when the page ends.
        host: Address to listen on; the default answers on this machine only.
        port: Port; None takes a free one.
        model: Preset that is selected at first.
        device: As in `load_interpolator`.
        options: How models are run.
        max_upload: Largest accepted file, bytes.
    """

    folders: tuple[Path, ...]
    uploads: Path
    host: str = "127.0.0.1"
    port: int | None = None
    model: str = DEFAULT_PRESET
    device: str = "auto"
    options: Options = field(default_factory=Options)
    max_upload: int = 4 * _GIGABYTE
