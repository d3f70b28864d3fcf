"""What the verbs share: the console, and the options that several of them take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from animeinterp.options import Options

out = Console(highlight=False, soft_wrap=True)

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


def show_table(table: Table) -> None:
    """Print a table; into a file or pipe as wide as it needs to be read."""
    Console(highlight=False, width=None if out.is_terminal else 140).print(table)
