"""The command that draws the in-betweens of a folder of keys: inbetween."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from animeinterp.cli.drawing import choose_model
from animeinterp.cli.progress import report_progress
from animeinterp.cli.terminal import DEFAULTS, Force, MaxPixels, Model, Style, Vgg, Weights, err, out
from animeinterp.cli.video import Devices

if TYPE_CHECKING:
    from animeinterp.keys.job import DrawnKeys, KeysProgress
    from animeinterp.keys.settings import KeySettings
    from animeinterp.pairs import ModelChoice

Keys = Annotated[
    list[Path],
    typer.Argument(metavar="KEYS...", readable=False, help="A folder of key drawings, or their files in order."),
]
Output = Annotated[
    Path, typer.Option("-o", "--output", readable=False, help="Folder for all drawings; made if absent.")
]
Count = Annotated[
    int | None,
    typer.Option("-n", "--count", min=0, help="In-betweens of each pair.", show_default="what numbers leave out, or 1"),
]
Timing = Annotated[
    str, typer.Option("--timing", help="linear, ease-in, ease-out or ease-in-out; or times, such as 1/8,1/2,7/8.")
]
Chart = Annotated[
    Path | None,
    typer.Option("--chart", readable=False, help="A timing chart (CSV, a row for each pair) or a time sheet (.xdts)."),
]
PairHintsFile = Annotated[
    Path | None,
    typer.Option("--hints", readable=False, help="Points that belong together, for each pair of keys: a JSON file."),
]
On = Annotated[
    int | None,
    typer.Option(
        "--on", min=1, max=1000, help="Frames for which a drawing is shown.", show_default="as numbers say, or 2"
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Number all drawings anew: key_%04d.png, or {layer}_%04d.png for several layers."),
]
Align = Annotated[
    bool, typer.Option("--align", help="Register scans: shift, angle and brightness, undone in the in-betweens.")
]
Palette = Annotated[
    Literal["free", "keep"],
    typer.Option("--palette", help="keep: only colors of the keys, anti-aliasing aside; free: any color."),
]
Review = Annotated[
    bool,
    typer.Option(
        "--review/--no-review", help="Make onion skins, a preview, a contact sheet and time sheets in OUT/review."
    ),
]
Preview = Annotated[Literal["webp", "gif"], typer.Option("--preview", help="Format of the preview.")]
Rate = Annotated[float, typer.Option("--rate", min=1, max=240, help="Frames per second of the preview.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Keep what is drawn; draw what is missing, and pairs whose keys have changed.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that draw.", show_default="one per core, fewer for little work"),
]
_MAX_LISTED = 24  # drawings to redraw
_LABELS = {"drawing": "in-betweens", "review": "sheets and preview"}


def inbetween(
    keys: Keys,
    output: Output,
    count: Count = None,
    timing: Timing = "linear",
    chart: Chart = None,
    hints: PairHintsFile = None,
    on: On = None,
    name: Name = None,
    align: Align = False,
    palette: Palette = "free",
    review: Review = True,
    preview: Preview = "webp",
    rate: Rate = 24.0,
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Devices = "auto",
    style: Style = "auto",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    workers: Workers = None,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Draw the in-betweens of every two key drawings that follow each other.

    Layers that lie in one folder (A0001.png, B0001.png) are told apart by their names. Keys are copied unchanged and
    keep their names; in-betweens take the free numbers between: A0001 and A0005 leave room for three.
    """
    values = locals()
    choice = choose_model(model, weights, vgg, device, style, max_pixels)
    started = time.perf_counter()
    drawn = _draw(keys, output, _settings(values), choice, workers)
    _print_result(drawn, time.perf_counter() - started)


def _settings(values: Mapping[str, Any]) -> KeySettings:
    """Return the settings that the options of the command make, by their common names."""
    from animeinterp.keys.settings import KeySettings

    return KeySettings(**{field.name: values[field.name] for field in fields(KeySettings)})


def _draw(
    keys: Sequence[Path], output: Path, settings: KeySettings, choice: ModelChoice, workers: int | None
) -> DrawnKeys:
    """Draw the in-betweens and show progress."""
    from animeinterp.keys.job import draw_keys

    with report_progress("in-betweens", None) as update:

        def report(progress: KeysProgress) -> None:
            update(progress.drawn, _LABELS[progress.stage], total=progress.total)

        return draw_keys(keys, output, settings, model=choice, workers=workers, report=report)


def _print_result(drawn: DrawnKeys, seconds: float) -> None:
    """Print what was made."""
    for note in drawn.notes:
        err.print(f"note: {note}", markup=False)
    for layer in drawn.layers:
        number = sum(len(pair.inbetweens) for pair in layer.pairs)
        out.print(f"{layer.name}: {len(layer.keys)} keys, {_in_betweens(number)}", markup=False)
    kept = f", {drawn.kept} kept" if drawn.kept else ""
    out.print(f"{_in_betweens(drawn.drawn)} drawn{kept} in {seconds:.1f} s: {drawn.folder}", markup=False)
    if drawn.redraw:
        where = ", marked in review/redraw_*.png" if drawn.review else ""
        out.print(f"redraw these, which are doubtful{where}: {_list_names(drawn.redraw)}", markup=False)
    if drawn.review:
        out.print(f"onion skins, preview and sheets: {drawn.review[-1].parent}", markup=False)


def _in_betweens(number: int) -> str:
    """Return a number of in-betweens in words."""
    return f"{number} in-between{'' if number == 1 else 's'}"


def _list_names(names: Sequence[str]) -> str:
    """List names, but not too many of them."""
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
