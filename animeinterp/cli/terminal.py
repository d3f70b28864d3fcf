"""The consoles, and the options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from animeinterp.cli.streams import printable
from animeinterp.config import Options

if TYPE_CHECKING:
    from animeinterp.runtime.pools import Workers


class SafeConsole(Console):
    """A console that escapes terminal control characters in names and metadata."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render segments without control characters in their text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


out = SafeConsole(highlight=False, soft_wrap=True)
err = SafeConsole(highlight=False, soft_wrap=True, stderr=True)

Model = Annotated[str, typer.Option("--model", help="A preset listed by `animeinterp models`.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        readable=False,
        help="The model's weights: for `paper` the published checkpoint, for `studio` the file of `weights get`.",
    ),
]
Vgg = Annotated[
    Path | None,
    typer.Option("--vgg", readable=False, help="VGG-19 weights in torchvision's layout, to match segments by."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …")]
Style = Annotated[
    str,
    typer.Option("--style", help="How outlines are detected: western, japanese, or auto, which depends on the frame."),
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", min=1, help="Refuse larger images; memory grows with their area.")
]
HintsFile = Annotated[
    Path | None,
    typer.Option("--hints", readable=False, help="Pairs of points that belong together: a JSON file of hints."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="ADDRESS", help="Work on a Ray cluster: auto, or HOST:PORT of its head; --workers limits it."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
DEFAULTS = Options()


def choose_workers(workers: int | None, ray: str | None) -> Workers | None:
    """Return what --workers and --ray select. Raises as `check_workers`."""
    if ray is None:
        return workers
    from animeinterp.runtime.ray_cluster import RayWorkers, check_ray

    chosen = RayWorkers(ray, workers)
    check_ray(chosen)
    return chosen


def show_table(table: Table) -> None:
    """Print a table, in a file or pipe 140 columns wide."""
    SafeConsole(highlight=False, width=None if out.is_terminal else 140).print(table)
