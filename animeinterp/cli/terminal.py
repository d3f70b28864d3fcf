"""What the verbs share: the console, the progress bar, and the options that several of them take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from animeinterp.errors import FileError, UsageError
from animeinterp.options import Options

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)
Item = TypeVar("Item")

Model = Annotated[str, typer.Option("--model", help="A preset out of `animeinterp models`.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", readable=False, help="The model's weights; `paper` reads the published checkpoint."),
]
Vgg = Annotated[
    Path | None,
    typer.Option("--vgg", readable=False, help="VGG-19 weights in torchvision's layout, to match pieces by."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …")]
Style = Annotated[
    str, typer.Option("--style", help="How outlines are found: auto looks at the frame; western; japanese.")
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", min=1, help="Refuse larger pictures; memory grows with their area.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
DEFAULTS = Options()


def check_new(path: Path, force: bool) -> None:
    """Raise UsageError or FileError, before the long work, if a file cannot be written to `path`."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; choose another name or give --force to overwrite it")
    if not path.parent.is_dir():
        raise FileError(f"cannot write {path}: {path.parent} is no folder; create it or choose another")


def show_table(table: Table) -> None:
    """Print a table; into a file or pipe as wide as it needs to be read."""
    Console(highlight=False, width=None if out.is_terminal else 140).print(table)


def progress(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """The items, with a progress bar on stderr while it is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        yield from bar.track(items, total, description=label)
